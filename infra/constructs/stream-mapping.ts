import { Duration } from 'aws-cdk-lib';
import type { Table } from 'aws-cdk-lib/aws-dynamodb';
import {
  FilterCriteria,
  FilterRule,
  type Function as LambdaFunction,
  StartingPosition,
} from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { IDependable } from 'constructs';
import { tableKey } from '../../shared/config.ts';
import { grantPokes, grantStream } from './grants.ts';

export interface StreamMappingProps {
  readonly table: Table;
  /** Beginnings of the partition keys that wake the function. */
  readonly prefixes: readonly string[];
  /** True: only items that were not there before. */
  readonly insertsOnly?: boolean;
  /** Takes the places of what was given up: never the items themselves. */
  readonly failures: Queue;
  /** How long a record is tried: six times within an hour unless given. */
  readonly patience?: { readonly retryAttempts: number; readonly maxRecordAge: Duration };
}

/** Where a sweep finds again what was given up. */
const SHORT = { retryAttempts: 5, maxRecordAge: Duration.hours(1) };

/**
 * Wakes a function with the table's stream, and lets it read that.
 *
 * Left alone, one bad record is tried until the stream has lost everything behind it: so batches
 * are split, tries and age are limited, and what is given up goes to a queue. A shard has two
 * readers at most, or they slow each other down: there is no room for a third function.
 */
export function wakeByStream(woken: LambdaFunction, props: StreamMappingProps): void {
  grantStream(woken, props.table);
  grantPokes(woken, [props.failures]);
  if (props.table.tableStreamArn === undefined) return;
  const { retryAttempts, maxRecordAge } = props.patience ?? SHORT;
  const mapping = woken.addEventSourceMapping('Stream', {
    eventSourceArn: props.table.tableStreamArn,
    startingPosition: StartingPosition.TRIM_HORIZON,
    batchSize: 100,
    bisectBatchOnError: true,
    reportBatchItemFailures: true,
    retryAttempts,
    maxRecordAge,
    onFailure: { bind: () => ({ destination: props.failures.queueArn }) },
    filters: props.prefixes.map((prefix) =>
      FilterCriteria.filter({
        ...(props.insertsOnly === true ? { eventName: FilterRule.isEqual('INSERT') } : {}),
        dynamodb: { Keys: { [tableKey.partition]: { S: FilterRule.beginsWith(prefix) } } },
      }),
    ),
  });
  // The mapping is refused while the role may not read the stream yet.
  mapping.node.addDependency(...policiesOf(woken));
}

/** What a function has been granted, for whatever is refused before it is in force. */
export function policiesOf(granted: LambdaFunction): IDependable[] {
  const policy = granted.role?.node.tryFindChild('DefaultPolicy');
  return policy === undefined ? [] : [policy];
}
