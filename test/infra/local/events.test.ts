import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type AwsService, callAws } from '../../../infra/local/aws-json.ts';
import { type Cluster, startCluster } from '../../../infra/local/cluster.ts';
import { type EventsServer, startEventsServer } from '../../../infra/local/events-server.ts';
import { type Member, prepareMembers } from '../../../infra/local/members.ts';
import { DynamoLedgerStore } from '../../../shared/adapters/aws/dynamo-ledger-store.ts';
import { readProfile } from '../../../shared/client/profile.ts';
import { RegistryClient } from '../../../shared/client/registry-client.ts';
import { conflictIdOf, conflictOf } from '../../../shared/ledger/conflict.ts';
import { type Digest, digestOf } from '../../../shared/ledger/digest.ts';
import { testPeer, timeAfter } from '../../builders.ts';
import { consecutiveFreePorts } from '../../integration/local-cluster.ts';

interface Line {
  readonly source: string;
  readonly 'detail-type': string;
  readonly detail: Readonly<Record<string, string | number>>;
}

function linesOf(file: string): Line[] {
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8').trim();
  return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line));
}

describe('the stand-in for the bus', () => {
  let directory: string;
  let file: string;
  let server: EventsServer;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'bus-'));
    file = join(directory, 'client', 'events.jsonl');
    server = await startEventsServer(0);
    const arn = 'arn:aws:events:eu-central-1:111122223333:event-bus/registry-client';
    server.add({ accessKeyId: 'CLIENT', name: 'registry-client', arn, file });
  });

  afterAll(async () => {
    await server.close();
    rmSync(directory, { recursive: true });
  });

  interface Answer {
    readonly FailedEntryCount: number;
    readonly Entries: readonly { readonly EventId?: string; readonly ErrorCode?: string }[];
  }

  function putEvents(entries: readonly object[], accessKeyId = 'CLIENT'): Promise<Answer> {
    const service: AwsService = { endpoint: server.endpoint, region: 'eu-central-1', accessKeyId };
    return callAws(service, 'AWSEvents.PutEvents', { Entries: entries });
  }

  const entry = {
    EventBusName: 'registry-client',
    Source: 'registry',
    DetailType: 'EntryAppended',
    Detail: '{"sequence":1}',
  };

  test('writes an event as a rule would hand it on, before it answers', async () => {
    const answer = await putEvents([entry]);

    expect(linesOf(file).at(-1)).toEqual({
      version: '0',
      id: answer.Entries[0]?.EventId,
      'detail-type': 'EntryAppended',
      source: 'registry',
      account: '111122223333',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      region: 'eu-central-1',
      resources: [],
      detail: { sequence: 1 },
    });
    expect(answer.FailedEntryCount).toBe(0);
  });

  test('takes each event of a request by itself', async () => {
    const before = linesOf(file).length;

    const answer = await putEvents([
      { ...entry, Detail: 'no JSON' },
      entry,
      { ...entry, Detail: '[]' },
      { ...entry, Source: '' },
    ]);

    expect(answer.FailedEntryCount).toBe(3);
    expect(answer.Entries.map(({ ErrorCode }) => ErrorCode)).toEqual([
      'MalformedDetail',
      undefined,
      'MalformedDetail',
      'InvalidArgument',
    ]);
    expect(linesOf(file)).toHaveLength(before + 1);
  });

  test.each([
    ['no event', []],
    ['eleven events', Array.from({ length: 11 }, () => entry)],
    ['more than 256 KiB', [{ ...entry, Detail: JSON.stringify('x'.repeat(256 * 1024)) }]],
  ])('refuses %s in one request', async (_what, entries) => {
    await expect(putEvents(entries)).rejects.toThrow(/ValidationException/);
  });

  test('refuses a bus that is not there, or is of another instance, with all that comes along', async () => {
    const before = linesOf(file).length;

    await expect(putEvents([entry, { ...entry, EventBusName: 'default' }])).rejects.toThrow(
      /ResourceNotFoundException: there is no event bus default/,
    );
    await expect(putEvents([entry], 'ARCHITECT')).rejects.toThrow(/ResourceNotFoundException/);

    expect(linesOf(file)).toHaveLength(before);
  });

  test('refuses any other operation', async () => {
    const service = { endpoint: server.endpoint, region: 'eu-central-1', accessKeyId: 'CLIENT' };

    await expect(callAws(service, 'AWSEvents.PutRule', {})).rejects.toThrow(
      /UnknownOperationException: only AWSEvents\.PutEvents is known here/,
    );
  });
});

describe('the events of two instances', () => {
  let directory: string;
  let cluster: Cluster;
  let members: readonly Member[];
  let clients: readonly RegistryClient[] = [];
  let registryId: Digest;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'registry-'));
    const prepared = await prepareMembers(directory, await consecutiveFreePorts(4));
    members = prepared.slice(0, 2);
    cluster = await startCluster({
      directory,
      instances: members.map(({ instance }) => instance),
      inMemory: true,
      sweepSeconds: 2,
    });
    clients = await Promise.all(
      members.map(async ({ profile }) => new RegistryClient(await readProfile(profile))),
    );
    registryId = await newRegistry();
    await record('ARC-0001');
  });

  afterAll(async () => {
    for (const client of clients) client.close();
    await cluster.close();
    rmSync(directory, { recursive: true, force: true });
  });

  function leadClient(): RegistryClient {
    const [client] = clients;
    if (client === undefined) throw new Error('no client');
    return client;
  }

  async function newRegistry(): Promise<Digest> {
    for (const { certificatePem } of members.slice(1))
      await leadClient().introduceInstance(certificatePem);
    const peers = members.map(({ certificateId }) => certificateId);
    const created = await leadClient().createRegistry({ name: 'Neubau Geheimhaus', peers });
    return created.registryId;
  }

  /** A new document, which is final everywhere when this resolves. */
  async function record(documentId: string): Promise<{ readonly sequence: number }> {
    const recorded = await leadClient().uploadDocument(registryId, {
      documentId,
      content: members[0]?.profile ?? '',
      name: 'Modell Geheim',
      mediaType: 'application/octet-stream',
    });
    for (const client of clients)
      await client.waitUntilConfirmed(registryId, recorded.sequence, { timeoutMs: 60_000 });
    return recorded;
  }

  function file(name: string): string {
    return join(directory, name, 'events.jsonl');
  }

  /** The table of an instance, past its functions. */
  function storeOf(name: string): DynamoLedgerStore {
    const environment = cluster.environmentOf(name);
    const client = new DynamoDBClient({
      endpoint: environment['AWS_ENDPOINT_URL_DYNAMODB'] ?? '',
      region: environment['AWS_REGION'] ?? '',
      credentials: {
        accessKeyId: environment['AWS_ACCESS_KEY_ID'] ?? '',
        secretAccessKey: environment['AWS_SECRET_ACCESS_KEY'] ?? '',
      },
    });
    return new DynamoLedgerStore({ client, tableName: environment['TABLE_NAME'] ?? '' });
  }

  function idsIn(name: string, type: string): string[] {
    const lines = linesOf(file(name)).filter((line) => line['detail-type'] === type);
    return [...new Set(lines.map(({ detail }) => String(detail['id'])))].sort();
  }

  const patience = { timeout: 30_000, interval: 100 };

  test('what was appended through the API is an event at the lead and at the mirror, by its digest', async () => {
    const stored = await storeOf('client').entries(registryId, 1, { from: 1, count: 2 });
    const digests = stored.map(({ digest }) => digest);

    for (const name of ['client', 'architect'])
      await vi.waitFor(
        () => expect(idsIn(name, 'EntryAppended')).toEqual([...digests].sort()),
        patience,
      );

    expect(digests).toHaveLength(2);
    for (const name of ['client', 'architect'])
      expect(linesOf(file(name)).map(({ detail }) => detail)).toContainEqual({
        format: 'registry/event/v1',
        type: 'EntryAppended',
        id: digests[1],
        instance: name,
        registryId,
        sequence: 2,
        digest: digests[1],
        transactionId: stored[1]?.transactionId,
        transactionType: 'upload-document',
        documentId: 'ARC-0001',
        version: 1,
        timestamp: expect.stringMatching(/Z$/),
        lead: members[0]?.certificateId,
      });
  });

  test("the mirror's confirmation is an event at both, by digest and signer", async () => {
    const store = storeOf('client');
    const signer = members[1]?.certificateId as Parameters<typeof store.newestConfirmation>[1];
    const newest = await store.newestConfirmation(registryId, signer);

    for (const name of ['client', 'architect'])
      await vi.waitFor(
        () => expect(idsIn(name, 'EntryConfirmed')).toContain(`${newest?.digest}:${signer}`),
        patience,
      );

    expect(newest?.sequence).toBe(2);
  });

  test('no name from the details is in any event', () => {
    for (const name of ['client', 'architect']) {
      const text = readFileSync(file(name), 'utf8');

      expect(text).toContain('ARC-0001');
      expect(text).not.toContain('Geheim');
    }
  });

  test('a bus that takes nothing holds up neither recording nor confirmation', async () => {
    // Nothing can be appended to a folder.
    renameSync(file('client'), `${file('client')}.kept`);
    mkdirSync(file('client'));

    const { sequence } = await record('ARC-0002');

    expect(sequence).toBe(3);
    rmdirSync(file('client'));
    renameSync(`${file('client')}.kept`, file('client'));
  });

  test('what was given up is published again by a record that has only the keys', async () => {
    const timesTold = () =>
      linesOf(file('client')).filter(
        ({ detail }) => detail['type'] === 'EntryAppended' && detail['sequence'] === 1,
      ).length;
    const before = timesTold();
    const Keys = { pk: { S: `ENTRY#${registryId}#1#1` }, sk: { S: 'ENTRY' } };

    const answer = await cluster.invoke('client', 'publish', {
      Records: [{ dynamodb: { SequenceNumber: '1', Keys } }],
    });

    expect(answer).toEqual({ batchItemFailures: [] });
    expect(timesTold()).toBe(before + 1);
  });

  test('a conflict is an event, also when the instance was away while it was stored', async () => {
    const finder = testPeer();
    const store = storeOf('architect');
    const head = await store.head(registryId);
    if (head === undefined) throw new Error('no head');
    const statement = conflictOf({
      registryId,
      signer: finder.certificateId,
      kind: 'fork',
      sequence: head.sequence,
      accused: 'open',
      digests: [head.digest, digestOf('another')],
      evidence: [],
      detectedAt: timeAfter(0),
    });
    const conflictId = conflictIdOf(statement);
    const conflict = { registryId, conflictId, statement: finder.sign(statement) };

    await cluster.stopInstance('architect');
    await store.openConflict({ ...conflict, recordedAt: timeAfter(1) }, head, 'received');
    await cluster.startInstance('architect');

    await vi.waitFor(
      () => expect(idsIn('architect', 'ConflictOpened')).toEqual([conflictId]),
      patience,
    );
    const opened = linesOf(file('architect')).find(({ detail }) => detail['id'] === conflictId);
    expect(opened?.detail).toMatchObject({
      kind: 'fork',
      accused: 'open',
      openConflicts: 1,
    });
    expect(idsIn('client', 'ConflictOpened')).toEqual([]);
  });
});
