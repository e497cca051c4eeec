import type { Link } from '../ledger/backlinks.ts';
import type { ConflictStatement } from '../ledger/conflict.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import { type Compact, payloadOf } from '../ledger/jws.ts';
import type { Acceptance, Closing, Resolution, SetAside } from '../ledger/resolution.ts';
import type { Manner } from '../ledger/resolution-rules.ts';
import type { KeptKind, KeptStatement } from './conflict-record.ts';
import type { ReportFinding } from './report-findings.ts';

/** A kept statement as readers see it: what it says, beside the signatures that say it. */

/** What every one of them has. */
interface Signed<Kind extends KeptKind> {
  readonly kind: Kind;
  /** By this instance's clock: when it was recorded here. */
  readonly at: string;
  /** Of the statement's payload. */
  readonly digest: Digest;
  /** The instance that signed it. */
  readonly signer: CertificateId;
  readonly statement: Compact;
}

/** What people decided: the operator's own signature goes along. */
interface Decided<Kind extends KeptKind> extends Signed<Kind> {
  readonly decidedBy: CertificateId;
  readonly reason: string;
  readonly decision: Compact;
}

export interface ShownReport extends Signed<'report'> {
  readonly detectedAt: string;
  readonly evidence: readonly Digest[];
  /** What the evidence shows, rechecked here; absent: it is not here, or does not show it. */
  readonly worth?: ReportFinding['worth'];
  readonly finding?: string;
}

export interface ShownResolution extends Decided<'resolution'> {
  readonly manner: Manner;
  readonly conflicts: readonly Digest[];
  /** What is replaced or voided, or the branches of a fork. */
  readonly entries: readonly Link[];
  /** The lead's head when it was decided. */
  readonly through: Link;
  /** The resolution that this one ends. */
  readonly after?: Digest;
}

export interface ShownAcceptance extends Decided<'acceptance'> {
  readonly resolution: Digest;
}

export interface ShownSetAside extends Decided<'set-aside'> {
  readonly conflicts: readonly Digest[];
  /** The new copy, and the entry that it begins at. */
  readonly copy: number;
  readonly from: number;
}

/** The last entry that this instance will ever hold. */
export interface ShownClosing extends Signed<'closing'> {
  readonly through: Link;
}

export type ShownStatement =
  | ShownReport
  | ShownResolution
  | ShownAcceptance
  | ShownSetAside
  | ShownClosing;

/** It was verified before it was kept. */
export function shownStatement(kept: KeptStatement, found?: ReportFinding): ShownStatement {
  const { kind } = kept;
  const said = payloadOf(kept.statement);
  switch (kind) {
    case 'report': {
      const { detectedAt, evidence } = said as ConflictStatement;
      return { ...signed(kept, kind), detectedAt, evidence, ...found };
    }
    case 'resolution': {
      const { manner, conflicts, entries, through, after } = said as Resolution;
      const ended = after === undefined ? {} : { after };
      return { ...decided(kept, kind), manner, conflicts, entries, through, ...ended };
    }
    case 'acceptance':
      return { ...decided(kept, kind), resolution: (said as Acceptance).resolution };
    case 'set-aside': {
      const { conflicts, copy, from } = said as SetAside;
      return { ...decided(kept, kind), conflicts, copy, from };
    }
    case 'closing': {
      const { sequence, digest } = said as Closing;
      return { ...signed(kept, kind), through: { digest, sequence } };
    }
  }
}

function signed<Kind extends KeptKind>(
  { digest, recordedAt, statement }: KeptStatement,
  kind: Kind,
): Signed<Kind> {
  const { signer } = payloadOf(statement) as { readonly signer: CertificateId };
  return { kind, at: recordedAt, digest, signer, statement };
}

function decided<Kind extends KeptKind>(kept: KeptStatement, kind: Kind): Decided<Kind> {
  const { decidedBy, reason } = payloadOf(kept.statement) as Acceptance;
  const { decision } = kept;
  if (decision === undefined)
    throw new Error(`the ${kind} ${kept.digest} is kept without the operator's signature`);
  return { ...signed(kept, kind), decidedBy, reason, decision };
}
