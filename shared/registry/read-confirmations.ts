import type { CertificateId, Digest } from '../ledger/digest.ts';
import { limits } from '../ledger/limits.ts';
import { type ListInForce, listBefore, listBroughtBy } from './configuration-at.ts';
import type { Confirmation, Head, LedgerStore, StoredEntry } from './ports.ts';
import { type PeerConfirmation, type ReadPorts, timesOf } from './read.ts';
import type { Page } from './read-page.ts';
import { type EntryStatus, openStatuses, type Statuses } from './read-status.ts';

/** Who confirmed which entry, as a table: a row an entry, a column a peer. */

/** What one peer says about one entry. */
export interface ConfirmationCell {
  /** In the list in force at the entry; absent: not in that list. */
  readonly role?: 'lead' | 'mirror';
  /**
   * Whether it counts for the status: only mirrors of the list in force at the entry do. While a
   * conflict is open, a confirmation does only where the peer's came before it.
   */
  readonly counts: boolean;
  /** The first of the peer's confirmations that covers the entry; absent: none is known here. */
  readonly confirmed?: NonNullable<PeerConfirmation['confirmed']>;
}

export interface ConfirmationRow {
  readonly sequence: number;
  readonly digest: Digest;
  readonly status: EntryStatus;
  /** One for each of the columns, in their order. */
  readonly cells: readonly ConfirmationCell[];
}

export interface ConfirmationsPage {
  /** The columns: every peer of every list in force at an entry of this page. */
  readonly peers: readonly CertificateId[];
  /** In sequence order. */
  readonly entries: readonly ConfirmationRow[];
  /** The last sequence of the page. */
  readonly next?: number;
}

/** The table for a page of entries: a few reads for each column, none for a cell. */
export async function listConfirmations(
  { store }: Pick<ReadPorts, 'store'>,
  head: Head,
  { after = 0, count }: Page<number>,
): Promise<ConfirmationsPage> {
  const rows = Math.min(count, limits.pageMax, head.sequence - after);
  if (rows < 1) return { peers: [], entries: [] };
  const range = { from: after + 1, count: rows };
  const stored = await store.entries(head.registryId, head.copy, range);
  const lists = await listsOf(store, head, stored);
  const peers = [...new Set(lists.flatMap((list) => list.peers))];
  const columns = await Promise.all(
    peers.map((peer) => store.confirmations(head.registryId, peer, range.from, rows)),
  );
  const statuses = await openStatuses(store, head, range.from);
  const entries: ConfirmationRow[] = [];
  for (const [index, { sequence, digest }] of stored.entries()) {
    const list = lists[index] as ListInForce;
    const status = await statuses.of(sequence, list);
    const counts = (mirror: CertificateId) => countsAlone(statuses, [sequence, list], mirror);
    const cells = await Promise.all(
      peers.map((peer, at) => cellOf([list, counts], peer, covering(columns[at], sequence))),
    );
    entries.push({ sequence, digest, status, cells });
  }
  const last = stored.at(-1)?.sequence ?? head.sequence;
  return { peers, entries, ...(last < head.sequence ? { next: last } : {}) };
}

/** The list in force at each of the consecutive entries. */
async function listsOf(
  store: LedgerStore,
  head: Head,
  stored: readonly StoredEntry[],
): Promise<ListInForce[]> {
  const [first] = stored;
  let list = first && (await listBefore(store, head, first));
  return stored.flatMap((each) => {
    list = listBroughtBy(each) ?? list;
    return list ?? [];
  });
}

/**
 * As many confirmations were read from the first row on as there are rows: either one of them covers
 * the last row, or the peer has no more.
 */
function covering(
  confirmations: readonly Confirmation[] | undefined,
  sequence: number,
): Confirmation | undefined {
  return confirmations?.find((each) => each.sequence >= sequence);
}

/** Whether the entry would be final if that mirror were the only one: asked of what is kept. */
async function countsAlone(
  statuses: Statuses,
  [sequence, list]: readonly [number, ListInForce],
  mirror: CertificateId,
): Promise<boolean> {
  const peers = [...list.peers.slice(0, 1), mirror];
  return (await statuses.of(sequence, { ...list, peers })).status === 'final';
}

async function cellOf(
  [{ peers }, counts]: readonly [ListInForce, (mirror: CertificateId) => Promise<boolean>],
  peer: CertificateId,
  confirmation: Confirmation | undefined,
): Promise<ConfirmationCell> {
  const place = peers.indexOf(peer);
  return {
    ...(place === -1 ? {} : { role: place === 0 ? 'lead' : 'mirror' }),
    counts: place > 0 && (confirmation === undefined || (await counts(peer))),
    ...(confirmation === undefined ? {} : { confirmed: timesOf(confirmation) }),
  };
}
