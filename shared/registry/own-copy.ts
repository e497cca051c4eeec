import { sameLink } from '../ledger/chain.ts';
import { checkCheckpoint } from '../ledger/checkpoint.ts';
import { digestOf } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { limits } from '../ledger/limits.ts';
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

function flawOfDetails({ sequence, transaction, details }: StoredEntry): string | undefined {
  const { detailsDigest } = JSON.parse(Buffer.from(transaction).toString()) as {
    readonly detailsDigest?: string;
  };
  const found = details === undefined ? undefined : digestOf(details);
  if (found === detailsDigest) return undefined;
  return `the details of entry ${sequence} come out to ${found}, the transaction names ${detailsDigest}`;
}

/** Whether consecutive stored entries are sound and each links to the one before. */
export function flawOfRun(
  run: readonly StoredEntry[],
  before: { readonly sequence: number; readonly digest: string } | undefined,
): string | undefined {
  let previous = before;
  for (const stored of run) {
    const flaw = flawOfStored(stored);
    if (flaw !== undefined) return flaw;
    const read = readEntry(stored.entry);
    const nearest = read.outcome === 'read' ? read.entry.backlinks[0] : undefined;
    if (previous !== undefined && nearest?.digest !== previous.digest)
      return `entry ${stored.sequence} does not link to entry ${previous.sequence} as it is stored`;
    previous = stored;
  }
  return undefined;
}

/**
 * Whether this instance's own copy around `sequence` is intact: from its next stored checkpoint,
 * whose signature is checked, down to the entry, and the tower of the head. Undefined: intact.
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
    flawOfRun(run, undefined) ??
    flawOfCheckpoint(head, run.at(-1) as StoredEntry) ??
    (await flawOfTower(store, head))
  );
}

function flawOfCheckpoint(head: Head, last: StoredEntry): string | undefined {
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
