import type { ConflictStatement } from '../ledger/conflict.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import { type Evidence, readEvidence } from '../ledger/evidence.ts';
import { limits } from '../ledger/limits.ts';
import { recheckEvidence } from '../ledger/recheck-evidence.ts';
import { branchesOf } from '../ledger/recheck-fork.ts';
import type { Resolution } from '../ledger/resolution.ts';
import { readTransaction } from '../ledger/transaction.ts';
import type { KnownReport } from './kept-statements.ts';
import { knownHere } from './known-here.ts';
import type { BlobStore, Head, LedgerStore } from './ports.ts';

/** What the reports of one conflict come to, by the evidence that is here: protocol section 7. */

export interface ReportFinding {
  /** `proven`: about the accused, whoever reads the evidence. `claimed`: the signer's word. */
  readonly worth: 'proven' | 'claimed';
  /** What was found, in words. */
  readonly finding: string;
}

/** What the evidence of the reports shows. */
export interface ReportFindings {
  /** By the report; none: its evidence is not here, or does not show it. */
  readonly findings: ReadonlyMap<KnownReport, ReportFinding>;
  /** Of a fork: who held which of the digests in dispute, by the reports. */
  readonly holders: ReadonlyMap<CertificateId, Digest>;
}

interface EvidencePorts {
  readonly store: LedgerStore;
  readonly blobs: BlobStore;
}

export async function findingsOf(
  ports: EvidencePorts,
  head: Head,
  reports: readonly KnownReport[],
): Promise<ReportFindings> {
  const known = await knownHere(ports.store, head);
  const evidences = await evidencesOf(ports, reports);
  const findings = new Map<KnownReport, ReportFinding>();
  const holders = new Map<CertificateId, Digest>();
  for (const report of reports) {
    const { said } = report;
    const evidence = evidences.get(said.evidence[0] as Digest);
    const shown = evidence === undefined ? undefined : recheckEvidence(said, evidence, known);
    if (shown?.outcome !== 'reproduced') continue;
    const worth = shown.proves === 'lead' ? 'proven' : 'claimed';
    findings.set(report, { worth, finding: shown.finding });
    for (const held of holdersIn(said, evidence)) holders.set(...held);
  }
  return { findings, holders };
}

/** The first that each names; no more in all than one may be large. */
async function evidencesOf(
  { blobs }: EvidencePorts,
  reports: readonly KnownReport[],
): Promise<Map<Digest, Evidence>> {
  const found = new Map<Digest, Evidence>();
  let left: number = limits.evidenceBytesMax;
  for (const digest of new Set(reports.flatMap(({ said }) => said.evidence.slice(0, 1)))) {
    if (left <= 0) break;
    const bytes = await blobs.evidence(digest);
    if (bytes === undefined) continue;
    left -= bytes.length;
    const read = readEvidence(bytes);
    if (read.outcome === 'read') found.set(digest, read.evidence);
  }
  return found;
}

/** Who confirmed a chain held it; of a report its signer's own comes first. */
function holdersIn(
  said: ConflictStatement,
  evidence: Evidence | undefined,
): (readonly [CertificateId, Digest])[] {
  if (evidence?.kind !== 'fork') return [];
  return branchesOf(said, evidence).flatMap(({ holder, digests: [digest] }, index) => {
    const whose = holder ?? (index === 0 ? said.signer : undefined);
    return whose === undefined || digest === undefined ? [] : [[whose, digest] as const];
  });
}

/** The bytes that are in dispute, as the entry recorded them. */
export interface DisputedDocument {
  readonly documentId: string;
  readonly version: number;
  readonly contentDigest: Digest;
}

export async function disputedDocument(
  store: LedgerStore,
  { registryId, copy }: Head,
  sequence: number,
): Promise<DisputedDocument | undefined> {
  const [stored] = await store.entriesAt(registryId, copy, [sequence]);
  const read = stored === undefined ? undefined : readTransaction(stored.transaction);
  if (read?.outcome !== 'read' || read.transaction.type !== 'upload-document') return undefined;
  const { documentId, version, contentDigest } = read.transaction;
  return { documentId, version, contentDigest };
}

/** Of a fork whose replay was decided: the digest that the lead's own copy has, and the other. */
export interface Branches {
  readonly stays: Digest;
  readonly givesWay: Digest;
}

/** Undefined: this instance cannot tell. `leads`: what is here is the lead's own copy. */
export async function branchesHere(
  store: LedgerStore,
  head: Head,
  [sequence, digests]: readonly [number, readonly Digest[]],
  decided: Resolution | 'leads' | undefined,
): Promise<Branches | undefined> {
  if (decided === undefined) return undefined;
  const stays = await stayingHere(store, head, sequence, decided);
  const givesWay = digests.find((digest) => digest !== stays);
  if (stays === undefined || givesWay === undefined || !digests.includes(stays)) return undefined;
  return { stays, givesWay };
}

async function stayingHere(
  store: LedgerStore,
  head: Head,
  sequence: number,
  decided: Resolution | 'leads',
): Promise<Digest | undefined> {
  if (decided === 'leads') return digestAt(store, head, sequence);
  const { through } = decided;
  if (through.sequence === sequence) return through.digest;
  // Whoever holds the lead's head of then holds what the lead had below it.
  const last = await digestAt(store, head, through.sequence);
  return last === through.digest ? digestAt(store, head, sequence) : undefined;
}

async function digestAt(
  store: LedgerStore,
  { registryId, copy }: Head,
  sequence: number,
): Promise<Digest | undefined> {
  const [stored] = await store.entriesAt(registryId, copy, [sequence]);
  return stored?.digest;
}
