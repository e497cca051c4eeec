import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { type IAlarmAction, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { ALARM_PERIOD, RunbookAlarm } from '../constructs/runbook-alarm.ts';
import type { ApiStack } from './api-stack.ts';
import type { EventsStack } from './events-stack.ts';
import type { ReplicationStack } from './replication-stack.ts';

export interface AlarmsStackProps extends StackProps {
  readonly instanceName: string;
  /** How long a mirror may be behind. */
  readonly lagAlarm: Duration;
  readonly replication: ReplicationStack;
  readonly api: ApiStack;
  readonly events: EventsStack;
}

/** A quarter of the age at which records are given up. */
const EVENTS_LATE = Duration.minutes(15);

/** Two runs of the audit: what is found again and again rings once. */
const AUDIT_RUNS = Duration.minutes(30);

/** Tells a person when something will not heal by itself. */
export class AlarmsStack extends Stack {
  constructor(scope: Construct, id: string, props: AlarmsStackProps) {
    super(scope, id, props);
    const topic = new Topic(this, 'Alarms', {
      displayName: `Registry ${props.instanceName}`,
    });
    new CfnOutput(this, 'AlarmTopic', {
      value: topic.topicArn,
      description: 'Subscribe here to hear of alarms',
    });
    const action = new SnsAction(topic);
    this.conflictAlarms(props, action);
    this.lagAlarm(props, action);
    this.deadLetterAlarms(props, action);
    this.eventAlarms(props, action);
    this.functionAlarms(props, action);
  }

  private conflictAlarms({ instanceName }: AlarmsStackProps, action: IAlarmAction): void {
    new RunbookAlarm(this, 'ConflictsOpened', {
      section: 'open-conflicts',
      meaning: `A conflict was opened on instance ${instanceName}: its registry takes nothing new.`,
      metric: signal(instanceName, 'ConflictsOpened', Stats.SUM),
      action,
    });
    new RunbookAlarm(this, 'OpenConflicts', {
      section: 'open-conflicts',
      meaning: `A registry of instance ${instanceName} is blocked by a conflict until it is resolved.`,
      metric: signal(instanceName, 'OpenConflicts', Stats.MAXIMUM),
      action,
    });
    new RunbookAlarm(this, 'AuditFindings', {
      section: 'audit-findings',
      meaning: `What instance ${instanceName} stores is not what was signed, or a peer holds something else.`,
      metric: signal(instanceName, 'AuditFindings', Stats.SUM).with({ period: AUDIT_RUNS }),
      action,
    });
    new RunbookAlarm(this, 'StatementsRefused', {
      section: 'statements-refused',
      meaning: `Instance ${instanceName} refused what a peer sent, because nothing signed bears it out.`,
      metric: signal(instanceName, 'StatementsRefused', Stats.SUM),
      action,
    });
  }

  private lagAlarm({ instanceName, lagAlarm }: AlarmsStackProps, action: IAlarmAction): void {
    new RunbookAlarm(this, 'PeerLag', {
      section: 'peer-lag',
      meaning: `Instance ${instanceName} knows of a mirror that has confirmed nothing new for too long.`,
      metric: signal(instanceName, 'PeerLagSeconds', Stats.MAXIMUM),
      threshold: lagAlarm.toSeconds(),
      action,
    });
  }

  private deadLetterAlarms({ replication, instanceName }: AlarmsStackProps, action: IAlarmAction) {
    for (const queue of replication.deadLetters)
      new RunbookAlarm(this, `DeadLetters${queue.node.path.split('/').slice(2).join('')}`, {
        section: 'dead-letters',
        meaning: `A function of instance ${instanceName} gave up on a message.`,
        metric: queue.metricApproximateNumberOfMessagesVisible({
          period: ALARM_PERIOD,
          statistic: Stats.MAXIMUM,
        }),
        action,
      });
  }

  private eventAlarms({ events, instanceName }: AlarmsStackProps, action: IAlarmAction): void {
    new RunbookAlarm(this, 'EventsGivenUp', {
      section: 'events-unpublished',
      meaning: `Instance ${instanceName} gave up telling its applications of something.`,
      metric: events.failures.metricApproximateNumberOfMessagesVisible({
        period: ALARM_PERIOD,
        statistic: Stats.MAXIMUM,
      }),
      action,
    });
    new RunbookAlarm(this, 'EventsHopeless', {
      section: 'events-unpublished',
      meaning: `Instance ${instanceName} can never tell its applications of something: it is damaged or missing.`,
      metric: signal(instanceName, 'EventsHopeless', Stats.SUM),
      action,
    });
    new RunbookAlarm(this, 'EventsLate', {
      section: 'events-unpublished',
      meaning: `Instance ${instanceName} tells its applications late of what it stores.`,
      metric: events.publish.metric('IteratorAge', {
        period: ALARM_PERIOD,
        statistic: Stats.MAXIMUM,
      }),
      threshold: EVENTS_LATE.toMilliseconds(),
      action,
    });
  }

  private functionAlarms(
    { replication, api, events, instanceName }: AlarmsStackProps,
    action: IAlarmAction,
  ) {
    for (const each of [...replication.functions, ...api.functions, events.publish])
      new RunbookAlarm(this, `Errors${each.node.id}`, {
        section: 'function-errors',
        meaning: `The function ${each.node.id} of instance ${instanceName} keeps failing.`,
        metric: each.metricErrors({ period: ALARM_PERIOD, statistic: Stats.SUM }),
        // A single failure is tried again by itself.
        periodsToAlarm: 2,
        action,
      });
  }
}

function signal(instanceName: string, metricName: string, statistic: string): Metric {
  return new Metric({
    namespace: 'Registry',
    metricName,
    dimensionsMap: { Instance: instanceName },
    period: ALARM_PERIOD,
    statistic,
  });
}
