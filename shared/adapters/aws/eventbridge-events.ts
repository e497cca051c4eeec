import {
  type EventBridgeClient,
  PutEventsCommand,
  type PutEventsRequestEntry,
  type PutEventsResultEntry,
} from '@aws-sdk/client-eventbridge';
import type { EventOutcome, Events, RegistryEvent } from '../../registry/publish-events.ts';

export interface EventBridgeEventsOptions {
  readonly client: EventBridgeClient;
  /** Name of the bus. EventBridge takes events for a bus that is not there, and drops them. */
  readonly eventBusName: string;
}

const SOURCE = 'registry';

/** What one PutEvents takes. */
const BATCH_EVENTS_MAX = 10;

/**
 * Events on a bus of EventBridge: the type is the detail type, the event itself the detail.
 *
 * A batch cannot be too large. All members of an event are of bounded length, ids of 128 characters
 * the longest; an event has less than 2 KiB, and PutEvents takes 256 KiB.
 */
export class EventBridgeEvents implements Events {
  readonly #client: EventBridgeClient;
  readonly #eventBusName: string;

  constructor({ client, eventBusName }: EventBridgeEventsOptions) {
    this.#client = client;
    this.#eventBusName = eventBusName;
  }

  async publish(events: readonly RegistryEvent[]): Promise<EventOutcome[]> {
    const outcomes: EventOutcome[] = [];
    for (let start = 0; start < events.length; start += BATCH_EVENTS_MAX)
      outcomes.push(...(await this.#put(events.slice(start, start + BATCH_EVENTS_MAX))));
    return outcomes;
  }

  /** EventBridge takes each event of a request by itself, and answers for each in its place. */
  async #put(events: readonly RegistryEvent[]): Promise<EventOutcome[]> {
    const command = new PutEventsCommand({ Entries: events.map((event) => this.#entryOf(event)) });
    try {
      const { Entries = [] } = await this.#client.send(command);
      return events.map((_, index) => outcomeOf(Entries[index]));
    } catch (error) {
      // The name only: a message may repeat what was sent, and where to.
      const reason = error instanceof Error ? error.name : 'unknown';
      return events.map(() => ({ outcome: 'not-taken', reason }));
    }
  }

  #entryOf(event: RegistryEvent): PutEventsRequestEntry {
    return {
      EventBusName: this.#eventBusName,
      Source: SOURCE,
      DetailType: event.type,
      Detail: JSON.stringify(event),
    };
  }
}

/** Taken is only what was given an id. */
function outcomeOf(entry: PutEventsResultEntry | undefined): EventOutcome {
  if (entry?.EventId !== undefined) return { outcome: 'taken' };
  return { outcome: 'not-taken', reason: entry?.ErrorCode ?? 'NoAnswer' };
}
