import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AwsService, callAws } from '../../../infra/local/aws-json.ts';
import type { InstancePlan, TablePlan } from '../../../infra/local/plan.ts';
import { type Emulators, provision } from '../../../infra/local/provision.ts';
import { type DynamoDbLocal, startDynamoDbLocal } from '../../dynamo-db-local.ts';

let local: DynamoDbLocal;
let service: AwsService;

beforeAll(async () => {
  local = await startDynamoDbLocal();
  service = { endpoint: local.endpoint, region: 'eu-central-1', accessKeyId: 'provision' };
}, 40_000);
afterAll(() => local.stop());

const index = {
  IndexName: 'lists',
  KeySchema: [{ AttributeName: 'list', KeyType: 'HASH' }],
  Projection: { ProjectionType: 'ALL' },
};

function table(name: string, globalSecondaryIndexes: readonly (typeof index)[]): TablePlan {
  const attributes = ['pk', ...globalSecondaryIndexes.map(() => 'list')];
  return {
    name,
    streamArn: 'arn',
    keySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    attributeDefinitions: attributes.map((AttributeName) => ({
      AttributeName,
      AttributeType: 'S',
    })),
    globalSecondaryIndexes,
    streamViewType: undefined,
  };
}

async function provisionTable(plan: TablePlan): Promise<void> {
  const only = { queues: [], buckets: [], tables: [plan] } as Partial<InstancePlan>;
  await provision(only as InstancePlan, { dynamoDb: service } as Emulators);
}

test('a table is made with its index once, and found again', async () => {
  await provisionTable(table('indexed', [index]));
  await provisionTable(table('indexed', [index]));

  const { Table } = await callAws<{ Table: { GlobalSecondaryIndexes: unknown } }>(
    service,
    'DynamoDB_20120810.DescribeTable',
    { TableName: 'indexed' },
  );
  expect(Table.GlobalSecondaryIndexes).toMatchObject([index]);
});

test('a table that was made without the index of now is refused with what to do', async () => {
  await provisionTable(table('older', []));

  const again = provisionTable(table('older', [index]));

  await expect(again).rejects.toThrow(
    'the table older was made with other keys or indexes than the template asks for now: ' +
      'start with an empty directory',
  );
});
