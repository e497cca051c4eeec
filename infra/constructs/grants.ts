/**
 * What a function may do, action by action. Nothing here deletes, scans or replaces a setting:
 * entries are put once, and no function of an instance is able to take one back.
 */
import type { EventBus } from 'aws-cdk-lib/aws-events';
import { type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import {
  fanOutPrefixes,
  listsIndex,
  publishReadPrefixes,
  redactable,
  tableKey,
} from '../../shared/config.ts';

/** The table that the functions work on: the stack's own, or a restored one. */
export interface LedgerTable {
  readonly tableName: string;
  readonly tableArn: string;
  readonly tableStreamArn?: string | undefined;
}

const OBJECT_PREFIXES = ['documents/*', 'evidence/*'];

/** To read items and the identity of the table, which changes when it is restored. */
export function grantTableReads(grantee: IGrantable, table: LedgerTable): void {
  allow(
    grantee,
    [table.tableArn],
    ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query', 'dynamodb:DescribeTable'],
  );
}

/**
 * To write items, alone and in transactions, which are authorised by what they consist of. Only
 * the two items that are rewritten in place may be updated: an update of an entry is refused here.
 */
export function grantTableWrites(grantee: IGrantable, table: LedgerTable): void {
  allow(grantee, [table.tableArn], ['dynamodb:PutItem', 'dynamodb:ConditionCheckItem']);
  const rewritten = fanOutPrefixes.map((prefix) => `${prefix}*`);
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['dynamodb:UpdateItem'],
      resources: [table.tableArn],
      conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': rewritten } },
    }),
  );
}

/** To take the details of a transaction out, and put their redaction there: nothing else of it. */
export function grantRedaction(grantee: IGrantable, table: LedgerTable): void {
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['dynamodb:UpdateItem'],
      resources: [table.tableArn],
      conditions: {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': [`${redactable.prefix}*`] },
        'ForAllValues:StringEquals': {
          'dynamodb:Attributes': [tableKey.partition, tableKey.sort, ...redactable.attributes],
        },
      },
    }),
  );
}

/** To read the lists, whose index is a resource of its own. */
export function grantListReads(grantee: IGrantable, table: LedgerTable): void {
  allow(grantee, [`${table.tableArn}/index/${listsIndex.name}`], ['dynamodb:Query']);
}

/** To read the items that events are made of, and no others: by key, and in one partition. */
export function grantEventReads(grantee: IGrantable, table: LedgerTable): void {
  const read = publishReadPrefixes.map((prefix) => `${prefix}*`);
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'],
      resources: [table.tableArn],
      conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': read } },
    }),
  );
}

/** To put events on this bus, and to change nothing about it. */
export function grantEvents(grantee: IGrantable, bus: EventBus): void {
  allow(grantee, [bus.eventBusArn], ['events:PutEvents']);
}

/** To be woken by the table's stream. */
export function grantStream(grantee: IGrantable, table: LedgerTable): void {
  if (table.tableStreamArn === undefined)
    throw new Error(`${table.tableName} has no stream: give the table one`);
  allow(
    grantee,
    [table.tableStreamArn],
    ['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator'],
  );
}

/**
 * To put and get documents and evidence, also by presigned URLs. Listing is not for lists: without
 * it S3 answers 403 where an object is missing, and "not held" could not be told from "refused".
 */
export function grantObjects(grantee: IGrantable, bucket: Bucket): void {
  const objects = OBJECT_PREFIXES.map((prefix) => bucket.arnForObjects(prefix));
  allow(grantee, objects, ['s3:GetObject', 's3:PutObject']);
  allow(grantee, [bucket.bucketArn], ['s3:ListBucket']);
}

/** To wake the functions behind these queues. */
export function grantPokes(grantee: IGrantable, queues: readonly Queue[]): void {
  allow(
    grantee,
    queues.map((queue) => queue.queueArn),
    ['sqs:SendMessage'],
  );
}

/** To be woken by a queue. Deleting a message is how it is acknowledged. */
export function grantConsumption(grantee: IGrantable, queue: Queue): void {
  allow(
    grantee,
    [queue.queueArn],
    [
      'sqs:ReceiveMessage',
      'sqs:DeleteMessage',
      'sqs:ChangeMessageVisibility',
      'sqs:GetQueueAttributes',
    ],
  );
}

/** To read the instance's key. Every function needs it: the instance's id is derived from it. */
export function grantKey(grantee: IGrantable, secretArn: string): void {
  allow(grantee, [secretArn], ['secretsmanager:GetSecretValue']);
}

function allow(grantee: IGrantable, resources: string[], actions: string[]): void {
  grantee.grantPrincipal.addToPrincipalPolicy(new PolicyStatement({ actions, resources }));
}
