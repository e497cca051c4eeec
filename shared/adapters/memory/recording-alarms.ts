import type { Alarms, Facts, Measure, Signal } from '../../registry/ports.ts';
import type { Usage } from '../../registry/usage.ts';

export interface RaisedSignal {
  readonly signal: Signal;
  readonly facts: Facts;
}

export interface MeasuredValue {
  readonly measure: Measure;
  readonly value: number;
  readonly facts: Facts;
}

export interface CountedUsage {
  readonly usage: Usage;
  readonly facts: Facts;
}

/** Keeps what was raised, measured and counted, each oldest first. */
export class RecordingAlarms implements Alarms {
  readonly #raised: RaisedSignal[] = [];
  readonly #measured: MeasuredValue[] = [];
  readonly #counted: CountedUsage[] = [];

  raise(signal: Signal, facts: Facts): void {
    this.#raised.push({ signal, facts: { ...facts } });
  }

  measure(measure: Measure, value: number, facts: Facts): void {
    this.#measured.push({ measure, value, facts: { ...facts } });
  }

  count(usage: Usage, facts: Facts): void {
    this.#counted.push({ usage: { ...usage }, facts: { ...facts } });
  }

  get raised(): readonly RaisedSignal[] {
    return this.#raised;
  }

  get measured(): readonly MeasuredValue[] {
    return this.#measured;
  }

  get counted(): readonly CountedUsage[] {
    return this.#counted;
  }

  get signals(): Signal[] {
    return this.#raised.map(({ signal }) => signal);
  }
}
