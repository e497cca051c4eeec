import type { Alarms, Clock, Facts, Measure, Signal } from '../../registry/ports.ts';
import type { Usage } from '../../registry/usage.ts';
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
} as const satisfies Record<Measure | keyof Usage, string>;

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

  count(usage: Usage, facts: Facts): void {
    const names = Object.keys(usage) as (keyof Usage)[];
    const metrics = names.map((Name) => ({ Name, Unit: UNITS[Name] }));
    this.#writeMetrics(metrics, { ...usage }, facts);
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
