/** Conflicts, and what is kept about them: put once, with the head and the log in one write. */
import type { TransactWriteItem } from '@aws-sdk/client-dynamodb';
import type { RegistryId } from '../../ledger/digest.ts';
import type {
  KeptStatement,
  OpenedConflict,
  Origin,
  Settlement,
} from '../../registry/conflict-record.ts';
import type { Head } from '../../registry/ports.ts';
import { loggedOf } from '../kept-items.ts';
import { headPut, openSetPut } from './dynamo-commit.ts';
import { headItem, recordItem } from './dynamo-items.ts';
import { conflictKey, headKey, type Item, keptKey } from './dynamo-keys.ts';
import { logIsBusy, writeLogged } from './dynamo-log.ts';
import type { DynamoTable } from './dynamo-table.ts';

/** Where the statement stands in the requests, and so in the reasons of a refusal. */
const STATEMENT_AT = 0;

/**
 * Stores the conflict and adds it to the head's open set in one write; whatever else the head says
 * stays. A writer that stays in the way counts as a lost race: it is moving the head.
 */
export async function writeConflict(
  table: DynamoTable,
  conflict: OpenedConflict,
  expected: Pick<Head, 'digest' | 'conflictsVersion'>,
  origin: Origin,
): Promise<'opened' | 'held' | 'lost-race'> {
  const { registryId, conflictId, statement } = conflict;
  const item = recordItem(conflictKey(registryId, conflictId), conflict);
  const written = await writeLogged(table, {
    registryId,
    items: [table.putUnlessThere(item), openOnHead(table, conflict, expected)],
    logged: origin === 'own' ? { statement } : undefined,
  });
  switch (written.outcome) {
    case 'done':
      return 'opened';
    case 'refused':
      return written.inTheWay.has(STATEMENT_AT) ? 'held' : 'lost-race';
    case 'busy':
      return 'lost-race';
    case 'log-moved':
      throw logIsBusy(registryId, `the conflict ${conflictId}`);
  }
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
        ':raised': { N: String(conflictsVersion + 1) },
        ':digest': { S: digest },
        ':version': { N: String(conflictsVersion) },
      },
    },
  };
}

/** Rewrites the head and keeps the statement that is the reason, in one write. */
export async function writeSettlement(
  table: DynamoTable,
  settlement: Settlement,
): Promise<'settled' | 'held' | 'lost-race'> {
  const { registryId, expected, head, kept, origin } = settlement;
  const put = headPut(table, headItem(head), expected);
  const items = kept === undefined ? [] : [table.putUnlessThere(keptItem(registryId, kept))];
  const written = await writeLogged(table, {
    registryId,
    items: [...items, put, ...openSetPut(table, settlement)],
    logged: kept !== undefined && origin === 'own' ? loggedOf(kept) : undefined,
  });
  switch (written.outcome) {
    case 'done':
      return 'settled';
    case 'refused':
      return kept !== undefined && written.inTheWay.has(STATEMENT_AT) ? 'held' : 'lost-race';
    case 'busy':
      return 'lost-race';
    case 'log-moved':
      throw logIsBusy(registryId, `the ${kept?.kind} ${kept?.digest}`);
  }
}

/** Keeps a statement by itself: the head stays. */
export async function keepStatement(
  table: DynamoTable,
  registryId: RegistryId,
  kept: KeptStatement,
  origin: Origin,
): Promise<'kept' | 'held'> {
  const item = keptItem(registryId, kept);
  if (origin === 'received') return (await table.putOnce(item)) === undefined ? 'kept' : 'held';
  const items = [table.putUnlessThere(item)];
  const written = await writeLogged(table, { registryId, items, logged: loggedOf(kept) });
  switch (written.outcome) {
    case 'done':
      return 'kept';
    case 'refused':
      return 'held';
    case 'busy':
    case 'log-moved':
      throw logIsBusy(registryId, `the ${kept.kind} ${kept.digest}`);
  }
}

function keptItem(registryId: RegistryId, kept: KeptStatement): Item {
  return recordItem(keptKey(registryId, kept), kept);
}
