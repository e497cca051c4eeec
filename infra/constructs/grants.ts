/**
 * What a function may do, action by action. Nothing here deletes, scans or replaces a setting:
 * entries are put once, and no function of an instance is able to take one back.
 */
import type { Table } from 'aws-cdk-lib/aws-dynamodb';
import type { EventBus } from 'aws-cdk-lib/aws-events';
import { type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import {
  fanOutPrefixes,
  listsIndex,
  publishReadPrefixes,
  redactable,
  tableKey,
} from '../../shared/config.ts';
import { acknowledge } from './acknowledge.ts';

const OBJECT_PREFIXES = ['documents/*', 'evidence/*'];

/** What DynamoDB asks of whoever reads a table under a customer's key, and of whoever writes it. */
const KEY_OF_READ_TABLE = ['kms:Decrypt', 'kms:DescribeKey'];
const KEY_OF_WRITTEN_TABLE = [
  ...KEY_OF_READ_TABLE,
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

/** The secret with the instance's private key and certificate, and what it is encrypted with. */
export interface InstanceKey {
  readonly keySecretArn: string;
  readonly stateKey: IKey;
}

/** To read items and the identity of the table, which changes when it is restored. */
export function grantTableReads(grantee: IGrantable, table: Table): void {
  allow(
    grantee,
    [table.tableArn],
    ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query', 'dynamodb:DescribeTable'],
  );
  allowKey(grantee, table.encryptionKey, 'dynamodb', KEY_OF_READ_TABLE);
}

/**
 * To write items, alone and in transactions, which are authorised by what they consist of. Only
 * the two items that are rewritten in place may be updated: an update of an entry is refused here.
 */
export function grantTableWrites(grantee: IGrantable, table: Table): void {
  allow(grantee, [table.tableArn], ['dynamodb:PutItem', 'dynamodb:ConditionCheckItem']);
  allowKey(grantee, table.encryptionKey, 'dynamodb', KEY_OF_WRITTEN_TABLE);
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
export function grantRedaction(grantee: IGrantable, table: Table): void {
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
export function grantListReads(grantee: IGrantable, table: Table): void {
  allow(grantee, [`${table.tableArn}/index/${listsIndex.name}`], ['dynamodb:Query']);
}

/** To read the items that events are made of, and no others: by key, and in one partition. */
export function grantEventReads(grantee: IGrantable, table: Table): void {
  const read = publishReadPrefixes.map((prefix) => `${prefix}*`);
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'],
      resources: [table.tableArn],
      conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': read } },
    }),
  );
  allowKey(grantee, table.encryptionKey, 'dynamodb', KEY_OF_READ_TABLE);
}

/** To put events on this bus, and to change nothing about it. */
export function grantEvents(grantee: IGrantable, bus: EventBus): void {
  allow(grantee, [bus.eventBusArn], ['events:PutEvents']);
}

/** To be woken by the table's stream. */
export function grantStream(grantee: IGrantable, table: Table): void {
  if (table.tableStreamArn === undefined)
    throw new Error(`${table.node.path} has no stream: give the table one`);
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
export function grantObjects(grantee: LambdaFunction, bucket: Bucket): void {
  const objects = OBJECT_PREFIXES.map((prefix) => bucket.arnForObjects(prefix));
  allow(grantee, objects, ['s3:GetObject', 's3:PutObject']);
  allow(grantee, [bucket.bucketArn], ['s3:ListBucket']);
  allowKey(grantee, bucket.encryptionKey, 's3', ['kms:Decrypt', 'kms:GenerateDataKey']);
  for (const prefix of OBJECT_PREFIXES)
    acknowledge(
      grantee.role ?? grantee,
      `AwsSolutions-IAM5[Resource::${exportOf(bucket)}/${prefix}]`,
      'Objects are named by the digest of their bytes: which ones there will be nobody knows.',
    );
}

/** The bucket as cdk-nag names it to other stacks. */
function exportOf(bucket: Bucket): string {
  const { stack } = bucket;
  return stack.resolve(stack.exportValue(bucket.bucketArn))['Fn::ImportValue'];
}

/** To wake the functions behind these queues. */
export function grantPokes(grantee: IGrantable, queues: readonly Queue[]): void {
  allow(
    grantee,
    queues.map((queue) => queue.queueArn),
    ['sqs:SendMessage'],
  );
  for (const { encryptionMasterKey } of queues)
    allowKey(grantee, encryptionMasterKey, 'sqs', ['kms:Decrypt', 'kms:GenerateDataKey']);
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
  allowKey(grantee, queue.encryptionMasterKey, 'sqs', ['kms:Decrypt']);
}

/** To read the instance's key. Every function needs it: the instance's id is derived from it. */
export function grantKey(grantee: IGrantable, { keySecretArn, stateKey }: InstanceKey): void {
  allow(grantee, [keySecretArn], ['secretsmanager:GetSecretValue']);
  allowKey(grantee, stateKey, 'secretsmanager', ['kms:Decrypt']);
}

/** The encryption key, but through that service only: never on bytes that somebody has copied. */
function allowKey(
  grantee: IGrantable,
  key: IKey | undefined,
  service: string,
  actions: string[],
): void {
  if (key === undefined) throw new Error(`a resource of ${service} has no key of the instance`);
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({
      actions,
      resources: [key.keyArn],
      conditions: {
        StringEquals: { 'kms:ViaService': `${service}.${key.stack.region}.amazonaws.com` },
      },
    }),
  );
}

function allow(grantee: IGrantable, resources: string[], actions: string[]): void {
  grantee.grantPrincipal.addToPrincipalPolicy(new PolicyStatement({ actions, resources }));
}
