import { describe, expect, test } from 'vitest';
import { close } from '../../shared/registry/close.ts';
import { carriedCommits, encodeMessage } from '../../shared/registry/messages.ts';
import type { PeerRequest } from '../../shared/registry/peer-transport.ts';
import { reconfigurePeers } from '../builders.ts';
import { acceptAt, decide, inForceAt, openAt, setAsideAt } from '../conflicts.ts';
import { deliveryOf, forgeCommit } from '../forged-commit.ts';
import { one, salt } from '../memory-cluster.ts';
import {
  entryAt,
  expectAllFinal,
  expectBlocked,
  expectSoundCopy,
  findTampering,
  headOf,
  raised,
  rest,
  setAsideFrom,
  swarm,
  verifiedExport,
} from './conflict-swarm.ts';

describe('two conflicts at once', () => {
  /** The architect's entry 2 and the contractor's entry 3 were edited. */
  async function both() {
    const given = await swarm();
    const { cluster, architect, contractor, registryId } = given;
    await findTampering(architect, registryId, 2);
    await findTampering(contractor, registryId, 3);
    await rest(cluster);
    return given;
  }

  test('are open at everybody, and each names its own', async () => {
    const { architect, contractor, registryId, all } = await both();

    for (const instance of all) {
      const open = await openAt(instance, registryId);
      const accused = open.map(({ said }) => [said.sequence, said.accused]).sort();
      expect(accused).toEqual([
        [2, architect.id],
        [3, contractor.id],
      ]);
    }
  });

  test('a decision about one of them lets nothing through', async () => {
    const { cluster, client, architect, contractor, registryId } = await both();
    const expelled = (await openAt(client, registryId)).filter(
      ({ said }) => said.accused === contractor.id,
    );
    const conflicts = expelled.map(({ conflictId }) => conflictId);
    await decide(client, registryId, { manner: 'expel', conflicts });
    await rest(cluster);

    const refused = await client.reconfigure(registryId, [client, architect]);
    // A lead that does it all the same is not heeded.
    const head = await headOf(client, registryId);
    const left = [client, architect].map(({ id }) => ({ certificateId: id }));
    const { commit } = forgeCommit(client.ports.signer, head, [reconfigurePeers(left)], {
      resolves: [await inForceAt(architect, registryId)],
    });
    const delivered = await architect.answerPeer(client.certificate.certificatePem, {
      operation: 'deliver',
      registryId,
      body: encodeMessage(deliveryOf(registryId, commit)),
    });

    expect(refused.body.code).toBe('REGISTRY_IN_CONFLICT');
    // Whoever made the other claim may have left: first it wants to see the newest list.
    expect(delivered).toMatchObject({ status: 404 });
    expect(await headOf(architect, registryId)).toMatchObject({ sequence: head.sequence });
    await expectBlocked(client, registryId);
    expect(await openAt(architect, registryId)).toHaveLength(2);
  });

  test('are resolved by one decision about both', async () => {
    const { cluster, client, architect, contractor, registryId, all } = await both();
    await setAsideFrom(architect, registryId, 2);
    await setAsideFrom(contractor, registryId, 3);

    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);

    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
  });

  test('a second decision is refused with the first one, unless it ends that', async () => {
    const { cluster, client, architect, contractor, registryId, all } = await both();
    const first = await decide(client, registryId, { manner: 'expel' });
    if (first.outcome !== 'decided') throw new Error(first.outcome);
    const { digest } = first.resolution;

    const second = await decide(client, registryId, { manner: 'replay' });
    const other = await decide(client, registryId, {
      manner: 'replay',
      after: (await entryAt(client, registryId, 2)).digest,
    });
    const ending = await decide(client, registryId, { manner: 'replay', after: digest });
    await setAsideFrom(architect, registryId, 2);
    await setAsideFrom(contractor, registryId, 3);
    await rest(cluster);

    expect(second).toMatchObject({ outcome: 'in-force', resolution: { digest } });
    expect(other).toMatchObject({ outcome: 'in-force', resolution: { digest } });
    expect(ending).toMatchObject({
      outcome: 'decided',
      resolution: { resolution: { after: digest } },
    });
    const after = await client.record(registryId, 'AFTER');
    expect(after.body.entries[0].entry.resolves).toHaveLength(2);
    await rest(cluster);
    await expectAllFinal(all, registryId);
    const { resolutions } = await verifiedExport(architect, registryId);
    expect(resolutions.map(({ manner }) => manner)).toEqual(['replay']);
  });

  test('that no manner fits together are decided one after the other', async () => {
    const { cluster, client, architect, contractor, registryId, all } = await both();
    await setAsideFrom(architect, registryId, 2);
    await setAsideFrom(contractor, registryId, 3);
    await findTampering(client, registryId, 4);
    await rest(cluster);
    const open = await openAt(client, registryId);
    const idsOf = (isOwn: boolean) =>
      open
        .filter(({ said }) => (said.accused === client.id) === isOwn)
        .map(({ conflictId }) => conflictId);

    const mixed = await decide(client, registryId, { manner: 'replay' });
    const own = await decide(client, registryId, { manner: 'take-back', conflicts: idsOf(true) });
    await rest(cluster);
    for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
    await rest(cluster);
    await expectBlocked(client, registryId);
    const others = await decide(client, registryId, { manner: 'replay', conflicts: idsOf(false) });
    await rest(cluster);

    expect(mixed).toMatchObject({ outcome: 'refused', code: 'MANNER_NOT_ALLOWED' });
    expect([own.outcome, others.outcome]).toEqual(['decided', 'decided']);
    const after = await client.record(registryId, 'AFTER');
    expect(after.body.entries[0].entry.resolves).toHaveLength(2);
    await rest(cluster);
    await expectAllFinal(all, registryId);
    const { resolutions } = await verifiedExport(architect, registryId);
    expect(resolutions.map(({ manner }) => manner)).toEqual(['take-back', 'replay']);
  });
});

describe('while a conflict is open', () => {
  /** Entry 5 is at the lead and the architect; the contractor was away, and is in conflict. */
  async function blocked() {
    const given = await swarm();
    const { cluster, client, contractor, registryId } = given;
    contractor.up = false;
    await client.record(registryId, 'FIVE');
    await cluster.settle();
    await findTampering(contractor, registryId, 3);
    contractor.up = true;
    await rest(cluster);
    return given;
  }

  test('a mirror refuses deliveries of whomever, and stores nothing of them', async () => {
    const { client, architect, contractor, registryId } = await blocked();
    const before = await headOf(contractor, registryId);
    const entries = await client.known.entries(registryId, 1, { from: 5, count: 1 });
    const request: PeerRequest = {
      operation: 'deliver',
      registryId,
      body: encodeMessage(deliveryOf(registryId, ...carriedCommits(entries))),
    };

    for (const peer of [client, architect]) {
      const answer = await contractor.answerPeer(peer.certificate.certificatePem, request);
      expect(answer).toMatchObject({ status: 409 });
    }

    expect(await headOf(contractor, registryId)).toEqual(before);
  });

  test('reads, receipts, exports and uploads of bytes go on everywhere', async () => {
    const { registryId, all } = await blocked();
    const path = `/v1/registries/${registryId}`;

    for (const instance of all) {
      for (const what of ['', '/entries', '/entries/2', '/entries/2/receipt', '/documents'])
        expect([what, (await instance.exchange('GET', `${path}${what}`)).status]).toEqual([
          what,
          200,
        ]);
      expect(await verifiedExport(instance, registryId)).toMatchObject({ outcome: 'verified' });
      const content = await instance.upload(`meanwhile at ${instance.name}`);
      expect(await instance.blobs.sizeOf(content.contentDigest as never)).toBe(content.size);
    }
  });

  test('the same transaction again gets its first result', async () => {
    const { client, registryId } = await blocked();
    const stored = await entryAt(client, registryId, 5);
    const transaction = JSON.parse(Buffer.from(stored.transaction).toString());
    const details = JSON.parse(Buffer.from(stored.details ?? '').toString());

    const again = await client.call('POST', `/v1/registries/${registryId}/transactions`, {
      transactions: [{ transaction, details }],
    });

    expect([again.status, again.body.entries[0].digest]).toEqual([200, stored.digest]);
  });

  test('nothing becomes final, even if confirmations arrive', async () => {
    const given = await swarm();
    const { cluster, client, architect, contractor, registryId } = given;
    contractor.up = false;
    await client.record(registryId, 'FIVE');
    await cluster.settle();
    cluster.pass(1);
    await findTampering(architect, registryId, 2);
    await cluster.settle();
    // It has stored the entry before it heard of the conflict, and confirms what it holds.
    const entries = await client.known.entries(registryId, 1, { from: 5, count: 1 });
    const delivery = encodeMessage(deliveryOf(registryId, ...carriedCommits(entries)));
    const request = { operation: 'deliver', registryId, body: delivery } as const;
    await contractor.answerPeer(client.certificate.certificatePem, request);
    cluster.network = ({ to }, carry) =>
      to === contractor ? { outcome: 'unreachable', reason: 'x' } : carry();
    contractor.up = true;
    await rest(cluster);

    expect(
      await client.known.firstConfirmationCovering(registryId, contractor.id, 5),
    ).toMatchObject({ sequence: 5 });
    for (const instance of [client, architect]) {
      expect((await instance.status(registryId, 5)).status.status).toBe('in-conflict');
      expect((await instance.status(registryId, 4)).status).toEqual({ status: 'final' });
    }
  });

  test('it is alarmed once where it opens, and said again until it is resolved', async () => {
    const { cluster, client, registryId, all } = await blocked();
    const before = raised(client, 'OpenConflicts');

    await rest(cluster);

    for (const instance of all) expect(raised(instance, 'ConflictsOpened')).toBe(1);
    expect(raised(client, 'OpenConflicts')).toBeGreaterThan(before);
    expect(await openAt(client, registryId)).toHaveLength(1);
  });
});

describe('closing', () => {
  /** A conflict that nobody resolves; every instance closes. */
  async function closed() {
    const given = await swarm();
    const { cluster, contractor, registryId, all } = given;
    await findTampering(contractor, registryId, 3);
    await rest(cluster);
    for (const instance of all)
      expect((await close(instance.ports, registryId)).outcome).toBe('closed');
    await rest(cluster);
    return given;
  }

  test('everybody holds the closings of all, over one head, and nothing is open', async () => {
    const { client, registryId, all } = await closed();
    const head = await client.head(registryId);

    for (const instance of all) {
      const kept = await instance.known.kept(registryId);
      const closings = kept.filter(({ kind }) => kind === 'closing');
      expect(closings).toHaveLength(all.length);
      expect(await instance.head(registryId)).toEqual(head);
      expect(await openAt(instance, registryId)).toEqual([]);
      await expectSoundCopy(instance, registryId);
    }
  });

  test('a closed instance takes nothing any more', async () => {
    const { client, architect, contractor, registryId } = await closed();
    const before = await headOf(architect, registryId);
    const entries = await client.known.entries(registryId, 1, { from: 4, count: 1 });
    const body = encodeMessage(deliveryOf(registryId, ...carriedCommits(entries)));

    const appended = await client.record(registryId, 'AFTER');
    const answer = await architect.answerPeer(client.certificate.certificatePem, {
      operation: 'deliver',
      registryId,
      body,
    });

    expect([appended.status, appended.body.code]).toEqual([409, 'REGISTRY_CLOSED']);
    expect(answer).toMatchObject({ status: 409 });
    expect(await headOf(architect, registryId)).toEqual(before);
    expect((await decide(client, registryId, { manner: 'replay' })).outcome).toBe('refused');
    expect((await setAsideAt(contractor, registryId, { from: 3 })).outcome).toBe('refused');
  });

  test('is the same for ever once it is done', async () => {
    const { client, registryId } = await closed();
    const before = await headOf(client, registryId);

    expect(await close(client.ports, registryId)).toMatchObject({ outcome: 'held' });

    expect(await headOf(client, registryId)).toEqual(before);
  });

  test('a registry that continues it names where it was closed, and nothing else', async () => {
    const { cluster, client, architect, contractor, registryId } = await closed();
    const open = await client.create([architect]);
    const end = await headOf(client, registryId);
    const third = await entryAt(client, registryId, 3);
    const create = (predecessor: object) => {
      const peers = [client.id, architect.id, contractor.id];
      const transactionId = crypto.randomUUID();
      const draft = { type: 'create-registry', transactionId, peers, predecessor } as const;
      return client.call('POST', '/v1/registries', one(draft as never, { salt, name: 'Fortgang' }));
    };
    const { sequence, digest } = end;

    const answers = [
      await create({ registryId, sequence: 3, digest: third.digest }),
      await create({ registryId, sequence, digest: third.digest }),
      await create({ ...(await client.head(open)), registryId: open }),
      await create({ registryId: digest, sequence, digest }),
    ];
    const successor = await create({ registryId, sequence, digest });
    await rest(cluster);

    for (const { status, body } of answers)
      expect([status, body.code]).toEqual([409, 'PREDECESSOR_NOT_CLOSED']);
    expect(successor.status).toBe(201);
    await expectAllFinal([client, architect, contractor], successor.body.registryId);
  });
});
