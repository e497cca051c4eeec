/** Conflicts with their evidence, as their finders would build them. */
import { backlinkPath, type Link } from '../../shared/ledger/backlinks.ts';
import type { ChainHead } from '../../shared/ledger/chain.ts';
import { type ConflictStatement, conflictOf } from '../../shared/ledger/conflict.ts';
import { type CertificateId, type Digest, digestOf } from '../../shared/ledger/digest.ts';
import {
  type Evidence,
  type EvidenceOf,
  encodeEvidence,
  type ForkChain,
} from '../../shared/ledger/evidence.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import type { CarriedCommit } from '../../shared/ledger/signed-commit.ts';
import type { StoredEntry } from '../../shared/registry/ports.ts';
import { type TestLedger, type TestPeer, timeAfter } from '../builders.ts';
import type { Forged } from '../forged-commit.ts';

const format = 'registry/evidence/v1';

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

export function linkOf({ sequence, digest }: StoredEntry): Link {
  return { sequence, digest };
}

/** The head as it was after that entry, which ended a commit. */
export function headAt(ledger: TestLedger, sequence: number): ChainHead {
  const commit = ledger.commits.find(({ write }) => write.head.sequence === sequence);
  if (commit === undefined) throw new Error(`no commit ends at entry ${sequence}`);
  return commit.write.head;
}

export function checkpointAt(ledger: TestLedger, sequence: number): Compact {
  const { checkpoint } = ledger.entryAt(sequence);
  if (checkpoint === undefined) throw new Error(`entry ${sequence} has no checkpoint`);
  return checkpoint;
}

/** The commit that ends at that entry, as it is delivered. */
export function carriedAt(ledger: TestLedger, sequence: number): CarriedCommit {
  const commit = ledger.commits.find(({ write }) => write.head.sequence === sequence);
  if (commit === undefined) throw new Error(`no commit ends at entry ${sequence}`);
  return {
    checkpoint: checkpointAt(ledger, sequence),
    entries: commit.entries.map(({ entry, transaction, details }) => ({
      entry: textOf(entry),
      transaction: textOf(transaction),
      ...(details === undefined ? {} : { details: textOf(details) }),
    })),
  };
}

/** From a checkpointed entry of the ledger down to another one, both as texts. */
export function chainDown(ledger: TestLedger, from: number, to: number): ForkChain {
  const path = from === to ? [] : backlinkPath(from, to);
  return {
    checkpoint: checkpointAt(ledger, from),
    path: path.map((sequence) => textOf(ledger.entryAt(sequence).entry)),
  };
}

/** A conflict that the finder reports with that evidence. */
export function reported(
  finder: Pick<TestPeer, 'certificateId'>,
  evidence: Evidence,
  parts: {
    readonly accused: CertificateId | 'open';
    readonly digests: readonly Digest[];
  } & Partial<Omit<ConflictStatement, 'accused' | 'digests'>>,
): ConflictStatement {
  const { registryId, sequence, kind } = evidence;
  return conflictOf({
    registryId,
    sequence: sequence as ConflictStatement['sequence'],
    kind,
    signer: finder.certificateId,
    detectedAt: timeAfter(100),
    evidence: [digestOf(encodeEvidence(evidence))],
    ...parts,
    digests: [...parts.digests],
  });
}

/** Two chains of the lead for that entry, the second forged, each ending some entries later. */
export interface Fork {
  readonly evidence: EvidenceOf<'fork'>;
  readonly digests: readonly [Digest, Digest];
}

/** The lead tells another story from that entry on, in one forged commit of these transactions. */
export function forkAt(
  ledger: TestLedger,
  sequence: number,
  forged: Forged,
  from = ledger.head.sequence as number,
): Fork {
  const { registryId } = ledger;
  const other = forged.commit.entries.findIndex(
    ({ entry }) => (JSON.parse(entry) as { sequence: number }).sequence === sequence,
  );
  const entries = forged.commit.entries.slice(other).reverse();
  const path = entries.map(({ entry }) => entry);
  const chains: [ForkChain, ForkChain] = [
    chainDown(ledger, from, sequence),
    { checkpoint: forged.commit.checkpoint, path },
  ];
  const digests = [ledger.entryAt(sequence).digest, digestOf(path.at(-1) ?? '')] as const;
  return { evidence: { format, kind: 'fork', registryId, sequence, chains }, digests };
}

/** What is shown against the last entry of a forged commit: entries of the ledger before it. */
export function invalidEvidence(
  ledger: TestLedger,
  { commit, chain }: Forged,
  shown: readonly number[] = [],
): EvidenceOf<'invalid-transaction'> {
  const head = ledger.head.sequence;
  const on = new Set(shown.flatMap((each) => backlinkPath(head, each)));
  for (const each of shown) on.delete(each);
  return {
    format,
    kind: 'invalid-transaction',
    registryId: ledger.registryId,
    sequence: chain.sequence,
    commit,
    links: [...on].map((each) => textOf(ledger.entryAt(each).entry)),
    witnesses: shown.map((each) => {
      const { entry, transaction } = ledger.entryAt(each);
      return { entry: textOf(entry), transaction: textOf(transaction) };
    }),
  };
}
