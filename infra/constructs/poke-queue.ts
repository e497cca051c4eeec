import { Duration } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  DeduplicationScope,
  FifoThroughputLimit,
  Queue,
  QueueEncryption,
} from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

/** How long a person has to look at what was given up: the longest that SQS keeps a message. */
const DEAD_LETTER_RETENTION = Duration.days(14);

/** TLS only, under the instance's own key. */
function guarded(key: IKey) {
  return {
    enforceSSL: true,
    encryption: QueueEncryption.KMS,
    encryptionMasterKey: key,
    // Each caller's data key is paid for: for messages without data once an hour is often enough.
    dataKeyReuse: Duration.hours(1),
  };
}

/** Takes the places of stream records that were given up, until a person has looked at them. */
export function failureQueue(scope: Construct, id: string, key: IKey): Queue {
  const queue = new Queue(scope, id, { ...guarded(key), retentionPeriod: DEAD_LETTER_RETENTION });
  acknowledge(
    queue,
    'AwsSolutions-SQS3',
    'It is a dead-letter queue itself: of a mapping on a stream, which the rule does not look at.',
  );
  return queue;
}

export interface PokeQueueProps {
  readonly key: IKey;
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
      ...guarded(props.key),
      retentionPeriod: DEAD_LETTER_RETENTION,
    });
    this.queue = new Queue(this, 'Queue', {
      fifo: true,
      ...guarded(props.key),
      deduplicationScope: DeduplicationScope.MESSAGE_GROUP,
      fifoThroughputLimit: FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
      visibilityTimeout: props.visibilityTimeout,
      // Older ones say nothing that the sweep has not said since; they only hide younger groups.
      retentionPeriod: Duration.days(1),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: 5 },
    });
  }
}
