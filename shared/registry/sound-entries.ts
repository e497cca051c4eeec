import type { Link } from '../ledger/backlinks.ts';
import { type ReadEntry, readEntry } from '../ledger/entry.ts';
import { limits } from '../ledger/limits.ts';
import { type ReadTransaction, readTransaction } from '../ledger/transaction.ts';
import { type AuditFinding, damageAt, findingAt } from './audit-finding.ts';
import { orDamage } from './or-damage.ts';
import type { Head, LedgerStore, StoredEntry } from './ports.ts';
import { StoredDamage } from './stored-damage.ts';

/** Entries read again for an audit: each sound by its own bytes, or with what is wrong about it. */

export interface SoundEntry {
  readonly outcome: 'sound';
  readonly stored: StoredEntry;
  /** What its bytes say and come out to. */
  readonly read: ReadEntry;
  readonly transaction: ReadTransaction;
}

export type LookedAt = SoundEntry | { readonly outcome: 'wrong'; readonly finding: AuditFinding };

/** The entries that were read so far, by their sequences. */
export class SoundEntries {
  readonly #store: LedgerStore;
  readonly #head: Pick<Head, 'registryId' | 'copy'>;
  readonly #looked = new Map<number, LookedAt>();

  constructor(store: LedgerStore, head: Pick<Head, 'registryId' | 'copy'>) {
    this.#store = store;
    this.#head = head;
  }

  /** Undefined: it was not read. */
  at(sequence: number): LookedAt | undefined {
    return this.#looked.get(sequence);
  }

  /** Reads the entries of these sequences that were not read before. */
  async add(sequences: readonly number[]): Promise<void> {
    const wanted = [...new Set(sequences)].filter((sequence) => !this.#looked.has(sequence));
    for (let start = 0; start < wanted.length; start += limits.pageMax)
      await this.#read(wanted.slice(start, start + limits.pageMax));
  }

  /**
   * Halves what does not come whole, until it is known which entries are missing or damaged: what a
   * damaged item says about its own place is not believed.
   */
  async #read(sequences: readonly number[]): Promise<void> {
    const found = await this.#attempt(sequences);
    const damage = found instanceof StoredDamage ? found : undefined;
    const entries = found instanceof StoredDamage ? [] : found;
    if (entries.length === sequences.length) {
      for (const [index, sequence] of sequences.entries())
        this.#looked.set(sequence, lookAt(sequence, entries[index] as StoredEntry));
      return;
    }
    const [first = 0] = sequences;
    if (sequences.length === 1) {
      const finding = damage === undefined ? missing(first) : damageAt(first, damage);
      this.#looked.set(first, { outcome: 'wrong', finding });
      return;
    }
    const half = Math.ceil(sequences.length / 2);
    await this.#read(sequences.slice(0, half));
    await this.#read(sequences.slice(half));
  }

  async #attempt(sequences: readonly number[]): Promise<readonly StoredEntry[] | StoredDamage> {
    const { registryId, copy } = this.#head;
    return orDamage(() => this.#store.entriesAt(registryId, copy, sequences));
  }
}

function missing(sequence: number): AuditFinding {
  const detail = `entry ${sequence} is missing below the head`;
  return findingAt(sequence, { code: 'ENTRY_MISSING', detail });
}

/** Whether the entry still is what it was: its own bytes, its transaction's, and what is beside. */
function lookAt(sequence: number, stored: StoredEntry): LookedAt {
  const wrong = (flaw: Pick<AuditFinding, 'code' | 'detail'>, digests: readonly string[]) =>
    ({ outcome: 'wrong', finding: findingAt(sequence, flaw, digests) }) as const;
  const read = readEntry(stored.entry);
  if (read.outcome === 'refused') return wrong(read, [stored.digest]);
  const transaction = readTransaction(stored.transaction);
  if (transaction.outcome === 'refused') return wrong(transaction, [stored.digest]);
  const { transactionDigest } = read.entry;
  if (transaction.digest !== transactionDigest) {
    const detail =
      `the transaction of entry ${sequence} comes out to ${transaction.digest}; ` +
      `the entry names ${transactionDigest}`;
    return wrong({ code: 'TRANSACTION_DIGEST_DIFFERS', detail }, [
      transactionDigest,
      transaction.digest,
    ]);
  }
  const { transactionId } = transaction.transaction;
  const place = read.entry.sequence === sequence && stored.sequence === sequence;
  if (place && stored.digest === read.digest && stored.transactionId === transactionId)
    return { outcome: 'sound', stored, read, transaction };
  const detail =
    `entry ${read.entry.sequence} comes out to ${read.digest} with the transaction id ` +
    `${transactionId}; it is stored in the place ${sequence} as entry ${stored.sequence} with ` +
    `${stored.digest} and ${stored.transactionId}`;
  return wrong({ code: 'STORED_ENTRY_DIFFERS', detail }, [stored.digest, read.digest]);
}

/** The sequences that an entry links to; what is not before it is no link. */
export function sequencesLinked({ read }: SoundEntry): number[] {
  const { backlinks, configuration, subject, sequence } = read.entry;
  const links: (Link | undefined)[] = [...backlinks, configuration, subject];
  return links
    .map((link) => link?.sequence ?? 0)
    .filter((linked) => linked >= 1 && linked < sequence);
}
