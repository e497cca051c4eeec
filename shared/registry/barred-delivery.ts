import { leadOf } from '../ledger/chain.ts';
import type { ConflictStatement } from '../ledger/conflict.ts';
import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import type { Refused } from '../ledger/errors.ts';
import type { AcceptedInvitation } from './accepted-invitation.ts';
import {
  type ConcludePorts,
  conclude,
  isConcluded,
  isDeserted,
  missingReplays,
} from './conclude.ts';
import type { JudgedCommit } from './judge-delivery.ts';
import type { KnownResolution } from './kept-statements.ts';
import type { Delivery } from './messages.ts';
import { asksForList, laterInvitation } from './newest-list.ts';
import type { Head } from './ports.ts';
import {
  type ReceiveConflictPorts,
  type ReceivedConflict,
  receiveConflict,
} from './receive-conflict.ts';
import { receiveResolution } from './receive-decision.ts';
import { isBareWord, isOfLead, type OpenConflict, readStanding } from './standing.ts';
import { namedBy } from './store-commits.ts';

/** What a mirror does not take while conflicts are open, or for ever: protocol section 7. */

export type Barred =
  | { readonly outcome: 'in-conflict'; readonly conflicts: readonly Digest[] }
  /** An invitation with the later peer lists has to come first. */
  | { readonly outcome: 'uninvited' }
  /** This instance has signed the closing of the registry. */
  | { readonly outcome: 'closed' };

/** While conflicts are open nothing comes in but under resolutions that cover all of them. */
export async function barredFromNext(
  ports: ConcludePorts,
  head: Head,
  { registryId, delivery }: { readonly registryId: RegistryId; readonly delivery: Delivery },
): Promise<Barred | undefined> {
  if (head.closed === true) return { outcome: 'closed' };
  if (head.openConflicts.length === 0) return undefined;
  if ((await readStanding(ports, head)).outcome === 'resolving') return undefined;
  // What the lead decided may come with the entries before it comes with the statements.
  for (const signed of delivery.resolutions ?? []) {
    const taken = await receiveResolution(ports, registryId, signed);
    // Its lead may have come into office in what this copy lacks: an invitation proves it.
    if (typeof taken !== 'string' && taken.outcome === 'ahead') return { outcome: 'uninvited' };
  }
  await conclude(ports, registryId);
  const now = await ports.store.head(registryId);
  return now === undefined || now.openConflicts.length === 0 ? undefined : barredNow(ports, now);
}

async function barredNow(ports: ConcludePorts, now: Head): Promise<Barred | undefined> {
  const { outcome, open } = await readStanding(ports, now);
  if (outcome === 'resolving') return undefined;
  const later = await laterInvitation(ports.store, now);
  if (open.every((conflict) => isReady(conflict) || isLeaving(ports, now, conflict, later)))
    return undefined;
  // Who claims it may have left since: then entries through that list may come.
  const claimed = open.some(({ said, resolution }) => isBareWord(said.kind) && !resolution);
  if (claimed && (await asksForList(ports, now))) return { outcome: 'uninvited' };
  return { outcome: 'in-conflict', conflicts: now.openConflicts };
}

function isReady({ resolution, awaitsAcceptance }: OpenConflict): boolean {
  return resolution !== undefined && !awaitsAcceptance;
}

/**
 * Whether it is somebody's bare word who has left since, by a later list that is proven here: nobody
 * who holds that list takes such a word, so nobody could decide on it. It ends with the entry.
 */
function isLeaving(
  ports: ConcludePorts,
  { configuration }: Head,
  { said }: OpenConflict,
  later: AcceptedInvitation | undefined,
): boolean {
  if (said.signer === leadOf(configuration)) return false;
  return later !== undefined && isDeserted(ports, said, later.peers);
}

/** Entries up to where it was decided, and then the one that carries it out. */
export async function barredByResolution(
  ports: ConcludePorts,
  head: Head,
  commit: JudgedCommit,
): Promise<Barred | undefined> {
  const { open } = await readStanding(ports, head);
  const later = await laterInvitation(ports.store, head);
  const before = later !== undefined && commit.first <= (later.through ?? 0) ? later : undefined;
  for (const conflict of open) {
    const barred = await barredByOne(ports, head, [conflict, commit], before);
    if (barred !== undefined) return barred;
  }
  return undefined;
}

/** `before`: the later list that is proven here, where the commit comes before it or brings it. */
async function barredByOne(
  ports: ConcludePorts,
  head: Head,
  [conflict, commit]: readonly [OpenConflict, JudgedCommit],
  before: AcceptedInvitation | undefined,
): Promise<Barred | undefined> {
  const barred = { outcome: 'in-conflict', conflicts: head.openConflicts } as const;
  if (isDeserted(ports, conflict.said, head.configuration.peers)) return undefined;
  if (isLeaving(ports, head, conflict, before)) return undefined;
  if (!isReady(conflict)) return barred;
  if (await mayComeUnder(ports, head, conflict, commit)) return undefined;
  // Whose confirmation is missing may have left since.
  if (await isWithoutLeft(ports, head, conflict, before)) return undefined;
  return (await asksForList(ports, head)) ? { outcome: 'uninvited' } : barred;
}

async function mayComeUnder(
  ports: ConcludePorts,
  head: Head,
  conflict: OpenConflict,
  commit: JudgedCommit,
): Promise<boolean> {
  const { digest, resolution } = conflict.resolution as KnownResolution;
  if (commit.checkpoint.statement.sequence <= resolution.through.sequence) return true;
  if (!namedBy(commit).includes(digest)) return false;
  const carried = resolution.manner === 'expel' || resolution.manner === 'replace';
  return carried || isConcluded(ports, head, conflict);
}

/** A replay, of what does not accuse the lead, that waits for nobody but who has left since. */
async function isWithoutLeft(
  ports: ConcludePorts,
  head: Head,
  { conflictId, said, resolution }: OpenConflict,
  later: AcceptedInvitation | undefined,
): Promise<boolean> {
  const accuses = isOfLead(said.kind) || said.accused === leadOf(head.configuration);
  if (later === undefined || resolution?.resolution.manner !== 'replay' || accuses) return false;
  const { through } = resolution.resolution;
  const missing = await missingReplays(ports, head, { conflictId, said, through });
  return missing.every((peer) => !later.peers.includes(peer));
}

interface Bringing {
  readonly registryId: RegistryId;
  readonly caller: CertificateId;
  readonly delivery: Delivery;
}

/**
 * A conflict that accuses the lead and comes along with its resolution is opened here first, like
 * one that its finder reports: who was a peer then has to accept, or the lead would acquit itself.
 */
export async function openBrought(
  ports: ReceiveConflictPorts,
  { registryId, caller, delivery }: Bringing,
  reports: readonly ConflictStatement[],
): Promise<Refused | { readonly outcome: 'busy' } | undefined> {
  const head = await ports.store.head(registryId);
  const self = ports.signer.knownIds;
  if (reports.length === 0 || !head?.configuration.peers.some((id) => self.includes(id)))
    return undefined;
  const lead = leadOf(head.configuration);
  for (const [index, { accused, kind }] of reports.entries()) {
    const compact = delivery.conflicts?.[index];
    if (compact === undefined || !(accused === lead || isOfLead(kind))) continue;
    const taken = await receiveConflict(ports, registryId, caller, compact);
    if (typeof taken === 'string' || isUnproved(taken)) continue;
    return taken.outcome === 'refused' ? taken : { outcome: 'busy' };
  }
  return undefined;
}

/** What its evidence does not show stopped nobody here, and so acquits nobody. */
function isUnproved(taken: Exclude<ReceivedConflict, string>): boolean {
  return taken.outcome === 'refused' && taken.code === 'EVIDENCE_NOT_REPRODUCED';
}
