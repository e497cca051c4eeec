/**
 * The few operations on the table that the store is made of. Reads are strongly consistent unless
 * asked otherwise, and complete: pages and unprocessed keys are followed to their end.
 */
import {
  BatchGetItemCommand,
  type CancellationReason,
  ConditionalCheckFailedException,
  DescribeTableCommand,
  type DynamoDBClient,
  GetItemCommand,
  type KeysAndAttributes,
  PutItemCommand,
  QueryCommand,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import { listsIndex, tableKey } from '../../config.ts';
import type { Clock, Random } from '../../registry/ports.ts';
import { type Item, type ItemKey, keyText } from './dynamo-keys.ts';

/** What one BatchGetItem takes. */
const BATCH_KEYS_MAX = 100;
/** Rounds in which DynamoDB answered none of the keys that were asked for. */
const FRUITLESS_ROUNDS_MAX = 8;
const BACKOFF_FIRST_MS = 25;
const BACKOFF_MAX_MS = 1000;

export interface TableOptions {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  readonly clock: Clock;
  readonly random: Random;
}

export interface ItemsQuery {
  readonly partition: string;
  /** Only sort keys at or above this one. */
  readonly from?: string;
  /** Only sort keys above this one. */
  readonly after?: string;
  /** All, unless given. */
  readonly count?: number;
  readonly newestFirst?: boolean;
  /** The index of lists in place of the table: eventually consistent. */
  readonly lists?: boolean;
}

export type TransactOutcome =
  | { readonly outcome: 'done' }
  /**
   * Nothing was written: conditions failed. The items in the way by the place of their condition in
   * the request, where it asked for them. `attempts`: how often the SDK sent the request.
   */
  | {
      readonly outcome: 'refused';
      readonly inTheWay: ReadonlyMap<number, Item | undefined>;
      readonly attempts: number;
    }
  /** Nothing was written: another writer was at one of the items, or the table was throttled. */
  | { readonly outcome: 'busy' };

const BUSY_CODES = new Set([
  'TransactionConflict',
  'ProvisionedThroughputExceeded',
  'ThrottlingError',
]);

export class DynamoTable {
  readonly name: string;
  readonly #client: DynamoDBClient;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor({ client, tableName, clock, random }: TableOptions) {
    this.name = tableName;
    this.#client = client;
    this.#clock = clock;
    this.#random = random;
  }

  async get(key: ItemKey, consistency: 'strong' | 'eventual' = 'strong') {
    const ConsistentRead = consistency === 'strong';
    const command = new GetItemCommand({ TableName: this.name, Key: key, ConsistentRead });
    return (await this.#client.send(command)).Item;
  }

  /** The items that exist, by the text of their key; only the named attributes where given. */
  async batchGet(
    keys: readonly ItemKey[],
    attributes?: readonly string[],
  ): Promise<ReadonlyMap<string, Item>> {
    // DynamoDB refuses a request that names a key twice.
    const unique = [...new Map(keys.map((key) => [keyText(key), key])).values()];
    const items = new Map<string, Item>();
    for (let start = 0; start < unique.length; start += BATCH_KEYS_MAX)
      for (const item of await this.#batch(unique.slice(start, start + BATCH_KEYS_MAX), attributes))
        items.set(keyText(item), item);
    return items;
  }

  /** One batch. Keys stay unprocessed above 16 MB of answer, and when the table is throttled. */
  async #batch(keys: ItemKey[], attributes: readonly string[] | undefined): Promise<Item[]> {
    const items: Item[] = [];
    const shape = { ConsistentRead: true, ...projection(attributes) };
    let request: KeysAndAttributes | undefined = { ...shape, Keys: keys };
    for (let fruitless = 0; request !== undefined; ) {
      if (fruitless > FRUITLESS_ROUNDS_MAX)
        throw new Error(`table ${this.name} does not answer reads: it is throttled; try again`);
      if (fruitless > 0) await this.backoff(fruitless);
      const command = new BatchGetItemCommand({ RequestItems: { [this.name]: request } });
      const answer = await this.#client.send(command);
      const found = answer.Responses?.[this.name] ?? [];
      const left: ItemKey[] = answer.UnprocessedKeys?.[this.name]?.Keys ?? [];
      fruitless = left.length < (request.Keys?.length ?? 0) ? 0 : fruitless + 1;
      items.push(...found);
      request = left.length === 0 ? undefined : { ...shape, Keys: left };
    }
    return items;
  }

  /** Items of one partition, of the table or of the index, in the order of their sort keys. */
  async query(query: ItemsQuery): Promise<Item[]> {
    const items: Item[] = [];
    const countMax = query.count ?? Number.POSITIVE_INFINITY;
    if (countMax < 1) return items;
    let start: ItemKey | undefined;
    do {
      const command: QueryCommand = new QueryCommand({
        TableName: this.name,
        ...(query.lists === true ? { IndexName: listsIndex.name } : { ConsistentRead: true }),
        ScanIndexForward: query.newestFirst !== true,
        ...conditionOf(query),
        ...(query.count === undefined ? {} : { Limit: countMax - items.length }),
        ...(start === undefined ? {} : { ExclusiveStartKey: start }),
      });
      const answer = await this.#client.send(command);
      items.push(...(answer.Items ?? []));
      start = answer.LastEvaluatedKey;
    } while (start !== undefined && items.length < countMax);
    return items;
  }

  async put(item: Item): Promise<void> {
    await this.#client.send(new PutItemCommand({ TableName: this.name, Item: item }));
  }

  /** Puts an item unless there is one, which then is the answer. */
  async putOnce(item: Item): Promise<Item | undefined> {
    const command = new PutItemCommand({ TableName: this.name, Item: item, ...UNLESS_THERE });
    try {
      await this.#client.send(command);
      return undefined;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException && error.Item !== undefined)
        return error.Item;
      throw error;
    }
  }

  /**
   * Writes all items or none.
   *
   * The SDK sends a request again, by itself and a few times, when its answer was lost or was a 5xx.
   * That is safe: all its attempts carry the same `ClientRequestToken`, by which DynamoDB does the
   * work once and answers a repetition like the first (for ten minutes, much longer than the SDK
   * tries). So what is rejected here is unknown only after the SDK has given up. One gap is left: an
   * attempt that was overtaken on the network may still arrive after a later one met another writer.
   * `busy` would then promise too much, so after several attempts it is rejected as unknown. A
   * failed condition stays failed: no head ever comes back to what it was.
   */
  async transact(items: TransactWriteItem[]): Promise<TransactOutcome> {
    const command = new TransactWriteItemsCommand({ TransactItems: items });
    try {
      await this.#client.send(command);
      return { outcome: 'done' };
    } catch (error) {
      const refused = error instanceof TransactionCanceledException ? refusalOf(error) : undefined;
      if (refused === undefined) throw error;
      return refused;
    }
  }

  /** Waits with full jitter before the attempt of that number, the second being 1. */
  async backoff(attempt: number): Promise<void> {
    const ceilingMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** attempt);
    await this.#clock.wait(this.#random.fraction() * ceilingMs);
  }

  /** What tells this table from any other, one of the same name included. */
  async tableId(): Promise<string> {
    const { Table } = await this.#client.send(new DescribeTableCommand({ TableName: this.name }));
    if (Table?.TableId !== undefined) return Table.TableId;
    // DynamoDB Local gives no id: there the name and the time of creation are one.
    if (Table?.TableArn !== undefined && Table.CreationDateTime !== undefined)
      return `${Table.TableArn}@${Table.CreationDateTime.toISOString()}`;
    throw new Error(`DynamoDB does not tell the identity of table ${this.name}`);
  }

  /** Part of a transaction: puts an item unless there is one. */
  putUnlessThere(item: Item): TransactWriteItem {
    return { Put: { TableName: this.name, Item: item, ...UNLESS_THERE } };
  }
}

const UNLESS_THERE = {
  ConditionExpression: 'attribute_not_exists(#pk)',
  ExpressionAttributeNames: { '#pk': tableKey.partition },
  ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
} as const;

function projection(attributes: readonly string[] | undefined): Omit<KeysAndAttributes, 'Keys'> {
  if (attributes === undefined) return {};
  const names = [tableKey.partition, tableKey.sort, ...attributes];
  return {
    ProjectionExpression: names.map((_, index) => `#a${index}`).join(', '),
    ExpressionAttributeNames: Object.fromEntries(names.map((name, index) => [`#a${index}`, name])),
  };
}

function conditionOf({ partition, from, after, lists }: ItemsQuery) {
  const bound = after ?? from;
  const key = lists === true ? listsIndex : tableKey;
  const names = { '#pk': key.partition };
  const values = { ':pk': { S: partition } };
  if (bound === undefined)
    return {
      KeyConditionExpression: '#pk = :pk',
      ExpressionAttributeNames: names,
      ExpressionAttributeValues: values,
    };
  return {
    KeyConditionExpression: `#pk = :pk AND #sk ${after === undefined ? '>=' : '>'} :sk`,
    ExpressionAttributeNames: { ...names, '#sk': key.sort },
    ExpressionAttributeValues: { ...values, ':sk': { S: bound } },
  };
}

/** What a cancelled transaction means; undefined where that is not known or a mistake. */
function refusalOf(error: TransactionCanceledException): TransactOutcome | undefined {
  const reasons: readonly CancellationReason[] = error.CancellationReasons ?? [];
  const attempts = error.$metadata.attempts ?? 1;
  const inTheWay = new Map<number, Item | undefined>();
  for (const [index, { Code, Item }] of reasons.entries())
    if (Code === 'ConditionalCheckFailed') inTheWay.set(index, Item);
  if (inTheWay.size > 0) return { outcome: 'refused', inTheWay, attempts };
  const codes = reasons.map((reason) => reason.Code ?? 'None').filter((code) => code !== 'None');
  const isBusy = codes.length > 0 && codes.every((code) => BUSY_CODES.has(code));
  return isBusy && attempts === 1 ? { outcome: 'busy' } : undefined;
}
