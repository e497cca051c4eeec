import type { Link } from '../ledger/backlinks.ts';
import { sameLink } from '../ledger/chain.ts';
import { type Digest, digestOf, isSequence } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { limits } from '../ledger/limits.ts';
import { signatureInputDigest } from '../ledger/signature.ts';
import {
  type DocumentItem,
  documentKey,
  type RequestItem,
  requestKey,
  type SignatureItem,
  type StateItem,
  type StateKey,
  signatureKey,
  supersededKey,
  type TransactionItem,
  transactionKey,
  type VersionItem,
  versionKey,
} from '../ledger/state.ts';
import {
  type RequestSignature,
  readTransaction,
  type SignDocument,
  type Transaction,
  type UploadDocument,
} from '../ledger/transaction.ts';
import {
  isIn,
  type KeptResolutions,
  keysOfMarks,
  madeAllTheSame,
  markOf,
  markThatDiffers,
  type NamedEntry,
  readKeptResolutions,
  replacedThrough,
  resolvesOf,
  sequencesOf,
  sequencesOfMark,
  skipsVersions,
} from './audit-superseded.ts';
import type { Head, LedgerStore, StoredEntry } from './ports.ts';

/**
 * Holding the stored state against the entries (I-19): each entry against the items that it made or
 * renewed. An item that later entries renewed names the last of them, which is read beside it: so
 * the entries of one page are held in memory, and those that their items name.
 */

/** What is stored about the transactions of some entries, read together. */
export interface StoredState {
  /** The last entry that is to be held against the state. */
  readonly through: number;
  readonly items: ReadonlyMap<StateKey, StateItem>;
  /** The entries that the items and the entries themselves name, by sequence. */
  readonly named: ReadonlyMap<number, StoredEntry>;
  /** Those that the entries, the marks or the head name. */
  readonly resolutions: KeptResolutions;
  /** Entries that a resolution replaces which no entry has carried out yet. */
  readonly decided: readonly Link[];
}

/** Reads the state items of a page of entries, and the entries that say what should be in them. */
export async function readStoredState(
  store: LedgerStore,
  head: Head,
  page: readonly StoredEntry[],
): Promise<StoredState> {
  const { registryId, copy, sequence: through, decided = [] } = head;
  const { items: own } = await store.read(registryId, page.flatMap(keysOf));
  const marks = page.flatMap(({ sequence }) => markOf(own, sequence) ?? []);
  const resolves = page.flatMap(resolvesOf);
  const isNamed = resolves.length > 0 || marks.length > 0 || decided.length > 0;
  const resolutions = isNamed ? await readKeptResolutions(store, head) : new Map();
  const replaced = page.flatMap((stored) =>
    replacedThrough(resolutions, resolvesOf(stored)).flatMap((each) => each.replaced),
  );
  const made = replaced.map(({ sequence }) => supersededKey(sequence));
  const further = made.length === 0 ? own : (await store.read(registryId, made)).items;
  const items = new Map([...own, ...further]);
  const named = new Map(page.map((stored) => [stored.sequence as number, stored]));
  const wanted = new Set([
    ...page.flatMap((stored) => sequencesNamed(stored, items)),
    ...sequencesOf(...marks.flatMap(sequencesOfMark), ...replaced),
  ]);
  const others = [...wanted].filter((sequence) => !named.has(sequence));
  for (let start = 0; start < others.length; start += limits.pageMax) {
    const some = others.slice(start, start + limits.pageMax);
    for (const stored of await store.entriesAt(registryId, copy, some))
      named.set(stored.sequence, stored);
  }
  const pending = replacedThrough(resolutions, decided).flatMap((each) => each.replaced);
  return { through, items, named, resolutions, decided: pending };
}

/** The first item that is not what the verified entry made it; undefined: all are. */
export function itemThatDiffers(
  stored: StoredEntry,
  state: StoredState,
  broken: boolean,
): StateKey | undefined {
  const key = transactionKey(stored.transactionId);
  const recorded = state.items.get(key) as TransactionItem | undefined;
  if (
    recorded?.sequence !== stored.sequence ||
    recorded.transactionDigest !== digestOf(stored.transaction)
  )
    return key;
  const transaction = transactionOf(stored);
  if (transaction === undefined) return undefined;
  const resolves = resolvesOf(stored);
  const marked = markThatDiffers(
    { link: linkOf(stored), transaction, resolves },
    { ...state, named: (sequence) => namedEntry(sequence, state) },
  );
  if (marked !== undefined) return marked;
  return broken
    ? madeAllTheSame(linkOf(stored), keysOfEffect(transaction), state.items)
    : effectThatDiffers(stored, transaction, state);
}

function namedEntry(sequence: number, state: StoredState): NamedEntry | undefined {
  const transaction = soundTransactionAt(sequence, state);
  const stored = state.named.get(sequence);
  if (transaction === undefined || stored === undefined) return undefined;
  return { link: linkOf(stored), transaction, resolves: resolvesOf(stored) };
}

/**
 * The first item that the transaction should have made or renewed, and has not. One that was
 * replaced or voided, or is about to be, may have broken a rule: then it made nothing.
 */
function effectThatDiffers(
  stored: StoredEntry,
  transaction: Transaction,
  state: StoredState,
): StateKey | undefined {
  if (isWithoutEffect(stored, transaction, state)) return undefined;
  switch (transaction.type) {
    case 'create-registry':
    case 'reconfigure-peers':
      return undefined;
    case 'upload-document':
      return itemOfVersionThatDiffers(stored, transaction, state);
    case 'request-signature':
      return isRequestAsAsked(stored, transaction, state)
        ? undefined
        : requestKey(transaction.requestId);
    case 'sign-document':
      return itemOfSignatureThatDiffers(stored, transaction, state);
  }
}

function isWithoutEffect(
  stored: StoredEntry,
  transaction: Transaction,
  { items, decided }: StoredState,
): boolean {
  const link = linkOf(stored);
  const mark = markOf(items, stored.sequence);
  if (mark === undefined && !isIn(decided, link)) return false;
  switch (transaction.type) {
    case 'create-registry':
    case 'reconfigure-peers':
      return true;
    case 'upload-document': {
      const key = versionKey(transaction.documentId, transaction.version);
      return !sameLink((items.get(key) as VersionItem | undefined)?.entry, link);
    }
    case 'request-signature': {
      const request = items.get(requestKey(transaction.requestId)) as RequestItem | undefined;
      return !sameLink(request?.entry, link);
    }
    case 'sign-document': {
      // What it answered is open again, or answered by another.
      const request = items.get(requestKey(transaction.requestId)) as RequestItem | undefined;
      return !sameLink(request?.signed, link);
    }
  }
}

/** Undefined only where the bytes are no transaction, which verifying the entry finds. */
export function transactionOf(stored: StoredEntry): Transaction | undefined {
  const read = readTransaction(stored.transaction);
  return read.outcome === 'read' ? read.transaction : undefined;
}

/** The items that the entry's transaction made or renewed, or that say that it counts no more. */
function keysOf(stored: StoredEntry): StateKey[] {
  const transaction = transactionOf(stored);
  if (transaction === undefined) return [];
  const key = transactionKey(transaction.transactionId);
  return [key, ...keysOfMarks(stored, transaction), ...keysOfEffect(transaction)];
}

function keysOfEffect(transaction: Transaction): StateKey[] {
  switch (transaction.type) {
    case 'create-registry':
    case 'reconfigure-peers':
      return [];
    case 'upload-document': {
      const { documentId, version } = transaction;
      const own = [documentKey(documentId), versionKey(documentId, version)];
      return version === 1 ? own : [...own, versionKey(documentId, version - 1)];
    }
    case 'request-signature': {
      const { requestId, documentId, version, supersedes } = transaction;
      const key = requestKey(requestId);
      return supersedes === undefined ? [key] : [key, versionKey(documentId, version)];
    }
    case 'sign-document': {
      const { requestId, signature } = transaction;
      return [requestKey(requestId), signatureKey(signatureInputDigest(signature))];
    }
  }
}

/** Where the entries are that `isNewest` and `isRequestAsAsked` look at. */
function sequencesNamed(stored: StoredEntry, items: StoredState['items']): number[] {
  const transaction = transactionOf(stored);
  switch (transaction?.type) {
    case undefined:
    case 'create-registry':
    case 'reconfigure-peers':
    case 'sign-document':
      return [];
    case 'upload-document': {
      const item = items.get(documentKey(transaction.documentId)) as DocumentItem | undefined;
      return transaction.version > 1 ? [] : sequencesOf(item?.entry);
    }
    case 'request-signature': {
      const item = items.get(requestKey(transaction.requestId)) as RequestItem | undefined;
      return sequencesOf(subjectOf(stored), item?.signed);
    }
  }
}

function itemOfVersionThatDiffers(
  stored: StoredEntry,
  upload: UploadDocument,
  state: StoredState,
): StateKey | undefined {
  const { documentId, version, contentDigest, size, mediaType } = upload;
  const key = versionKey(documentId, version);
  const item = state.items.get(key) as VersionItem | undefined;
  if (
    !sameLink(item?.entry, linkOf(stored)) ||
    item?.contentDigest !== contentDigest ||
    item.size !== size ||
    item.mediaType !== mediaType ||
    !sameLink(item.superseded, markOf(state.items, stored.sequence)?.entry) ||
    skipsVersions(stored, upload, state.items)
  )
    return key;
  const newest = state.items.get(documentKey(documentId)) as DocumentItem | undefined;
  return newest !== undefined && isNewest(stored, newest, [upload, state])
    ? undefined
    : documentKey(documentId);
}

/**
 * Whether a document's item fits one of its versions. A newer version, which has its own entry, may
 * have come since. That there is such a version, and which entry was the first, is seen at version 1.
 */
function isNewest(
  stored: StoredEntry,
  item: DocumentItem,
  [{ documentId, version }, state]: readonly [UploadDocument, StoredState],
): boolean {
  if (item.version < version) return false;
  if (item.version === version && !sameLink(item.entry, linkOf(stored))) return false;
  if (version > 1) return true;
  if (item.first !== stored.sequence) return false;
  return isNamedRightly(
    item.entry,
    state,
    (named) =>
      named.type === 'upload-document' &&
      named.documentId === documentId &&
      named.version === item.version,
  );
}

/**
 * Whether a request's item says all that its entry does, and is signed only by an entry that answers
 * it. That it is signed where the ledger has such an entry is seen at that entry.
 */
function isRequestAsAsked(
  stored: StoredEntry,
  asked: RequestSignature,
  state: StoredState,
): boolean {
  const item = state.items.get(requestKey(asked.requestId)) as RequestItem | undefined;
  const contentDigest = contentAskedFor(stored, asked, state);
  if (item === undefined || contentDigest === undefined) return false;
  const { requestId, documentId, version, purpose, publicKey, dueAt } = asked;
  const { signed, superseded, ...found } = item;
  const expected = {
    entry: linkOf(stored),
    documentId,
    version,
    contentDigest,
    purpose,
    publicKey,
    ...(dueAt === undefined ? {} : { dueAt }),
  };
  const mark = markOf(state.items, stored.sequence);
  if (!isSame(found, expected) || !sameLink(superseded, mark?.entry)) return false;
  return (
    signed === undefined ||
    isNamedRightly(
      signed,
      state,
      (named) => named.type === 'sign-document' && named.requestId === requestId,
    )
  );
}

/** An alternative links to what it replaces, and not to the version: that has its own entry. */
function contentAskedFor(
  stored: StoredEntry,
  { documentId, version, supersedes }: RequestSignature,
  state: StoredState,
): Digest | undefined {
  if (supersedes !== undefined) {
    const item = state.items.get(versionKey(documentId, version)) as VersionItem | undefined;
    return item?.contentDigest;
  }
  const signable = soundTransactionAt(subjectOf(stored)?.sequence ?? 0, state);
  return signable?.type === 'upload-document' ? signable.contentDigest : undefined;
}

function itemOfSignatureThatDiffers(
  stored: StoredEntry,
  { requestId, signature }: SignDocument,
  { items }: StoredState,
): StateKey | undefined {
  const request = items.get(requestKey(requestId)) as RequestItem | undefined;
  // A signature that was replaced or voided answers nothing any more.
  const isVoid = markOf(items, stored.sequence) !== undefined;
  if (isVoid || !sameLink(request?.signed, linkOf(stored))) return requestKey(requestId);
  const key = signatureKey(signatureInputDigest(signature));
  const given = items.get(key) as SignatureItem | undefined;
  return sameLink(given?.entry, linkOf(stored)) ? undefined : key;
}

/** Whether two values of JSON are the same, whatever the order of their members. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null)
    return one === other;
  const members = Object.entries(one);
  const others = new Map<string, unknown>(Object.entries(other));
  return (
    members.length === others.size &&
    members.every(([name, value]) => others.has(name) && isSame(value, others.get(name)))
  );
}

/**
 * Whether an item may name that entry as the one that renewed it. An entry of this audit that is
 * missing or damaged, or has another digest than the item says, is found at its own place.
 */
function isNamedRightly(
  link: Link | undefined,
  state: StoredState,
  fits: (transaction: Transaction) => boolean,
): boolean {
  const sequence = link?.sequence ?? 0;
  if (!isSequence(sequence)) return false;
  const transaction = soundTransactionAt(sequence, state);
  if (sequence <= state.through) return transaction === undefined || fits(transaction);
  return (
    transaction !== undefined && fits(transaction) && sameLink(link, state.named.get(sequence))
  );
}

/** By the entry's own bytes, for it may not be verified yet; undefined: missing or damaged. */
function soundTransactionAt(sequence: number, { named }: StoredState): Transaction | undefined {
  const stored = named.get(sequence);
  if (stored === undefined) return undefined;
  const read = readEntry(stored.entry);
  const recorded = readTransaction(stored.transaction);
  return read.outcome === 'read' &&
    recorded.outcome === 'read' &&
    read.digest === stored.digest &&
    read.entry.transactionDigest === recorded.digest
    ? recorded.transaction
    : undefined;
}

function subjectOf(stored: StoredEntry): Link | undefined {
  const read = readEntry(stored.entry);
  return read.outcome === 'read' ? read.entry.subject : undefined;
}

function linkOf({ sequence, digest }: StoredEntry): Link {
  return { sequence, digest };
}
