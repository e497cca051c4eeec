import type { ConflictStatement } from '../ledger/conflict.ts';
import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { payloadOf } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import { type ListInForce, listBroughtBy } from './configuration-at.ts';
import type { Confirmation, Head, LedgerStore } from './ports.ts';

/** Protocol section 6. Nothing that was shown as final is ever withdrawn. */
export type EntryStatus =
  | { readonly status: 'recorded' }
  | { readonly status: 'confirmed'; readonly by: number; readonly of: number }
  | { readonly status: 'final' }
  | {
      readonly status: 'final-since';
      readonly since: number;
      readonly without: readonly CertificateId[];
    }
  /** Not final, and at or after the place of these open conflicts. */
  | { readonly status: 'in-conflict'; readonly conflicts: readonly Digest[] };

/** Tells the statuses of entries at or after one of them; what it has read it keeps. */
export interface Statuses {
  /** `list`: the list in force at the entry. */
  of(sequence: number, list: ListInForce): Promise<EntryStatus>;
}

interface OpenConflict {
  readonly conflictId: Digest;
  readonly sequence: number;
  readonly recordedAt: string;
}

/** The statuses of entries from `from` on. */
export async function openStatuses(
  store: LedgerStore,
  head: Head,
  from: number,
): Promise<Statuses> {
  const conflicts = await openConflicts(store, head);
  const since = conflicts.map(({ recordedAt }) => recordedAt).sort()[0];
  const through = countedThrough(store, head, since);
  const lists = once(() => listsAfter(store, head, from));

  async function finalSince(sequence: number): Promise<number | undefined> {
    if (head.configuration.sequence <= sequence) return undefined;
    const later = (await lists()).filter((list) => list.sequence > sequence);
    for (const list of later) {
      const missing = await mirrorsBehind(list, [list.sequence, list.sequence]);
      if (list.peers.length > 1 && missing.length === 0) return list.sequence;
    }
    return undefined;
  }

  /** The mirrors of the list whose counted confirmations, looked for at `at`, do not reach. */
  async function mirrorsBehind(
    { peers }: ListInForce,
    [at, sequence]: readonly [number, number],
  ): Promise<CertificateId[]> {
    const mirrors = peers.slice(1);
    const reached = await Promise.all(mirrors.map((peer) => through(peer, at)));
    return mirrors.filter((_, index) => (reached[index] ?? 0) < sequence);
  }

  return {
    async of(sequence, list) {
      const missing = await mirrorsBehind(list, [from, sequence]);
      const mirrors = list.peers.length - 1;
      if (mirrors > 0 && missing.length === 0) return { status: 'final' };
      const later = await finalSince(sequence);
      if (later !== undefined) return { status: 'final-since', since: later, without: missing };
      const disputed = conflicts.filter((conflict) => conflict.sequence <= sequence);
      if (disputed.length > 0)
        return {
          status: 'in-conflict',
          conflicts: disputed.map(({ conflictId }) => conflictId),
        };
      const by = mirrors - missing.length;
      return by === 0 ? { status: 'recorded' } : { status: 'confirmed', by, of: mirrors };
    },
  };
}

async function openConflicts(
  store: LedgerStore,
  { registryId, openConflicts: open }: Head,
): Promise<OpenConflict[]> {
  if (open.length === 0) return [];
  const conflicts = await store.conflicts(registryId);
  return conflicts
    .filter(({ conflictId }) => open.includes(conflictId))
    .map(({ conflictId, statement, recordedAt }) => {
      const { sequence } = payloadOf(statement) as ConflictStatement;
      return { conflictId, sequence, recordedAt };
    });
}

/** Pages of confirmations that are looked through for one that came before a conflict. */
const PAGES_MAX = 10;

/**
 * Through which entry the confirmations of a peer count. All do, unless a conflict is open: then
 * only those that came before it (section 7: nothing becomes final meanwhile). They need not have
 * come in the order of their sequences, so those at and after `from` are looked through.
 */
function countedThrough(store: LedgerStore, head: Head, since: string | undefined) {
  const { registryId } = head;
  const newestOf = keyed((peer) => store.newestConfirmation(registryId, peer as CertificateId));
  const lookedThrough = keyed(async (asked) => {
    const [peer, from] = asked.split(' ') as [CertificateId, string];
    let through = 0;
    for await (const confirmation of confirmationsFrom(store, registryId, peer, +from))
      if (since === undefined || confirmation.receivedAt <= since)
        if (await isOfThisCopy(store, head, confirmation)) through = confirmation.sequence;
    return through;
  });
  return async (peer: CertificateId, from: number): Promise<number> => {
    const newest = await newestOf(peer);
    if (newest === undefined) return 0;
    const inTime = since === undefined || newest.receivedAt <= since;
    const allCount = inTime && (await isOfThisCopy(store, head, newest));
    return allCount ? newest.sequence : lookedThrough(`${peer} ${from}`);
  };
}

/** What was confirmed of a branch that this instance has set aside says nothing about its copy. */
async function isOfThisCopy(
  store: LedgerStore,
  { registryId, copy }: Head,
  { sequence, digest }: Confirmation,
): Promise<boolean> {
  if (copy === 1) return true;
  const [stored] = await store.entries(registryId, copy, { from: sequence, count: 1 });
  return stored?.digest === digest;
}

async function* confirmationsFrom(
  store: LedgerStore,
  registryId: RegistryId,
  peer: CertificateId,
  from: number,
): AsyncGenerator<Confirmation> {
  let next = from;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const some = await store.confirmations(registryId, peer, next, limits.pageMax);
    yield* some;
    if (some.length < limits.pageMax) return;
    next = (some.at(-1)?.sequence ?? next) + 1;
  }
}

/** The lists that came into force after that entry, in order, by the links of the newest. */
async function listsAfter(store: LedgerStore, head: Head, after: number): Promise<ListInForce[]> {
  const { registryId, copy } = head;
  const lists: ListInForce[] = [];
  let sequence: number | undefined = head.configuration.sequence;
  while (sequence !== undefined && sequence > after && lists.length < limits.invitationEntriesMax) {
    const [stored] = await store.entries(registryId, copy, { from: sequence, count: 1 });
    const read = stored === undefined ? undefined : readEntry(stored.entry);
    const list = stored === undefined ? undefined : listBroughtBy(stored);
    if (list === undefined || read?.outcome !== 'read')
      throw new Error(`entry ${sequence} of registry ${registryId} brings no peer list`);
    lists.unshift(list);
    sequence = read.entry.configuration?.sequence;
  }
  return lists;
}

function once<T>(read: () => Promise<T>): () => Promise<T> {
  let kept: Promise<T> | undefined;
  return () => {
    kept ??= read();
    return kept;
  };
}

function keyed<T>(read: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const kept = new Map<string, Promise<T>>();
  return (key) => {
    const found = kept.get(key) ?? read(key);
    kept.set(key, found);
    return found;
  };
}
