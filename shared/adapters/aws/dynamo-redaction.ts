/** Details taken out of this copy: the one change that a stored transaction's item ever sees. */
import type { RegistryId } from '../../ledger/digest.ts';
import type { SignedRedaction } from '../../ledger/redaction.ts';
import { StoredDamage } from '../../registry/stored-damage.ts';
import { type Item, keyText, transactionItemKey } from './dynamo-keys.ts';
import type { DynamoTable } from './dynamo-table.ts';

/** How often a write that met another writer is tried in all. */
const ATTEMPTS_MAX = 8;

export interface RedactionPlace {
  readonly registryId: RegistryId;
  readonly copy: number;
  readonly transactionId: string;
}

/** The redaction as an attribute of the transaction's item. */
export function redactionValue({ statement, decision }: SignedRedaction) {
  return { S: JSON.stringify({ statement, decision }) };
}

/** The redaction in a transaction's item, if there is one. */
export function redactionOfItem(transaction: Item): { readonly redaction?: SignedRedaction } {
  const text = transaction['redaction']?.S;
  if (text === undefined) return {};
  try {
    return { redaction: JSON.parse(text) as SignedRedaction };
  } catch {
    throw new StoredDamage(
      `the item ${keyText(transaction)} has no proper attribute "redaction": it was damaged`,
    );
  }
}

/** Removes the details and puts the redaction in their place, in one write. */
export async function writeRedaction(
  table: DynamoTable,
  { registryId, copy, transactionId }: RedactionPlace,
  redaction: SignedRedaction,
): Promise<'redacted' | 'held'> {
  const update = {
    Update: {
      TableName: table.name,
      Key: transactionItemKey(registryId, copy, transactionId),
      UpdateExpression: 'SET #redaction = :redaction REMOVE #details',
      ConditionExpression: 'attribute_exists(#details)',
      ExpressionAttributeNames: { '#redaction': 'redaction', '#details': 'details' },
      ExpressionAttributeValues: { ':redaction': redactionValue(redaction) },
    },
  };
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    if (attempt > 0) await table.backoff(attempt);
    const written = await table.transact([update]);
    if (written.outcome === 'done') return 'redacted';
    if (written.outcome === 'refused') return 'held';
  }
  throw new Error(
    `the details of transaction ${transactionId} in registry ${registryId} were not redacted: ` +
      'the table is busy; try again',
  );
}
