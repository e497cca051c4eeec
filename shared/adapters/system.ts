import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import type { Clock, Random } from '../registry/ports.ts';

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  wait: async (milliseconds) => {
    await setTimeout(milliseconds);
  },
};

/** The machine's own randomness; ids and hex come from its cryptographic source. */
export const systemRandom: Random = {
  fraction: () => Math.random(),
  uuid: () => randomUUID(),
  hex: (bytes) => randomBytes(bytes).toString('hex'),
};
