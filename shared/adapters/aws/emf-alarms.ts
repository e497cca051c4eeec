import type { Alarms, Clock, Signal } from '../../registry/ports.ts';
import { systemClock } from '../system.ts';
import { type Facts, tidyFacts, type WriteLine, writeToStdout } from './log-line.ts';

const NAMESPACE = 'Registry';
const DIMENSION = 'Instance';

export interface EmfAlarmsOptions {
  /** Value of the dimension `Instance`. */
  readonly instanceName: string;
  readonly clock?: Clock;
  readonly write?: WriteLine;
}

/**
 * Signals as lines of CloudWatch's embedded metric format, which counts them and keeps the line:
 * each is 1 of the metric of its name, with the facts beside it.
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
    try {
      this.#write(
        JSON.stringify({
          _aws: {
            Timestamp: this.#clock.now(),
            CloudWatchMetrics: [
              {
                Namespace: NAMESPACE,
                Dimensions: [[DIMENSION]],
                Metrics: [{ Name: signal, Unit: 'Count' }],
              },
            ],
          },
          [DIMENSION]: this.#instanceName,
          [signal]: 1,
          facts: tidyFacts(facts),
        }),
      );
    } catch {
      // An alarm that cannot be written must not stop what raised it.
    }
  }
}
