import type { DisputePlace } from './audit-progress.ts';
import { allReports } from './kept-statements.ts';
import type { Head, LedgerStore } from './ports.ts';

/**
 * Documents about which a peer says that it got the bytes from nobody: whoever holds bytes of them
 * reads its own again at once, and does not wait until their turn comes (protocol section 7). As
 * long as the conflict is open it does so in every run, and once more after it. They take half of a
 * run at most, and each run begins after the one that the run before read last: nobody's open
 * conflict keeps those of others, or the pass, from being read.
 */

/** An entry whose document is or was in dispute. */
export interface Disputed extends DisputePlace {
  readonly open: boolean;
}

/** A report may be written a little later than it says, by another clock than the audit's. */
const WRITTEN_WITHIN_MS = 60_000;

/** Those that were reported after that time, oldest first; all of them where none is given. */
export async function disputedSince(
  store: LedgerStore,
  { registryId, openConflicts }: Head,
  since: string | undefined,
): Promise<Disputed[]> {
  const reports = await allReports(store, registryId);
  return reports
    .filter(({ said }) => said.kind === 'document-mismatch')
    .filter(({ recordedAt }) => since === undefined || recordedAt > since)
    .map(({ conflictId, said: { sequence }, recordedAt }) => ({
      sequence,
      recordedAt,
      open: openConflicts.includes(conflictId),
    }))
    .sort(places);
}

function places(a: DisputePlace, b: DisputePlace): number {
  if (a.recordedAt !== b.recordedAt) return a.recordedAt < b.recordedAt ? -1 : 1;
  return a.sequence - b.sequence;
}

/** All of them, those after that place first. */
export function beginningAfter(
  disputed: readonly Disputed[],
  last: DisputePlace | undefined,
): readonly Disputed[] {
  if (last === undefined) return disputed;
  const isAfter = (each: Disputed) => places(each, last) > 0;
  return [...disputed.filter(isAfter), ...disputed.filter((each) => !isAfter(each))];
}

/** Through when nothing is to be looked into again, of what was by a run that began then. */
export function lookedThrough(
  disputed: readonly Disputed[],
  looked: ReadonlySet<Disputed>,
  beganMs: number,
): string | undefined {
  const firstLeft = disputed.findIndex((each) => each.open || !looked.has(each));
  const last = (firstLeft === -1 ? disputed : disputed.slice(0, firstLeft)).at(-1);
  if (last === undefined) return undefined;
  const settled = new Date(beganMs - WRITTEN_WITHIN_MS).toISOString();
  return last.recordedAt < settled ? last.recordedAt : settled;
}
