import { leadOf } from '../ledger/chain.ts';
import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { limits } from '../ledger/limits.ts';
import { owedThrough } from './commit.ts';
import { conclude } from './conclude.ts';
import { isParked, progressIn } from './confirm.ts';
import { isWaiting } from './deliver.ts';
import { measureLags } from './lag.ts';
import type {
  Alarms,
  Clock,
  Cursor,
  Head,
  LedgerStore,
  Outbox,
  Progress,
  Random,
  Signer,
} from './ports.ts';

/**
 * Finds out what is due and pokes for it: the table is the outbox (protocol section 6). The fan-out
 * calls it for a registry whose head or log has moved, the sweep for every registry once a minute,
 * so that a lost poke, a lost stream record and a parked peer are all made good by the same code.
 * A crash anywhere loses pokes only: the next sweep finds the same again.
 */

export interface WakePorts {
  readonly store: LedgerStore;
  readonly outbox: Outbox;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly alarms: Alarms;
}

/**
 * A peer that was parked and has spoken is tried again at once, instead of when its time comes; so
 * is one whose copy begins anew.
 */
export async function callAgain(
  { store, outbox, clock, random }: Omit<WakePorts, 'alarms'> & { readonly random: Random },
  registryId: RegistryId,
  peer: CertificateId,
): Promise<void> {
  const cursor = await store.cursor(registryId, peer);
  if (cursor === undefined) return;
  if (!isParked(cursor, clock.now()) && cursor.deliveredThrough !== undefined) return;
  const { nextAttemptAt: _nextAttemptAt, ...due } = cursor;
  await store.putCursor(due);
  await outbox.pokeDelivery(registryId, peer, `spoke:${random.uuid()}`);
}

/** What was read of a registry on the way. */
export interface Woken {
  readonly head: Head;
  readonly cursors: readonly Cursor[];
}

/** Pokes whatever of one registry is due now. `occasion` separates pokes of different sweeps. */
export async function wake(
  { store, outbox, signer, clock }: WakePorts,
  registryId: RegistryId,
  occasion: string,
): Promise<Woken | undefined> {
  const head = await store.head(registryId);
  if (head === undefined) return undefined;
  const [cursors, log, progress] = await Promise.all([
    store.cursors(registryId),
    store.statementsHead(registryId),
    store.progress(registryId),
  ]);
  const now = clock.now();
  const token = `${head.copy}:${head.sequence}:${log}:${occasion}`;
  const byPeer = new Map(cursors.map((cursor) => [cursor.peer, cursor]));
  const due = addressees(head, signer.knownIds).filter(
    (peer) =>
      !isWaiting(byPeer.get(peer), log, now) &&
      isDue([head, log], signer.knownIds, byPeer.get(peer) ?? { peer }),
  );
  for (const peer of due) await outbox.pokeDelivery(registryId, peer, token);
  const verify = head.filling !== undefined || hasToVerify(head, progress, signer.knownIds);
  if (verify && !isParked(progressIn(head, progress), now))
    await outbox.pokeFetch(registryId, `${token}:${progress?.verifiedThrough ?? 0}`);
  return { head, cursors };
}

/**
 * All registries of the instance, one after the other, with the alarm for each that is stopped by a
 * conflict, until people have resolved it, and with how far its peers are behind. A lag of 0 is
 * measured where nobody is, so that its alarm sees that it is over. What fails for one registry does
 * not keep the others from being woken; it is thrown at the end.
 */
export async function wakeAll(ports: WakePorts, occasion: string): Promise<number> {
  const errors: Error[] = [];
  let behind = 0;
  let count = 0;
  let after: RegistryId | undefined;
  do {
    const page = await ports.store.registries(after, limits.pageMax);
    for (const registryId of page) {
      const swept = await sweepOne(ports, registryId, occasion);
      if (swept instanceof Error) errors.push(swept);
      else if (swept === 'behind') behind += 1;
    }
    count += page.length;
    after = page.at(-1);
  } while (after !== undefined);
  const [first] = errors;
  if (first === undefined && behind === 0)
    ports.alarms.measure('PeerLagSeconds', 0, { registries: count });
  if (first === undefined) return count;
  throw new AggregateError(
    errors,
    `${errors.length} of ${count} registries could not be woken; the first: ${first.message}`,
  );
}

async function sweepOne(
  ports: WakePorts,
  registryId: RegistryId,
  occasion: string,
): Promise<'in-step' | 'behind' | Error> {
  try {
    const woken = await wake(ports, registryId, occasion);
    if (woken === undefined) return 'in-step';
    const { openConflicts: all, decided = [] } = woken.head;
    const closed = all.length > 0 && decided.length > 0 ? await conclude(ports, registryId) : [];
    const open = all.filter((conflictId) => !closed.includes(conflictId));
    if (open.length > 0)
      ports.alarms.raise('OpenConflicts', { registryId, open: open.length, first: open[0] ?? '' });
    return await measureLags(ports, woken.head, woken.cursors);
  } catch (error) {
    return error instanceof Error ? error : new Error('unknown');
  }
}

function addressees(head: Head, self: readonly CertificateId[]): CertificateId[] {
  const duties = Object.keys(head.duties) as CertificateId[];
  const all = new Set([...duties, ...head.configuration.peers]);
  return [...all].filter((peer) => !self.includes(peer));
}

type Served = Pick<Cursor, 'peer'> &
  Partial<Pick<Cursor, 'deliveredThrough' | 'statementsThrough'>>;

function isDue(
  [head, log]: readonly [Head, number],
  self: readonly CertificateId[],
  { peer, deliveredThrough = 0, statementsThrough = 0 }: Served,
): boolean {
  if (deliveredThrough < owedThrough(head, self, peer)) return true;
  return head.configuration.peers.includes(peer) && statementsThrough < log;
}

/**
 * A mirror has to re-read to its head; a lead that was promoted, to the hand-over, and one that
 * took back what it had lost, all of its new copy.
 */
function hasToVerify(
  head: Head,
  progress: Progress | undefined,
  self: readonly CertificateId[],
): boolean {
  const leads = self.includes(leadOf(head.configuration));
  const until = leads && head.copy === 1 ? head.configuration.sequence : head.sequence;
  if (leads && head.copy === 1 && until === 1) return false;
  return progressIn(head, progress).verifiedThrough < until;
}
