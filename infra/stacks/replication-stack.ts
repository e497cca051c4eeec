import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { type Environment, fanOutPrefixes } from '../../shared/config.ts';
import { environmentOf } from '../constructs/environment.ts';
import {
  grantConsumption,
  grantKey,
  grantObjects,
  grantPokes,
  grantTableReads,
  grantTableWrites,
} from '../constructs/grants.ts';
import { DEAD_LETTER_RETENTION, PokeQueue } from '../constructs/poke-queue.ts';
import { registryFunction } from '../constructs/registry-function.ts';
import { policiesOf, wakeByStream } from '../constructs/stream-mapping.ts';
import type { InstanceConfig } from '../instance-config.ts';
import type { StorageStack } from './storage-stack.ts';

export interface ReplicationStackProps extends StackProps {
  readonly instance: InstanceConfig;
  readonly storage: StorageStack;
  readonly bundle: boolean;
}

const DELIVER_TIMEOUT = Duration.seconds(60);
const FETCH_TIMEOUT = Duration.minutes(15);
const AUDIT_TIMEOUT = Duration.minutes(15);

/**
 * Barely above the function's, not six times it. While a poke is hidden its peer waits: a function
 * that died would keep it from this peer for six minutes. A batch that is held back while the
 * function is throttled may be handed out twice, which repeats pokes without data.
 */
const DELIVERY_VISIBILITY = Duration.seconds(70);

/**
 * Barely above the function's, too. While a poke is hidden its whole registry waits,
 * and a fetch that died would stop it for an hour and a half. A batch of one is held back by
 * nobody, and a poke handed out twice only fetches what is already there: put-once, checked.
 */
const FETCH_VISIBILITY = Duration.minutes(16);

/** So that the deliveries of many registries cannot use up the account and starve the API. */
const DELIVER_CONCURRENCY = 50;
const FETCH_CONCURRENCY = 10;

/** What brings entries, statements and documents from one instance to the others. */
export class ReplicationStack extends Stack {
  readonly functionEnvironment: Environment;
  readonly delivery: PokeQueue;
  readonly fetch: PokeQueue;
  readonly deadLetters: readonly Queue[];
  readonly functions: readonly LambdaFunction[];

  constructor(scope: Construct, id: string, props: ReplicationStackProps) {
    super(scope, id, props);
    const { storage } = props;
    this.delivery = new PokeQueue(this, 'Delivery', { visibilityTimeout: DELIVERY_VISIBILITY });
    this.fetch = new PokeQueue(this, 'Fetch', { visibilityTimeout: FETCH_VISIBILITY });
    const fanOutFailures = new Queue(this, 'FanOutFailures', {
      enforceSSL: true,
      retentionPeriod: DEAD_LETTER_RETENTION,
    });
    this.deadLetters = [this.delivery.deadLetters, this.fetch.deadLetters, fanOutFailures];
    this.functionEnvironment = environmentOf(props.instance, {
      tableName: storage.table.tableName,
      bucketName: storage.bucket.bucketName,
      keySecretArn: storage.keySecretArn,
      deliveryQueueUrl: this.delivery.queue.queueUrl,
      fetchQueueUrl: this.fetch.queue.queueUrl,
    });
    this.functions = [
      this.fanOut(props, fanOutFailures),
      this.deliver(props),
      this.fetchDocuments(props),
      this.sweep(props),
      this.audit(props),
    ];
  }

  private fanOut({ bundle, storage }: ReplicationStackProps, failures: Queue): LambdaFunction {
    const fanOut = registryFunction(this, 'FanOut', {
      name: 'fan-out',
      environment: this.functionEnvironment,
      timeout: Duration.seconds(60),
      bundle,
    });
    grantTableReads(fanOut, storage.table);
    grantKey(fanOut, storage.keySecretArn);
    grantPokes(fanOut, [this.delivery.queue, this.fetch.queue]);
    // What is given up here the sweep brings: the stream only makes it quick.
    wakeByStream(fanOut, { table: storage.table, prefixes: fanOutPrefixes, failures });
    return fanOut;
  }

  private deliver({ bundle, storage }: ReplicationStackProps): LambdaFunction {
    const deliver = registryFunction(this, 'Deliver', {
      name: 'deliver',
      environment: this.functionEnvironment,
      timeout: DELIVER_TIMEOUT,
      bundle,
    });
    grantTableReads(deliver, storage.table);
    grantTableWrites(deliver, storage.table);
    grantObjects(deliver, storage.bucket);
    grantKey(deliver, storage.keySecretArn);
    grantPokes(deliver, [this.delivery.queue, this.fetch.queue]);
    wake(deliver, this.delivery.queue, {
      batchSize: 10,
      maxConcurrency: DELIVER_CONCURRENCY,
    });
    return deliver;
  }

  private fetchDocuments({ bundle, storage }: ReplicationStackProps): LambdaFunction {
    const fetchDocuments = registryFunction(this, 'FetchDocuments', {
      name: 'fetch-documents',
      environment: this.functionEnvironment,
      timeout: FETCH_TIMEOUT,
      bundle,
    });
    grantTableReads(fetchDocuments, storage.table);
    grantTableWrites(fetchDocuments, storage.table);
    grantObjects(fetchDocuments, storage.bucket);
    grantKey(fetchDocuments, storage.keySecretArn);
    grantPokes(fetchDocuments, [this.delivery.queue, this.fetch.queue]);
    wake(fetchDocuments, this.fetch.queue, {
      batchSize: 1,
      maxConcurrency: FETCH_CONCURRENCY,
    });
    return fetchDocuments;
  }

  private sweep({ bundle, storage }: ReplicationStackProps): LambdaFunction {
    const sweep = registryFunction(this, 'Sweep', {
      name: 'sweep',
      environment: this.functionEnvironment,
      timeout: Duration.seconds(60),
      bundle,
    });
    grantTableReads(sweep, storage.table);
    // It closes what was resolved where nobody else looked again.
    grantTableWrites(sweep, storage.table);
    grantKey(sweep, storage.keySecretArn);
    grantPokes(sweep, [this.delivery.queue, this.fetch.queue]);
    new Rule(this, 'EveryMinute', {
      schedule: Schedule.rate(Duration.minutes(1)),
      // The next one comes in a minute anyway.
      targets: [new LambdaTarget(sweep, { retryAttempts: 0, maxEventAge: Duration.minutes(1) })],
    });
    return sweep;
  }

  private audit({ bundle, storage }: ReplicationStackProps): LambdaFunction {
    const audit = registryFunction(this, 'Audit', {
      name: 'audit',
      environment: this.functionEnvironment,
      timeout: AUDIT_TIMEOUT,
      bundle,
    });
    grantTableReads(audit, storage.table);
    grantTableWrites(audit, storage.table);
    grantObjects(audit, storage.bucket);
    grantKey(audit, storage.keySecretArn);
    grantPokes(audit, [this.delivery.queue, this.fetch.queue]);
    new Rule(this, 'EveryQuarterHour', {
      schedule: Schedule.rate(Duration.minutes(15)),
      // The next one goes on where the last one came to.
      targets: [new LambdaTarget(audit, { retryAttempts: 0, maxEventAge: Duration.minutes(15) })],
    });
    return audit;
  }
}

interface WakeProps {
  readonly batchSize: number;
  readonly maxConcurrency: number;
}

function wake(woken: LambdaFunction, queue: Queue, props: WakeProps): void {
  grantConsumption(woken, queue);
  const mapping = woken.addEventSourceMapping('Pokes', {
    eventSourceArn: queue.queueArn,
    reportBatchItemFailures: true,
    ...props,
  });
  mapping.node.addDependency(...policiesOf(woken));
}
