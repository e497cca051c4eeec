import { type ChainHead, sameLink } from './chain.ts';
import { CompactState } from './compact-state.ts';
import { linkTo, type ReadEntry } from './entry.ts';
import { asExpected, examined, resolvesNothing } from './entry-in-place.ts';
import { type Refused, refuse } from './errors.ts';
import type { ResolutionsOfLedger } from './resolutions-of-ledger.ts';
import { type Ruling, rule, supersededBy } from './state.ts';
import { changesWithoutEffect, voidChanges } from './superseding.ts';
import type { ReadTransaction } from './transaction.ts';

/**
 * The entries of a whole ledger, each held against its place, the rules of section 3 and what the
 * resolutions make of it: the state is the fold of them.
 */
export class RulesOfLedger {
  readonly #resolutions: ResolutionsOfLedger;
  /** Absent where the rules are not checked. */
  readonly #state: CompactState | undefined;

  constructor(resolutions: ResolutionsOfLedger, checked: boolean) {
    this.#resolutions = resolutions;
    this.#state = checked ? new CompactState((link) => resolutions.replaces(link)) : undefined;
  }

  /** The entry that comes after `head`, if it may stand there. Its changes are recorded. */
  place(
    head: ChainHead | undefined,
    bytes: Uint8Array,
    transaction: ReadTransaction,
  ): ReadEntry | Refused {
    const carrying =
      this.#resolutions.known && !resolvesNothing(bytes)
        ? this.#carryOut(head, bytes, transaction)
        : undefined;
    if (carrying?.outcome === 'refused') return carrying;
    const ruling = this.#rule(head, transaction);
    const read = carrying ?? readPlaced(head, bytes, transaction, ruling);
    // What is wrong with the entry itself is the nearer reason.
    if (read.outcome === 'refused') return read;
    if (ruling.outcome === 'refused') return this.#tolerate(read, transaction, ruling);
    const { sequence, subject } = read.entry;
    if (this.#state !== undefined && !sameLink(subject, ruling.subject))
      return this.#tolerate(
        read,
        transaction,
        refuse('SUBJECT_LINK_WRONG', `entry ${sequence} does not link to what it is about`),
      );
    const supersedes = supersededBy(transaction.transaction);
    if (supersedes !== undefined) this.#resolutions.replace(supersedes, sequence);
    const changes = ruling.changesAt(linkTo(read));
    this.#state?.record(changes);
    return read;
  }

  /** The entry that carries out what it names. The marks come before its own transaction. */
  #carryOut(
    head: ChainHead | undefined,
    bytes: Uint8Array,
    transaction: ReadTransaction,
  ): ReadEntry | Refused {
    const read = examined(head, bytes, transaction);
    if (read.outcome === 'refused') return read;
    const carried = this.#resolutions.carryOut(read.entry);
    if (carried.outcome === 'refused') return carried;
    const state = this.#state;
    const entry = linkTo(read);
    if (state !== undefined)
      for (const { resolution, voided } of carried.voidings)
        state.record(voidChanges(state.view, voided, { entry, resolution }));
    return read;
  }

  /** Without a state only what needs none: what is entry 1. */
  #rule(head: ChainHead | undefined, { transaction, digest }: ReadTransaction): Ruling {
    if (this.#state !== undefined) {
      const replaceable = this.#resolutions.replaceableAt((head?.sequence ?? 0) + 1);
      return rule(head, this.#state.view, transaction, digest, replaceable);
    }
    if ((transaction.type === 'create-registry') !== (head === undefined))
      return refuse('NOT_FIRST_ENTRY', 'create-registry is entry 1 and only entry 1');
    return { outcome: 'accepted', changesAt: () => [] };
  }

  /** What breaks a rule stands only where a resolution replaces it, and then changes nothing. */
  #tolerate(
    read: ReadEntry,
    { transaction, digest }: ReadTransaction,
    broken: Refused,
  ): ReadEntry | Refused {
    const { code } = broken;
    const never = code === 'NOT_FIRST_ENTRY' || code === 'TRANSACTION_ID_REUSED';
    if (never || !this.#resolutions.replaces(linkTo(read))) return broken;
    const { sequence } = read.entry;
    this.#resolutions.tolerate(sequence, broken);
    const changes = changesWithoutEffect(transaction, { transactionDigest: digest, sequence });
    this.#state?.record(changes);
    return read;
  }
}

/** Nearly every entry is exactly as expected; what differs is looked at member by member. */
function readPlaced(
  head: ChainHead | undefined,
  bytes: Uint8Array,
  transaction: ReadTransaction,
  ruling: Ruling,
): ReadEntry | Refused {
  if (ruling.outcome === 'accepted') {
    const expected = asExpected(head, bytes, transaction, ruling.subject);
    if (expected !== undefined) return expected;
  }
  const read = examined(head, bytes, transaction);
  if (read.outcome === 'refused' || read.entry.resolves.length === 0) return read;
  const { sequence } = read.entry;
  return refuse('RESOLVES_UNKNOWN', `entry ${sequence} names resolutions that are not here`);
}
