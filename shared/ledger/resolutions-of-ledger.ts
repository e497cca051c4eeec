import type { Link } from './backlinks.ts';
import { sameLink } from './chain.ts';
import { type ConflictStatement, conflictIdOf, conflictSchema } from './conflict.ts';
import { readCountersigned } from './countersigned.ts';
import type { CertificateId, Digest, RegistryId, Sequence } from './digest.ts';
import type { Entry } from './entry.ts';
import { type Refused, refuse } from './errors.ts';
import { readStatement } from './jws.ts';
import { limits } from './limits.ts';
import { flawOfNaming } from './naming.ts';
import { type Resolution, resolutionSchema } from './resolution.ts';
import { checkResolution } from './resolution-rules.ts';
import { carriedOut, type DecidedResolution, type VoidedEntry } from './superseding.ts';
import type { Transaction } from './transaction.ts';

/**
 * The resolutions of a whole ledger, and what they replace and void: protocol section 7. All that
 * its entries name are known before entry 1: only so an entry that breaks a rule can stand until the
 * one comes that carries the resolution of it out.
 */

/** A resolution that an entry carries out. */
export interface CarriedResolution {
  readonly digest: Digest;
  readonly manner: Resolution['manner'];
  readonly decidedBy: CertificateId;
  /** The instance that vouches for the operator: the lead. */
  readonly signer: CertificateId;
  /** Of the entry that carries it out. */
  readonly sequence: Sequence;
  readonly entries: readonly Link[];
}

/** An entry that does not count any more. */
export interface SupersededEntry {
  readonly sequence: Sequence;
  /** The entry of its alternative, if there is one. */
  readonly replacement?: Sequence;
}

/** What one resolution voids with the entry that carries it out. */
export interface Voiding {
  readonly resolution: Digest;
  readonly voided: readonly VoidedEntry[];
}

export class ResolutionsOfLedger {
  readonly #conflicts = new Map<Digest, ConflictStatement>();
  readonly #resolutions = new Map<Digest, Resolution>();
  /** Digests of the entries that are to be replaced or voided, by sequence. */
  readonly #replaced = new Map<number, Set<Digest>>();
  /** The entries at which resolutions were decided, and which they replace, as they are here. */
  readonly #places = new Map<number, VoidedEntry | undefined>();
  readonly #named = new Set<Digest>();
  readonly #carried: CarriedResolution[] = [];
  readonly #superseded = new Map<number, SupersededEntry>();
  readonly #tolerated = new Map<number, Refused>();
  readonly #peers: Set<CertificateId>;
  /** Of the newest commit: what its entries may replace, and since which of them. */
  #replaceable: { readonly links: readonly Link[]; readonly since: number }[] = [];

  constructor(peersBeyond: readonly CertificateId[] = []) {
    this.#peers = new Set(peersBeyond);
  }

  /** The first report of a conflict; comes before the resolutions of it. */
  conflict(compact: string): Refused | undefined {
    const read = readStatement(compact, conflictSchema);
    if (read.outcome === 'refused') return read;
    const id = conflictIdOf(read.statement);
    if (this.#conflicts.has(id)) return refuse('EXPORT_MALFORMED', `the conflict ${id} twice`);
    this.#conflicts.set(id, read.statement);
    return undefined;
  }

  /** A resolution with both signatures. */
  resolution(signed: {
    readonly statement: string;
    readonly decision: string;
  }): Refused | undefined {
    const read = readCountersigned(signed, resolutionSchema);
    if (read.outcome === 'refused') return read;
    const { statement, digest } = read;
    const unknown = statement.conflicts.find((id) => !this.#conflicts.has(id));
    if (unknown !== undefined)
      return refuse(
        'CONFLICT_UNKNOWN',
        `the resolution ${digest} is of the conflict ${unknown}, which does not stand before it`,
      );
    if (this.#resolutions.has(digest))
      return refuse('EXPORT_MALFORMED', `the resolution ${digest} twice`);
    this.#resolutions.set(digest, statement);
    for (const { sequence } of [statement.through, ...statement.entries])
      this.#places.set(sequence, undefined);
    if (statement.manner !== 'replace') return undefined;
    for (const { sequence, digest: replaced } of statement.entries)
      this.#replaced.set(sequence, (this.#replaced.get(sequence) ?? new Set()).add(replaced));
    return undefined;
  }

  /** Whether there is any resolution at all. */
  get known(): boolean {
    return this.#resolutions.size > 0;
  }

  /** The first statement that is of another registry. */
  foreignTo(registryId: RegistryId): Refused | undefined {
    const statements = [...this.#conflicts.values(), ...this.#resolutions.values()];
    const foreign = statements.find((statement) => statement.registryId !== registryId);
    if (foreign === undefined) return undefined;
    return refuse('STATEMENT_REGISTRY_DIFFERS', `is about the registry ${foreign.registryId}`);
  }

  /** Whether a resolution replaces or voids the entry. */
  replaces({ sequence, digest }: Link): boolean {
    return this.#replaced.get(sequence)?.has(digest) ?? false;
  }

  /** The entry, next in its place, carries out what it names: answers what becomes void. */
  carryOut(
    entry: Entry,
  ): { readonly outcome: 'carried'; readonly voidings: readonly Voiding[] } | Refused {
    const named: DecidedResolution[] = [];
    for (const digest of entry.resolves) {
      const statement = this.#resolutions.get(digest);
      if (statement === undefined)
        return refuse(
          'RESOLVES_UNKNOWN',
          `entry ${entry.sequence} names the resolution ${digest}, which is not here`,
        );
      const flaw = this.#flawOf({ digest, statement }, entry);
      if (flaw !== undefined) return flaw;
      this.#named.add(digest);
      named.push({ digest, statement });
    }
    const carried = carriedOut(named);
    return { outcome: 'carried', voidings: carried.map((each) => this.#voiding(each, entry)) };
  }

  /** The next entry, in its place, and the peers that it brings. */
  extend(
    link: Link,
    transaction: Transaction,
    brought: readonly CertificateId[] | undefined = [],
  ): void {
    for (const peer of brought) this.#peers.add(peer);
    if (this.#places.has(link.sequence)) this.#places.set(link.sequence, { link, transaction });
  }

  /** The newest entry has a checkpoint: its commit ends there. */
  endCommit(): void {
    this.#replaceable = [];
  }

  /**
   * What the entry of that sequence, next in its place, may replace: what its commit carries out.
   * Where no checkpoint shows the commit's end, it is at most a whole commit away.
   */
  replaceableAt(sequence: number): readonly Link[] {
    if (this.#replaceable.length === 0) return [];
    const reach = sequence - limits.commitEntriesMax;
    this.#replaceable = this.#replaceable.filter(({ since }) => since > reach);
    return this.#replaceable.flatMap(({ links }) => links);
  }

  /** The alternative has its entry. */
  replace(supersedes: Link, replacement: Sequence): void {
    const found = this.#superseded.get(supersedes.sequence);
    if (found !== undefined) this.#superseded.set(supersedes.sequence, { replacement, ...found });
  }

  /** The entry breaks a rule, and a resolution replaces it: an entry must carry that out. */
  tolerate(sequence: number, refused: Refused): void {
    this.#tolerated.set(sequence, refused);
  }

  /** Until an entry carries that out. */
  isTolerated(sequence: number): boolean {
    return this.#tolerated.has(sequence);
  }

  /** The first entry that breaks a rule and was not replaced after all. */
  get unresolved(): { readonly sequence: number; readonly refused: Refused } | undefined {
    const [first] = this.#tolerated;
    return first === undefined ? undefined : { sequence: first[0], refused: first[1] };
  }

  get carried(): readonly CarriedResolution[] {
    return this.#carried;
  }

  get superseded(): readonly SupersededEntry[] {
    return [...this.#superseded.values()];
  }

  #voiding({ digest, statement }: DecidedResolution, { sequence }: Entry): Voiding {
    const { manner, decidedBy, signer, entries } = statement;
    this.#carried.push({ digest, manner, decidedBy, signer, sequence, entries });
    if (manner !== 'replace') return { resolution: digest, voided: [] };
    this.#replaceable.push({ links: entries, since: sequence });
    for (const link of entries) {
      this.#tolerated.delete(link.sequence);
      if (!this.#superseded.has(link.sequence))
        this.#superseded.set(link.sequence, { sequence: link.sequence });
    }
    const places = entries.map((link) => this.#placeOf(link));
    return { resolution: digest, voided: places.filter((place) => place !== undefined) };
  }

  #flawOf({ digest, statement }: DecidedResolution, entry: Entry): Refused | undefined {
    const { sequence, lead } = entry;
    const again = flawOfNaming([digest], (each) => this.#named.has(each));
    if (again !== undefined) return again;
    if (statement.signer !== lead)
      return refuse(
        'LEAD_DIFFERS',
        `the resolution ${digest} is signed by ${statement.signer}; the lead of entry ` +
          `${sequence} is ${lead}`,
      );
    const conflicts = [...this.#conflicts]
      .filter(([id]) => statement.conflicts.includes(id))
      .map(([, conflict]) => conflict);
    const stranger = conflicts.find(({ signer }) => !this.#peers.has(signer));
    if (stranger !== undefined)
      return refuse('SIGNER_NO_PEER', `${stranger.signer} reported a conflict and was no peer`);
    return (
      checkResolution(statement, conflicts, lead) ??
      this.#flawOfPlaces({ digest, statement }, entry)
    );
  }

  /** Whether the entries that the resolution is about are those of this ledger. */
  #flawOfPlaces({ digest, statement }: DecidedResolution, entry: Entry): Refused | undefined {
    const { through, entries, manner } = statement;
    // The resolution of a fork names entries of both chains; what a take-back was decided at may be
    // the very entry that was damaged, and that nobody has.
    const decidedAt = manner === 'take-back' ? [] : [through];
    const links = manner === 'replace' ? [through, ...entries] : decidedAt;
    const other = links.find((link) => this.#placeOf(link) === undefined);
    if (other === undefined) return undefined;
    return refuse(
      'RESOLUTION_DIFFERS',
      `the resolution ${digest} names entry ${other.sequence} with ${other.digest}, which is not ` +
        `in this ledger before entry ${entry.sequence}`,
    );
  }

  #placeOf(link: Link): VoidedEntry | undefined {
    const place = this.#places.get(link.sequence);
    return sameLink(place?.link, link) ? place : undefined;
  }
}
