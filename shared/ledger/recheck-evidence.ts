import { checkpointSchema } from './checkpoint.ts';
import type { ConflictKind, ConflictStatement } from './conflict.ts';
import { digestOf } from './digest.ts';
import { readEntry } from './entry.ts';
import { type Refused, refuse } from './errors.ts';
import type { Evidence, EvidenceOf } from './evidence.ts';
import { readStatement } from './jws.ts';
import { type KnownBeside, NOTHING_BESIDE } from './known-beside.ts';
import { quoted } from './quoted.ts';
import { checkFork } from './recheck-fork.ts';
import { checkInvalid } from './recheck-invalid.ts';
import { judgeCommit } from './signed-commit.ts';
import { readTransaction } from './transaction.ts';

/**
 * Rechecking a conflict from its evidence alone, as every peer does that is told of one, and whoever
 * reads the file about it years later: protocol section 7.
 */

export type Rechecked =
  | {
      readonly outcome: 'reproduced';
      /** `lead`: whoever reads the bytes knows that the accused did it. */
      readonly proves: 'lead' | 'nothing-about-others';
      /** In words that go on after who did it, or after who says so of itself. */
      readonly finding: string;
    }
  | Refused;

/** Whom a conflict of the kind accuses. */
export function expectedAccused(kind: ConflictKind): 'lead' | 'open' | 'signer' {
  switch (kind) {
    case 'fork':
    case 'invalid-transaction':
      return 'lead';
    case 'digest-mismatch':
    case 'document-mismatch':
      return 'open';
    case 'lead-rollback':
    case 'local-tampering':
      return 'signer';
  }
}

/**
 * Whether the evidence shows what the statement says; its own signature was read before. `known`:
 * what resolutions of this registry make of it, see `checkInvalid` and `checkFork`. Not asked here:
 * whether the signer was a peer, and whether the accused led there, which the peer lists say.
 */
export function recheckEvidence(
  conflict: ConflictStatement,
  evidence: Evidence,
  known: KnownBeside = NOTHING_BESIDE,
): Rechecked {
  const { kind, registryId, sequence } = conflict;
  if (evidence.kind !== kind || evidence.registryId !== registryId)
    return notReproduced(`is about a ${evidence.kind} in the registry ${evidence.registryId}`);
  if (evidence.sequence !== sequence)
    return notReproduced(`is about entry ${evidence.sequence}; claimed is entry ${sequence}`);
  return flawOfAccused(conflict) ?? recheckKind(conflict, evidence, known);
}

function flawOfAccused({ kind, accused, signer }: ConflictStatement): Refused | undefined {
  switch (expectedAccused(kind)) {
    case 'lead':
      if (accused !== 'open') return undefined;
      return refuse('ACCUSED_DIFFERS', `a ${kind} accuses the lead, and this one nobody`);
    case 'open':
      if (accused === 'open') return undefined;
      return refuse('ACCUSED_DIFFERS', `a ${kind} accuses nobody, and this one ${accused}`);
    case 'signer':
      if (accused === signer) return undefined;
      return refuse('ACCUSED_DIFFERS', `${signer} says of ${accused} what it can say of itself`);
  }
}

function recheckKind(
  conflict: ConflictStatement,
  evidence: Evidence,
  known: KnownBeside,
): Rechecked {
  switch (evidence.kind) {
    case 'fork': {
      const [one, other] = conflict.digests;
      const check = checkFork(conflict, evidence, known);
      if (check.outcome === 'refused') return check;
      const entries = `entries ${conflict.sequence}: ${one} and ${other}`;
      const finding = `signed two different ${entries}${check.across}`;
      return { outcome: 'reproduced', proves: 'lead', finding };
    }
    case 'invalid-transaction': {
      const check = checkInvalid(conflict, evidence, known.voided);
      if (check.outcome === 'refused') return check;
      const { code, detail } = check.flaw;
      const finding = `signed entry ${conflict.sequence}, which breaks the rules (${code}: ${quoted(detail)})`;
      return { outcome: 'reproduced', proves: 'lead', finding };
    }
    case 'digest-mismatch':
      return recheckDeliveries(conflict, evidence);
    case 'document-mismatch':
      return recheckDocument(conflict, evidence);
    case 'lead-rollback':
      return recheckRollback(conflict, evidence);
    case 'local-tampering':
      return claim(quoted(evidence.detail));
  }
}

function notReproduced(detail: string): Refused {
  return refuse('EVIDENCE_NOT_REPRODUCED', `the evidence ${detail}`);
}

function claim(finding: string): Rechecked {
  return { outcome: 'reproduced', proves: 'nothing-about-others', finding };
}

/** Bytes under a good checkpoint that they do not come out to: who sent them, nothing says. */
function recheckDeliveries(
  { registryId }: ConflictStatement,
  { deliveries }: EvidenceOf<'digest-mismatch'>,
): Rechecked {
  for (const delivery of deliveries) {
    const checkpoint = readStatement(delivery.checkpoint, checkpointSchema);
    if (checkpoint.outcome === 'refused' || checkpoint.statement.registryId !== registryId)
      continue;
    const judged = judgeCommit(registryId, delivery);
    if (judged.outcome === 'judged') continue;
    const { signer, sequence } = checkpoint.statement;
    return claim(
      `received what does not come out to the checkpoint of entry ${sequence} by ${signer}: ` +
        quoted(judged.refused.detail),
    );
  }
  return notReproduced('holds no delivery that differs from a checkpoint of this registry');
}

function recheckDocument(
  { registryId, sequence, digests }: ConflictStatement,
  { upload, sources, since }: EvidenceOf<'document-mismatch'>,
): Rechecked {
  const read = readEntry(Buffer.from(upload.entry));
  if (read.outcome === 'refused') return notReproduced(`holds a broken entry: ${read.detail}`);
  const { entry } = read;
  if (entry.registryId !== registryId || entry.sequence !== sequence)
    return notReproduced(`holds entry ${entry.sequence} of the registry ${entry.registryId}`);
  if (digestOf(upload.transaction) !== entry.transactionDigest)
    return notReproduced('holds another transaction than that of its entry');
  const recorded = readTransaction(Buffer.from(upload.transaction));
  if (recorded.outcome === 'refused')
    return notReproduced(`holds a broken transaction: ${recorded.detail}`);
  const { transaction } = recorded;
  if (transaction.type !== 'upload-document' || !digests.includes(transaction.contentDigest))
    return notReproduced(
      `is of the type ${transaction.type}, without the bytes that are in dispute`,
    );
  const found = sources.map(({ peer, found }) => `${peer}: ${quoted(found)}`);
  return claim(
    `since ${since} got the bytes ${transaction.contentDigest} from nobody (${found.join(', ')})`,
  );
}

function recheckRollback(
  { registryId, sequence, digests }: ConflictStatement,
  { checkpoint, head, detail }: EvidenceOf<'lead-rollback'>,
): Rechecked {
  if (checkpoint === undefined) return claim(quoted(detail));
  const read = readStatement(checkpoint, checkpointSchema);
  if (read.outcome === 'refused') return notReproduced(`holds a bad checkpoint: ${read.detail}`);
  const { statement } = read;
  const fits =
    statement.registryId === registryId &&
    statement.sequence === sequence &&
    statement.sequence > head.sequence &&
    digests.includes(statement.digest);
  if (fits) return claim(quoted(detail));
  return notReproduced(
    `holds a checkpoint of entry ${statement.sequence} with ${statement.digest}; expected the one ` +
      `that is claimed, above entry ${head.sequence}`,
  );
}
