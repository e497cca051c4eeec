import { backlinkSequences } from './backlinks.ts';
import { type Configuration, leadOf, sameLink } from './chain.ts';
import type { CertificateId, Digest, RegistryId, Sequence } from './digest.ts';
import { buildEntry, type Entry, linkTo, type ReadEntry } from './entry.ts';
import { bytesOf, type Receipt, receiptPath } from './receipt.ts';
import { accepted, fail, malformed } from './receipt-refusal.ts';
import { type ReadTransaction, readTransaction } from './transaction.ts';

/** The entries in a receipt, and how they hang together by digests (protocol section 4). */

/** An entry with its transaction. */
export interface Recorded {
  readonly read: ReadEntry;
  readonly transaction: ReadTransaction;
}

export class ReceiptEntries {
  readonly #registryId: RegistryId;
  readonly #bySequence = new Map<number, ReadEntry>();
  /** Those of `path` that no way has led over yet. */
  readonly #idle = new Set<number>();
  /** The receipt's own. */
  readonly subject: Recorded;
  readonly configurations: readonly Recorded[];
  readonly laterConfigurations: readonly Recorded[];

  constructor(receipt: Receipt, registryId: RegistryId) {
    this.#registryId = registryId;
    this.subject = this.#recorded(receipt);
    this.configurations = receipt.configurations.map((each) => this.#recorded(each));
    this.laterConfigurations = (receipt.later?.configurations ?? []).map((each) =>
      this.#recorded(each),
    );
    this.#readPath(receipt.path);
  }

  /** The entry that the receipt's is final since. */
  get since(): Sequence | undefined {
    return this.laterConfigurations.at(-1)?.read.entry.sequence;
  }

  /**
   * The entry that a statement is about, once the way from there has led down to the receipt's: from
   * `since` on over that entry, so that what is reached comes after both.
   */
  reached(stated: { readonly sequence: Sequence; readonly digest: Digest }): ReadEntry {
    const subject = this.subject.read.entry.sequence;
    if (stated.sequence < subject)
      malformed(`holds a statement about entry ${stated.sequence}, before its own ${subject}`);
    const [first, ...others] = receiptPath(stated.sequence, subject, this.since);
    const from = this.#at(first as number);
    if (from.digest !== stated.digest)
      fail(
        'CHECKPOINT_DIFFERS',
        `a statement about entry ${stated.sequence} names ${stated.digest}; the entry comes out ` +
          `to ${from.digest}`,
      );
    let current = from;
    for (const sequence of others) {
      const next = this.#at(sequence);
      const link = current.entry.backlinks.find((each) => each.sequence === sequence);
      if (link?.digest !== next.digest)
        fail(
          'BACKLINKS_WRONG',
          `entry ${current.entry.sequence} links to ${link?.digest} as entry ${sequence}, which ` +
            `comes out to ${next.digest}`,
        );
      current = next;
    }
    return from;
  }

  /** Whatever proves nothing does not belong in a receipt. */
  requireUsed(): void {
    for (const sequence of this.#idle) malformed(`holds entry ${sequence}, which proves nothing`);
  }

  #at(sequence: number): ReadEntry {
    const read = this.#bySequence.get(sequence);
    if (read === undefined) return malformed(`lacks entry ${sequence}`);
    this.#idle.delete(sequence);
    return read;
  }

  #recorded({ entry, transaction }: Pick<Receipt, 'entry' | 'transaction'>): Recorded {
    const read = this.#entry(entry);
    const recorded = accepted(readTransaction(bytesOf(transaction)));
    const { sequence, transactionDigest } = read.entry;
    if (recorded.digest !== transactionDigest)
      fail(
        'TRANSACTION_DIGEST_DIFFERS',
        `entry ${sequence} names the transaction ${transactionDigest}; the one beside it comes ` +
          `out to ${recorded.digest}`,
      );
    return { read, transaction: recorded };
  }

  /** The schema has read the members; the bytes that were hashed are their only encoding. */
  #entry(entry: Entry): ReadEntry {
    const read = buildEntry(entry);
    const { sequence, registryId, backlinks } = read.entry;
    if (registryId !== this.#registryId)
      fail(
        'REGISTRY_DIFFERS',
        `entry ${sequence} is of registry ${registryId}; expected ${this.#registryId}`,
      );
    // With two links to one place a lead would sign for two entries at once.
    if (backlinks.map((link) => link.sequence).join() !== backlinkSequences(sequence).join())
      fail('BACKLINKS_WRONG', `entry ${sequence} has backlinks that are not the rule's`);
    if (this.#bySequence.has(sequence)) malformed(`holds entry ${sequence} twice`);
    this.#bySequence.set(sequence, read);
    return read;
  }

  #readPath(path: Receipt['path']): void {
    let previous = Number.POSITIVE_INFINITY;
    for (const object of path) {
      const { sequence } = this.#entry(object).entry;
      if (sequence > previous) malformed('holds a path that does not descend');
      previous = sequence;
      this.#idle.add(sequence);
    }
  }
}

/** The list in force at an entry after the list that was in force before it. */
export function listAt(before: Configuration, { read, transaction }: Recorded): Configuration {
  const { sequence, configuration, lead } = read.entry;
  if (transaction.transaction.type === 'create-registry')
    fail('NOT_FIRST_ENTRY', `entry ${sequence} creates a registry; only entry 1 does`);
  if (!sameLink(configuration, before) || before.sequence >= sequence)
    fail(
      'CONFIGURATION_LINK_WRONG',
      `entry ${sequence} does not link to the peer list of entry ${before.sequence}`,
    );
  requireLead(lead, leadOf(before), sequence);
  const brought = transaction.transaction;
  return 'peers' in brought ? { ...linkTo(read), peers: brought.peers } : before;
}

/** The list that entry 1 brings: the registry id vouches for it. */
export function firstList({ read, transaction }: Recorded, registryId: RegistryId): Configuration {
  const { sequence, configuration, lead } = read.entry;
  const creation = transaction.transaction;
  if (creation.type !== 'create-registry' || sequence !== 1 || configuration !== undefined)
    return fail('NOT_FIRST_ENTRY', `the peer lists begin with entry ${sequence}; expected entry 1`);
  if (transaction.digest !== registryId)
    fail('REGISTRY_DIFFERS', `entry 1 creates ${transaction.digest}; expected ${registryId}`);
  requireLead(lead, leadOf(creation), sequence);
  return { ...linkTo(read), peers: creation.peers };
}

/** As `listAt`, of an entry that must bring a list. */
export function nextList(before: Configuration, recorded: Recorded): Configuration {
  const after = listAt(before, recorded);
  if (after === before) malformed(`holds entry ${recorded.read.entry.sequence} as a peer list`);
  return after;
}

/** Holds whoever is named or signed as lead against the one that is in force. */
export function requireLead(found: CertificateId, lead: CertificateId, sequence: number): void {
  if (found !== lead)
    fail('LEAD_DIFFERS', `${found} stands as the lead of entry ${sequence}; in force is ${lead}`);
}
