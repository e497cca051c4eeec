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

/** A change of what the head says of conflicts, with the statements that are the reason. */
export interface Settlement {
  readonly registryId: RegistryId;
  /** The digest and the open set as read. */
  readonly expected: Pick<Head, 'digest' | 'conflictsVersion'>;
  /** With `conflictsVersion` raised by one. */
  readonly head: Head;
  /** Put once; own ones are appended to the log of statements to send. */
  readonly kept?: KeptStatement;
  readonly origin: Origin;
}

/** Whether this instance itself made the statement: then its log brings it to the peers. */
export type Origin = 'own' | 'received';
