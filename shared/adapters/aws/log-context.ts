import { AsyncLocalStorage } from 'node:async_hooks';
import type { Facts } from '../../registry/ports.ts';

/** What every line of one invocation says, whoever writes it: its request, its caller. */
const running = new AsyncLocalStorage<Record<string, string | number>>();

/** Does the work of one invocation; concurrent ones do not see each other's facts. */
export function inLogContext<Result>(facts: Facts, work: () => Result): Result {
  return running.run({ ...facts }, work);
}

/** From now on lines of this invocation say this as well; outside of one it is forgotten. */
export function addLogFacts(facts: Facts): void {
  Object.assign(running.getStore() ?? {}, facts);
}

/** What is known of the invocation so far. */
export function logFacts(): Facts {
  return running.getStore() ?? {};
}
