import type { Countersigned } from '../ledger/countersigned.ts';
import type { Digest, RegistryId } from '../ledger/digest.ts';
import type { Compact } from '../ledger/jws.ts';
import { allReports, allResolutions, type KnownResolution } from './kept-statements.ts';
import type { Head, LedgerStore } from './ports.ts';

/** What whoever verifies a whole ledger must know before entry 1: protocol section 7. */

export type StatementBefore =
  | { readonly kind: 'conflict'; readonly statement: Compact }
  | { readonly kind: 'resolution'; readonly signed: Countersigned };

/**
 * Every resolution that an entry up to the head names, each after the first reports of the conflicts
 * that it is of. Throws where one of those is missing.
 */
export async function statementsBefore(
  store: LedgerStore,
  { registryId, decided = [] }: Pick<Head, 'registryId' | 'decided'>,
): Promise<StatementBefore[]> {
  const known = await allResolutions(store, registryId);
  const named = known.filter(({ digest }) => !decided.includes(digest));
  if (named.length === 0) return [];
  const reports = await firstReports(store, registryId);
  const written = new Set<Digest>();
  return named.flatMap((resolution) => {
    const conflicts = resolution.resolution.conflicts.filter((id) => !written.has(id));
    for (const id of conflicts) written.add(id);
    const { statement, decision } = resolution;
    return [
      ...conflicts.map((id) => reportOf(id, reports, resolution)),
      { kind: 'resolution', signed: { statement, decision } } as const,
    ];
  });
}

async function firstReports(
  store: LedgerStore,
  registryId: RegistryId,
): Promise<Map<Digest, Compact>> {
  const reports = new Map<Digest, Compact>();
  for (const { conflictId, statement } of await allReports(store, registryId))
    if (!reports.has(conflictId)) reports.set(conflictId, statement);
  return reports;
}

function reportOf(
  conflictId: Digest,
  reports: ReadonlyMap<Digest, Compact>,
  { digest }: KnownResolution,
): StatementBefore {
  const statement = reports.get(conflictId);
  if (statement === undefined)
    throw new Error(
      `the conflict ${conflictId}, which the resolution ${digest} names, is missing: ` +
        'audit this instance',
    );
  return { kind: 'conflict', statement };
}
