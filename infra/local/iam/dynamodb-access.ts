/**
 * Which rights an operation of DynamoDB needs (AWS: "Actions, resources, and condition keys for
 * Amazon DynamoDB", Service Authorization Reference; "Using IAM with DynamoDB transactions").
 */
import type { RequestContext } from './condition.ts';
import { attributesNamed, partitionWanted, valueText } from './dynamodb-names.ts';
import type { AccessRequest } from './evaluate.ts';

/** A table, as far as rights depend on it. */
export interface TableKeys {
  readonly partition: string;
  /** Partition keys of its indexes by their names. */
  readonly indexes: ReadonlyMap<string, string>;
}

export interface DynamoDbPlace {
  readonly region: string;
  readonly account: string;
  readonly tables: ReadonlyMap<string, TableKeys>;
}

type Members = Readonly<Record<string, unknown>>;

/** What is older than expressions; nothing here reads it, so nobody may use it unseen. */
const LEGACY = [
  'AttributesToGet',
  'AttributeUpdates',
  'ConditionalOperator',
  'Expected',
  'KeyConditions',
  'QueryFilter',
  'ScanFilter',
];

/** Operations on one item, by the member that holds the item or its key. */
const ONE_ITEM: Readonly<Record<string, 'Item' | 'Key'>> = {
  DeleteItem: 'Key',
  GetItem: 'Key',
  PutItem: 'Item',
  UpdateItem: 'Key',
};

/** A transaction has no right of its own: each of its items needs the right of its action. */
const IN_TRANSACTION: Readonly<Record<string, readonly [action: string, holder: 'Item' | 'Key']>> =
  {
    ConditionCheck: ['ConditionCheckItem', 'Key'],
    Delete: ['DeleteItem', 'Key'],
    Get: ['GetItem', 'Key'],
    Put: ['PutItem', 'Item'],
    Update: ['UpdateItem', 'Key'],
  };

/** Undefined for an operation that is not known here. Throws for a request that cannot be judged. */
export function dynamoDbAccess(
  operation: string,
  input: Members,
  place: DynamoDbPlace,
): AccessRequest[] | undefined {
  const legacy = LEGACY.find((name) => input[name] !== undefined);
  if (legacy !== undefined) throw new Error(`${operation} with ${legacy} cannot be judged`);
  const holder = ONE_ITEM[operation];
  if (holder !== undefined) return [ofItem([operation, holder], input, place)];
  switch (operation) {
    case 'DescribeTable':
      return [{ action: 'dynamodb:DescribeTable', resource: arnOf(input, place), context: {} }];
    case 'Scan':
      // Its items are not known before: it has no leading keys.
      return [
        { action: 'dynamodb:Scan', resource: arnOf(input, place), context: attributes(input, []) },
      ];
    case 'Query':
      return [ofQuery(input, place)];
    case 'BatchGetItem':
    case 'BatchWriteItem':
      return ofBatch(operation, input, place);
    case 'TransactGetItems':
    case 'TransactWriteItems':
      return listOf(input['TransactItems']).map((item) => ofTransaction(operation, item, place));
    default:
      return undefined;
  }
}

function ofItem(
  [action, holder, enclosing]: readonly [string, 'Item' | 'Key', string?],
  input: Members,
  place: DynamoDbPlace,
): AccessRequest {
  const item = membersOf(input[holder]);
  return {
    action: `dynamodb:${action}`,
    resource: arnOf(input, place),
    context: {
      ...leadingKeys([item], tableOf(input, place)?.partition),
      ...attributes(input, Object.keys(item)),
      ...(enclosing === undefined ? {} : { 'dynamodb:enclosingoperation': [enclosing] }),
    },
  };
}

function ofTransaction(operation: string, item: Members, place: DynamoDbPlace): AccessRequest {
  const [[kind = '', input] = []] = Object.entries(item);
  const known = IN_TRANSACTION[kind];
  if (known === undefined) throw new Error(`${operation} with ${kind} cannot be judged`);
  return ofItem([...known, operation], membersOf(input), place);
}

function ofQuery(input: Members, place: DynamoDbPlace): AccessRequest {
  const { IndexName: index } = input;
  const table = tableOf(input, place);
  const partition = index === undefined ? table?.partition : table?.indexes.get(String(index));
  const wanted = partition === undefined ? undefined : partitionWanted(input, partition);
  if (partition !== undefined && wanted === undefined)
    throw new Error('Query without a partition in its KeyConditionExpression cannot be judged');
  return {
    action: 'dynamodb:Query',
    resource: arnOf(input, place),
    context: {
      ...(wanted === undefined ? {} : { 'dynamodb:leadingkeys': [wanted] }),
      ...attributes(input, []),
    },
  };
}

function ofBatch(operation: string, input: Members, place: DynamoDbPlace): AccessRequest[] {
  return Object.entries(membersOf(input['RequestItems'])).map(([TableName, request]) => {
    const shared = operation === 'BatchGetItem' ? membersOf(request) : {};
    const items =
      operation === 'BatchGetItem' ? listOf(shared['Keys']) : listOf(request).map(writtenItem);
    const named = { ...shared, TableName };
    return {
      action: `dynamodb:${operation}`,
      resource: arnOf(named, place),
      context: {
        ...leadingKeys(items, tableOf(named, place)?.partition),
        ...attributes(shared, items.flatMap(Object.keys)),
      },
    };
  });
}

function writtenItem({ PutRequest, DeleteRequest }: Members): Members {
  return membersOf(membersOf(PutRequest)['Item'] ?? membersOf(DeleteRequest)['Key']);
}

function leadingKeys(items: readonly Members[], partition: string | undefined): RequestContext {
  if (partition === undefined) return {};
  const values = items.flatMap((item) => valueText(item[partition]) ?? []);
  return { 'dynamodb:leadingkeys': [...new Set(values)] };
}

function attributes(input: Members, ofItems: readonly string[]): RequestContext {
  return { 'dynamodb:attributes': [...new Set([...ofItems, ...attributesNamed(input)])] };
}

/** By name or by ARN. */
function tableName({ TableName }: Members): string {
  const text = String(TableName);
  return text.slice(text.lastIndexOf('/') + 1);
}

function tableOf(input: Members, { tables }: DynamoDbPlace): TableKeys | undefined {
  return tables.get(tableName(input));
}

/** An index is a resource of its own, below its table. */
function arnOf(input: Members, { region, account }: DynamoDbPlace): string {
  const table = `arn:aws:dynamodb:${region}:${account}:table/${tableName(input)}`;
  return input['IndexName'] === undefined ? table : `${table}/index/${String(input['IndexName'])}`;
}

function membersOf(value: unknown): Members {
  return { ...Object(value) };
}

function listOf(value: unknown): Members[] {
  return Array.isArray(value) ? value.map(membersOf) : [];
}
