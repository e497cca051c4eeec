import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runbookSections } from '../../infra/constructs/runbook-alarm.ts';
import { synthesise } from './synthesis.ts';

const RUNBOOK = join(import.meta.dirname, '..', '..', 'infra', 'README.md');

interface Alarm {
  readonly AlarmDescription: string;
  readonly Namespace: string;
  readonly MetricName: string;
  readonly Threshold: number;
  readonly Dimensions: readonly { readonly Name: string; readonly Value: unknown }[];
  readonly AlarmActions: readonly unknown[];
}

let directory: string;
let alarms: Alarm[];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'alarms-'));
  const template = synthesise(directory)('client').alarms;
  alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm')).map(
    ({ Properties }) => Properties,
  );
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

function sectionsOfRunbook(): string[] {
  const text = readFileSync(RUNBOOK, 'utf8');
  return [...text.matchAll(/^## (.+)$/gm)].map(([, section]) => section ?? '');
}

function sectionOf({ AlarmDescription }: Alarm): string {
  return /infra\/README\.md#([a-z-]+)$/.exec(AlarmDescription)?.[1] ?? '';
}

test('the runbook has exactly the sections that alarms may name', () => {
  expect(sectionsOfRunbook()).toEqual([...runbookSections]);
});

test('every alarm names a section, and every section has an alarm', () => {
  expect([...new Set(alarms.map(sectionOf))].sort()).toEqual([...runbookSections].sort());
});

test('every section says what it means, what it does, what to look at and what to decide', () => {
  const sections = readFileSync(RUNBOOK, 'utf8').split(/^## /m).slice(1);

  for (const section of sections)
    expect([...section.matchAll(/^\*\*(.+?)\.\*\*/gm)].map(([, word]) => word)).toEqual([
      'Meaning',
      'Effect',
      'First command',
      'Decision',
    ]);
});

test('the metrics of the instance itself carry its name', () => {
  const own = alarms.filter(({ Namespace }) => Namespace === 'Registry');

  expect(own.map(({ MetricName }) => MetricName).sort()).toEqual([
    'AuditFindings',
    'ConflictsOpened',
    'EventsHopeless',
    'OpenConflicts',
    'PeerLagSeconds',
    'StatementsRefused',
  ]);
  for (const { Dimensions } of own)
    expect(Dimensions).toEqual([{ Name: 'Instance', Value: 'client' }]);
});

test('every queue of dead letters and every function has an alarm that reaches somebody', () => {
  expect(alarms.filter((alarm) => sectionOf(alarm) === 'dead-letters')).toHaveLength(3);
  expect(alarms.filter((alarm) => sectionOf(alarm) === 'function-errors')).toHaveLength(8);
  for (const { AlarmActions } of alarms) expect(AlarmActions).toHaveLength(1);
});

test('what the audit finds rings for as long as two of its runs', () => {
  const findings = alarms.filter((alarm) => sectionOf(alarm) === 'audit-findings');

  expect(findings).toMatchObject([
    { MetricName: 'AuditFindings', Statistic: 'Sum', Threshold: 0, Period: 1800 },
  ]);
});

test('a mirror that is behind for an hour rings', () => {
  const lag = alarms.filter((alarm) => sectionOf(alarm) === 'peer-lag');

  expect(lag).toMatchObject([
    { MetricName: 'PeerLagSeconds', Statistic: 'Maximum', Threshold: 3600 },
  ]);
});

test('events that are given up, hopeless, or a quarter of an hour late, ring', () => {
  const events = alarms.filter((alarm) => sectionOf(alarm) === 'events-unpublished');

  expect(events.map(({ MetricName, Threshold }) => [MetricName, Threshold]).sort()).toEqual([
    ['ApproximateNumberOfMessagesVisible', 0],
    ['EventsHopeless', 0],
    ['IteratorAge', 900_000],
  ]);
});
