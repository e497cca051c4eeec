import { describe, expect, test } from 'vitest';
import { readEvidence } from '../../shared/ledger/evidence.ts';
import { payloadOf } from '../../shared/ledger/jws.ts';
import type { StateItem, StateKey } from '../../shared/ledger/state.ts';
import type { Delivery } from '../../shared/registry/messages.ts';
import { carriedCommits } from '../../shared/registry/messages.ts';
import type { Head, StateRead, StoredEntry } from '../../shared/registry/ports.ts';
import { receiveDelivery } from '../../shared/registry/replicate.ts';
import {
  createRegistry,
  reconfigurePeers,
  type TestTransaction,
  testPeer,
  uploadDocument,
} from '../builders.ts';
import { deliveryOf, forgeCommit } from '../forged-commit.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';
import { expectSound, overriding } from '../sound-ledger.ts';

/** A mirror that holds `held` entries of a registry whose lead holds `more` further ones. */
async function mirroring({ held = 3, more = 2 } = {}) {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const contractor = await cluster.add('contractor');
  const registryId = await client.create([architect, contractor]);
  for (let n = 2; n <= held; n += 1) await client.record(registryId, `D${n}`);
  await cluster.settle();
  for (let n = 1; n <= more; n += 1) await client.record(registryId, `E${n}`);
  const head = (await architect.known.head(registryId)) as Head;
  const receive = (delivery: Delivery, from: MemoryInstance = client) =>
    receiveDelivery(architect.ports, from.id, delivery);
  return { cluster, client, architect, contractor, registryId, head, receive };
}

/** What an honest instance delivers from one sequence to another. */
async function honest(
  { known }: MemoryInstance,
  registryId: Head['registryId'],
  [from, to]: readonly [number, number],
): Promise<Delivery> {
  const stored = await known.entries(registryId, 1, { from, count: to - from + 1 });
  return deliveryOf(registryId, ...carriedCommits(stored));
}

async function conflictsOf({ known }: MemoryInstance, registryId: Head['registryId']) {
  const conflicts = await known.conflicts(registryId);
  return conflicts.map(({ statement }) => payloadOf(statement) as Record<string, unknown>);
}

test('what comes next is stored and confirmed in the same answer', async () => {
  const { client, architect, registryId, receive } = await mirroring({ more: 0 });
  await client.reconfigure(registryId, [client, architect]);

  const outcome = await receive(await honest(client, registryId, [4, 4]));

  const { statement } = (outcome.outcome === 'held' && outcome.confirmation) || {};
  expect(payloadOf(statement as never)).toMatchObject({ sequence: 4, signer: architect.id });
  await expectSound(architect, registryId);
});

test('a delivery that begins too late is answered with the sequence that comes next', async () => {
  const { client, architect, registryId, receive } = await mirroring();

  const outcome = await receive(await honest(client, registryId, [5, 5]));

  expect(outcome).toEqual({ outcome: 'gap', next: 4 });
  expect(await architect.head(registryId)).toMatchObject({ sequence: 3 });
});

test('what is held already is held again: the answer is the head, and nothing is written', async () => {
  const { client, architect, registryId, receive } = await mirroring();
  const delivery = await honest(client, registryId, [1, 5]);
  const first = await receive(delivery);
  const commits = architect.store.calls('commit');

  const again = await receive(delivery);

  expect(first).toMatchObject({ outcome: 'held', sequence: 5 });
  expect(again).toMatchObject({ outcome: 'held', sequence: 5 });
  expect(architect.store.calls('commit')).toBe(commits);
  await expectSound(architect, registryId);
});

test('deliveries overlap what is held and go on behind it', async () => {
  const { client, architect, registryId, receive } = await mirroring();

  expect(await receive(await honest(client, registryId, [2, 5]))).toMatchObject({ sequence: 5 });
  await expectSound(architect, registryId);
});

test('any peer may bring entries, whoever appended them', async () => {
  const { cluster, client, architect, contractor, registryId, receive } = await mirroring();
  architect.up = false;
  await cluster.settle();
  client.up = false;

  const outcome = await receive(await honest(contractor, registryId, [4, 5]), contractor);

  expect(outcome).toMatchObject({ outcome: 'held', sequence: 5 });
});

test('one and the same delivery at two invocations at once is stored once and accuses nobody', async () => {
  const { client, architect, registryId, receive } = await mirroring({ more: 30 });
  const delivery = await honest(client, registryId, [4, 33]);

  const outcomes = await Promise.all(Array.from({ length: 6 }, () => receive(delivery)));

  for (const outcome of outcomes) expect(outcome).toMatchObject({ outcome: 'held', sequence: 33 });
  expect(architect.alarms.signals).toEqual([]);
  await expectSound(architect, registryId);
});

describe('state that was read in the middle of another write accuses nobody', () => {
  test.each(['newer', 'older'] as const)('items %s than the head', async (kind) => {
    const { client, architect, registryId } = await mirroring({ more: 0 });
    await client.record(registryId, 'D2', 2);
    await client.record(registryId, 'D2', 3);
    const before = await snapshot(architect, registryId);
    const both = await honest(client, registryId, [4, 5]);
    await receiveDelivery(architect.ports, client.id, await honest(client, registryId, [4, 4]));
    const after = await snapshot(architect, registryId);
    let reads = 0;
    const store = overriding(architect.known, {
      head: async (id) => (reads === 0 ? after.head : architect.known.head(id)),
      read: async (id, keys) => {
        reads += 1;
        const now = await architect.known.read(id, keys);
        if (reads > 1) return now;
        if (kind === 'newer') return { head: before.head, items: after.items };
        return { head: after.head, items: before.items };
      },
    });
    if (kind === 'newer') Object.assign(after, { head: before.head });

    const ports = { ...architect.ports, store };
    const outcome = await receiveDelivery(ports, client.id, both);

    expect(outcome).toMatchObject({ outcome: 'held', sequence: 5 });
    expect(await architect.known.conflicts(registryId)).toEqual([]);
    await expectSound(architect, registryId);
  });

  test('items older than the head, and at the second look newer', async () => {
    const { client, architect, registryId } = await mirroring({ more: 0 });
    await client.record(registryId, 'D2', 2);
    await client.record(registryId, 'D2', 3);
    const before = await snapshot(architect, registryId);
    const [fourth, fifth] = [
      await honest(client, registryId, [4, 4]),
      await honest(client, registryId, [5, 5]),
    ];
    await receiveDelivery(architect.ports, client.id, fourth);
    let reads = 0;
    const store = overriding(architect.known, {
      read: async (id, keys) => {
        reads += 1;
        const now = await architect.known.read(id, keys);
        if (reads === 1) return { head: now.head, items: before.items };
        if (reads > 2) return now;
        // The same delivery at another invocation is stored in the middle of this read.
        await receiveDelivery(architect.ports, client.id, fifth);
        const { items } = await architect.known.read(id, keys);
        return { head: now.head, items };
      },
    });

    const outcome = await receiveDelivery({ ...architect.ports, store }, client.id, fifth);

    expect(outcome).toMatchObject({ outcome: 'held', sequence: 5 });
    expect(await architect.known.conflicts(registryId)).toEqual([]);
  });

  async function snapshot(instance: MemoryInstance, registryId: Head['registryId']) {
    const keys = ['document#D2', 'version#D2#2', 'version#D2#3'] as StateKey[];
    return { ...(await instance.known.read(registryId, keys)) } as {
      -readonly [N in keyof StateRead]: StateRead[N];
    };
  }
});

describe('what nobody signed accuses nobody', () => {
  type Break = (delivery: Delivery, others: { readonly other: MemoryInstance }) => Delivery;
  const inFirst =
    (change: (commit: Delivery['commits'][number]) => Delivery['commits'][number]): Break =>
    (delivery) => ({
      ...delivery,
      commits: delivery.commits.map((commit, n) => (n === 0 ? change(commit) : commit)),
    });
  const inEntry = (
    change: (entry: { entry: string; transaction: string; details?: string }) => object,
  ) =>
    inFirst((commit) => ({
      ...commit,
      entries: commit.entries.map((entry) => ({ ...entry, ...change(entry) })),
    }));

  const cases: readonly (readonly [string, Break])[] = [
    [
      'an entry with one character changed',
      inEntry(({ entry }) => ({ entry: entry.replace('"sequence":4', '"sequence":5') })),
    ],
    ['an entry with a space', inEntry(({ entry }) => ({ entry: ` ${entry}` }))],
    ['an entry that is no JSON', inEntry(() => ({ entry: 'x' }))],
    [
      'another transaction',
      inEntry(({ transaction }) => ({ transaction: transaction.replace('E1', 'E9') })),
    ],
    ['other details', inEntry(({ details }) => ({ details: details?.replace('E1', 'E9') }))],
    [
      'no details',
      inFirst((commit) => ({
        ...commit,
        entries: commit.entries.map(({ details: _, ...entry }) => entry),
      })),
    ],
    [
      'a checkpoint that is no statement',
      inFirst((commit) => ({ ...commit, checkpoint: 'a.b.c' })),
    ],
    [
      'a checkpoint with a changed signature',
      inFirst((commit) => ({ ...commit, checkpoint: `${commit.checkpoint.slice(0, -4)}AAAA` })),
    ],
    [
      'commits in the wrong order',
      (delivery) => ({ ...delivery, commits: [...delivery.commits].reverse() }),
    ],
    [
      'the same commit twice',
      (delivery) => ({
        ...delivery,
        commits: delivery.commits.slice(0, 1).flatMap((each) => [each, each]),
      }),
    ],
  ];

  test.each(cases)('%s', async (_name, change) => {
    const { client, architect, contractor, registryId, receive } = await mirroring();
    const delivery = await honest(client, registryId, [4, 5]);

    const outcome = await receive(change(delivery, { other: contractor }), contractor);

    expect(outcome).toMatchObject({ outcome: 'malformed' });
    expect(architect.alarms.signals).toEqual(['StatementsRefused']);
    expect(await architect.known.conflicts(registryId)).toEqual([]);
    expect(await receive(delivery)).toMatchObject({ outcome: 'held', sequence: 5 });
    await expectSound(architect, registryId);
  });

  test('a chain of its own that a mirror signed', async () => {
    const { architect, contractor, registryId, head, receive } = await mirroring();
    const { commit } = forgeCommit(contractor.ports.signer, head, [uploadDocument('X')]);

    const outcome = await receive(deliveryOf(registryId, commit), contractor);

    expect(outcome).toMatchObject({ outcome: 'malformed', refused: { code: 'LEAD_DIFFERS' } });
    expect(await architect.known.conflicts(registryId)).toEqual([]);
  });

  test('a rewriting of what is held that a mirror signed', async () => {
    const { architect, contractor, registryId, receive } = await mirroring({ held: 1 });
    const { commit } = forgeCommit(contractor.ports.signer, undefined, [
      { ...(await ownFirst(architect, registryId)) },
    ]);

    const outcome = await receive(deliveryOf(registryId, commit), contractor);

    expect(outcome).toMatchObject({ outcome: 'malformed' });
    expect(await architect.known.conflicts(registryId)).toEqual([]);
  });

  async function ownFirst(
    { known }: MemoryInstance,
    registryId: Head['registryId'],
  ): Promise<TestTransaction> {
    const [first] = await known.entries(registryId, 1, { from: 1, count: 1 });
    const { transaction, details } = first as StoredEntry;
    return {
      transaction: Buffer.from(transaction),
      ...(details === undefined ? {} : { details: Buffer.from(details) }),
    };
  }
});

describe('two chains that the lead signed are a fork', () => {
  test('at a sequence that is held', async () => {
    const { client, architect, registryId, receive } = await mirroring({ held: 3, more: 0 });
    const before = await headAt(architect, registryId, 1);
    const { commit } = forgeCommit(client.ports.signer, before, [uploadDocument('X')]);
    const delivery = deliveryOf(registryId, commit);

    const outcome = await receive(delivery);

    const [held] = await architect.known.entries(registryId, 1, { from: 2, count: 1 });
    const [conflict] = await conflictsOf(architect, registryId);
    const found = (payloadOf(commit.checkpoint as never) as { digest: string }).digest;
    expect(outcome).toMatchObject({ outcome: 'in-conflict' });
    expect(conflict).toMatchObject({
      kind: 'fork',
      accused: client.id,
      sequence: 2,
      signer: architect.id,
      digests: [held?.digest, found].sort(),
    });
    const [evidence] = (conflict?.['evidence'] ?? []) as Head['digest'][];
    const kept = await architect.blobs.evidence(evidence as Head['digest']);
    expect(readEvidence(kept ?? new Uint8Array())).toMatchObject({
      evidence: {
        kind: 'fork',
        chains: [
          // It has confirmed entry 3 alone.
          { confirmation: expect.any(String), path: expect.objectContaining({ length: 2 }) },
          { checkpoint: commit.checkpoint, path: [] },
        ],
      },
    });
  });

  test('by links to another chain, at the place where they part', async () => {
    const { client, architect, registryId, head, receive } = await mirroring({ held: 3, more: 0 });
    const before = await headAt(architect, registryId, 2);
    const third = forgeCommit(client.ports.signer, before, [uploadDocument('X')]);
    const fourth = forgeCommit(client.ports.signer, third.chain, [uploadDocument('Y')]);

    const outcome = await receive(deliveryOf(registryId, fourth.commit));

    expect(outcome).toMatchObject({ outcome: 'in-conflict' });
    expect(await conflictsOf(architect, registryId)).toMatchObject([
      {
        kind: 'fork',
        accused: client.id,
        sequence: 3,
        digests: [head.digest, third.chain.digest].sort(),
      },
    ]);
  });

  test('the same fork, found at held entries and by links, is one conflict', async () => {
    const { client, architect, contractor, registryId } = await mirroring({ held: 3, more: 0 });
    const before = await headAt(architect, registryId, 2);
    const third = forgeCommit(client.ports.signer, before, [uploadDocument('X')]);
    const fourth = forgeCommit(client.ports.signer, third.chain, [uploadDocument('Y')]);
    const one = await receiveDelivery(
      architect.ports,
      client.id,
      deliveryOf(registryId, third.commit),
    );
    const other = await receiveDelivery(
      contractor.ports,
      client.id,
      deliveryOf(registryId, fourth.commit),
    );

    expect(other).toEqual(one);
  });

  /** The head as it was at an earlier entry, without documents. */
  async function headAt(
    { known }: MemoryInstance,
    registryId: Head['registryId'],
    sequence: number,
  ) {
    const probe = new MemoryCluster();
    const other = await probe.add('probe');
    const stored = await known.entries(registryId, 1, { from: 1, count: sequence });
    const listed = JSON.parse(Buffer.from(stored[0]?.transaction ?? []).toString())
      .peers as string[];
    const ports = {
      ...other.ports,
      signer: { ...other.ports.signer, knownIds: [listed[1]] as never },
    };
    await receiveDelivery(
      ports,
      listed[0] as never,
      deliveryOf(registryId, ...carriedCommits(stored)),
    );
    return (await other.known.head(registryId)) as Head;
  }
});

describe('what a checkpoint reaches and what breaks a rule is an invalid transaction', () => {
  const digest = 'ab'.repeat(32) as Head['digest'];
  const cases: readonly (readonly [
    string,
    (head: Head) => readonly [TestTransaction, object],
    string,
  ])[] = [
    [
      'a version that is not the next',
      () => [uploadDocument('D2', { version: 5 }), {}],
      'VERSION_NOT_NEXT',
    ],
    [
      'a wrong backlink sequence',
      ({ tower }) => [uploadDocument('X'), { backlinks: tower.slice(0, 1) }],
      'BACKLINKS_WRONG',
    ],
    [
      'no link to the peer list',
      () => [uploadDocument('X'), { configuration: undefined }],
      'CONFIGURATION_LINK_WRONG',
    ],
    [
      'a subject that it is not about',
      ({ configuration: { sequence, digest: own } }) => [
        uploadDocument('X'),
        { subject: { sequence, digest: own } },
      ],
      'SUBJECT_LINK_WRONG',
    ],
    [
      'an earlier time',
      () => [uploadDocument('X'), { timestamp: '1999-01-01T00:00:00.000Z' }],
      'TIMESTAMP_BEFORE_PREVIOUS',
    ],
    ['another lead', () => [uploadDocument('X'), { lead: digest }], 'LEAD_DIFFERS'],
    ['another registry', () => [uploadDocument('X'), { registryId: digest }], 'REGISTRY_DIFFERS'],
    ['another sequence', () => [uploadDocument('X'), { sequence: 9 }], 'SEQUENCE_NOT_NEXT'],
    ['an unknown member', () => [uploadDocument('X'), { colour: 'red' }], 'UNKNOWN_MEMBER'],
    ['a second create-registry', () => [createRegistry([testPeer()]), {}], 'NOT_FIRST_ENTRY'],
  ];

  test.each(cases)('%s', async (_name, made, code) => {
    const { client, architect, registryId, head, receive } = await mirroring({ more: 0 });
    const [transaction, changes] = made(head);
    const signer = client.ports.signer;
    const { commit } = forgeCommit(signer, head, [transaction], {
      timestamp: head.timestamp,
      ...changes,
    });

    const outcome = await receive(deliveryOf(registryId, commit));

    expect(outcome).toMatchObject({ outcome: 'in-conflict' });
    const statement = payloadOf(commit.checkpoint as never) as { digest: string };
    expect(await conflictsOf(architect, registryId)).toMatchObject([
      { kind: 'invalid-transaction', accused: client.id, sequence: 4, digests: [statement.digest] },
    ]);
    expect(architect.alarms.raised[0]?.facts['detail']).toContain(code);
    expect(await architect.head(registryId)).toMatchObject({ sequence: 3 });
    await expectSound(architect, registryId);
  });

  test('a transaction id that has an entry', async () => {
    const { client, architect, registryId, head, receive } = await mirroring({ more: 0 });
    const [stored] = await architect.known.entries(registryId, 1, { from: 2, count: 1 });
    const transactionId = stored?.transactionId;
    const upload = uploadDocument('X', { transactionId });
    const { commit } = forgeCommit(client.ports.signer, head, [upload], {
      timestamp: head.timestamp,
    });

    await receive(deliveryOf(registryId, commit));

    expect(await conflictsOf(architect, registryId)).toMatchObject([
      { kind: 'invalid-transaction', accused: client.id },
    ]);
  });

  test('a hand-over inside a commit', async () => {
    const { client, architect, contractor, registryId, head, receive } = await mirroring({
      more: 0,
    });
    const list = [architect, client, contractor].map(({ id }) => ({ certificateId: id }));
    const { commit } = forgeCommit(
      client.ports.signer,
      head,
      [reconfigurePeers(list), uploadDocument('X')],
      { timestamp: head.timestamp },
    );

    await receive(deliveryOf(registryId, commit));

    expect(await conflictsOf(architect, registryId)).toMatchObject([
      { kind: 'invalid-transaction' },
    ]);
  });

  test('the sound commits before it in the same delivery are stored', async () => {
    const { client, architect, registryId, receive } = await mirroring({ more: 2 });
    const leadHead = (await client.known.head(registryId)) as Head;
    const wrong = forgeCommit(
      client.ports.signer,
      leadHead,
      [uploadDocument('D2', { version: 9 })],
      {
        timestamp: leadHead.timestamp,
      },
    );
    const sound = await honest(client, registryId, [4, 5]);

    await receive({ ...sound, commits: [...sound.commits, wrong.commit] });

    expect(await architect.head(registryId)).toMatchObject({ sequence: 5 });
    expect(await conflictsOf(architect, registryId)).toMatchObject([{ sequence: 6 }]);
  });
});

describe('before it accuses the lead a mirror checks its own side', () => {
  type Tamper = (
    head: Head,
    store: MemoryInstance['known'],
    registryId: Head['registryId'],
  ) => object;

  const forkings: readonly (readonly [string, Tamper])[] = [
    [
      'an entry',
      (_head, store) => ({
        entries: async (...[id, copy, range]: Parameters<typeof store.entries>) => {
          const run = await store.entries(id, copy, range);
          return run.map((stored) => (stored.sequence === 3 ? flipped(stored) : stored));
        },
      }),
    ],
    [
      'a checkpoint',
      (_head, store) => ({
        entries: async (...[id, copy, range]: Parameters<typeof store.entries>) => {
          const run = await store.entries(id, copy, range);
          return run.map((stored) => ({
            ...stored,
            ...(stored.checkpoint === undefined
              ? {}
              : { checkpoint: `${stored.checkpoint.slice(0, -4)}AAAA` }),
          }));
        },
      }),
    ],
  ];

  test.each(forkings)('%s of its own that changed is found', async (_name, tamper) => {
    const { client, architect, registryId, head } = await mirroring({ more: 0 });
    const { commit } = forgeCommit(
      client.ports.signer,
      head,
      [uploadDocument('D2', { version: 7 })],
      { timestamp: head.timestamp },
    );
    const store = overriding(architect.known, tamper(head, architect.known, registryId));
    const ports = { ...architect.ports, store };

    await receiveDelivery(ports, client.id, deliveryOf(registryId, commit));

    expect(await conflictsOf(architect, registryId)).toMatchObject([
      { kind: 'local-tampering', accused: architect.id },
    ]);
  });

  test.each([
    [
      'its digest',
      (head: Head) => ({
        ...head,
        tower: head.tower.map((link) => ({ ...link, digest: 'ab'.repeat(32) })),
      }),
    ],
    ['its time', (head: Head) => ({ ...head, timestamp: '2099-01-01T00:00:00.000Z' })],
    [
      'its peer list',
      (head: Head) => ({
        ...head,
        configuration: { ...head.configuration, digest: 'ab'.repeat(32) },
      }),
    ],
  ])('a head of its own with %s changed is found', async (_name, change) => {
    const { client, architect, registryId } = await mirroring({ more: 1 });
    const store = overriding(architect.known, {
      head: async (id) => change((await architect.known.head(id)) as Head) as Head,
      read: async (id, keys) => {
        const read = await architect.known.read(id, keys);
        return { ...read, head: change(read.head as Head) as Head };
      },
    });
    const ports = { ...architect.ports, store };

    await receiveDelivery(ports, client.id, await honest(client, registryId, [4, 4]));

    expect(await conflictsOf(architect, registryId)).toMatchObject([
      { kind: 'local-tampering', accused: architect.id },
    ]);
  });

  test.each([
    ['a document of its own that is ahead', { version: 5 }],
    ['a document of its own that names another entry', { entry: 1 }],
    ['a document of its own that is gone', undefined],
    ['a document of its own that is back at its first version', { version: 1, entry: 2 }],
  ] as readonly (readonly [
    string,
    { version?: number; entry?: number } | undefined,
  ])[])('%s is found', async (_name, forged) => {
    const { client, architect, registryId, cluster } = await mirroring({ more: 0 });
    await client.record(registryId, 'D2', 2);
    await cluster.settle();
    await client.record(registryId, 'D2', 3);
    const key = 'document#D2' as StateKey;
    const read = async (...[id, keys]: Parameters<typeof architect.known.read>) => {
      const own = await architect.known.read(id, keys);
      const items = new Map(own.items);
      const item = items.get(key);
      if (item === undefined) return own;
      items.delete(key);
      const [linked] = await architect.known.entries(id, 1, { from: forged?.entry ?? 4, count: 1 });
      const entry = { sequence: linked?.sequence, digest: linked?.digest };
      if (forged !== undefined) items.set(key, { version: 2, ...forged, entry } as StateItem);
      return { ...own, items };
    };
    const ports = { ...architect.ports, store: overriding(architect.known, { read }) };

    await receiveDelivery(ports, client.id, await honest(client, registryId, [5, 5]));

    expect(await conflictsOf(architect, registryId)).toMatchObject([
      { kind: 'local-tampering', accused: architect.id },
    ]);
  });

  function flipped(stored: StoredEntry): StoredEntry {
    const entry = Uint8Array.from(stored.entry);
    entry[20] = (entry[20] ?? 0) ^ 1;
    return { ...stored, entry };
  }
});

describe('once a conflict is open', () => {
  async function stopped() {
    const made = await mirroring({ held: 3, more: 1 });
    const { client, head, registryId, receive } = made;
    const { commit } = forgeCommit(
      client.ports.signer,
      head,
      [uploadDocument('D2', { version: 7 })],
      { timestamp: head.timestamp },
    );
    const delivery = deliveryOf(registryId, commit);
    const outcome = await receive(delivery);
    return { ...made, delivery, outcome };
  }

  test('every delivery is refused, the alarm was raised once, and reads go on', async () => {
    const { client, architect, registryId, receive, delivery, outcome } = await stopped();

    expect(await receive(delivery)).toEqual(outcome);
    expect(await receive(await honest(client, registryId, [4, 4]))).toEqual(outcome);
    expect(architect.alarms.signals.filter((each) => each === 'ConflictsOpened')).toHaveLength(1);
    expect(await architect.head(registryId)).toMatchObject({ sequence: 3 });
    const { body } = await architect.call('GET', `/v1/registries/${registryId}/entries/3`);
    expect(body.sequence).toBe(3);
    await expectSound(architect, registryId);
  });

  test('peers get 409, and the lead parks the delivery', async () => {
    const { cluster, client, architect, registryId } = await stopped();

    await cluster.settle();

    const cursor = await client.known.cursor(registryId, architect.id);
    expect(cursor?.lastError).toContain('REGISTRY_IN_CONFLICT');
    expect(Date.parse(cursor?.nextAttemptAt ?? '')).toBeGreaterThan(cluster.nowMs);
  });

  test('other registries of the same instances go on', async () => {
    const { cluster, client, architect, contractor } = await stopped();
    const other = await client.create([architect, contractor]);
    await client.record(other, 'A');

    await cluster.settle();

    expect((await architect.status(other, 2)).status).toEqual({ status: 'final' });
  });
});

test('entry 1 is not taken from a stranger, nor from a peer that is not its lead', async () => {
  const { cluster, client, contractor, registryId } = await mirroring();
  const late = await cluster.add('late');
  const created = await honest(client, registryId, [1, 1]);

  const fromMirror = await receiveDelivery(late.ports, contractor.id, created);
  const fromLead = await receiveDelivery(late.ports, client.id, created);

  expect(fromMirror).toEqual({ outcome: 'uninvited' });
  // It is not in the list: nobody asked it to mirror.
  expect(fromLead).toEqual({ outcome: 'uninvited' });
  expect(await late.known.head(registryId)).toBeUndefined();
});

test('entry 1 under the id of another registry is refused', async () => {
  const { client, architect, registryId, receive } = await mirroring();
  const other = await client.create([architect]);
  const [{ checkpoint = '' } = {}] = await client.known.entries(other, 1, { from: 1, count: 1 });
  const { commits } = await honest(client, other, [1, 1]);
  const fake = 'cd'.repeat(32) as Head['digest'];
  const { copy, digest, issuedAt } = payloadOf(checkpoint as never) as Record<string, never>;
  const relabelled = client.ports.signer.sign({
    format: 'registry/checkpoint/v1',
    registryId: fake,
    signer: client.id,
    sequence: 1,
    digest,
    copy,
    issuedAt,
  } as never);

  const outcome = await receive(
    deliveryOf(fake, { entries: commits[0]?.entries ?? [], checkpoint: relabelled }),
  );

  expect(outcome.outcome).not.toBe('held');
  expect(await architect.known.head(fake)).toBeUndefined();
  expect(architect.known.breaches).toEqual([]);
  expect(await architect.head(registryId)).toMatchObject({ sequence: 3 });
});

test.each([
  'lost',
  'done-but-lost',
  'busy',
  'lost-race',
] as const)('a commit that is %s at a mirror ends with each entry stored once', async (fault) => {
  const { client, architect, registryId, receive } = await mirroring({ more: 40 });
  architect.store.plan('commit', fault, 2);

  const outcome = await receive(await honest(client, registryId, [4, 43]));

  expect(outcome).toMatchObject({ outcome: 'held', sequence: 43 });
  expect(architect.store.pending).toBe(0);
  await expectSound(architect, registryId);
});

test('a store that stays busy is said to be so, and the delivery succeeds later', async () => {
  const { client, architect, registryId, receive } = await mirroring();
  architect.store.plan('commit', 'busy', 6);
  const delivery = await honest(client, registryId, [4, 5]);

  expect(await receive(delivery)).toEqual({ outcome: 'busy' });
  expect(await receive(delivery)).toMatchObject({ outcome: 'held', sequence: 5 });
  await expectSound(architect, registryId);
});

test.each([
  'lost',
  'done-but-lost',
] as const)('a conflict whose write is %s is recorded once and raises its alarm', async (fault) => {
  const { client, architect, registryId, head, receive } = await mirroring({ more: 0 });
  const { commit } = forgeCommit(
    client.ports.signer,
    head,
    [uploadDocument('D2', { version: 7 })],
    { timestamp: head.timestamp },
  );
  architect.store.plan('openConflict', fault);

  await receive(deliveryOf(registryId, commit));

  expect(await conflictsOf(architect, registryId)).toHaveLength(1);
  expect(architect.alarms.signals).toEqual(['ConflictsOpened', 'OpenConflicts']);
});

test('a conflict that meets another write is opened on the head that is there then', async () => {
  const { client, architect, registryId, head, receive } = await mirroring({ more: 0 });
  const { commit } = forgeCommit(
    client.ports.signer,
    head,
    [uploadDocument('D2', { version: 7 })],
    { timestamp: head.timestamp },
  );
  architect.store.plan('openConflict', 'lost-race', 3);

  await receive(deliveryOf(registryId, commit));

  expect((await architect.known.head(registryId))?.openConflicts).toHaveLength(1);
});

test('a lead that is brought an entry of its own above its head was restored, and stops', async () => {
  const { client, architect, registryId, cluster } = await mirroring();
  await cluster.settle();
  const restored = await cluster.add('restored');
  const ports = { ...client.ports, store: restored.known };
  const taken = { ...ports, signer: { ...client.ports.signer, knownIds: [architect.id] } };
  await receiveDelivery(taken, client.id, await honest(client, registryId, [1, 3]));

  const outcome = await receiveDelivery(
    ports,
    architect.id,
    await honest(architect, registryId, [4, 5]),
  );

  expect(outcome).toMatchObject({ outcome: 'in-conflict' });
  const [conflict] = await restored.known.conflicts(registryId);
  expect(payloadOf(conflict?.statement as never)).toMatchObject({
    kind: 'lead-rollback',
    accused: client.id,
    sequence: 4,
  });
  expect((await restored.known.head(registryId))?.sequence).toBe(3);
});

test('a timestamp more than five minutes ahead is noted and decides nothing', async () => {
  const { client, architect, registryId, cluster, receive } = await mirroring({ more: 0 });
  cluster.pass(6 * 60_000);
  await client.record(registryId, 'A');
  cluster.pass(-6 * 60_000);

  const outcome = await receive(await honest(client, registryId, [4, 4]));

  expect(outcome).toMatchObject({ outcome: 'held', sequence: 4 });
  expect(architect.alarms.signals).toEqual(['ClockSkew']);
});
