import type { Counter, Measure, Signal } from '../../registry/metrics.ts';
import type { Alarms, Facts } from '../../registry/ports.ts';

export interface RaisedSignal {
  readonly signal: Signal;
  readonly facts: Facts;
}

export interface MeasuredValue {
  readonly measure: Measure;
  readonly value: number;
  readonly facts: Facts;
}

export interface CountedNumber {
  readonly counter: Counter;
  readonly number: number;
  readonly facts: Facts;
}

/** Keeps what was raised, measured and counted, each oldest first. */
export class RecordingAlarms implements Alarms {
  readonly #raised: RaisedSignal[] = [];
  readonly #measured: MeasuredValue[] = [];
  readonly #counted: CountedNumber[] = [];

  raise(signal: Signal, facts: Facts): void {
    this.#raised.push({ signal, facts: { ...facts } });
  }

  measure(measure: Measure, value: number, facts: Facts): void {
    this.#measured.push({ measure, value, facts: { ...facts } });
  }

  count(counter: Counter, number: number, facts: Facts): void {
    this.#counted.push({ counter, number, facts: { ...facts } });
  }

  get raised(): readonly RaisedSignal[] {
    return this.#raised;
  }

  get measured(): readonly MeasuredValue[] {
    return this.#measured;
  }

  get counted(): readonly CountedNumber[] {
    return this.#counted;
  }

  get signals(): Signal[] {
    return this.#raised.map(({ signal }) => signal);
  }
}
