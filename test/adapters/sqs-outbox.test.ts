import {
  DeleteMessageCommand,
  ReceiveMessageCommand,
  type SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SqsOutbox } from '../../shared/adapters/aws/sqs-outbox.ts';
import { MemoryOutbox } from '../../shared/adapters/memory/memory-outbox.ts';
import { type CertificateId, digestOf } from '../../shared/ledger/digest.ts';

const registryId = digestOf('registry');
const other = digestOf('another registry');
const peer = digestOf('peer') as string as CertificateId;
const second = digestOf('another peer') as string as CertificateId;

let server: FauxqsServer;
let client: SQSClient;
let outbox: SqsOutbox;
let deliveryQueueUrl = '';
let fetchQueueUrl = '';
let queues = 0;

beforeAll(async () => {
  server = await startFauxqs({ port: 0, logger: false });
  client = new SQSClient({
    endpoint: `http://127.0.0.1:${server.port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
});
afterAll(() => server.stop());

function newQueue(): string {
  queues += 1;
  const attributes = { FifoQueue: 'true' };
  return server.createQueue(`queue-${queues}.fifo`, { attributes }).queueUrl;
}

beforeEach(() => {
  deliveryQueueUrl = newQueue();
  fetchQueueUrl = newQueue();
  outbox = new SqsOutbox({ client, deliveryQueueUrl, fetchQueueUrl });
});

interface ReceivedPoke {
  readonly body: string | undefined;
  readonly group: string | undefined;
  readonly deduplicationId: string | undefined;
}

/** All messages of a queue; a group gives the next one only when the last one is acknowledged. */
async function received(QueueUrl: string): Promise<ReceivedPoke[]> {
  const pokes: ReceivedPoke[] = [];
  for (;;) {
    const { Messages = [] } = await client.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        MessageSystemAttributeNames: ['All'],
      }),
    );
    if (Messages.length === 0) return pokes;
    for (const { Body, Attributes, ReceiptHandle } of Messages) {
      pokes.push({
        body: Body,
        group: Attributes?.MessageGroupId,
        deduplicationId: Attributes?.MessageDeduplicationId,
      });
      await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
    }
  }
}

describe('the outbox on SQS', () => {
  test('a delivery poke says registry and peer, in a group of its own', async () => {
    await outbox.pokeDelivery(registryId, peer, '7');
    await outbox.pokeDelivery(registryId, second, '7');
    await outbox.pokeDelivery(other, peer, '7');

    const messages = await received(deliveryQueueUrl);

    expect(messages.map(({ body }) => body)).toEqual([
      `{"peer":"${peer}","registryId":"${registryId}"}`,
      `{"peer":"${second}","registryId":"${registryId}"}`,
      `{"peer":"${peer}","registryId":"${other}"}`,
    ]);
    expect(new Set(messages.map(({ group }) => group)).size).toBe(3);
    expect(await received(fetchQueueUrl)).toEqual([]);
  });

  test('a fetch poke says the registry, in the group of the registry', async () => {
    await outbox.pokeFetch(registryId, '7');

    const [message] = await received(fetchQueueUrl);

    expect(message?.body).toBe(`{"registryId":"${registryId}"}`);
    expect(message?.group).toBe(registryId);
    expect(message?.deduplicationId).toMatch(/^[0-9a-f]{64}$/);
  });

  test('pokes with the same token are merged, with another one they are not', async () => {
    for (const token of ['7', '7', '8']) {
      await outbox.pokeDelivery(registryId, peer, token);
      await outbox.pokeFetch(registryId, token);
    }

    expect(await received(deliveryQueueUrl)).toHaveLength(2);
    expect(await received(fetchQueueUrl)).toHaveLength(2);
  });

  test('group and deduplication ids are within the 128 characters of SQS', async () => {
    const sent: SendMessageCommand['input'][] = [];
    const watched = new SQSClient({ region: 'us-east-1' });
    watched.send = async (command: { input: SendMessageCommand['input'] }) => {
      sent.push(command.input);
    };
    const urls = { deliveryQueueUrl: 'delivery', fetchQueueUrl: 'fetch' };

    await new SqsOutbox({ client: watched, ...urls }).pokeDelivery(registryId, peer, 'a sweep');

    expect(sent).toHaveLength(1);
    expect(sent[0]?.QueueUrl).toBe('delivery');
    expect(sent[0]?.MessageGroupId).toMatch(/^[0-9a-f]{1,128}$/);
    expect(sent[0]?.MessageDeduplicationId).toMatch(/^[0-9a-f]{1,128}$/);
  });

  test('a poke that cannot be sent rejects', async () => {
    const nowhere = `${deliveryQueueUrl}-gone`;
    const broken = new SqsOutbox({ client, deliveryQueueUrl: nowhere, fetchQueueUrl });

    await expect(broken.pokeDelivery(registryId, peer, '7')).rejects.toThrow();
  });
});

describe('the outbox in memory', () => {
  test('keeps pokes until they are taken', async () => {
    const memory = new MemoryOutbox();
    await memory.pokeDelivery(registryId, peer, '7');
    await memory.pokeFetch(registryId, '8');

    expect(memory.take()).toEqual([
      { kind: 'delivery', registryId, peer, token: '7' },
      { kind: 'fetch', registryId, token: '8' },
    ]);
    expect(memory.take()).toEqual([]);
  });
});
