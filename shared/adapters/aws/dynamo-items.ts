/**
 * Values as items and back. What a condition compares is an attribute of its own, bytes stay bytes,
 * and the rest is JSON in the attribute `value`. An item that lacks something was not written here:
 * reading it throws `StoredDamage`, and names the item.
 */
import { listsIndex } from '../../config.ts';
import { encodeCanonical } from '../../ledger/canonical.ts';
import { type Digest, digestOf, type RegistryId, type Sequence } from '../../ledger/digest.ts';
import type { Compact } from '../../ledger/jws.ts';
import type { StateChange, StateItem, TransactionItem } from '../../ledger/state.ts';
import { type ListPlace, type ListPosition, listPlaceOf } from '../../registry/lists.ts';
import type { Head, ListedItem, StoredEntry } from '../../registry/ports.ts';
import { StoredDamage } from '../../registry/stored-damage.ts';
import {
  entryKey,
  headKey,
  type Item,
  type ItemKey,
  keyText,
  stateKeyItemKey,
  statePlaceOf,
  transactionItemKey,
} from './dynamo-keys.ts';
import { redactionOfItem, redactionValue } from './dynamo-redaction.ts';

/** Everything but documents' and transactions' bytes: what the rules and the head need. */
export const STATE_ATTRIBUTES = [
  'digest',
  'conflictsVersion',
  'openConflicts',
  'value',
  'sequence',
  'transactionDigest',
] as const;

function broken(item: Item, name: string): StoredDamage {
  return new StoredDamage(
    `the item ${keyText(item)} has no proper attribute "${name}": it was damaged`,
  );
}

export function textOf(item: Item, name: string): string {
  const text = item[name]?.S;
  if (text === undefined) throw broken(item, name);
  return text;
}

export function numberOf(item: Item, name: string): number {
  const value = Number(item[name]?.N);
  if (!Number.isSafeInteger(value)) throw broken(item, name);
  return value;
}

function bytesOf(item: Item, name: string): Uint8Array {
  const bytes = item[name]?.B;
  if (bytes === undefined) throw broken(item, name);
  return bytes;
}

/** A value that no condition looks into. */
export function recordItem(key: ItemKey, value: object): Item {
  return { ...key, value: { S: JSON.stringify(value) } };
}

/** The value of an item that `recordItem` made of the same type. */
export function recordOf<T extends object>(item: Item): T {
  try {
    return JSON.parse(textOf(item, 'value')) as T;
  } catch {
    throw broken(item, 'value');
  }
}

export function headItem(head: Head): Item {
  const { digest, conflictsVersion, openConflicts, ...rest } = head;
  return {
    ...recordItem(headKey(head.registryId), rest),
    digest: { S: digest },
    conflictsVersion: { N: String(conflictsVersion) },
    openConflicts: { L: openConflicts.map((conflictId) => ({ S: conflictId })) },
  };
}

export function headOf(item: Item): Head {
  const openConflicts = item['openConflicts']?.L;
  if (openConflicts === undefined) throw broken(item, 'openConflicts');
  return {
    ...recordOf<Omit<Head, 'digest' | 'conflictsVersion' | 'openConflicts'>>(item),
    digest: textOf(item, 'digest') as Digest,
    conflictsVersion: numberOf(item, 'conflictsVersion'),
    openConflicts: openConflicts.map(({ S: conflictId }) => {
      if (conflictId === undefined) throw broken(item, 'openConflicts');
      return conflictId as Digest;
    }),
  };
}

/** An entry without its transaction, which is an item of its own. */
export function entryItem(registryId: RegistryId, copy: number, entry: StoredEntry): Item {
  return {
    ...entryKey(registryId, copy, entry.sequence),
    sequence: { N: String(entry.sequence) },
    digest: { S: entry.digest },
    transactionId: { S: entry.transactionId },
    bytes: { B: entry.entry },
    ...(entry.checkpoint === undefined ? {} : { checkpoint: { S: entry.checkpoint } }),
  };
}

export function transactionItem(registryId: RegistryId, copy: number, entry: StoredEntry): Item {
  return {
    ...transactionItemKey(registryId, copy, entry.transactionId),
    sequence: { N: String(entry.sequence) },
    transactionDigest: { S: digestOf(entry.transaction) },
    bytes: { B: entry.transaction },
    ...(entry.details === undefined ? {} : { details: { B: entry.details } }),
    ...(entry.redaction === undefined ? {} : { redaction: redactionValue(entry.redaction) }),
  };
}

/** An entry from its two items. */
export function storedEntryOf(entry: Item, transaction: Item): StoredEntry {
  const details = transaction['details']?.B;
  const checkpoint = entry['checkpoint']?.S;
  return {
    sequence: numberOf(entry, 'sequence') as Sequence,
    digest: textOf(entry, 'digest') as Digest,
    entry: bytesOf(entry, 'bytes'),
    transactionId: textOf(entry, 'transactionId'),
    transaction: bytesOf(transaction, 'bytes'),
    ...(details === undefined ? {} : { details }),
    ...redactionOfItem(transaction),
    ...(checkpoint === undefined ? {} : { checkpoint: checkpoint as Compact }),
  };
}

/** Canonical, so that a condition on the text is a condition on the value. */
export function stateValue(item: StateItem): string {
  return encodeCanonical(item).toString();
}

export function stateItem(
  registryId: RegistryId,
  copy: number,
  { key, after }: Pick<StateChange, 'key' | 'after'>,
): Item {
  return {
    ...stateKeyItemKey(registryId, copy, key),
    value: { S: stateValue(after) },
    ...listAttributes(listPlaceOf({ registryId, copy, key }, after)),
  };
}

/** What the index takes an item by; without them it is in no list. */
function listAttributes(place: ListPlace | undefined): Item {
  if (place === undefined) return {};
  return { [listsIndex.partition]: { S: place.list }, [listsIndex.sort]: { S: place.position } };
}

/** A state item as the index gives it. */
export function listedItemOf(item: Item): ListedItem {
  return {
    ...statePlaceOf(item),
    item: recordOf<StateItem>(item),
    position: textOf(item, listsIndex.sort) as ListPosition,
  };
}

/** The answer to a state key, from its own item or from its transaction's. */
export function stateItemOf(item: Item): StateItem {
  if (item['value'] !== undefined) return recordOf<StateItem>(item);
  return {
    transactionDigest: textOf(item, 'transactionDigest') as Digest,
    sequence: numberOf(item, 'sequence'),
  } satisfies TransactionItem;
}
