import { leadOf } from '../ledger/chain.ts';
import type { ConflictStatement } from '../ledger/conflict.ts';
import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import type { Refused } from '../ledger/errors.ts';
import { type ConcludePorts, conclude, isConcluded } from './conclude.ts';
import type { JudgedCommit } from './judge-delivery.ts';
import type { KnownResolution } from './kept-statements.ts';
import type { Delivery } from './messages.ts';
import { asksForList } from './newest-list.ts';
import type { Head } from './ports.ts';
import { type ReceiveConflictPorts, receiveConflict } from './receive-conflict.ts';
import { receiveResolution } from './receive-decision.ts';
import { isBareWord, isOfLead, readStanding } from './standing.ts';
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
  // Who claims it may have left since: then the newest list ends it.
  const claimed = open.some(({ said, resolution }) => isBareWord(said.kind) && !resolution);
  if (claimed && (await asksForList(ports, now))) return { outcome: 'uninvited' };
  return { outcome: 'in-conflict', conflicts: now.openConflicts };
}

/** Entries up to where it was decided, and then the one that carries it out. */
export async function barredByResolution(
  ports: ConcludePorts,
  head: Head,
  commit: JudgedCommit,
): Promise<Barred | undefined> {
  const barred = { outcome: 'in-conflict', conflicts: head.openConflicts } as const;
  const { outcome, open } = await readStanding(ports, head);
  if (outcome !== 'resolving') return barred;
  const named = namedBy(commit);
  const { sequence } = commit.checkpoint.statement;
  for (const conflict of open) {
    const { digest, resolution } = conflict.resolution as KnownResolution;
    if (sequence <= resolution.through.sequence) continue;
    if (!named.includes(digest)) return barred;
    const carried = resolution.manner === 'expel' || resolution.manner === 'replace';
    if (carried || (await isConcluded(ports, head, conflict))) continue;
    // Whose confirmation is missing may have left since.
    return (await asksForList(ports, head)) ? { outcome: 'uninvited' } : barred;
  }
  return undefined;
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
  for (const [index, { accused, kind }] of reports.entries()) {
    const accuses = accused === leadOf(head.configuration) || isOfLead(kind);
    const compact = delivery.conflicts?.[index];
    if (!accuses || compact === undefined) continue;
    const taken = await receiveConflict(ports, registryId, caller, compact);
    if (typeof taken === 'string') continue;
    return taken.outcome === 'refused' ? taken : { outcome: 'busy' };
  }
  return undefined;
}
