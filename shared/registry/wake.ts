import { leadOf } from '../ledger/chain.ts';
import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import type { Clock, Cursor, Head, LedgerStore, Outbox, Progress, Signer } from './ports.ts';

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
}

/** Pokes whatever of one registry is due now. `occasion` separates pokes of different sweeps. */
export async function wake(
  { store, outbox, signer, clock }: WakePorts,
  registryId: RegistryId,
  occasion: string,
): Promise<void> {
  const head = await store.head(registryId);
  if (head === undefined) return;
  const [cursors, log, progress] = await Promise.all([
    store.cursors(registryId),
    store.statementsHead(registryId),
    store.progress(registryId),
  ]);
  const now = clock.now();
  const token = `${head.sequence}:${log}:${occasion}`;
  const byPeer = new Map(cursors.map((cursor) => [cursor.peer, cursor]));
  for (const peer of addressees(head, signer.knownIds))
    if (isDue(head, log, peer, byPeer.get(peer)) && isTime(byPeer.get(peer), now))
      await outbox.pokeDelivery(registryId, peer, token);
  if (hasToVerify(head, progress, signer.knownIds) && isTime(progress, now))
    await outbox.pokeFetch(registryId, `${token}:${progress?.verifiedThrough ?? 0}`);
}

/** All registries of the instance, one after the other. */
export async function wakeAll(ports: WakePorts, occasion: string): Promise<number> {
  let count = 0;
  let after: RegistryId | undefined;
  for (;;) {
    const page = await ports.store.registries(after, 100);
    for (const registryId of page) await wake(ports, registryId, occasion);
    count += page.length;
    after = page.at(-1);
    if (after === undefined) return count;
  }
}

function addressees(head: Head, self: readonly CertificateId[]): CertificateId[] {
  const duties = Object.keys(head.duties) as CertificateId[];
  const all = new Set([...duties, ...head.configuration.peers]);
  return [...all].filter((peer) => !self.includes(peer));
}

function isDue(head: Head, log: number, peer: CertificateId, cursor: Cursor | undefined): boolean {
  const duty = head.duties[peer];
  const until = duty === 'open' ? head.sequence : (duty ?? 0);
  if (until > 0 && (cursor?.deliveredThrough ?? 0) < until) return true;
  return head.configuration.peers.includes(peer) && (cursor?.statementsThrough ?? 0) < log;
}

function isTime(parked: Pick<Cursor, 'nextAttemptAt'> | undefined, now: number): boolean {
  return parked?.nextAttemptAt === undefined || Date.parse(parked.nextAttemptAt) <= now;
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
