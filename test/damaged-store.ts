import { MemoryLedgerStore } from '../shared/adapters/memory/memory-ledger-store.ts';
import type { RegistryId } from '../shared/ledger/digest.ts';
import type { StateItem, StateKey } from '../shared/ledger/state.ts';
import type { Head, LedgerStore, StoredEntry } from '../shared/registry/ports.ts';

/** What somebody with access to the table has changed in it, as reads then answer. */
export interface Damage {
  readonly head?: (head: Head) => Head;
  /** Undefined: the entry is gone. */
  readonly entry?: (stored: StoredEntry, copy: number) => StoredEntry | undefined;
  readonly item?: (key: StateKey, item: StateItem, copy: number) => StateItem | undefined;
}

/** A store whose items somebody edited below the software. */
export class DamagedLedgerStore extends MemoryLedgerStore {
  damage: Damage = {};

  override async head(registryId: RegistryId): Promise<Head | undefined> {
    const head = await super.head(registryId);
    return head === undefined || this.damage.head === undefined ? head : this.damage.head(head);
  }

  override async entries(
    ...parameters: Parameters<LedgerStore['entries']>
  ): Promise<StoredEntry[]> {
    const entries = await super.entries(...parameters);
    const run: StoredEntry[] = [];
    for (const stored of entries) {
      const seen = this.#seen(stored, parameters[1]);
      if (seen === undefined) break;
      run.push(seen);
    }
    return run;
  }

  override async entriesAt(
    ...parameters: Parameters<LedgerStore['entriesAt']>
  ): Promise<StoredEntry[]> {
    const entries = await super.entriesAt(...parameters);
    return entries.flatMap((stored) => this.#seen(stored, parameters[1]) ?? []);
  }

  override async read(...parameters: Parameters<LedgerStore['read']>) {
    const { head, items } = await super.read(...parameters);
    const { item: change, head: changeHead } = this.damage;
    const seen = new Map<StateKey, StateItem>();
    for (const [key, item] of items) {
      const changed = change === undefined ? item : change(key, item, head?.copy ?? 1);
      if (changed !== undefined) seen.set(key, changed);
    }
    return { head: head && (changeHead?.(head) ?? head), items: seen };
  }

  #seen(stored: StoredEntry, copy: number): StoredEntry | undefined {
    return this.damage.entry === undefined ? stored : this.damage.entry(stored, copy);
  }
}

/** The entry with one byte of its transaction changed. */
export function edited(stored: StoredEntry): StoredEntry {
  const transaction = Uint8Array.from(stored.transaction);
  const at = Buffer.from(transaction).indexOf('"mediaType":"') + '"mediaType":"'.length;
  transaction[at] = (transaction[at] ?? 0) ^ 1;
  return { ...stored, transaction };
}
