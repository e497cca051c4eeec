import { leadOf } from '../ledger/chain.ts';
import type { ConflictKind, ConflictStatement } from '../ledger/conflict.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import { payloadOf } from '../ledger/jws.ts';
import type { Acceptance } from '../ledger/resolution.ts';
import { allResolutions, type KnownResolution } from './kept-statements.ts';
import type { Head, LedgerStore, Signer } from './ports.ts';

/**
 * What an instance may do while conflicts are open: nothing, but what the resolutions in force
 * allow (protocol section 7). A lead has one in force at a time. A mirror that is behind may hold
 * several: those that the entries it still lacks carry out, and the newest.
 */

export interface OpenConflict {
  readonly conflictId: Digest;
  readonly said: ConflictStatement;
  /** The newest resolution in force that names it. */
  readonly resolution?: KnownResolution;
  /** The lead is accused, and this instance's own operator has not accepted that resolution. */
  readonly awaitsAcceptance: boolean;
}

export interface Standing {
  /** `resolving`: every open conflict has its resolution, and none awaits an acceptance. */
  readonly outcome: 'free' | 'blocked' | 'resolving';
  readonly open: readonly OpenConflict[];
}

export interface StandingPorts {
  readonly store: LedgerStore;
  readonly signer: Signer;
}

/** How this instance stands towards the conflicts that are open on its head. */
export async function readStanding(ports: StandingPorts, head: Head): Promise<Standing> {
  if (head.openConflicts.length === 0) return { outcome: 'free', open: [] };
  const inForce = await resolutionsInForce(ports.store, head);
  const accepted = await acceptedHere(ports, head);
  const leads = new Set<CertificateId>([leadOf(head.configuration)]);
  for (const { resolution } of inForce) leads.add(resolution.signer);
  const own = ports.signer.knownIds.some((id) => id === leadOf(head.configuration));
  const open = (await statedConflicts(ports.store, head)).map(({ conflictId, said }) => {
    const resolution = inForce.findLast((each) => each.resolution.conflicts.includes(conflictId));
    // What only a lead can do accuses a lead, also one that has handed over since.
    const accuses =
      !own && (isOfLead(said.kind) || (said.accused !== 'open' && leads.has(said.accused)));
    if (resolution === undefined) return { conflictId, said, awaitsAcceptance: false };
    return {
      conflictId,
      said,
      resolution,
      awaitsAcceptance: accuses && !accepted.has(resolution.digest),
    };
  });
  const ready = open.every((each) => each.resolution !== undefined && !each.awaitsAcceptance);
  return { outcome: ready ? 'resolving' : 'blocked', open };
}

/** Kinds that only a lead can have caused, which evidence proves. */
export function isOfLead(kind: ConflictKind): boolean {
  return kind === 'fork' || kind === 'invalid-transaction';
}

/** Nothing but its signer's word about itself, or about what it received. */
export function isBareWord(kind: ConflictKind): boolean {
  return !isOfLead(kind);
}

/** The open conflicts with what they say. */
export async function statedConflicts(
  store: LedgerStore,
  head: Head,
): Promise<Pick<OpenConflict, 'conflictId' | 'said'>[]> {
  const conflicts = await store.conflicts(head.registryId);
  return conflicts
    .filter(({ conflictId }) => head.openConflicts.includes(conflictId))
    .map(({ conflictId, statement }) => ({
      conflictId,
      said: payloadOf(statement) as ConflictStatement,
    }));
}

/**
 * Decided, and not yet named by an entry; oldest first. One that a later one names in `after` ends
 * for the conflicts that the later one is about; others that it covers must not be left without.
 */
export async function resolutionsInForce(
  store: LedgerStore,
  { registryId, decided = [] }: Pick<Head, 'registryId' | 'decided'>,
): Promise<KnownResolution[]> {
  if (decided.length === 0) return [];
  const all = new Map((await allResolutions(store, registryId)).map((each) => [each.digest, each]));
  return decided.flatMap((digest) => all.get(digest) ?? []);
}

/** Resolutions that this instance's own operator has accepted. */
async function acceptedHere(
  { store, signer }: StandingPorts,
  { registryId }: Head,
): Promise<Set<Digest>> {
  const kept = await store.kept(registryId);
  const said = kept
    .filter(({ kind }) => kind === 'acceptance')
    .map(({ statement }) => payloadOf(statement) as Acceptance)
    .filter((acceptance) => signer.knownIds.includes(acceptance.signer));
  return new Set(said.map(({ resolution }) => resolution));
}
