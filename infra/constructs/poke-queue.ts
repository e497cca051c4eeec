import { Duration } from 'aws-cdk-lib';
import { DeduplicationScope, FifoThroughputLimit, Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

/** How long a person has to look at what was given up: the longest that SQS keeps a message. */
export const DEAD_LETTER_RETENTION = Duration.days(14);

export interface PokeQueueProps {
  /** How long a received poke stays hidden from other consumers. */
  readonly visibilityTimeout: Duration;
}

/**
 * A FIFO queue of pokes and the queue that takes what failed five times.
 *
 * A poke carries no data, so a lost one costs a minute, until the next sweep. Order holds within a
 * group and the groups do not limit each other.
 */
export class PokeQueue extends Construct {
  readonly queue: Queue;
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, props: PokeQueueProps) {
    super(scope, id);
    this.deadLetters = new Queue(this, 'DeadLetters', {
      fifo: true,
      enforceSSL: true,
      retentionPeriod: DEAD_LETTER_RETENTION,
    });
    this.queue = new Queue(this, 'Queue', {
      fifo: true,
      enforceSSL: true,
      deduplicationScope: DeduplicationScope.MESSAGE_GROUP,
      fifoThroughputLimit: FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
      visibilityTimeout: props.visibilityTimeout,
      // Older ones say nothing that the sweep has not said since; they only hide younger groups.
      retentionPeriod: Duration.days(1),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: 5 },
    });
  }
}
