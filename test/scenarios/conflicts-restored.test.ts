/** A lead that was restored to an older state, and a mirror that comes back with what it lost. */
import { describe, expect, test } from 'vitest';
import type { CertificateId, Digest } from '../../shared/ledger/digest.ts';
import { payloadOf } from '../../shared/ledger/jws.ts';
import { accept } from '../../shared/registry/accept.ts';
import { reportTableChanged } from '../../shared/registry/report-conflict.ts';
import { readStanding } from '../../shared/registry/standing.ts';
import { decide, openAt, setAsideAt, signedByOperator } from '../conflicts.ts';
import type { MemoryInstance } from '../memory-cluster.ts';
import { expectAllFinal, headOf, linkAt, rest, type Swarm, swarm } from './conflict-swarm.ts';

/** Its operator accepts whatever waits for that. */
async function acceptAllAt(mirror: MemoryInstance, { registryId }: Swarm): Promise<void> {
  const head = await headOf(mirror, registryId);
  const { open } = await readStanding(mirror.ports, head);
  const waiting = open.filter(({ awaitsAcceptance }) => awaitsAcceptance);
  for (const digest of new Set(waiting.map(({ resolution }) => resolution?.digest as Digest))) {
    const decision = signedByOperator(mirror, {
      format: 'registry/acceptance/v1',
      registryId,
      signer: mirror.id,
      decidedBy: mirror.operator.certificateId,
      resolution: digest,
      reason: 'geprüft und angenommen',
    });
    const operator = mirror.operator.certificateId as CertificateId;
    expect(await accept(mirror.ports, registryId, { operator, decision })).toMatchObject({
      outcome: 'accepted',
    });
  }
}

/** The contractor alone has confirmed entries 5 to 7; then the lead is restored to entry 4. */
async function restored(): Promise<Swarm> {
  const given = await swarm();
  const { cluster, client, architect, contractor, registryId } = given;
  const old = await headOf(client, registryId);
  architect.up = false;
  for (const name of ['L-5', 'L-6', 'L-7']) {
    await client.record(registryId, name);
    await cluster.settle();
  }
  await rest(cluster, 2);
  expect((await headOf(contractor, registryId)).sequence).toBe(7);
  const now = await headOf(client, registryId);
  const head = { ...old, conflictsVersion: now.conflictsVersion + 1 };
  client.known.damage = {
    entry: (stored, copy) => (copy === 1 && stored.sequence >= 5 ? undefined : stored),
  };
  await client.known.settle({ registryId, expected: now, head, origin: 'received' });
  contractor.up = false;
  architect.up = true;
  await reportTableChanged(client.ports, head);
  await rest(cluster);
  return given;
}

/** The take-back without the contractor is accepted by whoever is there. */
async function takenBackWithoutContractor(given: Swarm): Promise<void> {
  const { cluster, client, architect, contractor, registryId } = given;
  const reason = `ohne ${contractor.id}`;
  expect(await decide(client, registryId, { manner: 'take-back', reason })).toMatchObject({
    outcome: 'decided',
  });
  await rest(cluster);
  await acceptAllAt(architect, given);
  await rest(cluster);
}

/** The lead goes on with another entry 5; then the contractor is there again. */
async function contractorReturns(given: Swarm): Promise<void> {
  const { cluster, client, contractor, registryId } = given;
  await takenBackWithoutContractor(given);
  expect((await client.record(registryId, 'FOUND')).status).toBe(201);
  await rest(cluster);
  contractor.up = true;
  await rest(cluster);
}

/** Its confirmations had not reached the lead. */
async function contractorSaysAllAgain({ client, contractor, registryId }: Swarm): Promise<void> {
  const cursor = await contractor.known.cursor(registryId, client.id);
  if (cursor === undefined) throw new Error('the contractor has no cursor for the lead');
  await contractor.known.putCursor({ ...cursor, statementsThrough: 1 });
}

/** People decide for the entry 5 that the lead has now, and the contractor sets its own aside. */
async function replayed(given: Swarm): Promise<void> {
  const { cluster, client, architect, contractor, registryId } = given;
  const [fork] = await openAt(client, registryId);
  if (fork === undefined) throw new Error('nothing is open');
  const { said, conflictId } = fork;
  expect(said).toMatchObject({ kind: 'fork', sequence: 5, signer: contractor.id });
  const entries = said.digests.map((digest) => ({ sequence: said.sequence, digest }));
  expect(await decide(client, registryId, { manner: 'replay', entries })).toMatchObject({
    outcome: 'decided',
  });
  await rest(cluster);
  for (const mirror of [architect, contractor]) await acceptAllAt(mirror, given);
  await rest(cluster);
  const aside = await setAsideAt(contractor, registryId, { from: 5, conflicts: [conflictId] });
  expect(aside).toMatchObject({ outcome: 'set-aside' });
  await rest(cluster);
}

/** Beyond the entries that were lost. */
async function goesOn({ cluster, client, registryId }: Swarm): Promise<void> {
  for (const name of ['N-6', 'N-7', 'N-8', 'N-9']) {
    expect((await client.record(registryId, name)).status).toBe(201);
    await rest(cluster);
  }
}

/** What was ever in conflict anywhere, by kind and entry. */
async function everOpened({ all, registryId }: Swarm): Promise<string[]> {
  const found = new Set<string>();
  for (const { known } of all)
    for (const { statement } of await known.conflicts(registryId)) {
      const { kind, sequence } = payloadOf(statement) as { kind: string; sequence: number };
      found.add(`${kind} ${sequence}`);
    }
  return [...found].sort();
}

describe('a mirror that comes back with entries that the lead took back without it', () => {
  test('tells of its new copy before the old one, so that the replay ends everywhere', async () => {
    const given = await restored();
    await contractorReturns(given);

    await replayed(given);

    for (const instance of given.all) {
      expect([instance.name, await openAt(instance, given.registryId)]).toEqual([
        instance.name,
        [],
      ]);
      expect(await instance.head(given.registryId)).toMatchObject({ sequence: 5 });
    }
  });

  test('opens nothing more with what it confirmed of them, and all becomes final', async () => {
    const given = await restored();
    await contractorReturns(given);
    await replayed(given);

    await goesOn(given);

    expect(await everOpened(given)).toEqual(['fork 5', 'lead-rollback 4']);
    await expectAllFinal(given.all, given.registryId);
  });

  test('does not roll back the lead again with what that hears of late', async () => {
    const given = await restored();
    await contractorSaysAllAgain(given);
    await contractorReturns(given);
    await replayed(given);

    await goesOn(given);

    expect(await everOpened(given)).toEqual(['fork 5', 'lead-rollback 4']);
    await expectAllFinal(given.all, given.registryId);
    expect(await headOf(given.client, given.registryId)).toMatchObject({ copy: 2, sequence: 9 });
  });

  test('gives them back while the lead has put nothing in their place', async () => {
    const given = await restored();
    const { cluster, client, architect, contractor, registryId, all } = given;
    const lost = await linkAt(contractor, registryId, 7);
    await contractorSaysAllAgain(given);
    await takenBackWithoutContractor(given);
    contractor.up = true;
    await rest(cluster);
    const [open] = await openAt(client, registryId);
    expect(open?.said).toMatchObject({ kind: 'lead-rollback', accused: client.id });

    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);
    for (const mirror of [architect, contractor]) await acceptAllAt(mirror, given);
    await rest(cluster);

    expect(await linkAt(client, registryId, 7)).toEqual(lost);
    await goesOn(given);
    await expectAllFinal(all, registryId);
  });
});

describe('a take-back while a mirror that holds what was lost', () => {
  const BUSY = { outcome: 'answered', status: 503, body: Buffer.from('{}') } as const;
  const GARBLED = { outcome: 'answered', status: 200, body: Buffer.from('{}') } as const;

  test.each([
    ['is too busy to say what it holds', BUSY],
    ['says what cannot be read', GARBLED],
  ])('%s waits for it, and loses nothing', async (_what, answer) => {
    const given = await restored();
    const { cluster, client, architect, contractor, registryId, all } = given;
    const lost = await linkAt(contractor, registryId, 7);
    cluster.network = async ({ to, request }, carry) =>
      to === contractor && request.operation === 'head' ? answer : carry();
    contractor.up = true;
    await rest(cluster);
    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);
    expect((await headOf(client, registryId)).filling).toBeDefined();
    expect((await client.known.progress(registryId))?.lastError).toContain(contractor.id);

    cluster.network = (_passing, carry) => carry();
    await rest(cluster);
    for (const mirror of [architect, contractor]) await acceptAllAt(mirror, given);
    await rest(cluster);

    expect(await linkAt(client, registryId, 7)).toEqual(lost);
    await goesOn(given);
    await expectAllFinal(all, registryId);
  });
});
