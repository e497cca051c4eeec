import type { Alarms, Signal } from '../../registry/ports.ts';

export interface RaisedSignal {
  readonly signal: Signal;
  readonly facts: Readonly<Record<string, string | number>>;
}

/** Keeps what was raised, oldest first. */
export class RecordingAlarms implements Alarms {
  readonly #raised: RaisedSignal[] = [];

  raise(signal: Signal, facts: Readonly<Record<string, string | number>>): void {
    this.#raised.push({ signal, facts: { ...facts } });
  }

  get raised(): readonly RaisedSignal[] {
    return this.#raised;
  }

  get signals(): Signal[] {
    return this.#raised.map(({ signal }) => signal);
  }
}
