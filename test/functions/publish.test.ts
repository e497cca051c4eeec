import type { DynamoDBRecord } from 'aws-lambda';
import { expect, test } from 'vitest';
import { createPublish } from '../../functions/publish.ts';
import {
  confirmationKey,
  conflictKey,
  entryKey,
  headKey,
  type ItemKey,
  keyText,
  openSetKey,
  transactionItemKey,
} from '../../shared/adapters/aws/dynamo-keys.ts';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import { RecordingAlarms } from '../../shared/adapters/memory/recording-alarms.ts';
import { RecordingEvents } from '../../shared/adapters/memory/recording-events.ts';
import { publishPrefixes, publishReadPrefixes } from '../../shared/config.ts';
import { conflictIdOf, conflictOf } from '../../shared/ledger/conflict.ts';
import { type CertificateId, digestOf } from '../../shared/ledger/digest.ts';
import { TestLedger, testPeers, timeAfter } from '../builders.ts';

type Keys = NonNullable<NonNullable<DynamoDBRecord['dynamodb']>['Keys']>;

/** Records of the stream for items with these keys, numbered from 1. */
function streamEvent(...keys: readonly ItemKey[]) {
  const Records = keys.map((each, index): DynamoDBRecord => {
    // The stream writes keys as the store does; only the types of the two differ.
    const Keys = each as Keys;
    return { eventName: 'INSERT', dynamodb: { Keys, SequenceNumber: String(index + 1) } };
  });
  return { Records };
}

/** The function of an instance that holds three entries, the last confirmed and in conflict. */
async function publishing() {
  const [lead, mirror] = testPeers(2);
  if (lead === undefined || mirror === undefined) throw new Error('no peers');
  const ledger = new TestLedger([lead, mirror]);
  ledger.upload('plan-1');
  ledger.upload('plan-2');
  ledger.confirm(mirror);
  const store = new MemoryLedgerStore();
  await ledger.fill(store);
  const { registryId } = ledger;
  const statement = conflictOf({
    registryId,
    signer: mirror.certificateId,
    kind: 'fork',
    sequence: ledger.head.sequence,
    accused: lead.certificateId,
    digests: [ledger.head.digest, digestOf('another')],
    evidence: [],
    detectedAt: timeAfter(60),
  });
  const conflictId = conflictIdOf(statement);
  const conflict = { registryId, conflictId, statement: mirror.sign(statement) };
  await store.openConflict({ ...conflict, recordedAt: timeAfter(61) }, ledger.head, 'own');
  const events = new RecordingEvents();
  const lines: string[] = [];
  const alarms = new RecordingAlarms();
  const handler = createPublish(
    { instanceName: 'client', store, events },
    (level, message, facts) => lines.push(JSON.stringify({ level, message, facts })),
    alarms,
  );
  const signer = mirror.certificateId;
  return { handler, events, lines, alarms, store, registryId, conflictId, mirror: signer };
}

function failures(...numbers: readonly number[]) {
  return { batchItemFailures: numbers.map((number) => ({ itemIdentifier: String(number) })) };
}

test('whatever the store puts under the prefixes of the filter is understood and published', async () => {
  const { handler, events, registryId, conflictId, mirror } = await publishing();

  const answer = await handler(
    streamEvent(
      entryKey(registryId, 1, 1),
      entryKey(registryId, 1, 3),
      confirmationKey(registryId, mirror, 3, 1),
      conflictKey(registryId, conflictId),
    ),
  );

  expect(answer).toEqual(failures());
  expect(events.published.map(({ type, sequence }) => [type, sequence])).toEqual([
    ['EntryAppended', 1],
    ['EntryAppended', 3],
    ['EntryConfirmed', 3],
    ['ConflictOpened', 3],
  ]);
});

test('a confirmation of a later copy is told by itself', async () => {
  const { handler, events, store, registryId, mirror } = await publishing();
  const [first] = await store.confirmations(registryId, mirror, 3, 1);
  if (first === undefined) throw new Error('nothing is confirmed');
  await store.putConfirmation(registryId, { ...first, copy: 2 }, 'received');

  const answer = await handler(streamEvent(confirmationKey(registryId, mirror, 3, 2)));

  expect(answer).toEqual(failures());
  expect(events.published).toMatchObject([
    { type: 'EntryConfirmed', id: `${first.digest}:${mirror}:2`, sequence: 3, copy: 2 },
  ]);
});

test('the end of a conflict is told with the version of the open set that it ended in', async () => {
  const { handler, events, store, registryId, conflictId } = await publishing();
  const head = await store.head(registryId);
  if (head === undefined) throw new Error('no head');
  const next = { ...head, conflictsVersion: head.conflictsVersion + 1, openConflicts: [] };
  await store.settle({ registryId, expected: head, head: next, origin: 'received' });

  const answer = await handler(streamEvent(openSetKey(registryId, next.conflictsVersion)));

  expect(answer).toEqual(failures());
  expect(events.published).toMatchObject([
    { type: 'ConflictEnded', id: `${conflictId}:${next.conflictsVersion}`, by: 'resolution' },
  ]);
});

test('the keys of the store begin as the filter and the permissions say', () => {
  const registryId = digestOf('a registry');
  const peer = digestOf('a peer') as string as CertificateId;
  const keys = [
    entryKey(registryId, 1, 1),
    confirmationKey(registryId, peer, 1, 1),
    conflictKey(registryId, digestOf('a conflict')),
    openSetKey(registryId, 1),
    transactionItemKey(registryId, 1, 'a transaction'),
    headKey(registryId),
  ];

  const beginnings = keys.map((key) => keyText(key).replace(/#.*$/, '#'));

  expect(beginnings.slice(0, 4)).toEqual([...publishPrefixes]);
  expect(beginnings).toEqual([...publishReadPrefixes]);
});

test('what the bus does not take comes again, and what stands behind it is published now', async () => {
  const { handler, events, registryId } = await publishing();
  events.refuses = ({ sequence }) => (sequence === 2 ? 'InternalFailure' : undefined);
  const batch = streamEvent(...[1, 2, 3].map((sequence) => entryKey(registryId, 1, sequence)));

  const first = await handler(batch);
  events.refuses = () => undefined;
  const second = await handler({ Records: batch.Records.slice(1) });

  expect([first, second]).toEqual([failures(2), failures()]);
  expect(events.published.map(({ sequence }) => sequence)).toEqual([1, 3, 2, 3]);
});

test('an item that is not in the store is not late: it is given up, and rings', async () => {
  const { handler, events, lines, alarms, registryId } = await publishing();

  const answer = await handler(
    streamEvent(
      entryKey(registryId, 1, 4),
      conflictKey(registryId, digestOf('unknown')),
      entryKey(registryId, 1, 1),
    ),
  );

  expect(answer).toEqual(failures());
  expect(events.published).toHaveLength(1);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    {
      level: 'error',
      message: 'event can never be published',
      facts: { registryId, kind: 'entry', copy: 1, sequence: 4 },
    },
    { message: 'event can never be published', facts: { conflictId: digestOf('unknown') } },
  ]);
  expect(alarms.raised).toMatchObject([
    { signal: 'EventsHopeless', facts: { registryId, sequence: 4 } },
    { signal: 'EventsHopeless', facts: { kind: 'conflict' } },
  ]);
});

test('what can never be published holds up nothing that comes later in the shard', async () => {
  const { handler, events, registryId } = await publishing();
  const batch = streamEvent(entryKey(registryId, 1, 9), entryKey(registryId, 1, 2));
  events.refuses = () => 'ThrottlingException';

  const throttled = await handler(batch);
  events.refuses = () => undefined;
  const later = await handler(batch);

  expect([throttled, later]).toEqual([failures(2), failures()]);
});

test('a table that cannot be read is asked again, and rings nothing', async () => {
  const { handler, lines, alarms, store, registryId } = await publishing();
  store.entries = () => Promise.reject(new Error('the table is throttled; try again'));

  const answer = await handler(streamEvent(entryKey(registryId, 1, 2)));

  expect(answer).toEqual(failures(1));
  expect(lines.join()).toContain('event not published');
  expect(alarms.raised).toEqual([]);
});

test.each([
  ['a head', 'HEAD#', 'HEAD'],
  ['an entry without a sequence', 'ENTRY#', 'ENTRY'],
  ['an entry at sequence 0', 'ENTRY#', 'ENTRY', '#1#0'],
  ['a confirmation by nobody', 'CONFIRMATION#', '0000000000000001', '#nobody'],
  ['a confirmation of no copy', 'CONFIRMATION#', '0000000000000001#2', `#${digestOf('a peer')}`],
  ['a confirmation of nothing', 'CONFIRMATION#', '#00000002', `#${digestOf('a peer')}`],
  ['a conflict without an id', 'CONFLICT#', 'x'],
  ['an open set without a version', 'OPENSET#', 'x'],
])('%s has no event: it rings, and is never passed over', async (_what, prefix, sk, rest = '') => {
  const { handler, events, lines, alarms, registryId } = await publishing();
  const unknown = { pk: { S: `${prefix}${registryId}${rest}` }, sk: { S: sk } };

  const answer = await handler(streamEvent(entryKey(registryId, 1, 1), unknown));

  const facts = {
    partition: unknown.pk.S,
    sort: sk,
    reason: 'its key names no place of an event',
  };
  expect(answer).toEqual(failures());
  expect(events.published).toHaveLength(1);
  expect(alarms.raised).toEqual([{ signal: 'EventsHopeless', facts }]);
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { level: 'error', message: 'event can never be published', facts },
  ]);
});

test('no log line has a name, the text of a document, or an address', async () => {
  const { handler, events, lines, registryId, mirror } = await publishing();
  events.refuses = () => 'ThrottlingException';

  await handler(streamEvent(entryKey(registryId, 1, 2), confirmationKey(registryId, mirror, 3, 1)));

  expect(lines).toHaveLength(2);
  expect(lines.join()).not.toMatch(/plan-1|Grundri|Bürgerhaus|https?:|eyJ/);
});
