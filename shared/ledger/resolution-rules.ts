import type { Link } from './backlinks.ts';
import { type ConflictKind, type ConflictStatement, conflictIdOf } from './conflict.ts';
import type { CertificateId } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import type { Resolution } from './resolution.ts';

/** Which decisions fit which conflicts: the table of protocol section 7. */

export type Manner = Resolution['manner'];

/**
 * How a conflict may be resolved. A set-aside is no manner to choose: people choose replay, and
 * whoever's own copy is wrong signs a set-aside of its own first.
 */
export function mannersOf(
  kind: ConflictKind,
  { accusedLeads }: { readonly accusedLeads: boolean },
): readonly Manner[] {
  switch (kind) {
    case 'digest-mismatch':
    case 'fork':
      return ['replay', 'expel', 'close'];
    case 'invalid-transaction':
    case 'document-mismatch':
      return ['replay', 'replace', 'expel', 'close'];
    case 'lead-rollback':
      return ['take-back', 'close'];
    case 'local-tampering':
      // Only the lead appends, so it can neither deliver to itself nor be expelled.
      return accusedLeads ? ['take-back', 'close'] : ['replay', 'expel', 'close'];
  }
}

/**
 * Holds a resolution against the conflicts that it names, all of which are given, and against
 * itself. `lead`: in force where it was decided. Undefined: it fits. Who signed it, whether the
 * conflicts are open, and whether `through` and the entries are the ledger's, the caller asks.
 */
export function checkResolution(
  resolution: Resolution,
  conflicts: readonly ConflictStatement[],
  lead: CertificateId,
): Refused | undefined {
  return (
    checkConflicts(resolution, conflicts) ??
    checkManner(resolution, conflicts, lead) ??
    checkEntries(resolution, conflicts)
  );
}

function checkConflicts(
  { registryId, conflicts: named }: Resolution,
  conflicts: readonly ConflictStatement[],
): Refused | undefined {
  const ids = conflicts.map(conflictIdOf);
  if (new Set(named).size !== named.length) return malformed('names a conflict twice');
  const missing = named.find((id) => !ids.includes(id));
  if (missing !== undefined) return malformed(`names the conflict ${missing}, which is not known`);
  const other = conflicts.find((conflict) => conflict.registryId !== registryId);
  return other && malformed(`is of ${registryId}, and names a conflict of ${other.registryId}`);
}

function checkManner(
  { manner }: Resolution,
  conflicts: readonly ConflictStatement[],
  lead: CertificateId,
): Refused | undefined {
  for (const { kind, accused } of conflicts) {
    const manners = mannersOf(kind, { accusedLeads: accused === lead });
    if (manners.includes(manner)) continue;
    return refuse(
      'MANNER_NOT_ALLOWED',
      `a conflict of the kind ${kind} is not resolved by ${manner}; choose ${manners.join(' or ')}`,
    );
  }
  return undefined;
}

function checkEntries(
  resolution: Resolution,
  conflicts: readonly ConflictStatement[],
): Refused | undefined {
  const { manner, entries } = resolution;
  switch (manner) {
    case 'replace':
      return checkReplaced(resolution, conflicts);
    case 'replay':
      return entries.length === 0 ? undefined : checkBranches(entries, conflicts);
    case 'expel':
    case 'set-aside':
    case 'take-back':
    case 'close':
      return entries.length === 0
        ? undefined
        : malformed(`names entries; ${manner} replaces and voids none: leave them out`);
  }
}

/** Conflicts about what one entry says: to replace is to name that entry. */
const ABOUT_AN_ENTRY: ReadonlySet<ConflictKind> = new Set([
  'invalid-transaction',
  'document-mismatch',
]);

function checkReplaced(
  { entries, through }: Resolution,
  conflicts: readonly ConflictStatement[],
): Refused | undefined {
  const sequences = new Set<number>(entries.map(({ sequence }) => sequence));
  if (sequences.size !== entries.length) return malformed('names two entries for one place');
  if (sequences.has(1))
    return malformed('names entry 1; what creates a registry is never replaced');
  const beyond = entries.find(({ sequence }) => sequence > through.sequence);
  if (beyond !== undefined)
    return malformed(
      `names entry ${beyond.sequence}, beyond entry ${through.sequence} up to which it was decided`,
    );
  const lacking = conflicts.find(
    ({ kind, sequence }) => ABOUT_AN_ENTRY.has(kind) && !sequences.has(sequence),
  );
  return lacking && malformed(`lacks entry ${lacking.sequence}, which the conflict is about`);
}

/** The two branches of a fork: then what a mirror confirmed before may come out differently. */
function checkBranches(
  entries: readonly Link[],
  conflicts: readonly ConflictStatement[],
): Refused | undefined {
  const forks = conflicts.filter(({ kind }) => kind === 'fork');
  const expected = forks.flatMap(({ sequence, digests }) =>
    digests.map((digest) => `${sequence} ${digest}`),
  );
  const named = entries.map(({ sequence, digest }) => `${sequence} ${digest}`);
  const stray = named.find((name) => !expected.includes(name));
  if (stray !== undefined)
    return malformed(`names entry ${stray}; replay names at most the two branches of a fork`);
  for (const { sequence, digests } of forks) {
    const held = digests.filter((digest) => named.includes(`${sequence} ${digest}`));
    if (held.length > 0 && held.length < digests.length)
      return malformed(`names one branch of the fork at entry ${sequence}; name both, or none`);
  }
  return undefined;
}

function malformed(detail: string): Refused {
  return refuse('RESOLUTION_MALFORMED', `the resolution ${detail}`);
}
