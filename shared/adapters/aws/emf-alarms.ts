import type { Counter, Measure, Signal } from '../../registry/metrics.ts';
import type { Alarms, Clock } from '../../registry/ports.ts';
import { systemClock } from '../system.ts';
import { type Facts, tidyFacts, type WriteLine, writeToStdout } from './log-line.ts';

const NAMESPACE = 'Registry';
const DIMENSION = 'Instance';

const UNITS = {
  PeerLagEntries: 'Count',
  PeerLagSeconds: 'Seconds',
  // The format has no unit of days.
  InstanceCertificateDays: 'Count',
  ClusterCaDays: 'Count',
} as const satisfies Record<Measure, string>;

/** As the format spells it. */
interface Metric {
  readonly Name: Signal | Measure | Counter;
  readonly Unit: 'Count' | 'Seconds';
}

export interface EmfAlarmsOptions {
  /** Value of the dimension `Instance`. */
  readonly instanceName: string;
  readonly clock?: Clock;
  readonly write?: WriteLine;
}

/**
 * Signals and measured values as lines of CloudWatch's embedded metric format, which adds them up
 * and keeps the line: a signal is 1 of the metric of its name, with the facts beside it.
 */
export class EmfAlarms implements Alarms {
  readonly #instanceName: string;
  readonly #clock: Clock;
  readonly #write: WriteLine;

  constructor({ instanceName, clock = systemClock, write = writeToStdout }: EmfAlarmsOptions) {
    this.#instanceName = instanceName;
    this.#clock = clock;
    this.#write = write;
  }

  raise(signal: Signal, facts: Facts): void {
    this.#writeMetric({ Name: signal, Unit: 'Count' }, 1, facts);
  }

  measure(measure: Measure, value: number, facts: Facts): void {
    this.#writeMetric({ Name: measure, Unit: UNITS[measure] }, value, facts);
  }

  count(counter: Counter, number: number, facts: Facts): void {
    this.#writeMetric({ Name: counter, Unit: 'Count' }, number, facts);
  }

  #writeMetric(metric: Metric, value: number, facts: Facts): void {
    try {
      this.#write(
        JSON.stringify({
          _aws: {
            Timestamp: this.#clock.now(),
            CloudWatchMetrics: [
              {
                Namespace: NAMESPACE,
                Dimensions: [[DIMENSION]],
                Metrics: [metric],
              },
            ],
          },
          [DIMENSION]: this.#instanceName,
          [metric.Name]: value,
          facts: tidyFacts(facts),
        }),
      );
    } catch {
      // An alarm that cannot be written must not stop what raised it.
    }
  }
}
