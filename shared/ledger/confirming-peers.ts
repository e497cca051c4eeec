import { leadOf } from './chain.ts';
import type { CertificateId } from './digest.ts';
import { limits } from './limits.ts';
import type { ReadTransaction } from './transaction.ts';

/** A peer list and the entry that ended it. */
interface FormerList {
  readonly peers: readonly CertificateId[];
  readonly endedBy: number;
}

/**
 * Who may confirm the newest entry of a growing ledger: the mirrors of the list in force there, and
 * of every list that was in force in, or just before, the same commit, because a commit is brought
 * whole to everybody whom one of its entries concerns (protocol section 6). Memory is constant.
 */
export class ConfirmingPeers {
  #peers: readonly CertificateId[] = [];
  #former: FormerList[] = [];
  #leadBefore: CertificateId | undefined;
  #commitEnded = false;

  /** The next entry, with the peer list that its transaction brings, if it does. */
  extend(sequence: number, brought: readonly CertificateId[] | undefined): void {
    // Where no checkpoint shows the last commit's end, it is at most a whole commit away.
    const reach = sequence - limits.commitEntriesMax;
    this.#former = this.#commitEnded ? [] : this.#former.filter(({ endedBy }) => endedBy > reach);
    this.#commitEnded = false;
    if (sequence > 1) this.#leadBefore = this.#lead;
    if (brought === undefined) return;
    this.#former.push({ peers: this.#peers, endedBy: sequence });
    this.#peers = brought;
  }

  /** The newest entry has a checkpoint: its commit ends there. */
  endCommit(): void {
    this.#commitEnded = true;
  }

  /** Whether the newest entry hands the lead over: then it ends its commit (section 3). */
  get handOver(): boolean {
    return this.#leadBefore !== undefined && this.#leadBefore !== this.#lead;
  }

  /** The lead does not confirm to itself; one that hands over does, and so does its successor. */
  includes(signer: CertificateId): boolean {
    if (signer === this.#lead && !this.handOver) return false;
    return this.#peers.includes(signer) || this.#former.some(({ peers }) => peers.includes(signer));
  }

  get #lead(): CertificateId {
    return leadOf({ peers: this.#peers });
  }
}

/** The peer list that the transaction brings, if it does. */
export function listIn({ transaction }: ReadTransaction): readonly CertificateId[] | undefined {
  return 'peers' in transaction ? transaction.peers : undefined;
}
