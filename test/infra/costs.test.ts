import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DynamoDBClient, TransactWriteItem } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  ASSUMED,
  type Bill,
  gigabytes,
  idle,
  leading,
  mirroring,
  PRICES,
  total,
} from '../../infra/cost-model.ts';
import { billOf, type CostedTemplate, costReport } from '../../infra/costs.ts';
import { DynamoLedgerStore } from '../../shared/adapters/aws/dynamo-ledger-store.ts';
import { listsIndex } from '../../shared/config.ts';
import type { CommitWrite } from '../../shared/registry/ports.ts';
import { MemoryCluster } from '../memory-cluster.ts';
import { synthesise } from './synthesis.ts';

let directory: string;
let templates: CostedTemplate[];
let bill: Bill;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'costs-'));
  const client = synthesise(directory)('client');
  templates = Object.values(client).map((template) => template.toJSON() as CostedTemplate);
  bill = billOf(templates);
});
afterAll(() => rmSync(directory, { recursive: true }));

test('everything that costs while nothing happens is counted in the templates', () => {
  const text = JSON.stringify(templates);
  const count = (type: string) => text.split(`"Type":"${type}"`).length - 1;

  expect(bill).toMatchObject({
    runs: { sweep: 43_200, audit: 2_880 },
    queue: 'fifo',
    polledQueues: 2,
    recovery: true,
    trail: true,
    alarms: count('AWS::CloudWatch::Alarm'),
    dashboards: count('AWS::CloudWatch::Dashboard'),
    secrets: 1,
    keys: count('AWS::KMS::Key'),
  });
  expect(bill.alarms).toBeGreaterThan(10);
  expect(Object.values(bill.memoryMegabytes)).toHaveLength(count('AWS::Lambda::Function'));
});

test('a sum is the sum of its lines, and each line costs something', () => {
  for (const lines of [leading(bill), mirroring(bill), idle(bill), gigabytes(bill)]) {
    expect(lines.filter(({ cost }) => !(cost > 0))).toEqual([]);
    expect(total(lines)).toBeCloseTo(lines.reduce((sum, { cost }) => sum + cost, 0));
  }
});

test('twice the memory costs twice the time, and nothing else', () => {
  const memory = { ...bill.memoryMegabytes, audit: 2 * bill.memoryMegabytes.audit };
  const costOf = (given: Bill) =>
    idle(given).find(({ what }) => what === 'function audit')?.cost ?? 0;

  const more = costOf({ ...bill, memoryMegabytes: memory }) - costOf(bill);

  const seconds = (2_880 * ASSUMED.milliseconds.audit) / 1000;
  const gigabyteSeconds = (bill.memoryMegabytes.audit / 1024) * seconds;
  expect(more).toBeCloseTo(gigabyteSeconds * PRICES.lambdaGigabyteSecond, 6);
});

test('a table that is not billed by request has no price here', () => {
  const provisioned = JSON.parse(
    JSON.stringify(templates).replace('"PAY_PER_REQUEST"', '"PROVISIONED"'),
  );

  expect(() => billOf(provisioned)).toThrow('the table is not billed by request');
});

/** What one commit of one version writes, by the items that the store would send. */
async function writesOfCommit(): Promise<readonly TransactWriteItem[]> {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const mirrors = [];
  for (const name of ['architect', 'contractor', 'checking-engineer'])
    mirrors.push(await cluster.add(name));
  const registryId = await client.create(mirrors);
  let write: CommitWrite | undefined;
  const commit = client.known.commit.bind(client.known);
  client.known.commit = (given) => {
    write = given;
    return commit(given);
  };
  await client.record(registryId, 'ARC-0001');
  let sent: readonly TransactWriteItem[] = [];
  const send = async ({ input }: { input: { TransactItems?: TransactWriteItem[] } }) => {
    sent = input.TransactItems ?? [];
    return {};
  };
  const store = new DynamoLedgerStore({
    client: { send } as unknown as DynamoDBClient,
    tableName: 't',
  });
  await store.commit(write as CommitWrite);
  return sent;
}

/** As DynamoDB counts: names and values, in units of 1 KB. */
function unitsOf(
  item: Readonly<Record<string, { S?: string; N?: string; B?: Uint8Array }>>,
): number {
  const bytes = Object.entries(item).map(
    ([name, { S, N, B }]) => name.length + Buffer.byteLength(S ?? N ?? '') + (B?.length ?? 0),
  );
  return Math.ceil(bytes.reduce((sum, each) => sum + each, 0) / 1024);
}

test('a commit writes as many units as the costs assume', async () => {
  const items = (await writesOfCommit()).map(({ Put }) => Put?.Item ?? {});
  const listed = items.filter((item) => listsIndex.partition in item);

  // A transaction counts twice; what the index is given is written beside it, once.
  const inTable = 2 * items.reduce((sum, item) => sum + unitsOf(item as never), 0);
  const inIndex = listed.reduce((sum, item) => sum + unitsOf(item as never), 0);

  expect(items).toHaveLength(5);
  expect(inTable + inIndex).toBe(ASSUMED.commitWriteUnits);
});

test('the guide shows what the program prints', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/self-hosting.md'), 'utf8');
  const shown = /npm run -s costs\n```\n\n```text\n([\s\S]*?)\n```/.exec(page)?.[1];

  // Where a template or a price has changed: `npm run -s costs`, and put what it prints there.
  expect(shown).toBe(costReport(bill));
});
