/** Which rights the operations of the smaller services need, and what wakes a function. */
import { type DynamoDbPlace, dynamoDbAccess } from './dynamodb-access.ts';
import type { AccessRequest } from './evaluate.ts';

type Members = Readonly<Record<string, unknown>>;

/**
 * Of a request in one of AWS's JSON protocols, for example `DynamoDB_20120810.PutItem`. Throws a
 * sentence for what is not known here: nothing is let through unjudged.
 */
export function jsonAccess(target: string, input: unknown, place: DynamoDbPlace): AccessRequest[] {
  const [service = '', operation = ''] = target.split('.');
  const known = byService(service, operation, { ...Object(input) }, place);
  if (known === undefined)
    throw new Error(`the local runner does not know which rights ${target} needs`);
  return known;
}

function byService(
  service: string,
  operation: string,
  input: Members,
  place: DynamoDbPlace,
): AccessRequest[] | undefined {
  switch (service) {
    case 'DynamoDB_20120810':
      return dynamoDbAccess(operation, input, place);
    case 'AmazonSQS':
      return sqsAccess(operation, input, place);
    case 'secretsmanager':
      if (operation !== 'GetSecretValue') return undefined;
      return [plain('secretsmanager:GetSecretValue', String(input['SecretId']))];
    case 'AWSEvents':
      return operation === 'PutEvents' ? eventsAccess(input, place) : undefined;
    default:
      return undefined;
  }
}

/** A batch needs the right of the single operation. */
const SQS_ACTIONS: Readonly<Record<string, string>> = {
  ChangeMessageVisibility: 'ChangeMessageVisibility',
  ChangeMessageVisibilityBatch: 'ChangeMessageVisibility',
  DeleteMessage: 'DeleteMessage',
  DeleteMessageBatch: 'DeleteMessage',
  GetQueueAttributes: 'GetQueueAttributes',
  ReceiveMessage: 'ReceiveMessage',
  SendMessage: 'SendMessage',
  SendMessageBatch: 'SendMessage',
};

function sqsAccess(
  operation: string,
  { QueueUrl }: Members,
  { region, account }: DynamoDbPlace,
): AccessRequest[] | undefined {
  const action = SQS_ACTIONS[operation];
  if (action === undefined) return undefined;
  const url = String(QueueUrl);
  const queue = url.slice(url.lastIndexOf('/') + 1);
  return [plain(`sqs:${action}`, `arn:aws:sqs:${region}:${account}:${queue}`)];
}

function eventsAccess({ Entries }: Members, { region, account }: DynamoDbPlace): AccessRequest[] {
  const entries = Array.isArray(Entries) ? Entries : [];
  const buses = entries.map((entry: unknown) => String(Object(entry)['EventBusName'] ?? 'default'));
  return [...new Set(buses)].map((bus) => {
    const arn = bus.startsWith('arn:')
      ? bus
      : `arn:aws:events:${region}:${account}:event-bus/${bus}`;
    return plain('events:PutEvents', arn);
  });
}

/** Of a request to S3. To look at an object takes the right to get it. */
export function s3Access(
  operation: 'PutObject' | 'GetObject' | 'HeadObject',
  bucket: string,
  key: string,
  headers: ReadonlyMap<string, string>,
): AccessRequest[] {
  const resource = `arn:aws:s3:::${bucket}/${key}`;
  if (operation !== 'PutObject') return [plain('s3:GetObject', resource)];
  const condition = headers.get('if-none-match');
  const context = {
    's3:objectcreationoperation': ['true'],
    ...(condition === undefined ? {} : { 's3:if-none-match': [condition] }),
  };
  return [{ action: 's3:PutObject', resource, context }];
}

/** Without it S3 does not tell whether an object is missing or refused. */
export function s3ListAccess(bucket: string): AccessRequest[] {
  return [plain('s3:ListBucket', `arn:aws:s3:::${bucket}`)];
}

/** What Lambda asks of the role before it makes a mapping that wakes the function by a stream. */
export function streamAccess(streamArn: string, failureQueueArn?: string): AccessRequest[] {
  const actions = ['DescribeStream', 'GetRecords', 'GetShardIterator'];
  return [
    ...actions.map((action) => plain(`dynamodb:${action}`, streamArn)),
    ...(failureQueueArn === undefined ? [] : [plain('sqs:SendMessage', failureQueueArn)]),
  ];
}

/** The same of a mapping that wakes it by a queue. */
export function queueAccess(queueArn: string): AccessRequest[] {
  const actions = ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes'];
  return actions.map((action) => plain(`sqs:${action}`, queueArn));
}

function plain(action: string, resource: string): AccessRequest {
  return { action, resource, context: {} };
}
