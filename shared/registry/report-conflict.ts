import type { Checkpoint } from '../ledger/checkpoint.ts';
import { type ConflictKind, conflictIdOf, conflictOf } from '../ledger/conflict.ts';
import type { CertificateId, Digest, Sequence } from '../ledger/digest.ts';
import { digestOf } from '../ledger/digest.ts';
import type { ReadStatement } from '../ledger/jws.ts';
import type {
  Alarms,
  BlobStore,
  Clock,
  Head,
  LedgerStore,
  OpenedConflict,
  Signer,
} from './ports.ts';

/**
 * Recording a disagreement, protocol section 7.
 *
 * 1. Keep the evidence by its digest.  A crash leaves bytes that nobody names.
 * 2. Sign the statement, and put it beside the head with its id in the open set, in one write: from
 *    that write on nothing is appended or stored here.  A crash before it leaves the registry as it
 *    was; the disagreement is found again with the next delivery.
 * 3. Raise the alarm.  A crash before it is made good by the metric of open conflicts.
 */

export interface ConflictPorts {
  readonly store: LedgerStore;
  readonly blobs: BlobStore;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly alarms: Alarms;
}

export interface Disagreement {
  readonly kind: ConflictKind;
  readonly sequence: number;
  readonly accused: CertificateId | 'open';
  /** What was expected and what was found. */
  readonly digests: readonly Digest[];
  readonly evidence: Uint8Array;
  /** For the log line: what was wrong, in words. */
  readonly detail: string;
}

const ATTEMPTS_MAX = 20;

/** Opens the conflict on the registry's head; the same one is opened once. Returns its id. */
export async function reportConflict(
  ports: ConflictPorts,
  registryId: Head['registryId'],
  disagreement: Disagreement,
): Promise<Digest> {
  const { store, blobs, signer, clock } = ports;
  const evidence = digestOf(disagreement.evidence);
  await blobs.putEvidence(evidence, disagreement.evidence);
  const statement = conflictOf({
    registryId,
    signer: signer.certificateId,
    kind: disagreement.kind,
    sequence: disagreement.sequence as Sequence,
    accused: disagreement.accused,
    digests: [...disagreement.digests],
    evidence: [evidence],
    detectedAt: new Date(clock.now()).toISOString(),
  });
  const conflictId = conflictIdOf(statement);
  const conflict = {
    registryId,
    conflictId,
    statement: signer.sign(statement),
    recordedAt: new Date(clock.now()).toISOString(),
  };
  let unknown = false;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const head = await store.head(registryId);
    if (head === undefined) throw new Error(`no head of registry ${registryId} to block`);
    const outcome = await tryOpen(store, conflict, head);
    unknown ||= outcome === 'unknown';
    if (outcome === 'lost-race' || outcome === 'unknown') continue;
    // Held after an unknown try: it was most likely this one that opened it, unheard.
    if (outcome === 'opened' || unknown)
      raiseOpened(ports.alarms, conflictId, registryId, disagreement);
    return conflictId;
  }
  throw new Error(`the conflict ${conflictId} could not be recorded: the head keeps moving`);
}

/** A rejected write is unknown: the next try finds out. */
async function tryOpen(
  store: LedgerStore,
  conflict: OpenedConflict,
  head: Head,
): Promise<'opened' | 'held' | 'lost-race' | 'unknown'> {
  try {
    return await store.openConflict(conflict, head);
  } catch {
    return 'unknown';
  }
}

/**
 * A checkpoint that this instance itself signed, above its own head: what was released is not here
 * any more, so the table was restored (protocol section 5). Undefined: it is no such checkpoint.
 */
export async function reportRollback(
  ports: ConflictPorts,
  head: Head,
  { statement, compact }: ReadStatement<Checkpoint>,
): Promise<Digest | undefined> {
  const { signer, sequence, digest } = statement;
  if (sequence <= head.sequence || !ports.signer.knownIds.includes(signer)) return undefined;
  return reportConflict(ports, head.registryId, {
    kind: 'lead-rollback',
    sequence,
    accused: ports.signer.certificateId,
    digests: [digest],
    evidence: Buffer.from(compact),
    detail: `this instance signed entry ${sequence}, but holds only ${head.sequence} entries`,
  });
}

function raiseOpened(
  alarms: Alarms,
  conflictId: Digest,
  registryId: string,
  { kind, sequence, accused, digests, detail }: Disagreement,
): void {
  const found = digests.at(-1) ?? '';
  const expected = digests.length > 1 ? (digests[0] ?? '') : '';
  const facts = { conflictId, registryId, kind, sequence, accused, expected, found, detail };
  alarms.raise('ConflictsOpened', facts);
  alarms.raise('OpenConflicts', facts);
}
