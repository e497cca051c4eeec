import { expect, test } from 'vitest';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import { listRegistries, registrySummary } from '../../shared/registry/read-registries.ts';
import { TestLedger, testPeer, timeAfter } from '../builders.ts';
import { answering, clockAt, held, openConflictAt } from './reading.ts';

const [a, b, c] = [testPeer(), testPeer(), testPeer()];

test('registries are listed in the order of their ids, with name, head and role', async () => {
  const store = new MemoryLedgerStore();
  const led = new TestLedger([a, b]);
  led.upload('A');
  const mirrored = new TestLedger([b, a]);
  const former = new TestLedger([b, a, c]);
  former.reconfigure(b, c);
  for (const ledger of [led, mirrored, former]) await ledger.fill(store);

  const page = await listRegistries({ store, signer: a, clock: clockAt(0) }, { count: 10 });

  const roles = new Map(page.registries.map(({ registryId, role }) => [registryId, role]));
  expect([...roles.keys()]).toEqual([...roles.keys()].sort());
  expect(roles.get(led.registryId)).toBe('lead');
  expect(roles.get(mirrored.registryId)).toBe('mirror');
  expect(roles.get(former.registryId)).toBe('former');
  expect(page.registries.find(({ registryId }) => registryId === led.registryId)).toEqual({
    registryId: led.registryId,
    name: 'Neubau Bürgerhaus',
    description: 'Los 1',
    head: { sequence: 2, digest: led.head.digest, timestamp: timeAfter(1) },
    role: 'lead',
    openConflicts: 0,
  });
});

test('an instance leads under any of the keys that it has had', async () => {
  const ports = await held(new TestLedger([a, b]), {
    ...b,
    knownIds: [b.certificateId, a.certificateId],
  });

  expect(await registrySummary(ports, ports.head)).toMatchObject({ role: 'lead' });
});

test('registries come page by page, and the last page has no next', async () => {
  const store = new MemoryLedgerStore();
  const ids = [];
  for (let made = 0; made < 3; made += 1) {
    const ledger = new TestLedger([a, b]);
    await ledger.fill(store);
    ids.push(ledger.registryId);
  }
  ids.sort();
  const ports = { store, signer: a, clock: clockAt(0) };

  const first = await listRegistries(ports, { count: 2 });
  const rest = await listRegistries(ports, { ...(first.next && { after: first.next }), count: 1 });

  expect(first.registries.map(({ registryId }) => registryId)).toEqual(ids.slice(0, 2));
  expect(first.next).toBe(ids[1]);
  expect(rest.registries.map(({ registryId }) => registryId)).toEqual(ids.slice(2));
  expect(rest.next).toBeUndefined();
});

test('open conflicts are counted, and redacted names are shown as that', async () => {
  const ledger = new TestLedger([a, b]);
  const ports = await held(ledger);
  await openConflictAt(ports.store, ports.head, [1, 5]);
  await ports.store.redactDetails(ledger.registryId, 1, ledger.entryAt(1), {} as never);

  const { registries } = await listRegistries(ports, { count: 10 });

  expect(registries).toMatchObject([{ openConflicts: 1, redacted: true }]);
  expect(registries[0]).not.toHaveProperty('name');
});

test('a registry without its head or its entry 1 is an error that names it', async () => {
  const ports = await held(new TestLedger([a, b]));
  const headless = answering(ports.store, { head: async () => undefined });
  const empty = answering(ports.store, { entries: async () => [] });

  const listed = (store: typeof headless) => listRegistries({ ...ports, store }, { count: 10 });

  await expect(listed(headless)).rejects.toThrow('is listed but has no head');
  await expect(listed(empty)).rejects.toThrow(/entry 1 of registry \w{64} is missing/);
});
