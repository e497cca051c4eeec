import { leadOf } from '../ledger/chain.ts';
import type { ConflictStatement } from '../ledger/conflict.ts';
import { encodeConflictFile, type FiledDecision } from '../ledger/conflict-file.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import { readEvidence } from '../ledger/evidence.ts';
import { type Compact, payloadOf } from '../ledger/jws.ts';
import type { KnownBeside } from '../ledger/known-beside.ts';
import { limits } from '../ledger/limits.ts';
import { proveLists } from '../ledger/prove-lists.ts';
import { recheckEvidence } from '../ledger/recheck-evidence.ts';
import type { Resolution } from '../ledger/resolution.ts';
import type { CarriedCommit } from '../ledger/signed-commit.ts';
import type { KeptStatement } from './conflict-record.ts';
import { buildInvitation } from './invite.ts';
import { allReports } from './kept-statements.ts';
import { knownHere } from './known-here.ts';
import type { BlobStore, Clock, Head, LedgerStore } from './ports.ts';
import { decisionsAbout, type KeptDecision } from './read-conflicts.ts';

/**
 * Everything about one conflict in one file, for somebody who has nothing else: protocol section 7.
 * Only reads, so a crash leaves nothing behind.
 *
 * 1. All reports. First one whose evidence is here and shows what it says; of none the first one
 *    that has some, so that the claim can at least be looked at. Evidence that does not show what its
 *    report says, or is too much, is left out: then the report is its signer's word.
 * 2. What people decided about it.
 * 3. Every peer list from entry 1 on, and the certificates of all who signed something.
 */

export interface ConflictFilePorts {
  readonly store: LedgerStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
}

export type ConflictFileOutcome =
  | { readonly outcome: 'built'; readonly bytes: Buffer }
  | { readonly outcome: 'unknown-conflict' }
  /** The evidence of no report is here. */
  | { readonly outcome: 'evidence-missing'; readonly finder: CertificateId }
  | { readonly outcome: 'certificate-unknown'; readonly certificateId: CertificateId };

export async function buildConflictFile(
  ports: ConflictFilePorts,
  head: Head,
  conflictId: Digest,
): Promise<ConflictFileOutcome> {
  const { store, clock } = ports;
  const { registryId } = head;
  const all = await allReports(store, registryId);
  const reports = all.filter((report) => report.conflictId === conflictId);
  if (reports[0] === undefined) return { outcome: 'unknown-conflict' };
  const known = await knownHere(store, head);
  const shown = await shownReports(ports, reports, known);
  const [first] = shown;
  if (first === undefined) return { outcome: 'evidence-missing', finder: reports[0].said.signer };
  const further = reports.filter(({ statement }) => statement !== first.statement);
  const kept = await store.kept(registryId);
  const decisions = [...decisionsAbout(kept, conflictId), ...takeBacksBeside(kept, shown)];
  const { configurations } = await buildInvitation(store, head);
  const leads = leadsOfEnded(registryId, configurations);
  const signers = new Set([
    ...leads,
    ...[first, ...further].flatMap(signersOf),
    ...decisions.map(signerOf),
  ]);
  const certificates: string[] = [];
  for (const signer of signers) {
    const pem = await store.certificate(signer);
    if (pem === undefined) return { outcome: 'certificate-unknown', certificateId: signer };
    certificates.push(pem);
  }
  const bytes = encodeConflictFile({
    registryId,
    conflict: first.statement,
    reports: further.map(({ statement }) => statement),
    evidence: [...new Map(shown.flatMap(({ evidence }) => evidence)).values()],
    decisions: decisions.map(filed),
    configurations,
    certificates,
    exportedAt: new Date(clock.now()).toISOString(),
  });
  return { outcome: 'built', bytes };
}

/** A report with the bytes of all its evidence. */
interface ShownReport {
  readonly said: ConflictStatement;
  readonly statement: Compact;
  readonly evidence: readonly (readonly [Digest, Uint8Array])[];
  readonly reproduces: boolean;
}

type Report = Pick<ShownReport, 'said' | 'statement'>;

/** Those with evidence that reproduces, as long as all of it together is no more than one may be. */
async function shownReports(
  { blobs }: ConflictFilePorts,
  reports: readonly Report[],
  known: KnownBeside,
): Promise<ShownReport[]> {
  const shown: ShownReport[] = [];
  let bytes = 0;
  for (const report of reports) {
    const found = await withEvidence(blobs, report, known);
    if (found === undefined) continue;
    bytes += found.evidence.reduce((sum, [, each]) => sum + each.length, 0);
    if (shown.length === 0 || bytes <= limits.evidenceBytesMax) shown.push(found);
  }
  const reproducing = shown.filter(({ reproduces }) => reproduces);
  return reproducing.length === 0 ? shown.slice(0, 1) : reproducing;
}

/** Undefined where some of the evidence is not here. */
async function withEvidence(
  blobs: BlobStore,
  report: Report,
  known: KnownBeside,
): Promise<ShownReport | undefined> {
  const evidence: (readonly [Digest, Uint8Array])[] = [];
  let reproduces = true;
  // What other resolutions voided the file does not say.
  const beside = { ...known, voided: [] };
  for (const digest of report.said.evidence) {
    const bytes = await blobs.evidence(digest);
    const read = bytes === undefined ? undefined : readEvidence(bytes);
    if (bytes === undefined || read?.outcome !== 'read') return undefined;
    evidence.push([digest, bytes]);
    reproduces &&= recheckEvidence(report.said, read.evidence, beside).outcome === 'reproduced';
  }
  return evidence.length === 0 ? undefined : { ...report, evidence, reproduces };
}

/** Why a report of two copies is none of a fork: that the accused took back between them. */
function takeBacksBeside(
  kept: readonly KeptStatement[],
  [first]: readonly ShownReport[],
): KeptDecision[] {
  if (first === undefined || first.reproduces || first.said.kind !== 'fork') return [];
  return kept.filter((each): each is KeptDecision => {
    if (each.kind !== 'resolution') return false;
    const { manner, signer } = payloadOf(each.statement) as Resolution;
    return manner === 'take-back' && signer === first.said.accused;
  });
}

function signersOf({ said: { signer, accused } }: Report): CertificateId[] {
  return accused === 'open' ? [signer] : [signer, accused];
}

function signerOf({ statement }: KeptDecision): CertificateId {
  return (payloadOf(statement) as { readonly signer: CertificateId }).signer;
}

/** Whoever signed the end of a list, and the first lead. */
function leadsOfEnded(
  registryId: Head['registryId'],
  configurations: readonly CarriedCommit[],
): CertificateId[] {
  const proved = proveLists({ registryId, configurations });
  if (proved.outcome === 'refused')
    throw new Error(`the own peer lists do not verify: ${proved.code}: ${proved.detail}`);
  const { lists } = proved;
  return lists.slice(0, Math.max(1, lists.length - 1)).map(leadOf);
}

function filed({ kind, statement, decision }: KeptDecision): FiledDecision {
  return { kind, statement, ...(decision === undefined ? {} : { decision }) };
}
