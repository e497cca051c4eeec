import type { Link } from '../ledger/backlinks.ts';
import { encodeCanonical } from '../ledger/canonical.ts';
import { sameLink } from '../ledger/chain.ts';
import type { Digest } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import type { NamedItem } from '../ledger/naming.ts';
import { signatureInputDigest } from '../ledger/signature.ts';
import {
  documentKey,
  type RequestItem,
  requestKey,
  type StateItem,
  type StateKey,
  signatureKey,
  stateKeysOf,
  supersededKey,
  transactionKey,
  type VersionItem,
  versionKey,
} from '../ledger/state.ts';
import { NAMED_KEY } from '../ledger/superseding.ts';
import { type RequestSignature, readTransaction, type Transaction } from '../ledger/transaction.ts';
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
  for (const key of stateKeysOf(disputed.transaction.transaction)) {
    const item = items.get(key);
    const flaw = item === undefined ? undefined : await flawOfItem(store, head, [key, item]);
    if (flaw !== undefined) return flaw;
  }
  const misnamed = await flawOfNamed(store, head, [disputed, items]);
  return misnamed ?? flawOfSubject(store, head, [disputed, items]);
}

/** What the state says was named before: the entries that it says so of must have named it. */
async function flawOfNamed(
  store: LedgerStore,
  head: Head,
  [{ read }, items]: readonly [JudgedEntry, StateRead['items']],
): Promise<string | undefined> {
  const { named = {} } = (items.get(NAMED_KEY) as Partial<NamedItem> | undefined) ?? {};
  for (const digest of read.entry.resolves) {
    const sequence = named[digest];
    const stored = sequence === undefined ? undefined : await entryAt(store, head, sequence);
    if (sequence === undefined || (stored && resolvesOf(stored).includes(digest))) continue;
    return `the state item ${NAMED_KEY} is not what entry ${sequence} named`;
  }
  return undefined;
}

/**
 * What a disputed entry links to may be in the own copy and yet not in the state: then the state
 * has lost it, or is old.
 */
async function flawOfSubject(
  store: LedgerStore,
  head: Head,
  [{ read, transaction }, items]: readonly [JudgedEntry, StateRead['items']],
): Promise<string | undefined> {
  const { subject } = read.entry;
  if (subject === undefined) return undefined;
  const stored = await entryAt(store, head, subject.sequence);
  if (stored === undefined || !sameLink(stored, subject)) return undefined;
  const linked = transactionOf(stored);
  const lost = linked && itemLost(transaction.transaction, linked, items);
  if (lost === undefined) return undefined;
  // What people voided may have had no effect: then the state never knew it.
  const mark = supersededKey(subject.sequence);
  const marked = (await store.read(head.registryId, [mark])).items.get(mark);
  if (marked !== undefined) return flawOfItem(store, head, [mark, marked]);
  return `the state item ${lost} does not say what entry ${subject.sequence} recorded`;
}

/** The item by which the state should know the linked transaction, and does not. */
function itemLost(
  disputed: Transaction,
  linked: Transaction,
  items: StateRead['items'],
): StateKey | undefined {
  const key = subjectKeyOf(disputed);
  if (key === undefined || !keysRecordedBy(linked).includes(key)) return undefined;
  const item = items.get(key);
  if (item === undefined) return key;
  const old = 'first' in item && 'version' in linked && item.version < linked.version;
  return old ? key : undefined;
}

/** Where the rules look for what the transaction is about. */
function subjectKeyOf(transaction: Transaction): StateKey | undefined {
  switch (transaction.type) {
    case 'create-registry':
    case 'reconfigure-peers':
      return undefined;
    case 'upload-document':
      return documentKey(transaction.documentId);
    case 'request-signature':
      return versionKey(transaction.documentId, transaction.version);
    case 'sign-document':
      return requestKey(transaction.requestId);
  }
}

/** Which items others look for the transaction put into the state, or renewed. */
function keysRecordedBy(transaction: Transaction): StateKey[] {
  switch (transaction.type) {
    case 'create-registry':
    case 'reconfigure-peers':
    case 'sign-document':
      return [];
    case 'upload-document': {
      const { documentId, version } = transaction;
      return [documentKey(documentId), versionKey(documentId, version)];
    }
    case 'request-signature':
      return [requestKey(transaction.requestId)];
  }
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
  const said = isSaidBy(stored, key, item);
  const sound = 'purpose' in item ? said && (await isRequestSound(store, head, item, key)) : said;
  return sound ? undefined : `the state item ${key} is not what entry ${sequence} recorded`;
}

function isSaidBy(stored: StoredEntry, key: StateKey, item: StateItem): boolean {
  const read = readTransaction(stored.transaction);
  if (read.outcome === 'refused') return false;
  const { transaction } = read;
  if ('transactionDigest' in item)
    return (
      transactionKey(transaction.transactionId) === key && item.transactionDigest === read.digest
    );
  if (!sameLink(item.entry, stored)) return false;
  // The mark of a replaced entry is made by the one that carries the resolution out.
  if ('resolution' in item) return resolvesOf(stored).includes(item.resolution);
  switch (transaction.type) {
    case 'create-registry':
    case 'reconfigure-peers':
      return false;
    case 'upload-document': {
      const { documentId, version, contentDigest } = transaction;
      if ('first' in item) return documentKey(documentId) === key && item.version === version;
      return (
        versionKey(documentId, version) === key &&
        'contentDigest' in item &&
        item.contentDigest === contentDigest
      );
    }
    case 'request-signature':
      return requestKey(transaction.requestId) === key && 'purpose' in item;
    case 'sign-document':
      return signatureKey(signatureInputDigest(transaction.signature)) === key;
  }
}

function resolvesOf(stored: StoredEntry): readonly Digest[] {
  const read = readEntry(stored.entry);
  return read.outcome === 'read' ? read.entry.resolves : [];
}

/** Everything in a request's item, held against the entries that it came from. */
async function isRequestSound(
  store: LedgerStore,
  head: Head,
  item: RequestItem,
  key: StateKey,
): Promise<boolean> {
  const requested = await entryAt(store, head, item.entry.sequence);
  const asked = transactionOf(requested);
  if (requested === undefined || asked?.type !== 'request-signature') return false;
  const version = transactionOf(await versionAsked(store, head, requested, asked));
  if (version?.type !== 'upload-document') return false;
  const { documentId, purpose, publicKey, dueAt } = asked;
  const { signed, superseded: _superseded, ...found } = item;
  const { contentDigest } = version;
  const expected = { entry: item.entry, documentId, version: asked.version, contentDigest };
  const due = dueAt === undefined ? {} : { dueAt };
  const right = encodeCanonical({ ...expected, purpose, publicKey, ...due });
  if (!encodeCanonical(found).equals(right)) return false;
  if (signed === undefined) return true;
  const answer = transactionOf(await linkedEntry(store, head, signed));
  return answer?.type === 'sign-document' && requestKey(answer.requestId) === key;
}

/** The version that is to be signed: an alternative links to what it replaces instead. */
async function versionAsked(
  store: LedgerStore,
  head: Head,
  requested: StoredEntry,
  { documentId, version, supersedes }: RequestSignature,
): Promise<StoredEntry | undefined> {
  const read = readEntry(requested.entry);
  const subject = read.outcome === 'read' ? read.entry.subject : undefined;
  if (supersedes === undefined) return subject && linkedEntry(store, head, subject);
  const key = versionKey(documentId, version);
  const { items } = await store.read(head.registryId, [key]);
  const item = items.get(key) as VersionItem | undefined;
  return item && linkedEntry(store, head, item.entry);
}

function transactionOf(stored: StoredEntry | undefined): Transaction | undefined {
  const read = stored === undefined ? undefined : readTransaction(stored.transaction);
  return read?.outcome === 'read' ? read.transaction : undefined;
}

/** The stored entry, if it is the one that is linked to. */
async function linkedEntry(
  store: LedgerStore,
  head: Head,
  link: Link,
): Promise<StoredEntry | undefined> {
  const stored = await entryAt(store, head, link.sequence);
  return sameLink(stored, link) ? stored : undefined;
}

async function entryAt(
  store: LedgerStore,
  { registryId, copy }: Head,
  sequence: number,
): Promise<StoredEntry | undefined> {
  const [stored] = await store.entries(registryId, copy, { from: sequence, count: 1 });
  return stored;
}
