import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { Alarm, MathExpression, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { alarmTopic } from '../constructs/alarm-topic.ts';
import { InstanceDashboard } from '../constructs/instance-dashboard.ts';
import { ALARM_PERIOD, RunbookAlarm, type RunbookAlarmProps } from '../constructs/runbook-alarm.ts';
import { signal } from '../constructs/signal.ts';
import type { DomainConfig, InstanceConfig } from '../instance-config.ts';
import type { ApiStack } from './api-stack.ts';
import type { EventsStack } from './events-stack.ts';
import type { KeysStack } from './keys-stack.ts';
import type { ReplicationStack } from './replication-stack.ts';
import type { StorageStack } from './storage-stack.ts';

export interface AlarmsStackProps extends StackProps {
  readonly instance: InstanceConfig;
  readonly keys: KeysStack;
  readonly storage: StorageStack;
  readonly replication: ReplicationStack;
  readonly api: ApiStack;
  readonly events: EventsStack;
  readonly domain?: DomainConfig;
}

/** A quarter of the age at which records are given up. */
const STREAM_BEHIND = Duration.minutes(15);

/** Two runs of the audit: what is found again and again rings once. */
const AUDIT_RUNS = Duration.minutes(30);

/** Fifteen runs of the sweep that did not come, and four of the audit. */
const SWEEP_AWAY = Duration.minutes(15);
const AUDIT_AWAY = Duration.hours(1);

/** Whoever is away is parked within minutes; a document may take a quarter of an hour to fetch. */
const DELIVERY_OLD = Duration.minutes(15);
const FETCH_OLD = Duration.hours(1);

/** Two a second, where a repeated request and a race for a head lose some now and then. */
const LOST_WRITES = 600;

/** An append that finds the registry busy answers 503, and its client tries again. */
const API_ERRORS = 10;

/** Days left: to plan, to act, and to drop everything else. */
const CERTIFICATE_DAYS = [60, 30, 7] as const;

/** Tells a person when something will not heal by itself. */
export class AlarmsStack extends Stack {
  private readonly action: SnsAction;
  private readonly instanceName: string;

  constructor(scope: Construct, id: string, props: AlarmsStackProps) {
    super(scope, id, props);
    const topic = alarmTopic(this, 'Alarms', props.instance, props.keys.workKey);
    new CfnOutput(this, 'AlarmTopic', {
      value: topic.topicArn,
      description: 'Subscribe here to hear of alarms besides those whom the file names',
    });
    this.action = new SnsAction(topic);
    this.instanceName = props.instance.name;
    this.conflictAlarms();
    this.lagAlarm(Duration.minutes(props.instance.lagAlarmMinutes));
    this.queueAlarms(props.replication);
    this.eventAlarms(props.events);
    this.functionAlarms([
      ...props.replication.functions,
      ...props.api.functions,
      props.events.publish,
    ]);
    this.standstillAlarms(props.replication);
    this.apiAlarm(props.api);
    this.storageAlarms(props.storage);
    this.certificateAlarms(props.domain);
    new InstanceDashboard(this, 'Dashboard', {
      ...props,
      alarms: this.node.findAll().filter((each) => each instanceof Alarm),
    });
  }

  private ring(id: string, props: Omit<RunbookAlarmProps, 'action'>): void {
    new RunbookAlarm(this, id, { ...props, action: this.action });
  }

  private conflictAlarms(): void {
    const { instanceName } = this;
    this.ring('ConflictsOpened', {
      section: 'open-conflicts',
      meaning: `A conflict was opened on instance ${instanceName}: its registry takes nothing new.`,
      metric: signal(instanceName, 'ConflictsOpened', Stats.SUM),
    });
    this.ring('OpenConflicts', {
      section: 'open-conflicts',
      meaning: `A registry of instance ${instanceName} is blocked by a conflict until it is resolved.`,
      metric: signal(instanceName, 'OpenConflicts', Stats.MAXIMUM),
    });
    this.ring('AuditFindings', {
      section: 'audit-findings',
      meaning: `What instance ${instanceName} stores is not what was signed, or a peer holds something else.`,
      metric: signal(instanceName, 'AuditFindings', Stats.SUM, { period: AUDIT_RUNS }),
    });
    this.ring('StatementsRefused', {
      section: 'statements-refused',
      meaning: `Instance ${instanceName} refused what a peer sent, because nothing signed bears it out.`,
      metric: signal(instanceName, 'StatementsRefused', Stats.SUM),
    });
  }

  private lagAlarm(threshold: Duration): void {
    this.ring('PeerLag', {
      section: 'peer-lag',
      meaning: `Instance ${this.instanceName} knows of a mirror that has confirmed nothing new for too long.`,
      metric: signal(this.instanceName, 'PeerLagSeconds', Stats.MAXIMUM),
      threshold: threshold.toSeconds(),
    });
  }

  private queueAlarms({ deadLetters, delivery, fetch, fanOut }: ReplicationStack): void {
    for (const queue of deadLetters)
      this.ring(`DeadLetters${queue.node.path.split('/').slice(2).join('')}`, {
        section: 'dead-letters',
        meaning: `A function of instance ${this.instanceName} gave up on a message.`,
        metric: waitingIn(queue),
      });
    for (const [{ queue, node }, old] of [
      [delivery, DELIVERY_OLD],
      [fetch, FETCH_OLD],
    ] as const)
      this.ring(`Oldest${node.id}`, {
        section: 'old-pokes',
        meaning: `Work of instance ${this.instanceName} waits in the queue ${node.id} and is not done.`,
        metric: queue.metricApproximateAgeOfOldestMessage({
          period: ALARM_PERIOD,
          statistic: Stats.MAXIMUM,
        }),
        threshold: old.toSeconds(),
      });
    this.ring('StreamBehind', {
      section: 'stream-behind',
      meaning: `New entries of instance ${this.instanceName} reach its peers late.`,
      metric: iteratorAge(fanOut),
      threshold: STREAM_BEHIND.toMilliseconds(),
    });
  }

  private eventAlarms({ failures, publish }: EventsStack): void {
    const { instanceName } = this;
    this.ring('EventsGivenUp', {
      section: 'events-unpublished',
      meaning: `Instance ${instanceName} gave up telling its applications of something.`,
      metric: waitingIn(failures),
    });
    this.ring('EventsHopeless', {
      section: 'events-unpublished',
      meaning: `Instance ${instanceName} can never tell its applications of something: it is damaged or missing.`,
      metric: signal(instanceName, 'EventsHopeless', Stats.SUM),
    });
    this.ring('EventsLate', {
      section: 'events-unpublished',
      meaning: `Instance ${instanceName} tells its applications late of what it stores.`,
      metric: iteratorAge(publish),
      threshold: STREAM_BEHIND.toMilliseconds(),
    });
  }

  private functionAlarms(functions: readonly LambdaFunction[]): void {
    const sums = { period: ALARM_PERIOD, statistic: Stats.SUM };
    for (const each of functions) {
      this.ring(`Errors${each.node.id}`, {
        section: 'function-errors',
        meaning: `The function ${each.node.id} of instance ${this.instanceName} keeps failing.`,
        metric: each.metricErrors(sums),
        // A single failure is tried again by itself.
        periodsToAlarm: 2,
      });
      this.ring(`Throttles${each.node.id}`, {
        section: 'function-throttles',
        meaning: `The function ${each.node.id} of instance ${this.instanceName} is held back by a limit.`,
        metric: each.metricThrottles(sums),
        periodsToAlarm: 2,
      });
    }
  }

  /** What no longer runs fails at nothing, and so no other alarm rings. */
  private standstillAlarms({ sweep, audit }: ReplicationStack): void {
    for (const [{ node }, metric] of [
      [sweep, sweep.metricInvocations({ period: SWEEP_AWAY, statistic: Stats.SUM })],
      [audit, audit.metricInvocations({ period: AUDIT_AWAY, statistic: Stats.SUM })],
    ] as const)
      this.ring(`NotRunning${node.id}`, {
        section: 'not-running',
        meaning: `The function ${node.id} of instance ${this.instanceName} is not run any more.`,
        metric,
        threshold: 1,
        below: true,
        silenceRings: true,
      });
  }

  private apiAlarm({ httpApi }: ApiStack): void {
    this.ring('ApiErrors', {
      section: 'api-errors',
      meaning: `Callers of instance ${this.instanceName} keep getting 5xx answers.`,
      metric: httpApi.metricServerError({ period: ALARM_PERIOD, statistic: Stats.SUM }),
      threshold: API_ERRORS,
      periodsToAlarm: 2,
    });
  }

  private storageAlarms({ table, vaultName }: StorageStack): void {
    for (const metricName of ['ConditionalCheckFailedRequests', 'TransactionConflict'])
      this.ring(metricName, {
        section: 'lost-writes',
        meaning: `Far more writes of instance ${this.instanceName} lose a race than is normal.`,
        metric: table.metric(metricName, { period: ALARM_PERIOD, statistic: Stats.SUM }),
        threshold: LOST_WRITES,
        periodsToAlarm: 2,
      });
    if (vaultName === undefined) return;
    const jobs = (outcome: string) =>
      new Metric({
        namespace: 'AWS/Backup',
        metricName: `NumberOfBackupJobs${outcome}`,
        dimensionsMap: { BackupVaultName: vaultName },
        statistic: Stats.SUM,
      });
    this.ring('FailedBackups', {
      section: 'failed-backups',
      meaning: `The weekly backup of instance ${this.instanceName} was not made.`,
      // One that waits too long for its turn is no failure to AWS Backup, but none was made either.
      metric: new MathExpression({
        expression: 'FILL(failed, 0) + FILL(expired, 0) + FILL(aborted, 0)',
        usingMetrics: {
          failed: jobs('Failed'),
          expired: jobs('Expired'),
          aborted: jobs('Aborted'),
        },
        period: Duration.hours(1),
      }),
    });
  }

  private certificateAlarms(domain: DomainConfig | undefined): void {
    const hourly = { period: Duration.hours(1) };
    const { instanceName } = this;
    const certificates = [
      ['Instance', signal(instanceName, 'InstanceCertificateDays', Stats.MINIMUM, hourly)],
      ['ClusterCa', signal(instanceName, 'ClusterCaDays', Stats.MINIMUM, hourly)],
      ...(domain === undefined
        ? []
        : [['Server', daysInCertificateManager(domain.serverCertificateArn)] as const]),
    ] as const;
    for (const [certificate, metric] of certificates)
      for (const days of CERTIFICATE_DAYS)
        this.ring(`${certificate}Certificate${days}Days`, {
          section: 'certificates',
          meaning: `The ${NAMES[certificate]} of instance ${instanceName} expires in less than ${days} days.`,
          metric,
          threshold: days,
          below: true,
        });
  }
}

const NAMES = {
  Instance: 'certificate in the secret',
  ClusterCa: 'cluster CA in the file',
  Server: 'server certificate of the domain',
} as const;

function waitingIn(queue: Queue): Metric {
  return queue.metricApproximateNumberOfMessagesVisible({
    period: ALARM_PERIOD,
    statistic: Stats.MAXIMUM,
  });
}

function iteratorAge(woken: LambdaFunction): Metric {
  return woken.metric('IteratorAge', { period: ALARM_PERIOD, statistic: Stats.MAXIMUM });
}

/** Certificate Manager measures twice a day, imported certificates too, until they expire. */
function daysInCertificateManager(certificateArn: string): Metric {
  return new Metric({
    namespace: 'AWS/CertificateManager',
    metricName: 'DaysToExpiry',
    dimensionsMap: { CertificateArn: certificateArn },
    period: Duration.days(1),
    statistic: Stats.MINIMUM,
  });
}
