import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { EventBus } from 'aws-cdk-lib/aws-events';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { publishPrefixes } from '../../shared/config.ts';
import { eventBusNameOf } from '../constructs/environment.ts';
import { grantEventReads, grantEvents } from '../constructs/grants.ts';
import { failureQueue } from '../constructs/poke-queue.ts';
import { registryFunction } from '../constructs/registry-function.ts';
import type { LogSettings } from '../constructs/registry-log.ts';
import { wakeByStream } from '../constructs/stream-mapping.ts';
import type { InstanceConfig } from '../instance-config.ts';
import type { KeysStack } from './keys-stack.ts';
import type { ReplicationStack } from './replication-stack.ts';
import type { StorageStack } from './storage-stack.ts';

export interface EventsStackProps extends StackProps {
  readonly instance: InstanceConfig;
  readonly keys: KeysStack;
  readonly storage: StorageStack;
  readonly replication: ReplicationStack;
  readonly logs: LogSettings;
  readonly bundle: boolean;
}

/** No sweep finds events again: most of the 24 hours that the stream keeps a record. */
const PATIENCE = { retryAttempts: 10_000, maxRecordAge: Duration.hours(20) };

/** What tells the owner's applications. Nothing else depends on it, so it can hold up nothing. */
export class EventsStack extends Stack {
  readonly bus: EventBus;
  readonly publish: LambdaFunction;
  readonly failures: Queue;

  constructor(scope: Construct, id: string, props: EventsStackProps) {
    super(scope, id, props);
    this.bus = new EventBus(this, 'Bus', { eventBusName: eventBusNameOf(props.instance) });
    this.failures = failureQueue(this, 'PublishFailures', props.keys.workKey);
    this.publish = this.publishFunction(props);
    new CfnOutput(this, 'EventBus', {
      value: this.bus.eventBusName,
      description: 'Add rules here to hear of entries, confirmations and conflicts',
    });
  }

  private publishFunction(props: EventsStackProps): LambdaFunction {
    const { storage, replication, logs, bundle } = props;
    const publish = registryFunction(this, 'Publish', {
      name: 'publish',
      environment: replication.functionEnvironment,
      timeout: Duration.seconds(60),
      logs,
      bundle,
    });
    grantEventReads(publish, storage.table);
    grantEvents(publish, this.bus);
    wakeByStream(publish, {
      table: storage.table,
      prefixes: publishPrefixes,
      insertsOnly: true,
      failures: this.failures,
      patience: PATIENCE,
    });
    // EventBridge takes events for a bus that is not there yet, and drops them without a word.
    publish.node.addDependency(this.bus);
    return publish;
  }
}
