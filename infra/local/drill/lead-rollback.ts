/**
 * The lead's table is restored from a backup that is too old: it lacks entries that it has signed,
 * and its peers hold. Its audit finds it by asking them. Resolved by taking back what they hold.
 */
import { takeBack } from './digest-mismatch.ts';
import { type Drilled, LEAD } from './drilled.ts';
import { Storage } from './saboteur.ts';
import { type ShownAlarm, showAlarm, showBlocked, showProof, showRecovery } from './shown.ts';

export async function leadRollback(drilled: Drilled): Promise<ShownAlarm> {
  drilled.step("The lead's table is restored from a backup, and two entries are gone.");
  const since = await restoreOldHead(drilled);
  drilled.step("The lead's audit asks its peers for their heads, and finds it.");
  await drilled.site.cluster.invoke(LEAD, 'audit', {});
  const alarm = await showAlarm(drilled, 'lead-rollback', since);
  drilled.step('Everything is blocked, at everybody.');
  await showBlocked(drilled);
  drilled.step('The proof: whose word is it?');
  await showProof(drilled, alarm);
  drilled.step('The operators decide.');
  await takeBack(drilled, alarm);
  drilled.step('Everybody goes on.');
  await showRecovery(drilled);
  return alarm;
}

/** Gives when the old head was put back. */
async function restoreOldHead(drilled: Drilled): Promise<number> {
  const storage = new Storage(drilled.site.cluster, LEAD);
  try {
    const before = await storage.savedHead(drilled.registryId);
    await drilled.record('PLAN-0001', 'Grundriss');
    const last = await drilled.record('PLAN-0002', 'Schnitt');
    await drilled.untilFinal(last.sequence);
    drilled.at(LEAD, `entry ${last.sequence} is final at everybody`);
    const since = Date.now();
    await storage.putBack(before);
    const { head } = await drilled.application(LEAD).unverified.registry(drilled.registryId);
    drilled.at(LEAD, `after the restore its head is entry ${head.sequence}`);
    return since;
  } finally {
    storage.close();
  }
}
