import type { RegistryId, Sequence } from '../ledger/digest.ts';
import { readRedaction, type SignedRedaction } from '../ledger/redaction.ts';
import { type TransactionItem, transactionKey } from '../ledger/state.ts';
import { orDamage } from './or-damage.ts';
import type { CommitWrite, Head, LedgerStore, StoredEntry } from './ports.ts';
import { StoredDamage } from './stored-damage.ts';

/**
 * A redaction counts in every copy of the ledger that this instance holds: what was taken out of one
 * is neither left in an older one nor brought again with the next.
 *
 * Copies that are there are redacted one by one, wherever the transaction stands in them.  A crash
 * between them leaves details in some; a repetition of the redaction goes on.  A new copy takes the
 * redactions of the older ones over, whoever brings its entries, as far as their rows can be read.
 */

interface CopyPlace {
  readonly registryId: RegistryId;
  readonly copy: number;
}

/** How often all copies are gone through while new ones begin. */
const ATTEMPTS_MAX = 8;

/** Puts the redaction in the place of the details wherever this entry is held. */
export async function redactCopies(
  store: LedgerStore,
  registryId: RegistryId,
  stored: StoredEntry,
  redaction: SignedRedaction,
): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const head = await store.head(registryId);
    if (head === undefined) return;
    for (let copy = 1; copy <= head.copy; copy += 1)
      await redactCopy(store, { registryId, copy }, stored, redaction);
    if (head.closed === true || (await isOvertaken(store, head, stored))) return;
  }
  throw new Error(
    `the details of entry ${stored.sequence} of registry ${registryId} may stand in a copy that ` +
      'has begun meanwhile: redact them again',
  );
}

async function redactCopy(
  store: LedgerStore,
  { registryId, copy }: CopyPlace,
  stored: StoredEntry,
  redaction: SignedRedaction,
): Promise<void> {
  const sequence = await sequenceIn(store, { registryId, copy }, stored);
  const { entries, damaged } = await heldIn(store, { registryId, copy }, [sequence]);
  // Beside what cannot be read the details may stand nevertheless.
  const [held] = damaged ? [{ ...stored, sequence }] : entries;
  if (held !== undefined && isSame(held, stored))
    await store.redactDetails(registryId, copy, held, redaction);
}

/**
 * Where the transaction stands in that copy: after a take-back or a fork whoever sends it again may
 * get another place for it. Where nothing says so it is looked for at the same place.
 */
async function sequenceIn(
  store: LedgerStore,
  { registryId, copy }: CopyPlace,
  { sequence, transactionId }: StoredEntry,
): Promise<Sequence> {
  const key = transactionKey(transactionId);
  const read = await orDamage(() => store.read(registryId, [key], copy));
  if (read instanceof StoredDamage) return sequence;
  const item = read.items.get(key) as TransactionItem | undefined;
  return (item?.sequence as Sequence | undefined) ?? sequence;
}

/**
 * Whether whoever read a copy before it was redacted, to write the next one, can write no more: each
 * such write expects the head that it read, and that is not there any longer. False: the copies have
 * to be gone through again.
 */
async function isOvertaken(
  store: LedgerStore,
  head: Head,
  { sequence }: StoredEntry,
): Promise<boolean> {
  const { registryId } = head;
  const next = { ...head, conflictsVersion: head.conflictsVersion + 1 };
  const settlement = { registryId, expected: head, head: next, origin: 'received' } as const;
  if ((await store.settle(settlement)) === 'settled') return true;
  const now = await store.head(registryId);
  const moved = now?.digest !== head.digest || now.conflictsVersion !== head.conflictsVersion;
  return moved && now?.copy === head.copy && head.sequence >= sequence;
}

/**
 * The write with the redactions of older copies in the place of details that come again. The head
 * that it expects must have been read before.
 */
export async function keepRedactions(store: LedgerStore, write: CommitWrite): Promise<CommitWrite> {
  let kept = write;
  for (let copy = write.head.copy - 1; copy >= 1; copy -= 1)
    kept = await redactedAsIn(store, copy, kept);
  return kept;
}

async function redactedAsIn(
  store: LedgerStore,
  copy: number,
  write: CommitWrite,
): Promise<CommitWrite> {
  const { registryId, head } = write;
  const open = write.entries.filter(({ details }) => details !== undefined);
  if (open.length === 0) return write;
  const sequences = open.map(({ sequence }) => sequence as number);
  const older = await heldIn(store, { registryId, copy }, sequences);
  const entries = write.entries.map((entry) => {
    const found = older.entries.find(({ sequence }) => sequence === entry.sequence);
    return found === undefined ? entry : redactedAs(found, entry, head);
  });
  return { ...write, entries };
}

/** The entry as it is, or with the redaction of the older one in the place of its details. */
function redactedAs(older: StoredEntry, entry: StoredEntry, head: Head): StoredEntry {
  const { redaction } = older;
  const { details, ...rest } = entry;
  if (details === undefined || redaction === undefined || !isSame(older, entry)) return entry;
  return isOfPeer(redaction, head, entry.sequence) ? { ...rest, redaction } : entry;
}

/** Where somebody edited the older copy, what stands in it need not be a redaction. */
function isOfPeer(
  signed: SignedRedaction,
  { registryId, everPeers }: Head,
  sequence: number,
): boolean {
  const read = readRedaction(signed, { registryId, sequence });
  return read.outcome === 'read' && everPeers.includes(read.redaction.signer);
}

/** In another chain the same transaction may stand at the same place: its details are the same. */
function isSame(a: StoredEntry, b: StoredEntry): boolean {
  return a.digest === b.digest || Buffer.compare(a.transaction, b.transaction) === 0;
}

/** What a copy holds of these sequences. What cannot be read hides nothing of the rest. */
async function heldIn(
  store: LedgerStore,
  { registryId, copy }: CopyPlace,
  sequences: readonly number[],
): Promise<{ readonly entries: readonly StoredEntry[]; readonly damaged: boolean }> {
  try {
    return { entries: await store.entriesAt(registryId, copy, sequences), damaged: false };
  } catch (error) {
    if (!(error instanceof StoredDamage)) throw error;
    if (sequences.length === 1) return { entries: [], damaged: true };
  }
  const single = sequences.map((sequence) => heldIn(store, { registryId, copy }, [sequence]));
  return { entries: (await Promise.all(single)).flatMap(({ entries }) => entries), damaged: true };
}
