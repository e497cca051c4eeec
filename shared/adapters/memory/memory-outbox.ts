import type { CertificateId, RegistryId } from '../../ledger/digest.ts';
import type { Outbox } from '../../registry/ports.ts';

export type Poke =
  | {
      readonly kind: 'delivery';
      readonly registryId: RegistryId;
      readonly peer: CertificateId;
      readonly token: string;
    }
  | { readonly kind: 'fetch'; readonly registryId: RegistryId; readonly token: string };

/** Keeps pokes until somebody takes them. */
export class MemoryOutbox implements Outbox {
  #pokes: Poke[] = [];

  async pokeDelivery(registryId: RegistryId, peer: CertificateId, token: string): Promise<void> {
    this.#pokes.push({ kind: 'delivery', registryId, peer, token });
  }

  async pokeFetch(registryId: RegistryId, token: string): Promise<void> {
    this.#pokes.push({ kind: 'fetch', registryId, token });
  }

  /** All pokes since the last time, oldest first. */
  take(): Poke[] {
    const taken = this.#pokes;
    this.#pokes = [];
    return taken;
  }
}
