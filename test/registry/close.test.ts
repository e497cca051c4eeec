import { describe, expect, test } from 'vitest';
import { digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import { type Compact, payloadOf, readStatement } from '../../shared/ledger/jws.ts';
import { type Closing, closingSchema } from '../../shared/ledger/resolution.ts';
import { close } from '../../shared/registry/close.ts';
import { keptStatement } from '../../shared/registry/kept-statements.ts';
import { testPeer } from '../builders.ts';
import { decide, openAt } from '../conflicts.ts';
import {
  expectSoundCopy,
  findTampering,
  headOf,
  raised,
  rest,
  swarm,
  verifiedExport,
} from '../scenarios/conflict-swarm.ts';

describe('closing', () => {
  test('signs over the own head, and leaves nothing open or in force', async () => {
    const { cluster, client, contractor, registryId } = await swarm(2);
    await findTampering(contractor, registryId, 3);
    await rest(cluster, 2);
    await decide(client, registryId, { manner: 'replay' });
    const { sequence, digest } = await headOf(client, registryId);

    const outcome = await close(client.ports, registryId);

    if (outcome.outcome !== 'closed') throw new Error(outcome.outcome);
    const read = readStatement(outcome.kept.statement, closingSchema);
    expect(read).toMatchObject({ statement: { registryId, signer: client.id, sequence, digest } });
    const head = await headOf(client, registryId);
    expect(head).toMatchObject({ closed: true, openConflicts: [], sequence, digest });
    expect(head).not.toHaveProperty('resolution');
    await expectSoundCopy(client, registryId);
  });

  test('is of a registry that is here', async () => {
    const { client } = await swarm(1);

    expect(await close(client.ports, digestOf('another') as RegistryId)).toEqual({
      outcome: 'unknown-registry',
    });
  });

  test('can be done where nothing is in conflict, and is told to everybody', async () => {
    const { cluster, client, architect, contractor, registryId } = await swarm(1);

    expect(await close(client.ports, registryId)).toMatchObject({ outcome: 'closed' });
    await rest(cluster, 2);

    for (const mirror of [architect, contractor]) {
      const kept = await mirror.known.kept(registryId);
      expect(kept.map(({ kind }) => kind)).toEqual(['closing']);
      expect(await headOf(mirror, registryId)).not.toHaveProperty('closed');
    }
  });

  test('of each instance that is known stands in the export, with what became of its copy', async () => {
    const { cluster, client, architect, contractor, registryId } = await swarm(1);
    await close(contractor.ports, registryId);
    await client.record(registryId, 'B');
    await rest(cluster, 2);
    await close(client.ports, registryId);
    await rest(cluster, 2);

    const [atClient, atContractor] = [
      await verifiedExport(client, registryId),
      await verifiedExport(contractor, registryId),
    ];

    const closings = [
      { signer: contractor.id, sequence: 2, entry: 'held' },
      { signer: client.id, sequence: 3, entry: 'held' },
    ];
    expect(atClient).toMatchObject({ entries: 3, closings });
    const behind = [closings[0], { ...closings[1], entry: 'beyond' }];
    expect(atContractor).toMatchObject({ entries: 2, closings: behind });
    expect(await verifiedExport(architect, registryId)).toMatchObject({ closings });
  });

  test('of a peer of another branch, which this copy does not know, stands in no export', async () => {
    const { cluster, client, contractor, registryId } = await swarm(1);
    await close(contractor.ports, registryId);
    await rest(cluster, 2);
    const stranger = testPeer();
    const [{ statement } = { statement: '' }] = await client.known.kept(registryId);
    const said = payloadOf(statement as Compact) as Closing;
    const signed = stranger.sign({ ...said, signer: stranger.certificateId });
    const kept = keptStatement('closing', signed, { recordedAt: new Date().toISOString() });
    await client.known.keep(registryId, kept, 'received');

    const { closings } = await verifiedExport(client, registryId);

    expect(closings.map(({ signer }) => signer)).toEqual([contractor.id]);
  });

  test('stops for good: what is found afterwards opens nothing and alarms nobody', async () => {
    const { cluster, client, contractor, registryId, all } = await swarm(2);
    for (const instance of all) await close(instance.ports, registryId);

    await findTampering(contractor, registryId, 3);
    await rest(cluster, 2);

    for (const instance of all) {
      expect(await openAt(instance, registryId)).toEqual([]);
      expect(raised(instance, 'OpenConflicts')).toBe(0);
    }
    expect((await client.record(registryId, 'AFTER')).body.code).toBe('REGISTRY_CLOSED');
  });

  test.each([
    'lost',
    'done-but-lost',
    'lost-race',
  ] as const)('whose write is %s is done once all the same', async (fault) => {
    const { client, registryId } = await swarm(1);
    client.store.plan('settle', fault, 2);

    const outcome = await close(client.ports, registryId);

    expect(['closed', 'held']).toContain(outcome.outcome);
    expect(await client.known.kept(registryId)).toHaveLength(1);
    expect(await headOf(client, registryId)).toMatchObject({ closed: true });
    expect(client.known.breaches).toEqual([]);
  });

  test('whose write never succeeds says that it is busy, and leaves all as it was', async () => {
    const { client, registryId } = await swarm(1);
    const before = await headOf(client, registryId);
    client.store.plan('settle', 'lost', 8);

    expect(await close(client.ports, registryId)).toEqual({ outcome: 'busy' });
    expect(await headOf(client, registryId)).toEqual(before);
  });

  test('that loses the race against an entry signs over that entry', async () => {
    const { client, registryId } = await swarm(1);
    client.store.plan('settle', 'lost-race');
    await client.record(registryId, 'MEANWHILE');

    const outcome = await close(client.ports, registryId);

    if (outcome.outcome !== 'closed') throw new Error(outcome.outcome);
    const read = readStatement(outcome.kept.statement, closingSchema);
    expect(read).toMatchObject({ statement: { sequence: 3 } });
  });
});
