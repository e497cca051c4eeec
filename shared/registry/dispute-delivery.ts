import { conflictOf } from '../ledger/conflict.ts';
import type { CertificateId, Digest, RegistryId, Sequence } from '../ledger/digest.ts';
import type { Refused } from '../ledger/errors.ts';
import type { Evidence } from '../ledger/evidence.ts';
import { recheckEvidence } from '../ledger/recheck-evidence.ts';
import { copiesOf } from '../ledger/recheck-fork.ts';
import { type Brought, carryingWith } from './brought-decisions.ts';
import { deliveredChain, forkEvidence, invalidEvidence, ownChain } from './gather-evidence.ts';
import type { JudgedCommit } from './judge-delivery.ts';
import { knownHere } from './known-here.ts';
import type { CarriedCommit, Delivery } from './messages.ts';
import { flawOfOwnCopy } from './own-copy.ts';
import { flawOfOwnState } from './own-state.ts';
import type { Head, StateRead } from './ports.ts';
import { type ConflictPorts, ownTampering, reportConflict } from './report-conflict.ts';
import { checkCommits, type OwnSide, readSettled } from './store-commits.ts';

/**
 * The lead's own word disagrees with the copy of this instance: protocol section 6. Its own side is
 * looked at first; then it is a conflict, with evidence that others can check.
 */

export type DisputePorts = ConflictPorts;

export interface InConflict {
  readonly outcome: 'in-conflict';
  readonly conflicts: readonly Digest[];
}

/** The delivery that is disputed, with what came along. */
export interface Disputed {
  readonly registryId: RegistryId;
  readonly delivery: Delivery;
  readonly brought: Brought;
}

/** Rules once more on what certainly belongs together; what then still disagrees is a conflict. */
export async function dispute(
  ports: DisputePorts,
  { registryId, brought, delivery }: Disputed,
  group: readonly JudgedCommit[],
): Promise<InConflict | TakenBack | 'again'> {
  const { store } = ports;
  const carrying = await carryingWith(store, await store.head(registryId), brought);
  const read = await readSettled(store, registryId, group, carrying);
  if (read?.head === undefined || read.head.sequence + 1 !== group[0]?.first) return 'again';
  const check = checkCommits({ ...(await ownSide(ports, registryId, read)), carrying }, group);
  if (check.outcome !== 'disagrees') return 'again';
  const { kind, sequence, lead, digests, refused, ruled } = check;
  const detail = `${refused.code}: ${refused.detail}`;
  const [commit] = group;
  const found = { head: read.head, sequence, lead, digests, detail, commit };
  if (kind === 'fork') return disagree(ports, { ...found, kind });
  const ownFlaw = ruled === undefined ? undefined : await flawOfOwnState(store, read, ruled);
  const carried = delivery.commits.find((each) => each.checkpoint === commit.checkpoint.compact);
  const parts = { sequence, carried: carried as CarriedCommit };
  const evidence = await invalidEvidence(store, read, {
    ...parts,
    ...(ruled === undefined ? {} : { ruled }),
  });
  return disagree(ports, {
    ...found,
    kind,
    evidence,
    ...(ownFlaw === undefined ? {} : { ownFlaw }),
  });
}

export async function ownSide(
  { store, signer }: DisputePorts,
  registryId: RegistryId,
  read: StateRead,
): Promise<Omit<OwnSide, 'carrying'>> {
  return { registryId, read, self: signer.knownIds, tableId: await store.tableId() };
}

export interface Dispute {
  readonly kind: 'fork' | 'invalid-transaction';
  readonly head: Head;
  readonly sequence: number;
  readonly lead: CertificateId;
  /** Of a fork the one held and the other one. */
  readonly digests: readonly Digest[];
  readonly commit: JudgedCommit;
  readonly detail: string;
  /** Of an invalid transaction. */
  readonly evidence?: Evidence;
  /** What was found wrong with the own state. */
  readonly ownFlaw?: string;
}

/** What the lead has taken back since: it accuses nobody. */
export interface TakenBack {
  readonly outcome: 'taken-back';
  readonly refused: Refused;
}

/** Checks one's own side before accusing the lead; then the registry stops here. */
export async function disagree(
  ports: DisputePorts,
  found: Dispute,
): Promise<InConflict | TakenBack> {
  const { head, sequence, lead, digests, detail, kind } = found;
  const { registryId } = head;
  const at = Math.min(sequence, head.sequence);
  const flaw = found.ownFlaw ?? (await flawOfOwnCopy(ports.store, head, at));
  const evidence =
    flaw === undefined ? (found.evidence ?? (await forkOf(ports, found))) : undefined;
  const refused = await refusedAsTakenBack(ports, found, evidence);
  if (refused !== undefined) return { outcome: 'taken-back', refused };
  const disagreement =
    evidence === undefined
      ? ownTampering(ports, registryId, sequence, flaw ?? detail)
      : { kind, accused: lead, detail, sequence, digests, evidence };
  const conflictId = await reportConflict(ports, registryId, disagreement);
  return { outcome: 'in-conflict', conflicts: [conflictId] };
}

/**
 * Somebody brings what the lead signed in an older copy than what is held here, which is no fork
 * where a take-back lies between. Whoever itself holds what was lost reports it, whatever others make
 * of it: the lead has to resolve that.
 */
async function refusedAsTakenBack(
  { store, signer, clock }: DisputePorts,
  { head, sequence, lead, digests }: Dispute,
  evidence: Evidence | undefined,
): Promise<Refused | undefined> {
  if (evidence?.kind !== 'fork') return undefined;
  const [own, brought] = copiesOf(evidence) ?? [0, 0];
  if (own <= brought) return undefined;
  const conflict = conflictOf({
    registryId: head.registryId,
    signer: signer.certificateId,
    kind: 'fork',
    sequence: sequence as Sequence,
    accused: lead,
    digests: [...digests],
    evidence: [],
    detectedAt: new Date(clock.now()).toISOString(),
  });
  const checked = recheckEvidence(conflict, evidence, await knownHere(store, head));
  return checked.outcome === 'refused' ? checked : undefined;
}

/** The own chain against the delivered one. */
async function forkOf(
  ports: DisputePorts,
  { head, sequence, digests, commit }: Dispute,
): Promise<Evidence | undefined> {
  const own = await ownChain(ports, head, sequence);
  if (own === undefined) return undefined;
  const other = deliveredChain(commit, { sequence, digest: digests.at(-1) as Digest });
  return forkEvidence(head.registryId, sequence, [own, other]);
}
