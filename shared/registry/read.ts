import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { allConfigurations, type ListInForce, listBroughtBy, listFor } from './configuration-at.ts';
import type { Clock, Head, LedgerStore, Signer, StoredEntry } from './ports.ts';

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

/** Protocol section 6. Nothing that was shown as final is ever withdrawn. */
export type EntryStatus =
  | { readonly status: 'recorded' }
  | { readonly status: 'confirmed'; readonly by: number; readonly of: number }
  | { readonly status: 'final' }
  | {
      readonly status: 'final-since';
      readonly since: number;
      readonly without: readonly CertificateId[];
    };

export interface EntryConfirmations {
  readonly confirmations: readonly PeerConfirmation[];
  readonly status: EntryStatus;
}

/** Who confirmed the entry, first when, and what that makes of it. */
export async function entryConfirmations(
  ports: ReadPorts,
  head: Head,
  stored: StoredEntry,
): Promise<EntryConfirmations> {
  const list = await listFor(ports.store, head, stored);
  const { store } = ports;
  const confirmations = await confirmationsOf(store, head.registryId, list, stored.sequence);
  const counted = countedUntil(await conflictSince(store, head));
  const mirrors = counted(confirmations).filter(({ role }) => role === 'mirror');
  const by = mirrors.filter(({ confirmed }) => confirmed !== undefined).length;
  if (mirrors.length > 0 && by === mirrors.length)
    return { confirmations, status: { status: 'final' } };
  const later = await finalSince(store, [head, stored.sequence], counted);
  if (later !== undefined) {
    const missing = mirrors.filter(({ confirmed }) => confirmed === undefined);
    const without = missing.map(({ peer }) => peer);
    return { confirmations, status: { status: 'final-since', since: later, without } };
  }
  const status: EntryStatus =
    by === 0 ? { status: 'recorded' } : { status: 'confirmed', by, of: mirrors.length };
  return { confirmations, status };
}

async function confirmationsOf(
  store: LedgerStore,
  registryId: RegistryId,
  list: ListInForce,
  sequence: number,
): Promise<PeerConfirmation[]> {
  const covering = list.peers.map(async (peer, index): Promise<PeerConfirmation> => {
    const role = index === 0 ? 'lead' : 'mirror';
    const found = await store.firstConfirmationCovering(registryId, peer, sequence);
    if (found === undefined) return { peer, role };
    const { sequence: at, confirmedAt, receivedAt } = found;
    return { peer, role, confirmed: { sequence: at, confirmedAt, receivedAt } };
  });
  return Promise.all(covering);
}

/** When the first of the open conflicts was recorded here. */
async function conflictSince(store: LedgerStore, head: Head): Promise<string | undefined> {
  if (head.openConflicts.length === 0) return undefined;
  const conflicts = await store.conflicts(head.registryId);
  const open = conflicts.filter(({ conflictId }) => head.openConflicts.includes(conflictId));
  return open.map(({ recordedAt }) => recordedAt).sort()[0];
}

type Counted = (confirmations: readonly PeerConfirmation[]) => PeerConfirmation[];

/** What counts for the status: while a conflict is open nothing becomes final (section 7). */
function countedUntil(since: string | undefined): Counted {
  return (confirmations) =>
    confirmations.map((row) => {
      if (since === undefined || row.confirmed === undefined) return row;
      const { peer, role } = row;
      return row.confirmed.receivedAt <= since ? row : { peer, role };
    });
}

/** The first later list all of whose mirrors, and at least one, have confirmed its entry. */
async function finalSince(
  store: LedgerStore,
  [head, sequence]: readonly [Head, number],
  counted: Counted,
): Promise<number | undefined> {
  if (head.configuration.sequence <= sequence) return undefined;
  const lists = (await allConfigurations(store, head))
    .filter((stored) => stored.sequence > sequence)
    .flatMap((stored) => listBroughtBy(stored) ?? [])
    .reverse();
  for (const list of lists) {
    const all = counted(await confirmationsOf(store, head.registryId, list, list.sequence));
    const mirrors = all.filter(({ role }) => role === 'mirror');
    if (mirrors.length > 0 && mirrors.every(({ confirmed }) => confirmed !== undefined))
      return list.sequence;
  }
  return undefined;
}

/** How far one peer of the present list is, as this instance knows it. */
export interface PeerState {
  readonly peer: CertificateId;
  readonly role: 'lead' | 'mirror';
  readonly self: boolean;
  readonly confirmedThrough?: number;
  readonly deliveredThrough?: number;
  readonly failures: number;
  readonly nextAttemptAt?: string;
  readonly lastError?: string;
}

/** Every peer of the list in force: an absent one is a row, never missing. */
export async function peerStates(ports: ReadPorts, head: Head): Promise<PeerState[]> {
  const { store, signer } = ports;
  const cursors = new Map((await store.cursors(head.registryId)).map((row) => [row.peer, row]));
  const rows = head.configuration.peers.map(async (peer, index): Promise<PeerState> => {
    const cursor = cursors.get(peer);
    const newest = await store.newestConfirmation(head.registryId, peer);
    return {
      peer,
      role: index === 0 ? 'lead' : 'mirror',
      self: signer.knownIds.includes(peer),
      failures: cursor?.failures ?? 0,
      ...(newest === undefined ? {} : { confirmedThrough: newest.sequence }),
      ...(cursor?.deliveredThrough === undefined
        ? {}
        : { deliveredThrough: cursor.deliveredThrough }),
      ...(cursor?.nextAttemptAt === undefined ? {} : { nextAttemptAt: cursor.nextAttemptAt }),
      ...(cursor?.lastError === undefined ? {} : { lastError: cursor.lastError }),
    };
  });
  return Promise.all(rows);
}
