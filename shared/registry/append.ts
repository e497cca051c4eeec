import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import type { RefusalCode } from '../ledger/errors.ts';
import { limits } from '../ledger/limits.ts';
import { type StateKey, stateKeysOf, transactionKey } from '../ledger/state.ts';
import { NAMED_KEY, stateKeysOfVoided } from '../ledger/superseding.ts';
import { type AppendResult, appendResult } from './append-result.ts';
import { type Carrying, NOTHING_CARRIED, readCarrying } from './carrying.ts';
import { CommitPlan, type PlanPorts, type Proposal } from './commit-plan.ts';
import type { Alarms, CommitWrite, Head, LedgerStore, Random, StateRead } from './ports.ts';
import { countStored } from './usage.ts';

/**
 * Appending at the lead, protocol section 5. Per registry one commit is under way in a process;
 * whatever arrives meanwhile shares the next one.
 *
 * 1. Take waiting requests, up to 24 transactions.  A crash leaves nothing.
 * 2. Read the head and the state they refer to.
 * 3. Answer repetitions from what is stored, also while blocked and by a former lead.
 * 4. Rule and build the entries; sign the checkpoint in memory.
 * 5. One conditional write.  A crash before it leaves nothing; a crash after it leaves the commit,
 *    which the client learns of by sending the same transaction id again.
 * 6. Only when the write is known to have succeeded are answers given, refusals included: they may
 *    rest on entries of the same commit. What failed ambiguously is settled by reading the
 *    transaction ids again: that is step 2 of the next attempt.
 */

export interface AppendPorts extends PlanPorts {
  readonly random: Random;
  readonly alarms: Alarms;
}

export type AppendOutcome =
  | { readonly outcome: 'appended'; readonly result: AppendResult }
  /** The same bytes were recorded before: their first result. */
  | { readonly outcome: 'repeated'; readonly result: AppendResult }
  | { readonly outcome: 'refused'; readonly code: RefusalCode; readonly detail: string }
  | { readonly outcome: 'unknown-registry' }
  | { readonly outcome: 'not-lead'; readonly lead: CertificateId }
  | { readonly outcome: 'in-conflict'; readonly conflicts: readonly Digest[] }
  /** The head was written in another table: this one was restored and may lack entries. */
  | { readonly outcome: 'not-reconciled'; readonly head: Head }
  /** Unknown or not done after bounded tries: to be repeated with the same transaction ids. */
  | { readonly outcome: 'busy'; readonly retryAfterSeconds: number };

interface Waiting {
  readonly proposals: readonly Proposal[];
  /** After shared commits failed all their tries: one that cannot succeed must not spoil others. */
  alone: boolean;
  readonly settle: (outcome: AppendOutcome) => void;
  readonly fail: (error: unknown) => void;
}

const ATTEMPTS_MAX = 8;
const ATTEMPTS_ALONE_MAX = 4;
/** Requests that may wait for one registry; more are sent away. */
const WAITING_MAX = 1000;
const BACKOFF_FIRST_MS = 15;
const BACKOFF_MAX_MS = 1000;

export class Appender {
  readonly #ports: AppendPorts;
  readonly #queues = new Map<RegistryId, Waiting[]>();

  constructor(ports: AppendPorts) {
    this.#ports = ports;
  }

  /**
   * Appends 1 to 24 transactions together, in order, all or nothing. For a create-registry, which
   * is the first of its array, `registryId` is its own digest.
   */
  append(registryId: RegistryId, proposals: readonly Proposal[]): Promise<AppendOutcome> {
    return new Promise((settle, fail) => {
      const waiting = { proposals, alone: false, settle, fail };
      const queue = this.#queues.get(registryId);
      if (queue !== undefined) {
        if (queue.length < WAITING_MAX) queue.push(waiting);
        else settle(BUSY);
        return;
      }
      const started = [waiting];
      this.#queues.set(registryId, started);
      void this.#drain(registryId, started);
    });
  }

  async #drain(registryId: RegistryId, queue: Waiting[]): Promise<void> {
    while (queue.length > 0) {
      const batch = takeBatch(queue);
      try {
        const outcomes = await appendBatch(this.#ports, registryId, batch);
        queue.unshift(...batch.filter((_, index) => outcomes[index] === 'later'));
        for (const [index, waiting] of batch.entries()) release(waiting, outcomes[index]);
      } catch (error) {
        // The unexpected fails its own requests and no later one.
        for (const waiting of batch) waiting.fail(error);
      }
    }
    this.#queues.delete(registryId);
  }
}

function release({ settle, fail }: Waiting, outcome: Settled | undefined): void {
  if (outcome === undefined || outcome === 'later') return;
  if (outcome.outcome === 'failed') fail(outcome.error);
  else settle(outcome);
}

/** As many waiting requests as fit a commit; one that repeats an id of another waits its turn. */
function takeBatch(queue: Waiting[]): Waiting[] {
  const batch: Waiting[] = [];
  const ids = new Set<string>();
  let count = 0;
  let bytes = 0;
  while (queue[0] !== undefined) {
    const { proposals } = queue[0];
    const added = proposals.map((proposal) => proposal.read.transaction.transactionId);
    count += proposals.length;
    for (const { read, details } of proposals) bytes += read.bytes.length + (details?.length ?? 0);
    const full = count > limits.commitEntriesMax || bytes > limits.appendBytesMax;
    const apart = full || queue[0].alone || batch[0]?.alone || added.some((id) => ids.has(id));
    if (batch.length > 0 && apart) break;
    for (const id of added) ids.add(id);
    batch.push(queue.shift() as Waiting);
  }
  return batch;
}

/** The unexpected, for one request only. */
interface FailedRequest {
  readonly outcome: 'failed';
  readonly error: unknown;
}

/** `later`: nothing is known yet, it takes part in another commit. */
type Settled = AppendOutcome | FailedRequest | 'later';
type Verdict = Settled | 'staged';

const BUSY = { outcome: 'busy', retryAfterSeconds: 1 } as const;

async function appendBatch(
  ports: AppendPorts,
  registryId: RegistryId,
  batch: readonly Waiting[],
): Promise<Settled[]> {
  const attemptsMax = batch[0]?.alone ? ATTEMPTS_ALONE_MAX : ATTEMPTS_MAX;
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    if (attempt > 0) await backOff(ports, attempt);
    const settled = await attemptBatch(ports, registryId, batch);
    if (settled !== 'again') return settled;
  }
  if (batch.length === 1) return [BUSY];
  for (const waiting of batch) waiting.alone = true;
  return batch.map(() => 'later');
}

/** Full jitter: anything up to the exponential bound, so that racing processes spread out. */
async function backOff({ clock, random }: AppendPorts, attempt: number): Promise<void> {
  const bound = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** attempt);
  await clock.wait(Math.floor(random.fraction() * bound));
}

async function attemptBatch(
  ports: AppendPorts,
  registryId: RegistryId,
  batch: readonly Waiting[],
): Promise<Settled[] | 'again'> {
  const read = await readState(ports, registryId, batch);
  if (read === 'unavailable') return 'again';
  const carrying = await carryingOf(ports.store, read);
  if (carrying === 'unavailable') return 'again';
  const plan = new CommitPlan(ports, carrying.read, carrying.carrying);
  const verdicts: Verdict[] = [];
  for (const { proposals } of batch) verdicts.push(await verdictOf(plan, registryId, proposals));
  const write = await plan.write(registryId);
  if (write !== undefined) {
    if ((await tryCommit(ports.store, write)) !== 'stored') return 'again';
    countStored(ports.alarms, write);
  }
  return verdicts.map((verdict, index) => {
    if (verdict !== 'staged') return verdict;
    return { outcome: 'appended', result: resultOf(registryId, batch[index], write) };
  });
}

async function verdictOf(
  plan: CommitPlan,
  registryId: RegistryId,
  proposals: readonly Proposal[],
): Promise<Verdict> {
  try {
    return await plan.add(registryId, proposals);
  } catch (error) {
    return { outcome: 'failed', error };
  }
}

async function readState(
  { store }: AppendPorts,
  registryId: RegistryId,
  batch: readonly Waiting[],
): Promise<StateRead | 'unavailable'> {
  const keys = new Set<StateKey>();
  for (const { proposals } of batch)
    for (const { read } of proposals)
      for (const key of stateKeysOf(read.transaction)) keys.add(key);
  try {
    const read = await store.read(registryId, [...keys]);
    // Some ids of an array found and others not: either it is repeated in part, or the read met
    // the write that records all of it. What is read after that write shows the whole.
    return isPartial(read, batch) ? await store.read(registryId, [...keys]) : read;
  } catch {
    return 'unavailable';
  }
}

/** With the state items that the resolutions mark which the next entry names: almost always none. */
async function carryingOf(
  store: LedgerStore,
  read: StateRead,
): Promise<{ readonly read: StateRead; readonly carrying: Carrying } | 'unavailable'> {
  const { head, items } = read;
  const decided = head?.decided ?? [];
  if (head === undefined || decided.length === 0) return { read, carrying: NOTHING_CARRIED };
  try {
    const carrying = await readCarrying(store, head, decided);
    const keys = [NAMED_KEY, ...stateKeysOfVoided([...carrying.replaced.values()])];
    const { items: further } = await store.read(head.registryId, keys);
    return { read: { head, items: new Map([...items, ...further]) }, carrying };
  } catch {
    return 'unavailable';
  }
}

function isPartial({ items }: StateRead, batch: readonly Waiting[]): boolean {
  return batch.some(({ proposals }) => {
    const found = proposals.filter(({ read }) =>
      items.has(transactionKey(read.transaction.transactionId)),
    );
    return found.length > 0 && found.length < proposals.length;
  });
}

/** A rejected write is unknown: the next attempt reads the transaction ids and so finds out. */
async function tryCommit(store: LedgerStore, write: CommitWrite): Promise<'stored' | 'again'> {
  try {
    const { outcome } = await store.commit(write);
    return outcome === 'stored' ? 'stored' : 'again';
  } catch {
    return 'again';
  }
}

/** The part of a commit that answers one request. */
function resultOf(
  registryId: RegistryId,
  waiting: Waiting | undefined,
  write: CommitWrite | undefined,
): AppendResult {
  const ids = new Set(waiting?.proposals.map(({ read }) => read.transaction.transactionId));
  return appendResult(registryId, write?.entries ?? [], ids);
}
