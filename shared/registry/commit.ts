import { type ChainHead, extendHead, leadOf } from '../ledger/chain.ts';
import type { CertificateId, Digest, RegistryId, Sequence } from '../ledger/digest.ts';
import type { ReadEntry } from '../ledger/entry.ts';
import type { Compact } from '../ledger/jws.ts';
import type { SignedRedaction } from '../ledger/redaction.ts';
import type { Resolution } from '../ledger/resolution.ts';
import { mergeChanges, type StateChange } from '../ledger/state.ts';
import { carriedOut } from '../ledger/superseding.ts';
import type { ReadTransaction } from '../ledger/transaction.ts';
import type { CommitWrite, Head, StoredEntry } from './ports.ts';

/** What a lead appends and a mirror stores: the same write, built by the same code. */

/** One entry on its way into a commit, with what its rules change. */
export interface StagedEntry {
  readonly read: ReadEntry;
  readonly transaction: ReadTransaction;
  readonly details?: Uint8Array;
  readonly redaction?: SignedRedaction;
  readonly changes: readonly StateChange[];
  /** Where a commit ends; a mirror may store several commits in one write. */
  readonly checkpoint?: Compact;
}

export interface CommitContext {
  readonly registryId: RegistryId;
  readonly before: Head | undefined;
  /** All ids that this instance has had. */
  readonly self: readonly CertificateId[];
  readonly tableId: string;
  /** Those that the entries name, with the conflicts that they end. */
  readonly resolutions?: ReadonlyMap<Digest, Resolution>;
}

/** The write that puts the staged entries, the last of which is checkpointed, on the head. */
export function commitWrite(
  context: CommitContext,
  staged: readonly StagedEntry[],
  checkpoint: Compact,
): CommitWrite {
  const { registryId, before } = context;
  let chain: ChainHead | undefined = before;
  let duties: Head['duties'] = before?.duties ?? {};
  let everPeers = before?.everPeers ?? [];
  for (const { read, transaction } of staged) {
    const peers = chain?.configuration.peers;
    chain = extendHead(chain, read, transaction.transaction);
    if (!('peers' in transaction.transaction)) continue;
    const after = transaction.transaction.peers;
    duties = dutiesAfter(duties, { self: context.self, before: peers, after }, chain.sequence);
    everPeers = [...new Set([...everPeers, ...after])];
  }
  const head: Head = {
    // A commit is never empty.
    ...(chain as ChainHead),
    copy: before?.copy ?? 1,
    checkpoint,
    tableId: context.tableId,
    ...conflictsAfter(context, staged),
    ...(before?.filling === undefined ? {} : { filling: before.filling }),
    ...(before?.closed === undefined ? {} : { closed: before.closed }),
    ...(before?.contents === undefined ? {} : { contents: before.contents }),
    duties,
    everPeers,
  };
  return {
    registryId,
    ...(before === undefined ? {} : { expected: before }),
    head,
    entries: staged.map((entry, index) =>
      storedEntry(entry, index === staged.length - 1 ? checkpoint : entry.checkpoint),
    ),
    changes: mergeChanges(staged.flatMap((entry) => entry.changes)),
  };
}

/** What the head says of conflicts once the entries have named the resolutions that they do. */
function conflictsAfter(
  { before, resolutions }: CommitContext,
  staged: readonly StagedEntry[],
): Pick<Head, 'conflictsVersion' | 'openConflicts' | 'decided' | 'resolution'> {
  const version = before?.conflictsVersion ?? 0;
  const open = before?.openConflicts ?? [];
  const named = new Set(staged.flatMap(({ read }) => read.entry.resolves));
  const decided = (before?.decided ?? []).filter((digest) => !named.has(digest));
  const inForce = before?.resolution;
  const resolution = inForce === undefined || named.has(inForce) ? {} : { resolution: inForce };
  // One that an older copy has carried out before ends nothing a second time.
  const now = (before?.decided ?? []).filter((digest) => named.has(digest));
  const known = now.flatMap((digest) => {
    const statement = resolutions?.get(digest);
    return statement === undefined ? [] : [{ digest, statement }];
  });
  const ended = new Set(carriedOut(known).flatMap(({ statement }) => statement.conflicts));
  const openConflicts = open.filter((conflictId) => !ended.has(conflictId));
  const conflictsVersion = openConflicts.length === open.length ? version : version + 1;
  const rest = decided.length === 0 ? {} : { decided };
  return { conflictsVersion, openConflicts, ...rest, ...resolution };
}

function storedEntry(staged: StagedEntry, checkpoint: Compact | undefined): StoredEntry {
  const { read, transaction, details, redaction } = staged;
  return {
    sequence: read.entry.sequence,
    digest: read.digest,
    entry: read.bytes,
    transactionId: transaction.transaction.transactionId,
    transaction: transaction.bytes,
    ...(details === undefined ? {} : { details }),
    ...(redaction === undefined ? {} : { redaction }),
    ...(checkpoint === undefined ? {} : { checkpoint }),
  };
}

/**
 * Through which entry this instance must bring the peer what it lacks; 0: nothing. Whoever leads
 * owes its mirrors everything, also where its key was not known as its own when the list changed.
 */
export function owedThrough(
  head: Head,
  self: readonly CertificateId[],
  peer: CertificateId,
): number {
  const { configuration, duties, sequence } = head;
  const leads = self.includes(leadOf(configuration));
  if (leads && configuration.peers.includes(peer)) return sequence;
  const duty = duties[peer] ?? 0;
  return duty === 'open' ? sequence : duty;
}

interface ListChange {
  readonly self: readonly CertificateId[];
  /** Absent at entry 1. */
  readonly before: readonly CertificateId[] | undefined;
  readonly after: readonly CertificateId[];
}

/**
 * Whom this instance must bring entries once a peer list has changed (protocol section 6): the
 * lead brings its mirrors everything; a lead that handed over still brings everybody the hand-over;
 * whoever stores a change brings it to each peer that it removes.
 */
export function dutiesAfter(
  duties: Head['duties'],
  change: ListChange,
  sequence: Sequence,
): Head['duties'] {
  const before = change.before ?? [];
  const after = change.after;
  const self = new Set(change.self);
  const leads = self.has(leadOf({ peers: after }));
  const led = before[0] !== undefined && self.has(before[0]);
  const result: Record<CertificateId, Sequence | 'open'> = { ...duties };
  for (const peer of new Set([...before, ...after])) {
    if (self.has(peer)) continue;
    if (leads && after.includes(peer)) result[peer] = 'open';
    else if (leads || led || !after.includes(peer)) result[peer] = sequence;
  }
  return result;
}
