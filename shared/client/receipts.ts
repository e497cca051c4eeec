/**
 * Receipts, fetched and verified: what every verified read of this client rests on. Nothing is
 * trusted but the cluster's CA and the registry id (protocol section 10).
 */
import type { Link } from '../ledger/backlinks.ts';
import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import type { Compact } from '../ledger/jws.ts';
import type { Receipt } from '../ledger/receipt.ts';
import { type VerifiedReceipt, verifyReceipt } from '../ledger/verify-receipt.ts';
import type { RecordedEntry } from './appending.ts';
import type { CallOptions, Calls } from './calls.ts';
import { type EntryId, entryPath } from './paths.ts';
import { notProven, type RegistryError } from './problem.ts';

/** What is proven of one entry. */
export interface ProvenEntry {
  readonly receipt: VerifiedReceipt;
  /** What the entry is about: the version before, the version to be signed, the request. */
  readonly subject?: Link;
}

export interface FetchedReceipt extends ProvenEntry {
  /** To be kept: they verify for ever. */
  readonly bytes: Buffer;
}

/** An entry that an answer names as the source of what it says. */
export interface EntryPlace extends Link {
  readonly registryId: string;
}

/** Verified receipts that are kept: a page of versions with their requests needs some hundred. */
const KEPT_MAX = 256;

export class Receipts {
  readonly #calls: Calls;
  readonly #clusterCaPem: string;
  /** In the order of their last use. */
  readonly #kept = new Map<string, ProvenEntry>();

  constructor(calls: Calls, clusterCaPem: string) {
    this.#calls = calls;
    this.#clusterCaPem = clusterCaPem;
  }

  /** The receipt of the entry as the instance can prove it now. */
  async fetch(registryId: string, entry: EntryId, options?: CallOptions): Promise<FetchedReceipt> {
    const path = `${entryPath(registryId, entry)}/receipt`;
    const { bytes } = await this.#calls.send({ method: 'GET', path, ...options });
    const fetched = this.verify(bytes, registryId);
    const { sequence, transaction } = fetched.receipt;
    const found = typeof entry === 'number' ? sequence : transaction.transactionId;
    if (found !== entry) throw notProven(`asked for entry ${entry}, the receipt is of ${found}`);
    this.#keep(keyOf(registryId, sequence), fetched);
    return fetched;
  }

  /** Verifies bytes as a receipt of the registry. */
  verify(untrusted: Buffer, registryId: string): FetchedReceipt {
    const trust = { clusterCaPem: this.#clusterCaPem, registryId: registryId as RegistryId };
    const receipt = verifyReceipt(untrusted, trust);
    if (receipt.outcome === 'refused')
      throw notProven(`the receipt is refused (${receipt.code}): ${receipt.detail}`);
    // The receipt was verified, so these are the bytes of the entry whose digest is proven.
    const { entry } = JSON.parse(untrusted.toString('utf8')) as Pick<Receipt, 'entry'>;
    const { subject } = entry;
    return { receipt, bytes: untrusted, ...(subject === undefined ? {} : { subject }) };
  }

  /**
   * What `read` takes from the proven entry at that place. Of an entry only its confirmations and
   * the presence of its details ever change, so a receipt that was verified before will do; where
   * `read` objects to that one, it is given a new one.
   */
  async proven<T>(
    { registryId, sequence, digest }: EntryPlace,
    read: (proven: ProvenEntry) => T,
    options?: CallOptions,
  ): Promise<T> {
    const kept = this.#used(keyOf(registryId, sequence));
    if (kept !== undefined) {
      try {
        return readAt(kept);
      } catch (error) {
        if ((error as RegistryError).code !== 'ANSWER_NOT_PROVEN') throw error;
      }
    }
    return readAt(await this.fetch(registryId, sequence, options));

    function readAt(proven: ProvenEntry): T {
      if (proven.receipt.digest !== digest)
        throw notProven(
          `the answer names entry ${sequence} as ${digest}; it is ${proven.receipt.digest}`,
        );
      return read(proven);
    }
  }

  #used(key: string): ProvenEntry | undefined {
    const kept = this.#kept.get(key);
    if (kept !== undefined) this.#keep(key, kept);
    return kept;
  }

  #keep(key: string, { receipt, subject }: ProvenEntry): void {
    this.#kept.delete(key);
    this.#kept.set(key, { receipt, ...(subject === undefined ? {} : { subject }) });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest);
  }
}

function keyOf(registryId: string, sequence: number): string {
  return `${registryId} ${sequence}`;
}

/** The entry of a receipt, as an answer to appending it would have shown it. */
export function recordedEntryOf({ receipt, bytes }: FetchedReceipt): RecordedEntry {
  const { registryId, sequence, digest, transaction, timestamp, lead } = receipt;
  const { checkpoint } = JSON.parse(bytes.toString('utf8')) as { readonly checkpoint: Compact };
  const { transactionId } = transaction;
  return { registryId, sequence, digest, transactionId, timestamp, lead, checkpoint };
}

/** The mirrors of the list in force at the entry that the receipt shows without a confirmation. */
export function unconfirmedBy({ configuration, confirmations }: VerifiedReceipt): CertificateId[] {
  const confirmed = new Set(confirmations.map(({ peer }) => peer));
  return configuration.peers.slice(1).filter((peer) => !confirmed.has(peer));
}
