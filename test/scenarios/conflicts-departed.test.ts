/** Conflicts of peers that have left meanwhile, at a mirror that was away and still lists them. */
import { expect, test } from 'vitest';
import { decide, openAt } from '../conflicts.ts';
import { ownWord, post, signClaim } from './conflict-claims.ts';
import {
  expectAllFinal,
  expectBlocked,
  findTampering,
  headOf,
  rest,
  setAsideFrom,
  swarm,
} from './conflict-swarm.ts';

/** The architect was away while the contractor left the list. */
async function leftMeanwhile() {
  const given = await swarm(3);
  const { cluster, client, architect, registryId } = given;
  architect.up = false;
  expect((await client.reconfigure(registryId, [client, architect])).status).toBe(201);
  await client.record(registryId, 'SINCE');
  await rest(cluster, 2);
  return { ...given, remaining: [client, architect] };
}

test('the bare word of a peer that has left stops a mirror no longer than it knows nothing of that', async () => {
  const { cluster, client, architect, contractor, registryId, remaining } = await leftMeanwhile();
  const statement = await signClaim(contractor, registryId, ownWord(contractor, registryId, 2));
  architect.up = true;
  const answer = await post([contractor, architect], registryId, { statement });
  expect(answer.status).toBe(200);
  expect(await openAt(architect, registryId)).toHaveLength(1);

  await rest(cluster);

  await expectAllFinal(remaining, registryId);
  expect((await client.record(registryId, 'AFTER')).status).toBe(201);
  await rest(cluster);
  await expectAllFinal(remaining, registryId);
});

test('the bare word of a peer that is known to have left is refused also by whoever lags', async () => {
  const { cluster, architect, contractor, registryId } = await leftMeanwhile();
  const statement = await signClaim(contractor, registryId, ownWord(contractor, registryId, 2));
  architect.up = true;
  await post([contractor, architect], registryId, { statement });
  await rest(cluster);
  const again = await signClaim(contractor, registryId, ownWord(contractor, registryId, 3));

  const answer = await post([contractor, architect], registryId, { statement: again });

  expect([answer.status, answer.body.code]).toEqual([400, 'SIGNER_NO_PEER']);
});

test('the bare word of a peer goes on to stop a mirror that lags, and everybody else', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm(3);
  architect.up = false;
  await client.record(registryId, 'SINCE');
  await rest(cluster, 2);
  architect.up = true;
  const statement = await signClaim(contractor, registryId, ownWord(contractor, registryId, 2));
  await post([contractor, architect], registryId, { statement });

  await rest(cluster);

  for (const instance of [client, architect, contractor])
    expect(await openAt(instance, registryId)).toHaveLength(1);
  await expectBlocked(client, registryId);
});

test('a replay whose reporter has left since is over also for a mirror that was away', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm(3, 'engineer');
  const [, , , engineer] = [...cluster.instances.values()];
  if (engineer === undefined) throw new Error('no engineer');
  architect.up = false;
  const conflictId = await findTampering(contractor, registryId, 3);
  await rest(cluster, 2);
  await setAsideFrom(contractor, registryId, 3);
  await decide(client, registryId, { manner: 'replay' });
  await rest(cluster, 2);
  expect((await headOf(client, registryId)).openConflicts).toEqual([]);
  await client.record(registryId, 'SINCE');
  expect((await client.reconfigure(registryId, [client, architect, engineer])).status).toBe(201);
  await rest(cluster, 2);
  // It is gone for good: what it confirmed never comes.
  contractor.up = false;

  architect.up = true;
  await rest(cluster);

  await expectAllFinal([client, architect, engineer], registryId);
  expect(await architect.known.conflicts(registryId)).toMatchObject([{ conflictId }]);
});
