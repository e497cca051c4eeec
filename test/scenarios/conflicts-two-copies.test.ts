import { describe, expect, test } from 'vitest';
import { type Checkpoint, checkpointOf } from '../../shared/ledger/checkpoint.ts';
import { confirmationOf } from '../../shared/ledger/confirmation.ts';
import type { Digest, Sequence } from '../../shared/ledger/digest.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import type { ForkChain } from '../../shared/ledger/evidence.ts';
import { type Compact, payloadOf } from '../../shared/ledger/jws.ts';
import { verifyConflictFile } from '../../shared/ledger/verify-conflict-file.ts';
import { buildConflictFile } from '../../shared/registry/conflict-evidence.ts';
import { forkEvidence } from '../../shared/registry/gather-evidence.ts';
import { carriedCommits, encodeMessage } from '../../shared/registry/messages.ts';
import { reportTableChanged } from '../../shared/registry/report-conflict.ts';
import { uploadDocument } from '../builders.ts';
import { acceptAt, decide, openAt } from '../conflicts.ts';
import { deliveryOf, forgeCommit } from '../forged-commit.ts';
import type { MemoryInstance } from '../memory-cluster.ts';
import { type Claim, post, signClaim } from './conflict-claims.ts';
import {
  entryAt,
  expectAllFinal,
  expectBlocked,
  headOf,
  rest,
  type Swarm,
  swarm,
} from './conflict-swarm.ts';

/** The same checkpoint, as if of another copy. */
function ofCopy({ ports }: MemoryInstance, checkpoint: string, copy: number): Compact {
  const payload = payloadOf(checkpoint as Compact) as Checkpoint;
  return ports.signer.sign(checkpointOf({ ...payload, copy }));
}

/** What a stranger makes of the instance's file about the only conflict that is open there. */
async function judged(instance: MemoryInstance, registryId: Swarm['registryId']) {
  const [open] = await openAt(instance, registryId);
  const head = await headOf(instance, registryId);
  const built = await buildConflictFile(instance.ports, head, open?.conflictId as Digest);
  if (built.outcome !== 'built') throw new Error(built.outcome);
  return verifyConflictFile(built.bytes, { registryId });
}

describe('a lead that tells another story in another copy', () => {
  test('is proven to have forked by everybody, for nothing took anything back', async () => {
    const { cluster, client, contractor, registryId, all } = await swarm();
    const before = await headOf(client, registryId);
    contractor.up = false;
    await client.record(registryId, 'TRUE');
    await cluster.settle();
    contractor.up = true;
    const content = await client.upload('another story');
    const told = uploadDocument('FALSE', { version: 1, ...content } as never);
    const { commit } = forgeCommit(client.ports.signer, before, [told]);
    const checkpoint = ofCopy(client, commit.checkpoint, 2);

    await contractor.answerPeer(client.certificate.certificatePem, {
      operation: 'deliver',
      registryId,
      body: encodeMessage(deliveryOf(registryId, { ...commit, checkpoint })),
    });
    await rest(cluster);

    for (const instance of all) {
      const open = await openAt(instance, registryId);
      expect(open).toMatchObject([{ said: { kind: 'fork', sequence: 5, accused: client.id } }]);
      expect(await judged(instance, registryId)).toMatchObject({ provenAbout: client.id });
    }
    await expectBlocked(client, registryId);
  });
});

describe('a lead that took back, and lost what only it and an application held', () => {
  /** Entry 5 is another one now, of copy 2; `lost` is what the application kept. */
  async function takenBack() {
    const given = await swarm();
    const { cluster, client, architect, contractor, registryId, all } = given;
    const old = await headOf(client, registryId);
    for (const mirror of [architect, contractor]) mirror.up = false;
    await client.record(registryId, 'LOST');
    const lost = await entryAt(client, registryId, 5);
    const now = await headOf(client, registryId);
    const restored = { ...old, conflictsVersion: now.conflictsVersion + 1 };
    client.known.damage = {
      entry: (stored, copy) => (copy === 1 && stored.sequence === 5 ? undefined : stored),
    };
    await client.known.settle({ registryId, expected: now, head: restored, origin: 'received' });
    for (const mirror of [architect, contractor]) mirror.up = true;
    await reportTableChanged(client.ports, restored);
    await rest(cluster);
    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);
    for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
    await rest(cluster);
    expect((await client.record(registryId, 'FOUND')).status).toBe(201);
    await rest(cluster);
    return { ...given, lost, all };
  }

  /** What the contractor claims of entry 5 at another instance, and what that answers. */
  async function claimed(
    { contractor, registryId, client }: Swarm,
    to: MemoryInstance,
    [digest, chain]: readonly [Digest, ForkChain],
    sequence = 5,
  ) {
    const held = await entryAt(contractor, registryId, 5);
    const own: ForkChain = { checkpoint: held.checkpoint as Compact, path: [] };
    const claim: Claim = {
      evidence: forkEvidence(registryId, sequence, [own, chain]),
      said: {
        kind: 'fork',
        sequence: sequence as Sequence,
        accused: client.id,
        digests: [held.digest, digest],
      },
    };
    const statement = await signClaim(contractor, registryId, claim);
    const { status, body } = await post([contractor, to], registryId, { statement });
    return [status, body.code];
  }

  test('accuses itself of nothing, and is accused of nothing by what the application kept', async () => {
    const given = await takenBack();
    const { client, architect, contractor, registryId, all, lost } = given;
    const kept: ForkChain = { checkpoint: lost.checkpoint as Compact, path: [] };

    expect(await headOf(client, registryId)).toMatchObject({ copy: 2, sequence: 5 });
    await expectAllFinal(all, registryId);
    for (const instance of [architect, client])
      expect(await claimed(given, instance, [lost.digest, kept])).toEqual([
        400,
        'EVIDENCE_NOT_REPRODUCED',
      ]);
    const delivered = await architect.answerPeer(contractor.certificate.certificatePem, {
      operation: 'deliver',
      registryId,
      body: encodeMessage(deliveryOf(registryId, ...carriedCommits([lost]))),
    });
    expect(delivered).toMatchObject({ outcome: 'answered', status: 400 });
    await expectAllFinal(all, registryId);
  });

  test('is asked about later what may rest on a take-back that is not here yet', async () => {
    const given = await takenBack();
    const digest = digestOf('not here');

    const [status] = await claimed(
      given,
      given.architect,
      [digest, { checkpoint: ofCopy(given.client, given.lost.checkpoint as Compact, 1), path: [] }],
      6,
    );

    expect(status).toBe(429);
    expect(await openAt(given.architect, given.registryId)).toEqual([]);
  });

  test('has forked where a peer had confirmed what it lost', async () => {
    const given = await takenBack();
    const { architect, contractor, registryId, lost } = given;
    const confirmation = contractor.ports.signer.sign(
      confirmationOf({
        ...{ registryId, signer: contractor.id, sequence: lost.sequence, digest: lost.digest },
        ...{ copy: 1, confirmedAt: '2026-11-22T10:00:00.000Z' },
      }),
    );
    const chain: ForkChain = { checkpoint: lost.checkpoint as Compact, path: [], confirmation };

    expect(await claimed(given, architect, [lost.digest, chain])).toEqual([200, undefined]);

    expect(await openAt(architect, registryId)).toMatchObject([{ said: { kind: 'fork' } }]);
    expect(await judged(architect, registryId)).toMatchObject({
      sentences: [expect.stringContaining(`; ${contractor.id} confirmed that of the older`)],
    });
  });

  test('has forked where it tells a story of a copy that no take-back led to', async () => {
    const given = await takenBack();
    const { client, architect, registryId, lost } = given;
    const checkpoint = ofCopy(client, lost.checkpoint as Compact, 3);

    expect(await claimed(given, architect, [lost.digest, { checkpoint, path: [] }])).toEqual([
      200,
      undefined,
    ]);

    expect(await openAt(architect, registryId)).toMatchObject([{ said: { kind: 'fork' } }]);
    expect(await judged(architect, registryId)).toMatchObject({ provenAbout: client.id });
  });
});
