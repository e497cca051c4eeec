import type { Digest, RegistryId } from '../ledger/digest.ts';
import { askEntries, judgeCommits } from './ask-afresh.ts';
import { NOTHING_CARRIED } from './carrying.ts';
import { commitHolding } from './configuration-at.ts';
import type { KeptStatement } from './conflict-record.ts';
import { type JudgedCommit, judgeCommit } from './judge-delivery.ts';
import { carriedCommits } from './messages.ts';
import type { PeerTransport } from './peer-transport.ts';
import type { Clock, CommitWrite, Head, LedgerStore, Signer } from './ports.ts';
import { keepRedactions } from './redacted-copies.ts';
import { checkCommits } from './store-commits.ts';
import { StoredDamage } from './stored-damage.ts';

/**
 * Beginning the next copy of a ledger: a set-aside at a mirror, a take-back at a lead (protocol
 * section 7). The older copy stays where it is, for ever. The new one is whole: it depends on
 * nothing of the old one but what has been checked again and written again.
 *
 * One write begins it with the commit of entry 1, puts the signed statement that is the reason, and
 * says on the head how it is to be filled.  A crash before it leaves the old copy in use; after it
 * the filling goes on with the next poke.
 */

export interface NewCopyPorts {
  readonly store: LedgerStore;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly transport: PeerTransport;
}

export interface NewCopy {
  readonly kept: KeptStatement;
  /** Entries of the old copy are taken over through this sequence, as far as they are sound. */
  readonly through: number;
  /** Put in force with it: a take-back is a resolution of its own. */
  readonly resolution?: Digest;
}

export type BegunCopy =
  | { readonly outcome: 'begun'; readonly copy: number }
  | { readonly outcome: 'lost-race' }
  /** Neither the own copy nor a peer that answers has the commit of entry 1. */
  | { readonly outcome: 'no-first-commit' };

export async function beginCopy(
  ports: NewCopyPorts,
  head: Head,
  { kept, through, resolution }: NewCopy,
): Promise<BegunCopy> {
  const first = await firstCommit(ports, head);
  if (first === undefined) return { outcome: 'no-first-commit' };
  const write = await firstWrite(ports, head.registryId, first);
  if (write === undefined) return { outcome: 'no-first-commit' };
  const copy = head.copy + 1;
  const inForce = resolution ?? head.resolution;
  const next: Head = {
    ...write.head,
    copy,
    conflictsVersion: head.conflictsVersion + 1,
    openConflicts: head.openConflicts,
    everPeers: [...new Set([...head.everPeers, ...write.head.everPeers])],
    decided: [...(head.decided ?? []), ...(resolution === undefined ? [] : [resolution])],
    ...(inForce === undefined ? {} : { resolution: inForce }),
    // One that was never filled holds nothing that the one before it does not.
    filling: { copy: head.filling?.copy ?? head.copy, through },
    ...(head.contents === undefined ? {} : { contents: head.contents }),
  };
  const whole = { ...write, expected: head, head: next, kept };
  const { outcome } = await ports.store.commit(await keepRedactions(ports.store, whole));
  if (outcome !== 'stored') return { outcome: 'lost-race' };
  return { outcome: 'begun', copy };
}

/** From the own copy, if it still comes out to the registry's id; else from a peer. */
async function firstCommit(
  { store, transport, signer }: NewCopyPorts,
  head: Head,
): Promise<JudgedCommit | undefined> {
  const own = await ownFirstCommit(store, head);
  if (own !== undefined) return own;
  for (const peer of head.everPeers) {
    if (signer.knownIds.includes(peer)) continue;
    const delivery = await askEntries(transport, head.registryId, peer, 1);
    const judged = delivery === undefined ? undefined : judgeCommits(delivery);
    const [commit] = judged?.outcome === 'judged' ? judged.commits : [];
    if (commit !== undefined && isFirst(commit, head.registryId)) return commit;
  }
  return undefined;
}

async function ownFirstCommit(store: LedgerStore, head: Head): Promise<JudgedCommit | undefined> {
  try {
    const [carried] = carriedCommits(await commitHolding(store, head, 1));
    const judged = carried === undefined ? undefined : judgeCommit(head.registryId, carried);
    return judged?.outcome === 'judged' && isFirst(judged, head.registryId) ? judged : undefined;
  } catch (error) {
    if (isAboutStored(error)) return undefined;
    throw error;
  }
}

/** What reading a damaged copy throws: an item that is broken or gone. */
export function isAboutStored(error: unknown): boolean {
  return (
    error instanceof StoredDamage ||
    (error instanceof Error && error.message.startsWith('no checkpoint is stored'))
  );
}

/** The registry's id is the digest of its first transaction: nothing else can be entry 1. */
function isFirst({ entries, flaw }: JudgedCommit, registryId: RegistryId): boolean {
  return flaw === undefined && entries[0]?.transaction.digest === registryId;
}

async function firstWrite(
  { store, signer }: NewCopyPorts,
  registryId: RegistryId,
  first: JudgedCommit,
): Promise<CommitWrite | undefined> {
  const check = checkCommits(
    {
      registryId,
      read: { head: undefined, items: new Map() },
      self: signer.knownIds,
      tableId: await store.tableId(),
      carrying: NOTHING_CARRIED,
    },
    [first],
  );
  return check.outcome === 'fits' ? check.write : undefined;
}
