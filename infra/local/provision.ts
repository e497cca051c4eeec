import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { FauxqsServer } from 'fauxqs';
import { AwsError, type AwsService, callAws } from './aws-json.ts';
import type { InstancePlan, QueuePlan, TablePlan } from './plan.ts';
import type { S3Server } from './s3-server.ts';

/** What stands in for AWS, with the access key of the instance. */
export interface Emulators {
  readonly dynamoDb: AwsService;
  readonly sqs: AwsService;
  readonly queues: FauxqsServer;
  readonly objects: S3Server;
}

export interface Provisioned {
  /** The tables' streams, by the ARN that stands for them in the plan. */
  readonly streams: ReadonlyMap<string, ProvisionedStream>;
}

export interface ProvisionedStream {
  readonly arn: string;
  /** True when the table was made just now, so that all its records are new. */
  readonly created: boolean;
}

interface TableDescription {
  readonly TableStatus: string;
  readonly KeySchema: unknown;
  readonly GlobalSecondaryIndexes?: readonly { readonly IndexName: string }[];
  readonly LatestStreamArn?: string;
}

/** Makes what the plan asks for and leaves alone what is there already. */
export async function provision(plan: InstancePlan, emulators: Emulators): Promise<Provisioned> {
  const { dynamoDb, objects } = emulators;
  // Dead-letter queues come first: others name them.
  for (const queue of plan.queues.toSorted((a, b) => redrives(a) - redrives(b)))
    await provisionQueue(emulators.sqs, emulators.queues, queue);
  for (const bucket of plan.buckets) await objects.createBucket(bucket, dynamoDb.accessKeyId);
  const streams = new Map<string, ProvisionedStream>();
  for (const table of plan.tables) {
    const { arn, created } = await provisionTable(dynamoDb, table);
    if (arn !== undefined) streams.set(table.streamArn, { arn, created });
  }
  return { streams };
}

function redrives({ attributes }: QueuePlan): number {
  return attributes['RedrivePolicy'] === undefined ? 0 : 1;
}

/** What the emulator takes when it makes a queue, and does not change afterwards. */
const FIXED: ReadonlySet<string> = new Set([
  'FifoQueue',
  'DeduplicationScope',
  'FifoThroughputLimit',
]);

/** One that is there is given its settings, and begins empty. */
async function provisionQueue(
  service: AwsService,
  server: FauxqsServer,
  { name, url, attributes }: QueuePlan,
): Promise<void> {
  const existing = server.inspectQueue(name);
  if (existing === undefined) {
    server.createQueue(name, { attributes: { ...attributes } });
    return;
  }
  const changeable = Object.entries(attributes).filter(([attribute]) => !FIXED.has(attribute));
  await callAws(service, 'AmazonSQS.SetQueueAttributes', {
    QueueUrl: url,
    Attributes: Object.fromEntries(changeable),
  });
  // Whoever had received these is gone, and the emulator would hide them for minutes, and with them
  // their groups. They are pokes: what is due is found again by the schedules, which run at once.
  await callAws(service, 'AmazonSQS.PurgeQueue', { QueueUrl: url });
}

async function provisionTable(
  dynamoDb: AwsService,
  table: TablePlan,
): Promise<{ arn: string | undefined; created: boolean }> {
  const existing = await describe(dynamoDb, table.name);
  if (existing !== undefined && !hasKeysOf(existing, table))
    throw new Error(
      `the table ${table.name} was made with other keys or indexes than the template asks for ` +
        'now: start with an empty directory',
    );
  if (existing === undefined)
    await callAws(dynamoDb, 'DynamoDB_20120810.CreateTable', {
      TableName: table.name,
      KeySchema: table.keySchema,
      AttributeDefinitions: table.attributeDefinitions,
      BillingMode: 'PAY_PER_REQUEST',
      // An empty list of them is refused.
      ...(table.globalSecondaryIndexes.length === 0
        ? {}
        : { GlobalSecondaryIndexes: table.globalSecondaryIndexes }),
      ...(table.streamViewType === undefined
        ? {}
        : {
            StreamSpecification: { StreamEnabled: true, StreamViewType: table.streamViewType },
          }),
    });
  let description = await describe(dynamoDb, table.name);
  while (description?.TableStatus !== 'ACTIVE') {
    await setTimeout(50);
    description = await describe(dynamoDb, table.name);
  }
  return { arn: description.LatestStreamArn, created: existing === undefined };
}

function hasKeysOf(existing: TableDescription, table: TablePlan): boolean {
  const names = (indexes: readonly Readonly<Record<string, unknown>>[]) =>
    indexes.map((index) => index['IndexName']).sort();
  return (
    isDeepStrictEqual(existing.KeySchema, table.keySchema) &&
    isDeepStrictEqual(
      names(existing.GlobalSecondaryIndexes ?? []),
      names(table.globalSecondaryIndexes),
    )
  );
}

async function describe(dynamoDb: AwsService, name: string): Promise<TableDescription | undefined> {
  try {
    const { Table } = await callAws<{ Table: TableDescription }>(
      dynamoDb,
      'DynamoDB_20120810.DescribeTable',
      { TableName: name },
    );
    return Table;
  } catch (error) {
    if (error instanceof AwsError && error.code === 'ResourceNotFoundException') return undefined;
    throw error;
  }
}
