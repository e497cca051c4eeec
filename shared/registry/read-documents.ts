import type { Link } from '../ledger/backlinks.ts';
import type { Digest, RegistryId } from '../ledger/digest.ts';
import { type DocumentItem, documentKey, type VersionItem, versionKey } from '../ledger/state.ts';
import { contentList, documentsList, type ListPosition, positionAt } from './lists.ts';
import type { Head, LedgerStore, ListedItem, StoredEntry } from './ports.ts';
import type { ReadPorts } from './read.ts';
import { listedPage, type Page } from './read-page.ts';
import {
  linkOf,
  storedEntries,
  type Texts,
  textsOf,
  timestampOf,
  transactionOf,
} from './read-stored.ts';

/** Documents, their versions, and where bytes are registered. Ids fit `identifierSchema`. */

/** One recorded version of a document. The ledger does not know who uploaded it. */
export interface VersionSummary extends Pick<Texts, 'name' | 'note' | 'redacted'> {
  readonly documentId: string;
  readonly version: number;
  /** The entry that recorded it. */
  readonly entry: Link;
  readonly contentDigest: Digest;
  readonly size: number;
  readonly mediaType: string;
  /** The entry's timestamp: by the lead's clock. */
  readonly recordedAt: string;
}

/** A document by its newest version. */
export interface DocumentSummary extends VersionSummary {
  /** How many there are: 1 to the newest, none left out. */
  readonly versions: number;
}

export interface DocumentsPage {
  /** In the order of their first versions. */
  readonly documents: readonly DocumentSummary[];
  /** The entry of the first version of the last one. */
  readonly next?: number;
}

/** The documents of a registry. Eventually consistent: see `list` of the port. */
export async function listDocuments(
  { store }: ReadPorts,
  head: Head,
  { after, count }: Page<number>,
): Promise<DocumentsPage> {
  const list = documentsList(head.registryId, head.copy);
  const from = after === undefined ? {} : { after: positionAt(after) };
  const { found, next } = await listedPage(store, [list], { ...from, count });
  const items = found.map(({ item }) => item as DocumentItem);
  const entryAt = await storedEntries(
    store,
    head,
    items.map(({ entry }) => entry.sequence),
  );
  return {
    documents: items.map((item) => documentOf(entryAt(item.entry.sequence))),
    ...(next === undefined ? {} : { next: Number(next) }),
  };
}

/** One document by its newest version; undefined: this registry has none with this id. */
export async function readDocument(
  { store }: ReadPorts,
  head: Head,
  documentId: string,
): Promise<DocumentSummary | undefined> {
  const key = documentKey(documentId);
  const { items } = await store.read(head.registryId, [key]);
  const item = items.get(key) as DocumentItem | undefined;
  if (item === undefined) return undefined;
  const { sequence } = item.entry;
  return documentOf((await storedEntries(store, head, [sequence]))(sequence));
}

/** Versions count from 1 without gaps: the newest is as many as there are. */
function documentOf(stored: StoredEntry): DocumentSummary {
  const summary = versionOfEntry(stored);
  return { ...summary, versions: summary.version };
}

function versionOfEntry(stored: StoredEntry): VersionSummary {
  const upload = transactionOf(stored, 'upload-document');
  const { documentId, version, contentDigest, size, mediaType } = upload;
  return {
    documentId,
    version,
    ...textsOf(stored),
    entry: linkOf(stored),
    contentDigest,
    size,
    mediaType,
    recordedAt: timestampOf(stored),
  };
}

export interface VersionsPage {
  /** In the order of their numbers. */
  readonly versions: readonly VersionSummary[];
  /** The number of the last one. */
  readonly next?: number;
}

/** Every version of a document; undefined: this registry has no document with this id. */
export async function listVersions(
  { store }: ReadPorts,
  head: Head,
  documentId: string,
  { after = 0, count }: Page<number>,
): Promise<VersionsPage | undefined> {
  const newest = documentKey(documentId);
  const keys = Array.from({ length: count }, (_, at) => versionKey(documentId, after + at + 1));
  const { items } = await store.read(head.registryId, [newest, ...keys]);
  const document = items.get(newest) as DocumentItem | undefined;
  if (document === undefined) return undefined;
  const sequences = keys
    .map((key) => items.get(key) as VersionItem | undefined)
    .flatMap((item) => item?.entry.sequence ?? []);
  const entryAt = await storedEntries(store, head, sequences);
  const versions = sequences.map((sequence) => versionOfEntry(entryAt(sequence)));
  const last = versions.at(-1)?.version ?? after;
  return { versions, ...(last < document.version ? { next: last } : {}) };
}

/** One version of a document; undefined: this registry has no such version. */
export async function readVersion(
  { store }: ReadPorts,
  head: Head,
  documentId: string,
  version: number,
): Promise<VersionSummary | undefined> {
  const key = versionKey(documentId, version);
  const { items } = await store.read(head.registryId, [key]);
  const item = items.get(key) as VersionItem | undefined;
  if (item === undefined) return undefined;
  const { sequence } = item.entry;
  return versionOfEntry((await storedEntries(store, head, [sequence]))(sequence));
}

/** A version that holds the bytes asked for. */
export interface ContentPlace extends VersionSummary {
  readonly registryId: RegistryId;
}

export interface ContentPage {
  /** In the order of registry ids, within one of entries. May be shorter than asked for. */
  readonly versions: readonly ContentPlace[];
  /** Fits `isContentPosition`. */
  readonly next?: ListPosition;
}

/**
 * Every version on this instance, in whatever registry, that has exactly these bytes: "is this file
 * registered?" None means: not here. Eventually consistent: see `list` of the port.
 */
export async function findContent(
  { store }: Pick<ReadPorts, 'store'>,
  contentDigest: Digest,
  page: Page<ListPosition>,
): Promise<ContentPage> {
  const { found, next } = await listedPage(store, [contentList(contentDigest)], page);
  const registries = [...new Set(found.map(({ registryId }) => registryId))];
  const places = await Promise.all(
    registries.map((registryId) => placesIn(store, registryId, found)),
  );
  return { versions: places.flat(), ...(next === undefined ? {} : { next }) };
}

/** The listed versions of one registry. What stands in a copy that was set aside is not shown. */
async function placesIn(
  store: LedgerStore,
  registryId: RegistryId,
  found: readonly ListedItem[],
): Promise<ContentPlace[]> {
  const head = await store.head(registryId);
  if (head === undefined) throw new Error(`registry ${registryId} has versions but no head`);
  const sequences = found
    .filter((listed) => listed.registryId === registryId && listed.copy === head.copy)
    .map(({ item }) => (item as VersionItem).entry.sequence);
  const entryAt = await storedEntries(store, head, sequences);
  return sequences.map((sequence) => ({ registryId, ...versionOfEntry(entryAt(sequence)) }));
}
