/**
 * One byte of a stored transaction is edited in the contractor's table. Its own audit finds it, and
 * its own word accuses it. Resolved by a new copy, or by expelling it.
 */
import { decide, setAsideAt, showNext } from './decided.ts';
import { type Drilled, LEAD, VICTIM } from './drilled.ts';
import { Storage } from './saboteur.ts';
import { type ShownAlarm, showAlarm, showBlocked, showProof, showRecovery } from './shown.ts';

/** So many entries a third mirror lacks when the second one is expelled. */
const BEHIND = 50;
const THIRD = 'checking-engineer';
const EDITED = 3;

export async function localTampering(drilled: Drilled, manner: string): Promise<ShownAlarm> {
  if (manner === 'expel') await leaveBehind(drilled);
  drilled.step(`Somebody edits one byte of entry ${EDITED} in the contractor's table.`);
  const since = await tamperWith(drilled, EDITED);
  drilled.step("The contractor's audit reads everything again, and finds it.");
  const alarm = await auditFinds(drilled, since);
  drilled.step('Everything is blocked, at everybody.');
  await showBlocked(drilled);
  drilled.step('The proof: whose word is it?');
  await showProof(drilled, alarm);
  drilled.step('The operators decide.');
  await (manner === 'expel' ? expel(drilled, alarm) : replay(drilled, alarm));
  drilled.step('Everybody goes on.');
  await showRecovery(drilled);
  return alarm;
}

/** With the instance's own rights, past its software. Gives when it was done. */
export async function tamperWith(drilled: Drilled, sequence: number): Promise<number> {
  const { receipt } = await drilled.application(VICTIM).entry(drilled.registryId, sequence);
  const storage = new Storage(drilled.site.cluster, VICTIM);
  try {
    const since = Date.now();
    const { transactionId } = receipt.transaction;
    const { was, is } = await storage.editVersion(drilled.registryId, transactionId);
    drilled.at(
      VICTIM,
      `the transaction of entry ${sequence} ended in ${was} and now ends in ${is}`,
    );
    return since;
  } finally {
    storage.close();
  }
}

/** Not waited for: the run of the schedule, now. */
export async function auditFinds(drilled: Drilled, since: number): Promise<ShownAlarm> {
  await drilled.site.cluster.invoke(VICTIM, 'audit', {});
  return showAlarm(drilled, 'local-tampering', since);
}

/** A copy that is wrong is set aside; the lead delivers again. */
export async function replay(drilled: Drilled, { conflictId }: ShownAlarm): Promise<void> {
  await showNext(drilled, conflictId);
  await setAsideAt(drilled, VICTIM, conflictId);
  await decide(drilled, {
    manner: 'replay',
    reason: 'ein Byte in der Tabelle des Bauunternehmers wurde geändert',
  });
}

/** A third mirror is far behind when it happens. */
async function leaveBehind(drilled: Drilled): Promise<void> {
  drilled.step(`The checking engineer's instance is away while ${BEHIND} entries are recorded.`);
  await drilled.takeOffline(THIRD);
  const last = await drilled.recordMany(BEHIND);
  await drilled.untilConfirmedBy(last, 'architect', VICTIM);
  drilled.at(LEAD, `entry ${last} is confirmed by the two who are there`);
}

async function expel(drilled: Drilled, { conflictId }: ShownAlarm): Promise<void> {
  await showNext(drilled, conflictId);
  await decide(drilled, {
    manner: 'expel',
    reason: 'der Bauunternehmer kann seine Kopie nicht erklären',
  });
  const peers = drilled.site.members
    .filter(({ name }) => name !== VICTIM)
    .map(({ certificateId }) => certificateId);
  const recorded = await drilled.operator(LEAD).reconfigurePeers(drilled.registryId, peers);
  drilled.at(LEAD, `entry ${recorded.sequence} is the new peer list, without the contractor`);
  drilled.leave(VICTIM);
  await drilled.bringBack(THIRD);
  await drilled.untilFinal(recorded.sequence);
  await showExpelled(drilled);
  drilled.at(THIRD, `has caught up ${BEHIND} entries, with the conflict and its resolution`);
}

/** What the expelled instance itself says: it is asked as before, and told nothing any more. */
async function showExpelled(drilled: Drilled): Promise<void> {
  const { unverified } = drilled.operator(VICTIM);
  const { role, head, openConflicts } = await unverified.registry(drilled.registryId);
  drilled.at(
    VICTIM,
    `is expelled, and hears no more: its own copy ends at entry ${head.sequence}, its role there is ` +
      `"${role}", ${openConflicts.length === 0 ? 'no conflict is' : 'the conflict is still'} open there`,
  );
}
