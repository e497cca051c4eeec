import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BatchGetItemCommandInput, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { describe, expect, test } from 'vitest';
import { DynamoLedgerStore } from '../../shared/adapters/aws/dynamo-ledger-store.ts';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import { RecordingEvents } from '../../shared/adapters/memory/recording-events.ts';
import { conflictIdOf, conflictOf } from '../../shared/ledger/conflict.ts';
import {
  type CertificateId,
  type Digest,
  digestOf,
  type Sequence,
} from '../../shared/ledger/digest.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import { limits } from '../../shared/ledger/limits.ts';
import { encodeTransaction } from '../../shared/ledger/transaction.ts';
import type { OpenedConflict } from '../../shared/registry/conflict-record.ts';
import type { Confirmation, Head, StoredEntry } from '../../shared/registry/ports.ts';
import {
  conflictOpened,
  type EventPlace,
  entryAppended,
  entryConfirmed,
  openSetChanged,
  publishEvents,
  type RegistryEvent,
} from '../../shared/registry/publish-events.ts';
import { StoredDamage } from '../../shared/registry/stored-damage.ts';
import { SALT, TestLedger, testPeers, testUuid, timeAfter } from '../builders.ts';
import { decide } from '../conflicts.ts';
import { findTampering, rest, setAsideFrom, swarm } from '../scenarios/conflict-swarm.ts';

const ROOT = join(import.meta.dirname, '..', '..');

function vector(name: string): string {
  return readFileSync(join(ROOT, 'test', 'vectors', name), 'utf8');
}

/** A ledger of three entries with a confirmation of the last one and a conflict, in a store. */
async function publisher() {
  const [lead, mirror] = testPeers(2);
  if (lead === undefined || mirror === undefined) throw new Error('no peers');
  const ledger = new TestLedger([lead, mirror]);
  ledger.upload('plan-1');
  ledger.upload('plan-2');
  ledger.confirm(mirror);
  const store = new MemoryLedgerStore();
  await ledger.fill(store);
  const { registryId } = ledger;
  const conflict = forkAt(ledger, mirror);
  await store.openConflict(conflict, ledger.head, 'received');
  const events = new RecordingEvents();
  return { ledger, registryId, mirror, conflict, store, events, instanceName: 'client' };
}

function forkAt(
  { registryId, head }: TestLedger,
  signer: ReturnType<typeof testPeers>[number],
  other = 'another',
) {
  const statement = conflictOf({
    registryId,
    signer: signer.certificateId,
    kind: 'fork',
    sequence: head.sequence,
    accused: head.configuration.peers[0] ?? 'open',
    digests: [head.digest, digestOf(other)],
    evidence: [digestOf('evidence')],
    detectedAt: timeAfter(60),
  });
  const conflictId = conflictIdOf(statement);
  const recordedAt = timeAfter(61);
  return { registryId, conflictId, statement: signer.sign(statement), recordedAt };
}

/** A table in which entries have these attributes, and nothing else is; undefined: throttled. */
function tableOf(attributes: Record<string, unknown> | undefined): DynamoDBClient {
  const client = new DynamoDBClient({ region: 'eu-central-1' });
  client.send = async ({ input }: { input: BatchGetItemCommandInput }) => {
    const { table } = input.RequestItems ?? {};
    if (attributes === undefined) return { UnprocessedKeys: { table } };
    const entries = table?.Keys?.filter(({ pk }) => pk?.S?.startsWith('ENTRY#'));
    return { Responses: { table: entries?.map((key) => ({ ...key, ...attributes })) } };
  };
  return client;
}

function entryAt(registryId: Digest, sequence: number): EventPlace {
  return { kind: 'entry', registryId, copy: 1, sequence };
}

const published = { outcome: 'published' };

describe('publishing', () => {
  test('an entry, a confirmation and a conflict become one event each, under ids of their own', async () => {
    const ports = await publisher();
    const { registryId, conflict, ledger } = ports;
    const signer = ports.mirror.certificateId;

    const outcomes = await publishEvents(ports, [
      entryAt(registryId, 2),
      { kind: 'confirmation', registryId, signer, sequence: 3, copy: 1 },
      { kind: 'conflict', registryId, conflictId: conflict.conflictId },
    ]);

    expect(outcomes).toEqual([published, published, published]);
    expect(ports.events.published).toMatchObject([
      { type: 'EntryAppended', id: ledger.entryAt(2).digest, instance: 'client', sequence: 2 },
      { type: 'EntryConfirmed', id: `${ledger.head.digest}:${signer}`, sequence: 3 },
      { type: 'ConflictOpened', id: conflict.conflictId, kind: 'fork', openConflicts: 1 },
    ]);
  });

  test('what is published again has the id that it had, and says the same', async () => {
    const ports = await publisher();

    await publishEvents(ports, [entryAt(ports.registryId, 3)]);
    await publishEvents(ports, [entryAt(ports.registryId, 3)]);

    const [first, second] = ports.events.published;
    expect(second).toEqual(first);
  });

  test('a confirmation of a later copy is another event than the one of the first', async () => {
    const ports = await publisher();
    const { registryId, ledger } = ports;
    const signer = ports.mirror.certificateId;
    const first = ledger.confirmations.at(-1);
    if (first === undefined) throw new Error('nothing is confirmed');
    const other = digestOf('another entry 3');
    await ports.store.putConfirmation(registryId, { ...first, digest: other, copy: 2 }, 'received');
    const at = { kind: 'confirmation', registryId, signer, sequence: 3 } as const;

    const outcomes = await publishEvents(
      ports,
      [2, 1, 3].map((copy) => ({ ...at, copy })),
    );

    expect(outcomes).toMatchObject([published, published, { outcome: 'hopeless' }]);
    const [second, again] = ports.events.published;
    expect(second).toMatchObject({ id: `${other}:${signer}:2`, digest: other, copy: 2 });
    expect(again).toMatchObject({ id: `${ledger.head.digest}:${signer}` });
    expect(again).not.toHaveProperty('copy');
  });

  test('a conflict that ends, opens again and ends with the registry is told each time', async () => {
    const ports = await publisher();
    const { registryId, conflict, store } = ports;
    const { conflictId } = conflict;
    const settle = async (changes: Partial<Head>) => {
      const head = await store.head(registryId);
      if (head === undefined) throw new Error('no head');
      const next = { ...head, conflictsVersion: head.conflictsVersion + 1, ...changes };
      const settlement = { registryId, expected: head, head: next, origin: 'received' } as const;
      expect(await store.settle(settlement)).toBe('settled');
      return { kind: 'open-set', registryId, conflictsVersion: next.conflictsVersion } as const;
    };
    const places = [
      await settle({ openConflicts: [] }),
      await settle({ openConflicts: [conflictId] }),
      await settle({ openConflicts: [], closed: true }),
    ];

    const outcomes = await publishEvents(ports, places);
    await publishEvents(ports, places);

    expect(outcomes).toEqual([published, published, published]);
    const about = { registryId, digest: conflictId, kind: 'fork', sequence: 3 };
    const told = [
      {
        ...about,
        type: 'ConflictEnded',
        id: `${conflictId}:2`,
        by: 'resolution',
        openConflicts: 0,
      },
      { ...about, type: 'ConflictOpened', id: `${conflictId}:3`, openConflicts: 1 },
      { ...about, type: 'ConflictEnded', id: `${conflictId}:4`, by: 'closing', openConflicts: 0 },
    ];
    expect(ports.events.published).toMatchObject([...told, ...told]);
  });

  test('all conflicts that end at once are told, or all again', async () => {
    const ports = await publisher();
    const { registryId, conflict, ledger, store, mirror } = ports;
    const second = forkAt(ledger, mirror, 'a third');
    const { digest } = ledger.head;
    await store.openConflict(second, { digest, conflictsVersion: 1 }, 'received');
    const expected = await store.head(registryId);
    if (expected === undefined) throw new Error('no head');
    const head = { ...expected, conflictsVersion: 3, openConflicts: [] };
    await store.settle({ registryId, expected, head, origin: 'received' });
    const place = { kind: 'open-set', registryId, conflictsVersion: 3 } as const;

    ports.events.refuses = ({ digest }) => (digest === second.conflictId ? 'Throttled' : undefined);
    const [first] = await publishEvents(ports, [place]);
    ports.events.refuses = () => undefined;
    const [again] = await publishEvents(ports, [place]);

    expect(first).toEqual({ outcome: 'failed', reason: 'the bus did not take it: Throttled' });
    expect(again).toEqual(published);
    expect(ports.events.published.map(({ digest }) => digest)).toEqual([
      conflict.conflictId,
      conflict.conflictId,
      second.conflictId,
    ]);
  });

  test('a change of the open set that is not in the store, or of no known conflict, is hopeless', async () => {
    const ports = await publisher();
    const { registryId, store } = ports;
    const place = { kind: 'open-set', registryId, conflictsVersion: 9 } as const;

    const [missing] = await publishEvents(ports, [place]);
    const unknown = { registryId, conflictsVersion: 9, reopened: [], openConflicts: 0 };
    store.openSetChange = async () => ({ ...unknown, ended: [digestOf('no conflict')] });
    const [strange] = await publishEvents(ports, [place]);

    for (const outcome of [missing, strange])
      expect(outcome).toMatchObject({
        outcome: 'hopeless',
        reason: expect.stringMatching(/ is not in the store$/),
      });
  });

  test('an event that the bus does not take fails alone', async () => {
    const ports = await publisher();
    ports.events.refuses = ({ sequence }) => (sequence === 2 ? 'ThrottlingException' : undefined);

    const outcomes = await publishEvents(
      ports,
      [1, 2, 3].map((sequence) => entryAt(ports.registryId, sequence)),
    );

    const reason = 'the bus did not take it: ThrottlingException';
    expect(outcomes).toEqual([published, { outcome: 'failed', reason }, published]);
    expect(ports.events.published.map(({ sequence }) => sequence)).toEqual([1, 3]);
  });

  test('an item that is not in the store is hopeless, and keeps no other from being published', async () => {
    const ports = await publisher();
    const { registryId } = ports;
    const signer = ports.mirror.certificateId;

    const outcomes = await publishEvents(ports, [
      entryAt(registryId, 4),
      entryAt(registryId, 1),
      { kind: 'confirmation', registryId, signer, sequence: 2, copy: 1 },
      { kind: 'conflict', registryId, conflictId: digestOf('no conflict') },
      entryAt(registryId, 3),
    ]);

    expect(outcomes.map(({ outcome }) => outcome)).toEqual([
      'hopeless',
      'published',
      'hopeless',
      'hopeless',
      'published',
    ]);
    for (const outcome of outcomes)
      if (outcome.outcome === 'hopeless') expect(outcome.reason).toMatch(/ is not in the store$/);
    expect(ports.events.published.map(({ sequence }) => sequence)).toEqual([1, 3]);
  });

  test('a store that does not answer for one item keeps no other from being published', async () => {
    const ports = await publisher();
    const { store } = ports;
    const entries: typeof store.entries = (registryId, copy, range) =>
      range.from === 1
        ? Promise.reject(new Error('the table is throttled; try again'))
        : store.entries(registryId, copy, range);

    const outcomes = await publishEvents(
      {
        ...ports,
        store: {
          entries,
          confirmations: store.confirmations.bind(store),
          openSetChange: store.openSetChange.bind(store),
          conflicts: store.conflicts.bind(store),
          head: store.head.bind(store),
        },
      },
      [1, 2].map((sequence) => entryAt(ports.registryId, sequence)),
    );

    expect(outcomes).toEqual([
      { outcome: 'failed', reason: 'the table is throttled; try again' },
      published,
    ]);
  });

  test('an item that was damaged is hopeless, and not tried again', async () => {
    const ports = await publisher();
    const [stored] = await ports.store.entries(ports.registryId, 1, { from: 2, count: 1 });
    if (stored === undefined) throw new Error('no entry 2');
    ports.store.entries = async () => [{ ...stored, transaction: Buffer.from('{}') }];

    const [outcome] = await publishEvents(ports, [entryAt(ports.registryId, 2)]);

    const reason = `entry 2 of registry ${ports.registryId} was damaged in the store`;
    expect(outcome).toEqual({ outcome: 'hopeless', reason });
  });

  test.each<readonly [string, Record<string, unknown>, string]>([
    ['without its transaction', { digest: { S: 'd' }, transactionId: { S: 't' } }, 'is gone from'],
    ['that lacks an attribute', { digest: { S: 'd' } }, 'it was damaged'],
  ])('an entry of the table %s is hopeless', async (_what, attributes, words) => {
    const ports = await publisher();
    const client = tableOf({ ...attributes, sequence: { N: '2' } });
    const store = new DynamoLedgerStore({ client, tableName: 'table' });

    const [outcome] = await publishEvents({ ...ports, store }, [entryAt(ports.registryId, 2)]);

    expect(outcome).toMatchObject({ outcome: 'hopeless', reason: expect.stringContaining(words) });
  });

  test('an error that only speaks of damage is tried again', async () => {
    const ports = await publisher();
    const places = [1, 2].map((sequence) => entryAt(ports.registryId, sequence));
    const reason = 'the entry has no proper attribute "bytes": it was damaged';
    const errors = [new Error(reason), new StoredDamage(reason)];
    ports.store.entries = () => Promise.reject(errors.shift());

    const outcomes = await publishEvents(ports, places);

    expect(outcomes).toEqual([
      { outcome: 'failed', reason },
      { outcome: 'hopeless', reason },
    ]);
  });

  test('a table that is throttled is asked again', async () => {
    const ports = await publisher();
    const clock = { now: () => 0, wait: async () => undefined };
    const client = tableOf(undefined);
    const store = new DynamoLedgerStore({ client, tableName: 'table', clock });

    const [outcome] = await publishEvents({ ...ports, store }, [entryAt(ports.registryId, 2)]);

    expect(outcome).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining('throttled'),
    });
  });

  test('as many places as a batch of the stream has are all published, in their order', async () => {
    const ports = await publisher();
    const places = Array.from({ length: 100 }, (_, index) =>
      entryAt(ports.registryId, (index % 3) + 1),
    );

    const outcomes = await publishEvents(ports, places);

    expect(outcomes).toEqual(places.map(() => published));
    expect(ports.events.published.map(({ sequence }) => sequence)).toEqual(
      places.map((_, index) => (index % 3) + 1),
    );
  });
});

test('a conflict that people resolve, and that comes again, is told by every instance', async () => {
  const given = await swarm(2);
  const { cluster, client, contractor, registryId, all } = given;
  const conflictId = await findTampering(contractor, registryId, 3);
  for (const copy of [2, 3]) {
    await rest(cluster, 2);
    await setAsideFrom(contractor, registryId, 3);
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);
    if (copy === 2) expect(await findTampering(contractor, registryId, 3)).toBe(conflictId);
  }

  for (const { known, name } of all) {
    const events = new RecordingEvents();
    const { conflictsVersion = 0 } = (await known.head(registryId)) ?? {};
    const places: EventPlace[] = [];
    for (let version = 1; version <= conflictsVersion; version += 1)
      if ((await known.openSetChange(registryId, version)) !== undefined)
        places.push({ kind: 'open-set', registryId, conflictsVersion: version });
    await publishEvents({ instanceName: name, store: known, events }, places);
    const told = events.published.map((event) => [event.type, event.digest]);
    expect([name, told]).toEqual([
      name,
      ['ConflictEnded', 'ConflictOpened', 'ConflictEnded'].map((type) => [type, conflictId]),
    ]);
    expect(new Set(events.published.map(({ id }) => id)).size).toBe(3);
  }
});

const registryId = digestOf('a registry');
const lead = digestOf('the lead') as string as CertificateId;

/** An entry that records the draft, in the form of the store. */
function storedWith(draft: Parameters<typeof encodeTransaction>[0], details: object): StoredEntry {
  const encoded = encodeTransaction(draft, { salt: SALT, ...details });
  const entry = Buffer.from(
    JSON.stringify({
      backlinks: [],
      format: 'registry/entry/v1',
      lead,
      registryId,
      resolves: [],
      sequence: 7,
      timestamp: timeAfter(7),
      transactionDigest: digestOf(encoded.transaction),
    }),
  );
  return {
    sequence: 7 as Sequence,
    digest: digestOf(entry),
    entry,
    transactionId: draft.transactionId,
    transaction: encoded.transaction,
    ...(encoded.details === undefined ? {} : { details: encoded.details }),
  };
}

const requestSignature = {
  type: 'request-signature',
  transactionId: testUuid(1),
  documentId: 'plan-1',
  version: 2,
  requestId: testUuid(2),
  purpose: 'approval',
  publicKey: { crv: 'Ed25519', kty: 'OKP', x: 'dGhpcyBpcyBhIHB1YmxpYyBrZXk' },
} as const;

describe('the meaning of an item', () => {
  test('an entry is told by the ids of its transaction, whatever type that has', () => {
    const stored = storedWith(requestSignature, { signer: 'Erika Musterfrau' });

    expect(entryAppended('client', registryId, stored)).toEqual({
      format: 'registry/event/v1',
      type: 'EntryAppended',
      id: stored.digest,
      instance: 'client',
      registryId,
      sequence: 7,
      digest: stored.digest,
      transactionId: testUuid(1),
      transactionType: 'request-signature',
      documentId: 'plan-1',
      version: 2,
      requestId: testUuid(2),
      timestamp: timeAfter(7),
      lead,
    });
  });

  test('no event has anything of the details', () => {
    const details = { signer: 'Erika Musterfrau', note: 'bis Freitag' };

    const event = entryAppended('client', registryId, storedWith(requestSignature, details));

    expect(JSON.stringify(event)).not.toMatch(/Erika|Freitag|salt|details/i);
  });

  test('an entry whose bytes changed in the store is no event', async () => {
    const { ledger } = await publisher();
    const [second, third] = [ledger.entryAt(2), ledger.entryAt(3)];

    for (const changes of [
      { entry: third.entry },
      { transaction: third.transaction },
      { entry: Buffer.from('{}') },
      { transaction: Buffer.from('{}') },
    ])
      expect(() => entryAppended('client', ledger.registryId, { ...second, ...changes })).toThrow(
        `entry 2 of registry ${ledger.registryId} was damaged in the store`,
      );
  });

  test('a conflict whose statement is another one is no event', async () => {
    const { conflict } = await publisher();
    const other = { ...conflict, conflictId: digestOf('another conflict') };

    expect(() => conflictOpened('client', other, 1)).toThrow(/was damaged in the store/);
  });

  test('an event at the limits of all its members has less than 2 KiB', () => {
    const documentId = 'x'.repeat(limits.identifierCharactersMax);
    const version = Number.MAX_SAFE_INTEGER;
    const stored = storedWith({ ...requestSignature, documentId, version }, { signer: 'x' });

    const event = entryAppended('x'.repeat(30), registryId, stored);

    expect(event.documentId).toBe(documentId);
    expect(Buffer.byteLength(JSON.stringify(event))).toBeLessThan(2048);
  });
});

describe('docs/events.md', () => {
  const page = readFileSync(join(ROOT, 'docs', 'events.md'), 'utf8');
  const shown = [...page.matchAll(/^```json\n([\s\S]*?)\n```$/gm)]
    .map(([, json = '']) => JSON.parse(json))
    .filter((value) => value.format !== undefined);

  function endOf({ registryId, conflictId }: OpenedConflict) {
    const change = { registryId, conflictsVersion: 7, reopened: [], openConflicts: 0 };
    return { ...change, ended: [conflictId] };
  }

  /** The events of the frozen vectors: an entry, a confirmation and a conflict of one registry. */
  function eventsOfVectors(): RegistryEvent[] {
    const [, , , transaction = '', , entry = ''] = vector('ledger.jsonl').split('\n');
    const statements: { kind: string; compact: Compact; payload: string }[] = JSON.parse(
      vector('statements.json'),
    );
    const said = (kind: string) => {
      const found = statements.find((each) => each.kind === kind);
      return { statement: found?.compact, ...JSON.parse(found?.payload ?? '') };
    };
    const confirmation: Confirmation = said('confirmation');
    const conflict: OpenedConflict = {
      ...said('conflict'),
      conflictId: conflictIdOf(said('conflict')),
    };
    const { registryId: recordedIn, sequence } = JSON.parse(entry);
    const stored: StoredEntry = {
      sequence,
      entry: Buffer.from(entry),
      digest: digestOf(entry),
      transactionId: JSON.parse(transaction).transactionId,
      transaction: Buffer.from(transaction),
    };
    return [
      entryAppended('client', recordedIn, stored),
      entryConfirmed('client', recordedIn, confirmation),
      conflictOpened('client', conflict, 1),
      ...openSetChanged('client', endOf(conflict), [conflict]),
    ];
  }

  test('shows the events of the frozen vectors, exactly as they are published', () => {
    expect(shown.map((each) => JSON.stringify(each))).toEqual(
      eventsOfVectors().map((each) => JSON.stringify(each)),
    );
  });

  test('explains every member of every event', () => {
    const rows = [...page.matchAll(/^\| ((?:`\w+`(?:, )?)+) \|/gm)].flatMap(([, names = '']) =>
      [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name),
    );
    const request = entryAppended(
      'client',
      registryId,
      storedWith(requestSignature, { signer: 'x' }),
    );
    const later = entryConfirmed('client', registryId, { copy: 2 } as Confirmation);
    const members = new Set(
      [request, later, ...eventsOfVectors()].flatMap((each) => Object.keys(each)),
    );

    expect([...new Set(rows)].sort()).toEqual([...members].sort());
  });
});
