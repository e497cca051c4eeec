import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { buildInvitation, receiveInvitation } from '../../shared/registry/invite.ts';
import { carriedCommits, type Invitation } from '../../shared/registry/messages.ts';
import type { Head } from '../../shared/registry/ports.ts';
import { reconfigurePeers } from '../builders.ts';
import { testInstance } from '../certificate-authority.ts';
import { forgeCommit } from '../forged-commit.ts';
import { MemoryCluster, type MemoryInstance, one, salt } from '../memory-cluster.ts';
import { expectSound } from '../sound-ledger.ts';

async function swarm() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const contractor = await cluster.add('contractor');
  const registryId = await client.create([architect, contractor]);
  await client.record(registryId, 'A');
  await cluster.settle();
  return { cluster, client, architect, contractor, registryId };
}

async function headOf({ known }: MemoryInstance, registryId: Head['registryId']): Promise<Head> {
  const head = await known.head(registryId);
  if (head === undefined) throw new Error('no head');
  return head;
}

test('mirrors that nobody introduced to each other find each other through the lead', async () => {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect', { knows: [client] });
  const contractor = await cluster.add('contractor', { knows: [client] });
  const registryId = await client.create([architect, contractor]);
  await client.record(registryId, 'A');
  await cluster.settle();
  cluster.pass(300_000);

  await cluster.settle();

  for (const instance of [client, architect, contractor])
    expect((await instance.status(registryId, 2)).status).toEqual({ status: 'final' });
});

test('the old lead brings the hand-over to everybody, also to a mirror that was away', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  contractor.up = false;
  await client.reconfigure(registryId, [architect, client, contractor]);
  await cluster.settle();
  await architect.record(registryId, 'B');
  await cluster.settle();
  // The new lead stays unreachable for the mirror: only the old one can bring the hand-over.
  cluster.network = ({ from, to }, carry) =>
    from === architect && to === contractor ? { outcome: 'unreachable', reason: 'x' } : carry();
  contractor.up = true;
  cluster.pass(300_000);

  await cluster.settle();

  expect(await contractor.head(registryId)).toMatchObject({ sequence: 3 });
  await expectSound(contractor, registryId);
});

test('a mirror that missed that a newcomer was added and leads is invited and catches up', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  contractor.up = false;
  const newcomer = await cluster.add('newcomer');
  await client.reconfigure(registryId, [client, architect, contractor, newcomer]);
  await cluster.settle();
  await client.reconfigure(registryId, [newcomer, architect, contractor]);
  await cluster.settle();
  client.up = false;
  architect.up = false;
  await newcomer.record(registryId, 'B');
  contractor.up = true;
  cluster.pass(300_000);

  await cluster.settle();

  const operations = contractor.requests.map(({ operation }) => operation);
  expect(operations).toContain('invite');
  expect(await contractor.head(registryId)).toEqual(await newcomer.head(registryId));
  await expectSound(contractor, registryId);
});

test('a new lead begins its cursors at the heads that its mirrors state', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  await client.reconfigure(registryId, [architect, client, contractor]);
  await cluster.settle();
  await architect.record(registryId, 'B');

  await cluster.settle();

  for (const peer of [client, contractor])
    expect(await architect.known.cursor(registryId, peer.id)).toMatchObject({
      deliveredThrough: 4,
    });
  for (const instance of [client, architect, contractor]) {
    expect((await instance.status(registryId, 4)).status).toEqual({ status: 'final' });
    await expectSound(instance, registryId);
  }
});

test('the lead goes around the whole swarm and back', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  const order = [client, architect, contractor];
  for (let turn = 1; turn <= 3; turn += 1) {
    const lead = order[(turn - 1) % 3] as MemoryInstance;
    const next = order[turn % 3] as MemoryInstance;
    const rest = order.filter((each) => each !== next);
    expect((await lead.reconfigure(registryId, [next, ...rest])).status).toBe(201);
    await cluster.settle();
    expect((await next.record(registryId, `turn-${turn}`)).status).toBe(201);
    await cluster.settle();
  }

  expect(await headOf(client, registryId)).toMatchObject({ sequence: 8 });
  for (const instance of order) {
    for (let sequence = 1; sequence <= 8; sequence += 1)
      expect((await instance.status(registryId, sequence)).status).toEqual({ status: 'final' });
    await expectSound(instance, registryId);
    expect(instance.alarms.signals).toEqual([]);
  }
});

/** Records the document at whatever instance the answers name as the lead; that one. */
async function recordedAt(
  cluster: MemoryCluster,
  first: MemoryInstance,
  { registryId, documentId }: { registryId: Head['registryId']; documentId: string },
): Promise<MemoryInstance> {
  let at = first;
  for (let tries = 0; tries < 20; tries += 1) {
    const { status, body } = await at.record(registryId, documentId);
    if (status === 201) return at;
    at = (status === 421 ? cluster.instances.get(body.lead) : undefined) ?? at;
    await cluster.settle();
  }
  throw new Error(`${documentId} was not recorded`);
}

test('every change of the list while applications keep writing: nothing is lost or doubled', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  const newcomer = await cluster.add('newcomer');
  const lists = [
    [client, architect, contractor, newcomer],
    [client, newcomer, contractor, architect],
    [architect, client, newcomer, contractor],
    [newcomer, architect, client],
  ];
  const recorded: string[] = [];
  const write = async (name: string) => {
    let at = client;
    for (let number = 1; number <= 12; number += 1) {
      at = await recordedAt(cluster, at, { registryId, documentId: `${name}-${number}` });
      recorded.push(`${name}-${number}`);
    }
  };
  const change = async () => {
    let lead = client;
    for (const list of lists) {
      await cluster.settle();
      const { status } = await lead.reconfigure(registryId, list);
      expect(status).toBe(201);
      lead = list[0] as MemoryInstance;
      await cluster.settle();
    }
  };

  await Promise.all([write('A'), write('B'), change()]);
  await cluster.settle();
  cluster.pass(300_000);
  await cluster.settle();

  expect(recorded.toSorted()).toEqual([...new Set(recorded)].toSorted());
  expect(recorded).toHaveLength(24);
  const head = await newcomer.head(registryId);
  expect(head?.sequence).toBe(2 + lists.length + recorded.length);
  for (const instance of [newcomer, architect, client]) {
    expect(await instance.head(registryId)).toEqual(head);
    await expectSound(instance, registryId);
  }
  expect((await newcomer.status(registryId, head?.sequence ?? 0)).status).toEqual({
    status: 'final',
  });
  await expectSound(contractor, registryId);
});

test('the lead renews its key by a hand-over to itself, and goes on with the new one', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  const former = client.id;
  const next = client.announceKey();
  const { certificatePem } = next;
  for (const each of [client, architect, contractor])
    await each.call('POST', '/v1/certificates', { certificatePem });
  const peers = [next.certificateId, architect.id, contractor.id];
  const handedOver = await client.append(registryId, {
    type: 'reconfigure-peers',
    transactionId: '00000000-0000-4000-8000-00000000abcd',
    peers,
  });
  const between = await client.record(registryId, 'B');
  await cluster.settle();
  client.switchKey(next);
  cluster.pass(300_000);

  const after = await client.record(registryId, 'B');
  await cluster.settle();

  expect([handedOver.status, between.status, after.status]).toEqual([201, 421, 201]);
  for (const instance of [client, architect, contractor]) {
    expect(await headOf(instance, registryId)).toMatchObject({ sequence: 4 });
    expect((await instance.status(registryId, 4)).status).toEqual({ status: 'final' });
    await expectSound(instance, registryId);
  }
  const old = await client.known.entries(registryId, 1, { from: 1, count: 3 });
  for (const { entry } of old) expect(Buffer.from(entry).toString()).toContain(former);
});

test('a lead whose next key was not announced to it still serves its mirrors after the change', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  const next = client.announceKey();
  await client.call('POST', '/v1/certificates', { certificatePem: next.certificatePem });
  const peers = [next.certificateId, architect.id, contractor.id];
  await client.append(registryId, {
    type: 'reconfigure-peers',
    transactionId: '00000000-0000-4000-8000-00000000abce',
    peers,
  });
  // As if the head had been written without knowing that the new id is its own.
  const { store } = client.ports;
  const head = await headOf(client, registryId);
  const duties = { ...head.duties, [architect.id]: 3, [contractor.id]: 3 } as Head['duties'];
  Object.assign(client.ports, { store: withDuties(store, duties) });
  client.switchKey(next);
  for (const each of [architect, contractor])
    await each.call('POST', '/v1/certificates', { certificatePem: next.certificatePem });
  await client.record(registryId, 'B');

  await cluster.settle();

  expect(await headOf(architect, registryId)).toMatchObject({ sequence: 4 });
});

function withDuties(store: MemoryInstance['ports']['store'], duties: Head['duties']) {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'head')
        return async (id: Head['registryId']) => {
          const head = await target.head(id);
          return head === undefined ? undefined : { ...head, duties };
        };
      const own = target[name as keyof typeof target];
      return typeof own === 'function' ? own.bind(target) : own;
    },
  });
}

test('a mirror renews its key: the new list names it, and its confirmations count on', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  const next = contractor.announceKey();
  for (const each of [client, architect])
    await each.call('POST', '/v1/certificates', { certificatePem: next.certificatePem });
  contractor.switchKey(next);
  await client.record(registryId, 'B');
  await cluster.settle();
  const meanwhile = (await client.status(registryId, 3)).status;
  await client.reconfigure(registryId, [client, architect, contractor]);
  cluster.pass(300_000);

  await cluster.settle();

  expect(meanwhile).toEqual({ status: 'confirmed', by: 1, of: 2 });
  expect((await client.status(registryId, 4)).status).toEqual({ status: 'final' });
  expect((await architect.status(registryId, 3)).status).toMatchObject({ status: 'final-since' });
  for (const instance of [client, architect, contractor])
    expect(instance.alarms.signals).not.toContain('StatementsRefused');
});

test('a mirror under a new key signs nothing about the time when the list named the old one', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  contractor.up = false;
  await client.reconfigure(registryId, [client, architect, contractor]);
  await cluster.settle();
  const next = contractor.announceKey();
  for (const each of [client, architect])
    await each.call('POST', '/v1/certificates', { certificatePem: next.certificatePem });
  contractor.switchKey(next);
  contractor.up = true;
  // It gets entry 3 before the list that names its new key.
  const stored = await client.known.entries(registryId, 1, { from: 3, count: 1 });
  const body = Buffer.from(
    JSON.stringify({ format: 'registry/delivery/v1', registryId, commits: carriedCommits(stored) }),
  );
  const request = { operation: 'deliver', registryId, body } as const;
  const answer = await contractor.answerPeer(client.certificate.certificatePem, request);
  cluster.pass(300_000);
  await cluster.settle();

  expect(answer).toMatchObject({ outcome: 'answered', status: 200 });
  expect(await contractor.head(registryId)).toMatchObject({ sequence: 3 });
  expect(await contractor.known.newestConfirmation(registryId, contractor.id)).toBeUndefined();
  expect(client.alarms.signals).not.toContain('StatementsRefused');
});

test('an invitation is verified link by link, and forged ones are refused', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  const joiner = await cluster.add('joiner');
  await client.reconfigure(registryId, [client, architect, contractor, joiner]);
  const good = await buildInvitation(client.known, await headOf(client, registryId));
  const before = await headOf(architect, registryId);
  const link = { sequence: before.configuration.sequence, digest: before.configuration.digest };
  const list = reconfigurePeers([contractor, joiner].map(({ id }) => ({ certificateId: id })));
  const byMirror = forgeCommit(contractor.ports.signer, before, [list], { subject: link });
  const skipping = forgeCommit(client.ports.signer, await headOf(client, registryId), [list], {
    configuration: link,
  });
  const other = forgeCommit(client.ports.signer, await headOf(client, registryId), [list], {
    configuration: { sequence: 3 as Head['sequence'], digest: link.digest },
  });
  const [first, second] = good.configurations;
  const forged: Invitation[] = [
    { ...good, configurations: good.configurations.slice(1) },
    { ...good, configurations: [...good.configurations].reverse() },
    { ...good, configurations: [first, byMirror.commit].filter((each) => each !== undefined) },
    {
      ...good,
      configurations: [first, second, skipping.commit].filter((each) => each !== undefined),
    },
    { ...good, configurations: [first, second, other.commit].filter((each) => each !== undefined) },
    { ...good, registryId: 'ab'.repeat(32) as Head['registryId'] },
  ];

  for (const invitation of forged)
    expect(await receiveInvitation(joiner.ports, invitation)).toMatchObject({ outcome: 'refused' });
  expect(await joiner.known.invitation(registryId)).toBeUndefined();
  expect(await receiveInvitation(joiner.ports, good)).toEqual({
    outcome: 'accepted',
    lead: client.id,
  });
});

test('an invitation to an instance that is in none of its lists is refused', async () => {
  const { cluster, client, registryId } = await swarm();
  const stranger = await cluster.add('stranger');
  const invitation = await buildInvitation(client.known, await headOf(client, registryId));

  const outcome = await receiveInvitation(stranger.ports, invitation);

  expect(outcome).toEqual({ outcome: 'not-in-swarm' });
});

test('an invitation does not replace what a peer has shown of itself, nor bring foreigners', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  const joiner = await cluster.add('joiner');
  await client.reconfigure(registryId, [client, architect, contractor, joiner]);
  const good = await buildInvitation(client.known, await headOf(client, registryId));
  const older = testInstance(cluster.authority, 'https://old.example', {
    key: architect.certificate.key,
  });
  const foreign = testInstance(new MemoryCluster().authority, 'https://foreign.example');
  const certificates = [older.certificatePem, foreign.certificatePem];

  await receiveInvitation(joiner.ports, { ...good, certificates });

  expect(await joiner.known.certificate(architect.id)).toBe(architect.certificate.certificatePem);
  expect(await joiner.known.certificate(foreign.certificateId as never)).toBeUndefined();
});

test('a removed peer that missed its removal is invited by a lead that it never met', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  contractor.up = false;
  const newcomer = await cluster.add('newcomer');
  await client.reconfigure(registryId, [client, architect, contractor, newcomer]);
  await cluster.settle();
  await client.reconfigure(registryId, [newcomer, architect, contractor]);
  await cluster.settle();
  await newcomer.reconfigure(registryId, [newcomer, architect]);
  await cluster.settle();
  for (const each of [client, architect]) each.up = false;
  contractor.up = true;
  cluster.pass(300_000);

  await cluster.settle();

  expect(await contractor.head(registryId)).toMatchObject({ sequence: 5 });
});

test('every poke and every answer of a minute may be lost: the next minutes make it good', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  for (const id of ['B', 'C', 'D']) await client.record(registryId, id);
  let call = 0;
  cluster.network = async (_passing, carry) => {
    call += 1;
    if (call % 3 === 0) return { outcome: 'unreachable', reason: 'lost on the way' };
    const answer = await carry();
    return call % 3 === 1 ? { outcome: 'unreachable', reason: 'time-out' } : answer;
  };
  for (let minute = 0; minute < 12; minute += 1) {
    await cluster.settle();
    cluster.pass(300_000);
  }
  cluster.network = (_passing, carry) => carry();
  await cluster.settle();

  for (const instance of [client, architect, contractor]) {
    expect((await instance.status(registryId, 5)).status).toEqual({ status: 'final' });
    expect(await instance.known.conflicts(registryId)).toEqual([]);
    await expectSound(instance, registryId);
  }
});

test('a registry that a second request creates meanwhile was lost by nobody', async () => {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const peers = [client.id, architect.id];
  const draft = { type: 'create-registry' as const, transactionId: randomUUID(), peers };
  const body = one(draft, { salt, name: 'Neubau' });
  const answers: (readonly [number, string | undefined])[] = [];
  const create = async () => {
    const { status, body: answered } = await client.call('POST', '/v1/registries', body);
    answers.push([status, answered.code]);
  };
  // The first one has found no head here and asks the mirror: it is answered after all that.
  let overtaken = false;
  cluster.network = async (_passing, carry) => {
    if (overtaken) return carry();
    overtaken = true;
    await create();
    await cluster.settle();
    return carry();
  };

  await create();

  expect(overtaken).toBe(true);
  expect(answers).toEqual([
    [201, undefined],
    [200, undefined],
  ]);
});

describe('a lead whose table was restored from before a registry was created', () => {
  async function restored() {
    const cluster = new MemoryCluster();
    const client = await cluster.add('client');
    const architect = await cluster.add('architect');
    const peers = [client.id, architect.id];
    const draft = { type: 'create-registry' as const, transactionId: randomUUID(), peers };
    const body = one(draft, { salt, name: 'Neubau' });
    expect((await client.call('POST', '/v1/registries', body)).status).toBe(201);
    await cluster.settle();
    const again = await cluster.add('restored');
    again.switchKey(client.certificate);
    return { cluster, architect, body, again };
  }

  test('does not create it again while a mirror knows it', async () => {
    const { architect, body, again } = await restored();

    const answer = await again.call('POST', '/v1/registries', body);

    expect([answer.status, answer.body.code]).toEqual([503, 'LEAD_NOT_RECONCILED']);
    expect(answer.body.detail).toContain(`${architect.id} holds this registry through entry 1`);
    expect(await again.known.registries(undefined, 10)).toEqual([]);
  });

  test('creates others', async () => {
    const { again, architect } = await restored();

    expect(await again.create([architect])).toMatch(/^[0-9a-f]{64}$/);
  });
});
