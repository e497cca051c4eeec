/**
 * The lead's key signs two entries for one place: the contractor gets another one than the others.
 * The mirrors find it by comparing confirmations, and hold the proof. Resolved by a replay of the
 * branch that the others hold, or by closing the registry and going on in a successor.
 */
import type { RegistryId, Sequence } from '../../../shared/ledger/digest.ts';
import { acceptAtMirrors, decide, setAsideAt, showNext } from './decided.ts';
import { type Drilled, LEAD, VICTIM } from './drilled.ts';
import { Forger, versionAgain } from './forger.ts';
import { Storage } from './saboteur.ts';
import {
  type ShownAlarm,
  showAlarm,
  showBlocked,
  showProof,
  showRecovery,
  showSound,
} from './shown.ts';
import { succeed } from './successor.ts';

const PLAN = 'ARC-0001';

export async function fork(drilled: Drilled, manner: string): Promise<ShownAlarm> {
  drilled.step('The lead tells the contractor another story than the others.');
  const since = await tellTwoStories(drilled);
  drilled.step('The confirmations cross, and do not agree.');
  const alarm = await showAlarm(drilled, 'fork', since);
  drilled.step('Everything is blocked, at everybody.');
  await showBlocked(drilled);
  drilled.step('The proof: two chains with the signature of the lead.');
  await showProof(drilled, alarm);
  drilled.step('The operators decide.');
  await showNext(drilled, alarm.conflictId);
  if (manner === 'close') {
    await succeed(drilled);
    await showSound(drilled);
    return alarm;
  }
  await replayOneBranch(drilled, alarm);
  drilled.step('Everybody goes on.');
  await showRecovery(drilled);
  return alarm;
}

/** Gives when the other story was told. */
async function tellTwoStories(drilled: Drilled): Promise<number> {
  const { cluster } = drilled.site;
  const storage = new Storage(cluster, LEAD);
  const head = await storage.store.head(drilled.registryId as RegistryId);
  storage.close();
  if (head === undefined) throw new Error('the lead has no head');
  await drilled.takeOffline(VICTIM);
  const told = await drilled.record(PLAN, 'zweite Fassung');
  await drilled.untilConfirmedBy(told.sequence, 'architect', 'checking-engineer');
  drilled.at(LEAD, `entry ${told.sequence}: ${PLAN} version 2; the others have confirmed it`);
  // Before it gets through to the contractor itself.
  await drilled.takeOffline(LEAD);
  await drilled.bringBack(VICTIM);
  const forger = new Forger(drilled.member(LEAD));
  const { carried } = forger.forge(head, await versionAgain(drilled, PLAN, 2));
  const since = Date.now();
  const answer = await forger.deliver(head.registryId, drilled.member(VICTIM), carried);
  if (answer.outcome !== 'answered' || answer.status !== 200) {
    const said =
      answer.outcome === 'answered' ? Buffer.from(answer.body).toString() : answer.reason;
    throw new Error(`the contractor did not take the forged entry: ${said}`);
  }
  drilled.at(
    VICTIM,
    `gets another entry ${told.sequence} with the lead's key and certificate, and confirms it: ` +
      `${PLAN} version 2 with the bytes of version 1`,
  );
  await drilled.bringBack(LEAD);
  return since;
}

/** The branch that the lead holds stays; both are named, so that the other may give way. */
async function replayOneBranch(
  drilled: Drilled,
  { conflictId, sequence }: ShownAlarm,
): Promise<void> {
  const { said } = await drilled.operator(LEAD).conflict(drilled.registryId, conflictId);
  const resolution = await decide(drilled, {
    manner: 'replay',
    entries: said.digests.map((digest) => ({ sequence: sequence as Sequence, digest })),
    reason: 'die Fassung gilt, die zwei Spiegel bestätigt haben',
  });
  await acceptAtMirrors(drilled, resolution);
  await setAsideAt(drilled, VICTIM, conflictId);
}
