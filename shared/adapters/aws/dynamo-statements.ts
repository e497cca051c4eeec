/** Confirmations, the log of own statements, and conflicts: what is put once beside the entries. */
import type { TransactWriteItem } from '@aws-sdk/client-dynamodb';
import type { RegistryId } from '../../ledger/digest.ts';
import type { Confirmation, Head, LoggedStatement, OpenedConflict } from '../../registry/ports.ts';
import { numberOf, recordItem, recordOf } from './dynamo-items.ts';
import {
  confirmationKey,
  conflictKey,
  headKey,
  type Item,
  keyText,
  logHeadKey,
  logKey,
} from './dynamo-keys.ts';
import type { DynamoTable } from './dynamo-table.ts';

/** How often a write that met another writer is tried in all. */
const ATTEMPTS_MAX = 8;

export type PutConfirmationOutcome = 'stored' | 'held' | 'contradicts';

/** Stores a confirmation of another instance, unless there is one. */
export async function putReceivedConfirmation(
  table: DynamoTable,
  registryId: RegistryId,
  confirmation: Confirmation,
): Promise<PutConfirmationOutcome> {
  const key = confirmationKey(registryId, confirmation.signer, confirmation.sequence);
  const found = await table.putOnce(recordItem(key, confirmation));
  return found === undefined ? 'stored' : comparedWith(found, confirmation);
}

/**
 * Stores an own confirmation and appends it to the log in one write, whose condition on the log's
 * head gives every statement an index of its own. Whoever meets another writer reads again.
 */
export async function putOwnConfirmation(
  table: DynamoTable,
  registryId: RegistryId,
  confirmation: Confirmation,
): Promise<PutConfirmationOutcome> {
  const key = confirmationKey(registryId, confirmation.signer, confirmation.sequence);
  const logHead = logHeadKey(registryId);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    if (attempt > 0) await table.backoff(attempt);
    const read = await table.batchGet([key, logHead]);
    const found = read.get(keyText(key));
    if (found !== undefined) return comparedWith(found, confirmation);
    const index = indexOf(read.get(keyText(logHead))) + 1;
    const logged: LoggedStatement = {
      index,
      statement: confirmation.statement,
      checkpoint: confirmation.checkpoint,
    };
    const written = await table.transact([
      table.putUnlessThere(recordItem(key, confirmation)),
      table.putUnlessThere(recordItem(logKey(registryId, index), logged)),
      advanceLogHead(table, registryId, index),
    ]);
    if (written.outcome === 'done') return 'stored';
  }
  throw new Error(
    `the statement log of registry ${registryId} is busy: the confirmation of entry ` +
      `${confirmation.sequence} was not written; try again`,
  );
}

/** The index in a log head's item; 0 where there is none. */
export function indexOf(logHead: Item | undefined): number {
  return logHead === undefined ? 0 : numberOf(logHead, 'index');
}

function comparedWith(found: Item, { digest }: Confirmation): 'held' | 'contradicts' {
  return recordOf<Confirmation>(found).digest === digest ? 'held' : 'contradicts';
}

function advanceLogHead(
  table: DynamoTable,
  registryId: RegistryId,
  index: number,
): TransactWriteItem {
  const isFirst = index === 1;
  return {
    Update: {
      TableName: table.name,
      Key: logHeadKey(registryId),
      UpdateExpression: 'SET #index = :index',
      ConditionExpression: isFirst ? 'attribute_not_exists(#index)' : '#index = :previous',
      ExpressionAttributeNames: { '#index': 'index' },
      ExpressionAttributeValues: {
        ':index': number(index),
        ...(isFirst ? {} : { ':previous': number(index - 1) }),
      },
    },
  };
}

function number(value: number) {
  return { N: String(value) };
}

/**
 * Stores the conflict and adds it to the head's open set in one write; whatever else the head says
 * stays. A writer that stays in the way counts as a lost race: it is moving the head.
 */
export async function writeConflict(
  table: DynamoTable,
  conflict: OpenedConflict,
  expected: Pick<Head, 'digest' | 'conflictsVersion'>,
): Promise<'opened' | 'held' | 'lost-race'> {
  const key = conflictKey(conflict.registryId, conflict.conflictId);
  const items = [
    table.putUnlessThere(recordItem(key, conflict)),
    openOnHead(table, conflict, expected),
  ];
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    if (attempt > 0) await table.backoff(attempt);
    const written = await table.transact(items);
    if (written.outcome === 'done') return 'opened';
    if (written.outcome === 'refused') return written.inTheWay.has(0) ? 'held' : 'lost-race';
  }
  return 'lost-race';
}

function openOnHead(
  table: DynamoTable,
  { registryId, conflictId }: OpenedConflict,
  { digest, conflictsVersion }: Pick<Head, 'digest' | 'conflictsVersion'>,
): TransactWriteItem {
  return {
    Update: {
      TableName: table.name,
      Key: headKey(registryId),
      UpdateExpression: 'SET #open = list_append(#open, :added), #version = :raised',
      ConditionExpression: '#digest = :digest AND #version = :version',
      ExpressionAttributeNames: {
        '#open': 'openConflicts',
        '#version': 'conflictsVersion',
        '#digest': 'digest',
      },
      ExpressionAttributeValues: {
        ':added': { L: [{ S: conflictId }] },
        ':raised': number(conflictsVersion + 1),
        ':digest': { S: digest },
        ':version': number(conflictsVersion),
      },
    },
  };
}
