import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  EventBridgeClient,
  type PutEventsCommand,
  type PutEventsResultEntry,
} from '@aws-sdk/client-eventbridge';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type EventsServer, startEventsServer } from '../../infra/local/events-server.ts';
import { EventBridgeEvents } from '../../shared/adapters/aws/eventbridge-events.ts';
import { RecordingEvents } from '../../shared/adapters/memory/recording-events.ts';
import { type CertificateId, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type {
  ConflictOpened,
  EntryConfirmed,
  Events,
} from '../../shared/registry/publish-events.ts';
import { timeAfter } from '../builders.ts';

const registryId = digestOf('registry');
const signer = digestOf('a mirror') as string as CertificateId;

function confirmed(sequence: number): EntryConfirmed {
  const digest = digestOf(`entry ${sequence}`);
  return {
    format: 'registry/event/v1',
    type: 'EntryConfirmed',
    id: `${digest}:${signer}`,
    instance: 'client',
    registryId,
    sequence: sequence as Sequence,
    digest,
    signer,
    confirmedAt: timeAfter(sequence),
  };
}

function confirmations(count: number): EntryConfirmed[] {
  return Array.from({ length: count }, (_, index) => confirmed(index + 1));
}

let directory: string;
let server: EventsServer;
let client: EventBridgeClient;
let file: string;
let buses = 0;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'events-'));
  server = await startEventsServer(0);
  client = new EventBridgeClient({
    endpoint: server.endpoint,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
  });
});

afterAll(async () => {
  client.destroy();
  await server.close();
  rmSync(directory, { recursive: true });
});

/** A bus that nobody has used yet; its lines go to `file`. */
function newBus(): string {
  buses += 1;
  const name = `registry-${buses}`;
  file = join(directory, `${name}.jsonl`);
  const arn = `arn:aws:events:eu-central-1:111122223333:event-bus/${name}`;
  server.add({ accessKeyId: 'test', name, arn, file });
  return name;
}

function lines(): { readonly source: string; readonly 'detail-type': string; detail: object }[] {
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe.each<{ name: string; open: () => { events: Events; heard: () => readonly object[] } }>([
  {
    name: 'the bus of EventBridge',
    open: () => ({
      events: new EventBridgeEvents({ client, eventBusName: newBus() }),
      heard: () => lines().map(({ detail }) => detail),
    }),
  },
  {
    name: 'the bus in memory',
    open: () => {
      const events = new RecordingEvents();
      return { events, heard: () => events.published };
    },
  },
])('$name', ({ open }) => {
  test('takes events as they are, in their order, with one outcome for each', async () => {
    const { events, heard } = open();

    const outcomes = await events.publish(confirmations(3));

    expect(outcomes).toEqual(confirmations(3).map(() => ({ outcome: 'taken' })));
    expect(heard()).toEqual(confirmations(3));
  });

  test('takes more events than one request holds', async () => {
    const { events, heard } = open();

    const outcomes = await events.publish(confirmations(25));

    expect(outcomes).toHaveLength(25);
    expect(heard()).toEqual(confirmations(25));
  });

  test('takes the same event twice', async () => {
    const { events, heard } = open();

    await events.publish(confirmations(1));
    await events.publish(confirmations(1));

    expect(heard()).toEqual([confirmed(1), confirmed(1)]);
  });

  test('takes nothing when there is nothing', async () => {
    const { events } = open();

    expect(await events.publish([])).toEqual([]);
  });
});

describe('events on EventBridge', () => {
  /** A client that answers a request in this manner, and keeps what it was sent. */
  function answering(answer: (index: number) => PutEventsResultEntry | Error) {
    const sent: NonNullable<PutEventsCommand['input']['Entries']>[] = [];
    const watched = new EventBridgeClient({ region: 'eu-central-1' });
    watched.send = async (command: PutEventsCommand) => {
      const given = command.input.Entries ?? [];
      sent.push(given);
      const entries = given.map((_, index) => answer(index));
      const [error] = entries.filter((entry) => entry instanceof Error);
      if (error !== undefined) throw error;
      return { Entries: entries };
    };
    return { sent, events: new EventBridgeEvents({ client: watched, eventBusName: 'a-bus' }) };
  }

  test('the source is registry, the detail type is the type, and the detail is the event', async () => {
    const events = new EventBridgeEvents({ client, eventBusName: newBus() });

    await events.publish([confirmed(1)]);

    expect(lines()).toMatchObject([
      { source: 'registry', 'detail-type': 'EntryConfirmed', detail: confirmed(1) },
    ]);
  });

  test('no request has more than ten events', async () => {
    const { sent, events } = answering(() => ({ EventId: 'x' }));

    await events.publish(confirmations(21));

    expect(sent.map((entries) => entries.length)).toEqual([10, 10, 1]);
  });

  test('of a request that fails in part, only the failed events are not taken', async () => {
    const { events } = answering((index) =>
      index === 1
        ? { ErrorCode: 'ThrottlingException', ErrorMessage: 'the detail was …' }
        : { EventId: 'x' },
    );

    const outcomes = await events.publish(confirmations(3));

    expect(outcomes).toEqual([
      { outcome: 'taken' },
      { outcome: 'not-taken', reason: 'ThrottlingException' },
      { outcome: 'taken' },
    ]);
  });

  test('an answer that says nothing about an event counts as not taken', async () => {
    const { events } = answering(() => ({}));

    expect(await events.publish([confirmed(1)])).toEqual([
      { outcome: 'not-taken', reason: 'NoAnswer' },
    ]);
  });

  test('a request that fails as a whole fails alone, and its message is not repeated', async () => {
    const failure = new Error('https://events.example took offence at plan-1');
    let requests = 0;
    const { events } = answering((index) => {
      if (index === 0) requests += 1;
      return requests === 1 ? failure : { EventId: 'x' };
    });

    const outcomes = await events.publish(confirmations(11));

    const failed = { outcome: 'not-taken', reason: 'Error' };
    expect(outcomes).toEqual([...Array.from({ length: 10 }, () => failed), { outcome: 'taken' }]);
  });

  test('a bus that is not there takes nothing', async () => {
    const events = new EventBridgeEvents({ client, eventBusName: 'registry-nobody' });

    expect(await events.publish([confirmed(1)])).toEqual([
      { outcome: 'not-taken', reason: 'ResourceNotFoundException' },
    ]);
  });

  test('nobody who answers takes nothing', async () => {
    const nowhere = new EventBridgeClient({
      endpoint: 'http://127.0.0.1:1',
      region: 'eu-central-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
    });

    const outcomes = await new EventBridgeEvents({ client: nowhere, eventBusName: 'x' }).publish(
      confirmations(2),
    );

    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['not-taken', 'not-taken']);
    nowhere.destroy();
  });
});

describe('the recording of events', () => {
  let events: RecordingEvents;

  beforeEach(() => {
    events = new RecordingEvents();
  });

  test('refuses two events that differ under one id', async () => {
    await events.publish([confirmed(1)]);

    const other = { ...confirmed(1), confirmedAt: timeAfter(2) };

    await expect(events.publish([other])).rejects.toThrow(/differ/);
  });

  test('lets only the count of open conflicts differ', async () => {
    const opened: ConflictOpened = {
      format: 'registry/event/v1',
      type: 'ConflictOpened',
      id: digestOf('conflict'),
      instance: 'client',
      registryId,
      sequence: 3 as Sequence,
      digest: digestOf('conflict'),
      kind: 'fork',
      accused: signer,
      openConflicts: 1,
    };

    await events.publish([opened, { ...opened, openConflicts: 2 }]);

    expect(events.published).toHaveLength(2);
    await expect(events.publish([{ ...opened, accused: 'open' }])).rejects.toThrow(/differ/);
  });

  test('keeps nothing of what it was told to refuse', async () => {
    events.refuses = ({ sequence }) => (sequence === 2 ? 'busy' : undefined);

    const outcomes = await events.publish(confirmations(3));

    expect(outcomes[1]).toEqual({ outcome: 'not-taken', reason: 'busy' });
    expect(events.published).toEqual([confirmed(1), confirmed(3)]);
  });
});
