import { beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../shared/ledger/digest.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';

let client: MemoryInstance;
let registry: string;

beforeAll(async () => {
  client = await new MemoryCluster().add('client');
  const registryId = await client.create([]);
  await client.record(registryId, 'A');
  registry = `/v1/registries/${registryId}`;
});

function get(path: string, ifNoneMatch?: string) {
  const headers = ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch };
  return client.exchange('GET', path, { headers });
}

test('an answer has the SHA-256 of its body as ETag, and is asked for again before it is used', async () => {
  const { status, headers, bytes } = await get(`${registry}/entries`);

  expect(status).toBe(200);
  expect(headers['etag']).toBe(`"${digestOf(bytes)}"`);
  expect(headers['cache-control']).toBe('private, no-cache');
});

describe('whoever holds the body is answered 304 without one', () => {
  test.each([
    ['the ETag', (etag: string) => etag],
    ['the ETag among others', (etag: string) => `"abc", ${etag},"def"`],
    ['the ETag as a weak one', (etag: string) => `W/${etag}`],
    ['whatever there is', () => '*'],
  ])('with %s', async (_name, ifNoneMatch) => {
    const first = await get(registry);

    const again = await get(registry, ifNoneMatch(first.headers['etag'] ?? ''));

    expect(again.status).toBe(304);
    expect(again.bytes).toHaveLength(0);
    expect(again.headers['etag']).toBe(first.headers['etag']);
    expect(again.headers['cache-control']).toBe('private, no-cache');
    expect(again.headers).toHaveProperty('x-request-id');
    expect(again.headers).not.toHaveProperty('content-type');
  });
});

test('whoever holds another body gets the new one', async () => {
  const before = await get(`${registry}/documents/A`);
  await client.record(registry.slice('/v1/registries/'.length) as never, 'A', 2);

  const after = await get(`${registry}/documents/A`, before.headers['etag']);

  expect(after.status).toBe(200);
  expect(after.headers['etag']).not.toBe(before.headers['etag']);
  expect(JSON.parse(after.bytes.toString())).toMatchObject({ version: 2 });
});

test.each([
  ['an ETag without quotes', (etag: string) => etag.replaceAll('"', '')],
  ['nothing', () => ''],
])('%s names no body', async (_name, ifNoneMatch) => {
  const { headers } = await get(registry);

  const again = await get(registry, ifNoneMatch(headers['etag'] ?? ''));

  expect(again.status).toBe(200);
});

test('an address that expires is not to be kept, and has no ETag', async () => {
  const answer = await get(`${registry}/documents/A/versions/1/content`, '*');

  expect(answer.status).toBe(200);
  expect(answer.headers['cache-control']).toBe('no-store');
  expect(answer.headers).not.toHaveProperty('etag');
});

test('a problem is not to be kept, and has no ETag', async () => {
  const answer = await get(`${registry}/documents/B`, '*');

  expect(answer.status).toBe(404);
  expect(answer.headers['cache-control']).toBe('no-store');
  expect(answer.headers).not.toHaveProperty('etag');
});

test('what was recorded is answered without ETag', async () => {
  const content = await client.upload('B');

  const answer = await client.call('POST', '/v1/uploads', content);

  expect(answer.status).toBe(200);
  expect(answer.headers['cache-control']).toBe('no-store');
  expect(answer.headers).not.toHaveProperty('etag');
});

test('HEAD is refused with what is possible', async () => {
  const answer = await client.exchange('HEAD', registry);

  expect(answer.status).toBe(405);
  expect(answer.headers['allow']).toBe('GET');
});
