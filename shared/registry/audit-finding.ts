import { type Digest, isDigest, type RegistryId, type Sequence } from '../ledger/digest.ts';
import type { AuditCode } from './audit.ts';
import { tamperingEvidence } from './gather-evidence.ts';
import { orDamage } from './or-damage.ts';
import type { Alarms } from './ports.ts';
import { type ConflictPorts, expectedAndFound, reportConflict } from './report-conflict.ts';
import { type OpenConflict, statedConflicts } from './standing.ts';
import { StoredDamage } from './stored-damage.ts';

/** What the scheduled audit finds, and what becomes of it. */

export type FindingCode =
  | AuditCode
  /** An item lacks something, or cannot be read as what it should be. */
  | 'STORED_DAMAGE'
  /** A peer states another digest for an entry than the one that is stored here. */
  | 'PEER_DIFFERS';

export interface AuditFinding {
  /** The entry that is wrong, or that what is wrong belongs to. */
  readonly sequence: number;
  readonly code: FindingCode;
  readonly detail: string;
  /** What was signed or recorded, and what is there, as far as these are digests. */
  readonly digests: readonly Digest[];
}

/** A sentence of what is stored may hold anything: it goes into logs and evidence. */
const DETAIL_CHARACTERS_MAX = 1000;

/** A finding about a stored entry; without digests it is told from others by the entry's own. */
export function findingAt(
  sequence: number,
  { code, detail }: Pick<AuditFinding, 'code' | 'detail'>,
  digests: readonly (string | undefined)[] = [],
): AuditFinding {
  const plain = detail.replaceAll('\0', '').slice(0, DETAIL_CHARACTERS_MAX).toWellFormed();
  const known = digests.filter((digest) => digest !== undefined && isDigest(digest));
  return { sequence, code, detail: plain.normalize('NFC'), digests: known };
}

/** What an item that cannot be read says of itself. */
export function damageAt(sequence: number, { message }: Error): AuditFinding {
  return findingAt(sequence, { code: 'STORED_DAMAGE', detail: message });
}

/** Where a whole table is gone, nobody needs to hear it entry by entry. */
const FINDINGS_MAX = 100;

/** Of several runs: more than one run can find. */
const SAID_MAX = 10 * FINDINGS_MAX;

/** The findings of a run by their entries: what is found from several sides is one. */
export class Findings {
  readonly #bySequence = new Map<number, AuditFinding>();

  /** Keeps the first of each entry, and of 100 entries. */
  add(...findings: readonly (AuditFinding | undefined)[]): void {
    for (const finding of findings)
      if (finding !== undefined && this.#isNew(finding))
        this.#bySequence.set(finding.sequence, finding);
  }

  #isNew({ sequence }: AuditFinding): boolean {
    return this.#bySequence.size < FINDINGS_MAX && !this.#bySequence.has(sequence);
  }

  /** In the order of their entries. */
  get all(): AuditFinding[] {
    return [...this.#bySequence.values()].sort((a, b) => a.sequence - b.sequence);
  }
}

const OF_BYTES: ReadonlySet<FindingCode> = new Set(['DOCUMENT_MISSING', 'DOCUMENT_DIFFERS']);

/** Whether a digest alone is the recorded one: what is there is nothing, or of another size. */
function isOfRecorded(code: FindingCode): boolean {
  return OF_BYTES.has(code);
}

/** Says the finding loudly. */
export function raiseFinding(
  alarms: Alarms,
  registryId: RegistryId,
  { sequence, code, detail, digests }: AuditFinding,
  peer?: string,
): void {
  alarms.raise('AuditFindings', {
    registryId,
    ...(peer === undefined ? {} : { peer }),
    sequence,
    code,
    detail,
    ...expectedAndFound(digests, isOfRecorded(code)),
  });
}

/** Says loudly what was not said before. All that was said then, to be noted. */
export function raiseOnce(
  alarms: Alarms,
  registryId: RegistryId,
  findings: readonly AuditFinding[],
  said: readonly string[] = [],
): readonly string[] {
  const now = new Map(findings.map((each) => [`${each.sequence} ${each.code}`, each]));
  for (const [name, finding] of now)
    if (!said.includes(name)) raiseFinding(alarms, registryId, finding);
  return [...new Set([...said, ...now.keys()])].slice(-SAID_MAX);
}

/**
 * Says every finding loudly, and records the first one as a conflict of this instance with itself:
 * from then on nothing is appended or stored here. One such word may be open at a time (protocol
 * section 7), and blocks for all; while it is, the alarm alone tells of more. So it does of a
 * document about which a `document-mismatch` is open: to begin a new copy takes the right bytes, and
 * whether these are anywhere is what people decide first.
 */
export async function recordFindings(
  ports: ConflictPorts,
  registryId: RegistryId,
  findings: readonly AuditFinding[],
): Promise<void> {
  for (const finding of findings) raiseFinding(ports.alarms, registryId, finding);
  if (findings.length === 0) return;
  const open = await openHere(ports, registryId);
  const first = findings.find((finding) => !isDisputed(finding, open));
  if (first === undefined || isOwnWordAmong(ports, open)) return;
  const detail = `${first.code}: ${first.detail}`;
  await reportConflict(ports, registryId, {
    kind: 'local-tampering',
    sequence: first.sequence,
    accused: ports.signer.certificateId,
    digests: first.digests,
    isOfRecorded: isOfRecorded(first.code),
    evidence: tamperingEvidence(registryId, first.sequence as Sequence, detail),
    detail,
  });
}

/** What an instance says of its own copy: one such claim at a time is enough to stop it. */
const OWN_COPY: ReadonlySet<string> = new Set(['local-tampering', 'lead-rollback']);

type Open = readonly Pick<OpenConflict, 'said'>[];

/** What cannot be read does not keep a finding from being recorded. */
async function openHere({ store }: ConflictPorts, registryId: RegistryId): Promise<Open> {
  const head = await store.head(registryId);
  if (head === undefined || head.openConflicts.length === 0) return [];
  const open = await orDamage(() => statedConflicts(store, head));
  return open instanceof StoredDamage ? [] : open;
}

function isOwnWordAmong({ signer }: ConflictPorts, open: Open): boolean {
  return open.some(({ said }) => OWN_COPY.has(said.kind) && signer.knownIds.includes(said.signer));
}

function isDisputed({ code, sequence }: AuditFinding, open: Open): boolean {
  if (!OF_BYTES.has(code)) return false;
  return open.some(({ said }) => said.kind === 'document-mismatch' && said.sequence === sequence);
}
