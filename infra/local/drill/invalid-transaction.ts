/**
 * The lead records what breaks the rules, with its own right signature: a version that skips. Its
 * mirrors refuse it, and the entry itself is the proof. Resolved by an alternative entry.
 */
import type { RegistryId } from '../../../shared/ledger/digest.ts';
import { acceptAtMirrors, decide, showNext } from './decided.ts';
import { type Drilled, LEAD } from './drilled.ts';
import { Forger, versionAgain } from './forger.ts';
import { Storage } from './saboteur.ts';
import { type ShownAlarm, showAlarm, showBlocked, showProof, showRecovery } from './shown.ts';

const PLAN = 'ARC-0001';
const SKIPPED_TO = 5;

export async function invalidTransaction(drilled: Drilled): Promise<ShownAlarm> {
  drilled.step(
    `The lead's broken software records version ${SKIPPED_TO} of ${PLAN} after version 1.`,
  );
  const since = await recordWhatBreaksTheRules(drilled);
  drilled.step('It is delivered, and the mirrors refuse it.');
  const alarm = await showAlarm(drilled, 'invalid-transaction', since);
  drilled.step('Everything is blocked, at everybody.');
  await showBlocked(drilled);
  drilled.step('The proof: the entry itself, signed by the lead.');
  await showProof(drilled, alarm);
  drilled.step('The operators decide.');
  await replace(drilled, alarm, PLAN);
  drilled.step('Everybody goes on.');
  await showRecovery(drilled);
  return alarm;
}

/** Into the lead's own table, as its process would. Gives when it was written. */
async function recordWhatBreaksTheRules(drilled: Drilled): Promise<number> {
  const storage = new Storage(drilled.site.cluster, LEAD);
  try {
    const head = await storage.store.head(drilled.registryId as RegistryId);
    if (head === undefined) throw new Error('the lead has no head');
    const forger = new Forger(drilled.member(LEAD));
    const { write } = forger.forge(head, await versionAgain(drilled, PLAN, SKIPPED_TO));
    const since = Date.now();
    const { outcome } = await storage.store.commit(write);
    if (outcome !== 'stored') throw new Error(`the commit was not written: ${outcome}`);
    drilled.at(LEAD, `entry ${write.head.sequence} is in its table, and no rule was asked`);
    return since;
  } finally {
    storage.close();
  }
}

/** Voids the entry; the next version takes its place, once all who have to have accepted. */
export async function replace(
  drilled: Drilled,
  { conflictId, sequence, accused }: ShownAlarm,
  documentId: string,
): Promise<void> {
  await showNext(drilled, conflictId);
  const resolution = await decide(drilled, {
    manner: 'replace',
    entries: [sequence],
    reason: 'der Eintrag wird durch einen richtigen ersetzt',
  });
  if (accused === drilled.id(LEAD)) await acceptAtMirrors(drilled, resolution);
  const voided = await drilled.application(LEAD).unverified.entry(drilled.registryId, sequence);
  const supersedes = { sequence: voided.sequence, digest: voided.digest };
  const recorded = await drilled.record(documentId, `${documentId}, neu`, supersedes);
  drilled.at(
    LEAD,
    `entry ${recorded.sequence}: ${documentId} version ${recorded.version} takes the place of ` +
      `entry ${sequence}`,
  );
}
