/** Trying again: a bounded number of times, within a bounded time, spread out. */
import { setTimeout } from 'node:timers/promises';
import { RegistryError } from './problem.ts';

export interface RetryPolicy {
  /** The first one included. */
  readonly triesMax: number;
  /** From the first try to the end of the last one. */
  readonly totalMsMax: number;
  /** The longest wait before the second try; it doubles from there on. */
  readonly firstWaitMs: number;
  readonly waitMsMax: number;
}

export const defaultRetries: RetryPolicy = {
  triesMax: 5,
  totalMsMax: 60_000,
  firstWaitMs: 200,
  waitMsMax: 10_000,
};

/** Errors after which everything was tried already: whoever called that does not begin again. */
const givenUp = new WeakSet<RegistryError>();

/**
 * Tries until it succeeds, or fails for good: with an error that is not `retryable`, after so many
 * tries, or when the time is over. `attempt` is told how much of the time is left. Tries inside of
 * tries do not multiply.
 */
export async function withRetries<T>(
  { triesMax, totalMsMax, firstWaitMs, waitMsMax }: RetryPolicy,
  signal: AbortSignal | undefined,
  attempt: (msLeft: number) => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + totalMsMax;
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt(Math.max(1, deadline - performance.now()));
    } catch (error) {
      const failed = retryableIn(error);
      if (tries >= triesMax) throw last(failed);
      // Full jitter: anything up to the exponential bound, so that many clients spread out.
      const bound = Math.min(waitMsMax, firstWaitMs * 2 ** (tries - 1));
      const waitMs = (failed.retryAfterMs ?? 0) + Math.random() * bound;
      if (performance.now() + waitMs >= deadline) throw last(failed);
      await pause(waitMs, signal);
    }
  }
}

/** The error, if trying again may help; else it is thrown. */
function retryableIn(error: unknown): RegistryError {
  if (error instanceof RegistryError && error.retryable && !givenUp.has(error)) return error;
  throw error;
}

function last(error: RegistryError): RegistryError {
  givenUp.add(error);
  return error;
}

/** Waits; rejects with the signal's own reason when it is aborted. */
export async function pause(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await setTimeout(waitMs, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
