/**
 * One byte of a transaction in the lead's own table is edited, before a mirror that was away gets
 * it. What the lead then delivers does not come out to its own checkpoint, three times. Resolved in
 * two steps: the lead takes back what its peers hold, and delivers again.
 */
import { acceptAtMirrors, decide, showNext } from './decided.ts';
import { type Drilled, LEAD, VICTIM } from './drilled.ts';
import { Storage } from './saboteur.ts';
import { type ShownAlarm, showAlarm, showBlocked, showProof, showRecovery } from './shown.ts';

export async function digestMismatch(drilled: Drilled): Promise<ShownAlarm> {
  drilled.step("One byte of what the lead is to deliver is edited in the lead's own table.");
  await recordAndEdit(drilled);
  drilled.step('The contractor comes back; what it gets does not come out, three times.');
  const since = Date.now();
  await drilled.bringBack(VICTIM);
  const alarm = await showAlarm(drilled, 'digest-mismatch', since);
  drilled.step("The lead's own audit finds out whose fault it is.");
  const asked = Date.now();
  await drilled.site.cluster.invoke(LEAD, 'audit', {});
  const own = await showAlarm(drilled, 'local-tampering', asked);
  drilled.step('Everything is blocked, at everybody.');
  await showBlocked(drilled);
  drilled.step('The proof: whose word is it?');
  await showProof(drilled, alarm);
  await showProof(drilled, own);
  drilled.step('The operators decide, one conflict after the other.');
  await takeBack(drilled, own, [own.conflictId]);
  await drilled.untilResolved(own.conflictId);
  drilled.at(LEAD, 'its new copy is whole');
  await showNext(drilled, alarm.conflictId);
  await decide(drilled, {
    manner: 'replay',
    conflicts: [alarm.conflictId],
    reason: 'die Federführung hat ihre Kopie wieder richtig',
  });
  drilled.step('Everybody goes on.');
  await showRecovery(drilled);
  return alarm;
}

async function recordAndEdit(drilled: Drilled): Promise<void> {
  await drilled.takeOffline(VICTIM);
  const edited = await drilled.record('PLAN-0001', 'Grundriss');
  const last = await drilled.record('PLAN-0002', 'Schnitt');
  await drilled.untilConfirmedBy(last.sequence, 'architect', 'checking-engineer');
  drilled.at(LEAD, `entries ${edited.sequence} and ${last.sequence} are confirmed by the others`);
  const storage = new Storage(drilled.site.cluster, LEAD);
  const { was, is } = await storage.editVersion(drilled.registryId, edited.transactionId);
  storage.close();
  drilled.at(
    LEAD,
    `the transaction of entry ${edited.sequence} ended in ${was} and now ends in ${is}`,
  );
}

/** The lead builds a new copy from its own sound entries and what its peers hold. */
export async function takeBack(
  drilled: Drilled,
  { conflictId }: ShownAlarm,
  conflicts?: readonly string[],
): Promise<void> {
  await showNext(drilled, conflictId);
  const resolution = await decide(drilled, {
    manner: 'take-back',
    ...(conflicts === undefined ? {} : { conflicts }),
    reason: 'die Federführung übernimmt, was die anderen haben',
  });
  await acceptAtMirrors(drilled, resolution);
}
