import type { Digest, RegistryId } from '../ledger/digest.ts';
import type { Compact } from '../ledger/jws.ts';
import type { Head } from './ports.ts';

/** What one instance keeps about conflicts: protocol section 7. */

export interface OpenedConflict {
  readonly registryId: RegistryId;
  /** Digest of {registryId, kind, sequence, digests, accused}: protocol section 7. */
  readonly conflictId: Digest;
  readonly statement: Compact;
  readonly recordedAt: string;
}

export type KeptKind = 'report' | 'resolution' | 'acceptance' | 'set-aside' | 'closing';

/** A signed statement about conflicts, beside the first report of each: kept for ever. */
export interface KeptStatement {
  readonly kind: KeptKind;
  /** Of its payload: what it says and who signed it. */
  readonly digest: Digest;
  readonly statement: Compact;
  /** The operator's own signature over the same payload, where people decided. */
  readonly decision?: Compact;
  readonly recordedAt: string;
}

/** Of the head as it was read: what it is known by, and what was open. */
export type ExpectedHead = Pick<Head, 'digest' | 'conflictsVersion' | 'openConflicts'>;

/**
 * What one write changed in the set of open conflicts. Put once, in the same write; the first opening
 * of a conflict makes none, for its own item says so.
 */
export interface OpenSetChange {
  readonly registryId: RegistryId;
  /** To which the write raised the head: no two changes of a registry have the same. */
  readonly conflictsVersion: number;
  /** Resolved before, and found again. */
  readonly reopened: readonly Digest[];
  readonly ended: readonly Digest[];
  /** How many are open afterwards. */
  readonly openConflicts: number;
  /** This instance has closed the registry: what ended was not resolved. */
  readonly closed?: true;
}

/** A change of what the head says of conflicts, with the statements that are the reason. */
export interface Settlement {
  readonly registryId: RegistryId;
  /** The digest and the open set as read. */
  readonly expected: ExpectedHead;
  /** With `conflictsVersion` raised by one. */
  readonly head: Head;
  /** Put once; own ones are appended to the log of statements to send. */
  readonly kept?: KeptStatement;
  readonly origin: Origin;
}

/** Whether this instance itself made the statement: then its log brings it to the peers. */
export type Origin = 'own' | 'received';

/** An own statement on its way to the peers. */
export interface LoggedStatement {
  readonly index: number;
  readonly statement: Compact;
  /** The lead's checkpoint that belongs to a confirmation. */
  readonly checkpoint?: Compact;
  /** The operator's own signature over the same payload. */
  readonly decision?: Compact;
}
