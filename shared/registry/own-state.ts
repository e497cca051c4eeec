import { sameLink } from '../ledger/chain.ts';
import {
  documentKey,
  type StateItem,
  type StateKey,
  stateKeysOf,
  transactionKey,
} from '../ledger/state.ts';
import { readTransaction, type UploadDocument } from '../ledger/transaction.ts';
import type { JudgedEntry } from './judge-delivery.ts';
import { flawOfStored } from './own-copy.ts';
import type { Head, LedgerStore, StateRead, StoredEntry } from './ports.ts';

/**
 * Checking the own state before the lead is accused (protocol section 6): state items are signed by
 * nobody, and whoever can write to the table can make a sound entry break a rule.
 */

/**
 * Whether the state items that the rules read for a disputed entry are what the stored entries say.
 * Answers a sentence about the first thing wrong; undefined: sound.
 */
export async function flawOfOwnState(
  store: LedgerStore,
  { head, items }: StateRead,
  disputed: JudgedEntry,
): Promise<string | undefined> {
  if (head === undefined) return undefined;
  const { transaction } = disputed.transaction;
  for (const key of stateKeysOf(transaction)) {
    const item = items.get(key);
    const flaw = item === undefined ? undefined : await flawOfItem(store, head, [key, item]);
    if (flaw !== undefined) return flaw;
  }
  if (transaction.type !== 'upload-document') return undefined;
  return flawOfNewest(store, head, [
    disputed,
    transaction.documentId,
    items.get(documentKey(transaction.documentId)),
  ]);
}

/** The version that a disputed one links to may be newer than what the state says: that is old. */
async function flawOfNewest(
  store: LedgerStore,
  head: Head,
  [{ read }, documentId, item]: readonly [JudgedEntry, string, StateItem | undefined],
): Promise<string | undefined> {
  const { subject } = read.entry;
  if (subject === undefined) return undefined;
  const stored = await entryAt(store, head, subject.sequence);
  const linked = uploadOf(stored);
  if (!sameLink(stored, subject) || linked?.documentId !== documentId) return undefined;
  const known = item !== undefined && 'version' in item ? item.version : 0;
  if (linked.version <= known) return undefined;
  return `the state of ${documentId} ends at version ${known}, entry ${subject.sequence} records ${linked.version}`;
}

/** An item names the entry that made it: that entry must be sound, and say what the item says. */
async function flawOfItem(
  store: LedgerStore,
  head: Head,
  [key, item]: readonly [StateKey, StateItem],
): Promise<string | undefined> {
  const sequence = 'entry' in item ? item.entry.sequence : item.sequence;
  const stored = await entryAt(store, head, sequence);
  if (stored === undefined)
    return `the state item ${key} names entry ${sequence}, which is missing`;
  const flaw = flawOfStored(stored);
  if (flaw !== undefined) return flaw;
  return isSaidBy(stored, key, item)
    ? undefined
    : `the state item ${key} is not what entry ${sequence} recorded`;
}

function isSaidBy(stored: StoredEntry, key: StateKey, item: StateItem): boolean {
  const read = readTransaction(stored.transaction);
  if (read.outcome === 'refused') return false;
  if ('transactionDigest' in item)
    return (
      transactionKey(read.transaction.transactionId) === key &&
      item.transactionDigest === read.digest
    );
  const upload = uploadOf(stored);
  if (upload === undefined || !('version' in item)) return false;
  const { documentId, version } = upload;
  return (
    documentKey(documentId) === key && version === item.version && sameLink(item.entry, stored)
  );
}

function uploadOf(stored: StoredEntry | undefined): UploadDocument | undefined {
  const read = stored === undefined ? undefined : readTransaction(stored.transaction);
  if (read?.outcome !== 'read' || read.transaction.type !== 'upload-document') return undefined;
  return read.transaction;
}

async function entryAt(
  store: LedgerStore,
  { registryId, copy }: Head,
  sequence: number,
): Promise<StoredEntry | undefined> {
  const [stored] = await store.entries(registryId, copy, { from: sequence, count: 1 });
  return stored;
}
