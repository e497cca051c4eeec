import { expect, test } from 'vitest';
import type { PeerOperation } from '../../shared/registry/peer-transport.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';

async function swarm() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const stranger = await cluster.add('stranger');
  const registryId = await client.create([architect]);
  await client.record(registryId, 'A');
  await cluster.settle();
  const call = async (from: MemoryInstance, operation: PeerOperation, rest = {}) => {
    const request = { operation, registryId, ...rest };
    const answer = await architect.answerPeer(from.certificate.certificatePem, request);
    if (answer.outcome !== 'answered') throw new Error(answer.reason);
    return { status: answer.status, body: JSON.parse(Buffer.from(answer.body).toString()) };
  };
  return { cluster, client, architect, stranger, registryId, call };
}

test.each([
  ['deliver', { body: Buffer.from('{}') }],
  ['statements', { body: Buffer.from('{}') }],
  ['head', { subject: '00'.repeat(16) }],
  ['content', { subject: '00'.repeat(32) }],
  ['configuration', {}],
  ['certificate', { subject: '00'.repeat(32) }],
] as const)('%s of an instance that is no peer is refused before anything is read', async (operation, rest) => {
  const { architect, stranger, call } = await swarm();

  const { status, body } = await call(stranger, operation, rest);

  expect({ status, code: body.code }).toEqual({ status: 403, code: 'PEER_NOT_IN_SWARM' });
  expect(architect.alarms.signals).toEqual([]);
});

test.each([
  ['deliver', 'DELIVERY_MALFORMED'],
  ['statements', 'STATEMENT_MALFORMED'],
  ['invite', 'DELIVERY_MALFORMED'],
] as const)('%s with a body that is none is refused and alarmed, and nothing is stored', async (operation, code) => {
  for (const body of ['', 'x', '{}', '[]', '{"format":"registry/x/v1"}', '\ufeff']) {
    const { client, architect, registryId, call } = await swarm();

    const answer = await call(client, operation, { body: Buffer.from(body) });

    expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 400, code });
    expect(architect.alarms.signals).toEqual(['StatementsRefused']);
    expect(await architect.head(registryId)).toMatchObject({ sequence: 2 });
    expect(await architect.known.conflicts(registryId)).toEqual([]);
  }
});

test('a delivery of more than 100 entries is refused', async () => {
  const { client, registryId, call } = await swarm();
  const entries = Array.from({ length: 24 }, () => ({ entry: '{}', transaction: '{}' }));
  const commits = Array.from({ length: 5 }, () => ({ checkpoint: 'a.b.c', entries }));
  const body = Buffer.from(JSON.stringify({ format: 'registry/delivery/v1', registryId, commits }));

  const answer = await call(client, 'deliver', { body });

  expect(answer.body.detail).toContain('at most 100 entries');
});

test('a message about another registry than its path is refused', async () => {
  const { client, call } = await swarm();
  const body = Buffer.from(
    JSON.stringify({
      format: 'registry/statements/v1',
      registryId: 'ab'.repeat(32),
      statements: [{ statement: 'a.b.c' }],
    }),
  );

  expect((await call(client, 'statements', { body })).body.code).toBe('STATEMENT_REGISTRY_DIFFERS');
});

test('a head is stated with the nonce of the asker, and not without one', async () => {
  const { client, call } = await swarm();

  const { body } = await call(client, 'head', { subject: '0123456789abcdef'.repeat(2) });
  const without = await call(client, 'head', { subject: 'short' });

  const payload = JSON.parse(Buffer.from(body.head.split('.')[1], 'base64url').toString());
  expect(payload).toMatchObject({ nonce: '0123456789abcdef'.repeat(2), sequence: 2 });
  expect(without.body.code).toBe('PARAMETER_INVALID');
});

test('an application has no role in the API of peers', async () => {
  const { architect, registryId } = await swarm();
  const request = { operation: 'configuration', registryId } as const;

  const answer = await architect.answerPeer(architect.application.certificatePem, request);

  expect(answer).toMatchObject({ outcome: 'answered', status: 403 });
});

test('bytes that are not here are answered so, and an address is never logged', async () => {
  const { cluster, client, architect, call } = await swarm();
  const held = await client.upload('A version 1');

  const missing = await call(client, 'content', { subject: 'ab'.repeat(32) });
  const found = await call(client, 'content', { subject: held.contentDigest });

  expect(missing).toMatchObject({ status: 404, body: { code: 'CONTENT_NOT_HELD' } });
  expect(found.status).toBe(200);
  expect(JSON.stringify(architect.logged)).not.toContain('memory://');
  expect(cluster.instances.size).toBe(3);
});
