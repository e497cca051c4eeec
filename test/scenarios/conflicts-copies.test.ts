import { describe, expect, test } from 'vitest';
import type { RegistryId } from '../../shared/ledger/digest.ts';
import { encodeMessage, readMessage, schemas } from '../../shared/registry/messages.ts';
import type { PeerAnswer } from '../../shared/registry/peer-transport.ts';
import type { StoredEntry } from '../../shared/registry/ports.ts';
import { acceptAt, decide, openAt } from '../conflicts.ts';
import { edited } from '../damaged-store.ts';
import type { MemoryInstance, Network } from '../memory-cluster.ts';
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
} from './conflict-swarm.ts';

describe('a lead that delivers what does not come out to its checkpoint', () => {
  /** The first `times` deliveries of entry 5, or answers with it, arrive at that mirror edited. */
  function garbling(lead: MemoryInstance, mirror: MemoryInstance, times: number): Network {
    let left = times;
    const garbled = (bytes: Uint8Array): Uint8Array => {
      const message = readMessage(schemas.delivery, bytes);
      if (message.outcome === 'refused' || left === 0) return bytes;
      left -= 1;
      const [first, ...others] = message.value.commits;
      const [entry, ...rest] = first?.entries ?? [];
      if (first === undefined || entry === undefined) return bytes;
      const transaction = entry.transaction.replace('x-step', 'x-stop');
      const commits = [{ ...first, entries: [{ ...entry, transaction }, ...rest] }, ...others];
      return encodeMessage({ ...message.value, commits });
    };
    return async ({ from, to, request }, carry): Promise<PeerAnswer> => {
      const pem = from.certificate.certificatePem;
      if (from === lead && to === mirror && request.operation === 'deliver')
        return to.answerPeer(pem, { ...request, body: garbled(request.body ?? Buffer.alloc(0)) });
      const answer = await carry();
      if (from !== mirror || to !== lead || request.operation !== 'entries') return answer;
      return answer.outcome === 'answered' ? { ...answer, body: garbled(answer.body) } : answer;
    };
  }

  test('is asked afresh, and what is sound the second time is stored and confirmed', async () => {
    const { cluster, client, contractor, registryId, all } = await swarm();
    cluster.network = garbling(client, contractor, 1);

    await client.record(registryId, 'FIVE');
    await rest(cluster);

    expect(contractor.alarms.signals).toEqual([]);
    await expectAllFinal(all, registryId);
  });

  test('three times opens a conflict that everybody is told of, and blocks', async () => {
    const { cluster, client, contractor, registryId, all } = await swarm();
    cluster.network = garbling(client, contractor, 4);

    await client.record(registryId, 'FIVE');
    await rest(cluster);

    for (const instance of all) {
      expect(await openAt(instance, registryId)).toMatchObject([
        { said: { kind: 'digest-mismatch', accused: 'open', signer: contractor.id, sequence: 5 } },
      ]);
      expect(raised(instance, 'ConflictsOpened')).toBe(1);
    }
    expect(await contractor.head(registryId)).toMatchObject({ sequence: 4 });
    await expectBlocked(client, registryId);
  });

  test('delivers right again after the decision to replay, and all is final', async () => {
    const { cluster, client, contractor, registryId, all } = await swarm();
    cluster.network = garbling(client, contractor, 4);
    await client.record(registryId, 'FIVE');
    await rest(cluster);

    expect(await decide(client, registryId, { manner: 'replay' })).toMatchObject({
      outcome: 'decided',
    });
    await rest(cluster);

    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
  });

  test('stays blocked while it goes on delivering it wrong', async () => {
    const { cluster, client, contractor, registryId } = await swarm();
    cluster.network = garbling(client, contractor, 1_000_000);
    await client.record(registryId, 'FIVE');
    await rest(cluster);

    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);

    await expectBlocked(client, registryId);
    expect(await contractor.head(registryId)).toMatchObject({ sequence: 4 });
    expect(raised(contractor, 'StatementsRefused')).toBeGreaterThan(0);
  });
});

/** All that the instance stores of one copy. */
async function copyOf({ known }: MemoryInstance, registryId: RegistryId, copy: number) {
  return known.entries(registryId, copy, { from: 1, count: 100 });
}

/** Somebody edits entry 3 of the first copy in the instance's table. */
function edit(instance: MemoryInstance): void {
  instance.known.damage = {
    entry: (stored: StoredEntry, copy: number) =>
      stored.sequence === 3 && copy === 1 ? edited(stored) : stored,
  };
}

describe('somebody edited the table of the lead', () => {
  async function tamperedLead() {
    const given = await swarm();
    edit(given.client);
    await findTampering(given.client, given.registryId, 3);
    await rest(given.cluster);
    return given;
  }

  test('it says so itself, and blocks itself and everybody', async () => {
    const { client, registryId, all } = await tamperedLead();

    for (const instance of all)
      expect(await openAt(instance, registryId)).toMatchObject([
        { said: { kind: 'local-tampering', accused: client.id, signer: client.id } },
      ]);
    await expectBlocked(client, registryId);
  });

  test('it takes back what its peers hold; once they accept, all confirm again', async () => {
    const { cluster, client, architect, contractor, registryId, all } = await tamperedLead();
    const before = await copyOf(client, registryId, 1);

    expect(await decide(client, registryId, { manner: 'take-back' })).toMatchObject({
      outcome: 'decided',
    });
    await rest(cluster);
    expect(await openAt(client, registryId)).toEqual([]);
    expect(await openAt(architect, registryId)).toHaveLength(1);
    for (const mirror of [architect, contractor])
      expect(await acceptAt(mirror, registryId)).toMatchObject({ outcome: 'accepted' });
    await rest(cluster);

    const after = await client.record(registryId, 'AFTER');
    expect(after.status).toBe(201);
    expect(after.body.entries[0].entry.resolves).toHaveLength(1);
    await rest(cluster);
    await expectAllFinal(all, registryId);
    expect(await headOf(client, registryId)).toMatchObject({ copy: 2, sequence: 5 });
    expect(await copyOf(client, registryId, 1)).toEqual(before);
  });

  test('what it appends before a mirror has accepted never becomes final', async () => {
    const { cluster, client, architect, contractor, registryId } = await tamperedLead();
    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);

    expect(await acceptAt(architect, registryId)).toMatchObject({ outcome: 'accepted' });
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);

    expect(await contractor.head(registryId)).toMatchObject({ sequence: 4 });
    expect((await client.status(registryId, 5)).status).toEqual({
      status: 'confirmed',
      by: 1,
      of: 2,
    });
    expect(await acceptAt(contractor, registryId)).toMatchObject({ outcome: 'accepted' });
    await rest(cluster);
    await expectAllFinal([client, architect, contractor], registryId);
  });
});

describe('a take-back', () => {
  /** The lead's entry 3 is edited, and the contractor, who alone holds all, is switched off. */
  async function withoutContractor() {
    const given = await swarm();
    const { cluster, client, contractor, registryId } = given;
    edit(client);
    await findTampering(client, registryId, 3);
    await rest(cluster);
    contractor.up = false;
    return given;
  }

  test('waits for a peer that does not answer and is not named in its reason', async () => {
    const { cluster, client, contractor, registryId } = await withoutContractor();

    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);

    expect((await headOf(client, registryId)).filling).toBeDefined();
    expect(await openAt(client, registryId)).toHaveLength(1);
    expect((await client.known.progress(registryId))?.lastError).toContain(contractor.id);
    const refused = await client.record(registryId, 'LATER');
    expect(refused.body.code).toBe('REGISTRY_IN_CONFLICT');
  });

  test('ends once that peer is back', async () => {
    const { cluster, client, architect, contractor, registryId, all } = await withoutContractor();
    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);

    contractor.up = true;
    await rest(cluster);
    for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
    await rest(cluster);

    expect(await headOf(client, registryId)).not.toHaveProperty('filling');
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
  });

  test('goes on without the peers that its reason names', async () => {
    const { cluster, client, architect, contractor, registryId, all } = await withoutContractor();

    const reason = `ohne ${contractor.id}, dessen Server verloren ist`;
    await decide(client, registryId, { manner: 'take-back', reason });
    await rest(cluster);
    await acceptAt(architect, registryId);

    expect(await openAt(client, registryId)).toEqual([]);
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    expect(await architect.head(registryId)).toEqual(await client.head(registryId));
    contractor.up = true;
    await rest(cluster);
    await acceptAt(contractor, registryId);
    await rest(cluster);
    await expectAllFinal(all, registryId);
  });

  test('goes on when the operator decides again, and names the peer then', async () => {
    const { cluster, client, architect, contractor, registryId } = await withoutContractor();
    const first = await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);
    if (first.outcome !== 'decided') throw new Error(first.outcome);

    const reason = `ohne ${contractor.id}`;
    const after = first.resolution.digest;
    const again = await decide(client, registryId, { manner: 'take-back', reason, after });
    await rest(cluster);
    await acceptAt(architect, registryId);

    expect(again).toMatchObject({ outcome: 'decided' });
    expect(await openAt(client, registryId)).toEqual([]);
    expect(await headOf(client, registryId)).toMatchObject({ copy: 3, sequence: 4 });
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    expect(await architect.head(registryId)).toEqual(await client.head(registryId));
    await expectSoundCopy(client, registryId);
  });
});

test('a take-back that is decided again loses nothing that the lead alone holds', async () => {
  const { cluster, client, architect, contractor, registryId, all } = await swarm();
  for (const mirror of [architect, contractor]) mirror.up = false;
  const own = await client.record(registryId, 'AT-THE-LEAD-ALONE');
  edit(client);
  await findTampering(client, registryId, 3);
  const first = await decide(client, registryId, { manner: 'take-back' });
  if (first.outcome !== 'decided') throw new Error(first.outcome);
  await rest(cluster);

  architect.up = true;
  const after = first.resolution.digest;
  const reason = `ohne ${contractor.id}`;
  await decide(client, registryId, { manner: 'take-back', after, reason });
  await rest(cluster);
  contractor.up = true;
  await rest(cluster);
  for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
  await rest(cluster);

  const { digest } = await entryAt(client, registryId, 5);
  expect(digest).toBe(own.body.entries[0].digest);
  expect((await client.record(registryId, 'AFTER')).status).toBe(201);
  await rest(cluster);
  await expectAllFinal(all, registryId);
});

describe('somebody changed a document in the bucket', () => {
  const WRONG = 'D-2 VERSION 1';

  /** The digest of the document of entry 3, and its bytes at an instance as read there. */
  async function document(instance: MemoryInstance, registryId: RegistryId) {
    const { transaction } = await entryAt(instance, registryId, 3);
    const { contentDigest } = JSON.parse(Buffer.from(transaction).toString());
    const read = async (generation: number) => {
      const bytes = await instance.blobs.get(contentDigest, generation);
      const chunks: Uint8Array[] = [];
      for await (const chunk of bytes ?? []) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    };
    return { contentDigest, read };
  }

  test('of a mirror: it is fetched anew beside the wrong one, which stays', async () => {
    const { cluster, client, contractor, registryId, all } = await swarm();
    const { contentDigest, read } = await document(contractor, registryId);
    contractor.blobs.corrupt(contentDigest, Buffer.from(WRONG));
    await findTampering(contractor, registryId, 3);
    await rest(cluster);
    await expectBlocked(client, registryId);

    await setAsideFrom(contractor, registryId, 3);
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);

    expect([await read(1), await read(2)]).toEqual([WRONG, 'D-2 version 1']);
    expect((await headOf(contractor, registryId)).contents).toEqual({ [contentDigest]: 2 });
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
  });

  test('of all: it is given to the one whose operator set it aside, and goes where it counts', async () => {
    const { cluster, client, architect, contractor, registryId } = await swarm();
    const { contentDigest, read } = await document(contractor, registryId);
    for (const each of [client, architect, contractor])
      each.blobs.corrupt(contentDigest, Buffer.from(WRONG));
    await findTampering(contractor, registryId, 3);
    await rest(cluster);
    await setAsideFrom(contractor, registryId, 3);
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster, 2);
    expect((await headOf(contractor, registryId)).contents).toEqual({ [contentDigest]: 2 });
    const right = Buffer.from('D-2 version 1');
    const content = { contentDigest, size: right.length };

    const first = await contractor.call('POST', '/v1/uploads', content);
    const asked = await contractor.call('POST', '/v1/uploads', { ...content, registryId });
    await contractor.blobs.upload(asked.body.upload, right);
    await rest(cluster);

    expect([first.status, first.body.held, asked.status]).toEqual([200, true, 201]);
    expect([await read(1), await read(2)]).toEqual([WRONG, 'D-2 version 1']);
    const { status } = await contractor.status(registryId, 4);
    expect(status.status).toBe('final');
  });

  test('of the lead: it takes it back from a peer, and serves it from there on', async () => {
    const { cluster, client, architect, contractor, registryId, all } = await swarm();
    const { contentDigest, read } = await document(client, registryId);
    client.blobs.corrupt(contentDigest, Buffer.from(WRONG));
    await findTampering(client, registryId, 3);
    await rest(cluster);

    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);
    for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
    await rest(cluster);

    expect([await read(1), await read(2)]).toEqual([WRONG, 'D-2 version 1']);
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    const joiner = await cluster.add('engineer');
    await client.reconfigure(registryId, [...all, joiner]);
    await rest(cluster);
    await expectAllFinal([...all, joiner], registryId);
  });
});
