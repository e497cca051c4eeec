import type { CertificateId, Sequence } from '../ledger/digest.ts';
import { type TransactionItem, transactionKey } from '../ledger/state.ts';
import { listFor } from './configuration-at.ts';
import type { Clock, Confirmation, Head, LedgerStore, Signer, StoredEntry } from './ports.ts';
import { type EntryStatus, openStatuses } from './read-status.ts';

/** What one instance can say about its registries: nothing is written here. */

export interface ReadPorts {
  readonly store: LedgerStore;
  readonly signer: Signer;
  readonly clock: Clock;
}

/** One peer and the first of its confirmations that covers an entry. */
export interface PeerConfirmation {
  readonly peer: CertificateId;
  readonly role: 'lead' | 'mirror';
  /** Absent: has not confirmed, as far as this instance knows. */
  readonly confirmed?: {
    readonly sequence: number;
    /** By the peer's clock. */
    readonly confirmedAt: string;
    /** By this instance's clock. */
    readonly receivedAt: string;
  };
}

export interface EntryConfirmations {
  readonly confirmations: readonly PeerConfirmation[];
  readonly status: EntryStatus;
}

/** Who confirmed the entry, first when, and what that makes of it. */
export async function entryConfirmations(
  { store }: Pick<ReadPorts, 'store'>,
  head: Head,
  stored: StoredEntry,
): Promise<EntryConfirmations> {
  const { sequence } = stored;
  const list = await listFor(store, head, stored);
  const rows = list.peers.map(async (peer, index): Promise<PeerConfirmation> => {
    const role = index === 0 ? 'lead' : 'mirror';
    const found = await store.firstConfirmationCovering(head.registryId, peer, sequence);
    return { peer, role, ...(found === undefined ? {} : { confirmed: timesOf(found) }) };
  });
  const statuses = await openStatuses(store, head, sequence);
  return { confirmations: await Promise.all(rows), status: await statuses.of(sequence, list) };
}

/** What is shown of a confirmation. */
export function timesOf({ sequence, confirmedAt, receivedAt }: Confirmation) {
  return { sequence, confirmedAt, receivedAt };
}

/** The place in the ledger of a transaction; undefined: it has none here. */
export async function entryByTransactionId(
  { store }: Pick<ReadPorts, 'store'>,
  { registryId }: Head,
  transactionId: string,
): Promise<Sequence | undefined> {
  const key = transactionKey(transactionId);
  const { items } = await store.read(registryId, [key]);
  const item = items.get(key) as TransactionItem | undefined;
  return item?.sequence as Sequence | undefined;
}
