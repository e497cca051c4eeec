import { expect, test } from 'vitest';
import { DENIALS_AGE_MS_MAX } from '../../shared/registry/deny-list.ts';
import type { PeerRequest } from '../../shared/registry/peer-transport.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';

async function swarm() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const registryId = await client.create([architect]);
  await cluster.settle();
  return { cluster, client, architect, registryId };
}

async function deny(at: MemoryInstance, certificateId: string, denied = true, by = at.operator) {
  const body = Buffer.from(JSON.stringify({ certificateId, denied }));
  return at.callRaw('POST', '/v1/denied', body, by.certificatePem);
}

/** Another process of the instance changes the list: this one still knows it as it was. */
async function denyElsewhere({ denials }: MemoryInstance, certificateId: string) {
  const { version } = await denials.read();
  const deniedAt = '2026-11-29T10:00:00.000Z';
  const denial = { certificateId, deniedBy: certificateId, deniedAt } as never;
  await denials.replace({ version: version + 1, denials: [denial] });
}

function headOf({ id }: MemoryInstance, registryId: string): [string, PeerRequest] {
  return [id, { operation: 'head', registryId, subject: '00'.repeat(16) } as never];
}

test('a denied peer is not served, whatever it asks, from the next request on', async () => {
  const { client, architect, registryId } = await swarm();
  const [, request] = headOf(client, registryId);

  await deny(client, architect.id);

  const answer = await client.answerPeer(architect.certificate.certificatePem, request);
  expect(answer).toMatchObject({ status: 403 });
  expect(String((answer as { body: Uint8Array }).body)).toContain('CALLER_DENIED');
});

test('a denied peer is not called: it counts as unreachable, and gets no entry', async () => {
  const { cluster, client, architect, registryId } = await swarm();
  await deny(client, architect.id);
  const before = architect.requests.length;

  await client.record(registryId, 'A');
  await cluster.settle();

  expect(architect.requests).toHaveLength(before);
  expect(await architect.head(registryId)).toMatchObject({ sequence: 1 });
  const { lastError } = (await client.known.cursor(registryId, architect.id)) ?? {};
  expect(lastError).toContain('this instance denies the peer');
});

test('what is taken off the list goes on as before', async () => {
  const { cluster, client, architect, registryId } = await swarm();
  await deny(client, architect.id);
  await client.record(registryId, 'A');
  await cluster.settle();

  const { body } = await deny(client, architect.id, false);
  cluster.pass(3_600_000);
  await cluster.settle();

  expect(body).toEqual({ denied: [] });
  expect(await architect.head(registryId)).toMatchObject({ sequence: 2 });
});

test('a process that learns of it from the table alone refuses after 20 seconds, both ways', async () => {
  const { cluster, client, architect, registryId } = await swarm();
  const [peer, request] = headOf(architect, registryId);
  const { transport } = client.ports;
  expect(await transport.call(peer as never, request)).toMatchObject({ outcome: 'answered' });

  await denyElsewhere(client, architect.id);
  cluster.pass(DENIALS_AGE_MS_MAX);

  expect(DENIALS_AGE_MS_MAX).toBeLessThanOrEqual(30_000);
  expect(await transport.call(peer as never, request)).toMatchObject({ outcome: 'unreachable' });
  const answer = await client.answerPeer(architect.certificate.certificatePem, request);
  expect(answer).toMatchObject({ status: 403 });
});

test.each([
  ['an application', ({ application }: MemoryInstance) => application],
  ['an auditor', ({ auditor }: MemoryInstance) => auditor],
])('it overrides every role: %s is refused', async (_, who) => {
  const { client } = await swarm();

  await deny(client, who(client).certificateId);

  const { status, body } = await client.callRaw(
    'GET',
    '/v1/instance',
    undefined,
    who(client).certificatePem,
  );
  expect([status, body.code]).toEqual([403, 'CALLER_DENIED']);
});

test('who denies whom is one loud line with both ids, and is on the list', async () => {
  const { client, architect } = await swarm();

  const { body } = await deny(client, architect.id);
  await deny(client, architect.id);

  const { certificateId: caller } = client.operator;
  expect(client.logged.filter(({ message }) => message === 'caller denied')).toEqual([
    { message: 'caller denied', facts: { caller, certificateId: architect.id } },
  ]);
  expect(body.denied).toMatchObject([
    { certificateId: architect.id, inFile: false, deniedBy: caller },
  ]);
});

test('nobody denies themselves or the instance, for they could not take it back', async () => {
  const { client } = await swarm();

  const answers = [
    await deny(client, client.operator.certificateId),
    await deny(client, client.id),
  ];

  expect(answers.map(({ status, body }) => [status, body.code])).toEqual([
    [409, 'DENIAL_NOT_ALLOWED'],
    [409, 'DENIAL_NOT_ALLOWED'],
  ]);
});

test.each(['application', 'auditor'] as const)('the %s may not deny anybody', async (role) => {
  const { client, architect } = await swarm();

  const { status, body } = await deny(client, architect.id, true, client[role]);

  expect([status, body.code]).toEqual([403, 'ROLE_NOT_ALLOWED']);
});

test('nobody is served while the list cannot be read', async () => {
  const { cluster, client } = await swarm();
  cluster.pass(DENIALS_AGE_MS_MAX);
  client.denials.read = async () => {
    throw new Error('the table does not answer');
  };

  const { status, body } = await client.call('GET', '/v1/instance');

  expect([status, body.code]).toEqual([500, 'INTERNAL']);
});
