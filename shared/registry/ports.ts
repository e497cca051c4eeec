/**
 * What one instance needs from the world, as contracts. Adapters implement them twice: against AWS
 * and in memory; one contract suite per port runs against both.
 *
 * Rules for all: a method rejects only for the unexpected. A rejected *write* is unknown, not
 * failed: callers read back. Byte arrays that are handed over are not changed afterwards.
 */
import type { ChainHead } from '../ledger/chain.ts';
import type { CertificateId, Digest, RegistryId, Sequence } from '../ledger/digest.ts';
import type { Compact, Statement } from '../ledger/jws.ts';
import type { SignedRedaction } from '../ledger/redaction.ts';
import type { StateChange, StateItem, StateKey } from '../ledger/state.ts';
import type { AcceptedInvitation } from './accepted-invitation.ts';
import type { AuditProgressItem } from './audit-progress.ts';
import type {
  ExpectedHead,
  KeptStatement,
  LoggedStatement,
  OpenedConflict,
  OpenSetChange,
  Origin,
  Settlement,
} from './conflict-record.ts';
import type { ItemPlace, ListName, ListPosition } from './lists.ts';
import type { Counts, Measure, Signal } from './metrics.ts';

/** The head of one registry as this instance holds it: one item, rewritten by every commit. */
export interface Head extends ChainHead {
  /** This instance's copy of the ledger, 1 at first; a set-aside begins the next one. */
  readonly copy: number;
  /** The lead's checkpoint over this head. */
  readonly checkpoint: Compact;
  /** Identity of the table that this head was written in (protocol section 5, after a restore). */
  readonly tableId: string;
  /** Rises with every change of the open set (protocol section 7). */
  readonly conflictsVersion: number;
  readonly openConflicts: readonly Digest[];
  /** Who must be brought which entries: through a sequence, or `open` for every new one. */
  readonly duties: Readonly<Record<CertificateId, Sequence | 'open'>>;
  /** Every peer of every list so far: whoever is here may deliver, or be asked. */
  readonly everPeers: readonly CertificateId[];
  /** Resolutions decided since the newest entry, oldest first: the next entry names them. */
  readonly decided?: readonly Digest[];
  /** The resolution in force, until it is carried out. */
  readonly resolution?: Digest;
  /** While this copy is being filled: from which older one first, and through which sequence. */
  readonly filling?: { readonly copy: number; readonly through: number };
  /** Nothing is ever appended again: this instance has signed its closing. */
  readonly closed?: true;
  /** Documents whose first object was not what it was: which object counts since, by digest. */
  readonly contents?: Readonly<Record<string, number>>;
}

/** One entry with all that belongs to it, as canonical bytes exactly as received. */
export interface StoredEntry {
  readonly sequence: Sequence;
  readonly digest: Digest;
  readonly entry: Uint8Array;
  readonly transactionId: string;
  readonly transaction: Uint8Array;
  readonly details?: Uint8Array;
  /** In place of the details, where an instance took them out. */
  readonly redaction?: SignedRedaction;
  /** On the last entry of a commit only: the lead's checkpoint. */
  readonly checkpoint?: Compact;
}

export interface CommitWrite {
  readonly registryId: RegistryId;
  /** The digest and the open set as read; absent for entry 1: nothing may be there yet. */
  readonly expected?: ExpectedHead;
  /** Where it begins a new copy, `conflictsVersion` is raised: who read the older one must lose. */
  readonly head: Head;
  /** Consecutive, 1 to 24, ending in a checkpointed entry that is the new head. */
  readonly entries: readonly StoredEntry[];
  /** Each change names what it replaces: written only if that is still so. */
  readonly changes: readonly StateChange[];
  /**
   * Put once in the same write, and appended to the log: the set-aside or take-back that begins a
   * new copy.
   */
  readonly kept?: KeptStatement;
}

export type CommitOutcome =
  /** Durable, all of it. */
  | { readonly outcome: 'stored' }
  /** Nothing was written: the head or a state item is not what was read. Read again, rebuild. */
  | { readonly outcome: 'lost-race' }
  /** Nothing was written: the store is busy with another writer. Wait with jitter, try again. */
  | { readonly outcome: 'busy' };

/** What the rules need, read together. */
export interface StateRead {
  readonly head: Head | undefined;
  readonly items: ReadonlyMap<StateKey, StateItem>;
}

/** A state item as a list gives it. */
export interface ListedItem extends ItemPlace {
  readonly item: StateItem;
  readonly position: ListPosition;
}

export interface Confirmation {
  readonly signer: CertificateId;
  readonly sequence: Sequence;
  readonly digest: Digest;
  /** The signer's copy that it confirms: a set-aside or a take-back begins the next one. */
  readonly copy: number;
  /** By the signer's clock: a claim. */
  readonly confirmedAt: string;
  readonly statement: Compact;
  /** The lead's checkpoint of the same sequence and digest: without it nothing is stored. */
  readonly checkpoint: Compact;
  /** By this instance's clock. */
  readonly receivedAt: string;
}

/** How far one peer has been served, and when it is to be tried again. One per registry and peer. */
export interface Cursor {
  readonly registryId: RegistryId;
  readonly peer: CertificateId;
  /** Entries through this sequence are known to be held by the peer; absent: ask the peer. */
  readonly deliveredThrough?: number;
  /** Statements of the own log through this index were taken by the peer; 0 at first. */
  readonly statementsThrough: number;
  readonly failures: number;
  /** ISO 8601; absent when nothing failed. */
  readonly nextAttemptAt?: string;
  readonly lastError?: string;
  readonly lastFailure?: DeliveryFailure;
  /** Where the own log stood then: what was said since does not wait. */
  readonly failedAtLog?: number;
  /** The own statement that the peer could not read, and how often it was brought in vain. */
  readonly unreadable?: { readonly index: number; readonly times: number };
}

/** `other`: the peer answered and did not take it, or what it was to get is not stored here. */
export type DeliveryFailure = 'unreachable' | 'in-conflict' | 'other';

/** How far this instance has re-read its own copy. */
export interface Progress {
  readonly registryId: RegistryId;
  readonly copy?: number;
  /** Every entry and every byte through this sequence was re-read, re-digested and compared. */
  readonly verifiedThrough: number;
  /** The newest own confirmation. 0 before the first. */
  readonly confirmedThrough: number;
  /** Since when the bytes of the next version were asked for in vain (ISO 8601). */
  readonly missingSince?: string;
  readonly failures: number;
  readonly nextAttemptAt?: string;
  readonly lastError?: string;
}

/**
 * The ledgers of one instance. Reads are strongly consistent unless a method says otherwise.
 *
 * Entries, transactions, confirmations and conflicts are put once: no method changes or deletes
 * one. Whoever can write to the table itself can forge state items, cursors and progress, and can
 * destroy entries, but cannot forge an entry: that takes the lead's signature.
 */
export interface LedgerStore {
  /**
   * The head and the named state items, of its copy unless another is named. Not one snapshot:
   * `commit` checks each item it replaces.
   */
  read(registryId: RegistryId, keys: readonly StateKey[], copy?: number): Promise<StateRead>;
  head(registryId: RegistryId): Promise<Head | undefined>;
  /** All or nothing, and only on top of the head that was read. */
  commit(write: CommitWrite): Promise<CommitOutcome>;
  /** Consecutive entries from `from` on, at most `count` and 100; stops at the first one missing. */
  entries(registryId: RegistryId, copy: number, range: EntryRange): Promise<StoredEntry[]>;
  /**
   * The entries of these sequences, at most 100, in the given order; missing ones are left out.
   * More are an error.
   */
  entriesAt(
    registryId: RegistryId,
    copy: number,
    sequences: readonly number[],
  ): Promise<StoredEntry[]>;
  /**
   * Items of one list in the order of their positions, above `after`, at most `count`.
   *
   * Eventually consistent: an item that was written is listed some time later, mostly within a
   * second. One that changed may meanwhile be listed as it was; one that moved to another list may
   * be in both or in neither. Whoever needs it as it is reads it by its key.
   */
  list(list: ListName, after: ListPosition | undefined, count: number): Promise<ListedItem[]>;
  /**
   * Takes the details of a stored entry out of one copy and puts their redaction there, in one
   * write. `held`: there are none, they were redacted before; nothing changes. Backups keep what
   * they hold.
   */
  redactDetails(
    registryId: RegistryId,
    copy: number,
    entry: StoredEntry,
    redaction: SignedRedaction,
  ): Promise<'redacted' | 'held'>;
  /** Ids of all registries on this instance, in id order, after the given one. */
  registries(after: RegistryId | undefined, count: number): Promise<RegistryId[]>;

  /**
   * Stores a confirmation once. `own` appends it to the log of statements to send, in the same
   * write. `contradicts`: another digest of that signer is held for the sequence; nothing stored.
   */
  putConfirmation(
    registryId: RegistryId,
    confirmation: Confirmation,
    origin: Origin,
  ): Promise<'stored' | 'held' | 'contradicts'>;
  /** The signer's confirmation with the smallest sequence at or above the given one. */
  firstConfirmationCovering(
    registryId: RegistryId,
    signer: CertificateId,
    sequence: number,
  ): Promise<Confirmation | undefined>;
  /** The signer's confirmations at or above `from`, in sequence order, at most `count` and 100. */
  confirmations(
    registryId: RegistryId,
    signer: CertificateId,
    from: number,
    count: number,
  ): Promise<Confirmation[]>;
  /** The signer's confirmation with the largest sequence. */
  newestConfirmation(
    registryId: RegistryId,
    signer: CertificateId,
  ): Promise<Confirmation | undefined>;

  /** Own statements with an index above `after` (first index 1), in order. */
  statementsAfter(registryId: RegistryId, after: number, count: number): Promise<LoggedStatement[]>;
  /** Index of the newest own statement; 0 when there is none. */
  statementsHead(registryId: RegistryId): Promise<number>;

  cursors(registryId: RegistryId): Promise<Cursor[]>;
  cursor(registryId: RegistryId, peer: CertificateId): Promise<Cursor | undefined>;
  /** Overwrites. Losing or repeating one costs a repeated delivery, nothing else. */
  putCursor(cursor: Cursor): Promise<void>;
  progress(registryId: RegistryId): Promise<Progress | undefined>;
  putProgress(progress: Progress): Promise<void>;
  auditProgress(registryId: RegistryId): Promise<AuditProgressItem | undefined>;
  /** Overwrites. Losing one costs a repeated audit, nothing else. */
  putAuditProgress(progress: AuditProgressItem): Promise<void>;

  /**
   * Stores the conflict and adds it to the open set of the head in one write, raising
   * `conflictsVersion`; an own one is appended to the log in the same write. `lost-race`: the head
   * moved meanwhile; read again. `held`: already there.
   */
  openConflict(
    conflict: OpenedConflict,
    expected: Pick<Head, 'digest' | 'conflictsVersion'>,
    origin: Origin,
  ): Promise<'opened' | 'held' | 'lost-race'>;
  /**
   * Rewrites the head, puts the statement beside it and, where it is an own one, appends it to the
   * log, all in one write. `lost-race`: the head moved meanwhile; read again. `held`: the
   * statement is there already, and nothing was written.
   */
  settle(settlement: Settlement): Promise<'settled' | 'held' | 'lost-race'>;
  /**
   * What the write that raised the head to that version changed in the open set: put by `commit` and
   * `settle` in their own write. Undefined: it changed nothing in it, or opened a new conflict.
   */
  openSetChange(
    registryId: RegistryId,
    conflictsVersion: number,
  ): Promise<OpenSetChange | undefined>;
  /** The first report of every conflict, in the order of their ids. */
  conflicts(registryId: RegistryId): Promise<OpenedConflict[]>;
  /** Keeps a statement that changes nothing on the head. Own ones are appended to the log. */
  keep(registryId: RegistryId, kept: KeptStatement, origin: Origin): Promise<'kept' | 'held'>;
  /** All that were kept, oldest first by `recordedAt`. Few: people make them. */
  kept(registryId: RegistryId): Promise<KeptStatement[]>;

  /** What proved to a later joiner who leads, before it holds entry 1 (section 6). Overwrites. */
  putInvitation(invitation: AcceptedInvitation): Promise<void>;
  invitation(registryId: RegistryId): Promise<AcceptedInvitation | undefined>;

  /** Peers' certificates, PEM by certificate id. May be a few seconds old. */
  certificate(id: CertificateId): Promise<string | undefined>;
  putCertificate(id: CertificateId, pem: string): Promise<void>;

  /** Identity of the table: changes when it is restored from a backup. */
  tableId(): Promise<string>;
}

export interface EntryRange {
  readonly from: number;
  readonly count: number;
}

export interface StoredContent {
  readonly contentDigest: Digest;
  readonly size: number;
  readonly generation?: number;
}

export type PutBytesOutcome =
  | 'stored'
  /** The same bytes were there before. */
  | 'held'
  /** Nothing stored: the bytes do not come out to the digest, or not to the size. */
  | 'digest-differs'
  | 'size-differs';

/** Where an application puts bytes by itself, once and nothing else. */
export interface UploadTarget {
  readonly method: 'PUT';
  readonly url: string;
  /** To be sent exactly so; they are part of the signature. */
  readonly headers: Readonly<Record<string, string>>;
  readonly expiresAt: string;
}

/**
 * Document bytes by digest, put once, never changed or deleted. Where an object was found to be
 * something else it stays, and the next `generation` takes its place; 1 unless given. What is held was
 * checked against its SHA-256 by the store when it was written; whoever can write to the store can
 * still replace it, which re-digesting (`get`) finds.
 */
export interface BlobStore {
  /** Size of the held bytes, or undefined. */
  sizeOf(contentDigest: Digest, generation?: number): Promise<number | undefined>;
  uploadTarget(content: StoredContent): Promise<UploadTarget>;
  /** A URL that anybody can GET for at most five minutes; does not check that bytes are there. */
  downloadUrl(
    contentDigest: Digest,
    generation?: number,
  ): Promise<{ readonly url: string; readonly expiresAt: string }>;
  /** Streams; memory does not grow with the size. Reads at most `size` + 1 bytes. */
  put(content: StoredContent, bytes: AsyncIterable<Uint8Array>): Promise<PutBytesOutcome>;
  get(contentDigest: Digest, generation?: number): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** The first bytes, at most `bytesMax`; undefined where nothing is held. */
  beginning(
    contentDigest: Digest,
    bytesMax: number,
    generation?: number,
  ): Promise<Uint8Array | undefined>;
  /** Evidence of a conflict, by digest; put once. */
  putEvidence(digest: Digest, bytes: Uint8Array): Promise<void>;
  evidence(digest: Digest): Promise<Uint8Array | undefined>;
}

/** Wakes the instance's own functions. A poke carries no data: it may be lost, doubled, late. */
export interface Outbox {
  /** `token` separates pokes that must not be merged: the head's sequence, the time of a sweep. */
  pokeDelivery(registryId: RegistryId, peer: CertificateId, token: string): Promise<void>;
  pokeFetch(registryId: RegistryId, token: string): Promise<void>;
}

/** This instance's key. Synchronous: nothing else runs between building and signing. */
export interface Signer {
  readonly certificateId: CertificateId;
  /** All ids of this instance: former ones, the present one, and the next during a renewal. */
  readonly knownIds: readonly CertificateId[];
  /** JWS compact over the statement's canonical bytes (protocol section 2). */
  sign(statement: Statement): Compact;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  wait(milliseconds: number): Promise<void>;
}

export interface Random {
  /** In [0, 1). For jitter, never for secrets. */
  fraction(): number;
  uuid(): string;
  /** Hex digits of so many random bytes, from a cryptographic source. */
  hex(bytes: number): string;
}

export type Facts = Readonly<Record<string, string | number>>;

/** Metrics and loud log lines. Never throws, never waits. */
export interface Alarms {
  /** Counts one, and says it loudly. */
  raise(signal: Signal, facts: Facts): void;
  /** A value of now. Of lags the greatest counts, of days the least. */
  measure(measure: Measure, value: number, facts: Facts): void;
  /** Adds up. What happened and was not counted is lost: never the other way round. */
  count(counts: Counts, facts: Facts): void;
}
