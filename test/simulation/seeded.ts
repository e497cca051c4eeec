/** Draws that are the same in every run of a seed: forked by name, so that one more draw in one place
 * changes nothing elsewhere. */
import { createHash } from 'node:crypto';

export class Seeded {
  readonly #name: string;
  #drawn = 0;

  constructor(name: string) {
    this.#name = name;
  }

  fork(name: string): Seeded {
    return new Seeded(`${this.#name}/${name}`);
  }

  /** In [0, 1). */
  fraction(): number {
    this.#drawn += 1;
    const digest = createHash('sha256').update(`${this.#name} ${this.#drawn}`).digest();
    return digest.readUInt32BE() / 2 ** 32;
  }

  /** A whole number from 0 to below the limit. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  happens(chance: number): boolean {
    return this.fraction() < chance;
  }

  one<T>(of: readonly T[]): T {
    const chosen = of[this.below(of.length)];
    if (chosen === undefined) throw new Error('there is nothing to choose from');
    return chosen;
  }
}
