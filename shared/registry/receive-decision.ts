import { leadOf } from '../ledger/chain.ts';
import { readCountersigned } from '../ledger/countersigned.ts';
import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { type Compact, payloadOf, readStatement, type Statement } from '../ledger/jws.ts';
import {
  acceptanceSchema,
  closingSchema,
  type Resolution,
  resolutionSchema,
  setAsideSchema,
} from '../ledger/resolution.ts';
import { checkResolution } from '../ledger/resolution-rules.ts';
import { type ConcludePorts, conclude } from './conclude.ts';
import type { KeptKind } from './conflict-record.ts';
import { allReports, allResolutions, keptStatement, recordedLast } from './kept-statements.ts';
import { laterInvitation } from './newest-list.ts';
import type { Head, LedgerStore } from './ports.ts';
import { tried, withResolution } from './resolve.ts';

/**
 * What people decided at another instance: protocol section 7.
 *
 * 1. Read both signatures; hold the instance against the peer list.
 * 2. What it refers to and is not here yet makes it wait.
 * 3. Keep it; a resolution is put in force on the head in the same write.  A crash before it: it
 *    comes again.
 * 4. Close what is resolved by it.  A crash before it: the sweep does it.
 */

export type ReceivedDecision =
  | 'held'
  | 'new'
  | { readonly outcome: 'ahead'; readonly head: number }
  | { readonly outcome: 'unknown-registry' }
  | Refused;

export interface SignedDecision {
  readonly statement: string;
  readonly decision: string;
}

const ATTEMPTS_MAX = 8;

/** A resolution of the lead: in force here from now on. */
export async function receiveResolution(
  ports: ConcludePorts,
  registryId: RegistryId,
  signed: SignedDecision,
): Promise<ReceivedDecision> {
  const read = readCountersigned(signed, resolutionSchema);
  if (read.outcome === 'refused') return read;
  const { statement: resolution, digest } = read;
  if (resolution.registryId !== registryId) return otherRegistry(resolution.registryId);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const head = await ports.store.head(registryId);
    if (head === undefined) return { outcome: 'unknown-registry' };
    if (await isKnown(ports.store, registryId, digest)) return 'held';
    const flaw = await flawOfReceived(ports, head, resolution);
    if (flaw !== undefined) return flaw;
    const recordedAt = await recordedLast(ports, registryId);
    const kept = keptStatement('resolution', signed.statement as Compact, {
      recordedAt,
      decision: signed.decision as Compact,
    });
    const next = withResolution(head, digest);
    const settlement = {
      registryId,
      expected: head,
      head: next,
      kept,
      origin: 'received',
    } as const;
    const written = await tried(() => ports.store.settle(settlement));
    if (written !== 'settled' && written !== 'held') continue;
    await conclude(ports, registryId);
    return 'new';
  }
  return { outcome: 'ahead', head: 0 };
}

async function isKnown(store: LedgerStore, registryId: RegistryId, digest: Digest) {
  const known = await allResolutions(store, registryId);
  return known.some((each) => each.digest === digest);
}

/** Whether it is the lead's, about conflicts that are known here, and of a manner that fits them. */
async function flawOfReceived(
  { store, signer }: ConcludePorts,
  head: Head,
  resolution: Resolution,
): Promise<Exclude<ReceivedDecision, 'held' | 'new'> | undefined> {
  const lead = leadOf(head.configuration);
  // Whoever leads has its own decisions: nobody decides in its place.
  if (signer.knownIds.includes(lead) || !(await isLeadHere(store, head, resolution.signer))) {
    // The lead may have changed in what is still to come; whoever leads itself lacks nothing.
    const behind = resolution.through.sequence > head.sequence && !signer.knownIds.includes(lead);
    if (behind) return { outcome: 'ahead', head: head.sequence };
    return refuse('LEAD_DIFFERS', `${resolution.signer} resolves; the lead is ${lead}`);
  }
  const reports = await allReports(store, head.registryId);
  const named = resolution.conflicts.map((id) => reports.find((each) => each.conflictId === id));
  if (named.includes(undefined)) return { outcome: 'ahead', head: head.sequence };
  const said = named.flatMap((report) => (report === undefined ? [] : [report.said]));
  return checkResolution(resolution, said, resolution.signer);
}

/** Whether it leads by the own copy, or by an invitation that proves later lists (section 6). */
export async function isLeadHere(
  store: LedgerStore,
  head: Head,
  signer: CertificateId,
): Promise<boolean> {
  if (leadOf(head.configuration) === signer) return true;
  const later = await laterInvitation(store, head);
  return later !== undefined && leadOf(later) === signer;
}

/** An acceptance, a set-aside or a closing of another instance: kept for all to see. */
export async function receiveOther(
  ports: ConcludePorts,
  registryId: RegistryId,
  kind: Exclude<KeptKind, 'report' | 'resolution'>,
  signed: { readonly statement: string; readonly decision?: string },
): Promise<ReceivedDecision> {
  const { store } = ports;
  const read = readOther(kind, signed);
  if (read.outcome === 'refused') return read;
  if (read.registryId !== registryId) return otherRegistry(read.registryId);
  const head = await store.head(registryId);
  if (head === undefined) return { outcome: 'unknown-registry' };
  if (!head.everPeers.includes(read.signer))
    return refuse('SIGNER_NO_PEER', `${read.signer} never was a peer of this registry`);
  if (!(await refersToKnown(store, registryId, read)))
    return { outcome: 'ahead', head: head.sequence };
  if (await isFlooding(store, registryId, kind, read.signer))
    return refuse(
      'STATEMENT_REPEATED',
      `${read.signer} has sent ${SIGNER_MAX} statements of a kind`,
    );
  const recordedAt = await recordedLast(ports, registryId);
  const kept = keptStatement(kind, signed.statement as Compact, {
    recordedAt,
    ...(signed.decision === undefined ? {} : { decision: signed.decision as Compact }),
  });
  const outcome = await store.keep(registryId, kept, 'received');
  if (kind === 'set-aside' && outcome === 'kept') await askAnew(store, registryId, read.signer);
  await conclude(ports, registryId);
  return outcome === 'kept' ? 'new' : 'held';
}

/** Statements of one kind that are kept of one signer: people make few of them. */
const SIGNER_MAX = 256;

async function isFlooding(
  store: LedgerStore,
  registryId: RegistryId,
  kind: KeptKind,
  signer: CertificateId,
): Promise<boolean> {
  const kept = (await store.kept(registryId)).filter((each) => each.kind === kind);
  if (kept.length < SIGNER_MAX) return false;
  const own = kept.filter(({ statement }) => (payloadOf(statement) as Statement).signer === signer);
  return own.length >= SIGNER_MAX;
}

/** A peer that has begun a new copy holds less than was brought to it: it is asked for its head. */
async function askAnew(
  store: LedgerStore,
  registryId: RegistryId,
  peer: CertificateId,
): Promise<void> {
  const cursor = await store.cursor(registryId, peer);
  if (cursor === undefined) return;
  const { deliveredThrough: _deliveredThrough, nextAttemptAt: _nextAttemptAt, ...rest } = cursor;
  await store.putCursor(rest);
}

interface ReadOther {
  readonly outcome: 'read';
  readonly registryId: Digest;
  readonly signer: CertificateId;
  readonly conflicts?: readonly Digest[];
  readonly resolution?: Digest;
}

function readOther(
  kind: Exclude<KeptKind, 'report' | 'resolution'>,
  { statement, decision = '' }: { readonly statement: string; readonly decision?: string },
): ReadOther | Refused {
  switch (kind) {
    case 'acceptance': {
      const read = readCountersigned({ statement, decision }, acceptanceSchema);
      return read.outcome === 'refused' ? read : { ...read.statement, outcome: 'read' };
    }
    case 'set-aside': {
      const read = readCountersigned({ statement, decision }, setAsideSchema);
      return read.outcome === 'refused' ? read : { ...read.statement, outcome: 'read' };
    }
    case 'closing': {
      const read = readStatement(statement, closingSchema);
      return read.outcome === 'refused' ? read : { ...read.statement, outcome: 'read' };
    }
  }
}

/** What it speaks about must be known here: otherwise it waits. */
async function refersToKnown(
  store: LedgerStore,
  registryId: RegistryId,
  { conflicts, resolution }: ReadOther,
): Promise<boolean> {
  if (resolution !== undefined && !(await isKnown(store, registryId, resolution))) return false;
  if (conflicts === undefined) return true;
  const reports = await allReports(store, registryId);
  return conflicts.every((id) => reports.some(({ conflictId }) => conflictId === id));
}

function otherRegistry(registryId: Digest): Refused {
  return refuse('STATEMENT_REGISTRY_DIFFERS', `is about the registry ${registryId}`);
}
