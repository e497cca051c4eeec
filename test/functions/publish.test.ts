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
  transactionItemKey,
} from '../../shared/adapters/aws/dynamo-keys.ts';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
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
  await store.openConflict({ ...conflict, recordedAt: timeAfter(61) }, ledger.head);
  const events = new RecordingEvents();
  const lines: string[] = [];
  const handler = createPublish(
    { instanceName: 'client', store, events },
    (level, message, facts) => lines.push(JSON.stringify({ level, message, facts })),
  );
  return { handler, events, lines, registryId, conflictId, mirror: mirror.certificateId };
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
      confirmationKey(registryId, mirror, 3),
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

test('the keys of the store begin as the filter and the permissions say', () => {
  const registryId = digestOf('a registry');
  const peer = digestOf('a peer') as string as CertificateId;
  const keys = [
    entryKey(registryId, 1, 1),
    confirmationKey(registryId, peer, 1),
    conflictKey(registryId, digestOf('a conflict')),
    transactionItemKey(registryId, 1, 'a transaction'),
    headKey(registryId),
  ];

  const beginnings = keys.map((key) => keyText(key).replace(/#.*$/, '#'));

  expect(beginnings.slice(0, 3)).toEqual([...publishPrefixes]);
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

test('an item that is not in the store yet is reported as failed', async () => {
  const { handler, events, lines, registryId } = await publishing();

  const answer = await handler(
    streamEvent(entryKey(registryId, 1, 4), entryKey(registryId, 2, 1), entryKey(registryId, 1, 1)),
  );

  expect(answer).toEqual(failures(1, 2));
  expect(events.published).toHaveLength(1);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    {
      level: 'error',
      message: 'event not published',
      facts: { registryId, kind: 'entry', copy: 1, sequence: 4 },
    },
    { message: 'event not published', facts: { copy: 2, sequence: 1 } },
  ]);
});

test('a conflict that is not in the store is reported as failed', async () => {
  const { handler, registryId } = await publishing();

  const answer = await handler(streamEvent(conflictKey(registryId, digestOf('unknown'))));

  expect(answer).toEqual(failures(1));
});

test.each([
  ['a head', 'HEAD#', 'HEAD'],
  ['an entry without a sequence', 'ENTRY#', 'ENTRY'],
  ['an entry at sequence 0', 'ENTRY#', 'ENTRY', '#1#0'],
  ['a confirmation by nobody', 'CONFIRMATION#', '0000000000000001', '#nobody'],
  ['a conflict without an id', 'CONFLICT#', 'x'],
])('%s has no event: it is reported, never passed over', async (_what, prefix, sk, rest = '') => {
  const { handler, events, lines, registryId } = await publishing();
  const unknown = { pk: { S: `${prefix}${registryId}${rest}` }, sk: { S: sk } };

  const answer = await handler(streamEvent(entryKey(registryId, 1, 1), unknown));

  expect(answer).toEqual(failures(2));
  expect(events.published).toHaveLength(1);
  expect(lines).toEqual([
    '{"level":"error","message":"records without a place","facts":{"count":1}}',
  ]);
});

test('no log line has a name, the text of a document, or an address', async () => {
  const { handler, events, lines, registryId, mirror } = await publishing();
  events.refuses = () => 'ThrottlingException';

  await handler(streamEvent(entryKey(registryId, 1, 2), confirmationKey(registryId, mirror, 3)));

  expect(lines).toHaveLength(2);
  expect(lines.join()).not.toMatch(/plan-1|Grundri|Bürgerhaus|https?:|eyJ/);
});
