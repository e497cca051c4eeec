import type { OpenInstance } from '../shared/adapters/aws/instance.ts';
import { logLine } from '../shared/adapters/aws/log-line.ts';
import type { Log } from '../shared/http/http-stack.ts';
import { wakeAll } from '../shared/registry/wake.ts';

/**
 * Once a minute: pokes whatever is due in any registry, so that a lost poke and a parked peer are
 * made good without anybody noticing.
 */
export function createSweep(open: OpenInstance, log: Log = logLine) {
  return async (): Promise<void> => {
    const instance = await open();
    const registries = await wakeAll(instance, `sweep:${instance.clock.now()}`);
    log('info', 'swept', { registries });
  };
}
