import type { DenialStore, StoredDenials } from '../../registry/deny-list.ts';

/** The deny list of one instance in memory. */
export class MemoryDenials implements DenialStore {
  #stored: StoredDenials = { version: 0, denials: [] };

  async read(): Promise<StoredDenials> {
    return this.#stored;
  }

  async replace(next: StoredDenials): Promise<'replaced' | 'lost-race'> {
    if (next.version !== this.#stored.version + 1) return 'lost-race';
    this.#stored = structuredClone(next);
    return 'replaced';
  }
}
