import { leadOf } from '../ledger/chain.ts';
import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { limits } from '../ledger/limits.ts';
import { owedThrough } from './commit.ts';
import { isParked } from './confirm.ts';
import type {
  Alarms,
  Clock,
  Cursor,
  Head,
  LedgerStore,
  Outbox,
  Progress,
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
 * Pokes whatever of one registry is due now; its head. `occasion` separates pokes of different
 * sweeps.
 */
export async function wake(
  { store, outbox, signer, clock }: WakePorts,
  registryId: RegistryId,
  occasion: string,
): Promise<Head | undefined> {
  const head = await store.head(registryId);
  if (head === undefined) return undefined;
  const [cursors, log, progress] = await Promise.all([
    store.cursors(registryId),
    store.statementsHead(registryId),
    store.progress(registryId),
  ]);
  const now = clock.now();
  const token = `${head.sequence}:${log}:${occasion}`;
  const byPeer = new Map(cursors.map((cursor) => [cursor.peer, cursor]));
  for (const peer of addressees(head, signer.knownIds))
    if (isDue([head, log], signer.knownIds, byPeer.get(peer) ?? { peer }))
      if (!isParked(byPeer.get(peer), now)) await outbox.pokeDelivery(registryId, peer, token);
  if (hasToVerify(head, progress, signer.knownIds) && !isParked(progress, now))
    await outbox.pokeFetch(registryId, `${token}:${progress?.verifiedThrough ?? 0}`);
  return head;
}

/**
 * All registries of the instance, one after the other, and the alarm for each that is stopped by a
 * conflict: it goes on until people have resolved it. What fails for one registry does not keep the
 * others from being woken; it is thrown at the end.
 */
export async function wakeAll(ports: WakePorts, occasion: string): Promise<number> {
  const errors: Error[] = [];
  let count = 0;
  let after: RegistryId | undefined;
  do {
    const page = await ports.store.registries(after, limits.pageMax);
    for (const registryId of page) {
      const error = await sweepOne(ports, registryId, occasion);
      if (error !== undefined) errors.push(error);
    }
    count += page.length;
    after = page.at(-1);
  } while (after !== undefined);
  const [first] = errors;
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
): Promise<Error | undefined> {
  try {
    const head = await wake(ports, registryId, occasion);
    const open = head?.openConflicts ?? [];
    if (open.length > 0)
      ports.alarms.raise('OpenConflicts', { registryId, open: open.length, first: open[0] ?? '' });
    return undefined;
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

/** A mirror has to re-read to its head; a lead that was promoted, to the hand-over. */
function hasToVerify(
  head: Head,
  progress: Progress | undefined,
  self: readonly CertificateId[],
): boolean {
  const leads = self.includes(leadOf(head.configuration));
  const until = leads ? head.configuration.sequence : head.sequence;
  if (leads && until === 1) return false;
  return (progress?.verifiedThrough ?? 0) < until;
}
