/** Claims against the lead that show nothing, and what a decision about them is worth. */
import { expect, test } from 'vitest';
import { conflictIdOf } from '../../shared/ledger/conflict.ts';
import { type Digest, digestOf } from '../../shared/ledger/digest.ts';
import { payloadOf } from '../../shared/ledger/jws.ts';
import { acceptAt, decide, openAt } from '../conflicts.ts';
import { checkpointBy, forkAt, post, signClaim } from './conflict-claims.ts';
import { expectAllFinal, headOf, rest, swarm } from './conflict-swarm.ts';

const OTHER = digestOf('another entry 4');

/** The contractor claims a fork that it made up; the lead keeps it, and decides. */
async function contested(manner: 'replay' | 'expel') {
  const given = await swarm(3, 'owner');
  const { cluster, client, contractor, registryId } = given;
  const made = checkpointBy(contractor, registryId, OTHER);
  const claim = await forkAt(client, registryId, made, OTHER);
  const statement = await signClaim(contractor, registryId, claim);
  const answer = await post([contractor, client], registryId, { statement });
  expect(answer.body.code).toBe('EVIDENCE_NOT_REPRODUCED');
  const { sequence, digests } = claim.said;
  const entries = manner === 'replay' ? digests.map((digest) => ({ sequence, digest })) : [];
  const conflicts = [conflictIdOf(payloadOf(statement) as never)];
  expect(await decide(client, registryId, { manner, conflicts, entries })).toMatchObject({
    outcome: 'decided',
  });
  await rest(cluster, 2);
  return { ...given, claim, conflictId: conflicts[0] as Digest };
}

test('a decision to replay stops no mirror that the claim did not stop', async () => {
  const { cluster, client, registryId, all } = await contested('replay');

  expect((await client.record(registryId, 'NEXT')).status).toBe(201);
  await rest(cluster);

  await expectAllFinal(all, registryId);
});

test('a decision to expel whoever made it up is carried out everywhere', async () => {
  const { cluster, client, contractor, registryId, all } = await contested('expel');
  const others = all.filter((each) => each !== contractor);

  expect((await client.reconfigure(registryId, others)).status).toBe(201);
  await rest(cluster);

  await expectAllFinal(others, registryId);
});

test('a decision about a made-up fork acquits the lead of none that is shown later', async () => {
  const { cluster, client, architect, contractor, registryId, claim, conflictId } =
    await contested('replay');
  await client.record(registryId, 'NEXT');
  await rest(cluster);
  const real = await forkAt(client, registryId, checkpointBy(client, registryId, OTHER), OTHER);
  expect(real.said.digests).toEqual(claim.said.digests);

  const statement = await signClaim(architect, registryId, real, {
    detectedAt: '2026-11-24T11:00:00.000Z',
  });
  await post([architect, contractor], registryId, { statement });

  expect((await headOf(contractor, registryId)).openConflicts).toEqual([conflictId]);
  expect(await openAt(contractor, registryId)).toMatchObject([{ said: { signer: architect.id } }]);
  expect(await acceptAt(contractor, registryId).catch(() => 'nothing is in force')).toBe(
    'nothing is in force',
  );
});
