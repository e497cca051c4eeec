import { expect, test } from 'vitest';
import { type Digest, digestOf } from '../../shared/ledger/digest.ts';
import { payloadOf } from '../../shared/ledger/jws.ts';
import { limits } from '../../shared/ledger/limits.ts';
import { Appender } from '../../shared/registry/append.ts';
import type { Proposal } from '../../shared/registry/commit-plan.ts';
import { ownTampering, reportConflict } from '../../shared/registry/report-conflict.ts';
import {
  createRegistry,
  readTestTransaction,
  reconfigurePeers,
  type TestTransaction,
  testPeer,
  uploadDocument,
} from '../builders.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';
import { expectSound, overriding } from '../sound-ledger.ts';

function proposal(test: TestTransaction): Proposal {
  const read = readTestTransaction(test);
  return test.details === undefined ? { read } : { read, details: test.details };
}

/** A lead with two mirrors and a registry of one entry. */
async function leading() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const contractor = await cluster.add('contractor');
  const registryId = await client.create([architect, contractor]);
  const appender = new Appender(client.ports);
  const append = (...tests: readonly TestTransaction[]) =>
    appender.append(registryId, tests.map(proposal));
  const upload = async (documentId: string, changes = {}) =>
    stocked(client, uploadDocument(documentId, changes));
  const sequence = async () => (await client.head(registryId))?.sequence;
  return { cluster, client, architect, contractor, registryId, appender, append, upload, sequence };
}

/** The transaction, with its document's bytes in the bucket. */
async function stocked(instance: MemoryInstance, made: TestTransaction): Promise<TestTransaction> {
  const bytes = made.content ?? Buffer.alloc(0);
  const stream = (async function* () {
    yield bytes;
  })();
  await instance.blobs.put({ contentDigest: digestOf(bytes), size: bytes.length }, stream);
  return made;
}

function block({ ports }: MemoryInstance, registryId: Digest) {
  return reportConflict(ports, registryId, ownTampering(ports, registryId, 1, 'seen'));
}

test('the same bytes again get the first result, whatever was appended since', async () => {
  const { client, registryId, append, upload, sequence } = await leading();
  const plan = await upload('A');
  const first = await append(plan);
  await append(await upload('B'));

  const again = await append(plan);

  expect(first.outcome).toBe('appended');
  expect(again).toEqual({ ...first, outcome: 'repeated' });
  expect(await sequence()).toBe(3);
  await expectSound(client, registryId);
});

test('an array again gets its first result, and so does a beginning of it', async () => {
  const { append, upload, sequence } = await leading();
  const plans = [await upload('A'), await upload('B'), await upload('C')];
  const first = await append(...plans);

  const again = await append(...plans);
  const beginning = await append(...plans.slice(0, 2));

  expect(again).toEqual({ ...first, outcome: 'repeated' });
  expect(beginning).toMatchObject({ outcome: 'repeated' });
  expect(await sequence()).toBe(4);
});

test('a former lead answers a repetition with the first result, and everything else with 421', async () => {
  const { cluster, client, architect, contractor, registryId, append, upload } = await leading();
  const plan = await upload('A');
  const first = await append(plan);
  await cluster.settle();
  await client.reconfigure(registryId, [architect, client, contractor]);
  await cluster.settle();

  const again = await append(plan);
  const fresh = await append(await upload('B'));

  expect(again).toEqual({ ...first, outcome: 'repeated' });
  expect(fresh).toEqual({ outcome: 'not-lead', lead: architect.id });
});

test('a blocked registry answers a repetition with the first result and appends nothing', async () => {
  const { client, registryId, append, upload, sequence } = await leading();
  const plan = await upload('A');
  const first = await append(plan);
  const conflict = await block(client, registryId);

  const again = await append(plan);
  const fresh = await append(await upload('B'));

  expect(again).toEqual({ ...first, outcome: 'repeated' });
  expect(fresh).toEqual({ outcome: 'in-conflict', conflicts: [conflict] });
  expect(await sequence()).toBe(2);
});

test('a transaction id with other content is refused', async () => {
  const { append, upload, sequence } = await leading();
  const plan = await upload('A');
  const { transactionId } = readTestTransaction(plan).transaction;
  await append(plan);

  const other = await append(await upload('B', { transactionId }));

  expect(other).toMatchObject({ outcome: 'refused', code: 'TRANSACTION_ID_REUSED' });
  expect(await sequence()).toBe(2);
});

test('an array that is recorded in part is refused whole', async () => {
  const { append, upload, sequence } = await leading();
  const [a, b] = [await upload('A'), await upload('B')];
  await append(a);

  const partly = await append(a, b);
  const turned = await append(b).then(() => append(b, a));

  expect(partly).toMatchObject({ outcome: 'refused', code: 'TRANSACTION_ID_REUSED' });
  expect(turned).toMatchObject({ code: 'TRANSACTION_ID_REUSED' });
  expect(turned).toMatchObject({ detail: expect.stringContaining('repeat an array as it was') });
  expect(await sequence()).toBe(3);
});

test('a repetition that meets the write of its first try gets the result, not a refusal', async () => {
  const { client, registryId, append, upload } = await leading();
  const [a, b] = [await upload('A'), await upload('B')];
  const first = await append(a, b);
  let reads = 0;
  const torn = overriding(client.known, {
    // What a read finds that began before the write and ended after it.
    read: async (id, keys) => {
      reads += 1;
      const read = await client.known.read(id, keys);
      if (reads > 1) return read;
      return { ...read, items: new Map([...read.items].slice(0, 1)) };
    },
  });

  const again = await new Appender({ ...client.ports, store: torn }).append(
    registryId,
    [a, b].map(proposal),
  );

  expect(again).toEqual({ ...first, outcome: 'repeated' });
});

test('an array is recorded together in one commit, or not at all', async () => {
  const { append, upload, sequence, client, registryId } = await leading();
  const [a, b] = [await upload('A'), await upload('B')];

  const refused = await append(a, b, await upload('C', { version: 7 }));
  const kept = await append(a, b, await upload('C'));

  expect(refused).toMatchObject({ outcome: 'refused', code: 'VERSION_NOT_NEXT' });
  expect(kept).toMatchObject({ outcome: 'appended' });
  expect(await sequence()).toBe(4);
  await expectSound(client, registryId);
});

test('an array may build on itself: a version after the one before it', async () => {
  const { append, upload, client, registryId } = await leading();

  const outcome = await append(await upload('A'), await upload('A', { version: 2 }));

  expect(outcome).toMatchObject({ outcome: 'appended' });
  await expectSound(client, registryId);
});

test('nothing comes behind a hand-over in its array', async () => {
  const { cluster, append, upload, sequence, client, architect, contractor } = await leading();
  await cluster.settle();
  const peers = [architect, client, contractor].map(({ id }) => ({ certificateId: id }));

  const outcome = await append(reconfigurePeers(peers), await upload('A'));

  expect(outcome).toMatchObject({ outcome: 'refused', code: 'COMMIT_NOT_ENDED' });
  expect(await sequence()).toBe(1);
});

test('a lead is not handed over in the array that creates the registry', async () => {
  const { client, architect } = await leading();
  const [first, second] = [{ certificateId: client.id }, { certificateId: architect.id }];
  const created = createRegistry([first, second]);
  const registryId = digestOf(created.transaction);

  const outcome = await new Appender(client.ports).append(registryId, [
    proposal(created),
    proposal(reconfigurePeers([second, first])),
  ]);

  expect(outcome).toMatchObject({ outcome: 'refused', code: 'NEW_LEAD_BEHIND' });
  expect(await client.head(registryId)).toBeUndefined();
});

test('24 transactions of one request become one commit', async () => {
  const { client, append, upload, registryId } = await leading();
  const plans = await Promise.all(Array.from({ length: 24 }, (_, n) => upload(`D${n}`)));
  const before = client.store.calls('commit');

  const outcome = await append(...plans);

  expect(outcome).toMatchObject({ outcome: 'appended' });
  expect(client.store.calls('commit') - before).toBe(1);
  await expectSound(client, registryId);
});

test('32 requests at once share commits: at most one for 8 entries', async () => {
  const { client, append, upload, registryId, sequence } = await leading();
  const plans = await Promise.all(Array.from({ length: 32 }, (_, n) => upload(`D${n}`)));
  const before = client.store.calls('commit');

  const outcomes = await Promise.all(plans.map((plan) => append(plan)));

  expect(outcomes.map(({ outcome }) => outcome)).toEqual(plans.map(() => 'appended'));
  const sequences = outcomes.map((each) =>
    each.outcome === 'appended' ? each.result.entries[0]?.sequence : 0,
  );
  expect(new Set(sequences).size).toBe(32);
  expect(client.store.calls('commit') - before).toBeLessThanOrEqual(4);
  expect(await sequence()).toBe(33);
  await expectSound(client, registryId);
});

test('each request of a shared commit gets its own entries, and a path to the checkpoint', async () => {
  const { append, upload } = await leading();
  const plans = await Promise.all(Array.from({ length: 6 }, (_, n) => upload(`D${n}`)));

  const outcomes = await Promise.all(plans.map((plan) => append(plan)));

  for (const [index, each] of outcomes.entries()) {
    if (each.outcome !== 'appended') throw new Error(each.outcome);
    const { entries, path, checkpoint } = each.result;
    const plan = plans[index];
    expect(entries.map(({ transaction }) => transaction)).toEqual([plan?.transaction]);
    const top = payloadOf(checkpoint) as { sequence: number };
    expect([...path, ...entries].map(({ sequence }) => sequence)).toContain(top.sequence);
  }
});

test('a refused request in a shared commit does not spoil the others', async () => {
  const { client, append, upload, registryId, sequence } = await leading();
  const [a, wrong, c] = [await upload('A'), await upload('B', { version: 5 }), await upload('C')];

  const outcomes = await Promise.all([append(a), append(wrong), append(c)]);

  expect(outcomes.map(({ outcome }) => outcome)).toEqual(['appended', 'refused', 'appended']);
  expect(await sequence()).toBe(3);
  await expectSound(client, registryId);
});

test('what fails unexpectedly for one request of a shared commit does not fail the others', async () => {
  const { client, registryId, upload } = await leading();
  const plans = [await upload('A'), await upload('B'), await upload('C')];
  const broken = digestOf(plans[1]?.content ?? '');
  const sizeOf = client.blobs.sizeOf.bind(client.blobs);
  client.blobs.sizeOf = async (digest) => {
    if (digest === broken) throw new Error('the bucket does not answer');
    return sizeOf(digest);
  };
  const appender = new Appender(client.ports);

  const settled = await Promise.allSettled(
    plans.map((plan) => appender.append(registryId, [proposal(plan)])),
  );

  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('a request that no commit takes does not spoil those that shared one with it', async () => {
  const { client, registryId, upload } = await leading();
  const plans = await Promise.all(['A', 'B', 'C', 'D'].map((id) => upload(id)));
  const poison = readTestTransaction(plans[2] as TestTransaction).transaction.transactionId;
  const store = overriding(client.known, {
    commit: async (write) => {
      if (write.entries.some(({ transactionId }) => transactionId === poison))
        throw new Error('the store does not take this');
      return client.known.commit(write);
    },
  });
  const appender = new Appender({ ...client.ports, store });

  const outcomes = await Promise.all(
    plans.map((plan) => appender.append(registryId, [proposal(plan)])),
  );

  const expected = ['appended', 'appended', 'busy', 'appended'];
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(expected);
  await expectSound(client, registryId);
});

test('a refusal that rests on an entry of a commit that then fails is not released', async () => {
  const { client, registryId, upload } = await leading();
  const [warm, first, second] = [await upload('W'), await upload('A'), await upload('A')];
  let commits = 0;
  const store = overriding(client.known, {
    commit: async (write) => {
      commits += 1;
      // While the second commit is under way another process finds a conflict.
      if (commits === 2) await block(client, registryId);
      return client.known.commit(write);
    },
  });
  const appender = new Appender({ ...client.ports, store });

  const outcomes = await Promise.all(
    [warm, first, second].map((plan) => appender.append(registryId, [proposal(plan)])),
  );

  const expected = ['appended', 'in-conflict', 'in-conflict'];
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(expected);
});

test('two processes that append at once lose races, and nothing else', async () => {
  const { client, registryId, upload, sequence } = await leading();
  const processes = [new Appender(client.ports), new Appender(client.ports)];
  const plans = await Promise.all(Array.from({ length: 40 }, (_, n) => upload(`D${n}`)));

  const outcomes = await Promise.all(
    plans.map((plan, n) => processes[n % 2]?.append(registryId, [proposal(plan)])),
  );

  expect(outcomes.every((each) => each?.outcome === 'appended')).toBe(true);
  expect(await sequence()).toBe(41);
  await expectSound(client, registryId);
});

test('of two applications that record the same next version one is told which comes next', async () => {
  const { client, registryId, upload, sequence } = await leading();
  const [one, other] = [new Appender(client.ports), new Appender(client.ports)];
  const plans = [await upload('A'), await upload('A')];

  const outcomes = await Promise.all([
    one.append(registryId, plans.slice(0, 1).map(proposal)),
    other.append(registryId, plans.slice(1).map(proposal)),
  ]);

  expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['appended', 'refused']);
  const refused = outcomes.find(({ outcome }) => outcome === 'refused');
  expect(refused).toMatchObject({
    code: 'VERSION_NOT_NEXT',
    detail: expect.stringContaining('the next version is 2'),
  });
  expect(await sequence()).toBe(2);
});

test.each([
  'busy',
  'lost-race',
  'lost',
] as const)('a commit that is %s is tried again and recorded once', async (fault) => {
  const { client, registryId, append, upload, sequence } = await leading();
  client.store.plan('commit', fault, 3);

  const outcome = await append(await upload('A'));

  expect(outcome).toMatchObject({ outcome: 'appended' });
  expect(client.store.pending).toBe(0);
  expect(await sequence()).toBe(2);
  await expectSound(client, registryId);
});

test('a commit that is done but reported lost is found again: one entry, its own answer', async () => {
  const { client, registryId, append, upload, sequence } = await leading();
  const plans = [await upload('A'), await upload('B')];
  client.store.plan('commit', 'done-but-lost');

  const outcome = await append(...plans);

  const stored = await client.known.entries(registryId, 1, { from: 2, count: 2 });
  expect(outcome).toMatchObject({ outcome: 'repeated', result: { entries: stored, path: [] } });
  expect(await sequence()).toBe(3);
  await expectSound(client, registryId);
});

test('requests of a shared commit that is done but reported lost all get their answers', async () => {
  const { client, registryId, append, upload, sequence } = await leading();
  const plans = await Promise.all(Array.from({ length: 9 }, (_, n) => upload(`D${n}`)));
  client.store.plan('commit', 'done-but-lost', 2);

  const outcomes = await Promise.all(plans.map((plan) => append(plan)));

  for (const [index, each] of outcomes.entries())
    expect(each).toMatchObject({
      outcome: 'repeated',
      result: { entries: [{ transaction: plans[index]?.transaction }] },
    });
  expect(await sequence()).toBe(10);
  await expectSound(client, registryId);
});

test('after bounded tries the answer is busy, holds no checkpoint, and nothing was recorded', async () => {
  const { client, append, upload, sequence } = await leading();
  client.store.plan('commit', 'lost', 100);

  const outcome = await append(await upload('A'));

  expect(outcome).toEqual({ outcome: 'busy', retryAfterSeconds: 1 });
  expect(client.store.pending).toBe(92);
  expect(await sequence()).toBe(1);
});

test('a state that cannot be read is tried again', async () => {
  const { client, append, upload } = await leading();
  client.store.plan('read', 'lost', 2);

  expect(await append(await upload('A'))).toMatchObject({ outcome: 'appended' });
});

test('an answer holds the checkpoint that is stored, not one whose write lost', async () => {
  const { client, registryId, append, upload } = await leading();
  const signed: string[] = [];
  const { signer } = client.ports;
  const watched = {
    ...signer,
    sign: (statement: Parameters<typeof signer.sign>[0]) => {
      const compact = signer.sign(statement);
      signed.push(compact);
      return compact;
    },
  };
  client.store.plan('commit', 'lost-race', 2);
  const appender = new Appender({ ...client.ports, signer: watched });

  const outcome = await appender.append(registryId, [proposal(await upload('A'))]);

  expect(signed).toHaveLength(3);
  const head = await client.known.head(registryId);
  expect(outcome).toMatchObject({ result: { checkpoint: head?.checkpoint } });
  expect(head?.checkpoint).toBe(signed[2]);
  expect(await append(await upload('B'))).toMatchObject({ outcome: 'appended' });
});

test('a table that was restored appends nothing until it is reconciled', async () => {
  const { client, registryId, upload, sequence } = await leading();
  const store = overriding(client.known, { tableId: async () => 'restored' });
  const appender = new Appender({ ...client.ports, store });

  const outcome = await appender.append(registryId, [proposal(await upload('A'))]);

  expect(outcome).toMatchObject({ outcome: 'not-reconciled', head: { sequence: 1 } });
  expect(await sequence()).toBe(1);
});

test('more requests than may wait are sent away', async () => {
  const { client, registryId, sequence } = await leading();
  const appender = new Appender(client.ports);
  const plans = Array.from({ length: 1100 }, (_, n) => uploadDocument('A', { version: n + 900 }));

  const outcomes = await Promise.all(
    plans.map((plan) => appender.append(registryId, [proposal(plan)])),
  );

  const count = (wanted: string) => outcomes.filter(({ outcome }) => outcome === wanted).length;
  expect([count('refused'), count('busy')]).toEqual([1001, 99]);
  expect(await sequence()).toBe(1);
});

test('a version whose bytes are not in the bucket, or not of that size, is refused', async () => {
  const { append, upload, sequence } = await leading();
  const missing = await append(uploadDocument('A'));
  await upload('B');

  const larger = await append(uploadDocument('B', { size: 12345 }));

  expect(missing).toMatchObject({ outcome: 'refused', code: 'CONTENT_NOT_UPLOADED' });
  expect(larger).toMatchObject({ outcome: 'refused', code: 'CONTENT_SIZE_DIFFERS' });
  expect(await sequence()).toBe(1);
});

test('a list with a peer whose certificate nobody introduced is refused', async () => {
  const { append, client, sequence } = await leading();

  const outcome = await append(reconfigurePeers([{ certificateId: client.id }, testPeer()]));

  expect(outcome).toMatchObject({ outcome: 'refused', code: 'PEER_CERTIFICATE_UNKNOWN' });
  expect(await sequence()).toBe(1);
});

test('the lead is not handed to an instance that is no peer yet', async () => {
  const { cluster, append, client, sequence } = await leading();
  const stranger = await cluster.add('stranger');

  const list = [stranger, client].map(({ id }) => ({ certificateId: id }));
  const outcome = await append(reconfigurePeers(list));

  expect(outcome).toMatchObject({ outcome: 'refused', code: 'NEW_LEAD_BEHIND' });
  expect(await sequence()).toBe(1);
});

test('the lead is handed to a mirror that has confirmed all but 100 entries, and no other', async () => {
  const { cluster, append, upload, client, architect, contractor } = await leading();
  await cluster.settle();
  for (let n = 0; n < limits.newLeadBehindMax; n += 20)
    await append(...(await Promise.all(Array.from({ length: 20 }, (_, i) => upload(`${n}-${i}`)))));
  await append(await upload('one-more'));
  const peers = [architect, client, contractor].map(({ id }) => ({ certificateId: id }));

  const behind = await append(reconfigurePeers(peers));
  await cluster.settle();
  const caughtUp = await append(reconfigurePeers(peers));

  expect(behind).toMatchObject({ outcome: 'refused', code: 'NEW_LEAD_BEHIND' });
  expect(behind).toMatchObject({ detail: expect.stringContaining('entry 1 of 102') });
  expect(caughtUp).toMatchObject({ outcome: 'appended' });
});

test('a registry is created by the instance that its list names first', async () => {
  const { client, architect } = await leading();
  const created = createRegistry([architect, client].map(({ id }) => ({ certificateId: id })));

  const outcome = await new Appender(client.ports).append(digestOf(created.transaction), [
    proposal(created),
  ]);

  expect(outcome).toMatchObject({ outcome: 'refused', code: 'LEAD_NOT_FIRST' });
});

test('creating a registry again gives its first result', async () => {
  const { client } = await leading();
  const created = createRegistry([{ certificateId: client.id }]);
  const appender = new Appender(client.ports);
  const registryId = digestOf(created.transaction);
  client.store.plan('commit', 'done-but-lost');
  const first = await appender.append(registryId, [proposal(created)]);

  const again = await appender.append(registryId, [proposal(created)]);

  expect(first).toMatchObject({ outcome: 'repeated' });
  expect(again).toEqual(first);
  await expectSound(client, registryId);
});

test('a registry that is not here is unknown', async () => {
  const { client } = await leading();
  const appender = new Appender(client.ports);

  const outcome = await appender.append(digestOf('elsewhere'), [proposal(uploadDocument())]);

  expect(outcome).toEqual({ outcome: 'unknown-registry' });
});
