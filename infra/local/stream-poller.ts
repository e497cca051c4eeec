import { setTimeout } from 'node:timers/promises';
import { AwsError, type AwsService, callAws } from './aws-json.ts';
import { compileFilters, type EventFilter } from './event-filter.ts';
import type { LogFile } from './log-file.ts';
import type { StreamMapping } from './plan.ts';
import type { Positions, StreamPosition } from './stream-position.ts';

export interface StreamPollerOptions {
  readonly service: AwsService;
  /** The stream itself, as DynamoDB names it. */
  readonly streamArn: string;
  /** True: the table was made just now, and what is remembered of another one is void. */
  readonly created: boolean;
  readonly position: StreamPosition;
  readonly mapping: StreamMapping;
  readonly invoke: (event: unknown) => Promise<unknown>;
  /** Takes what the mapping says to give up, for the failure destination. */
  readonly giveUp: (records: readonly StreamRecord[]) => Promise<void>;
  readonly log: LogFile;
}

/** A record as the stream gives it and as the function gets it. */
export interface StreamRecord {
  readonly eventID?: string;
  readonly eventName?: string;
  readonly dynamodb: {
    readonly ApproximateCreationDateTime: number;
    readonly SequenceNumber: string;
  };
}

interface Shard {
  readonly id: string;
  iterator: string | undefined;
  /** Of the newest record that was dealt with. */
  last: string | undefined;
}

const IDLE_MS = 50;
const RETRY_MS_MAX = 2000;

/**
 * Hands the records of a table's stream to a function as an event source mapping does: filtered,
 * in batches, again when they fail, halved when that is asked for, and given up in the end.
 *
 * It goes on where it was stopped, so every record is handed on at least once. Where nothing is
 * remembered it begins with what comes now, and in a table made just now with the first record.
 */
export class StreamPoller {
  private readonly options: StreamPollerOptions;
  private readonly passes: EventFilter;
  private readonly shards = new Map<string, Shard>();
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();

  private constructor(options: StreamPollerOptions) {
    this.options = options;
    this.passes = compileFilters(options.mapping.patterns);
  }

  /** Resolves when the place to begin at is fixed: what is written afterwards is handed on. */
  static async start(options: StreamPollerOptions): Promise<StreamPoller> {
    const poller = new StreamPoller(options);
    const known = options.created ? undefined : options.position.read();
    if (known !== undefined) await poller.resume(known);
    else await poller.findShards(options.created ? 'TRIM_HORIZON' : 'LATEST');
    poller.remember();
    poller.begin();
    return poller;
  }

  /** Begins nothing new and waits for what runs. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private begin(): void {
    this.running = this.run();
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      try {
        const busy = await this.pollOnce();
        if (!busy) await this.pause(IDLE_MS);
      } catch (error) {
        this.options.log.write({ level: 'WARN', message: `stream: ${String(error)}` });
        await this.reopen(error);
        await this.pause(RETRY_MS_MAX);
      }
    }
  }

  private async pollOnce(): Promise<boolean> {
    let busy = false;
    for (const shard of [...this.shards.values()]) {
      if (shard.iterator === undefined || this.stopping.signal.aborted) continue;
      const page = await this.call<{ Records?: StreamRecord[]; NextShardIterator?: string }>(
        'GetRecords',
        { ShardIterator: shard.iterator },
      );
      const records = page.Records ?? [];
      busy ||= records.length > 0;
      await this.handOn(records.filter((record) => this.passes(record)));
      // What was interrupted was not dealt with.
      if (this.stopping.signal.aborted) return busy;
      shard.last = records.at(-1)?.dynamodb.SequenceNumber ?? shard.last;
      shard.iterator = page.NextShardIterator;
      if (records.length > 0) this.remember();
      // A shard that ended has a child, which began where this one ended.
      if (shard.iterator === undefined) await this.findShards('TRIM_HORIZON');
    }
    return busy;
  }

  private async findShards(from: 'TRIM_HORIZON' | 'LATEST'): Promise<void> {
    const { StreamDescription } = await this.call<{
      StreamDescription: { Shards?: { ShardId: string }[] };
    }>('DescribeStream', {});
    for (const { ShardId: id } of StreamDescription.Shards ?? [])
      if (!this.shards.has(id))
        this.shards.set(id, { id, last: undefined, iterator: await this.iterator(id, from) });
  }

  /** Shards that are not remembered began while nothing ran. */
  private async resume(known: Positions): Promise<void> {
    await this.findShards('TRIM_HORIZON');
    for (const shard of this.shards.values()) {
      const last = known[shard.id];
      if (last === undefined) continue;
      shard.last = last;
      // A record is kept for a day: without it, whatever is left comes again.
      shard.iterator = await this.iterator(shard.id, 'TRIM_HORIZON', last).catch(
        () => shard.iterator,
      );
    }
  }

  private remember(): void {
    const known = [...this.shards.values()].flatMap(({ id, last }) =>
      last === undefined ? [] : [[id, last] as const],
    );
    this.options.position.write(Object.fromEntries(known));
  }

  private async iterator(id: string, from: string, after?: string): Promise<string | undefined> {
    const { ShardIterator } = await this.call<{ ShardIterator?: string }>('GetShardIterator', {
      ShardId: id,
      ShardIteratorType: after === undefined ? from : 'AFTER_SEQUENCE_NUMBER',
      ...(after === undefined ? {} : { SequenceNumber: after }),
    });
    return ShardIterator;
  }

  /** An iterator lasts a quarter of an hour: less than this machine may have been asleep. */
  private async reopen(error: unknown): Promise<void> {
    if (!(error instanceof AwsError)) return;
    for (const shard of this.shards.values())
      if (shard.iterator !== undefined)
        shard.iterator = await this.iterator(shard.id, 'TRIM_HORIZON', shard.last).catch(
          () => shard.iterator,
        );
  }

  private async handOn(records: readonly StreamRecord[]): Promise<void> {
    const { batchSize } = this.options.mapping;
    for (let from = 0; from < records.length; from += batchSize)
      await this.handOnBatch(records.slice(from, from + batchSize), 0);
  }

  /** Halving a batch does not count as a try, so what is given up in the end is one bad record. */
  private async handOnBatch(records: readonly StreamRecord[], tried: number): Promise<void> {
    const { mapping } = this.options;
    let rest = records;
    for (let attempt = tried; rest.length > 0 && !this.stopping.signal.aborted; attempt++) {
      const failedAt = await this.tryBatch(rest);
      if (failedAt === undefined) return;
      rest = rest.slice(failedAt);
      if (this.tooOld(rest)) return this.options.giveUp(rest);
      await this.pause(Math.min(RETRY_MS_MAX, 100 * 2 ** attempt));
      if (mapping.bisect && rest.length > 1) {
        const middle = Math.ceil(rest.length / 2);
        await this.handOnBatch(rest.slice(0, middle), attempt);
        return this.handOnBatch(rest.slice(middle), attempt);
      }
      if (attempt >= mapping.retriesMax) return this.options.giveUp(rest);
    }
  }

  /** The place of the first record that failed; undefined when none did. */
  private async tryBatch(records: readonly StreamRecord[]): Promise<number | undefined> {
    const { invoke, mapping, service, streamArn, log } = this.options;
    const event = {
      Records: records.map((record) => ({
        ...record,
        eventSource: 'aws:dynamodb',
        eventSourceARN: streamArn,
        awsRegion: service.region,
      })),
    };
    try {
      const failures = mapping.partialFailures ? failedItems(await invoke(event)) : [];
      const failed = failures.map((id) =>
        Math.max(
          0,
          records.findIndex(({ dynamodb }) => dynamodb.SequenceNumber === id),
        ),
      );
      return failed.length === 0 ? undefined : Math.min(...failed);
    } catch (error) {
      log.write({ level: 'ERROR', message: `${mapping.functionName}: ${String(error)}` });
      return 0;
    }
  }

  private tooOld(records: readonly StreamRecord[]): boolean {
    const created = records[0]?.dynamodb.ApproximateCreationDateTime ?? 0;
    return Date.now() / 1000 - created > this.options.mapping.recordAgeSecondsMax;
  }

  private call<Answer>(operation: string, input: Record<string, unknown>): Promise<Answer> {
    const stream = operation === 'GetRecords' ? {} : { StreamArn: this.options.streamArn };
    return callAws(this.options.service, `DynamoDBStreams_20120810.${operation}`, {
      ...input,
      ...stream,
    });
  }

  private async pause(milliseconds: number): Promise<void> {
    // Rejects when it is aborted, which is as good as over.
    await setTimeout(milliseconds, undefined, { signal: this.stopping.signal }).catch(() => {});
  }
}

/** The `itemIdentifier`s of a function's answer with partial failures; none when all went well. */
export function failedItems(answer: unknown): string[] {
  const failures: unknown = Object(answer)['batchItemFailures'];
  if (!Array.isArray(failures)) return [];
  return failures.map((failure: unknown) => String(Object(failure)['itemIdentifier'] ?? ''));
}
