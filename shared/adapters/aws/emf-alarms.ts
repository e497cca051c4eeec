import type { Counts, Measure, Signal } from '../../registry/metrics.ts';
import type { Alarms, Clock, Facts } from '../../registry/ports.ts';
import { systemClock } from '../system.ts';
import { tidyFacts, type WriteLine, writeToStdout } from './log-line.ts';

const NAMESPACE = 'Registry';
const DIMENSION = 'Instance';

const UNITS = {
  PeerLagEntries: 'Count',
  PeerLagSeconds: 'Seconds',
  EntriesStored: 'Count',
  BytesStored: 'Bytes',
  BytesSent: 'Bytes',
  Appends: 'Count',
  Confirmations: 'Count',
  // The format has no unit of days.
  InstanceCertificateDays: 'Count',
  ClusterCaDays: 'Count',
} as const satisfies Record<Measure | keyof Counts, string>;

/** As the format spells it. */
interface Metric {
  readonly Name: Signal | keyof typeof UNITS;
  readonly Unit: (typeof UNITS)[keyof typeof UNITS];
}

export interface EmfAlarmsOptions {
  /** Value of the dimension `Instance`. */
  readonly instanceName: string;
  readonly clock?: Clock;
  readonly write?: WriteLine;
}

/**
 * Signals, measured values and usage as lines of CloudWatch's embedded metric format, which adds them
 * up and keeps the line: a signal is 1 of the metric of its name, with the facts beside it.
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
    this.#writeMetrics([{ Name: signal, Unit: 'Count' }], { [signal]: 1 }, facts);
  }

  measure(measure: Measure, value: number, facts: Facts): void {
    this.#writeMetrics([{ Name: measure, Unit: UNITS[measure] }], { [measure]: value }, facts);
  }

  count(counts: Counts, facts: Facts): void {
    const names = Object.keys(counts) as (keyof Counts)[];
    const metrics = names.map((Name) => ({ Name, Unit: UNITS[Name] }));
    this.#writeMetrics(metrics, { ...counts }, facts);
  }

  #writeMetrics(
    metrics: readonly Metric[],
    values: Readonly<Record<string, number>>,
    facts: Facts,
  ): void {
    try {
      this.#write(
        JSON.stringify({
          _aws: {
            Timestamp: this.#clock.now(),
            CloudWatchMetrics: [
              {
                Namespace: NAMESPACE,
                Dimensions: [[DIMENSION]],
                Metrics: metrics,
              },
            ],
          },
          [DIMENSION]: this.#instanceName,
          ...values,
          facts: tidyFacts(facts),
        }),
      );
    } catch {
      // An alarm that cannot be written must not stop what raised it.
    }
  }
}
