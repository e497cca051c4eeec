import { Duration } from 'aws-cdk-lib';
import {
  type Alarm,
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IMetric,
  type IWidget,
  LogQueryVisualizationType,
  LogQueryWidget,
  Metric,
  Stats,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { InstanceConfig } from '../instance-config.ts';
import type { ApiStack } from '../stacks/api-stack.ts';
import type { EventsStack } from '../stacks/events-stack.ts';
import type { ReplicationStack } from '../stacks/replication-stack.ts';
import type { StorageStack } from '../stacks/storage-stack.ts';
import { signal } from './signal.ts';

export interface InstanceDashboardProps {
  readonly instance: InstanceConfig;
  readonly storage: StorageStack;
  readonly replication: ReplicationStack;
  readonly api: ApiStack;
  readonly events: EventsStack;
  readonly alarms: Alarm[];
}

const WIDE = 12;
const HOURLY = { period: Duration.hours(1), statistic: Stats.SUM };

/** One page about an instance: is it well, is it quick, and what does it cost. */
export class InstanceDashboard extends Construct {
  constructor(scope: Construct, id: string, props: InstanceDashboardProps) {
    super(scope, id);
    const { name } = props.instance;
    const functions = [
      ...props.api.functions,
      ...props.replication.functions,
      props.events.publish,
    ];
    new Dashboard(this, 'Page', {
      defaultInterval: Duration.days(1),
      widgets: [
        [new AlarmStatusWidget({ title: `Registry ${name}`, width: 24, alarms: props.alarms })],
        [
          graph('Conflicts', [
            signal(name, 'OpenConflicts', Stats.MAXIMUM),
            signal(name, 'ConflictsOpened', Stats.SUM),
            signal(name, 'AuditFindings', Stats.SUM),
          ]),
          lagPerPeer(props.replication.sweep),
        ],
        [
          graph('Entries appended', [signal(name, 'Appends', Stats.SUM)]),
          graph('Confirmations received', [signal(name, 'Confirmations', Stats.SUM)]),
        ],
        latency(props.api),
        ...costDrivers(props, functions),
      ],
    });
  }
}

function graph(title: string, left: IMetric[], right: IMetric[] = []): GraphWidget {
  return new GraphWidget({ title, width: WIDE, left, right });
}

/** From the log: a metric of each peer would be paid for each month. */
function lagPerPeer(sweep: LambdaFunction): LogQueryWidget {
  return new LogQueryWidget({
    title: 'Seconds that each peer is behind',
    width: WIDE,
    view: LogQueryVisualizationType.LINE,
    logGroupNames: [sweep.logGroup.logGroupName],
    queryLines: [
      'filter ispresent(PeerLagSeconds) and ispresent(facts.peer)',
      'stats max(PeerLagSeconds) by bin(5m), facts.peer',
    ],
  });
}

function latency({ httpApi }: ApiStack): IWidget[] {
  const at = (statistic: string) => httpApi.metricLatency({ statistic, label: statistic });
  return [
    graph('Milliseconds to an answer', [at('p50'), at('p99')]),
    graph(
      'Requests',
      [httpApi.metricCount()],
      [httpApi.metricClientError(), httpApi.metricServerError()],
    ),
  ];
}

/** What the bill is made of, each by what is paid for. */
function costDrivers(
  { storage, replication }: InstanceDashboardProps,
  functions: readonly LambdaFunction[],
): IWidget[][] {
  const { table, bucket } = storage;
  return [
    [
      graph(
        'Table: units consumed',
        [table.metricConsumedWriteCapacityUnits(HOURLY)],
        [table.metricConsumedReadCapacityUnits(HOURLY)],
      ),
      graph(
        'Functions: milliseconds at work',
        functions.map((each) => each.metricDuration({ ...HOURLY, label: each.node.id })),
      ),
    ],
    [
      graph(
        'Logs: bytes',
        functions.map((each) => logBytes(each)),
      ),
      graph(
        'Objects: bytes; queues: messages',
        [stored(bucket.bucketName)],
        [replication.delivery, replication.fetch].map(({ queue, node }) =>
          queue.metricNumberOfMessagesSent({ ...HOURLY, label: node.id }),
        ),
      ),
    ],
  ];
}

function logBytes({ logGroup, node }: LambdaFunction): Metric {
  return new Metric({
    namespace: 'AWS/Logs',
    metricName: 'IncomingBytes',
    dimensionsMap: { LogGroupName: logGroup.logGroupName },
    label: node.id,
    ...HOURLY,
  });
}

/** Measured by S3 once a day. */
function stored(bucketName: string): Metric {
  return new Metric({
    namespace: 'AWS/S3',
    metricName: 'BucketSizeBytes',
    dimensionsMap: { BucketName: bucketName, StorageType: 'StandardStorage' },
    period: Duration.days(1),
    statistic: Stats.AVERAGE,
  });
}
