import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accessKeyFor } from '../../../infra/local/emulators.ts';
import { jsonAccess, s3Access } from '../../../infra/local/iam/service-access.ts';
import type { FunctionIdentity } from '../../../infra/local/identity.ts';
import { checkMappings, identitiesOf } from '../../../infra/local/instance-identities.ts';
import { type InstancePlan, planInstance } from '../../../infra/local/plan.ts';
import { synthesise } from '../../../infra/local/synthesis.ts';
import { readStage, type StackTemplate } from '../../../infra/local/template.ts';
import { parseConfig } from '../../../shared/config.ts';
import { exampleAuthorityPem } from '../example-authority.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const OPERATOR = 'cd'.repeat(32);

const PLACE = {
  instance: 'client',
  region: 'eu-central-1',
  account: '000000000000',
  queueUrlOf: (name: string) => `http://127.0.0.1:9324/000000000000/${name}`,
};

let directory: string;
let stacks: readonly StackTemplate[];
let plan: InstancePlan;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'plan-'));
  const settings = {
    clusterCa: exampleAuthorityPem,
    applications: [],
    operators: [OPERATOR],
    auditors: [],
    denied: [],
    admittedLeads: 'any',
  } as const;
  const assembly = await synthesise(ROOT, directory, new Map([['client', settings]]));
  stacks = readStage(assembly, 'client');
  plan = planInstance(stacks, PLACE);
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

test('every part of the real templates is understood', () => {
  expect(plan.functions.map(({ entry, timeoutMs }) => [entry, timeoutMs]).sort()).toEqual([
    ['functions/api.lambda.ts', 30_000],
    ['functions/audit.lambda.ts', 900_000],
    ['functions/deliver.lambda.ts', 60_000],
    ['functions/fan-out.lambda.ts', 60_000],
    ['functions/fetch-documents.lambda.ts', 900_000],
    ['functions/peer-api.lambda.ts', 30_000],
    ['functions/publish.lambda.ts', 60_000],
    ['functions/sweep.lambda.ts', 60_000],
  ]);
  expect(plan.tables).toHaveLength(1);
  expect(plan.tables[0]?.globalSecondaryIndexes).toMatchObject([{ IndexName: 'lists' }]);
  expect(plan.queues).toHaveLength(6);
  expect(plan.buses).toEqual([
    {
      name: 'registry-client',
      arn: 'arn:aws:events:eu-central-1:000000000000:event-bus/registry-client',
    },
  ]);
  expect(plan.streams).toMatchObject([
    { batchSize: 100, retriesMax: 5, bisect: true },
    { batchSize: 100, retriesMax: 10_000, bisect: true },
  ]);
  expect(plan.pokes.map(({ batchSize, concurrencyMax }) => [batchSize, concurrencyMax])).toEqual([
    [10, 50],
    [1, 10],
  ]);
  expect(plan.schedules.map(({ seconds }) => seconds).sort()).toEqual([60, 900]);
  expect(plan.routes.map(({ key }) => key).sort()).toEqual(['$default', 'ANY /v1/peer/{proxy+}']);
});

test('every function gets an environment that the functions can read', () => {
  for (const { environment } of plan.functions) {
    const config = parseConfig(environment);

    expect(config).toMatchObject({
      instanceName: 'client',
      tableName: plan.tables[0]?.name,
      bucketName: plan.buckets[0],
      eventBusName: plan.buses[0]?.name,
      keySecretArn: plan.secretArns[0],
      clusterCaPem: exampleAuthorityPem,
      operators: new Set([OPERATOR]),
      admittedLeads: 'any',
      auditPeriodDays: 30,
      localEndpoints: true,
    });
    expect(plan.queues.map(({ url }) => url)).toContain(config.deliveryQueueUrl);
    expect(plan.queues.map(({ url }) => url)).toContain(config.fetchQueueUrl);
  }
});

test('whatever wakes a function, and every route, names a function that is there', () => {
  const names = plan.functions.map(({ name }) => name);

  for (const { functionName } of [
    ...plan.streams,
    ...plan.pokes,
    ...plan.schedules,
    ...plan.routes,
  ])
    expect(names).toContain(functionName);
});

function identities() {
  const instanceKey = accessKeyFor('client');
  const { instance, region, account } = PLACE;
  const onRefusal = () => undefined;
  return identitiesOf({ instance, instanceKey, plan, region, account, onRefusal });
}

function identityOf(name: string): FunctionIdentity {
  const planned = plan.functions.find(({ entry }) => entry === `functions/${name}.lambda.ts`);
  const identity = identities().get(planned?.name ?? '');
  if (identity === undefined) throw new Error(name);
  return identity;
}

const item = (pk: string) => ({ pk: { S: pk }, sk: { S: '0' } });
const updated = (pk: string, UpdateExpression: string) => ({ Key: item(pk), UpdateExpression });

test.each<[allowed: 'may' | 'may not', string, string, object]>([
  ['may', 'api', 'PutItem', { Item: item('ENTRY#1') }],
  ['may', 'api', 'UpdateItem', updated('HEAD#1', 'SET v = :v')],
  ['may not', 'api', 'UpdateItem', updated('ENTRY#1', 'SET v = :v')],
  ['may', 'api', 'UpdateItem', updated('TRANSACTION#1', 'SET redaction = :r REMOVE details')],
  ['may not', 'api', 'UpdateItem', updated('TRANSACTION#1', 'SET digest = :r REMOVE details')],
  ['may not', 'deliver', 'UpdateItem', updated('TRANSACTION#1', 'REMOVE details')],
  ['may not', 'api', 'DeleteItem', { Key: item('ENTRY#1') }],
  ['may not', 'audit', 'Scan', {}],
  ['may not', 'fan-out', 'PutItem', { Item: item('ENTRY#1') }],
  ['may', 'publish', 'GetItem', { Key: item('CONFLICT#1') }],
  ['may not', 'publish', 'GetItem', { Key: item('STATE#1') }],
])('what the templates say of items: %s %s %s %j', (allowed, name, operation, input) => {
  const identity = identityOf(name);

  const refusal = identity.refusal(() =>
    jsonAccess(
      `DynamoDB_20120810.${operation}`,
      { TableName: plan.tables[0]?.name, ...input },
      identity.place,
    ),
  );

  expect(refusal === undefined ? 'may' : 'may not').toBe(allowed);
});

test.each<[allowed: 'may' | 'may not', string, 'PutObject' | 'GetObject', [string, string?]]>([
  ['may', 'api', 'PutObject', ['documents/1', '*']],
  ['may not', 'api', 'PutObject', ['documents/1']],
  ['may not', 'api', 'PutObject', ['elsewhere/1', '*']],
  ['may not', 'sweep', 'GetObject', ['documents/1']],
])('what they say of objects: %s %s %s %j', (allowed, name, operation, [key, ifNoneMatch]) => {
  const headers = new Map(ifNoneMatch === undefined ? [] : [['if-none-match', ifNoneMatch]]);

  const refusal = identityOf(name).refusal(() =>
    s3Access(operation, plan.buckets[0] ?? '', key, headers),
  );

  expect(refusal === undefined ? 'may' : 'may not').toBe(allowed);
});

test('every mapping that wakes a function is one that its role may read', () => {
  expect(() => checkMappings(plan, identities())).not.toThrow();
});

test('a policy that is not understood is an error that names it', () => {
  const changed = JSON.parse(
    JSON.stringify(stacks).replace(
      '"ForAllValues:StringLike"',
      '"ForAllValues:StringEqualsIgnoreCase"',
    ),
  );

  expect(() => planInstance(changed, PLACE)).toThrow(
    /^\w+Policy\w+ \(AWS::IAM::Policy\) of stack client-\w+: the condition operator ForAllValues:/,
  );
});

test('a setting that infra/app.ts refuses is told in one sentence', async () => {
  const settings = {
    clusterCa: exampleAuthorityPem,
    applications: ['nobody'],
    operators: [],
    auditors: [],
    denied: [],
    admittedLeads: [],
  };

  await expect(synthesise(ROOT, directory, new Map([['x', settings]]))).rejects.toThrow(
    /^[^\n]*x\.json: applications has "nobody": give certificate ids of 64 lower-case hex digits$/,
  );
});
