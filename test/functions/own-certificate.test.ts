import { expect, test } from 'vitest';
import { MemoryCluster } from '../memory-cluster.ts';

test('an instance keeps its own certificate, for receipts after a renewal with a new key', async () => {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const registryId = await client.create([architect]);
  await client.record(registryId, 'A');
  await cluster.settle();
  const former = client.id;
  const formerPem = client.certificate.certificatePem;
  const next = client.announceKey();
  await client.append(registryId, {
    type: 'reconfigure-peers',
    transactionId: '00000000-0000-4000-8000-00000000abcd',
    peers: [next.certificateId, architect.id],
  });
  client.switchKey(next);

  const receipt = await client.call('GET', `/v1/registries/${registryId}/entries/2/receipt`);

  expect(receipt.status).toBe(200);
  expect(await client.known.certificate(former)).toBe(formerPem);
});
