import { describe, expect, test } from 'vitest';
import { digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import { conclude, setAsidesSince } from '../../shared/registry/conclude.ts';
import { acceptAt, decide, openAt } from '../conflicts.ts';
import { reportMissingBytes } from '../deciding.ts';
import { type MemoryInstance, unreachable } from '../memory-cluster.ts';
import {
  expectAllFinal,
  findTampering,
  headOf,
  linkAt,
  rest,
  setAsideFrom,
  swarm,
} from '../scenarios/conflict-swarm.ts';

/** The contractor found entry 3 of its own copy edited; all know it. */
async function tampered() {
  const given = await swarm(2);
  const conflictId = await findTampering(given.contractor, given.registryId, 3);
  await rest(given.cluster, 2);
  return { ...given, conflictId };
}

/** The lead found entry 3 of its own copy edited; all know it. */
async function tamperedLead() {
  const given = await swarm(2);
  const conflictId = await findTampering(given.client, given.registryId, 3);
  await rest(given.cluster, 2);
  return { ...given, conflictId };
}

/** Nothing is closed there by looking, and nothing else changes. */
async function expectOpen({ ports, known }: MemoryInstance, registryId: RegistryId) {
  const before = await known.head(registryId);
  expect(await conclude(ports, registryId)).toEqual([]);
  expect(await known.head(registryId)).toEqual(before);
}

describe('nothing is closed', () => {
  test('where nothing is open, or the registry is not here', async () => {
    const { client, registryId } = await swarm(1);

    await expectOpen(client, registryId);
    await expectOpen(client, digestOf('another') as RegistryId);
  });

  test('that nobody has decided on', async () => {
    const { registryId, all } = await tampered();

    for (const instance of all) await expectOpen(instance, registryId);
  });

  test('by a replay before the mirror has set its copy aside', async () => {
    const { cluster, client, registryId, all } = await tampered();
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);

    for (const instance of all) await expectOpen(instance, registryId);
  });

  test('by a replay before the mirror has confirmed its new copy', async () => {
    const { client, contractor, registryId, all } = await tampered();
    await setAsideFrom(contractor, registryId, 3);
    await decide(client, registryId, { manner: 'replay' });

    for (const instance of all) await expectOpen(instance, registryId);
  });

  test.each(['expel', 'replace'] as const)('by the decision alone to %s', async (manner) => {
    const { cluster, client, contractor, registryId, all } = await swarm(2);
    await reportMissingBytes(contractor, registryId, 3);
    await rest(cluster, 2);
    const entries = manner === 'expel' ? [] : [await linkAt(client, registryId, 3)];
    expect(await decide(client, registryId, { manner, entries })).toMatchObject({
      outcome: 'decided',
    });
    await rest(cluster);

    for (const instance of all) await expectOpen(instance, registryId);
  });

  test('by a take-back before the lead has its copy whole, and has read it again', async () => {
    const { cluster, client, registryId } = await tamperedLead();
    cluster.network = () => unreachable;
    await decide(client, registryId, { manner: 'take-back' });

    await expectOpen(client, registryId);
    await rest(cluster);
    await expectOpen(client, registryId);
  });

  test('by a take-back at a mirror that has not accepted it', async () => {
    const { cluster, client, architect, registryId } = await tamperedLead();
    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);

    expect(await openAt(client, registryId)).toEqual([]);
    await expectOpen(architect, registryId);
  });
});

describe('closing', () => {
  test('what was replayed happens at each instance once it has the confirmation', async () => {
    const { cluster, client, architect, contractor, registryId, all } = await tampered();
    await setAsideFrom(contractor, registryId, 3);
    await decide(client, registryId, { manner: 'replay' });
    // The architect hears nothing of the contractor, and nobody else passes it on.
    cluster.network = ({ from, to }, carry) =>
      from === contractor && to === architect ? unreachable : carry();
    await rest(cluster);

    expect(await openAt(client, registryId)).toEqual([]);
    expect(await openAt(contractor, registryId)).toEqual([]);
    cluster.network = (_passing, carry) => carry();
    await rest(cluster);

    expect(await openAt(architect, registryId)).toEqual([]);
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
  });

  test('leaves the resolution in force while another conflict that it names is open', async () => {
    const { cluster, client, architect, contractor, registryId } = await tampered();
    await findTampering(architect, registryId, 2);
    await rest(cluster, 2);
    await setAsideFrom(contractor, registryId, 3);
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);

    const head = await headOf(client, registryId);

    expect(await openAt(client, registryId)).toMatchObject([{ said: { signer: architect.id } }]);
    expect(head.decided).toEqual([head.resolution]);
    await setAsideFrom(architect, registryId, 2);
    await rest(cluster);
    expect(await openAt(client, registryId)).toEqual([]);
    expect(await headOf(client, registryId)).not.toHaveProperty('resolution');
  });

  test.each([
    'lost',
    'done-but-lost',
    'lost-race',
  ] as const)('is done once though its write is %s', async (fault) => {
    const { cluster, client, architect, contractor, registryId, all } = await tamperedLead();
    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);
    architect.store.plan('settle', fault);

    await acceptAt(architect, registryId);
    await acceptAt(contractor, registryId);

    expect(architect.store.pending).toBe(0);
    expect(await openAt(architect, registryId)).toEqual([]);
    expect(architect.known.breaches).toEqual([]);
    await rest(cluster);
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
  });

  test('that never succeeds is done by the next sweep', async () => {
    const { cluster, client, architect, contractor, registryId } = await tamperedLead();
    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);
    architect.store.plan('settle', 'lost', 8);

    await acceptAt(architect, registryId);
    await acceptAt(contractor, registryId);
    expect(await openAt(architect, registryId)).toHaveLength(1);
    await rest(cluster, 1);

    expect(await openAt(architect, registryId)).toEqual([]);
  });
});

describe('what came first counts, also where the clock was put back since', () => {
  const BACK_MS = -1_200_000;

  test('a set-aside after the report is one: the replay is concluded', async () => {
    const { cluster, client, contractor, registryId, all } = await tampered();

    cluster.pass(BACK_MS);
    await setAsideFrom(contractor, registryId, 3);
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);

    for (const instance of all) expect(await openAt(instance, registryId)).toEqual([]);
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
  });

  test('a report after the set-aside is one: the set-aside is not about it', async () => {
    const { cluster, client, contractor, registryId, conflictId } = await tampered();
    await setAsideFrom(contractor, registryId, 3);
    await decide(client, registryId, { manner: 'replay' });
    await cluster.settle();
    const found = { conflictId, mirror: contractor.id };
    const before = await setAsidesSince(contractor.known, registryId, found);

    cluster.pass(BACK_MS);
    await findTampering(contractor, registryId, 3);

    expect(before).toHaveLength(1);
    expect(await setAsidesSince(contractor.known, registryId, found)).toEqual([]);
  });
});
