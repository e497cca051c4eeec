import { expect, test } from 'vitest';
import { MemoryCluster } from '../memory-cluster.ts';
import { expectSound } from '../sound-ledger.ts';

async function three() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const contractor = await cluster.add('contractor');
  return { cluster, client, architect, contractor };
}

test('a document travels to every mirror and comes back as confirmations that all peers hold', async () => {
  const { cluster, client, architect, contractor } = await three();
  const registryId = await client.create([architect, contractor]);
  const recorded = await client.record(registryId, 'ARC-0001');

  await cluster.settle();

  expect(recorded.status).toBe(201);
  const head = await client.head(registryId);
  expect(head?.sequence).toBe(2);
  for (const instance of [client, architect, contractor]) {
    expect(await instance.head(registryId)).toEqual(head);
    const { status, confirmations } = await instance.status(registryId, 2);
    expect(status).toEqual({ status: 'final' });
    expect(
      confirmations.map((row: { confirmed?: unknown }) => row.confirmed !== undefined),
    ).toEqual([false, true, true]);
    const { body } = await instance.call(
      'GET',
      `/v1/registries/${registryId}/documents/ARC-0001/versions/1`,
    );
    expect(body.held).toBe(true);
  }
});

test('a mirror that was down catches up by itself in batches and gets every confirmation', async () => {
  const { cluster, client, architect, contractor } = await three();
  const registryId = await client.create([architect, contractor]);
  await cluster.settle();
  contractor.up = false;
  for (let index = 1; index <= 130; index += 1) {
    await client.record(registryId, `DOC-${index}`);
    if (index % 13 === 0) await cluster.settle();
  }
  await cluster.settle();
  const before = contractor.requests.filter(({ operation }) => operation === 'deliver').length;
  contractor.up = true;
  cluster.pass(3_600_000);

  await cluster.settle();

  expect(await contractor.head(registryId)).toEqual(await client.head(registryId));
  const deliveries = contractor.requests.filter(({ operation }) => operation === 'deliver').length;
  expect(deliveries - before).toBe(2);
  for (const sequence of [1, 2, 60, 131])
    expect((await contractor.status(registryId, sequence)).status).toEqual({ status: 'final' });
  expect((await contractor.status(registryId, 20)).confirmations).toEqual(
    (await client.status(registryId, 20)).confirmations.map((row: object) => ({
      ...row,
      ...('confirmed' in row
        ? { confirmed: expect.objectContaining({ confirmedAt: expect.any(String) }) }
        : {}),
    })),
  );
});

test('a registry without mirrors gets its first one later, which verifies from entry 1', async () => {
  const { cluster, client, architect } = await three();
  const registryId = await client.create([]);
  for (const id of ['A', 'B', 'C']) await client.record(registryId, id);
  await cluster.settle();
  expect((await client.status(registryId, 2)).status).toEqual({ status: 'recorded' });

  const added = await client.reconfigure(registryId, [client, architect]);
  await cluster.settle();

  expect(added.status).toBe(201);
  expect(await architect.head(registryId)).toEqual(await client.head(registryId));
  expect((await client.status(registryId, 5)).status).toEqual({ status: 'final' });
  expect((await client.status(registryId, 2)).status).toEqual({
    status: 'final-since',
    since: 5,
    without: [],
  });
});

test('the lead counts what it appends, and everybody the confirmations that they get', async () => {
  const { cluster, client, architect, contractor } = await three();
  const registryId = await client.create([architect, contractor]);
  await client.record(registryId, 'ARC-0001');
  await cluster.settle();

  const counted = (wanted: string) =>
    [client, architect, contractor].map(({ alarms }) =>
      alarms.counted
        .filter(({ counter }) => counter === wanted)
        .reduce((sum, { number }) => sum + number, 0),
    );
  expect(counted('Appends')).toEqual([2, 0, 0]);
  // Of each entry one by each mirror; its own nobody gets.
  expect(counted('Confirmations')).toEqual([4, 2, 2]);
});

test('two registries with different leads live on the same instances', async () => {
  const { cluster, client, architect, contractor } = await three();
  const first = await client.create([architect, contractor]);
  const second = await architect.create([contractor, client], 'Umbau Rathaus');
  await client.record(first, 'ARC-0001');
  await architect.record(second, 'ARC-0001');

  await cluster.settle();

  for (const registryId of [first, second])
    for (const instance of [client, architect, contractor])
      expect((await instance.status(registryId, 2)).status).toEqual({ status: 'final' });
});

test('the lead is handed over while clients keep appending: nothing is lost or doubled', async () => {
  const { cluster, client, architect, contractor } = await three();
  const registryId = await client.create([architect, contractor]);
  await client.record(registryId, 'A');
  await cluster.settle();

  const results = await Promise.all([
    client.record(registryId, 'B'),
    client.reconfigure(registryId, [architect, client, contractor]),
    client.record(registryId, 'C'),
  ]);
  const refused = results.filter(({ status }) => status === 421);
  for (const { body } of refused) expect(body).toMatchObject({ lead: architect.id });
  await cluster.settle();
  const later = await architect.record(registryId, 'D');
  await cluster.settle();

  expect(later.status).toBe(201);
  const head = await architect.head(registryId);
  expect(head?.sequence).toBe(3 + results.filter(({ status }) => status === 201).length);
  for (const instance of [client, architect, contractor]) {
    expect(await instance.head(registryId)).toEqual(head);
    for (let sequence = 1; sequence <= (head?.sequence ?? 0); sequence += 1)
      expect((await instance.status(registryId, sequence)).status).toEqual({ status: 'final' });
    expect(instance.alarms.signals).toEqual([]);
  }
});

test('a removed peer gets the entry that removes it, and hears nothing more', async () => {
  const { cluster, client, architect, contractor } = await three();
  const registryId = await client.create([architect, contractor]);
  await cluster.settle();
  await client.reconfigure(registryId, [client, architect]);
  await cluster.settle();
  const heard = contractor.requests.length;
  await client.record(registryId, 'A');

  await cluster.settle();

  expect((await contractor.head(registryId))?.sequence).toBe(2);
  expect(contractor.requests).toHaveLength(heard);
  await expectSound(contractor, registryId);
  expect((await architect.head(registryId))?.sequence).toBe(3);
  expect((await client.status(registryId, 3)).status).toEqual({ status: 'final' });
});

test('an instance that does not admit the lead stores nothing, and the others go on', async () => {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const stranger = await cluster.add('stranger', { admittedLeads: [] });
  const registryId = await client.create([stranger]);

  await cluster.settle();

  expect(await stranger.head(registryId)).toBeUndefined();
  const { body } = await client.call('GET', `/v1/registries/${registryId}`);
  expect(body.peers[1].lastError).toContain('LEAD_NOT_ADMITTED');
});
