import { Metric, type MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import { ALARM_PERIOD } from './runbook-alarm.ts';

/** A metric that the functions of an instance write with their logs. */
export function signal(
  instanceName: string,
  metricName: string,
  statistic: string,
  options: MetricOptions = {},
): Metric {
  return new Metric({
    namespace: 'Registry',
    metricName,
    dimensionsMap: { Instance: instanceName },
    period: ALARM_PERIOD,
    statistic,
    ...options,
  });
}
