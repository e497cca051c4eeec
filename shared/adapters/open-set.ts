/** What a write changes in the set of open conflicts, by the same rule in every store. */
import type { ExpectedHead, OpenSetChange } from '../registry/conflict-record.ts';
import type { Head } from '../registry/ports.ts';

/** Undefined: it leaves the set as it was. */
export function openSetChange(
  before: Pick<ExpectedHead, 'openConflicts'> | undefined,
  { registryId, conflictsVersion, openConflicts, closed }: Head,
): OpenSetChange | undefined {
  const open = before?.openConflicts ?? [];
  const reopened = openConflicts.filter((conflictId) => !open.includes(conflictId));
  const ended = open.filter((conflictId) => !openConflicts.includes(conflictId));
  if (reopened.length + ended.length === 0) return undefined;
  return {
    registryId,
    conflictsVersion,
    reopened,
    ended,
    openConflicts: openConflicts.length,
    ...(closed === undefined ? {} : { closed }),
  };
}
