/** Lists that somebody signed beside the ledger, and what an invitation with them is worth. */
import { expect, test } from 'vitest';
import { buildInvitation } from '../../shared/registry/invite.ts';
import { encodeMessage } from '../../shared/registry/messages.ts';
import { hasLeft, newestPeers } from '../../shared/registry/newest-list.ts';
import { isInSwarm } from '../../shared/registry/replicate.ts';
import { reconfigurePeers } from '../builders.ts';
import { openAt } from '../conflicts.ts';
import { forgeCommit } from '../forged-commit.ts';
import type { MemoryInstance } from '../memory-cluster.ts';
import { findTampering, headOf, rest, type Swarm, swarm } from './conflict-swarm.ts';

/** What the lead of that time signs on top of its list, far beyond the ledger. */
async function forgedInvitation(
  { client, registryId }: Swarm,
  before: Awaited<ReturnType<typeof headOf>>,
  peers: readonly MemoryInstance[],
) {
  const certificates = peers.map(({ id }) => ({ certificateId: id }));
  const far = { ...before, sequence: 999_999 as typeof before.sequence };
  const { commit } = forgeCommit(client.ports.signer, far, [reconfigurePeers(certificates)]);
  const [first, ...others] = (await buildInvitation(client.known, before)).configurations;
  if (first === undefined || others.length > 0) throw new Error('there are several lists');
  return encodeMessage({
    format: 'registry/invitation/v1',
    registryId,
    certificates: [],
    configurations: [first, commit],
  });
}

async function invite(
  [from, to]: readonly [MemoryInstance, MemoryInstance],
  body: Uint8Array,
  { registryId }: Swarm,
) {
  const request = { operation: 'invite', registryId, body } as const;
  const answer = await to.answerPeer(from.certificate.certificatePem, request);
  return answer.outcome === 'answered' ? answer.status : answer.outcome;
}

test('a list that a former lead signed beside the ledger makes nobody a peer, and ends no claim', async () => {
  const given = await swarm(3, 'owner');
  const { cluster, client, architect, contractor, registryId, all } = given;
  const owner = all[3] as MemoryInstance;
  const stranger = await cluster.add('stranger');
  const before = await headOf(client, registryId);
  await client.reconfigure(registryId, [architect, contractor, owner]);
  await rest(cluster);
  await findTampering(owner, registryId, 3);
  await cluster.settle();
  expect(await openAt(contractor, registryId)).toHaveLength(1);

  const body = await forgedInvitation(given, before, [client, contractor, stranger]);
  expect(await invite([stranger, contractor], body, given)).toBe(400);
  await rest(cluster, 2);

  const head = await headOf(contractor, registryId);
  expect(await newestPeers(contractor.known, head)).toEqual(head.configuration.peers);
  expect(await isInSwarm(contractor.known, registryId, stranger.id)).toBe(false);
  expect(await openAt(contractor, registryId)).toHaveLength(1);
});

test('a list that the lead signed and never delivers ends no claim', async () => {
  const given = await swarm(3, 'owner');
  const { cluster, client, architect, contractor, registryId, all } = given;
  const owner = all[3] as MemoryInstance;
  await findTampering(owner, registryId, 3);
  await cluster.settle();

  const body = await forgedInvitation(given, await headOf(client, registryId), [
    client,
    architect,
    contractor,
  ]);
  expect(await invite([client, contractor], body, given)).toBe(200);
  await rest(cluster, 2);

  expect(await openAt(contractor, registryId)).toHaveLength(1);
  expect(await contractor.head(registryId)).toMatchObject({ sequence: 4 });
  const self = { store: contractor.known, signer: contractor.ports.signer };
  expect(await hasLeft(self, await headOf(contractor, registryId))).toBe(false);
});
