import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import * as z from 'zod';
import { tableKey } from '../../config.ts';
import { certificateIdSchema, timestampSchema } from '../../ledger/schema.ts';
import { DENIALS_MAX, type DenialStore, type StoredDenials } from '../../registry/deny-list.ts';
import { StoredDamage } from '../../registry/stored-damage.ts';

const KEY = { [tableKey.partition]: { S: 'DENIED' }, [tableKey.sort]: { S: 'DENIED' } };

const denialsSchema = z
  .array(
    z.strictObject({
      certificateId: certificateIdSchema,
      deniedBy: certificateIdSchema,
      deniedAt: timestampSchema,
    }),
  )
  .max(DENIALS_MAX);

export interface DynamoDenialsOptions {
  readonly client: DynamoDBClient;
  readonly tableName: string;
}

/**
 * The deny list in one item of the instance's own table, rewritten in place. One that cannot be read
 * is an error: as an empty list it would let everybody in.
 */
export class DynamoDenials implements DenialStore {
  readonly #client: DynamoDBClient;
  readonly #tableName: string;

  constructor({ client, tableName }: DynamoDenialsOptions) {
    this.#client = client;
    this.#tableName = tableName;
  }

  async read(): Promise<StoredDenials> {
    const { Item } = await this.#client.send(
      new GetItemCommand({ TableName: this.#tableName, Key: KEY, ConsistentRead: true }),
    );
    if (Item === undefined) return { version: 0, denials: [] };
    const version = Number(Item['version']?.N);
    if (!Number.isSafeInteger(version) || version < 1)
      throw new StoredDamage('the deny list has no version');
    return { version, denials: denialsOf(Item['denials']?.S) };
  }

  async replace({ version, denials }: StoredDenials): Promise<'replaced' | 'lost-race'> {
    const command = new PutItemCommand({
      TableName: this.#tableName,
      Item: { ...KEY, version: { N: String(version) }, denials: { S: JSON.stringify(denials) } },
      ConditionExpression: version === 1 ? 'attribute_not_exists(#version)' : '#version = :older',
      ExpressionAttributeNames: { '#version': 'version' },
      ...(version === 1
        ? {}
        : { ExpressionAttributeValues: { ':older': { N: String(version - 1) } } }),
    });
    try {
      await this.#client.send(command);
      return 'replaced';
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return 'lost-race';
      throw error;
    }
  }
}

function denialsOf(text: string | undefined): StoredDenials['denials'] {
  try {
    return denialsSchema.parse(JSON.parse(text ?? ''));
  } catch {
    throw new StoredDamage('the deny list cannot be read');
  }
}
