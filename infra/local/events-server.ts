import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { JsonRefusal, type JsonServer, startJsonServer } from './aws-json-server.ts';
import type { Identities } from './identity.ts';

export interface EventsServer extends JsonServer {
  /** From now on the holder of the access key puts events on the bus. */
  add(bus: LocalBus): void;
}

export interface LocalBus {
  readonly accessKeyId: string;
  readonly name: string;
  readonly arn: string;
  /** Gets one JSON object a line: what a rule without a filter would hand to its target. */
  readonly file: string;
}

interface Entry {
  readonly EventBusName?: unknown;
  readonly Source?: unknown;
  readonly DetailType?: unknown;
  readonly Detail?: unknown;
}

type Result = { readonly EventId: string } | { ErrorCode: string; ErrorMessage: string };

const ENTRIES_MAX = 10;

/** Of all entries together: the least that AWS has ever taken. */
const ENTRIES_BYTES_MAX = 256 * 1024;

/**
 * The one operation of EventBridge that the functions use: PutEvents. There are no rules: what a
 * bus takes is in its file before it is answered.
 */
export async function startEventsServer(
  port: number,
  identities?: Identities,
): Promise<EventsServer> {
  const buses: LocalBus[] = [];
  const answer = async (input: unknown, accessKeyId: string | undefined) => {
    const own = buses.filter((bus) => bus.accessKeyId === accessKeyId);
    const results = putEvents(own, Object(input)['Entries']);
    const failed = results.filter((result) => 'ErrorCode' in result);
    return { FailedEntryCount: failed.length, Entries: results };
  };
  const server = await startJsonServer(port, { 'AWSEvents.PutEvents': answer }, identities);
  return {
    ...server,
    add: (bus) => {
      mkdirSync(dirname(bus.file), { recursive: true });
      buses.push(bus);
    },
  };
}

function putEvents(buses: readonly LocalBus[], entries: unknown): Result[] {
  if (!Array.isArray(entries) || entries.length < 1 || entries.length > ENTRIES_MAX)
    throw new JsonRefusal('ValidationException', `expected 1 to ${ENTRIES_MAX} entries`);
  const given = entries.map((entry: unknown): Entry => Object(entry));
  const bytes = given.reduce((sum, entry) => sum + sizeOf(entry), 0);
  if (bytes > ENTRIES_BYTES_MAX)
    throw new JsonRefusal('ValidationException', `${bytes} bytes; at most ${ENTRIES_BYTES_MAX}`);
  // All are found before any is written: AWS would drop events without a word for a missing bus.
  const found = given.map((entry) => [entry, busOf(buses, entry)] as const);
  return found.map(([entry, bus]) => putEvent(bus, entry));
}

function sizeOf({ Source, DetailType, Detail }: Entry): number {
  return [Source, DetailType, Detail]
    .map((text) => (typeof text === 'string' ? Buffer.byteLength(text) : 0))
    .reduce((sum, each) => sum + each, 0);
}

function busOf(buses: readonly LocalBus[], { EventBusName }: Entry): LocalBus {
  const bus = buses.find(({ name, arn }) => EventBusName === name || EventBusName === arn);
  if (bus !== undefined) return bus;
  const message = `there is no event bus ${String(EventBusName)} for this access key`;
  throw new JsonRefusal('ResourceNotFoundException', message);
}

function putEvent(bus: LocalBus, { Source, DetailType, Detail }: Entry): Result {
  for (const [name, value] of Object.entries({ Source, DetailType, Detail }))
    if (typeof value !== 'string' || value === '')
      return { ErrorCode: 'InvalidArgument', ErrorMessage: `${name} is missing` };
  const detail = parseObject(String(Detail));
  if (detail === undefined)
    return { ErrorCode: 'MalformedDetail', ErrorMessage: 'Detail is no JSON object' };
  const [, , , region = '', account = ''] = bus.arn.split(':');
  const id = randomUUID();
  const event = {
    version: '0',
    id,
    'detail-type': DetailType,
    source: Source,
    account,
    // EventBridge's own has no fractions of seconds.
    time: `${new Date().toISOString().slice(0, 19)}Z`,
    region,
    resources: [],
    detail,
  };
  appendFileSync(bus.file, `${JSON.stringify(event)}\n`);
  return { EventId: id };
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
