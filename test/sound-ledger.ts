import { expect } from 'vitest';
import type { RegistryId } from '../shared/ledger/digest.ts';
import { LedgerVerifier } from '../shared/ledger/verify.ts';
import type { LedgerStore } from '../shared/registry/ports.ts';
import { statementsBefore } from '../shared/registry/statements-before.ts';
import type { MemoryInstance } from './memory-cluster.ts';

/** Verifies the whole copy of an instance, entry by entry, and that nobody broke a port. */
export async function expectSound(instance: MemoryInstance, registryId: RegistryId): Promise<void> {
  const store = instance.known;
  const verifier = new LedgerVerifier({ registryId, rules: true });
  const head = await store.head(registryId);
  const length = head?.sequence ?? 0;
  for (const said of head === undefined ? [] : await statementsBefore(store, head))
    expect(
      said.kind === 'conflict'
        ? verifier.conflict(said.statement)
        : verifier.resolution(said.signed),
    ).toBeUndefined();
  for (let from = 1; from <= length; from += 1) {
    const [stored] = await store.entries(registryId, 1, { from, count: 1 });
    if (stored === undefined) throw new Error(`entry ${from} is missing`);
    expect(verifier.entry(stored)).toBeUndefined();
    if (stored.checkpoint !== undefined)
      expect(verifier.checkpoint(stored.checkpoint)).toBeUndefined();
  }
  expect(verifier.end()).toMatchObject({ outcome: 'verified', headDigest: head?.digest });
  expect(store.breaches).toEqual([]);
  store.verifyUntouched();
}

/** The store with some methods in place of its own. */
export function overriding(store: LedgerStore, methods: Partial<LedgerStore>): LedgerStore {
  return new Proxy(store, {
    get(target, name) {
      const own = methods[name as keyof LedgerStore] ?? target[name as keyof LedgerStore];
      return typeof own === 'function' ? own.bind(target) : own;
    },
  });
}
