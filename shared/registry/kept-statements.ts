import { type ConflictStatement, conflictIdOf } from '../ledger/conflict.ts';
import { type Digest, digestOf, type RegistryId } from '../ledger/digest.ts';
import { type Compact, payloadOf } from '../ledger/jws.ts';
import type { Closing, Resolution, SetAside } from '../ledger/resolution.ts';
import type { KeptKind, KeptStatement } from './conflict-record.ts';
import { orDamage } from './or-damage.ts';
import type { Clock, LedgerStore } from './ports.ts';
import { StoredDamage } from './stored-damage.ts';

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

/** The last time that there is. */
const LAST_MS = 8.64e15;

/**
 * When a statement is recorded now: after all that are, also where the clock was put back since. What
 * came first decides whether a set-aside is about a report, or a report about what was decided. Where
 * what is recorded cannot be read, the clock alone counts.
 */
export async function recordedLast(
  { store, clock }: { readonly store: LedgerStore; readonly clock: Pick<Clock, 'now'> },
  registryId: RegistryId,
): Promise<string> {
  const recorded = await orDamage(async () => [
    ...(await store.conflicts(registryId)),
    ...(await store.kept(registryId)),
  ]);
  const times = (recorded instanceof StoredDamage ? [] : recorded)
    .map(({ recordedAt }) => Date.parse(recordedAt) + 1)
    .filter((time) => time <= LAST_MS);
  return new Date(Math.max(clock.now(), ...times)).toISOString();
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
