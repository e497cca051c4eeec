import type { Digest, RegistryId } from '../ledger/digest.ts';
import {
  type DocumentItem,
  documentKey,
  type RequestItem,
  requestKey,
  type StateItem,
  type StateKey,
  type VersionItem,
} from '../ledger/state.ts';

/**
 * Which state items are listed where. An item is in one list or in none, and in one place of it:
 * both follow from the item alone, so that writing it is all that keeps the lists.
 */

/** Names one list of an instance. */
export type ListName = string & { readonly listName: unique symbol };

/** An item's place in its list: lists are ordered by it as text, and no two items share one. */
export type ListPosition = string & { readonly listPosition: unique symbol };

/** A state item as one instance keeps it. */
export interface ItemPlace {
  readonly registryId: RegistryId;
  /** Of the ledger that the item belongs to. */
  readonly copy: number;
  readonly key: StateKey;
}

export interface ListPlace {
  readonly list: ListName;
  readonly position: ListPosition;
}

/** Digits of the largest safe integer, so that text sorts as numbers do. */
const NUMBER_DIGITS = 16;

/** A sequence or an index as text that sorts like it. */
export function sortableNumber(value: number): string {
  return String(value).padStart(NUMBER_DIGITS, '0');
}

/** Every document of a registry, by the entry of its first version. */
export function documentsList(registryId: RegistryId, copy: number): ListName {
  return `DOCUMENTS#${registryId}#${copy}` as ListName;
}

/** The signing requests of a registry that are open, or that are signed, by the requests' entries. */
export function requestsList(
  registryId: RegistryId,
  copy: number,
  status: 'open' | 'signed',
): ListName {
  return `REQUESTS#${registryId}#${copy}#${status}` as ListName;
}

/** Every version with exactly these bytes, over all registries, by registry and entry. */
export function contentList(contentDigest: Digest): ListName {
  return `CONTENT#${contentDigest}` as ListName;
}

/** The position of what stands at that entry, in a list of one registry. */
export function positionAt(sequence: number): ListPosition {
  return sortableNumber(sequence) as ListPosition;
}

const CONTENT_POSITION = /^[0-9a-f]{64}#\d{16}#\d{1,16}$/;

/** Whether the text has the form of a position in a list of `contentList`. */
export function isContentPosition(text: string): text is ListPosition {
  return CONTENT_POSITION.test(text);
}

const DOCUMENT_PREFIX = documentKey('');
const REQUEST_PREFIX = requestKey('');
const VERSION_PREFIX = 'version#';

/** The list that an item is in, and where; undefined: in none. */
export function listPlaceOf(
  { registryId, copy, key }: ItemPlace,
  item: StateItem,
): ListPlace | undefined {
  if (key.startsWith(DOCUMENT_PREFIX)) {
    const { first } = item as DocumentItem;
    return { list: documentsList(registryId, copy), position: positionAt(first) };
  }
  if (key.startsWith(REQUEST_PREFIX)) {
    const { entry, signed, superseded } = item as RequestItem;
    // Nobody is to sign it any more: it is found by its id, and among the entries.
    if (signed === undefined && superseded !== undefined) return undefined;
    const status = signed === undefined ? 'open' : 'signed';
    return {
      list: requestsList(registryId, copy, status),
      position: positionAt(entry.sequence),
    };
  }
  if (!key.startsWith(VERSION_PREFIX)) return undefined;
  const { entry, contentDigest } = item as VersionItem;
  const position = `${registryId}#${sortableNumber(entry.sequence)}#${copy}` as ListPosition;
  return { list: contentList(contentDigest), position };
}
