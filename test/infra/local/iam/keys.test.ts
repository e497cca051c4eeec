import { expect, test } from 'vitest';
import { parseIdentityPolicy, parseResourcePolicy } from '../../../../infra/local/iam/policy.ts';
import { jsonAccess, s3Access } from '../../../../infra/local/iam/service-access.ts';
import { FunctionIdentity } from '../../../../infra/local/identity.ts';

const ROLE = 'arn:aws:iam::000000000000:role/api';
const own = (service: string, rest: string) =>
  `arn:aws:${service}:eu-central-1:000000000000:${rest}`;
const KEY = own('kms', 'key/state');
const TABLE = own('dynamodb', 'table/ledger');
const QUEUE = own('sqs', 'poke');
const BUCKET = 'arn:aws:s3:::objects';

/** A role that may do everything with the data, and with the key what is given here. */
function roleWith(...onKey: readonly object[]): FunctionIdentity {
  const all = ['dynamodb:*', 's3:*', 'sqs:*', 'secretsmanager:*'];
  const statements = [
    { Effect: 'Allow', Action: all, Resource: '*' },
    ...onKey.map((each) => ({ Effect: 'Allow', Resource: KEY, ...each })),
  ];
  const account = { AWS: 'arn:aws:iam::000000000000:root' };
  const policy = { Effect: 'Allow', Action: 'kms:*', Principal: account, Resource: '*' };
  return new FunctionIdentity({
    accessKey: { id: 'LOCALFUNCTION', secret: '' },
    instanceKeyId: 'LOCALINSTANCE',
    functionName: 'api',
    roleArn: ROLE,
    rights: {
      roles: new Map([
        [ROLE, parseIdentityPolicy({ Version: '2012-10-17', Statement: statements })],
      ]),
      ofResources: new Map([
        [KEY, parseResourcePolicy({ Version: '2012-10-17', Statement: [policy] })],
      ]),
      keys: new Map([TABLE, QUEUE, BUCKET].map((arn) => [arn, KEY])),
    },
    place: {
      region: 'eu-central-1',
      account: '000000000000',
      tables: new Map([['ledger', { partition: 'pk', indexes: new Map([['lists', 'list']]) }]]),
    },
    onRefusal: () => undefined,
  });
}

const Key = { pk: { S: 'A' } };
const listed = {
  TableName: 'ledger',
  IndexName: 'lists',
  KeyConditionExpression: 'list = :l',
  ExpressionAttributeValues: { ':l': { S: 'L' } },
};

test.each<[string, string | undefined, object]>([
  ['DynamoDB_20120810.GetItem', 'kms:Decrypt', { TableName: 'ledger', Key }],
  ['DynamoDB_20120810.PutItem', 'kms:Decrypt', { TableName: 'ledger', Item: Key }],
  ['DynamoDB_20120810.Query', 'kms:Decrypt', listed],
  ['DynamoDB_20120810.DescribeTable', undefined, { TableName: 'ledger' }],
  ['DynamoDB_20120810.GetItem', undefined, { TableName: 'open', Key }],
  ['AmazonSQS.SendMessage', 'kms:GenerateDataKey', { QueueUrl: 'http://x/0/poke' }],
  ['AmazonSQS.ReceiveMessage', 'kms:Decrypt', { QueueUrl: 'http://x/0/poke' }],
  ['AmazonSQS.DeleteMessage', undefined, { QueueUrl: 'http://x/0/poke' }],
])('%s without the key: %s', (target, action, input) => {
  const role = roleWith();

  const refusal = role.refusal(() => jsonAccess(target, input, role.place));

  const expected = `: ${action} on resource: ${KEY} because no identity-based policy`;
  if (action === undefined) expect(refusal).toBeUndefined();
  else expect(refusal).toContain(expected);
});

test('an object is under the key of its bucket', () => {
  const put = () => s3Access('PutObject', 'objects', 'documents/1', new Map());

  expect(roleWith({ Action: 'kms:Decrypt' }).refusal(put)).toContain('kms:GenerateDataKey');
  expect(roleWith({ Action: 'kms:GenerateDataKey' }).refusal(put)).toBeUndefined();
});

test('a key that is given through one service is not given through another', () => {
  const through = { StringEquals: { 'kms:ViaService': 'dynamodb.eu-central-1.amazonaws.com' } };
  const role = roleWith({ Action: 'kms:*', Condition: through });
  const get = { TableName: 'ledger', Key };

  const asked = (target: string, input: object) =>
    role.refusal(() => jsonAccess(target, input, role.place));

  expect(asked('DynamoDB_20120810.GetItem', get)).toBeUndefined();
  expect(asked('AmazonSQS.SendMessage', { QueueUrl: 'http://x/0/poke' })).toContain('kms:');
});
