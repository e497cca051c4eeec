import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type InstancePlan, planInstance } from '../../../infra/local/plan.ts';
import { synthesise } from '../../../infra/local/synthesis.ts';
import { readStage } from '../../../infra/local/template.ts';
import { parseConfig } from '../../../shared/config.ts';
import { exampleAuthorityPem } from '../example-authority.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const OPERATOR = 'cd'.repeat(32);

let directory: string;
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
  plan = planInstance(readStage(assembly, 'client'), {
    instance: 'client',
    region: 'eu-central-1',
    account: '000000000000',
    queueUrlOf: (name) => `http://127.0.0.1:9324/000000000000/${name}`,
  });
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
