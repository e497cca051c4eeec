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
  'old-pokes',
  'stream-behind',
  'events-unpublished',
  'function-errors',
  'function-throttles',
  'not-running',
  'api-errors',
  'lost-writes',
  'certificates',
  'failed-backups',
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
  /** Rings below the threshold, and stays as it is while nothing is measured: for what runs out. */
  readonly below?: boolean;
  /** Rings while nothing is measured as well: for what must not stop. */
  readonly silenceRings?: boolean;
  /** Of the last three periods, how many must be beyond it; 1 unless given: of the last one. */
  readonly periodsToAlarm?: number;
  readonly action: IAlarmAction;
}

/** Rings as soon as its metric is beyond the threshold, and again when it is back. */
export class RunbookAlarm extends Alarm {
  constructor(scope: Construct, id: string, props: RunbookAlarmProps) {
    const { section, meaning, metric, threshold = 0, below = false, action } = props;
    const periods = props.periodsToAlarm ?? 1;
    super(scope, id, {
      alarmDescription: `${meaning} What to do: infra/README.md#${section}`,
      metric,
      threshold,
      comparisonOperator: below
        ? ComparisonOperator.LESS_THAN_THRESHOLD
        : ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: periods === 1 ? 1 : 3,
      datapointsToAlarm: periods,
      // Most metrics are sent only when there is something to count.
      treatMissingData: missingData(props),
    });
    this.addAlarmAction(action);
    this.addOkAction(action);
  }
}

function missingData({ below = false, silenceRings = false }: RunbookAlarmProps): TreatMissingData {
  if (silenceRings) return TreatMissingData.BREACHING;
  return below ? TreatMissingData.IGNORE : TreatMissingData.NOT_BREACHING;
}
