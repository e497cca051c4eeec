/**
 * What a function may do, action by action. Nothing here deletes, scans or replaces a setting.
 *
 * IAM cannot tell a first put from a second one: that an item of the ledger is never written over is
 * a condition of each write, in the store. Who would break it rewrites one copy, and its audit and
 * the peers find that. Objects are put once by the bucket's own policy.
 */
import type { ITable, Table } from 'aws-cdk-lib/aws-dynamodb';
import type { EventBus } from 'aws-cdk-lib/aws-events';
import { Effect, type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
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

/** The table that the functions work on: the stack's own, or a restored one. */
export type LedgerTable = Table | ITable;

const DOCUMENTS = 'documents/*';
const EVIDENCE = 'evidence/*';

/** The deny list, which only whoever hears operators may rewrite. */
const DENY_LIST = 'DENIED';

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
export function grantTableReads(grantee: IGrantable, table: LedgerTable): void {
  allow(
    grantee,
    [table.tableArn],
    ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query', 'dynamodb:DescribeTable'],
  );
  allowKey(grantee, table.encryptionKey, 'dynamodb', KEY_OF_READ_TABLE);
}

/**
 * To write items, alone and in transactions, which are authorised by what they consist of: any but
 * the deny list. Only the two items that are rewritten in place may be updated: an update of an
 * entry is refused here.
 */
export function grantTableWrites(grantee: IGrantable, table: LedgerTable): void {
  grantTableAndDenials(grantee, table);
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({
      effect: Effect.DENY,
      actions: ['dynamodb:PutItem'],
      resources: [table.tableArn],
      conditions: { 'ForAnyValue:StringEquals': { 'dynamodb:LeadingKeys': [DENY_LIST] } },
    }),
  );
}

/** The same, and the deny list. */
export function grantTableAndDenials(grantee: IGrantable, table: LedgerTable): void {
  allow(grantee, [table.tableArn], ['dynamodb:PutItem']);
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
  allowKey(grantee, table.encryptionKey, 'dynamodb', KEY_OF_READ_TABLE);
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

/** To get documents, also by presigned URLs. */
export function grantDocumentReads(grantee: LambdaFunction, bucket: Bucket): void {
  allowObjects(grantee, bucket, DOCUMENTS, ['s3:GetObject']);
}

/** To put documents, also by presigned URLs, and to see whether they are there. */
export function grantDocumentWrites(grantee: LambdaFunction, bucket: Bucket): void {
  allowObjects(grantee, bucket, DOCUMENTS, ['s3:GetObject', 's3:PutObject']);
}

/** To keep what conflicts are proven with, and to read it. */
export function grantEvidence(grantee: LambdaFunction, bucket: Bucket): void {
  allowObjects(grantee, bucket, EVIDENCE, ['s3:GetObject', 's3:PutObject']);
}

/**
 * Listing is not for lists: without it S3 answers 403 where an object is missing, and "not held"
 * could not be told from "refused".
 */
function allowObjects(
  grantee: LambdaFunction,
  bucket: Bucket,
  prefix: string,
  actions: string[],
): void {
  const isPutting = actions.includes('s3:PutObject');
  const ofKey = isPutting ? ['kms:Decrypt', 'kms:GenerateDataKey'] : ['kms:Decrypt'];
  allow(grantee, [bucket.arnForObjects(prefix)], actions);
  allow(grantee, [bucket.bucketArn], ['s3:ListBucket']);
  allowKey(grantee, bucket.encryptionKey, 's3', ofKey);
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
