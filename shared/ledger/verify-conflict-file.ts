import { readCertificate } from './certificate.ts';
import { verifyIssuer } from './certificate-chain.ts';
import { leadOf } from './chain.ts';
import {
  type ConflictKind,
  type ConflictStatement,
  conflictIdOf,
  conflictSchema,
} from './conflict.ts';
import { type ConflictFile, parseConflictFile } from './conflict-file.ts';
import { type CertificateId, type Digest, digestOf, type RegistryId } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import { readEvidence } from './evidence.ts';
import { type FiledFinding, filedTakeBacks, readFiledDecisions } from './filed-decisions.ts';
import { readStatement } from './jws.ts';
import { leadAt, type ProvedLists, proveLists } from './prove-lists.ts';
import { type Rechecked, recheckEvidence } from './recheck-evidence.ts';

/**
 * Verifies a file about a conflict offline: what is proven, what is only claimed, what was decided
 * (protocol section 7). In this order:
 *
 * 1. The peer lists, from the registry id on. So it is known who led, and who was a peer.
 * 2. Certificates: of every instance that signed something, chaining to the cluster's CA, if given.
 * 3. Every report of the conflict: a peer's signature, about the same conflict, with evidence that
 *    comes out to its digest and shows what the report says. About a lead it is proven by such
 *    evidence alone; what an instance says of itself, or of what it received, stays its word. So does a
 *    further report whose evidence is not in the file.
 * 4. Every decision: the signatures of the operator and of the operator's instance.
 *
 * Each statement is protected by its signatures, the file as a whole by nothing: whoever hands it on
 * can leave out whole statements, and change `exportedAt`.
 *
 * What the file does not hold it cannot show: somebody may have decided more since, and an entry on
 * which the evidence rests may have been voided before by another resolution, or a take-back that is
 * not in it may lie between two copies. Whoever is accused shows such a resolution.
 */

export interface ConflictFileTrust {
  /** Without it any registry will do: then compare the one that is answered. */
  readonly registryId?: RegistryId;
  /** One or more certificates in PEM. Without it names stand for keys alone. */
  readonly clusterCaPem?: string;
}

/** One statement in the file, and what it is worth. */
export type ConflictFileFinding =
  | {
      /** Whoever reads the file knows it; `about` did it. */
      readonly finding: 'proven';
      readonly about: CertificateId;
      readonly by: CertificateId;
      readonly detectedAt: string;
      readonly sentence: string;
    }
  | {
      /** The word of `by`, about itself or about what it received. */
      readonly finding: 'claimed';
      readonly by: CertificateId;
      readonly detectedAt: string;
      readonly sentence: string;
    }
  | FiledFinding;

/** What a certificate says of the instance, proven as far as `cluster` is checked. */
export interface CertifiedInstance {
  readonly certificateId: CertificateId;
  readonly subject: string;
  readonly endpoint: string;
}

export interface VerifiedConflictFile {
  readonly outcome: 'verified';
  readonly registryId: RegistryId;
  readonly conflictId: Digest;
  readonly kind: ConflictKind;
  readonly sequence: number;
  readonly accused: ConflictStatement['accused'];
  /** Who led at that entry, by the peer lists. */
  readonly lead: CertificateId;
  /** Whose key proves it; not who used that. Absent: the file holds claims alone. */
  readonly provenAbout?: CertificateId;
  /** Whether the certificates were held against the cluster's CA. */
  readonly cluster: 'checked' | 'not-checked';
  /** Whether the registry id was held against a given one. */
  readonly registry: 'checked' | 'not-checked';
  /** Instances whose certificates are in the file, and whom these name. */
  readonly instances: readonly CertifiedInstance[];
  /** The word of whoever exported the file. */
  readonly exportedAt: string;
  readonly statements: readonly ConflictFileFinding[];
  /** The same as sentences, one line each, beginning with PROVEN, CLAIMED or what was decided. */
  readonly sentences: readonly string[];
}

/** Verifies untrusted bytes. Throws where the cluster's CA itself cannot be read. */
export function verifyConflictFile(
  untrusted: Uint8Array,
  trust: ConflictFileTrust,
): VerifiedConflictFile | Refused {
  const parsed = parseConflictFile(untrusted);
  if (parsed.outcome === 'refused') return parsed;
  const { file } = parsed;
  const { registryId } = file;
  if (registryId !== (trust.registryId ?? registryId))
    return refuse('REGISTRY_DIFFERS', `is about ${registryId}; expected ${trust.registryId}`);
  const lists = proveLists(file);
  if (lists.outcome === 'refused') return lists;
  const known = readCertificates(file, trust.clusterCaPem);
  if (known.outcome === 'refused') return known;
  const reports = readReports(file, lists);
  if (reports.outcome === 'refused') return reports;
  const { conflict } = reports;
  const decided = readFiledDecisions(file, lists, conflict);
  if (decided.outcome === 'refused') return decided;
  const statements = [...reports.findings, ...decided.findings];
  const ids = new Set(known.instances.map(({ certificateId }) => certificateId));
  const unknown = [...signersOf(lists, statements)].find((signer) => !ids.has(signer));
  if (unknown !== undefined) return malformed(`lacks the certificate of ${unknown}`);
  const proven = reports.findings.find(({ finding }) => finding === 'proven');
  return {
    outcome: 'verified',
    registryId,
    conflictId: conflictIdOf(conflict),
    kind: conflict.kind,
    sequence: conflict.sequence,
    accused: conflict.accused,
    lead: leadAt(lists.lists, conflict.sequence),
    ...(proven?.finding === 'proven' ? { provenAbout: proven.about } : {}),
    cluster: trust.clusterCaPem === undefined ? 'not-checked' : 'checked',
    registry: trust.registryId === undefined ? 'not-checked' : 'checked',
    instances: known.instances,
    exportedAt: file.exportedAt,
    statements,
    sentences: statements.map(({ sentence }) => sentence),
  };
}

function malformed(detail: string): Refused {
  return refuse('CONFLICT_FILE_MALFORMED', `the file ${detail}; export the conflict again`);
}

interface Known {
  readonly outcome: 'known';
  readonly instances: readonly CertifiedInstance[];
}

/** Judged by the time for which they were issued, not by today's: the file is for years. */
function readCertificates(
  { certificates }: ConflictFile,
  caPem: string | undefined,
): Known | Refused {
  const instances: CertifiedInstance[] = [];
  for (const pem of certificates) {
    const read = readCertificate(pem);
    if (read.outcome === 'refused') return refusedCertificate(read.code, read.reason);
    const { certificateId, endpoint, subject } = read.certificate;
    if (endpoint === undefined)
      return refusedCertificate('CERTIFICATE_WITHOUT_ENDPOINT', `${certificateId} is no instance`);
    const verdict = caPem === undefined ? undefined : verifyIssuer(read.certificate, caPem);
    if (verdict?.outcome === 'refused') return refusedCertificate(verdict.code, verdict.reason);
    instances.push({ certificateId, subject, endpoint });
  }
  return { outcome: 'known', instances };
}

function refusedCertificate(code: string, reason: string): Refused {
  return refuse(
    'CONFLICT_FILE_CERTIFICATE_REFUSED',
    `a certificate is refused (${code}): ${reason}; expected one of an instance of this cluster`,
  );
}

interface ReadReports {
  readonly outcome: 'read';
  /** As the first report says it; all are about the same. */
  readonly conflict: ConflictStatement;
  readonly findings: readonly ConflictFileFinding[];
}

function readReports(file: ConflictFile, lists: ProvedLists): ReadReports | Refused {
  const first = readReport(file, lists, file.conflict);
  if (first.outcome === 'refused') return first;
  const conflictId = conflictIdOf(first.conflict);
  const findings = [first.finding];
  const named = new Set(first.conflict.evidence);
  for (const compact of file.reports) {
    const report = readReport(file, lists, compact, 'further');
    if (report.outcome === 'refused') return report;
    if (conflictIdOf(report.conflict) !== conflictId)
      return malformed(`is about the conflict ${conflictId}, and holds a report of another one`);
    findings.push(report.finding);
    for (const digest of report.conflict.evidence) named.add(digest);
  }
  const idle = Object.keys(file.evidence).find((digest) => !named.has(digest as Digest));
  if (idle !== undefined) return malformed(`holds evidence that no report names: ${idle}`);
  return { outcome: 'read', conflict: first.conflict, findings };
}

interface ReadReport {
  readonly outcome: 'read';
  readonly conflict: ConflictStatement;
  readonly finding: ConflictFileFinding;
}

function readReport(
  file: ConflictFile,
  lists: ProvedLists,
  compact: string,
  place?: 'further',
): ReadReport | Refused {
  const read = readStatement(compact, conflictSchema);
  if (read.outcome === 'refused') return read;
  const conflict = read.statement;
  if (conflict.registryId !== file.registryId)
    return refuse('STATEMENT_REGISTRY_DIFFERS', `is about the registry ${conflict.registryId}`);
  if (!lists.everPeers.has(conflict.signer))
    return refuse('SIGNER_NO_PEER', `${conflict.signer} reports, and never was a peer`);
  const { signer: by, detectedAt, accused } = conflict;
  // Who exported it may not have had that evidence: then the report is its signer's word.
  if (place === 'further' && conflict.evidence.every((each) => file.evidence[each] === undefined)) {
    const sentence =
      `CLAIMED by ${by} on ${detectedAt}: the same ${conflict.kind} at entry ${conflict.sequence}; ` +
      'the evidence of this report is not in this file';
    return { outcome: 'read', conflict, finding: { finding: 'claimed', by, detectedAt, sentence } };
  }
  const shown = recheckAll(conflict, file, lists);
  if (shown.outcome === 'refused') return shown;
  if (shown.proves === 'nothing-about-others' || accused === 'open') {
    const whose = accused === by ? ' about itself' : '';
    const sentence = `CLAIMED by ${by}${whose} on ${detectedAt}: ${shown.finding}`;
    return { outcome: 'read', conflict, finding: { finding: 'claimed', by, detectedAt, sentence } };
  }
  if (!hasLed(conflict, lists))
    return refuse(
      'LEAD_DIFFERS',
      `accused is ${accused}, who by the peer lists did not lead there`,
    );
  const sentence = `PROVEN about ${accused}: ${shown.finding} (reported by ${by} on ${detectedAt})`;
  const proven = { finding: 'proven', about: accused, by, detectedAt, sentence } as const;
  return { outcome: 'read', conflict, finding: proven };
}

type Reproduced = Exclude<Rechecked, Refused>;

/** All that a report names must be there and show the same. */
function recheckAll(
  conflict: ConflictStatement,
  file: ConflictFile,
  { everPeers }: ProvedLists,
): Reproduced | Refused {
  let shown: Rechecked = malformed(`holds a report of ${conflict.signer} that names no evidence`);
  const known = { voided: [], takeBacks: filedTakeBacks(file), everPeers };
  for (const digest of conflict.evidence) {
    const text = file.evidence[digest];
    if (text === undefined) return malformed(`lacks the evidence ${digest}`);
    const bytes = Buffer.from(text);
    if (digestOf(bytes) !== digest) return malformed(`holds other evidence than ${digest}`);
    const read = readEvidence(bytes);
    if (read.outcome === 'refused') return read;
    shown = recheckEvidence(conflict, read.evidence, known);
    if (shown.outcome === 'refused') return shown;
  }
  return shown;
}

/**
 * An invalid entry is its own lead's. Two chains are the fault of whoever signed both, wherever they
 * part, if the registry ever was led by it.
 */
function hasLed({ kind, sequence, accused }: ConflictStatement, { lists }: ProvedLists): boolean {
  return kind === 'fork'
    ? lists.some((list) => leadOf(list) === accused)
    : leadAt(lists, sequence) === accused;
}

/** Everybody who signed something here as an instance, but the checkpoints in evidence of a claim. */
function signersOf(
  { lists }: ProvedLists,
  statements: readonly ConflictFileFinding[],
): Set<CertificateId> {
  // Each list but the last was ended by its lead; that of entry 1 was begun by it.
  const signers = new Set(lists.slice(0, Math.max(1, lists.length - 1)).map(leadOf));
  for (const statement of statements) {
    signers.add(statement.by);
    if (statement.finding === 'proven') signers.add(statement.about);
  }
  return signers;
}
