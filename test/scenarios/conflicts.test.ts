import { describe, expect, test } from 'vitest';
import type { Digest, RegistryId } from '../../shared/ledger/digest.ts';
import { auditRegistry } from '../../shared/registry/audit.ts';
import { encodeMessage } from '../../shared/registry/messages.ts';
import { ownTampering, reportConflict } from '../../shared/registry/report-conflict.ts';
import { uploadDocument } from '../builders.ts';
import { acceptAt, decide, openAt, peersWithout, setAsideAt } from '../conflicts.ts';
import { edited } from '../damaged-store.ts';
import { deliveryOf, forgeCommit } from '../forged-commit.ts';
import { MemoryCluster, type MemoryInstance, uploadDraft } from '../memory-cluster.ts';

/** Longer than any back-off. */
const WHILE_MS = 400_000;

async function swarm(documents = 3) {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const contractor = await cluster.add('contractor');
  const registryId = await client.create([architect, contractor]);
  for (let index = 1; index <= documents; index += 1) await client.record(registryId, `D-${index}`);
  await cluster.settle();
  const all = [client, architect, contractor];
  return { cluster, client, architect, contractor, registryId, all };
}

/** Everybody is called again, and everything that is due happens. */
async function rest(cluster: MemoryCluster): Promise<void> {
  for (let round = 0; round < 6; round += 1) {
    cluster.pass(WHILE_MS);
    await cluster.settle();
  }
}

async function expectAllConfirmed(
  all: readonly MemoryInstance[],
  registryId: RegistryId,
  sequence: number,
): Promise<void> {
  const head = await all[0]?.head(registryId);
  for (const instance of all) {
    expect(await openAt(instance, registryId)).toEqual([]);
    expect(await instance.head(registryId)).toEqual(head);
    const st = await instance.status(registryId, sequence);
    if (!st.status?.status) console.log(instance.name, st, instance.logged.slice(-3));
    expect(st.status.status).toMatch(/^final/);
    expect(await auditRegistry(instance.ports, registryId)).toMatchObject({ outcome: 'sound' });
  }
}

async function expectBlocked(client: MemoryInstance, registryId: RegistryId): Promise<void> {
  const refused = await client.record(registryId, 'LATER');
  expect(refused.status).toBe(409);
  expect(refused.body.code).toBe('REGISTRY_IN_CONFLICT');
}

describe('somebody edited the table of a mirror', () => {
  async function tampered() {
    const given = await swarm();
    const { cluster, contractor, registryId } = given;
    contractor.known.damage = {
      entry: (stored, copy) => (stored.sequence === 3 && copy === 1 ? edited(stored) : stored),
    };
    const disagreement = ownTampering(contractor.ports, registryId, 3, 'entry 3 was edited');
    await reportConflict(contractor.ports, registryId, disagreement);
    await rest(cluster);
    return given;
  }

  test('everybody learns of it, and nothing is appended any more', async () => {
    const { client, architect, contractor, registryId, all } = await tampered();

    for (const instance of all) {
      const open = await openAt(instance, registryId);
      expect(open).toMatchObject([
        { said: { kind: 'local-tampering', accused: contractor.id, signer: contractor.id } },
      ]);
      expect(instance.alarms.signals).toContain('ConflictsOpened');
    }
    await expectBlocked(client, registryId);
    expect((await architect.call('GET', `/v1/registries/${registryId}/entries/3`)).status).toBe(
      200,
    );
  });

  test('the operator sets it aside, replays, and all confirm again', async () => {
    const { cluster, client, contractor, registryId, all } = await tampered();

    expect(await setAsideAt(contractor, registryId, { from: 3 })).toMatchObject({
      outcome: 'set-aside',
    });
    expect(await decide(client, registryId, { manner: 'replay' })).toMatchObject({
      outcome: 'decided',
    });
    await rest(cluster);

    const after = await client.record(registryId, 'AFTER');
    expect(after.status).toBe(201);
    expect(after.body.entries[0].entry.resolves).toHaveLength(1);
    await rest(cluster);
    await expectAllConfirmed(all, registryId, 5);
    expect((await contractor.known.head(registryId))?.copy).toBe(2);
    expect(await contractor.known.entries(registryId, 1, { from: 1, count: 9 })).toHaveLength(4);
  });

  test('a replay without a set-aside does not close it', async () => {
    const { cluster, client, registryId } = await tampered();

    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);

    await expectBlocked(client, registryId);
  });

  test('the operator expels the mirror, and the others go on', async () => {
    const { cluster, client, architect, contractor, registryId } = await tampered();
    await decide(client, registryId, { manner: 'expel' });
    await rest(cluster);
    const peers = await peersWithout(client, registryId, contractor);

    const stays = await client.reconfigure(registryId, [client, architect, contractor]);
    const expelled = await client.append(registryId, {
      type: 'reconfigure-peers',
      transactionId: crypto.randomUUID(),
      peers,
    });
    await rest(cluster);

    expect(stays.body.code).toBe('NOT_RESOLVING');
    expect(expelled.status).toBe(201);
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllConfirmed([client, architect], registryId, 6);
  });
});

describe('a lead that told two stories', () => {
  /** The contractor's copy has entry 5 of another chain than the others'. */
  async function forked() {
    const given = await swarm();
    const { cluster, client, contractor, registryId } = given;
    const before = await client.known.head(registryId);
    contractor.up = false;
    await client.record(registryId, 'TRUE');
    await cluster.settle();
    contractor.up = true;
    const content = await client.upload('another story');
    const test = uploadDocument('FALSE', { version: 1, ...content } as never);
    const { commit } = forgeCommit(client.ports.signer, before, [test]);
    const answer = await contractor.answerPeer(client.certificate.certificatePem, {
      operation: 'deliver',
      registryId,
      body: encodeMessage(deliveryOf(registryId, commit)),
    });
    return { ...given, answer };
  }

  test('two mirrors find it by comparing, and everybody is blocked with proof', async () => {
    const { cluster, client, registryId, all, answer } = await forked();

    await rest(cluster);

    expect(answer).toMatchObject({ status: 200 });
    for (const instance of all) {
      const open = await openAt(instance, registryId);
      expect(open).toMatchObject([{ said: { kind: 'fork', sequence: 5, accused: client.id } }]);
    }
    await expectBlocked(client, registryId);
  });

  test('each mirror stays blocked until its own operator accepts; the loser replays', async () => {
    const { cluster, client, architect, contractor, registryId, all } = await forked();
    await rest(cluster);
    const [found] = await openAt(client, registryId);
    const branches = (found?.said.digests ?? []).map((digest: Digest) => ({ sequence: 5, digest }));
    await decide(client, registryId, { manner: 'replay', entries: branches as never });
    await rest(cluster);
    await expectBlocked(client, registryId);

    expect(await acceptAt(architect, registryId)).toMatchObject({ outcome: 'accepted' });
    expect(await acceptAt(contractor, registryId)).toMatchObject({ outcome: 'accepted' });
    expect(await setAsideAt(contractor, registryId, { from: 5 })).toMatchObject({
      outcome: 'set-aside',
    });
    await rest(cluster);

    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllConfirmed(all, registryId, 6);
  });
});

describe('a lead that records what breaks the rules', () => {
  async function invalid() {
    const given = await swarm();
    const { client, registryId } = given;
    const head = await client.known.head(registryId);
    const content = await client.upload('a version too many');
    const test = uploadDocument('D-1', { version: 5, ...content } as never);
    const { commit, chain } = forgeCommit(client.ports.signer, head, [test]);
    return { ...given, commit, chain, head };
  }

  test('is accused with evidence that others recheck', async () => {
    const { cluster, client, architect, contractor, registryId, commit } = await invalid();

    await architect.answerPeer(client.certificate.certificatePem, {
      operation: 'deliver',
      registryId,
      body: encodeMessage(deliveryOf(registryId, commit)),
    });
    await rest(cluster);

    for (const instance of [architect, contractor, client])
      expect(await openAt(instance, registryId)).toMatchObject([
        { said: { kind: 'invalid-transaction', sequence: 5, accused: client.id } },
      ]);
  });
});

test('a document whose bytes every source has wrong is replaced by another version', async () => {
  const { cluster, client, architect, contractor, registryId, all } = await swarm();
  contractor.up = false;
  const recorded = await client.record(registryId, 'LOST');
  await cluster.settle();
  contractor.up = true;
  const { contentDigest } =
    recorded.body.entries[0] === undefined
      ? { contentDigest: '' }
      : await contentOf(client, registryId, 5);
  for (const holder of [client, architect])
    holder.blobs.corrupt(contentDigest as Digest, Buffer.from('LOST VERSION 1'));
  await rest(cluster);
  expect(await openAt(client, registryId)).toMatchObject([{ said: { kind: 'document-mismatch' } }]);
  const replaced = await client.known.entries(registryId, 1, { from: 5, count: 1 });
  const [entry] = replaced;
  const link = { sequence: 5, digest: entry?.digest };

  await decide(client, registryId, { manner: 'replace', entries: [link] as never });
  await rest(cluster);
  const other = await client.upload('LOST again');
  const draft = { ...uploadDraft('LOST', 2, other), supersedes: link };
  const appended = await client.append(registryId, draft, { salt: '00'.repeat(16), name: 'LOST' });
  await rest(cluster);

  expect(appended.status).toBe(201);
  for (const instance of all) expect(await openAt(instance, registryId)).toEqual([]);
  expect((await contractor.status(registryId, 6)).status).toEqual({ status: 'final' });
});

async function contentOf(instance: MemoryInstance, registryId: RegistryId, sequence: number) {
  const { body } = await instance.call('GET', `/v1/registries/${registryId}/entries/${sequence}`);
  return body.transaction as { contentDigest: string };
}

describe('a lead that was restored from an old backup', () => {
  test('finds it by itself, takes back what its peers hold, and goes on in the next copy', async () => {
    const { cluster, client, architect, contractor, registryId, all } = await swarm();
    const old = await client.known.head(registryId);
    await client.record(registryId, 'NEWER');
    await rest(cluster);
    const now = await client.known.head(registryId);
    if (old === undefined || now === undefined) throw new Error('no head');
    const restored = { ...old, conflictsVersion: now.conflictsVersion + 1 };
    await client.known.settle({ registryId, expected: now, head: restored, origin: 'received' });

    // Whatever a peer says next shows it.
    await architect.ports.store.putCursor({
      registryId,
      peer: client.id,
      statementsThrough: 0,
      failures: 0,
    });
    await rest(cluster);
    expect(await openAt(client, registryId)).toMatchObject([
      { said: { kind: 'lead-rollback', accused: client.id } },
    ]);
    expect(await decide(client, registryId, { manner: 'take-back' })).toMatchObject({
      outcome: 'decided',
    });
    await rest(cluster);
    for (const mirror of [architect, contractor])
      expect(await acceptAt(mirror, registryId)).toMatchObject({ outcome: 'accepted' });
    await rest(cluster);

    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllConfirmed(all, registryId, 6);
    expect((await client.known.head(registryId))?.copy).toBe(2);
  });
});
