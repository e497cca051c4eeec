import { asBuffer } from './as-buffer.ts';
import { parseCanonical } from './canonical.ts';
import { type ChainHead, extendHead, leadOf } from './chain.ts';
import { checkCheckpoint } from './checkpoint.ts';
import { ClosingsOfLedger, type EndsOfLedger } from './closings-of-ledger.ts';
import { confirmationSchema } from './confirmation.ts';
import { ConfirmingPeers, listIn } from './confirming-peers.ts';
import { readCountersignedLine } from './countersigned.ts';
import type { CertificateId, Digest, RegistryId, Sequence } from './digest.ts';
import { linkTo, type ReadEntry } from './entry.ts';
import { type RefusalCode, type Refused, refuse } from './errors.ts';
import { readStatement } from './jws.ts';
import { limits } from './limits.ts';
import { kindOf } from './line-kind.ts';
import {
  type Beside,
  type BesideCheck,
  checkBeside,
  type RedactedDetails,
  RedactionsOfLedger,
  readRedactedLine,
} from './redaction.ts';
import {
  type CarriedResolution,
  ResolutionsOfLedger,
  type SupersededEntry,
} from './resolutions-of-ledger.ts';
import { RulesOfLedger } from './rules-of-ledger.ts';
import { readSignedLine } from './signed-line.ts';
import { formatOf, type ReadTransaction, readTransaction } from './transaction.ts';

/**
 * Verifies a whole ledger from its bytes, entry 1 to head, trusting nothing but what is signed. It
 * is fed line by line with an export, or entry by entry with what an instance stores.
 *
 * That every entry stands in its place is checked by building it once more: bytes that are exactly
 * those that the rules of sections 3 and 4 lead to need no other check. Only what differs is looked
 * at member by member, to say what is wrong.
 */

/** The first thing that is wrong. */
export interface Finding {
  readonly outcome: 'wrong';
  /** The entry that is wrong, or that a wrong statement stands at. */
  readonly sequence: number;
  readonly code: RefusalCode;
  readonly detail: string;
}

/** What a sound ledger holds. */
export interface Report extends EndsOfLedger {
  readonly outcome: 'verified';
  readonly registryId: RegistryId;
  readonly entries: number;
  readonly headDigest: Digest;
  /** In force after the last entry. */
  readonly lead: CertificateId;
  readonly peers: readonly CertificateId[];
  readonly checkpoints: number;
  readonly confirmations: readonly ConfirmedThrough[];
  /** Entries whose details were taken out. */
  readonly redactions: readonly RedactedDetails[];
  /** In the order in which entries carry them out. */
  readonly resolutions: readonly CarriedResolution[];
  /** What those replaced or voided. */
  readonly superseded: readonly SupersededEntry[];
}

/** The confirmations of one signer. */
export interface ConfirmedThrough {
  readonly signer: CertificateId;
  readonly count: number;
  readonly newest: Sequence;
}

export interface VerifierOptions {
  /** The registry that the ledger is to be of; without it any registry will do. */
  readonly registryId?: Digest;
  /**
   * Whether the rules of section 3 and the subject links are checked: takes up to 136 bytes of
   * memory an entry, and constant memory without.
   */
  readonly rules: boolean;
  /** Peers of lists behind the last entry, where something else proves them: they may redact. */
  readonly peersBeyond?: readonly CertificateId[];
}

/** One entry as bytes. They must not change before the next call. */
export interface EntryBytes extends Beside {
  readonly entry: Uint8Array;
  readonly transaction: Uint8Array;
}

/** Every method answers the first finding, and after it nothing else. */
export class LedgerVerifier {
  readonly #registryId: Digest | undefined;
  readonly #peers = new ConfirmingPeers();
  readonly #confirmations = new Map<CertificateId, ConfirmedThrough>();
  readonly #redactions: RedactionsOfLedger;
  readonly #resolutions: ResolutionsOfLedger;
  readonly #closings: ClosingsOfLedger;
  readonly #rules: RulesOfLedger;
  #head: ChainHead | undefined;
  /** Of the newest entry; it signs its checkpoint, also where it hands over. */
  #lead = '' as CertificateId;
  #checkpointed = false;
  #checkpoints = 0;
  #begun: Omit<EntryBytes, 'entry'> | undefined;
  #finding: Finding | undefined;

  constructor({ registryId, rules, peersBeyond }: VerifierOptions) {
    this.#redactions = new RedactionsOfLedger(peersBeyond);
    this.#resolutions = new ResolutionsOfLedger(peersBeyond);
    this.#closings = new ClosingsOfLedger(peersBeyond);
    this.#rules = new RulesOfLedger(this.#resolutions, rules);
    this.#registryId = registryId;
  }

  /** The chain as far as it is verified. */
  get head(): ChainHead | undefined {
    return this.#head;
  }

  /** Whether the newest entry breaks a rule, and stands because a resolution replaces it. */
  tolerates(sequence: number): boolean {
    return this.#resolutions.isTolerated(sequence);
  }

  /** The next line of an export, without its newline. Bytes must not change before the next entry. */
  line(bytes: Uint8Array): Finding | undefined {
    if (this.#finding !== undefined) return this.#finding;
    const line = asBuffer(bytes);
    switch (kindOf(line)) {
      case 'transaction':
        if (this.#begun !== undefined) return this.#malformed('two transactions in a row');
        this.#begun = { transaction: line };
        return undefined;
      case 'details':
      case 'redacted':
        return this.#beside(line);
      case 'entry': {
        const begun = this.#begun;
        if (begun === undefined) return this.#malformed('an entry without its transaction');
        this.#begun = undefined;
        return this.entry({ ...begun, entry: line });
      }
      case 'signed':
        return this.#signed(line);
      case 'countersigned':
        return this.#countersigned(line);
      case undefined:
        return this.#unknown(line);
    }
  }

  /** The first report of a conflict that a resolution is of. All of them come before entry 1. */
  conflict(compact: string): Finding | undefined {
    return this.#before(() => this.#resolutions.conflict(compact));
  }

  /** A resolution that an entry names, after the conflicts that it is of. */
  resolution(signed: {
    readonly statement: string;
    readonly decision: string;
  }): Finding | undefined {
    return this.#before(() => this.#resolutions.resolution(signed));
  }

  /** The next entry with its transaction and details. */
  entry(bytes: EntryBytes): Finding | undefined {
    if (this.#finding !== undefined) return this.#finding;
    const head = this.#head;
    if (head !== undefined && this.#peers.handOver && !this.#checkpointed)
      return this.#checkpointMissing(head, 'hands over the lead');
    if (this.#closings.beyond)
      return this.#malformed('an entry behind a closing that names a later one');
    const transaction = readTransaction(bytes.transaction);
    if (transaction.outcome === 'refused') return this.#wrongNext(transaction);
    const beside = this.#checkBeside(transaction, bytes);
    if (beside.outcome === 'refused') return this.#wrongNext(beside);
    const read = this.#rules.place(head, bytes.entry, transaction);
    if (read.outcome === 'refused') return this.#wrongNext(read);
    this.#extend(read, transaction);
    this.#redactions.extend(beside, listIn(transaction));
    return undefined;
  }

  /** A checkpoint of the newest entry. */
  checkpoint(compact: string): Finding | undefined {
    if (this.#finding !== undefined) return this.#finding;
    const head = this.#head;
    if (head === undefined) return this.#malformed('a statement before the first entry');
    const read = checkCheckpoint(compact, { ...head, signer: this.#lead });
    if (read.outcome === 'refused') return this.#wrong(head.sequence, read);
    this.#checkpointed = true;
    this.#checkpoints += 1;
    this.#peers.endCommit();
    this.#resolutions.endCommit();
    return undefined;
  }

  /** A confirmation of the newest entry, after its checkpoint. */
  confirmation(compact: string): Finding | undefined {
    if (this.#finding !== undefined) return this.#finding;
    const head = this.#head;
    if (head === undefined) return this.#malformed('a statement before the first entry');
    const read = readStatement(compact, confirmationSchema);
    if (read.outcome === 'refused') return this.#wrong(head.sequence, read);
    const { registryId, sequence, digest, signer } = read.statement;
    if (registryId !== head.registryId)
      return this.#wrong(
        head.sequence,
        refuse('STATEMENT_REGISTRY_DIFFERS', `confirms the registry ${registryId}`),
      );
    if (sequence !== head.sequence || digest !== head.digest)
      return this.#wrong(
        head.sequence,
        refuse(
          'CHECKPOINT_DIFFERS',
          `${signer} confirms entry ${sequence} with ${digest}; ` +
            `entry ${head.sequence} comes out to ${head.digest}`,
        ),
      );
    if (!this.#checkpointed) return this.#checkpointMissing(head, 'is confirmed');
    if (!this.#peers.includes(signer))
      return this.#wrong(
        head.sequence,
        refuse('SIGNER_NO_PEER', `${signer} was no mirror at entry ${sequence}`),
      );
    const count = (this.#confirmations.get(signer)?.count ?? 0) + 1;
    this.#confirmations.set(signer, { signer, count, newest: sequence });
    return undefined;
  }

  /** A peer's closing that names the newest entry, or after the last entry a later one. */
  closing(compact: string): Finding | undefined {
    if (this.#finding !== undefined) return this.#finding;
    const head = this.#head;
    if (head === undefined) return this.#malformed('a statement before the first entry');
    const refused = this.#closings.closing(compact, head);
    return refused === undefined ? undefined : this.#wrong(head.sequence, refused);
  }

  /** What was verified, once everything was fed. */
  end(): Report | Finding {
    if (this.#finding !== undefined) return this.#finding;
    const head = this.#head;
    if (this.#begun !== undefined) return this.#malformed('the end, in the middle of an entry');
    if (head === undefined) return this.#malformed('no entry at all');
    if (!this.#checkpointed) return this.#checkpointMissing(head, 'is the last');
    const { unresolved } = this.#resolutions;
    if (unresolved !== undefined) return this.#wrong(unresolved.sequence, unresolved.refused);
    const { strange } = this.#redactions;
    if (strange !== undefined)
      return this.#wrong(
        strange.sequence,
        refuse('SIGNER_NO_PEER', `${strange.signer} redacted details and was never a peer`),
      );
    const closed = this.#closings.strange;
    if (closed !== undefined) return this.#wrong(closed.sequence, closed.refused);
    return {
      outcome: 'verified',
      registryId: head.registryId,
      entries: head.sequence,
      headDigest: head.digest,
      lead: leadOf(head.configuration),
      peers: head.configuration.peers,
      checkpoints: this.#checkpoints,
      confirmations: [...this.#confirmations.values()],
      redactions: this.#redactions.found,
      resolutions: this.#resolutions.carried,
      superseded: this.#resolutions.superseded,
      ...this.#closings.found,
    };
  }

  /** Details, or in their place their redaction. */
  #beside(line: Buffer): Finding | undefined {
    const begun = this.#begun;
    if (begun === undefined || begun.details !== undefined || begun.redaction !== undefined)
      return this.#malformed('details that do not follow a transaction');
    if (kindOf(line) === 'details') {
      this.#begun = { ...begun, details: line };
      return undefined;
    }
    const read = readRedactedLine(line);
    if (read.outcome === 'refused') return this.#wrongNext(read);
    this.#begun = { ...begun, redaction: read.redaction };
    return undefined;
  }

  #signed(line: Buffer): Finding | undefined {
    if (this.#begun !== undefined) return this.#malformed('a statement in the middle of an entry');
    const signed = readSignedLine(line);
    if (signed.outcome === 'refused') return this.#wrong(this.#head?.sequence ?? 1, signed);
    switch (signed.kind) {
      case 'checkpoint':
        return this.checkpoint(signed.compact);
      case 'confirmation':
        return this.confirmation(signed.compact);
      case 'conflict':
        return this.conflict(signed.compact);
      case 'closing':
        return this.closing(signed.compact);
    }
  }

  #countersigned(line: Buffer): Finding | undefined {
    const read = readCountersignedLine(line);
    return read.outcome === 'refused' ? this.#wrongNext(read) : this.resolution(read.signed);
  }

  #before(read: () => Refused | undefined): Finding | undefined {
    if (this.#finding !== undefined) return this.#finding;
    if (this.#head !== undefined || this.#begun !== undefined)
      return this.#malformed('a conflict or a resolution that does not stand before entry 1');
    const refused = read();
    return refused === undefined ? undefined : this.#wrongNext(refused);
  }

  #unknown(line: Buffer): Finding {
    const parsed = parseCanonical(line, limits.transactionBytesMax);
    if (parsed.outcome === 'refused') return this.#wrongNext(parsed);
    return this.#wrongNext(
      refuse('UNKNOWN_FORMAT', `a line with the format ${formatOf(parsed.value)} is no part of it`),
    );
  }

  #checkBeside(read: ReadTransaction, beside: Beside): BesideCheck {
    const expected = this.#registryId;
    if (this.#head === undefined && expected !== undefined && read.digest !== expected)
      return refuse(
        'REGISTRY_DIFFERS',
        `is the registry ${read.digest}; ${expected} was expected: check which one you were given`,
      );
    const foreign = this.#head === undefined && this.#resolutions.foreignTo(read.digest);
    if (foreign) return foreign;
    // Entry 1 names the registry by its own transaction.
    const registryId = this.#head?.registryId ?? read.digest;
    const sequence = (this.#head?.sequence ?? 0) + 1;
    return checkBeside(read, beside, { registryId, sequence });
  }

  #extend(read: ReadEntry, transaction: ReadTransaction): void {
    const before = this.#head;
    const { sequence, lead } = read.entry;
    this.#checkpointed = false;
    this.#lead = lead;
    this.#head = extendHead(before, read, transaction.transaction);
    this.#peers.extend(sequence, listIn(transaction));
    this.#closings.extend(transaction.transaction);
    this.#resolutions.extend(linkTo(read), transaction.transaction, listIn(transaction));
  }

  #wrong(sequence: number, { code, detail }: Refused): Finding {
    this.#finding = { outcome: 'wrong', sequence, code, detail };
    return this.#finding;
  }

  #wrongNext(refused: Refused): Finding {
    return this.#wrong((this.#head?.sequence ?? 0) + 1, refused);
  }

  #malformed(found: string): Finding {
    return this.#wrongNext(
      refuse(
        'EXPORT_MALFORMED',
        `found ${found}; expected for each entry its transaction, its details and the entry, and ` +
          'after it the statements about it',
      ),
    );
  }

  #checkpointMissing({ sequence }: ChainHead, why: string): Finding {
    return this.#wrong(
      sequence,
      refuse('CHECKPOINT_MISSING', `entry ${sequence} ${why}; expected its lead's checkpoint`),
    );
  }
}
