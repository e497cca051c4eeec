import type { EventOutcome, Events, RegistryEvent } from '../../registry/publish-events.ts';

/**
 * Keeps what was published, oldest first, and checks what applications rely on: whatever has the
 * same id says the same. Whoever breaks that gets an error, although the port never rejects.
 */
export class RecordingEvents implements Events {
  /** A reason keeps the event from being taken, as a bus that is throttled would. */
  refuses: (event: RegistryEvent) => string | undefined = () => undefined;
  readonly #published: RegistryEvent[] = [];
  readonly #sayings = new Map<string, string>();

  async publish(events: readonly RegistryEvent[]): Promise<EventOutcome[]> {
    return events.map((event) => this.#publishOne(event));
  }

  get published(): readonly RegistryEvent[] {
    return this.#published;
  }

  #publishOne(event: RegistryEvent): EventOutcome {
    const saying = lasting(event);
    const before = this.#sayings.get(event.id) ?? saying;
    if (saying !== before) throw new Error(`two events ${event.id} differ: ${before} ${saying}`);
    this.#sayings.set(event.id, saying);
    const reason = this.refuses(event);
    if (reason !== undefined) return { outcome: 'not-taken', reason };
    this.#published.push(structuredClone(event));
    return { outcome: 'taken' };
  }
}

/** Without the count of open conflicts, which is of the moment where a conflict is opened first. */
function lasting(event: RegistryEvent): string {
  const first = event.type === 'ConflictOpened' && event.id === event.digest;
  return JSON.stringify(first ? { ...event, openConflicts: 0 } : event);
}
