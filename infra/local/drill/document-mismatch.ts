/**
 * The bytes of a version are wrong at everybody who has them, when the last mirror comes for them.
 * Nothing can be confirmed past it. Resolved by another version in its place, or, where the right
 * bytes are found, by fetching them again.
 */
import { decide, showNext } from './decided.ts';
import { type Drilled, LEAD, VICTIM } from './drilled.ts';
import { replace } from './invalid-transaction.ts';
import { Storage } from './saboteur.ts';
import { type ShownAlarm, showAlarm, showBlocked, showProof, showRecovery } from './shown.ts';

const PHOTOS = 'FOTO-0001';
const HOLDERS = [LEAD, 'architect', 'checking-engineer'] as const;

export async function documentMismatch(drilled: Drilled, manner: string): Promise<ShownAlarm> {
  drilled.step('A document is recorded while the contractor is away, and its bytes go bad.');
  const contentDigest = await recordAndDamage(drilled);
  drilled.step('The contractor comes back, and gets wrong bytes from everybody.');
  const since = Date.now();
  await drilled.bringBack(VICTIM);
  const alarm = await showAlarm(drilled, 'document-mismatch', since);
  drilled.step('Everything is blocked, at everybody.');
  await showBlocked(drilled);
  drilled.step('The proof: whose word is it?');
  await showProof(drilled, alarm);
  drilled.step('The operators decide.');
  if (manner === 'replay') await fetchAgain(drilled, alarm, contentDigest);
  else await replace(drilled, alarm, PHOTOS);
  drilled.step('Everybody goes on.');
  await showRecovery(drilled);
  return alarm;
}

async function recordAndDamage(drilled: Drilled): Promise<string> {
  await drilled.takeOffline(VICTIM);
  // Bytes of its own: where other registries of the cluster have the same, they go bad as well.
  const photos = `Baustelle im November, ${drilled.registryId}`;
  const { sequence, contentDigest } = await drilled.record(PHOTOS, photos);
  await drilled.untilConfirmedBy(sequence, 'architect', 'checking-engineer');
  drilled.at(LEAD, `entry ${sequence}: ${PHOTOS} version 1; two mirrors have its bytes as well`);
  await flipEverywhere(drilled, contentDigest);
  drilled.site.narrator.at('every holder', 'one byte of it changes on disk');
  return contentDigest;
}

async function flipEverywhere({ site }: Drilled, contentDigest: string): Promise<void> {
  for (const name of HOLDERS) {
    const storage = new Storage(site.cluster, name);
    await storage.flipByte(contentDigest);
    storage.close();
  }
}

/** The right bytes are back from a backup of the disks. */
async function fetchAgain(
  drilled: Drilled,
  { conflictId }: ShownAlarm,
  contentDigest: string,
): Promise<void> {
  await showNext(drilled, conflictId);
  await flipEverywhere(drilled, contentDigest);
  drilled.site.narrator.at('every holder', 'puts the right bytes back from a backup');
  await decide(drilled, { manner: 'replay', reason: 'die richtigen Bytes liegen wieder vor' });
}
