import { type ConflictStatement, conflictIdOf, conflictSchema } from '../ledger/conflict.ts';
import { readCountersigned } from '../ledger/countersigned.ts';
import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { readStatement } from '../ledger/jws.ts';
import { type Resolution, resolutionSchema } from '../ledger/resolution.ts';
import { checkResolution } from '../ledger/resolution-rules.ts';
import { type Carrying, readCarrying, replacedBy } from './carrying.ts';
import type { KeptStatement } from './conflict-record.ts';
import { allReports, allResolutions, keptStatement } from './kept-statements.ts';
import type { Delivery } from './messages.ts';
import type { Head, LedgerStore, StoredEntry } from './ports.ts';
import { type Bringing, peersKnown } from './redact.ts';

/**
 * The resolutions that come with a delivery, and the conflicts that they name: protocol section 6.
 * Who joins later, or was behind when people decided, has them from here. They are kept only with
 * the entry that names them: until then they are nobody's but the deliverer's.
 */

export interface Brought {
  readonly outcome: 'brought';
  readonly resolutions: ReadonlyMap<Digest, Resolution>;
  readonly reports: readonly ConflictStatement[];
  /** To be kept beside the entries that name them. */
  readonly kept: readonly KeptStatement[];
}

export const NOTHING_BROUGHT: Brought = {
  outcome: 'brought',
  resolutions: new Map(),
  reports: [],
  kept: [],
};

/** Reads and verifies them: signatures, registry, and that each resolution fits its conflicts. */
export async function readBrought(
  store: LedgerStore,
  registryId: RegistryId,
  { resolutions: signed = [], conflicts = [] }: Pick<Delivery, 'resolutions' | 'conflicts'>,
  recordedAt: string,
): Promise<Brought | Refused> {
  if (signed.length === 0) return NOTHING_BROUGHT;
  const reports: ConflictStatement[] = [];
  const kept: KeptStatement[] = [];
  for (const compact of conflicts) {
    const read = readStatement(compact, conflictSchema);
    if (read.outcome === 'refused') return read;
    reports.push(read.statement);
    kept.push(keptStatement('report', read.compact, { recordedAt }));
  }
  const known = (await allReports(store, registryId)).map(({ said }) => said);
  const resolutions = new Map<Digest, Resolution>();
  for (const pair of signed) {
    const read = readCountersigned(pair, resolutionSchema);
    if (read.outcome === 'refused') return read;
    const { statement, digest } = read;
    const named = new Set<string>(statement.conflicts);
    const said = [...known, ...reports].filter((report) => named.has(conflictIdOf(report)));
    const unfit = checkResolution(statement, said, statement.signer);
    if (unfit !== undefined) return unfit;
    resolutions.set(digest, statement);
    const { decision } = read.signed;
    kept.push(keptStatement('resolution', read.signed.statement, { recordedAt, decision }));
  }
  const foreign = [...reports, ...resolutions.values()].find(
    (statement) => statement.registryId !== registryId,
  );
  if (foreign === undefined) return { outcome: 'brought', resolutions, reports, kept };
  return refuse('STATEMENT_REGISTRY_DIFFERS', `is about the registry ${foreign.registryId}`);
}

/** All that carrying out may take: what is in force here, and what came along. */
export async function carryingWith(
  store: LedgerStore,
  head: Head | undefined,
  brought: Brought,
): Promise<Carrying> {
  const digests = [...(head?.decided ?? []), ...brought.resolutions.keys()];
  return readCarrying(store, head, digests, brought);
}

/** Keeps those that the entries name, with their conflicts: just before the entries are stored. */
export async function keepNamed(
  store: LedgerStore,
  registryId: RegistryId,
  named: readonly Digest[],
  { resolutions, kept, reports }: Brought,
): Promise<void> {
  const brought = named.flatMap((digest) => resolutions.get(digest) ?? []);
  if (brought.length === 0) return;
  const conflicts = new Set<string>(brought.flatMap((resolution) => resolution.conflicts));
  const wanted = reports.map((report) => conflicts.has(conflictIdOf(report)));
  const known = new Set((await allResolutions(store, registryId)).map(({ digest }) => digest));
  // Reports come first, in their order; resolutions after them.
  for (const [index, statement] of kept.entries()) {
    const isReport = statement.kind === 'report';
    const needed = isReport
      ? wanted[index] === true
      : named.includes(statement.digest) && !known.has(statement.digest);
    if (needed) await store.keep(registryId, statement, 'received');
  }
}

/**
 * What belongs to a delivery of these entries: the resolutions that they name, those that void one
 * of them, and the conflicts of both. Most registries have none.
 */
export async function decisionsOf(
  store: LedgerStore,
  { registryId }: Pick<Head, 'registryId'>,
  entries: readonly StoredEntry[],
): Promise<Pick<Delivery, 'resolutions' | 'conflicts'>> {
  const known = await allResolutions(store, registryId);
  if (known.length === 0) return {};
  const named = new Set(entries.flatMap(resolvesOf));
  const carried = new Set(entries.map(({ digest }) => digest));
  const concerned = known.filter(
    ({ resolution, digest }) =>
      named.has(digest) || replacedBy(resolution).some((link) => carried.has(link.digest)),
  );
  if (concerned.length === 0) return {};
  const conflicts = new Set<string>(concerned.flatMap(({ resolution }) => resolution.conflicts));
  const reports = await allReports(store, registryId);
  return {
    resolutions: concerned.map(({ statement, decision }) => ({ statement, decision })),
    conflicts: reports
      .filter(({ conflictId }) => conflicts.has(conflictId))
      .map(({ statement }) => statement),
  };
}

/** The resolutions that the stored entry names; without parsing most entries. */
function resolvesOf({ entry }: StoredEntry): readonly Digest[] {
  const bytes = Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength);
  if (bytes.includes('"resolves":[]')) return [];
  const read = readEntry(entry);
  return read.outcome === 'read' ? read.entry.resolves : [];
}

/** Who signed what came along, and is a peer of none of the lists known here. */
export async function strangerAmong(
  store: LedgerStore,
  head: Head | undefined,
  bringing: Bringing & { readonly brought: Brought },
): Promise<CertificateId | undefined> {
  const { resolutions, reports } = bringing.brought;
  const signers = [...resolutions.values(), ...reports].map(({ signer }) => signer);
  if (signers.length === 0) return undefined;
  const peers = await peersKnown(store, head, bringing);
  return signers.find((signer) => !peers.has(signer));
}
