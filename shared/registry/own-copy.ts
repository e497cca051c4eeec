import { sameLink } from '../ledger/chain.ts';
import { checkCheckpoint } from '../ledger/checkpoint.ts';
import { digestOf, type RegistryId } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { payloadOf } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import { readRedaction, type SignedRedaction } from '../ledger/redaction.ts';
import { listBroughtBy } from './configuration-at.ts';
import type { Head, LedgerStore, StoredEntry } from './ports.ts';

/**
 * Re-reading one's own copy: before anybody else is accused (protocol section 6), and before a
 * confirmation is signed. Each answer is a sentence about the first thing that is wrong.
 */

/** Whether a stored entry still is what it was: its own bytes, its transaction's, its details'. */
export function flawOfStored(stored: StoredEntry): string | undefined {
  const { sequence } = stored;
  const digest = digestOf(stored.entry);
  if (digest !== stored.digest)
    return `entry ${sequence} comes out to ${digest}, its stored digest is ${stored.digest}`;
  const read = readEntry(stored.entry);
  if (read.outcome === 'refused') return `entry ${sequence}: ${read.detail}`;
  if (read.entry.sequence !== sequence)
    return `entry ${sequence} says that it is ${read.entry.sequence}`;
  if (digestOf(stored.transaction) !== read.entry.transactionDigest)
    return `the transaction of entry ${sequence} comes out to ${digestOf(stored.transaction)}, the entry names ${read.entry.transactionDigest}`;
  return flawOfDetails(stored);
}

function flawOfDetails({
  sequence,
  transaction,
  details,
  redaction,
}: StoredEntry): string | undefined {
  const { detailsDigest } = JSON.parse(Buffer.from(transaction).toString()) as {
    readonly detailsDigest?: string;
  };
  // Its signatures say which registry it belongs to: whoever reads the whole ledger holds it to that.
  if (redaction !== undefined && details === undefined && detailsDigest !== undefined)
    return flawOfRedaction(sequence, redaction);
  const found = details === undefined ? undefined : digestOf(details);
  if (found === detailsDigest) return undefined;
  return `the details of entry ${sequence} come out to ${found}, the transaction names ${detailsDigest}`;
}

function flawOfRedaction(sequence: number, redaction: SignedRedaction): string | undefined {
  const { registryId } = payloadOf(redaction.statement) as { readonly registryId: RegistryId };
  const read = readRedaction(redaction, { registryId, sequence });
  return read.outcome === 'read'
    ? undefined
    : `the redaction of entry ${sequence}: ${read.code} ${read.detail}`;
}

/** Whether consecutive stored entries are sound and each links to the one before. */
export function flawOfRun(
  run: readonly StoredEntry[],
  before: Pick<StoredEntry, 'sequence' | 'digest'> | undefined,
): { readonly sequence: number; readonly detail: string } | undefined {
  let previous = before;
  for (const stored of run) {
    const detail = flawOfStored(stored) ?? flawOfNearestLink(stored, previous);
    if (detail !== undefined) return { sequence: stored.sequence, detail };
    previous = stored;
  }
  return undefined;
}

function flawOfNearestLink(
  { sequence, entry }: StoredEntry,
  previous: Pick<StoredEntry, 'sequence' | 'digest'> | undefined,
): string | undefined {
  const read = readEntry(entry);
  const nearest = read.outcome === 'read' ? read.entry.backlinks[0] : undefined;
  if (previous === undefined || nearest?.digest === previous.digest) return undefined;
  return `entry ${sequence} does not link to entry ${previous.sequence} as it is stored`;
}

/**
 * Whether this instance's own copy around `sequence` is intact: from its next stored checkpoint,
 * whose signature is checked, down to the entry, and what the head says of the entries. Undefined:
 * intact.
 */
export async function flawOfOwnCopy(
  store: LedgerStore,
  head: Head,
  sequence: number,
): Promise<string | undefined> {
  const range = { from: sequence, count: limits.commitEntriesMax };
  const following = await store.entries(head.registryId, head.copy, range);
  const end = following.findIndex((stored) => stored.checkpoint !== undefined);
  if (end === -1) return `no checkpointed entry is stored from entry ${sequence} on`;
  const run = following.slice(0, end + 1);
  return (
    flawOfRun(run, undefined)?.detail ??
    flawOfCheckpoint(head, run.at(-1) as StoredEntry) ??
    (await flawOfTower(store, head)) ??
    (await flawOfHead(store, head))
  );
}

/** Whether the checkpoint stored with an entry is its lead's, over what the entry comes out to. */
export function flawOfCheckpoint(
  head: Pick<Head, 'registryId'>,
  last: StoredEntry,
): string | undefined {
  const read = readEntry(last.entry);
  if (read.outcome === 'refused' || last.checkpoint === undefined) return 'no checkpointed entry';
  const checked = checkCheckpoint(last.checkpoint, {
    registryId: head.registryId,
    signer: read.entry.lead,
    sequence: last.sequence,
    digest: last.digest,
  });
  return checked.outcome === 'read'
    ? undefined
    : `the checkpoint stored with entry ${last.sequence}: ${checked.detail}`;
}

async function flawOfTower(store: LedgerStore, head: Head): Promise<string | undefined> {
  for (const link of new Map(head.tower.map((link) => [link.sequence, link])).values()) {
    const range = { from: link.sequence, count: 1 };
    const [stored] = await store.entries(head.registryId, head.copy, range);
    if (stored === undefined) return `entry ${link.sequence}, named by the head, is missing`;
    const flaw = flawOfStored(stored);
    if (flaw !== undefined) return flaw;
    if (!sameLink(stored, link))
      return `the head names ${link.digest} for entry ${link.sequence}, stored is ${stored.digest}`;
  }
  return undefined;
}

/** The rest that checking a next entry takes from the head: its time and the peer list in force. */
async function flawOfHead(store: LedgerStore, head: Head): Promise<string | undefined> {
  const { registryId, copy, sequence, configuration } = head;
  const [newest] = await store.entries(registryId, copy, { from: sequence, count: 1 });
  if (newest === undefined || !sameLink(newest, head))
    return `the head names ${head.digest} for entry ${sequence}, stored is ${newest?.digest}`;
  const read = readEntry(newest.entry);
  if (read.outcome === 'refused') return read.detail;
  if (read.entry.timestamp !== head.timestamp)
    return `the head is of ${head.timestamp}, its entry ${sequence} of ${read.entry.timestamp}`;
  const inForce = listBroughtBy(newest) === undefined ? read.entry.configuration : head;
  const [bringing] = await store.entries(registryId, copy, {
    from: configuration.sequence,
    count: 1,
  });
  const brought = bringing === undefined ? undefined : listBroughtBy(bringing)?.peers;
  if (sameLink(inForce, configuration) && brought?.join() === configuration.peers.join())
    return undefined;
  return `the head names another peer list than entry ${sequence} was appended under`;
}
