import type * as z from 'zod';
import { type Configuration, leadOf } from './chain.ts';
import { type Checkpoint, checkpointSchema } from './checkpoint.ts';
import { confirmationSchema } from './confirmation.ts';
import type { CertificateId, Digest, RegistryId, Sequence } from './digest.ts';
import type { Refused } from './errors.ts';
import { type ReadStatement, readStatement, type Statement } from './jws.ts';
import { bytesOf, parseReceipt, type Receipt } from './receipt.ts';
import {
  firstList,
  listAt,
  nextList,
  ReceiptEntries,
  type Recorded,
  requireLead,
} from './receipt-entries.ts';
import { accepted, fail, malformed, ReceiptRefusal } from './receipt-refusal.ts';
import { signerIn } from './receipt-signers.ts';
import { checkBeside } from './redaction.ts';
import type { Details, Transaction } from './transaction.ts';

/**
 * Verifies a receipt offline, trusting nothing but the cluster's CA and the registry id: protocol
 * section 10. What is proven, in this order:
 *
 * 1. The entry, its transaction and its details belong together, by their digests.
 * 2. Entry 1 is the registry's: the digest of its transaction is the registry id. From its list on
 *    every later list is linked to the one before, up to the entry, so the leads are known. A lead
 *    whose list ends says so itself: a hand-over counts only with the old lead's own checkpoint,
 *    or whoever has a certificate of the cluster could write itself a list.
 * 3. The entry's lead signed a checkpoint from which backlinks lead down to the entry.
 * 4. Mirrors of the list in force at the entry signed confirmations, with ways down as well. They
 *    need no checkpoint beside them: what they vouch for is the entry, which has its lead's.
 * 5. Where the entry is final since a later list: that this list is the registry's (as in 2, with a
 *    checkpoint of its own), that it comes after the entry, and that all its mirrors confirmed it.
 *
 * A receipt holds what these steps use and nothing else. Whether the entry breaks a rule of section
 * 3 is not for one entry to tell; a confirmation says that a mirror found none.
 */

export interface ReceiptTrust {
  /** One or more certificates in PEM. */
  readonly clusterCaPem: string;
  readonly registryId: RegistryId;
}

export interface ReceiptConfirmation {
  readonly peer: CertificateId;
  /** Of the confirmed entry: the receipt's own or a later one. */
  readonly sequence: Sequence;
  /** By the peer's clock. */
  readonly confirmedAt: string;
}

/** Protocol section 6, as far as the receipt proves it: more may have been confirmed since. */
export type ReceiptStatus =
  | { readonly status: 'recorded' }
  | { readonly status: 'confirmed'; readonly by: number; readonly of: number }
  | { readonly status: 'final' }
  | {
      readonly status: 'final-since';
      readonly since: Sequence;
      /** Mirrors of the list in force at the entry whose confirmation is missing. */
      readonly without: readonly CertificateId[];
    };

/** A peer list and the entry that put it in force; the first of the peers leads. */
export interface ReceiptList {
  readonly sequence: Sequence;
  readonly peers: readonly CertificateId[];
}

/** What a receipt proves. */
export interface VerifiedReceipt {
  readonly outcome: 'verified';
  readonly registryId: RegistryId;
  readonly sequence: Sequence;
  readonly digest: Digest;
  /** By the lead's clock. */
  readonly timestamp: string;
  /** Who appended the entry. */
  readonly lead: CertificateId;
  readonly transaction: Transaction;
  readonly details?: Details;
  /** Who took the details away, and why. That `decidedBy` was an operator the signer vouches for. */
  readonly redaction?: {
    readonly signer: CertificateId;
    readonly decidedBy: CertificateId;
    readonly reason: string;
  };
  /** The statement of the lead that holds the entry. */
  readonly checkpoint: { readonly sequence: Sequence; readonly issuedAt: string };
  /** In force at the entry: a reconfigure is governed by its own new list. */
  readonly configuration: ReceiptList;
  /** Of mirrors of that list, in its order. */
  readonly confirmations: readonly ReceiptConfirmation[];
  /** Only where the entry is final since a later list: that list, and all its mirrors. */
  readonly later?: ReceiptList & { readonly confirmations: readonly ReceiptConfirmation[] };
  readonly status: ReceiptStatus;
}

/** Verifies untrusted bytes as a receipt. Throws where the cluster's CA itself cannot be read. */
export function verifyReceipt(
  untrusted: Uint8Array,
  trust: ReceiptTrust,
): VerifiedReceipt | Refused {
  const parsed = parseReceipt(untrusted);
  if (parsed.outcome === 'refused') return parsed;
  try {
    return new ReceiptVerifier(parsed.receipt, trust).verified();
  } catch (error) {
    if (error instanceof ReceiptRefusal) return error.refused;
    throw error;
  }
}

class ReceiptVerifier {
  readonly #receipt: Receipt;
  readonly #registryId: RegistryId;
  readonly #entries: ReceiptEntries;
  /** Everybody whose certificate is here, and whether they signed something. */
  readonly #signers = new Map<CertificateId, 'idle' | 'signed'>();
  #handOvers = 0;

  constructor(receipt: Receipt, { registryId, clusterCaPem }: ReceiptTrust) {
    this.#receipt = receipt;
    this.#registryId = registryId;
    this.#entries = new ReceiptEntries(receipt, registryId);
    this.#readSigners(clusterCaPem);
  }

  verified(): VerifiedReceipt {
    const receipt = this.#receipt;
    const { read, transaction } = this.#entries.subject;
    const { sequence, timestamp, lead } = read.entry;
    const content = this.#content();
    const list = this.#listInForce();
    const { issuedAt, sequence: at } = this.#checkpoint(receipt.checkpoint, lead);
    const confirmations = this.#confirmations(receipt.confirmations, list, sequence);
    const later = receipt.later && this.#later(receipt.later, list, confirmations);
    const status = statusOf(list, confirmations, later);
    this.#requireUsed();
    return {
      outcome: 'verified',
      registryId: this.#registryId,
      sequence,
      digest: read.digest,
      timestamp,
      lead,
      transaction: transaction.transaction,
      ...content,
      checkpoint: { sequence: at, issuedAt },
      configuration: { sequence: list.sequence, peers: list.peers },
      confirmations,
      ...(later === undefined ? {} : { later }),
      status,
    };
  }

  #readSigners(clusterCaPem: string): void {
    let previous = '';
    for (const base64 of this.#receipt.certificates) {
      if (base64 <= previous) malformed('holds certificates that are not in ascending order');
      previous = base64;
      const { certificateId } = accepted(signerIn(base64, clusterCaPem));
      if (this.#signers.has(certificateId)) malformed(`holds two certificates of ${certificateId}`);
      this.#signers.set(certificateId, 'idle');
    }
  }

  /** A statement about this registry by somebody whose certificate is here. */
  #statement<Schema extends z.ZodType<Statement>>(
    compact: string,
    schema: Schema,
  ): ReadStatement<z.output<Schema>> {
    const read = accepted(readStatement(compact, schema));
    const { registryId, signer } = read.statement;
    if (registryId !== this.#registryId)
      fail('STATEMENT_REGISTRY_DIFFERS', `a statement is about the registry ${registryId}`);
    this.#signed(signer);
    return read;
  }

  #signed(signer: CertificateId): void {
    if (!this.#signers.has(signer)) malformed(`lacks the certificate of ${signer}`);
    this.#signers.set(signer, 'signed');
  }

  /** The details as the transaction binds them, or which instance redacted them. */
  #content(): Pick<VerifiedReceipt, 'details' | 'redaction'> {
    const { read, transaction } = this.#entries.subject;
    const { details, redaction } = this.#receipt;
    const beside = accepted(
      checkBeside(
        transaction,
        {
          ...(details === undefined ? {} : { details: bytesOf(details) }),
          ...(redaction === undefined ? {} : { redaction }),
        },
        { registryId: this.#registryId, sequence: read.entry.sequence },
      ),
    );
    if (beside.redaction === undefined)
      return beside.details === undefined ? {} : { details: beside.details };
    const { signer, decidedBy, reason } = beside.redaction;
    this.#signed(signer);
    return { redaction: { signer, decidedBy, reason } };
  }

  /** The list in force at the entry, by the lists from entry 1 on. */
  #listInForce(): Configuration {
    const { configurations, subject } = this.#entries;
    const [first, ...others] = configurations;
    if (first === undefined) return firstList(subject, this.#registryId);
    let inForce = firstList(first, this.#registryId);
    for (const recorded of others) inForce = this.#followed(inForce, recorded);
    return listAt(inForce, subject);
  }

  /** The list that the entry is final since, by the lists from the one in force at the entry on. */
  #laterList(from: Configuration): { list: Configuration; lead: CertificateId } {
    const { laterConfigurations, subject } = this.#entries;
    const last = laterConfigurations.at(-1);
    let [list, lead] = [from, leadOf(from)];
    for (const recorded of laterConfigurations) {
      const { sequence } = recorded.read.entry;
      if (sequence <= subject.read.entry.sequence)
        malformed(`holds the list of entry ${sequence} as one that came later`);
      lead = leadOf(list);
      // Whoever leads after the last one has signed nothing here.
      list = recorded === last ? nextList(list, recorded) : this.#followed(list, recorded);
    }
    return { list, lead };
  }

  /** The next list. Where it hands the lead over, the lead before it has signed that it does. */
  #followed(before: Configuration, recorded: Recorded): Configuration {
    const after = nextList(before, recorded);
    if (leadOf(before) !== leadOf(after)) this.#handOver(recorded);
    return after;
  }

  #handOver({ read }: Recorded): void {
    const { sequence, lead } = read.entry;
    const compact = this.#receipt.handOvers[this.#handOvers];
    this.#handOvers += 1;
    if (compact === undefined)
      fail('CHECKPOINT_MISSING', `entry ${sequence} hands over without a word of ${lead}`);
    const { statement } = this.#statement(compact, checkpointSchema);
    requireLead(statement.signer, lead, sequence);
    if (statement.sequence !== sequence || statement.digest !== read.digest)
      fail('CHECKPOINT_DIFFERS', `the checkpoint of the hand-over is not over entry ${sequence}`);
  }

  /** A checkpoint by that lead, at an entry of its own from which a way leads down. */
  #checkpoint(compact: string, lead: CertificateId): Checkpoint {
    const { statement } = this.#statement(compact, checkpointSchema);
    const { sequence, signer } = statement;
    requireLead(signer, lead, sequence);
    // A hand-over ends its commit, so the nearest checkpoint is of the same lead.
    requireLead(this.#entries.reached(statement).entry.lead, lead, sequence);
    return statement;
  }

  /** Confirmations of mirrors of the list, in its order, of the entry `from` or a later one. */
  #confirmations(
    compacts: readonly string[],
    { peers }: Configuration,
    from: Sequence,
  ): ReceiptConfirmation[] {
    let previous = 0;
    return compacts.map((compact) => {
      const { statement } = this.#statement(compact, confirmationSchema);
      const { signer, sequence, confirmedAt } = statement;
      const place = peers.indexOf(signer);
      if (place < 1) fail('SIGNER_NO_PEER', `${signer} confirms, but is no mirror of its list`);
      if (place <= previous) malformed('holds confirmations in another order than its list');
      if (sequence < from) malformed(`counts a confirmation of entry ${sequence} for ${from}`);
      previous = place;
      this.#entries.reached(statement);
      return { peer: signer, sequence, confirmedAt };
    });
  }

  /** The later list as the registry's, by its own checkpoint, and all its mirrors after it. */
  #later(
    later: NonNullable<Receipt['later']>,
    from: Configuration,
    known: readonly ReceiptConfirmation[],
  ): Later {
    const { list, lead } = this.#laterList(from);
    const { sequence, peers } = list;
    const checkpoint = this.#checkpoint(later.checkpoint, lead);
    if (checkpoint.sequence < sequence)
      malformed(`counts a checkpoint of entry ${checkpoint.sequence} for ${sequence}`);
    const covering = known.filter((each) => each.sequence >= sequence);
    const confirmed = new Map(covering.map((each) => [each.peer, each]));
    for (const other of this.#confirmations(later.confirmations, list, sequence)) {
      if (confirmed.has(other.peer)) malformed(`holds two confirmations of ${other.peer} for one`);
      confirmed.set(other.peer, other);
    }
    const confirmations = peers.slice(1).flatMap((peer) => confirmed.get(peer) ?? []);
    if (confirmations.length === 0 || confirmations.length < peers.length - 1)
      malformed(
        `lacks confirmations of the list of entry ${sequence}, which it is not final since`,
      );
    return { sequence, peers, confirmations };
  }

  /** Whatever proves nothing does not belong in a receipt. */
  #requireUsed(): void {
    this.#entries.requireUsed();
    for (const [signer, use] of this.#signers)
      if (use === 'idle') malformed(`holds a certificate of ${signer}, who signed nothing in it`);
    if (this.#handOvers < this.#receipt.handOvers.length)
      malformed('holds checkpoints of hand-overs that did not happen');
  }
}

type Later = NonNullable<VerifiedReceipt['later']>;

function statusOf(
  { peers }: Configuration,
  confirmations: readonly ReceiptConfirmation[],
  later: Later | undefined,
): ReceiptStatus {
  const mirrors = peers.slice(1);
  const [by, of] = [confirmations.length, mirrors.length];
  if (by > 0 && by === of) {
    if (later !== undefined) malformed('holds a later list, but is final without it');
    return { status: 'final' };
  }
  if (later !== undefined) {
    const without = mirrors.filter((peer) => confirmations.every((each) => each.peer !== peer));
    return { status: 'final-since', since: later.sequence, without };
  }
  return by === 0 ? { status: 'recorded' } : { status: 'confirmed', by, of };
}
