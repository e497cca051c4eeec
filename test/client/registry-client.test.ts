import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { document, registry } from './clients.ts';

test('a version is recorded, confirmed, and read back with its bytes, all of it proven', async () => {
  const { client, registryId, mirror } = await registry();

  const recorded = await client.uploadDocument(registryId, document('ARC-0001'));
  const { receipt } = await client.waitUntilConfirmed(registryId, recorded.sequence);
  const version = await client.version(registryId, 'ARC-0001', 1);
  const bytes = await text(await client.openContent(version));

  expect(recorded).toMatchObject({ sequence: 2, version: 1, size: 8 });
  expect(receipt).toMatchObject({ status: { status: 'final' }, digest: recorded.digest });
  expect(receipt.confirmations.map(({ peer }) => peer)).toEqual([mirror.id]);
  expect(version).toMatchObject({ name: 'Plan ARC-0001', contentDigest: recorded.contentDigest });
  expect(bytes).toBe('ARC-0001');
});
