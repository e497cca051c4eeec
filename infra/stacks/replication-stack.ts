import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { type Environment, fanOutPrefixes } from '../../shared/config.ts';
import { environmentOf } from '../constructs/environment.ts';
import {
  grantConsumption,
  grantDocumentReads,
  grantDocumentWrites,
  grantEvidence,
  grantKey,
  grantPokes,
  grantTableReads,
  grantTableWrites,
} from '../constructs/grants.ts';
import { failureQueue, PokeQueue } from '../constructs/poke-queue.ts';
import { registryFunction } from '../constructs/registry-function.ts';
import type { LogSettings } from '../constructs/registry-log.ts';
import { policiesOf, wakeByStream } from '../constructs/stream-mapping.ts';
import type { InstanceConfig } from '../instance-config.ts';
import type { KeysStack } from './keys-stack.ts';
import type { StorageStack } from './storage-stack.ts';

export interface ReplicationStackProps extends StackProps {
  readonly instance: InstanceConfig;
  readonly keys: KeysStack;
  readonly storage: StorageStack;
  readonly logs: LogSettings;
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

/** What brings entries, statements and documents from one instance to the others. */
export class ReplicationStack extends Stack {
  readonly functionEnvironment: Environment;
  readonly delivery: PokeQueue;
  readonly fetch: PokeQueue;
  readonly deadLetters: readonly Queue[];
  readonly fanOut: LambdaFunction;
  readonly sweep: LambdaFunction;
  readonly audit: LambdaFunction;
  readonly functions: readonly LambdaFunction[];

  constructor(scope: Construct, id: string, props: ReplicationStackProps) {
    super(scope, id, props);
    const { storage, keys } = props;
    this.delivery = new PokeQueue(this, 'Delivery', {
      key: keys.workKey,
      visibilityTimeout: DELIVERY_VISIBILITY,
    });
    this.fetch = new PokeQueue(this, 'Fetch', {
      key: keys.workKey,
      visibilityTimeout: FETCH_VISIBILITY,
    });
    const fanOutFailures = failureQueue(this, 'FanOutFailures', keys.workKey);
    this.deadLetters = [this.delivery.deadLetters, this.fetch.deadLetters, fanOutFailures];
    this.functionEnvironment = environmentOf(props.instance, {
      tableName: storage.table.tableName,
      bucketName: storage.bucket.bucketName,
      keySecretArn: keys.keySecretArn,
      deliveryQueueUrl: this.delivery.queue.queueUrl,
      fetchQueueUrl: this.fetch.queue.queueUrl,
    });
    this.fanOut = this.fanOutFunction(props, fanOutFailures);
    const deliver = this.deliverFunction(props);
    const fetchDocuments = this.fetchDocumentsFunction(props);
    this.sweep = this.sweepFunction(props);
    this.audit = this.auditFunction(props);
    this.functions = [this.fanOut, deliver, fetchDocuments, this.sweep, this.audit];
  }

  private fanOutFunction(props: ReplicationStackProps, failures: Queue): LambdaFunction {
    const { storage, keys, logs, bundle } = props;
    const fanOut = registryFunction(this, 'FanOut', {
      name: 'fan-out',
      environment: this.functionEnvironment,
      timeout: Duration.seconds(60),
      logs,
      bundle,
    });
    grantTableReads(fanOut, storage.table);
    grantKey(fanOut, keys);
    grantPokes(fanOut, [this.delivery.queue, this.fetch.queue]);
    // What is given up here the sweep brings: the stream only makes it quick.
    wakeByStream(fanOut, { table: storage.table, prefixes: fanOutPrefixes, failures });
    return fanOut;
  }

  private deliverFunction(props: ReplicationStackProps): LambdaFunction {
    const { storage, keys, logs, bundle } = props;
    const deliver = registryFunction(this, 'Deliver', {
      name: 'deliver',
      environment: this.functionEnvironment,
      timeout: DELIVER_TIMEOUT,
      wakesItself: true,
      logs,
      bundle,
    });
    grantTableReads(deliver, storage.table);
    grantTableWrites(deliver, storage.table);
    grantEvidence(deliver, storage.bucket);
    grantKey(deliver, keys);
    grantPokes(deliver, [this.delivery.queue]);
    wake(deliver, this.delivery.queue, {
      batchSize: 10,
      maxConcurrency: props.instance.limits.deliverConcurrency,
    });
    return deliver;
  }

  private fetchDocumentsFunction(props: ReplicationStackProps): LambdaFunction {
    const { storage, keys, logs, bundle } = props;
    const fetchDocuments = registryFunction(this, 'FetchDocuments', {
      name: 'fetch-documents',
      environment: this.functionEnvironment,
      timeout: FETCH_TIMEOUT,
      wakesItself: true,
      logs,
      bundle,
    });
    grantTableReads(fetchDocuments, storage.table);
    grantTableWrites(fetchDocuments, storage.table);
    grantDocumentWrites(fetchDocuments, storage.bucket);
    grantEvidence(fetchDocuments, storage.bucket);
    grantKey(fetchDocuments, keys);
    grantPokes(fetchDocuments, [this.fetch.queue]);
    wake(fetchDocuments, this.fetch.queue, {
      batchSize: 1,
      maxConcurrency: props.instance.limits.fetchConcurrency,
    });
    return fetchDocuments;
  }

  private sweepFunction(props: ReplicationStackProps): LambdaFunction {
    const { storage, keys, logs, bundle } = props;
    const sweep = registryFunction(this, 'Sweep', {
      name: 'sweep',
      environment: this.functionEnvironment,
      timeout: Duration.seconds(60),
      logs,
      bundle,
    });
    grantTableReads(sweep, storage.table);
    // It closes what was resolved where nobody else looked again.
    grantTableWrites(sweep, storage.table);
    grantKey(sweep, keys);
    grantPokes(sweep, [this.delivery.queue, this.fetch.queue]);
    new Rule(this, 'EveryMinute', {
      schedule: Schedule.rate(Duration.minutes(1)),
      // The next one comes in a minute anyway.
      targets: [new LambdaTarget(sweep, { retryAttempts: 0, maxEventAge: Duration.minutes(1) })],
    });
    return sweep;
  }

  private auditFunction(props: ReplicationStackProps): LambdaFunction {
    const { storage, keys, logs, bundle } = props;
    const audit = registryFunction(this, 'Audit', {
      name: 'audit',
      environment: this.functionEnvironment,
      timeout: AUDIT_TIMEOUT,
      logs,
      bundle,
    });
    grantTableReads(audit, storage.table);
    grantTableWrites(audit, storage.table);
    grantDocumentReads(audit, storage.bucket);
    grantEvidence(audit, storage.bucket);
    grantKey(audit, keys);
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
