import { describe, expect, test } from 'vitest';
import { digestOf } from '../../shared/ledger/digest.ts';
import { payloadOf } from '../../shared/ledger/jws.ts';
import { confirm } from '../../shared/registry/confirm.ts';
import type { Head, StoredEntry } from '../../shared/registry/ports.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';
import { expectSound, overriding } from '../sound-ledger.ts';

/** Three instances at rest, and a lead with `more` documents that nobody has heard of. */
async function swarm({ more = 1 } = {}) {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const contractor = await cluster.add('contractor');
  const registryId = await client.create([architect, contractor]);
  await cluster.settle();
  for (let n = 1; n <= more; n += 1) await client.record(registryId, `D${n}`);
  return { cluster, client, architect, contractor, registryId };
}

const all = { fetch: true, entriesMax: 1000 };

function contentOf(documentId: string, version = 1) {
  return digestOf(Buffer.from(`${documentId} version ${version}`));
}

async function confirmedThrough(instance: MemoryInstance, registryId: Head['registryId']) {
  return (await instance.known.newestConfirmation(registryId, instance.id))?.sequence;
}

async function conflictsOf({ known }: MemoryInstance, registryId: Head['registryId']) {
  const conflicts = await known.conflicts(registryId);
  return conflicts.map(({ statement }) => payloadOf(statement) as Record<string, unknown>);
}

describe('bytes', () => {
  test('that are missing delay the confirmations, not the entries', async () => {
    const { cluster, client, architect, registryId } = await swarm({ more: 3 });
    client.blobs.lose(contentOf('D2'));

    await cluster.settle();

    expect(await architect.head(registryId)).toEqual(await client.head(registryId));
    expect(await confirmedThrough(architect, registryId)).toBe(2);
    const progress = await architect.known.progress(registryId);
    expect(progress).toMatchObject({ verifiedThrough: 2, failures: 1 });
    expect(architect.alarms.signals).toContain('DocumentUnavailable');
  });

  test('that are missing are asked for with back-off, also while deliveries come in', async () => {
    const { cluster, client, architect, registryId } = await swarm({ more: 1 });
    client.blobs.lose(contentOf('D1'));
    await cluster.settle();
    const asked = () => client.requests.filter(({ subject }) => subject === contentOf('D1')).length;
    const before = asked();
    for (let n = 0; n < 5; n += 1) {
      await client.record(registryId, `later-${n}`);
      await cluster.settle();
    }
    const meanwhile = asked();
    cluster.pass(10_000);
    await cluster.settle();

    expect([before, meanwhile]).toEqual([2, 2]);
    expect(asked()).toBe(4);
    expect((await architect.known.progress(registryId))?.failures).toBe(2);
  });

  test('that appear later are fetched after a while, and all is confirmed', async () => {
    const { cluster, client, architect, contractor, registryId } = await swarm({ more: 3 });
    client.blobs.lose(contentOf('D2'));
    await cluster.settle();
    await client.upload('D2 version 1');
    cluster.pass(300_000);

    await cluster.settle();

    for (const mirror of [architect, contractor])
      expect(await confirmedThrough(mirror, registryId)).toBe(4);
    expect((await client.status(registryId, 4)).status).toEqual({ status: 'final' });
  });

  test('that are wrong at the first source are not stored, and the next source is tried', async () => {
    const { cluster, client, architect, contractor, registryId } = await swarm({ more: 1 });
    contractor.up = false;
    await cluster.settle();
    client.blobs.corrupt(contentOf('D1'), Buffer.from('D1 version 2'));
    contractor.up = true;
    cluster.pass(300_000);

    await cluster.settle();

    expect(await confirmedThrough(contractor, registryId)).toBe(2);
    const held = await contractor.blobs.get(contentOf('D1'));
    const chunks: Uint8Array[] = [];
    for await (const chunk of held ?? []) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe('D1 version 1');
    const asked = architect.requests.filter(({ operation }) => operation === 'content');
    expect(asked).toHaveLength(1);
  });

  test.each([
    ['other bytes', 'D1 version X', 'SHA-256'],
    ['fewer bytes', 'D1', 'more or fewer bytes'],
    ['more bytes', 'D1 version 1 and more', 'more or fewer bytes'],
  ])('%s at every source confirm nothing', async (_name, bytes, reason) => {
    const { cluster, client, architect, registryId } = await swarm({ more: 1 });
    client.blobs.corrupt(contentOf('D1'), Buffer.from(bytes));

    await cluster.settle();

    expect(await architect.blobs.sizeOf(contentOf('D1'))).toBeUndefined();
    expect(await confirmedThrough(architect, registryId)).toBe(1);
    const progress = await architect.known.progress(registryId);
    expect(progress?.lastError).toContain(reason);
  });

  test('whose transfer breaks off at one source are taken from the next', async () => {
    const { cluster, client, contractor, registryId } = await swarm({ more: 1 });
    contractor.up = false;
    await cluster.settle();
    cluster.downloads = async (url, carry) => {
      if (!url.includes('//client')) return carry();
      return (async function* () {
        yield Buffer.from('D1');
        throw new Error(`socket hang up at ${url}`);
      })();
    };
    contractor.up = true;
    cluster.pass(300_000);

    await cluster.settle();

    expect(await confirmedThrough(contractor, registryId)).toBe(2);
    expect(client.requests.some(({ operation }) => operation === 'content')).toBe(true);
  });

  test('whose transfer breaks off everywhere are tried again later; no address is kept', async () => {
    const { cluster, architect, registryId } = await swarm({ more: 1 });
    cluster.downloads = async (url) => {
      throw new Error(`refused at ${url}`);
    };

    await cluster.settle();

    const progress = await architect.known.progress(registryId);
    expect(progress?.lastError).toContain('broke off');
    expect(JSON.stringify([progress, architect.logged, architect.alarms.raised])).not.toContain(
      'memory://',
    );
  });
});

describe('what no longer is what it was is found before a confirmation is signed', () => {
  const changes: readonly (readonly [string, (stored: StoredEntry) => StoredEntry | undefined])[] =
    [
      ['an entry', (stored) => ({ ...stored, entry: flipped(stored.entry) })],
      [
        'a stored digest',
        (stored) => ({ ...stored, digest: 'ab'.repeat(32) as StoredEntry['digest'] }),
      ],
      ['a transaction', (stored) => ({ ...stored, transaction: flipped(stored.transaction) })],
      [
        'details',
        (stored) => ({ ...stored, details: flipped(stored.details ?? Buffer.alloc(40)) }),
      ],
      ['details that are gone', ({ details: _, ...stored }) => stored],
      [
        'the checkpoint of the head',
        (stored) => ({
          ...stored,
          ...(stored.sequence === 4
            ? { checkpoint: stored.checkpoint?.replace(/.{9}$/, 'AAAAAAAAA') as never }
            : {}),
        }),
      ],
      ['an entry that is gone', () => undefined],
    ];

  test.each(changes)('%s', async (name, change) => {
    const { cluster, architect, registryId } = await swarm({ more: 3 });
    const { known } = architect;
    const at = name === 'the checkpoint of the head' ? 4 : 3;
    const tampered = overriding(known, {
      entries: async (...[id, copy, range]) => {
        const run: StoredEntry[] = [];
        for (const stored of await known.entries(id, copy, range)) {
          const found = stored.sequence === at ? change(stored) : stored;
          if (found === undefined) break;
          run.push(found);
        }
        return run;
      },
    });
    await deliveredOnly(cluster, architect);

    const outcome = await confirm({ ...architect.ports, store: tampered }, registryId, all);

    expect(outcome.outcome).toBe('tampered');
    expect(await confirmedThrough(architect, registryId)).toBe(1);
    expect(await conflictsOf(architect, registryId)).toMatchObject([
      { kind: 'local-tampering', accused: architect.id, sequence: at },
    ]);
    expect(architect.alarms.signals).toContain('ConflictsOpened');
  });

  test('an own confirmation of another digest', async () => {
    const { cluster, architect, registryId } = await swarm({ more: 3 });
    await deliveredOnly(cluster, architect);
    const head = (await architect.known.head(registryId)) as Head;
    await architect.known.putConfirmation(
      registryId,
      {
        signer: architect.id,
        sequence: head.sequence,
        digest: 'ab'.repeat(32) as Head['digest'],
        copy: head.copy,
        confirmedAt: head.timestamp,
        receivedAt: head.timestamp,
        statement: 'a.b.c' as never,
        checkpoint: head.checkpoint,
      },
      'received',
    );

    const outcome = await confirm(architect.ports, registryId, all);

    expect(outcome.outcome).toBe('tampered');
    expect(await conflictsOf(architect, registryId)).toMatchObject([
      { kind: 'local-tampering', accused: architect.id, sequence: 4 },
    ]);
  });

  test('the same tampering found again is the same conflict', async () => {
    const { cluster, architect, registryId } = await swarm({ more: 3 });
    await deliveredOnly(cluster, architect);
    const { known } = architect;
    const store = overriding(known, {
      entries: async (...args) =>
        (await known.entries(...args)).map((stored) =>
          stored.sequence === 3 ? { ...stored, entry: flipped(stored.entry) } : stored,
        ),
    });

    await confirm({ ...architect.ports, store }, registryId, all);
    await confirm({ ...architect.ports, store }, registryId, { ...all, entriesMax: 3 });

    expect(await conflictsOf(architect, registryId)).toHaveLength(1);
    expect(architect.alarms.signals.filter((each) => each === 'ConflictsOpened')).toHaveLength(1);
  });

  function flipped(bytes: Uint8Array): Uint8Array {
    const changed = Uint8Array.from(bytes);
    changed[30] = (changed[30] ?? 0) ^ 1;
    return changed;
  }
});

/** Lets the mirror hold the entries without having looked at their bytes. */
async function deliveredOnly(cluster: MemoryCluster, mirror: MemoryInstance): Promise<void> {
  mirror.store.plan('progress', 'lost', 50);
  await cluster.settle().catch(() => undefined);
  mirror.outbox.take();
  while (mirror.store.pending > 0)
    await mirror.store.progress('' as Head['registryId']).catch(() => undefined);
}

test('many invocations at once sign one confirmation a head, and one log entry each', async () => {
  const { cluster, architect, registryId } = await swarm({ more: 3 });
  await deliveredOnly(cluster, architect);
  const before = await architect.known.statementsHead(registryId);

  const outcomes = await Promise.all(
    Array.from({ length: 8 }, () => confirm(architect.ports, registryId, all)),
  );

  const statements = outcomes.flatMap((each) =>
    each.outcome === 'confirmed' ? [each.confirmation.statement] : [],
  );
  expect(new Set(statements).size).toBe(1);
  expect(await architect.known.statementsHead(registryId)).toBe(before + 1);
  await expectSound(architect, registryId);
});

test('an invocation that was frozen and resumes after its successor does no harm', async () => {
  const { cluster, client, architect, registryId } = await swarm({ more: 3 });
  await deliveredOnly(cluster, architect);
  let thaw: () => void = () => undefined;
  const frozen = new Promise<void>((resolve) => {
    thaw = resolve;
  });
  const store = overriding(architect.known, {
    putConfirmation: async (...args) => {
      await frozen;
      return architect.known.putConfirmation(...args);
    },
  });
  const old = confirm({ ...architect.ports, store }, registryId, all);
  await client.record(registryId, 'later');
  cluster.pass(300_000);
  await cluster.settle();

  thaw();
  await old;
  await cluster.settle();

  expect(await confirmedThrough(architect, registryId)).toBe(5);
  expect((await client.status(registryId, 5)).status).toEqual({ status: 'final' });
  expect(await architect.known.conflicts(registryId)).toEqual([]);
});

describe.each(['lost', 'done-but-lost'] as const)('a crash where the write is %s', (fault) => {
  test('of the confirmation: it is signed once, and reaches everybody', async () => {
    const { cluster, client, architect, registryId } = await swarm({ more: 2 });
    await deliveredOnly(cluster, architect);
    architect.store.plan('putConfirmation', fault);
    await expect(confirm(architect.ports, registryId, all)).rejects.toThrow('scripted');

    await cluster.settle();

    expect(await confirmedThrough(architect, registryId)).toBe(3);
    expect(await architect.known.statementsHead(registryId)).toBe(2);
    expect((await client.status(registryId, 3)).status).toEqual({ status: 'final' });
  });

  test('of the progress: the confirmation stands, and the reading is repeated', async () => {
    const { cluster, client, architect, registryId } = await swarm({ more: 2 });
    await deliveredOnly(cluster, architect);
    architect.store.plan('putProgress', fault);
    await expect(confirm(architect.ports, registryId, all)).rejects.toThrow('scripted');

    await cluster.settle();

    expect(await architect.known.statementsHead(registryId)).toBe(2);
    expect((await client.status(registryId, 3)).status).toEqual({ status: 'final' });
    expect(await architect.known.progress(registryId)).toMatchObject({ verifiedThrough: 3 });
  });
});

test('between signing and sending nothing is lost: the log brings the confirmation', async () => {
  const { cluster, client, architect, registryId } = await swarm({ more: 2 });
  cluster.network = async ({ to, request }, carry) => {
    const answer = await carry();
    // The answer with the confirmation in it never arrives.
    if (to === architect && request.operation === 'deliver')
      return { outcome: 'unreachable', reason: 'time-out' };
    return answer;
  };
  await cluster.settle();
  cluster.network = (_passing, carry) => carry();
  cluster.pass(300_000);

  await cluster.settle();

  expect((await client.status(registryId, 3)).status).toEqual({ status: 'final' });
});

test('a long ledger is re-read in parts, each of which confirms what it came to', async () => {
  const { cluster, architect, registryId } = await swarm({ more: 7 });
  await deliveredOnly(cluster, architect);
  const reached: (number | undefined)[] = [];

  for (let turn = 0; turn < 3; turn += 1) {
    await confirm(architect.ports, registryId, { fetch: true, entriesMax: 3 });
    reached.push(await confirmedThrough(architect, registryId));
  }

  expect(reached).toEqual([4, 7, 8]);
});

test('a joiner confirms nothing about the time before it was a peer', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm({ more: 5 });
  const joiner = await cluster.add('joiner');
  await client.reconfigure(registryId, [client, architect, contractor, joiner]);

  await cluster.settle();

  expect(await joiner.known.statementsHead(registryId)).toBe(1);
  expect(await confirmedThrough(joiner, registryId)).toBe(7);
  expect((await client.status(registryId, 7)).status).toEqual({ status: 'final' });
});

test('a lead confirms nothing to itself', async () => {
  const { cluster, client, registryId } = await swarm({ more: 3 });
  await cluster.settle();

  const outcome = await confirm(client.ports, registryId, all);

  expect(outcome).toEqual({ outcome: 'nothing' });
  expect(await client.known.statementsHead(registryId)).toBe(0);
});
