import { type ConflictStatement, conflictIdOf } from '../ledger/conflict.ts';
import { type Digest, digestOf, type RegistryId } from '../ledger/digest.ts';
import { type Compact, payloadOf } from '../ledger/jws.ts';
import type { Closing, Resolution, SetAside } from '../ledger/resolution.ts';
import type { KeptKind, KeptStatement } from './conflict-record.ts';
import type { LedgerStore } from './ports.ts';

/** What this instance keeps about conflicts, looked through: people make few of them. */

/** A statement to keep. It was verified; its digest is its payload's. */
export function keptStatement(
  kind: KeptKind,
  statement: Compact,
  { recordedAt, decision }: { readonly recordedAt: string; readonly decision?: Compact },
): KeptStatement {
  const digest = digestOf(Buffer.from(statement.split('.', 2)[1] ?? '', 'base64url'));
  return { kind, digest, statement, recordedAt, ...(decision === undefined ? {} : { decision }) };
}

/** A report that this instance has, its own or another's. */
export interface KnownReport {
  readonly conflictId: Digest;
  readonly said: ConflictStatement;
  readonly statement: Compact;
  readonly recordedAt: string;
}

/** All reports of conflicts, the first of each before the others. */
export async function allReports(
  store: LedgerStore,
  registryId: RegistryId,
): Promise<KnownReport[]> {
  const first = await store.conflicts(registryId);
  const further = (await store.kept(registryId)).filter(({ kind }) => kind === 'report');
  const reports = new Map<string, KnownReport>();
  for (const { statement, recordedAt } of [...first, ...further]) {
    // The lead brings the first report of another to everybody, and keeps it a second time.
    if (reports.has(statement)) continue;
    const said = payloadOf(statement) as ConflictStatement;
    reports.set(statement, { conflictId: conflictIdOf(said), said, statement, recordedAt });
  }
  return [...reports.values()].sort((a, b) => (a.recordedAt < b.recordedAt ? -1 : 1));
}

/** A resolution that this instance has verified and kept. */
export interface KnownResolution {
  readonly digest: Digest;
  readonly resolution: Resolution;
  readonly statement: Compact;
  readonly decision: Compact;
  readonly recordedAt: string;
}

export async function allResolutions(
  store: LedgerStore,
  registryId: RegistryId,
): Promise<KnownResolution[]> {
  const kept = await store.kept(registryId);
  return kept.flatMap(({ kind, digest, statement, decision, recordedAt }) =>
    kind === 'resolution' && decision !== undefined
      ? [
          {
            digest,
            resolution: payloadOf(statement) as Resolution,
            statement,
            decision,
            recordedAt,
          },
        ]
      : [],
  );
}

/** A closing that this instance has signed, or has verified and kept. */
export interface KnownClosing {
  readonly said: Closing;
  readonly statement: Compact;
}

/** Closings of this and other instances, oldest first. */
export async function allClosings(
  store: LedgerStore,
  registryId: RegistryId,
): Promise<KnownClosing[]> {
  const kept = await store.kept(registryId);
  return kept
    .filter(({ kind }) => kind === 'closing')
    .map(({ statement }) => ({ said: payloadOf(statement) as Closing, statement }));
}

/** Set-asides of this and other instances. */
export async function allSetAsides(
  store: LedgerStore,
  registryId: RegistryId,
): Promise<SetAside[]> {
  const kept = await store.kept(registryId);
  return kept
    .filter(({ kind }) => kind === 'set-aside')
    .map(({ statement }) => payloadOf(statement) as SetAside);
}
