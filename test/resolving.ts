/** Conflicts as peers report them, and resolutions as an operator and the lead sign them. */
import {
  type ConflictStatement,
  conflictIdOf,
  conflictOf,
  conflictSchema,
} from '../shared/ledger/conflict.ts';
import { type Countersigned, readCountersigned } from '../shared/ledger/countersigned.ts';
import type { Digest } from '../shared/ledger/digest.ts';
import { type Compact, readStatement } from '../shared/ledger/jws.ts';
import { type Resolution, resolutionSchema } from '../shared/ledger/resolution.ts';
import { type TestLedger, type TestPeer, testPeer, timeAfter } from './builders.ts';

/** A resolution with the reports of the conflicts that it is of. */
export interface TestResolution {
  readonly digest: Digest;
  readonly statement: Resolution;
  readonly signed: Countersigned;
  readonly reports: readonly Compact[];
}

/** The report that an entry of the ledger breaks the rules. */
export function reportOf(
  ledger: TestLedger,
  finder: TestPeer,
  changes: Partial<ConflictStatement> & Pick<ConflictStatement, 'sequence'>,
): Compact {
  return finder.sign(
    conflictOf({
      registryId: ledger.registryId,
      signer: finder.certificateId,
      kind: 'invalid-transaction',
      digests: [ledger.entryAt(changes.sequence).digest],
      accused: ledger.lead.certificateId,
      evidence: [],
      detectedAt: timeAfter(100),
      ...changes,
    }),
  );
}

export function conflictIdIn(report: Compact): Digest {
  const read = readStatement(report, conflictSchema);
  if (read.outcome === 'refused') throw new Error(`${read.code}: ${read.detail}`);
  return conflictIdOf(read.statement);
}

/** Who signs, and what the resolution says otherwise. */
export interface ResolutionOptions {
  /** Of the conflict that the first of the entries breaks the rules. */
  readonly finder: TestPeer;
  readonly operator?: TestPeer;
  readonly lead?: TestPeer;
  readonly reports?: readonly Compact[];
  readonly changes?: Partial<Resolution>;
}

/** The resolution of a conflict about entries of the ledger: they are to be replaced or voided. */
export function resolutionOf(
  ledger: TestLedger,
  sequences: readonly [number, ...number[]],
  { finder, operator = testPeer(), lead = ledger.lead, ...options }: ResolutionOptions,
): TestResolution {
  const [sequence] = sequences;
  const reports = options.reports ?? [
    reportOf(ledger, finder, { sequence: ledger.entryAt(sequence).sequence }),
  ];
  const resolution: Resolution = {
    format: 'registry/resolution/v1',
    registryId: ledger.registryId,
    signer: lead.certificateId,
    decidedBy: operator.certificateId,
    reason: 'Besprechung vom 3. November',
    conflicts: reports.map(conflictIdIn),
    manner: 'replace',
    through: linkAt(ledger, ledger.head.sequence),
    entries: sequences.map((each) => linkAt(ledger, each)),
    ...options.changes,
  };
  const signed = { statement: lead.sign(resolution), decision: operator.sign(resolution) };
  const read = readCountersigned(signed, resolutionSchema);
  if (read.outcome === 'refused') throw new Error(`${read.code}: ${read.detail}`);
  return { digest: read.digest, statement: read.statement, signed, reports };
}

/** The entry of the ledger as others link to it. */
export function linkAt(ledger: TestLedger, at: number) {
  const { sequence, digest } = ledger.entryAt(at);
  return { sequence, digest };
}
