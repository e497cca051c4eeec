import { readCertificate } from '../ledger/certificate.ts';
import { leadOf } from '../ledger/chain.ts';
import type { ConflictStatement } from '../ledger/conflict.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import { payloadOf } from '../ledger/jws.ts';
import { type Manner, mannersOf } from '../ledger/resolution-rules.ts';
import { awaitedSetAsides, withoutSetAside } from './awaited.ts';
import { missingReplays } from './conclude.ts';
import type { KeptKind, KeptStatement } from './conflict-record.ts';
import { type KnownReport, type KnownResolution, keptStatement } from './kept-statements.ts';
import { type Awaited, addressOf, nextStep } from './next-step.ts';
import type { BlobStore, Head, LedgerStore } from './ports.ts';
import {
  type ConflictSummary,
  decisionsAbout,
  isInForce,
  type KeptDecision,
  type ReadConflictPorts,
  readKnown,
  resolutionOf,
  summaryOf,
} from './read-conflicts.ts';
import { roleOf } from './read-registries.ts';
import {
  type Branches,
  branchesHere,
  type DisputedDocument,
  disputedDocument,
  findingsOf,
  type ReportFindings,
} from './report-findings.ts';
import { isAboutOwn, supportedThrough, whyNotAside } from './set-aside.ts';
import { type ShownStatement, shownStatement } from './shown-statement.ts';

/** One conflict with its whole story, and what has to happen next: protocol section 7. */

export interface ReadStoryPorts extends ReadConflictPorts {
  readonly blobs: BlobStore;
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
  /** The version whose bytes are in dispute. */
  readonly document?: DisputedDocument;
  /** Of a fork whose replay was decided, where this instance can tell. */
  readonly branches?: Branches;
  /** What has to happen next, and who has to do it: sentences for people. */
  readonly next: string;
}

/** One conflict; undefined: none with this id is recorded here. */
export async function readConflict(
  ports: ReadStoryPorts,
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
  const choice = setAside === undefined ? {} : { setAside };
  const decideAt = await placeOf(ports.store, lead);
  const decided = resolutionOf(known, conflictId, open);
  const inForce = decided !== undefined && isInForce(known, decided) ? decided : undefined;
  const own = known.reports.filter((report) => report.conflictId === conflictId);
  const shown = await findingsOf(ports, head, own);
  const disputed = await disputedIn(ports.store, head, summary, { decided, leads });
  const next = nextStep({
    summary,
    ...(inForce === undefined ? {} : { inForce }),
    manners,
    ...choice,
    isOwnWrong: await isOwnWrong(ports, head, summary),
    leads,
    lead: decideAt,
    ...(head.closed === true ? { closedAt: head.sequence } : {}),
    ...formerSince(ports, head),
    isFilling: head.filling !== undefined,
    awaited: await awaitedNow(ports, head, { summary, ...shown, ...disputed, inForce }),
  });
  const kept = await ports.store.kept(head.registryId);
  const history = historyOf(own, shown.findings, decisionsAbout(kept, conflictId));
  return { ...summary, history, manners, ...choice, decideAt, ...disputed, next };
}

/** What exactly is in dispute, by the copy here. */
interface Disputed {
  readonly document?: DisputedDocument;
  readonly branches?: Branches;
}

async function disputedIn(
  store: LedgerStore,
  head: Head,
  { kind, sequence, digests }: ConflictSummary,
  { decided, leads }: { readonly decided: KnownResolution | undefined; readonly leads: boolean },
): Promise<Disputed> {
  if (kind === 'document-mismatch') {
    const document = await disputedDocument(store, head, sequence);
    return document === undefined ? {} : { document };
  }
  if (kind !== 'fork' || decided?.resolution.manner !== 'replay') return {};
  const by = leads ? 'leads' : decided.resolution;
  const branches = await branchesHere(store, head, [sequence, digests], by);
  return branches === undefined ? {} : { branches };
}

interface Shown extends ReportFindings, Disputed {
  readonly summary: ConflictSummary;
  readonly inForce: KnownResolution | undefined;
}

/** Whom the decision waits for, by their addresses. */
async function awaitedNow(
  ports: ReadStoryPorts,
  head: Head,
  { summary, holders, document, branches, inForce }: Shown,
): Promise<Awaited> {
  const { store, signer } = ports;
  const { conflictId, statement, notAccepted, open, contested, resolution } = summary;
  const said = payloadOf(statement) as ConflictStatement;
  const pending = open || contested === true;
  const named = (peers: readonly CertificateId[]) =>
    Promise.all(peers.map(async (peer) => addressOf(await placeOf(store, peer))));
  const others = notAccepted.filter((peer) => !signer.knownIds.includes(peer));
  const wrong = pending ? await awaitedSetAsides(ports, head, { conflictId, said }) : [];
  const through = inForce?.resolution.through;
  const unconfirmed =
    pending && through !== undefined
      ? await missingReplays(ports, head, { conflictId, said, through })
      : [];
  const losing = [...holders].flatMap(([peer, digest]) =>
    digest === branches?.givesWay && unconfirmed.includes(peer) ? [peer] : [],
  );
  const elsewhere = losing.filter((peer) => !signer.knownIds.includes(peer));
  const [own] = await store.entriesAt(head.registryId, head.copy, [summary.sequence]);
  const ownBranch = branches === undefined ? undefined : branchOf(branches, own?.digest);
  return {
    acceptances: await named(others),
    ...(resolution === undefined ? {} : { resolution }),
    setAsides: await named(wrong),
    confirmations: await named(unconfirmed),
    givingWay: await named(await withoutSetAside(store, head, conflictId, elsewhere)),
    ...(ownBranch === undefined ? {} : { ownBranch }),
    ...(document === undefined ? {} : { document }),
  };
}

/** A copy that has nothing there gets the lead's. */
function branchOf({ givesWay }: Branches, own: Digest | undefined): 'stays' | 'gives-way' {
  return own === givesWay ? 'gives-way' : 'stays';
}

/** Its own copy is what is wrong, and no set-aside of it has answered that yet. */
async function isOwnWrong(
  { store, signer }: ReadConflictPorts,
  head: Head,
  { kind, accused, conflictId }: ConflictSummary,
): Promise<boolean> {
  if (kind !== 'local-tampering' || accused === 'open') return false;
  if (!signer.knownIds.includes(accused)) return false;
  return (await withoutSetAside(store, head, conflictId, [accused])).length > 0;
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

/** Where this instance was taken off the peer list. */
function formerSince({ signer }: ReadConflictPorts, { configuration }: Head) {
  const isFormer = roleOf(signer, configuration.peers) === 'former';
  return isFormer ? { formerSince: configuration.sequence } : {};
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
  reports: readonly KnownReport[],
  findings: ReportFindings['findings'],
  kept: readonly KeptDecision[],
): ShownStatement[] {
  const since = reports[0]?.recordedAt ?? '';
  const decisions = kept.filter(
    ({ kind, recordedAt }) => kind !== 'closing' || recordedAt >= since,
  );
  const found = new Map(reports.map((report) => [report.statement, findings.get(report)]));
  return [
    ...reports.map(({ statement, recordedAt }) =>
      keptStatement('report', statement, { recordedAt }),
    ),
    ...decisions,
  ]
    .sort(byTime)
    .map((kept) => shownStatement(kept, found.get(kept.statement)));
}

/** In one millisecond the later of these follows from the earlier ones. */
const RANKS: readonly KeptKind[] = ['report', 'resolution', 'set-aside', 'acceptance', 'closing'];

function byTime(a: KeptStatement, b: KeptStatement): number {
  if (a.recordedAt !== b.recordedAt) return a.recordedAt < b.recordedAt ? -1 : 1;
  return RANKS.indexOf(a.kind) - RANKS.indexOf(b.kind);
}
