import { type ConflictKind, conflictIdOf, conflictOf } from '../ledger/conflict.ts';
import type { CertificateId, Digest, Sequence } from '../ledger/digest.ts';
import { digestOf } from '../ledger/digest.ts';
import type { Alarms, BlobStore, Clock, Head, LedgerStore, Signer } from './ports.ts';

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
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const head = await store.head(registryId);
    if (head === undefined) throw new Error(`no head of registry ${registryId} to block`);
    const outcome = await store.openConflict(conflict, head);
    if (outcome === 'lost-race') continue;
    if (outcome === 'opened') raiseOpened(ports.alarms, conflictId, registryId, disagreement);
    return conflictId;
  }
  throw new Error(`the conflict ${conflictId} could not be recorded: the head keeps moving`);
}

function raiseOpened(
  alarms: Alarms,
  conflictId: Digest,
  registryId: string,
  { kind, sequence, accused, digests, detail }: Disagreement,
): void {
  const [expected = '', found = ''] = digests;
  const facts = { conflictId, registryId, kind, sequence, accused, expected, found, detail };
  alarms.raise('ConflictsOpened', facts);
  alarms.raise('OpenConflicts', facts);
}
