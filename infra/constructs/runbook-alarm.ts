import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type IAlarmAction,
  type IMetric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';

/** The sections of infra/README.md that tell what to do. */
export const runbookSections = [
  'open-conflicts',
  'audit-findings',
  'peer-lag',
  'statements-refused',
  'dead-letters',
  'events-unpublished',
  'function-errors',
] as const;

export type RunbookSection = (typeof runbookSections)[number];

/** Over what time an alarm's metric is added up. */
export const ALARM_PERIOD = Duration.minutes(5);

export interface RunbookAlarmProps {
  /** Where the runbook says what to do: there is no alarm without it. */
  readonly section: RunbookSection;
  /** One sentence for the message that a person gets. */
  readonly meaning: string;
  readonly metric: IMetric;
  /** Rings above it; 0 unless given. */
  readonly threshold?: number;
  /** Of the last three periods, how many must be above it; 1 unless given. */
  readonly periodsToAlarm?: number;
  readonly action: IAlarmAction;
}

/** Rings as soon as its metric is above the threshold, and again when it is back. */
export class RunbookAlarm extends Alarm {
  constructor(scope: Construct, id: string, props: RunbookAlarmProps) {
    const periods = props.periodsToAlarm ?? 1;
    super(scope, id, {
      alarmDescription: `${props.meaning} What to do: infra/README.md#${props.section}`,
      metric: props.metric,
      threshold: props.threshold ?? 0,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: periods === 1 ? 1 : 3,
      datapointsToAlarm: periods,
      // A metric is sent only when there is something to count.
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
    this.addAlarmAction(props.action);
    this.addOkAction(props.action);
  }
}
