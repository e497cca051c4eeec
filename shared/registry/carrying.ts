import type { Link } from '../ledger/backlinks.ts';
import { type CarryingOut, checkCarriesOut } from '../ledger/carry-out.ts';
import { type ConflictStatement, conflictIdOf } from '../ledger/conflict.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import type { Resolution } from '../ledger/resolution.ts';
import type { StateChange, StateView } from '../ledger/state.ts';
import { carriedOut, type VoidedEntry, voidChanges } from '../ledger/superseding.ts';
import { readTransaction, type Transaction } from '../ledger/transaction.ts';
import { allReports, allResolutions } from './kept-statements.ts';
import type { Head, LedgerStore } from './ports.ts';

/**
 * What an entry does that names resolutions in `resolves`: the same at the lead that appends it and
 * at the mirrors that store it (protocol section 7).
 */

/** The resolutions that are known, with all that carrying one out takes. */
export interface Carrying {
  readonly resolutions: ReadonlyMap<Digest, Resolution>;
  /** By conflict: every report that is known of it. */
  readonly reports: ReadonlyMap<Digest, readonly ConflictStatement[]>;
  /** The entries that the replace resolutions name, by sequence, as far as they are known. */
  readonly replaced: ReadonlyMap<number, VoidedEntry>;
}

/** Nothing to carry out: as almost always. */
export const NOTHING_CARRIED: Carrying = {
  resolutions: new Map(),
  reports: new Map(),
  replaced: new Map(),
};

/** What came along with a delivery, and is kept nowhere yet. */
export interface CameAlong {
  readonly resolutions: ReadonlyMap<Digest, Resolution>;
  readonly reports: readonly ConflictStatement[];
}

/** What is known here of these resolutions, and the entries that they replace. */
export async function readCarrying(
  store: LedgerStore,
  head: Pick<Head, 'registryId' | 'copy'> | undefined,
  digests: Iterable<Digest>,
  along: CameAlong = { resolutions: new Map(), reports: [] },
): Promise<Carrying> {
  const wanted = new Set(digests);
  if (wanted.size === 0) return NOTHING_CARRIED;
  const resolutions = new Map(along.resolutions);
  const reports = new Map<Digest, ConflictStatement[]>();
  const report = (said: ConflictStatement) => {
    const conflictId = conflictIdOf(said);
    reports.set(conflictId, [...(reports.get(conflictId) ?? []), said]);
  };
  for (const said of along.reports) report(said);
  if (head === undefined) return { resolutions, reports, replaced: new Map() };
  for (const { digest, resolution } of await allResolutions(store, head.registryId))
    if (wanted.has(digest)) resolutions.set(digest, resolution);
  for (const { said } of await allReports(store, head.registryId)) report(said);
  const replaced = await replacedEntries(store, head, [...resolutions.values()]);
  return { resolutions, reports, replaced };
}

async function replacedEntries(
  store: LedgerStore,
  { registryId, copy }: Pick<Head, 'registryId' | 'copy'>,
  resolutions: readonly Resolution[],
): Promise<Map<number, VoidedEntry>> {
  const links = resolutions.flatMap(replacedBy);
  const sequences = [...new Set(links.map(({ sequence }) => sequence as number))];
  const found = new Map<number, VoidedEntry>();
  for (const { sequence, digest, transaction } of await store.entriesAt(
    registryId,
    copy,
    sequences,
  )) {
    const read = readTransaction(transaction);
    if (read.outcome === 'read')
      found.set(sequence, { link: { sequence, digest }, transaction: read.transaction });
  }
  return found;
}

/** The entries that the resolution replaces or voids. */
export function replacedBy({ manner, entries }: Resolution): readonly Link[] {
  return manner === 'replace' ? entries : [];
}

/** The named resolutions that the entry carries out: one that a later one ended is only named. */
export function carriedBy(
  { resolutions }: Carrying,
  named: readonly Digest[],
): { readonly digest: Digest; readonly statement: Resolution }[] {
  const known = named.flatMap((digest) => {
    const statement = resolutions.get(digest);
    return statement === undefined ? [] : [{ digest, statement }];
  });
  return [...carriedOut(known)];
}

/** The marks that the entry makes with the resolutions that it names. */
export function marksOf(
  carrying: Carrying,
  view: StateView,
  { entry, resolves }: { readonly entry: Link; readonly resolves: readonly Digest[] },
): StateChange[] {
  return carriedBy(carrying, resolves).flatMap(({ digest, statement }) => {
    const voided = replacedBy(statement).flatMap(
      ({ sequence }) => carrying.replaced.get(sequence) ?? [],
    );
    return voidChanges(view, voided, { entry, resolution: digest });
  });
}

/** Whether a commit carries out all that its first entry names; anything else is refused. */
export function checkCarried(
  carrying: Carrying,
  named: readonly Digest[],
  {
    peers,
    transactions,
  }: {
    readonly peers: readonly CertificateId[];
    readonly transactions: readonly Transaction[];
  },
): Refused | undefined {
  for (const { statement: resolution } of carriedBy(carrying, named)) {
    const reports = resolution.conflicts.flatMap((id) => carrying.reports.get(id) ?? []);
    const given: CarryingOut = { resolution, reports, peers };
    const unfit = checkCarriesOut(given, transactions);
    if (unfit !== undefined) return unfit;
    const missing = replacedBy(resolution).find(({ sequence, digest }) => {
      const found = carrying.replaced.get(sequence);
      return found?.link.digest !== digest;
    });
    if (missing !== undefined)
      return refuse(
        'ENTRY_NOT_HELD',
        `the resolution names entry ${missing.sequence} with ${missing.digest}, which is not in ` +
          'this ledger',
      );
  }
  return undefined;
}
