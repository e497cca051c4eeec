/** Waiting for confirmations: asking again, less and less often, until the receipt shows them. */
import type { VerifiedReceipt } from '../ledger/verify-receipt.ts';
import type { CallOptions } from './calls.ts';
import type { EntryId } from './paths.ts';
import { RegistryError } from './problem.ts';
import { type FetchedReceipt, type Receipts, unconfirmedBy } from './receipts.ts';
import { pause } from './retries.ts';

export interface WaitOptions extends CallOptions {
  /** Certificate ids whose confirmations are enough; all mirrors unless given. */
  readonly peers?: readonly string[] | 'all';
  /** A minute unless given. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;
const FIRST_PAUSE_MS = 100;
const PAUSE_MS_MAX = 5_000;
const GROWTH = 1.5;
/** What a last question gets, however little time is left. */
const ASKING_MS_MIN = 5_000;

/**
 * The receipt of the entry, once it proves the confirmations. An instance that has not got the entry
 * yet, as a mirror may not, is asked again as well.
 */
export async function waitForConfirmations(
  receipts: Receipts,
  { registryId, entry }: { readonly registryId: string; readonly entry: EntryId },
  { peers = 'all', timeoutMs = TIMEOUT_MS, signal }: WaitOptions = {},
): Promise<FetchedReceipt> {
  const deadline = performance.now() + timeoutMs;
  let pauseMs = FIRST_PAUSE_MS;
  let why = 'the instance did not answer';
  let missing: readonly string[] = [];
  for (;;) {
    const left = deadline - performance.now();
    const asking = AbortSignal.timeout(Math.max(ASKING_MS_MIN, Math.ceil(left)));
    const call = { signal: signal === undefined ? asking : AbortSignal.any([signal, asking]) };
    try {
      const found = await receipts.fetch(registryId, entry, call);
      missing = missingIn(found.receipt, peers);
      if (missing.length === 0) return found;
      why = `not confirmed by ${missing.join(', ')}`;
    } catch (error) {
      signal?.throwIfAborted();
      if (!asking.aborted) why = passing(error);
    }
    if (performance.now() + pauseMs >= deadline) throw late({ entry, timeoutMs }, why, missing);
    await pause(pauseMs, signal);
    pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * GROWTH);
  }
}

/** What an instance says of an entry that has not arrived, or not with all that proves it. */
const ABSENT: ReadonlySet<string> = new Set([
  'REGISTRY_UNKNOWN',
  'ENTRY_UNKNOWN',
  'CERTIFICATE_UNKNOWN',
]);

/** Why there is no receipt yet; throws what asking again does not mend. */
function passing(error: unknown): string {
  if (error instanceof RegistryError && (ABSENT.has(error.code) || error.retryable))
    return error.message;
  throw error;
}

/** Whose confirmations the receipt lacks. */
function missingIn(receipt: VerifiedReceipt, peers: readonly string[] | 'all'): readonly string[] {
  const { status, configuration, confirmations, later, sequence } = receipt;
  if (peers !== 'all') {
    const all = [...confirmations, ...(later?.confirmations ?? [])];
    const confirmed = new Set<string>(all.map(({ peer }) => peer));
    return peers.filter((peer) => !confirmed.has(peer));
  }
  if (status.status === 'final' || status.status === 'final-since') return [];
  if (configuration.peers.length === 1)
    throw new RegistryError(
      'NOBODY_TO_CONFIRM',
      `entry ${sequence} has no mirrors: its lead alone holds it; add mirrors to the peer list ` +
        'before there is anybody to wait for',
    );
  return unconfirmedBy(receipt);
}

function late(
  { entry, timeoutMs }: { readonly entry: EntryId; readonly timeoutMs: number },
  why: string,
  missing: readonly string[],
): RegistryError {
  return new RegistryError(
    'NOT_CONFIRMED_IN_TIME',
    `entry ${entry} after ${timeoutMs / 1000} s: ${why}; what is recorded stays recorded, and ` +
      'waiting may be repeated',
    { retryable: true, members: { missing } },
  );
}
