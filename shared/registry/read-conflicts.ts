import type { ConflictKind, ConflictStatement } from '../ledger/conflict.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import { type Compact, payloadOf } from '../ledger/jws.ts';
import type { Acceptance, SetAside } from '../ledger/resolution.ts';
import { type AwaitedAcceptance, awaitedAcceptances } from './awaited.ts';
import type { KeptKind, KeptStatement } from './conflict-record.ts';
import {
  allReports,
  allResolutions,
  type KnownReport,
  type KnownResolution,
  keptStatement,
} from './kept-statements.ts';
import type { Head, LedgerStore, Signer } from './ports.ts';
import { type InstanceRole, roleOf } from './read-registries.ts';
import { type ShownStatement, shownStatement } from './shown-statement.ts';
import { readStanding, type Standing } from './standing.ts';

/** What one instance can say about the conflicts of a registry: nothing is written here. */

export interface ReadConflictPorts {
  readonly store: LedgerStore;
  readonly signer: Signer;
}

/** One conflict by its first report. */
export interface ConflictSummary {
  readonly conflictId: Digest;
  readonly open: boolean;
  /**
   * A claim against this instance that did not reproduce here: it blocks nothing here, but its finder
   * is stopped, and somebody has to decide.
   */
  readonly contested?: true;
  readonly recordedAt: string;
  readonly statement: Compact;
  readonly kind: ConflictKind;
  readonly sequence: number;
  readonly accused: ConflictStatement['accused'];
  /** Who found it first, as far as this instance knows. */
  readonly signer: CertificateId;
  readonly digests: readonly Digest[];
  readonly detectedAt: string;
  /** How many reports of it are here. */
  readonly reports: number;
  /** The one in force that names it, or that resolved it. */
  readonly resolution?: Digest;
  /** The lead is accused, and an operator of this instance has to accept what was decided. */
  readonly awaitsAcceptance: boolean;
  /** Mirrors, as known here, that are stopped until their operators have accepted `resolution`. */
  readonly notAccepted: readonly CertificateId[];
}

export interface ConflictsRead {
  /** In the order in which they were recorded here. */
  readonly conflicts: readonly ConflictSummary[];
  /** Decided, and not yet carried out. */
  readonly resolution?: ShownStatement;
  readonly role: InstanceRole;
}

/** All that is known here of the conflicts of a registry. */
export interface KnownConflicts {
  readonly head: Head;
  /** The first report of every conflict that this instance has opened. */
  readonly opened: ReadonlyMap<Digest, Pick<KnownReport, 'statement' | 'recordedAt'>>;
  readonly reports: readonly KnownReport[];
  readonly resolutions: readonly KnownResolution[];
  readonly standing: Standing;
  readonly awaited: readonly AwaitedAcceptance[];
}

export async function readKnown(ports: ReadConflictPorts, head: Head): Promise<KnownConflicts> {
  const { store } = ports;
  const [opened, reports, resolutions, standing, awaited] = await Promise.all([
    store.conflicts(head.registryId),
    allReports(store, head.registryId),
    allResolutions(store, head.registryId),
    readStanding(ports, head),
    awaitedAcceptances(store, head),
  ]);
  const byId = new Map(opened.map((each) => [each.conflictId, each]));
  return { head, opened: byId, reports, resolutions, standing, awaited };
}

/** Every conflict, open or resolved, and what is decided about the open ones. */
export async function listConflicts(ports: ReadConflictPorts, head: Head): Promise<ConflictsRead> {
  const known = await readKnown(ports, head);
  const ids = new Set(known.reports.map(({ conflictId }) => conflictId));
  const inForce = known.resolutions.find(({ digest }) => digest === head.resolution);
  return {
    conflicts: [...ids].flatMap((conflictId) => summaryOf(known, conflictId) ?? []),
    ...(inForce === undefined ? {} : { resolution: shownResolution(inForce) }),
    role: roleOf(ports.signer, head.configuration.peers),
  };
}

/** A resolution as it is shown, wherever. */
export function shownResolution({
  statement,
  decision,
  recordedAt,
}: KnownResolution): ShownStatement {
  return shownStatement(keptStatement('resolution', statement, { recordedAt, decision }));
}

export function summaryOf(known: KnownConflicts, conflictId: Digest): ConflictSummary | undefined {
  const reports = known.reports.filter((report) => report.conflictId === conflictId);
  const first = known.opened.get(conflictId) ?? reports[0];
  if (first === undefined) return undefined;
  const said = payloadOf(first.statement) as ConflictStatement;
  const open = known.head.openConflicts.includes(conflictId);
  const resolution = resolutionOf(known, conflictId, open);
  const pending = resolution === undefined || isInForce(known, resolution);
  const contested = !known.opened.has(conflictId) && pending;
  const standing = known.standing.open.find((each) => each.conflictId === conflictId);
  const { kind, sequence, accused, signer, digests, detectedAt } = said;
  return {
    conflictId,
    open,
    ...(contested ? { contested } : {}),
    recordedAt: first.recordedAt,
    statement: first.statement,
    kind,
    sequence,
    accused,
    signer,
    digests,
    detectedAt,
    reports: reports.length,
    ...(resolution === undefined ? {} : { resolution: resolution.digest }),
    awaitsAcceptance: standing?.awaitsAcceptance ?? false,
    notAccepted: known.awaited.find((each) => each.resolution === resolution?.digest)?.peers ?? [],
  };
}

/** Of an open one the resolution in force that names it; of a resolved one that which did. */
export function resolutionOf(
  { resolutions, standing }: KnownConflicts,
  conflictId: Digest,
  open: boolean,
): KnownResolution | undefined {
  if (open) return standing.open.find((each) => each.conflictId === conflictId)?.resolution;
  const ended = new Set(resolutions.map(({ resolution }) => resolution.after));
  return resolutions.findLast(
    ({ digest, resolution }) => !ended.has(digest) && resolution.conflicts.includes(conflictId),
  );
}

export function isInForce({ head }: KnownConflicts, { digest }: KnownResolution): boolean {
  return head.decided?.includes(digest) ?? false;
}

/** What people decided, as it was kept. */
export type KeptDecision = KeptStatement & { readonly kind: Exclude<KeptKind, 'report'> };

/** Resolutions that name the conflict, their acceptances, set-asides for it, and every closing. */
export function decisionsAbout(
  kept: readonly KeptStatement[],
  conflictId: Digest,
): readonly KeptDecision[] {
  const resolutions = kept.filter(
    (each) => each.kind === 'resolution' && isNamedIn(each, conflictId),
  );
  const digests = new Set(resolutions.map(({ digest }) => digest));
  return kept.filter((each): each is KeptDecision => isAbout(each, conflictId, digests));
}

function isAbout(
  each: KeptStatement,
  conflictId: Digest,
  resolutions: ReadonlySet<Digest>,
): boolean {
  switch (each.kind) {
    case 'report':
      return false;
    case 'resolution':
    case 'set-aside':
      return isNamedIn(each, conflictId);
    case 'acceptance':
      return resolutions.has((payloadOf(each.statement) as Acceptance).resolution);
    case 'closing':
      return true;
  }
}

function isNamedIn({ statement }: KeptStatement, conflictId: Digest): boolean {
  return (payloadOf(statement) as SetAside).conflicts.includes(conflictId);
}
