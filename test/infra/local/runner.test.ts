import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type AwsService, callAws } from '../../../infra/local/aws-json.ts';
import { type Cluster, type LocalInstance, startCluster } from '../../../infra/local/cluster.ts';
import {
  type TestAuthority,
  testApplication,
  testAuthority,
  testInstance,
} from '../../certificate-authority.ts';
import { writeAssembly } from './fixture/assembly.ts';

type Item = Record<string, { S?: string; N?: string; BOOL?: boolean }>;

const STAGES = ['alpha', 'beta'] as const;
type StageName = (typeof STAGES)[number];

let directory: string;
let authority: TestAuthority;
let cluster: Cluster;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cluster-'));
  authority = testAuthority();
  writeAssembly(join(directory, 'fixture'), STAGES);
  cluster = await startCluster({
    directory: join(directory, 'cluster'),
    instances: STAGES.map((name) => instanceFiles(name)),
    assembly: join(directory, 'fixture'),
    inMemory: true,
  });
}, 60_000);

afterAll(async () => {
  await cluster.close();
  rmSync(directory, { recursive: true });
});

function instanceFiles(name: string, port = 0): LocalInstance {
  const { keyPem: privateKeyPem, certificatePem } = testInstance(authority);
  const keyFile = join(directory, `${name}-key.json`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(keyFile, JSON.stringify({ privateKeyPem, certificatePem, formerIds: [] }));
  const settings = {
    clusterCa: authority.certificatePem,
    applications: [],
    operators: [],
    auditors: [],
    denied: [],
    admittedLeads: 'any',
  } as const;
  return { name, port, keyFile, settings };
}

function service(name: StageName, endpoint: string): AwsService {
  const environment = cluster.environmentOf(name);
  return {
    endpoint: environment[endpoint] ?? '',
    region: environment['AWS_REGION'] ?? '',
    accessKeyId: environment['AWS_ACCESS_KEY_ID'] ?? '',
  };
}

function dynamoDb<Answer>(name: StageName, operation: string, input: object): Promise<Answer> {
  return callAws(service(name, 'AWS_ENDPOINT_URL_DYNAMODB'), `DynamoDB_20120810.${operation}`, {
    TableName: cluster.environmentOf(name)['TABLE_NAME'],
    ...input,
  });
}

async function put(name: StageName, pk: string, sk: string, more: Item = {}): Promise<void> {
  await dynamoDb(name, 'PutItem', { Item: { pk: { S: pk }, sk: { S: sk }, ...more } });
}

async function seen(name: StageName): Promise<Map<string, Item>> {
  const { Items } = await dynamoDb<{ Items: Item[] }>(name, 'Query', {
    KeyConditionExpression: 'pk = :pk',
    ExpressionAttributeValues: { ':pk': { S: 'SEEN' } },
  });
  return new Map(Items.map((item) => [item['sk']?.S ?? '', item]));
}

function timesOf(items: Map<string, Item>, body: string): number {
  return Number(items.get(body)?.['times']?.N ?? 0);
}

/** Bodies of the messages that are visible in a queue of the instance. */
async function messagesOf(name: StageName, queue: string): Promise<string[]> {
  const url = cluster.environmentOf(name)['QUEUE_URL']?.replace(`${name}-Queue.fifo`, queue);
  const { Messages } = await callAws<{ Messages?: { Body: string }[] }>(
    service(name, 'AWS_ENDPOINT_URL_SQS'),
    'AmazonSQS.ReceiveMessage',
    { QueueUrl: url, MaxNumberOfMessages: 10, VisibilityTimeout: 0 },
  );
  return (Messages ?? []).map(({ Body }) => Body);
}

const patience = { timeout: 15_000, interval: 100 };

test('what matches the filter goes from the stream through the queue to the next function', async () => {
  await put('alpha', 'ENTRY#1', 'not a head');
  await put('alpha', 'HEAD#1', 'first');

  await vi.waitFor(async () => {
    expect(timesOf(await seen('alpha'), 'HEAD#1 first')).toBe(1);
  }, patience);
  expect([...(await seen('alpha')).keys()]).toEqual(['HEAD#1 first']);
});

test('the table has the index of the template, with the items that have its keys', async () => {
  await put('alpha', 'STATE#listed', '1', { list: { S: 'one' } });
  await put('alpha', 'STATE#unlisted', '2');

  const { Items } = await dynamoDb<{ Items: Item[] }>('alpha', 'Query', {
    IndexName: 'lists',
    KeyConditionExpression: '#list = :list',
    ExpressionAttributeNames: { '#list': 'list' },
    ExpressionAttributeValues: { ':list': { S: 'one' } },
  });

  expect(Items.map((item) => item['pk']?.S)).toEqual(['STATE#listed']);
});

test('what happens in one instance reaches no other', async () => {
  await put('beta', 'HEAD#beta', 'own');

  await vi.waitFor(async () => {
    expect(timesOf(await seen('beta'), 'HEAD#beta own')).toBe(1);
  }, patience);
  expect((await seen('alpha')).has('HEAD#beta own')).toBe(false);
  const tables = await dynamoDb<{ TableNames: string[] }>('beta', 'ListTables', {});
  expect(tables.TableNames).toEqual(['beta-Ledger']);
});

test('of a batch only what failed comes again, in the order of its group', async () => {
  for (const sk of ['flaky 1', 'next 2', 'next 3']) await put('alpha', 'HEAD#2', sk);
  await put('alpha', 'HEAD#3', 'unaffected');

  await vi.waitFor(async () => {
    expect(timesOf(await seen('alpha'), 'HEAD#2 next 3')).toBe(1);
  }, patience);
  const items = await seen('alpha');
  expect(timesOf(items, 'HEAD#2 flaky 1')).toBe(2);
  expect(timesOf(items, 'HEAD#2 next 2')).toBe(1);
  expect(timesOf(items, 'HEAD#3 unaffected')).toBe(1);
  const latest = ['flaky 1', 'next 2', 'next 3'].map((sk) =>
    Number(items.get(`HEAD#2 ${sk}`)?.['latest']?.N),
  );
  expect(latest).toEqual(latest.toSorted((a, b) => a - b));
});

test('what fails too often ends among the dead letters and frees its group', async () => {
  await put('alpha', 'HEAD#4', 'never');
  await put('alpha', 'HEAD#4', 'after');

  await vi.waitFor(async () => {
    expect(timesOf(await seen('alpha'), 'HEAD#4 after')).toBe(1);
  }, patience);
  expect(timesOf(await seen('alpha'), 'HEAD#4 never')).toBe(3);
  expect(await messagesOf('alpha', 'alpha-DeadLetters.fifo')).toEqual(['HEAD#4 never']);
});

test('a record that can never be handled is given up and holds up nothing', async () => {
  await put('beta', 'HEAD#5', 'before');
  await put('beta', 'HEAD#6', 'bad', { poison: { BOOL: true } });
  await put('beta', 'HEAD#7', 'behind');

  await vi.waitFor(async () => {
    const items = await seen('beta');
    expect(timesOf(items, 'HEAD#7 behind')).toBeGreaterThan(0);
    expect(timesOf(items, 'HEAD#5 before')).toBeGreaterThan(0);
    expect(await messagesOf('beta', 'beta-GivenUp')).toHaveLength(1);
  }, patience);
  const [failure] = await messagesOf('beta', 'beta-GivenUp');
  expect(JSON.parse(failure ?? '')).toMatchObject({ DDBStreamBatchInfo: { batchSize: 1 } });
});

test('a function sees the environment of its instance, its own secret, and nothing else', async () => {
  const answers = await Promise.all(
    STAGES.map((name) => cluster.invoke(name, 'test/infra/local/fixture/answer.ts', {})),
  );

  expect(answers.map((answer) => JSON.parse(Object(answer)['body']))).toEqual(
    STAGES.map((instance) => ({ instance, hasKey: true, parent: false })),
  );
  const secretId = cluster.environmentOf('beta')['KEY_SECRET_ARN'];
  await expect(
    cluster.invoke('alpha', 'test/infra/local/fixture/answer.ts', { secretId }),
  ).rejects.toThrow(/AccessDeniedException/);
});

test('a function that takes too long fails, and one that dies takes only its thread along', async () => {
  const invoke = (event: object) =>
    cluster.invoke('alpha', 'test/infra/local/fixture/answer.ts', event);

  await expect(invoke({ exit: true })).rejects.toThrow('the thread of the functions ended');
  await expect(invoke({})).resolves.toMatchObject({ statusCode: 200 });
  await expect(invoke({ sleepMs: 6000 })).rejects.toThrow(/timed out after 5 seconds/);
});

test('the log of an instance is JSON, line by line', async () => {
  await cluster.invoke('alpha', 'test/infra/local/fixture/answer.ts', {});

  const file = join(directory, 'cluster', 'alpha', 'log.jsonl');
  await vi.waitFor(() => {
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).message)).toContain('a line of the function');
  }, patience);
});

test('a caller with a certificate reaches the function of the route', async () => {
  const [alpha] = cluster.instances;

  const answer = await get(`${alpha?.endpoint}/anything`);

  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.body)).toMatchObject({ instance: 'alpha' });
});

test('an instance that was offline comes back at its endpoint with its data', async () => {
  const beta = cluster.instances.find(({ name }) => name === 'beta');
  const before = (await seen('beta')).size;

  await cluster.stopInstance('beta');
  await expect(get(`${beta?.endpoint}/`)).rejects.toThrow(/ECONNREFUSED/);
  await cluster.startInstance('beta');

  expect((await get(`${beta?.endpoint}/`)).status).toBe(200);
  expect((await seen('beta')).size).toBe(before);
  await put('beta', 'HEAD#8', 'back');
  await vi.waitFor(async () => {
    expect(timesOf(await seen('beta'), 'HEAD#8 back')).toBe(1);
  }, patience);
});

test('what was written while an instance was away is handed on when it comes back', async () => {
  await put('beta', 'HEAD#9', 'last before');
  await vi.waitFor(async () => {
    expect(timesOf(await seen('beta'), 'HEAD#9 last before')).toBe(1);
  }, patience);

  await cluster.stopInstance('beta');
  await put('beta', 'HEAD#9', 'nobody reads');
  await cluster.startInstance('beta');

  await vi.waitFor(async () => {
    expect(timesOf(await seen('beta'), 'HEAD#9 nobody reads')).toBe(1);
  }, patience);
});

test('a folder that is in use is refused', async () => {
  await expect(
    startCluster({ directory: join(directory, 'cluster'), instances: [], assembly: '' }),
  ).rejects.toThrow(/cluster is in use by process \d+: stop it first, or use another folder/);
});

test('a taken port is refused in one sentence that names it and where it was given', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;

  await expect(
    startCluster({
      directory: join(directory, 'other'),
      instances: [],
      assembly: '',
      ports: { dynamodb: port },
    }),
  ).rejects.toThrow(
    `port ${port} cannot be used (EADDRINUSE): end the program that listens there, ` +
      'or give another port as ports.dynamodb',
  );
  server.close();
});

async function get(url: string): Promise<{ status: number | undefined; body: string }> {
  const { keyPem: key, certificatePem: cert } = testApplication(authority);
  const outgoing = request(url, { key, cert, ca: authority.certificatePem, agent: false });
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number | undefined;
    body: string;
  }>();
  outgoing.on('error', reject).on('response', (response) => {
    text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
  });
  outgoing.end();
  return await promise;
}
