import { expect, test } from 'vitest';
import type { AccessRequest } from '../../../../infra/local/iam/evaluate.ts';
import { jsonAccess, s3Access } from '../../../../infra/local/iam/service-access.ts';

const place = {
  region: 'eu-central-1',
  account: '000000000000',
  tables: new Map([['ledger', { partition: 'pk', indexes: new Map([['lists', 'list']]) }]]),
};
const TABLE = 'arn:aws:dynamodb:eu-central-1:000000000000:table/ledger';
const key = (pk: string) => ({ pk: { S: pk }, sk: { S: '1' } });

/** `action resource [leading keys] [attributes]` */
function told({ action, resource, context }: AccessRequest): string {
  const leading = context['dynamodb:leadingkeys']?.join() ?? '-';
  const attributes = context['dynamodb:attributes']?.toSorted().join() ?? '-';
  return `${action} ${resource.replace(TABLE, 'T')} ${leading} ${attributes}`;
}

test.each<[string, object, string[]]>([
  ['GetItem', { Key: key('A') }, ['dynamodb:GetItem T A pk,sk']],
  ['GetItem', { TableName: TABLE, Key: key('A') }, ['dynamodb:GetItem T A pk,sk']],
  [
    'GetItem',
    {
      Key: key('A'),
      ProjectionExpression: '#v, plain.inner[0], list',
      ExpressionAttributeNames: { '#v': 'value' },
    },
    ['dynamodb:GetItem T A list,pk,plain,sk,value'],
  ],
  ['PutItem', { Item: { ...key('A'), value: { S: 'x' } } }, ['dynamodb:PutItem T A pk,sk,value']],
  [
    'UpdateItem',
    {
      Key: key('A'),
      UpdateExpression: 'SET #r = if_not_exists(noted, :r) REMOVE #d.deep ADD times :one',
      ConditionExpression: 'attribute_exists(#d) AND size(text) BETWEEN :a AND :b',
      ExpressionAttributeNames: { '#r': 'redaction', '#d': 'details' },
    },
    ['dynamodb:UpdateItem T A details,noted,pk,redaction,sk,text,times'],
  ],
  ['DeleteItem', { Key: key('A') }, ['dynamodb:DeleteItem T A pk,sk']],
  ['DescribeTable', {}, ['dynamodb:DescribeTable T - -']],
  ['Scan', { FilterExpression: 'a = :a' }, ['dynamodb:Scan T - a']],
  [
    'Query',
    {
      KeyConditionExpression: '#pk = :pk AND sk >= :from',
      ExpressionAttributeNames: { '#pk': 'pk' },
      ExpressionAttributeValues: { ':pk': { S: 'A' }, ':from': { S: '0' } },
    },
    ['dynamodb:Query T A pk,sk'],
  ],
  [
    'Query',
    {
      KeyConditionExpression: 'sk = :pk and :p = pk',
      ExpressionAttributeValues: { ':pk': { S: 'not' }, ':p': { S: 'A' } },
    },
    ['dynamodb:Query T A pk,sk'],
  ],
  [
    'Query',
    {
      IndexName: 'lists',
      KeyConditionExpression: 'list = :l',
      ExpressionAttributeValues: { ':l': { S: 'L' } },
    },
    ['dynamodb:Query T/index/lists L list'],
  ],
  [
    'BatchGetItem',
    { RequestItems: { ledger: { Keys: [key('A'), key('B'), key('A')] } } },
    ['dynamodb:BatchGetItem T A,B pk,sk'],
  ],
  [
    'BatchWriteItem',
    {
      RequestItems: {
        ledger: [{ PutRequest: { Item: key('A') } }, { DeleteRequest: { Key: key('B') } }],
      },
    },
    ['dynamodb:BatchWriteItem T A,B pk,sk'],
  ],
  [
    'TransactWriteItems',
    {
      TransactItems: [
        { Put: { TableName: 'ledger', Item: key('A') } },
        { Update: { TableName: 'ledger', Key: key('B'), UpdateExpression: 'SET v = :v' } },
        { Delete: { TableName: 'ledger', Key: key('C') } },
        {
          ConditionCheck: {
            TableName: 'other',
            Key: key('D'),
            ConditionExpression: 'attribute_exists(pk)',
          },
        },
      ],
    },
    [
      'dynamodb:PutItem T A pk,sk',
      'dynamodb:UpdateItem T B pk,sk,v',
      'dynamodb:DeleteItem T C pk,sk',
      // A table of nobody's: refused for its name, whatever its keys are.
      `dynamodb:ConditionCheckItem ${TABLE.replace('ledger', 'other')} - pk,sk`,
    ],
  ],
  [
    'TransactGetItems',
    { TransactItems: [{ Get: { TableName: 'ledger', Key: key('A') } }] },
    ['dynamodb:GetItem T A pk,sk'],
  ],
])('DynamoDB %s %j', (operation, input, expected) => {
  const target = `DynamoDB_20120810.${operation}`;

  expect(jsonAccess(target, { TableName: 'ledger', ...input }, place).map(told)).toEqual(expected);
});

test.each<[string, object, string[]]>([
  [
    'AmazonSQS.SendMessageBatch',
    { QueueUrl: 'http://127.0.0.1:1/000000000000/a.fifo' },
    ['sqs:SendMessage arn:aws:sqs:eu-central-1:000000000000:a.fifo - -'],
  ],
  [
    'secretsmanager.GetSecretValue',
    { SecretId: 'arn:aws:secretsmanager:eu-central-1:000000000000:secret:k' },
    ['secretsmanager:GetSecretValue arn:aws:secretsmanager:eu-central-1:000000000000:secret:k - -'],
  ],
  [
    'AWSEvents.PutEvents',
    { Entries: [{ EventBusName: 'own' }, { EventBusName: 'own' }, {}] },
    [
      'events:PutEvents arn:aws:events:eu-central-1:000000000000:event-bus/own - -',
      'events:PutEvents arn:aws:events:eu-central-1:000000000000:event-bus/default - -',
    ],
  ],
])('%s', (target, input, expected) => {
  expect(jsonAccess(target, input, place).map(told)).toEqual(expected);
});

test.each<[string, object, RegExp]>([
  ['DynamoDB_20120810.ExecuteStatement', {}, /does not know which rights .*ExecuteStatement/],
  ['DynamoDB_20120810.Query', { TableName: 'ledger', KeyConditions: {} }, /with KeyConditions/],
  ['DynamoDB_20120810.Query', { TableName: 'ledger' }, /without a partition/],
  ['AmazonSQS.PurgeQueue', {}, /PurgeQueue/],
  ['secretsmanager.PutSecretValue', {}, /PutSecretValue/],
  ['Kinesis_20131202.PutRecord', {}, /Kinesis/],
])('%s %j is not let through unjudged', (target, input, message) => {
  expect(() => jsonAccess(target, input, place)).toThrow(message);
});

test('an upload says whether it replaces something, and a look is a read', () => {
  const headers = new Map([['if-none-match', '*']]);

  expect(s3Access('PutObject', 'b', 'documents/1', headers)).toEqual([
    {
      action: 's3:PutObject',
      resource: 'arn:aws:s3:::b/documents/1',
      context: { 's3:if-none-match': ['*'], 's3:objectcreationoperation': ['true'] },
    },
  ]);
  expect(s3Access('HeadObject', 'b', 'documents/1', new Map())).toMatchObject([
    { action: 's3:GetObject', resource: 'arn:aws:s3:::b/documents/1' },
  ]);
});
