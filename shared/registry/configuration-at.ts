import { leadOf } from '../ledger/chain.ts';
import type { CertificateId } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { limits } from '../ledger/limits.ts';
import { readTransaction } from '../ledger/transaction.ts';
import type { Head, LedgerStore, StoredEntry } from './ports.ts';

/** Peer lists of the past, found by following the configuration links of stored entries. */

/** A peer list and the entry that put it in force. */
export interface ListInForce {
  readonly sequence: number;
  readonly peers: readonly CertificateId[];
}

/** The list that the stored entry itself brings, or undefined. */
export function listBroughtBy(stored: StoredEntry): ListInForce | undefined {
  const read = readTransaction(stored.transaction);
  if (read.outcome === 'refused' || !('peers' in read.transaction)) return undefined;
  return { sequence: stored.sequence, peers: read.transaction.peers };
}

/** The list in force for the stored entry: a reconfigure is governed by its own new list. */
export async function listFor(
  store: LedgerStore,
  head: Head,
  stored: StoredEntry,
): Promise<ListInForce> {
  return listBroughtBy(stored) ?? listBefore(store, head, stored);
}

/** The list in force before the stored entry; entry 1 has none before it but its own. */
export async function listBefore(
  store: LedgerStore,
  head: Head,
  stored: StoredEntry,
): Promise<ListInForce> {
  const read = readEntry(stored.entry);
  const link = read.outcome === 'read' ? read.entry.configuration : undefined;
  const sequence = link?.sequence ?? stored.sequence;
  if (sequence === head.configuration.sequence) return head.configuration;
  const [linked] = await store.entries(head.registryId, head.copy, { from: sequence, count: 1 });
  const list = linked === undefined ? undefined : listBroughtBy(linked);
  if (list === undefined)
    throw new Error(`entry ${sequence} of registry ${head.registryId} brings no peer list`);
  return list;
}

/** Every list, newest first: the configuration entries, by their links back to entry 1. */
export async function allConfigurations(store: LedgerStore, head: Head): Promise<StoredEntry[]> {
  const found: StoredEntry[] = [];
  let sequence: number | undefined = head.configuration.sequence;
  while (sequence !== undefined && found.length < limits.invitationEntriesMax) {
    const range = { from: sequence, count: 1 };
    const [stored]: StoredEntry[] = await store.entries(head.registryId, head.copy, range);
    if (stored === undefined) throw new Error(`configuration entry ${sequence} is missing`);
    found.push(stored);
    const read = readEntry(stored.entry);
    sequence = read.outcome === 'read' ? read.entry.configuration?.sequence : undefined;
  }
  return found;
}

/** The whole commit that ends at, or holds, the given sequence. */
export async function commitHolding(
  store: LedgerStore,
  head: Head,
  sequence: number,
): Promise<StoredEntry[]> {
  const width = limits.commitEntriesMax;
  const from = Math.max(1, sequence - width + 1);
  const range = { from, count: 2 * width };
  const around = await store.entries(head.registryId, head.copy, range);
  const starts = around.filter(
    (stored) => stored.sequence < sequence && stored.checkpoint !== undefined,
  );
  const first = (starts.at(-1)?.sequence ?? from - 1) + 1;
  const last = around.find(
    (stored) => stored.sequence >= sequence && stored.checkpoint !== undefined,
  );
  if (last === undefined) throw new Error(`no checkpoint is stored at or after entry ${sequence}`);
  return around.filter((stored) => stored.sequence >= first && stored.sequence <= last.sequence);
}

/** Every peer in force somewhere in the commit, or just before it. */
export async function peersAround(
  store: LedgerStore,
  head: Head,
  commit: readonly StoredEntry[],
): Promise<Set<CertificateId>> {
  const [first] = commit;
  if (first === undefined) return new Set();
  const before = await listBefore(store, head, first);
  const brought = commit.flatMap((stored) => listBroughtBy(stored)?.peers ?? []);
  return new Set([...before.peers, ...brought]);
}

/** The lead of the list in force before the stored entry: whoever appended it. */
export async function leadAt(
  store: LedgerStore,
  head: Head,
  stored: StoredEntry,
): Promise<CertificateId> {
  return leadOf(await listBefore(store, head, stored));
}
