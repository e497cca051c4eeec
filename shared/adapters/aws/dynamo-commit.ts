import type { TransactWriteItem } from '@aws-sdk/client-dynamodb';
import type { StateChange } from '../../ledger/state.ts';
import type { CommitOutcome, CommitWrite } from '../../registry/ports.ts';
import { changesOfOwn } from '../commit-items.ts';
import { loggedOf } from '../kept-items.ts';
import { openSetChange } from '../open-set.ts';
import {
  entryItem,
  headItem,
  recordItem,
  stateItem,
  stateValue,
  transactionItem,
} from './dynamo-items.ts';
import { type Item, keptKey, openSetKey, registryKey } from './dynamo-keys.ts';
import { tryLogged } from './dynamo-log.ts';
import type { DynamoTable } from './dynamo-table.ts';

/** Where the head stands in the request, and so in the reasons of a refusal. */
const HEAD_AT = 0;

/**
 * One write for the whole commit: the condition on the head is the order of the ledger, the others
 * keep what is put once. Throws where the commit has more items than one write takes.
 */
export async function writeCommit(table: DynamoTable, write: CommitWrite): Promise<CommitOutcome> {
  const { registryId, kept } = write;
  const head = headItem(write.head);
  const items = commitItems(table, write, head);
  const logged = kept && loggedOf(kept);
  const written = await tryLogged(table, { registryId, items, logged });
  switch (written.outcome) {
    case 'done':
      return { outcome: 'stored' };
    case 'busy':
    case 'log-moved':
      return { outcome: 'busy' };
    case 'refused': {
      // A process that was frozen between two attempts of the SDK for longer than DynamoDB knows
      // the token meets its own write.
      const own = written.attempts > 1 && isSameHead(written.inTheWay.get(HEAD_AT), head);
      return { outcome: own ? 'stored' : 'lost-race' };
    }
  }
}

function commitItems(table: DynamoTable, write: CommitWrite, head: Item): TransactWriteItem[] {
  const { registryId, entries, kept } = write;
  const { copy } = write.head;
  const items = [
    headPut(table, head, write.expected),
    ...entries.map((entry) => table.putUnlessThere(entryItem(registryId, copy, entry))),
    ...entries.map((entry) => table.putUnlessThere(transactionItem(registryId, copy, entry))),
    ...changesOfOwn(write).map((change) => statePut(table, write, change)),
  ];
  if (write.expected === undefined)
    items.push({ Put: { TableName: table.name, Item: registryKey(registryId) } });
  if (kept !== undefined)
    items.push(table.putUnlessThere(recordItem(keptKey(registryId, kept), kept)));
  return [...items, ...openSetPut(table, write)];
}

/** Part of a transaction: what it changes in the set of open conflicts, if it does. */
export function openSetPut(
  table: DynamoTable,
  { registryId, expected, head }: Pick<CommitWrite, 'registryId' | 'expected' | 'head'>,
): TransactWriteItem[] {
  const change = openSetChange(expected, head);
  if (change === undefined) return [];
  const key = openSetKey(registryId, change.conflictsVersion);
  return [table.putUnlessThere(recordItem(key, change))];
}

/** Part of a transaction: the whole head, in place of the one that is expected. */
export function headPut(
  table: DynamoTable,
  head: Item,
  expected: CommitWrite['expected'],
): TransactWriteItem {
  if (expected === undefined) return table.putUnlessThere(head);
  return {
    Put: {
      TableName: table.name,
      Item: head,
      ConditionExpression: '#digest = :digest AND #version = :version',
      ExpressionAttributeNames: { '#digest': 'digest', '#version': 'conflictsVersion' },
      ExpressionAttributeValues: {
        ':digest': { S: expected.digest },
        ':version': { N: String(expected.conflictsVersion) },
      },
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    },
  };
}

function statePut(table: DynamoTable, write: CommitWrite, change: StateChange): TransactWriteItem {
  const item = stateItem(write.registryId, write.head.copy, change);
  if (change.before === undefined) return table.putUnlessThere(item);
  return {
    Put: {
      TableName: table.name,
      Item: item,
      ConditionExpression: '#value = :before',
      ExpressionAttributeNames: { '#value': 'value' },
      ExpressionAttributeValues: { ':before': { S: stateValue(change.before) } },
    },
  };
}

/** The checkpoint is part of the value, and no two signatures are the same. */
function isSameHead(found: Item | undefined, written: Item): boolean {
  return ['digest', 'value'].every((name) => found?.[name]?.S === written[name]?.S);
}
