/** The log of own statements: each gets the next index, in the write of what it is about. */
import type { TransactWriteItem } from '@aws-sdk/client-dynamodb';
import type { RegistryId } from '../../ledger/digest.ts';
import type { LoggedStatement } from '../../registry/conflict-record.ts';
import { numberOf, recordItem } from './dynamo-items.ts';
import { type Item, logHeadKey, logKey } from './dynamo-keys.ts';
import type { DynamoTable, TransactOutcome } from './dynamo-table.ts';

/** How often a write that met another writer is tried in all. */
const ATTEMPTS_MAX = 8;

export interface LoggedWrite {
  readonly registryId: RegistryId;
  /** Their places are those that a refusal tells of. */
  readonly items: readonly TransactWriteItem[];
  /** What is appended to the log; absent: nothing is. */
  readonly logged?: Omit<LoggedStatement, 'index'> | undefined;
}

export type LoggedOutcome =
  | TransactOutcome
  /** Nothing was written: all conditions of the items hold, but the log has grown meanwhile. */
  | { readonly outcome: 'log-moved' };

/** Writes the items and the place in the log together, or nothing. Tries once. */
export async function tryLogged(
  table: DynamoTable,
  { registryId, items, logged }: LoggedWrite,
): Promise<LoggedOutcome> {
  const log = logged === undefined ? [] : await appending(table, registryId, logged);
  const written = await table.transact([...items, ...log]);
  if (written.outcome !== 'refused') return written;
  const inTheWay = new Map([...written.inTheWay].filter(([at]) => at < items.length));
  return inTheWay.size === 0 ? { outcome: 'log-moved' } : { ...written, inTheWay };
}

/** The same, tried again a few times with waits where another writer is in the way. */
export async function writeLogged(table: DynamoTable, write: LoggedWrite): Promise<LoggedOutcome> {
  for (let attempt = 1; ; attempt += 1) {
    const written = await tryLogged(table, write);
    const isSettled = written.outcome === 'done' || written.outcome === 'refused';
    if (isSettled || attempt === ATTEMPTS_MAX) return written;
    await table.backoff(attempt);
  }
}

/** For whoever gives up: nothing was written, and trying again is right. */
export function logIsBusy(registryId: RegistryId, what: string): Error {
  return new Error(
    `the statement log of registry ${registryId} is busy: ${what} was not written; try again`,
  );
}

/** The index in a log head's item; 0 where there is none. */
export function indexOf(logHead: Item | undefined): number {
  return logHead === undefined ? 0 : numberOf(logHead, 'index');
}

/** The condition on the log's head gives every statement an index of its own. */
async function appending(
  table: DynamoTable,
  registryId: RegistryId,
  statement: Omit<LoggedStatement, 'index'>,
): Promise<TransactWriteItem[]> {
  const index = indexOf(await table.get(logHeadKey(registryId))) + 1;
  const logged: LoggedStatement = { index, ...statement };
  return [
    table.putUnlessThere(recordItem(logKey(registryId, index), logged)),
    advanceLogHead(table, registryId, index),
  ];
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
        ':index': { N: String(index) },
        ...(isFirst ? {} : { ':previous': { N: String(index - 1) } }),
      },
    },
  };
}
