import { describe, expect, test } from 'vitest';
import {
  type Digest,
  digestOf,
  type RegistryId,
  type Sequence,
} from '../../shared/ledger/digest.ts';
import { encodeEvidence, readEvidence } from '../../shared/ledger/evidence.ts';
import { LedgerVerifier } from '../../shared/ledger/verify.ts';
import { verifyConflictFile } from '../../shared/ledger/verify-conflict-file.ts';
import { buildConflictFile } from '../../shared/registry/conflict-evidence.ts';
import { exportCopyLines } from '../../shared/registry/export-copy.ts';
import { forkEvidence } from '../../shared/registry/gather-evidence.ts';
import { keptStatement } from '../../shared/registry/kept-statements.ts';
import { encodeMessage } from '../../shared/registry/messages.ts';
import { readPeers } from '../../shared/registry/read-peers.ts';
import { readConflict } from '../../shared/registry/read-story.ts';
import { uploadDocument } from '../builders.ts';
import { acceptAt, decide, openAt, setAsideAt } from '../conflicts.ts';
import { edited } from '../damaged-store.ts';
import { asOperator } from '../deciding.ts';
import { deliveryOf, forgeCommit } from '../forged-commit.ts';
import type { MemoryInstance } from '../memory-cluster.ts';
import {
  entryAt,
  findTampering,
  headOf,
  linkAt,
  rest,
  type Swarm,
  swarm,
} from './conflict-swarm.ts';

async function storyAt(instance: MemoryInstance, { registryId }: Swarm, conflictId: Digest) {
  const story = await readConflict(instance.ports, await headOf(instance, registryId), conflictId);
  if (story === undefined) throw new Error(`${instance.name} knows nothing of it`);
  return story;
}

const addressOf = ({ name }: MemoryInstance) => `https://${name}.example`;

/** The contractor's copy has entry 5 of another chain than the others'. */
async function forked() {
  const given = await swarm(3, 'engineer');
  const { cluster, client, contractor, registryId } = given;
  const before = await headOf(client, registryId);
  contractor.up = false;
  await client.record(registryId, 'TRUE');
  await cluster.settle();
  contractor.up = true;
  const content = await client.upload('another story');
  const other = uploadDocument('FALSE', { version: 1, ...content } as never);
  const { commit } = forgeCommit(client.ports.signer, before, [other]);
  const body = encodeMessage(deliveryOf(registryId, commit));
  const delivery = { operation: 'deliver', registryId, body } as const;
  await contractor.answerPeer(client.certificate.certificatePem, delivery);
  await rest(cluster);
  const [found] = await openAt(client, registryId);
  if (found === undefined) throw new Error('nobody has found the fork');
  const [engineer] = given.all.slice(-1) as [MemoryInstance];
  return { ...given, engineer, ...found };
}

describe('a fork whose replay was decided', () => {
  async function decided() {
    const given = await forked();
    const { cluster, client, registryId, said } = given;
    const entries = said.digests.map((digest) => ({ sequence: 5 as Sequence, digest }));
    await decide(client, registryId, { manner: 'replay', entries });
    await rest(cluster);
    return given;
  }

  test('says everywhere whose acceptance is missing, and who sets the other branch aside', async () => {
    const held = await decided();
    const { client, architect, contractor, engineer, conflictId, cluster, registryId } = held;

    const first = await storyAt(client, held, conflictId);
    const loser = await storyAt(contractor, held, conflictId);
    await acceptAt(architect, registryId);
    await rest(cluster);
    const second = await storyAt(client, held, conflictId);
    const other = await storyAt(architect, held, conflictId);

    const [a, c, e] = [architect, contractor, engineer].map(addressOf);
    const { digest: stays } = await linkAt(client, registryId, 5);
    const { digest: givesWay } = await linkAt(contractor, registryId, 5);
    expect(first.branches).toEqual({ stays, givesWay });
    expect(loser.branches).toEqual({ stays, givesWay });
    expect(first.next).toContain(`or it stays stopped: ${a}, ${c}, ${e}.`);
    expect(first.next).toContain(`sets the copy of ${c} aside: it held the branch that gives way`);
    expect(loser.next).toMatch(/^An operator of this instance accepts the resolution/);
    expect(loser.next).toContain(
      'An operator of this instance sets its own copy aside from entry 5',
    );
    expect(second.notAccepted).toEqual([contractor.id, engineer.id]);
    expect(second.next).toContain(`or it stays stopped: ${c}, ${e}.`);
    expect(other.next).toContain(`or it stays stopped: ${c}, ${e}.`);
    expect(other.next).not.toContain('its own copy aside');
  });

  test('is told until the last mirror has done its part', async () => {
    const held = await decided();
    const { client, architect, contractor, engineer, conflictId, cluster, registryId } = held;
    for (const mirror of [architect, contractor, engineer]) await acceptAt(mirror, registryId);
    await rest(cluster);
    const waiting = await storyAt(client, held, conflictId);
    await setAsideAt(contractor, registryId, { from: 5 });
    await rest(cluster);

    const over = await storyAt(client, held, conflictId);

    expect(waiting.next).toMatch(
      new RegExp(`^An operator there sets the copy of ${addressOf(contractor)} aside: it held`),
    );
    expect(over).toMatchObject({
      open: false,
      notAccepted: [],
      next: 'Nothing: it is resolved here.',
    });
  });

  /** Each mirror finds it by itself, and has its own evidence of it. */
  async function foundByAll() {
    const held = await decided();
    const { all, client, cluster, registryId, said } = held;
    const finder = all.find(({ id }) => id === said.signer);
    const bytes = await finder?.ports.blobs.evidence(said.evidence[0] as Digest);
    const read = readEvidence(bytes ?? Buffer.of());
    if (read.outcome === 'refused' || read.evidence.kind !== 'fork') throw new Error('no evidence');
    const { confirmation: _, ...bare } = read.evidence.chains[1];
    const chains = [bare, read.evidence.chains[0]] as const;
    const other = encodeEvidence(forkEvidence(registryId, 5, chains));
    const mirrors = all.filter((each) => each !== client && each !== finder);
    for (const { ports, id, known } of mirrors) {
      await ports.blobs.putEvidence(digestOf(other), other);
      const own = { ...said, signer: id, evidence: [digestOf(other)] };
      const recordedAt = new Date(ports.clock.now()).toISOString();
      await known.keep(
        registryId,
        keptStatement('report', ports.signer.sign(own), { recordedAt }),
        'own',
      );
    }
    await rest(cluster);
    return { ...held, finders: [...mirrors.map(({ id }) => id), said.signer].sort() };
  }

  test('has all reports in the file of everybody, each with its evidence', async () => {
    const held = await foundByAll();
    const { all, registryId, conflictId, finders } = held;

    for (const instance of all) {
      const { history } = await storyAt(instance, held, conflictId);
      const head = await headOf(instance, registryId);
      const built = await buildConflictFile(instance.ports, head, conflictId);
      if (built.outcome !== 'built') throw new Error(built.outcome);
      const found = verifyConflictFile(built.bytes, { registryId });
      if (found.outcome === 'refused') throw new Error(found.detail);
      const filed = found.statements.filter(({ finding }) => finding === 'proven');
      expect([instance.name, filed.map(({ by }) => by).sort()]).toEqual([instance.name, finders]);
      const worths = history.flatMap((each) => (each.kind === 'report' ? [each.worth] : []));
      expect([instance.name, worths]).toEqual([instance.name, finders.map(() => 'proven')]);
    }
  });
});

describe('an older copy', () => {
  async function verifiedCopy(instance: MemoryInstance, registryId: RegistryId, copy: number) {
    const verifier = new LedgerVerifier({ registryId, rules: true });
    const head = await headOf(instance, registryId);
    for await (const line of exportCopyLines(instance.known, head, copy))
      verifier.line(Buffer.from(line));
    return verifier.end();
  }

  test('is exported as it is: the branch that gave way is a sound chain, with who confirmed it', async () => {
    const { cluster, client, contractor, all, registryId, said } = await forked();
    const { digest: givesWay } = await linkAt(contractor, registryId, 5);
    const entries = said.digests.map((digest) => ({ sequence: 5 as Sequence, digest }));
    await decide(client, registryId, { manner: 'replay', entries });
    await rest(cluster);
    for (const mirror of all.slice(1)) await acceptAt(mirror, registryId);
    await setAsideAt(contractor, registryId, { from: 5 });
    await rest(cluster);
    await client.record(registryId, 'AFTER');
    await rest(cluster);

    const older = await verifiedCopy(contractor, registryId, 1);
    const present = await verifiedCopy(contractor, registryId, 2);

    expect(older).toMatchObject({ outcome: 'verified', entries: 5, headDigest: givesWay });
    expect(older).toMatchObject({ resolutions: [] });
    expect(present).toMatchObject({ outcome: 'verified', entries: 6 });
    expect(present).toMatchObject({ resolutions: [{ manner: 'replay', sequence: 6 }] });
  });

  test('that was tampered with is wrong at that entry', async () => {
    const { cluster, client, contractor, registryId } = await swarm();
    contractor.known.damage = {
      entry: (stored, copy) => (stored.sequence === 3 && copy === 1 ? edited(stored) : stored),
    };
    const conflictId = await findTampering(contractor, registryId, 3);
    await rest(cluster);
    await decide(client, registryId, { manner: 'replay' });
    await setAsideAt(contractor, registryId, { from: 3, conflicts: [conflictId] });
    await rest(cluster);

    expect(await verifiedCopy(contractor, registryId, 1)).toMatchObject({
      outcome: 'wrong',
      sequence: 3,
    });
    expect(await verifiedCopy(contractor, registryId, 2)).toMatchObject({ outcome: 'verified' });
  });
});

describe('a take-back', () => {
  test('is told at the lead as long as mirrors wait for their operators', async () => {
    const held = await swarm();
    const { cluster, client, architect, contractor, registryId } = held;
    const conflictId = await findTampering(client, registryId, 3);
    await rest(cluster);
    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);
    const { resolution } = await storyAt(client, held, conflictId);

    const waiting = await storyAt(client, held, conflictId);
    const [, ...rows] = await readPeers(client.ports, await headOf(client, registryId));
    await acceptAt(architect, registryId);
    await rest(cluster);
    const one = await storyAt(client, held, conflictId);
    await client.record(registryId, 'AFTER');
    await rest(cluster);
    const carried = await storyAt(client, held, conflictId);
    await acceptAt(contractor, registryId);
    await rest(cluster);
    const over = await storyAt(client, held, conflictId);
    const after = await readPeers(client.ports, await headOf(client, registryId));

    expect(waiting).toMatchObject({ open: false, notAccepted: [architect.id, contractor.id] });
    expect(waiting.next).toMatch(/^It is resolved here, and not everywhere\. An operator of each/);
    expect(rows).toMatchObject([
      { peer: architect.id, awaitsAcceptance: resolution },
      { peer: contractor.id, awaitsAcceptance: resolution },
    ]);
    expect(one.notAccepted).toEqual([contractor.id]);
    expect(carried.notAccepted).toEqual([contractor.id]);
    expect(over).toMatchObject({ notAccepted: [], next: 'Nothing: it is resolved here.' });
    expect(after.every((row) => row.awaitsAcceptance === undefined)).toBe(true);
  });
});

test('bytes that nobody has are named with their version and SHA-256, and who lacks them', async () => {
  const held = await swarm();
  const { cluster, client, architect, contractor, registryId } = held;
  contractor.up = false;
  await client.record(registryId, 'LOST');
  await cluster.settle();
  contractor.up = true;
  const { transaction } = await entryAt(client, registryId, 5);
  const { contentDigest } = JSON.parse(Buffer.from(transaction).toString());
  for (const { blobs } of [client, architect]) blobs.corrupt(contentDigest, Buffer.from('other'));
  await rest(cluster);
  const [found] = await openAt(client, registryId);
  await decide(client, registryId, { manner: 'replay' });

  const story = await storyAt(client, held, found?.conflictId as Digest);

  expect(story.document).toEqual({ documentId: 'LOST', version: 1, contentDigest });
  expect(story.history[0]).toMatchObject({
    worth: 'claimed',
    finding: expect.stringContaining(contentDigest),
  });
  expect(story.next).toContain(`the bytes of LOST version 1 (SHA-256 ${contentDigest})`);
  expect(story.next).toContain(`of that instance: ${addressOf(contractor)}.`);
});

test('who has closed the registry is known at the others, at which entry', async () => {
  const { cluster, client, architect, registryId } = await swarm();
  await asOperator(architect, 'POST', `/v1/registries/${registryId}/closings`, {});
  await rest(cluster);

  const rows = await readPeers(client.ports, await headOf(client, registryId));
  const { body } = await architect.call('GET', `/v1/registries/${registryId}`);

  expect(rows.map(({ closedAt }) => closedAt)).toEqual([undefined, 4, undefined]);
  expect(body).toMatchObject({ closed: true });
});
