import { allReports } from './kept-statements.ts';
import type { Head, LedgerStore } from './ports.ts';

/**
 * Documents about which a peer says that it got the bytes from nobody: whoever holds bytes of them
 * reads its own again at once, and does not wait until their turn comes (protocol section 7). As
 * long as the conflict is open it does so in every run, and once more after it.
 */

/** An entry whose document is or was in dispute. */
export interface Disputed {
  readonly sequence: number;
  /** When the report of it was recorded here. */
  readonly recordedAt: string;
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
    }));
}

/** Through when nothing is to be looked into again, of what was by a run that began then. */
export function lookedThrough(looked: readonly Disputed[], beganMs: number): string | undefined {
  const firstOpen = looked.findIndex(({ open }) => open);
  const last = (firstOpen === -1 ? looked : looked.slice(0, firstOpen)).at(-1);
  if (last === undefined) return undefined;
  const settled = new Date(beganMs - WRITTEN_WITHIN_MS).toISOString();
  return last.recordedAt < settled ? last.recordedAt : settled;
}
