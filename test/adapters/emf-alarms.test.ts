import { describe, expect, test, vi } from 'vitest';
import { EmfAlarms } from '../../shared/adapters/aws/emf-alarms.ts';
import { logLine } from '../../shared/adapters/aws/log-line.ts';
import { RecordingAlarms } from '../../shared/adapters/memory/recording-alarms.ts';

const clock = { now: () => 1_795_341_600_000, wait: async () => undefined };

function written(): { readonly lines: string[]; readonly write: (line: string) => void } {
  const lines: string[] = [];
  return { lines, write: (line) => void lines.push(line) };
}

describe('alarms as embedded metrics', () => {
  test('a signal is one line: 1 of its metric for this instance, with its facts', () => {
    const { lines, write } = written();
    const alarms = new EmfAlarms({ instanceName: 'client', clock, write });

    alarms.raise('ConflictsOpened', { sequence: 4, kind: 'fork' });

    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        _aws: {
          Timestamp: 1_795_341_600_000,
          CloudWatchMetrics: [
            {
              Namespace: 'Registry',
              Dimensions: [['Instance']],
              Metrics: [{ Name: 'ConflictsOpened', Unit: 'Count' }],
            },
          ],
        },
        Instance: 'client',
        ConflictsOpened: 1,
        facts: { sequence: 4, kind: 'fork' },
      },
    ]);
  });

  test.each([
    ['PeerLagEntries', 'Count', 17],
    ['PeerLagSeconds', 'Seconds', 0],
    ['InstanceCertificateDays', 'Count', -1],
    ['ClusterCaDays', 'Count', 60],
  ] as const)('a measured value is one line: %s in %s', (measure, unit, value) => {
    const { lines, write } = written();
    const alarms = new EmfAlarms({ instanceName: 'client', clock, write });

    alarms.measure(measure, value, { peer: 'abc', state: 'stalled' });

    const [line, ...others] = lines.map((text) => JSON.parse(text));
    expect(others).toEqual([]);
    expect(line).toMatchObject({
      Instance: 'client',
      [measure]: value,
      facts: { peer: 'abc', state: 'stalled' },
    });
    expect(line['_aws'].CloudWatchMetrics).toEqual([
      {
        Namespace: 'Registry',
        Dimensions: [['Instance']],
        Metrics: [{ Name: measure, Unit: unit }],
      },
    ]);
  });

  test.each(['Appends', 'Confirmations'] as const)('%s are added up', (counter) => {
    const { lines, write } = written();
    const alarms = new EmfAlarms({ instanceName: 'client', clock, write });

    alarms.count(counter, 3, { registryId: 'abc' });

    const line = JSON.parse(lines[0] ?? '');
    expect(line).toMatchObject({ Instance: 'client', [counter]: 3 });
    expect(line['_aws'].CloudWatchMetrics[0].Metrics).toEqual([{ Name: counter, Unit: 'Count' }]);
  });

  test('no fact can pass for the metric or the dimension', () => {
    const { lines, write } = written();
    const alarms = new EmfAlarms({ instanceName: 'client', clock, write });

    alarms.raise('ClockSkew', { Instance: 'another', ClockSkew: 0, _aws: 'x' });

    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ Instance: 'client', ClockSkew: 1 });
  });

  test('raising and measuring never throw', () => {
    const write = () => {
      throw new Error('the pipe is closed');
    };

    const alarms = new EmfAlarms({ instanceName: 'client', write });
    expect(() => alarms.raise('ClockSkew', {})).not.toThrow();
    expect(() => alarms.measure('PeerLagSeconds', 1, {})).not.toThrow();
  });

  test('the recording alarms keep what was raised, in order', () => {
    const alarms = new RecordingAlarms();

    alarms.raise('ClockSkew', { seconds: 400 });
    alarms.raise('OpenConflicts', {});
    alarms.measure('PeerLagSeconds', 3, { registries: 1 });

    alarms.count('Appends', 2, {});

    expect(alarms.signals).toEqual(['ClockSkew', 'OpenConflicts']);
    expect(alarms.counted).toEqual([{ counter: 'Appends', number: 2, facts: {} }]);
    expect(alarms.measured).toEqual([
      { measure: 'PeerLagSeconds', value: 3, facts: { registries: 1 } },
    ]);
    expect(alarms.raised[0]).toEqual({ signal: 'ClockSkew', facts: { seconds: 400 } });
  });
});

describe('log lines', () => {
  test('a line is one JSON object on standard output', () => {
    const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);

    logLine('warn', 'a peer\nis slow', { peer: 'abc', attempts: 3 }, { clock });

    const [text] = stdout.mock.calls[0] ?? [];
    expect(String(text).endsWith('}\n')).toBe(true);
    expect(String(text).trimEnd()).not.toContain('\n');
    expect(JSON.parse(String(text))).toEqual({
      level: 'warn',
      time: '2026-11-22T10:00:00.000Z',
      message: 'a peer\nis slow',
      facts: { peer: 'abc', attempts: 3 },
    });
  });

  test.each([
    [
      'a URL',
      'GET https://bucket.example/documents/1?X-Amz-Signature=abc failed',
      'GET [url] failed',
    ],
    ['a key', 'key -----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----', 'key [pem]'],
    ['a statement', 'got eyJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ.c2ln back', 'got [jws] back'],
    ['a long value', 'x'.repeat(600), 'x'.repeat(512)],
  ])('%s inside a value does not get into a line', (_, value, expected) => {
    const { lines, write } = written();

    logLine('error', value, { lastError: value }, { clock, write });
    new EmfAlarms({ instanceName: 'client', write }).raise('PeerUnreachable', { reason: value });

    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      message: expected,
      facts: { lastError: expected },
    });
    expect(JSON.parse(lines[1] ?? '').facts).toEqual({ reason: expected });
  });

  test('logging never throws', () => {
    const write = () => {
      throw new Error('the pipe is closed');
    };

    expect(() => logLine('info', 'hello', {}, { write })).not.toThrow();
  });
});
