import type { ChainHead } from './chain.ts';
import type { CertificateId, Digest, Sequence } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import { readStatement } from './jws.ts';
import { closingSchema } from './resolution.ts';
import type { CreateRegistry, Transaction } from './transaction.ts';

/**
 * The closings in an export: protocol section 7. Each instance closes the registry for itself, at
 * the last entry of its own copy, which need not be the last one here, nor the same.
 */

/** An instance that has closed the registry, by its own word. */
export interface FoundClosing {
  readonly signer: CertificateId;
  /** The last entry of the signer's copy. */
  readonly sequence: Sequence;
  readonly digest: Digest;
  /**
   * `held`: that entry is in this ledger. `another`: this ledger has another entry there. `beyond`:
   * it ends before, so nothing is known of that entry.
   */
  readonly entry: 'held' | 'another' | 'beyond';
}

/** What an export says of where the registry ended, and of the one before it. */
export interface EndsOfLedger {
  /** Who has closed the registry, and where. */
  readonly closings: readonly FoundClosing[];
  /** The closed registry that this one continues, as entry 1 says. */
  readonly predecessor?: NonNullable<CreateRegistry['predecessor']>;
}

/** Fed in the order of the lines. A closing stands at the entry that it names, or at the end. */
export class ClosingsOfLedger {
  readonly #found = new Map<Digest, FoundClosing>();
  readonly #peers: Set<CertificateId>;
  #beyond = false;
  #predecessor: EndsOfLedger['predecessor'];

  constructor(peersBeyond: readonly CertificateId[] = []) {
    this.#peers = new Set(peersBeyond);
  }

  get found(): EndsOfLedger {
    const closings = [...this.#found.values()];
    const predecessor = this.#predecessor;
    return { closings, ...(predecessor === undefined ? {} : { predecessor }) };
  }

  /** Whether one names an entry behind the newest one: then no further entry may come. */
  get beyond(): boolean {
    return this.#beyond;
  }

  /** The transaction of the next entry. */
  extend(transaction: Transaction): void {
    if (!('peers' in transaction)) return;
    for (const peer of transaction.peers) this.#peers.add(peer);
    if (transaction.type === 'create-registry') this.#predecessor = transaction.predecessor;
  }

  /** A closing that stands behind the newest entry. */
  closing(compact: string, head: ChainHead): Refused | undefined {
    const read = readStatement(compact, closingSchema);
    if (read.outcome === 'refused') return read;
    const { registryId, signer, sequence, digest } = read.statement;
    if (registryId !== head.registryId)
      return refuse('STATEMENT_REGISTRY_DIFFERS', `closes the registry ${registryId}`);
    if (sequence < head.sequence || this.#found.has(read.digest))
      return refuse(
        'EXPORT_MALFORMED',
        `${signer} closes the registry at entry ${sequence}; expected that once, at that entry`,
      );
    const same = digest === head.digest ? 'held' : 'another';
    const entry = sequence > head.sequence ? 'beyond' : same;
    this.#beyond ||= entry === 'beyond';
    this.#found.set(read.digest, { signer, sequence, digest, entry });
    return undefined;
  }

  /** The first that a stranger signed. */
  get strange(): { readonly sequence: Sequence; readonly refused: Refused } | undefined {
    const found = this.found.closings.find(({ signer }) => !this.#peers.has(signer));
    if (found === undefined) return undefined;
    const detail = `${found.signer} closed the registry and was never a peer`;
    return { sequence: found.sequence, refused: refuse('SIGNER_NO_PEER', detail) };
  }
}
