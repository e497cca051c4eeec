import { expect, test } from 'vitest';
import type { Counted } from '../../shared/adapters/memory/recording-alarms.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';

function sum({ alarms }: MemoryInstance, name: keyof Counted['counts']): number {
  return alarms.counted.reduce((total, { counts }) => total + (counts[name] ?? 0), 0);
}

async function recorded() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const registryId = await client.create([architect]);
  await client.record(registryId, 'A');
  await client.record(registryId, 'B');
  await cluster.settle();
  return { cluster, client, architect, registryId };
}

test('lead and mirror count the same entries and the same bytes, each once', async () => {
  const { client, architect } = await recorded();

  for (const instance of [client, architect]) {
    expect(sum(instance, 'EntriesStored')).toBe(3);
    expect(sum(instance, 'BytesStored')).toBe('A version 1'.length + 'B version 1'.length);
  }
});

test('a delivery that is repeated and an append that is repeated count nothing', async () => {
  const { cluster, client, architect, registryId } = await recorded();
  const { entries } = (await client.call('GET', `/v1/registries/${registryId}/entries`)).body;
  const [, second] = entries;
  const again = { transactions: [{ transaction: second.transaction, details: second.details }] };

  const { status } = await client.call('POST', `/v1/registries/${registryId}/transactions`, again);
  for (const request of architect.requests.filter(({ operation }) => operation === 'deliver'))
    await architect.answerPeer(client.certificate.certificatePem, request);
  await cluster.settle();

  expect(status).toBe(200);
  expect([sum(client, 'EntriesStored'), sum(architect, 'EntriesStored')]).toEqual([3, 3]);
});

test('bytes sent are bodies of answers and of calls, and documents by their address', async () => {
  const { client, architect } = await recorded();

  const toPeer = client.alarms.counted.filter(({ facts }) => facts['peer'] === architect.id);
  const posted = architect.requests.flatMap(({ body }) => body?.byteLength ?? []);
  expect(toPeer.flatMap(({ counts }) => counts.BytesSent ?? [])).toEqual(posted);
  // The mirror fetched both documents from an address that the lead handed out.
  expect(sum(client, 'BytesSent')).toBeGreaterThan(2 * 'A version 1'.length);
});
