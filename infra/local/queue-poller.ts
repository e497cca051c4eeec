import { setTimeout } from 'node:timers/promises';
import { type AwsService, callAws } from './aws-json.ts';
import type { LogFile } from './log-file.ts';
import type { QueueMapping } from './plan.ts';
import { failedItems } from './stream-poller.ts';

export interface QueuePollerOptions {
  readonly service: AwsService;
  readonly queueUrl: string;
  readonly mapping: QueueMapping;
  readonly invoke: (event: unknown) => Promise<unknown>;
  readonly log: LogFile;
}

interface Message {
  readonly MessageId: string;
  readonly ReceiptHandle: string;
  readonly Body: string;
  readonly MD5OfBody?: string;
  readonly Attributes?: Readonly<Record<string, string>>;
}

/** Short, for a poll that is left behind may still take a message, and nobody would see it. */
const WAIT_SECONDS = 1;
const RETRY_MS = 1000;

/**
 * Hands the messages of a queue to a function as an event source mapping does. What failed stays
 * hidden until its visibility ends, as on AWS. The queue keeps the order of a group: it gives out
 * none of its messages while an earlier one is hidden.
 */
export class QueuePoller {
  private readonly options: QueuePollerOptions;
  private readonly batches = new Set<Promise<void>>();
  private readonly stopping = new AbortController();
  private readonly running: Promise<void>;

  constructor(options: QueuePollerOptions) {
    this.options = options;
    this.running = this.run();
  }

  /** Receives nothing more and waits for what runs. The next start empties the queue. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
    await Promise.all(this.batches);
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      try {
        if (this.batches.size >= this.options.mapping.concurrencyMax)
          await Promise.race(this.batches);
        else this.begin(await this.receive());
      } catch (error) {
        this.options.log.write({ level: 'WARN', message: `queue: ${String(error)}` });
        await setTimeout(RETRY_MS, undefined, { signal: this.stopping.signal }).catch(() => {});
      }
    }
  }

  private begin(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const batch = this.handOn(messages)
      .catch((error: unknown) => {
        this.options.log.write({ level: 'WARN', message: `queue: ${String(error)}` });
      })
      .finally(() => this.batches.delete(batch));
    this.batches.add(batch);
  }

  private async receive(): Promise<readonly Message[]> {
    const { Messages } = await this.call<{ Messages?: Message[] }>('ReceiveMessage', {
      MaxNumberOfMessages: this.options.mapping.batchSize,
      WaitTimeSeconds: WAIT_SECONDS,
      MessageSystemAttributeNames: ['All'],
    });
    return Messages ?? [];
  }

  private async handOn(messages: readonly Message[]): Promise<void> {
    const { mapping, invoke, log } = this.options;
    let failed: string[];
    try {
      if (this.stopping.signal.aborted) throw new Error('the instance stops');
      const answer = await invoke({ Records: messages.map((each) => this.record(each)) });
      failed = mapping.partialFailures ? failedItems(answer) : [];
      // As on AWS, an answer that names no message of the batch fails all of it.
      if (failed.some((id) => messages.every(({ MessageId }) => MessageId !== id)))
        failed = messages.map(({ MessageId }) => MessageId);
    } catch (error) {
      log.write({ level: 'ERROR', message: `${mapping.functionName}: ${String(error)}` });
      failed = messages.map(({ MessageId }) => MessageId);
    }
    for (const { MessageId, ReceiptHandle } of messages)
      if (!failed.includes(MessageId)) await this.call('DeleteMessage', { ReceiptHandle });
  }

  private record(message: Message): object {
    return {
      messageId: message.MessageId,
      receiptHandle: message.ReceiptHandle,
      body: message.Body,
      attributes: message.Attributes ?? {},
      messageAttributes: {},
      md5OfBody: message.MD5OfBody ?? '',
      eventSource: 'aws:sqs',
      eventSourceARN: this.options.mapping.queueArn,
      awsRegion: this.options.service.region,
    };
  }

  private call<Answer>(operation: string, input: Record<string, unknown>): Promise<Answer> {
    return callAws(this.options.service, `AmazonSQS.${operation}`, {
      QueueUrl: this.options.queueUrl,
      ...input,
    });
  }
}
