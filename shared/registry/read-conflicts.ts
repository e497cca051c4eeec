import { readCertificate } from '../ledger/certificate.ts';
import { leadOf } from '../ledger/chain.ts';
import type { ConflictKind, ConflictStatement } from '../ledger/conflict.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import { type Compact, payloadOf } from '../ledger/jws.ts';
import type { Acceptance, SetAside } from '../ledger/resolution.ts';
import { type Manner, mannersOf } from '../ledger/resolution-rules.ts';
import type { KeptKind, KeptStatement } from './conflict-record.ts';
import {
  allReports,
  allResolutions,
  type KnownReport,
  type KnownResolution,
  keptStatement,
} from './kept-statements.ts';
import { nextStep } from './next-step.ts';
import type { Head, LedgerStore, Signer } from './ports.ts';
import { type InstanceRole, roleOf } from './read-registries.ts';
import { isAboutOwn, supportedThrough, whyNotAside } from './set-aside.ts';
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
}

export interface ConflictsRead {
  /** In the order in which they were recorded here. */
  readonly conflicts: readonly ConflictSummary[];
  /** Decided, and not yet carried out. */
  readonly resolution?: ShownStatement;
  readonly role: InstanceRole;
}

/** All that is known here of the conflicts of a registry. */
interface Known {
  readonly head: Head;
  /** The first report of every conflict that this instance has opened. */
  readonly opened: ReadonlyMap<Digest, Pick<KnownReport, 'statement' | 'recordedAt'>>;
  readonly reports: readonly KnownReport[];
  readonly resolutions: readonly KnownResolution[];
  readonly standing: Standing;
}

async function readKnown(ports: ReadConflictPorts, head: Head): Promise<Known> {
  const { store } = ports;
  const [opened, reports, resolutions, standing] = await Promise.all([
    store.conflicts(head.registryId),
    allReports(store, head.registryId),
    allResolutions(store, head.registryId),
    readStanding(ports, head),
  ]);
  const byId = new Map(opened.map((each) => [each.conflictId, each]));
  return { head, opened: byId, reports, resolutions, standing };
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

function summaryOf(known: Known, conflictId: Digest): ConflictSummary | undefined {
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
  };
}

/** Of an open one the resolution in force that names it; of a resolved one that which did. */
function resolutionOf(
  { resolutions, standing }: Known,
  conflictId: Digest,
  open: boolean,
): KnownResolution | undefined {
  if (open) return standing.open.find((each) => each.conflictId === conflictId)?.resolution;
  const ended = new Set(resolutions.map(({ resolution }) => resolution.after));
  return resolutions.findLast(
    ({ digest, resolution }) => !ended.has(digest) && resolution.conflicts.includes(conflictId),
  );
}

function isInForce({ head }: Known, { digest }: KnownResolution): boolean {
  return head.decided?.includes(digest) ?? false;
}

/** Whether a mirror can set its own copy aside for this conflict, and from where on. */
export type SetAsideChoice =
  | { readonly allowed: true; readonly from: number; readonly copy: number }
  | { readonly allowed: false };

/** One conflict with its whole story, and what can be done about it here. */
export interface ConflictRead extends ConflictSummary {
  /** In the order of time. */
  readonly history: readonly ShownStatement[];
  /** What can be decided, where this instance leads and something is to be decided. */
  readonly manners: readonly Manner[];
  /** At a mirror, while it is open. */
  readonly setAside?: SetAsideChoice;
  /** The lead, where it is decided. */
  readonly decideAt: { readonly certificateId: CertificateId; readonly endpoint?: string };
  /** What has to happen next, and who has to do it: one sentence for people. */
  readonly next: string;
}

/** One conflict; undefined: none with this id is recorded here. */
export async function readConflict(
  ports: ReadConflictPorts,
  head: Head,
  conflictId: Digest,
): Promise<ConflictRead | undefined> {
  const known = await readKnown(ports, head);
  const summary = summaryOf(known, conflictId);
  if (summary === undefined) return undefined;
  const { kind, open, contested } = summary;
  const lead = leadOf(head.configuration);
  const leads = ports.signer.knownIds.includes(lead);
  const toDecide = leads && (open || contested === true);
  const manners = toDecide ? mannersOf(kind, { accusedLeads: summary.accused === lead }) : [];
  const setAside = open && !leads ? await setAsideChoice(ports, head, summary) : undefined;
  const decideAt = await placeOf(ports.store, lead);
  const kept = await ports.store.kept(head.registryId);
  const resolution = resolutionOf(known, conflictId, open);
  const inForce = resolution !== undefined && isInForce(known, resolution) ? resolution : undefined;
  const next = nextStep({
    summary,
    ...(inForce === undefined ? {} : { inForce }),
    manners,
    ...(setAside === undefined ? {} : { setAside }),
    isOwnWrong: isOwnWrong(ports, kept, summary),
    leads,
    lead: decideAt,
    ...(head.closed === true ? { closedAt: head.sequence } : {}),
    ...formerSince(ports, head),
    isFilling: head.filling !== undefined,
  });
  const history = historyOf(known, kept, conflictId);
  const choice = setAside === undefined ? {} : { setAside };
  return { ...summary, history, manners, ...choice, decideAt, next };
}

/** Where this instance was taken off the peer list. */
function formerSince({ signer }: ReadConflictPorts, { configuration }: Head) {
  const isFormer = roleOf(signer, configuration.peers) === 'former';
  return isFormer ? { formerSince: configuration.sequence } : {};
}

/** Its own copy is what is wrong, and no set-aside of it has answered that yet. */
function isOwnWrong(
  { signer }: ReadConflictPorts,
  kept: readonly KeptStatement[],
  { kind, accused, conflictId }: ConflictSummary,
): boolean {
  const own = (id: string) => signer.knownIds.some((each) => each === id);
  if (kind !== 'local-tampering' || !own(accused)) return false;
  return !kept.some((each) => {
    if (each.kind !== 'set-aside') return false;
    const said = payloadOf(each.statement) as SetAside;
    return own(said.signer) && said.conflicts.includes(conflictId);
  });
}

async function setAsideChoice(
  { store, signer }: ReadConflictPorts,
  head: Head,
  { conflictId, kind, accused, sequence, statement }: ConflictSummary,
): Promise<SetAsideChoice> {
  if (roleOf(signer, head.configuration.peers) === 'former') return { allowed: false };
  if (!isAboutOwn({ kind, accused }, signer)) return { allowed: false };
  const from = (await supportedThrough(store, signer, head, sequence)) + 1;
  const said = payloadOf(statement) as ConflictStatement;
  if ((await whyNotAside({ store, signer }, head, { conflictId, said }, from)) !== undefined)
    return { allowed: false };
  return { allowed: true, from, copy: head.copy + 1 };
}

/** An instance, and its address where its certificate is known here. */
async function placeOf(
  store: LedgerStore,
  certificateId: CertificateId,
): Promise<ConflictRead['decideAt']> {
  const pem = await store.certificate(certificateId);
  const read = pem === undefined ? undefined : readCertificate(pem);
  const endpoint = read?.outcome === 'read' ? read.certificate.endpoint : undefined;
  return { certificateId, ...(endpoint === undefined ? {} : { endpoint }) };
}

/** Reports, and all that people decided about them; a closing ends every one that was there. */
function historyOf(
  { reports }: Known,
  kept: readonly KeptStatement[],
  conflictId: Digest,
): ShownStatement[] {
  const own = reports.filter((report) => report.conflictId === conflictId);
  const since = own[0]?.recordedAt ?? '';
  const decisions = decisionsAbout(kept, conflictId).filter(
    ({ kind, recordedAt }) => kind !== 'closing' || recordedAt >= since,
  );
  return [
    ...own.map(({ statement, recordedAt }) => keptStatement('report', statement, { recordedAt })),
    ...decisions,
  ]
    .sort(byTime)
    .map(shownStatement);
}

/** In one millisecond the later of these follows from the earlier ones. */
const RANKS: readonly KeptKind[] = ['report', 'resolution', 'set-aside', 'acceptance', 'closing'];

function byTime(a: KeptStatement, b: KeptStatement): number {
  if (a.recordedAt !== b.recordedAt) return a.recordedAt < b.recordedAt ? -1 : 1;
  return RANKS.indexOf(a.kind) - RANKS.indexOf(b.kind);
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
