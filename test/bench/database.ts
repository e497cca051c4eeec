/** Amazon's DynamoDB Local as the local runner starts it, in memory, and tables in it. */
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { startDynamoDbLocal } from '../../infra/local/dynamodb-local.ts';
import { freePort } from '../../infra/local/port.ts';
import { listsIndex, tableKey } from '../../shared/config.ts';

export interface BenchDatabase {
  client(): DynamoDBClient;
  /** A new table like the one that infra creates, stream and index too. */
  createTable(name: string): Promise<void>;
  close(): Promise<void>;
}

/** Starts it on a free port. Needs Java 17. */
export async function startDatabase(): Promise<BenchDatabase> {
  const dynamoDb = await startDynamoDbLocal({ port: await freePort(0, 'the port of DynamoDB') });
  const client = () =>
    new DynamoDBClient({
      endpoint: dynamoDb.endpoint,
      region: 'eu-central-1',
      credentials: { accessKeyId: 'bench', secretAccessKey: 'bench' },
    });
  return {
    client,
    createTable: async (TableName) => {
      const { partition, sort } = tableKey;
      const names = [partition, sort, listsIndex.partition, listsIndex.sort];
      await client().send(
        new CreateTableCommand({
          TableName,
          KeySchema: [
            { AttributeName: partition, KeyType: 'HASH' },
            { AttributeName: sort, KeyType: 'RANGE' },
          ],
          AttributeDefinitions: names.map((AttributeName) => ({
            AttributeName,
            AttributeType: 'S',
          })),
          GlobalSecondaryIndexes: [
            {
              IndexName: listsIndex.name,
              KeySchema: [
                { AttributeName: listsIndex.partition, KeyType: 'HASH' },
                { AttributeName: listsIndex.sort, KeyType: 'RANGE' },
              ],
              Projection: { ProjectionType: 'ALL' },
            },
          ],
          BillingMode: 'PAY_PER_REQUEST',
          StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
        }),
      );
    },
    close: () => dynamoDb.close(),
  };
}
