/** The keys of all items: one table, a partition per item wherever order is not asked for. */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { fanOutPrefixes, tableKey } from '../../config.ts';
import type { CertificateId, Digest, RegistryId } from '../../ledger/digest.ts';
import type { StateKey } from '../../ledger/state.ts';
import type { KeptStatement } from '../../registry/conflict-record.ts';
import { type ItemPlace, sortableNumber } from '../../registry/lists.ts';
import { StoredDamage } from '../../registry/stored-damage.ts';
import { transactionIdOf } from '../commit-items.ts';
import { keptPlace } from '../kept-items.ts';

export type Item = Record<string, AttributeValue>;
/** An item's two key attributes. */
export type ItemKey = Record<string, AttributeValue>;

const [HEAD_PREFIX, LOG_HEAD_PREFIX] = fanOutPrefixes;
const COPY_DIGITS = 8;

function itemKey(partition: string, sort: string): ItemKey {
  return { [tableKey.partition]: { S: partition }, [tableKey.sort]: { S: sort } };
}

/** Both parts of an item's key in one text, for looking up and for messages. */
export function keyText(item: Item): string {
  return `${item[tableKey.partition]?.S} ${item[tableKey.sort]?.S}`;
}

export function headKey(registryId: RegistryId): ItemKey {
  return itemKey(`${HEAD_PREFIX}${registryId}`, 'HEAD');
}

/** Entries are spread: a partition that only grows at its end would not be split when hot. */
export function entryKey(registryId: RegistryId, copy: number, sequence: number): ItemKey {
  return itemKey(`ENTRY#${registryId}#${copy}#${sequence}`, 'ENTRY');
}

export function transactionItemKey(
  registryId: RegistryId,
  copy: number,
  transactionId: string,
): ItemKey {
  return itemKey(`TRANSACTION#${registryId}#${copy}#${transactionId}`, 'TRANSACTION');
}

/** Where a state key is answered from: its own item, or its transaction's. */
export function stateKeyItemKey(registryId: RegistryId, copy: number, key: StateKey): ItemKey {
  const transactionId = transactionIdOf(key);
  return transactionId === undefined
    ? itemKey(`STATE#${registryId}#${copy}#${key}`, 'STATE')
    : transactionItemKey(registryId, copy, transactionId);
}

const STATE_PARTITION = /^STATE#([0-9a-f]{64})#(\d+)#(.+)$/s;

/** The place that is in the key of a state item of its own. */
export function statePlaceOf(item: Item): ItemPlace {
  const [, registryId, copy, key] = STATE_PARTITION.exec(item[tableKey.partition]?.S ?? '') ?? [];
  if (key === undefined)
    throw new StoredDamage(`the item ${keyText(item)} is listed but no state item`);
  return { registryId: registryId as RegistryId, copy: Number(copy), key: key as StateKey };
}

export function confirmationsPartition(registryId: RegistryId, signer: CertificateId): string {
  return `CONFIRMATION#${registryId}#${signer}`;
}

/** In the order of sequences, and of copies; the first copy's keys have no copy in them. */
export function confirmationKey(
  registryId: RegistryId,
  signer: CertificateId,
  sequence: number,
  copy: number,
): ItemKey {
  const ofCopy = copy === 1 ? '' : `#${String(copy).padStart(COPY_DIGITS, '0')}`;
  const sort = `${sortableNumber(sequence)}${ofCopy}`;
  return itemKey(confirmationsPartition(registryId, signer), sort);
}

export function logPartition(registryId: RegistryId): string {
  return `LOG#${registryId}`;
}

export function logKey(registryId: RegistryId, index: number): ItemKey {
  return itemKey(logPartition(registryId), sortableNumber(index));
}

export function logHeadKey(registryId: RegistryId): ItemKey {
  return itemKey(`${LOG_HEAD_PREFIX}${registryId}`, 'LOGHEAD');
}

export function cursorsPartition(registryId: RegistryId): string {
  return `CURSOR#${registryId}`;
}

export function cursorKey(registryId: RegistryId, peer: CertificateId): ItemKey {
  return itemKey(cursorsPartition(registryId), peer);
}

export function progressKey(registryId: RegistryId): ItemKey {
  return itemKey(`PROGRESS#${registryId}`, 'PROGRESS');
}

export function auditProgressKey(registryId: RegistryId): ItemKey {
  return itemKey(`AUDIT#${registryId}`, 'AUDIT');
}

export function conflictsPartition(registryId: RegistryId): string {
  return `CONFLICT#${registryId}`;
}

export function conflictKey(registryId: RegistryId, conflictId: Digest): ItemKey {
  return itemKey(conflictsPartition(registryId), conflictId);
}

/** One for each version of the head's open set that `commit` or `settle` made another set with. */
export function openSetKey(registryId: RegistryId, conflictsVersion: number): ItemKey {
  return itemKey(`OPENSET#${registryId}`, sortableNumber(conflictsVersion));
}

export function keptPartition(registryId: RegistryId): string {
  return `STATEMENT#${registryId}`;
}

/** Not beside the conflicts: every item there is an event. */
export function keptKey(registryId: RegistryId, kept: KeptStatement): ItemKey {
  return itemKey(keptPartition(registryId), keptPlace(kept));
}

export function invitationKey(registryId: RegistryId): ItemKey {
  return itemKey(`INVITATION#${registryId}`, 'INVITATION');
}

export function certificateKey(id: CertificateId): ItemKey {
  return itemKey(`CERTIFICATE#${id}`, 'CERTIFICATE');
}

export const REGISTRIES_PARTITION = 'REGISTRIES';

export function registryKey(registryId: RegistryId): ItemKey {
  return itemKey(REGISTRIES_PARTITION, registryId);
}
