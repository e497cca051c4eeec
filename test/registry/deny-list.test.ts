import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DynamoDenials } from '../../shared/adapters/aws/dynamo-denials.ts';
import { admitting } from '../../shared/adapters/aws/instance.ts';
import { MemoryDenials } from '../../shared/adapters/memory/memory-denials.ts';
import type { CertificateId } from '../../shared/ledger/digest.ts';
import { DENIALS_MAX, type DenialStore, DenyList } from '../../shared/registry/deny-list.ts';
import { type DynamoDbLocal, startDynamoDbLocal } from '../dynamo-db-local.ts';

let local: DynamoDbLocal;
beforeAll(async () => {
  local = await startDynamoDbLocal();
}, 40_000);
afterAll(() => local.stop());

const idOf = (number: number) => String(number).padStart(64, '0') as CertificateId;
const operator = 'f'.repeat(64) as CertificateId;

async function inTable() {
  const client = local.client();
  const tableName = await local.createTable(client);
  return { client, tableName, store: new DynamoDenials({ client, tableName }) };
}

function listOf(store: DenialStore, inFile: readonly string[] = []) {
  const clock = { nowMs: Date.parse('2026-11-29T10:00:00.000Z'), now: () => clock.nowMs };
  return { clock, list: new DenyList({ store, clock, inFile: new Set(inFile) }) };
}

describe.each([
  ['in memory', async () => new MemoryDenials()],
  ['in a table', async () => (await inTable()).store],
] as const)('a deny list %s', (_, open) => {
  test('begins empty, keeps what is put on it, and gives it to every other process', async () => {
    const store = await open();
    const { list } = listOf(store);

    const before = await list.all();
    await list.change(idOf(2), true, operator);
    await list.change(idOf(1), true, operator);
    await list.change(idOf(2), false, operator);

    expect(before).toEqual([]);
    expect(await listOf(store).list.all()).toEqual([
      {
        certificateId: idOf(1),
        inFile: false,
        deniedBy: operator,
        deniedAt: '2026-11-29T10:00:00.000Z',
      },
    ]);
  });

  test('loses nothing of two that change it at once', async () => {
    const store = await open();
    const changes = [1, 2, 3].map((number) =>
      listOf(store).list.change(idOf(number), true, operator),
    );

    const outcomes = await Promise.all(changes);

    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['changed', 'changed', 'changed']);
    expect(await listOf(store).list.ids()).toEqual(new Set([idOf(1), idOf(2), idOf(3)]));
  });

  test('takes so many and no more', async () => {
    const store = await open();
    const denials = Array.from({ length: DENIALS_MAX }, (_, index) => ({
      certificateId: idOf(index),
      deniedBy: operator,
      deniedAt: '2026-11-29T10:00:00.000Z',
    }));
    await store.replace({ version: 1, denials });

    const outcome = await listOf(store).list.change(idOf(DENIALS_MAX), true, operator);

    expect(outcome).toEqual({ outcome: 'full' });
  });
});

test('what the file denies stays denied, on the list or not', async () => {
  const { list } = listOf(new MemoryDenials(), [idOf(1)]);

  await list.change(idOf(1), true, operator);
  const { denied } = (await list.change(idOf(1), false, operator)) as never;

  expect(denied).toEqual([{ certificateId: idOf(1), inFile: true }]);
  expect(await list.ids()).toEqual(new Set([idOf(1)]));
});

test('a denied lead is mirrored by nobody, however it is admitted', () => {
  const denied = new Set([idOf(1)]);
  const answers = (['any', new Set([idOf(1), idOf(2)])] as const).map((admittedLeads) => {
    const admits = admitting({ admittedLeads }, denied);
    return [admits(idOf(1)), admits(idOf(2))];
  });

  expect(answers).toEqual([
    [false, true],
    [false, true],
  ]);
});

test('a clock that was put back does not keep an old list', async () => {
  const store = new MemoryDenials();
  const { clock, list } = listOf(store);
  await list.ids();
  await listOf(store).list.change(idOf(1), true, operator);

  clock.nowMs -= 3_600_000;

  expect(await list.ids()).toEqual(new Set([idOf(1)]));
});

test('a list that somebody damaged is an error, and not an empty one', async () => {
  const { client, tableName, store } = await inTable();
  await listOf(store).list.change(idOf(1), true, operator);
  const item = { pk: { S: 'DENIED' }, sk: { S: 'DENIED' }, version: { N: '1' } };
  const damaged = { ...item, denials: { S: '[{"certificateId":"0"}]' } };
  await client.send(new PutItemCommand({ TableName: tableName, Item: damaged }));

  await expect(listOf(store).list.ids()).rejects.toThrow('the deny list cannot be read');
});
