/** The roles of the templates are held to: what they do not allow, no function can do. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../../infra/local/cluster.ts';
import { testAuthority, testInstance } from '../../certificate-authority.ts';
import { writeAssembly } from './fixture/assembly.ts';

let directory: string;
let cluster: Cluster;

/** What the roles of the instance `lacking` do not allow. */
const LACKING = [
  'dynamodb:PutItem',
  's3:ListBucket',
  's3:PutObject',
  'secretsmanager:GetSecretValue',
  'sqs:SendMessage',
];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rights-'));
  const authority = testAuthority();
  writeAssembly(join(directory, 'fixture'), ['granted', 'lacking', 'asleep'], {
    lacking: LACKING.filter((action) => action !== 'sqs:SendMessage'),
    asleep: ['dynamodb:GetShardIterator'],
  });
  // A mapping with a failure destination is not made without this right, so only one role lacks it.
  const work = join(directory, 'fixture', 'assembly-lacking', 'work.json');
  const template = JSON.parse(readFileSync(work, 'utf8'));
  const { PolicyDocument } = template.Resources.AttemptPolicy.Properties;
  PolicyDocument.Statement = PolicyDocument.Statement.filter(
    ({ Action }: { Action: string }) => Action !== 'sqs:SendMessage',
  );
  writeFileSync(work, JSON.stringify(template));
  const instance = (name: string, offline: boolean) => {
    const { keyPem: privateKeyPem, certificatePem } = testInstance(authority);
    const keyFile = join(directory, `${name}-key.json`);
    writeFileSync(keyFile, JSON.stringify({ privateKeyPem, certificatePem, formerIds: [] }));
    const settings = {
      clusterCa: authority.certificatePem,
      applications: [],
      operators: [],
      auditors: [],
      denied: [],
      admittedLeads: 'any',
    } as const;
    return { name, port: 0, keyFile, settings, offline };
  };
  mkdirSync(join(directory, 'cluster'));
  cluster = await startCluster({
    directory: join(directory, 'cluster'),
    instances: [instance('granted', false), instance('lacking', false), instance('asleep', true)],
    assembly: join(directory, 'fixture'),
    inMemory: true,
  });
}, 60_000);

afterAll(async () => {
  await cluster.close();
  rmSync(directory, { recursive: true });
});

async function attempt(instance: string, name: string) {
  const entry = 'test/infra/local/fixture/attempt.ts';
  return (await cluster.invoke(instance, entry, { attempt: name })) as {
    readonly outcome: string;
    readonly message?: string;
    readonly status?: number;
    readonly ofDynamoDb?: boolean;
  };
}

/** The sentence of AWS, as the role of `attempt` at that instance gets it. */
function refused(instance: string, action: string, resource: string, why?: string): string {
  const user = `arn:aws:sts::000000000000:assumed-role/${instance}-AttemptRole/${instance}-Attempt`;
  return (
    `User: ${user} is not authorized to perform: ${action} on resource: ${resource} ` +
    (why ?? `because no identity-based policy allows the ${action} action`)
  );
}

const arn = (service: string, rest: string) =>
  `arn:aws:${service}:eu-central-1:000000000000:${rest}`;

test.each([
  'put',
  'update of a head',
  'upload once',
  'presigned download',
  'poke',
  'secret',
])('what the role allows is done: %s', async (name) => {
  expect(await attempt('granted', name)).toEqual({ outcome: 'done' });
});

test.each([
  ['put', 'AccessDeniedException', 'dynamodb:PutItem', arn('dynamodb', 'table/lacking-Ledger')],
  [
    'transaction',
    'AccessDeniedException',
    'dynamodb:PutItem',
    arn('dynamodb', 'table/lacking-Ledger'),
  ],
  ['upload once', 'AccessDenied', 's3:PutObject', 'arn:aws:s3:::lacking-objects/documents/new'],
  ['object elsewhere', 'AccessDenied', 's3:GetObject', 'arn:aws:s3:::lacking-objects/elsewhere'],
  ['missing object', 'AccessDenied', 's3:ListBucket', 'arn:aws:s3:::lacking-objects'],
  ['poke', 'AccessDenied', 'sqs:sendmessage', arn('sqs', 'lacking-Queue.fifo')],
  [
    'secret',
    'AccessDeniedException',
    'secretsmanager:GetSecretValue',
    arn('secretsmanager', 'secret:lacking-Key'),
  ],
])('what it does not allow is refused as AWS refuses it: %s', async (name, outcome, ...asked) => {
  const [action, resource] = asked;

  const answer = await attempt('lacking', name);

  const message = refused('lacking', action, resource);
  expect(answer).toMatchObject({ outcome, message });
  expect(answer.ofDynamoDb).toBe(action.startsWith('dynamodb:'));
  expect(cluster.rights().refused.map(({ sentence }) => sentence)).toContain(message);
});

test('a look at a missing object is 404 for whoever may list, and 403 for others', async () => {
  expect((await attempt('granted', 'look at a missing object')).status).toBe(404);
  expect((await attempt('lacking', 'look at a missing object')).status).toBe(403);
});

test('one item of a transaction that is not allowed refuses all of it', async () => {
  const answer = await attempt('granted', 'transaction');

  const table = arn('dynamodb', 'table/granted-Ledger');
  expect(answer.message).toBe(refused('granted', 'dynamodb:UpdateItem', table));
});

test("a bucket's own policy denies what the role allows", async () => {
  const object = 'arn:aws:s3:::granted-objects/documents/new';
  const why = 'with an explicit deny in a resource-based policy';

  const answer = await attempt('granted', 'upload');

  expect(answer.message).toBe(refused('granted', 's3:PutObject', object, why));
});

test('a presigned address has the rights of whoever signed it', async () => {
  const answer = await attempt('lacking', 'presigned download');

  expect(answer.message).toMatch(/^403 .*<Code>AccessDenied<\/Code>.*s3:ListBucket/s);
});

test('a stream wakes no function whose role may not read it', async () => {
  await expect(cluster.startInstance('asleep')).rejects.toThrow(
    /^nothing would wake asleep-Forward: .*dynamodb:GetShardIterator/,
  );
});

test('a grant that no call used is listed, and a used one is not', async () => {
  const { unused } = cluster.rights();

  expect(unused['attempt.ts']).toContain('dynamodb:DeleteItem on table/Ledger');
  expect(unused['attempt.ts']).not.toContain('dynamodb:PutItem on table/Ledger');
});
