import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Match, type Template } from 'aws-cdk-lib/assertions';
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
  readonly OKActions: readonly unknown[];
  readonly ComparisonOperator: string;
  readonly TreatMissingData: string;
}

let directory: string;
let template: Template;
let alarms: Alarm[];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'alarms-'));
  template = synthesise(directory)('client').alarms;
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

  expect([...new Set(own.map(({ MetricName }) => MetricName))].sort()).toEqual([
    'AuditFindings',
    'ClusterCaDays',
    'ConflictsOpened',
    'EventsHopeless',
    'InstanceCertificateDays',
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
  expect(alarms.filter((alarm) => sectionOf(alarm) === 'function-throttles')).toHaveLength(8);
  expect(alarms.filter((alarm) => sectionOf(alarm) === 'old-pokes')).toHaveLength(2);
  for (const { AlarmActions, OKActions } of alarms) {
    expect(AlarmActions).toHaveLength(1);
    expect(OKActions).toEqual(AlarmActions);
  }
});

test('what the audit finds rings for as long as two of its runs', () => {
  const findings = alarms.filter((alarm) => sectionOf(alarm) === 'audit-findings');

  expect(findings).toMatchObject([
    { MetricName: 'AuditFindings', Statistic: 'Sum', Threshold: 0, Period: 1800 },
  ]);
});

test('a sweep or an audit that does not run any more rings, also when nothing is measured', () => {
  const standstill = alarms.filter((alarm) => sectionOf(alarm) === 'not-running');

  const silent = {
    Namespace: 'AWS/Lambda',
    MetricName: 'Invocations',
    Statistic: 'Sum',
    Threshold: 1,
    ComparisonOperator: 'LessThanThreshold',
    TreatMissingData: 'breaching',
  };
  expect(standstill).toMatchObject([
    { ...silent, Period: 900 },
    { ...silent, Period: 3600 },
  ]);
  expect(standstill.map(({ Dimensions }) => JSON.stringify(Dimensions))).toEqual([
    expect.stringMatching(/FunctionName.*RefSweep/),
    expect.stringMatching(/FunctionName.*RefAudit/),
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

test('alarms reach the e-mail addresses and the webhooks of the file', () => {
  const found = Object.values(template.findResources('AWS::SNS::Subscription'));

  expect(found.map(({ Properties: { Protocol, Endpoint } }) => [Protocol, Endpoint])).toEqual([
    ['email', 'registry-operator@client.example'],
    ['https', 'https://alarms.client.example/registry'],
  ]);
});

test('each certificate rings 60, 30 and 7 days before it expires, and goes on when it has', () => {
  const certificates = alarms.filter((alarm) => sectionOf(alarm) === 'certificates');

  expect(
    certificates.map(({ MetricName, Threshold }) => `${MetricName} ${Threshold}`).sort(),
  ).toEqual(
    ['ClusterCaDays', 'DaysToExpiry', 'InstanceCertificateDays'].flatMap((metric) =>
      [30, 60, 7].map((days) => `${metric} ${days}`),
    ),
  );
  for (const alarm of certificates)
    expect(alarm).toMatchObject({
      ComparisonOperator: 'LessThanThreshold',
      Statistic: 'Minimum',
      // Certificate Manager is silent about what has expired.
      TreatMissingData: 'ignore',
    });
  expect(certificates.find(({ MetricName }) => MetricName === 'DaysToExpiry')).toMatchObject({
    Namespace: 'AWS/CertificateManager',
    Dimensions: [{ Name: 'CertificateArn', Value: expect.stringMatching(/000000000001$/) }],
  });
});

test('a backup that failed, or was never begun, rings', () => {
  template.hasResourceProperties('AWS::CloudWatch::Alarm', {
    AlarmDescription: Match.stringLikeRegexp('#failed-backups$'),
    Metrics: Match.arrayWith(
      ['Failed', 'Expired', 'Aborted'].map((outcome) =>
        Match.objectLike({
          MetricStat: Match.objectLike({
            Metric: {
              Namespace: 'AWS/Backup',
              MetricName: `NumberOfBackupJobs${outcome}`,
              Dimensions: [{ Name: 'BackupVaultName', Value: Match.anyValue() }],
            },
          }),
        }),
      ),
    ),
  });
});

test('5xx answers, late streams and lost writes ring beyond what is normal', () => {
  const rings = (section: string) =>
    alarms
      .filter((alarm) => sectionOf(alarm) === section)
      .map(({ Namespace, MetricName, Threshold }) => [Namespace, MetricName, Threshold]);

  expect(rings('api-errors')).toEqual([['AWS/ApiGateway', '5xx', 10]]);
  expect(rings('stream-behind')).toEqual([['AWS/Lambda', 'IteratorAge', 900_000]]);
  expect(rings('old-pokes').map(([, , seconds]) => seconds)).toEqual([900, 3600]);
  expect(rings('lost-writes')).toEqual([
    ['AWS/DynamoDB', 'ConditionalCheckFailedRequests', 600],
    ['AWS/DynamoDB', 'TransactionConflict', 600],
  ]);
});

test('one page shows conflicts, confirmations, lag of each peer, appends, latency and costs', () => {
  const [page] = Object.values(template.findResources('AWS::CloudWatch::Dashboard'));
  const body = JSON.stringify(page);

  for (const shown of [
    'OpenConflicts',
    'Confirmations',
    'facts.peer',
    'Appends',
    'p99',
    'ConsumedWriteCapacityUnits',
    'IncomingBytes',
    'BucketSizeBytes',
  ])
    expect(body).toContain(shown);
});
