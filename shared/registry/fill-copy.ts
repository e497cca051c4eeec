import { leadOf } from '../ledger/chain.ts';
import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { limits } from '../ledger/limits.ts';
import { askEntries, judgeCommits } from './ask-afresh.ts';
import { askHead } from './ask-head.ts';
import { type Brought, keepNamed, NOTHING_BROUGHT, readBrought } from './brought-decisions.ts';
import { readCarrying } from './carrying.ts';
import { conclude } from './conclude.ts';
import { nextAttempt, progressIn, REASON_CHARACTERS_MAX } from './confirm.ts';
import { type JudgedCommit, judgeCommit } from './judge-delivery.ts';
import { allResolutions } from './kept-statements.ts';
import { type KnowPeerPorts, knowPeer } from './know-peer.ts';
import { carriedCommits } from './messages.ts';
import { isAboutStored } from './new-copy.ts';
import type { Alarms, Clock, Head, Random } from './ports.ts';
import { keepRedactions } from './redacted-copies.ts';
import { tried } from './resolve.ts';
import { resolutionsInForce } from './standing.ts';
import { checkCommits, commitsOfOneWrite, namedBy, readOwnSide } from './store-commits.ts';

/**
 * Filling a new copy, protocol section 7: from the older copy as far as that is sound, then, at a
 * lead, from whatever its peers hold. Every commit is checked as if a stranger had brought it.
 *
 * 1. Take over from the older copy, commit by commit, what still comes out to its checkpoints.
 * 2. A mirror ends here: the lead delivers the rest. A lead asks every peer for what it lacks.
 * 3. When nobody has more, the head says that the copy is whole.  A crash anywhere leaves a shorter
 *    copy that says so, and the next turn goes on.
 */

export interface FillPorts extends KnowPeerPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly alarms: Alarms;
}

export type FillOutcome =
  | { readonly outcome: 'nothing' }
  /** The turn is over before the work is. */
  | { readonly outcome: 'more' }
  /** The copy is whole, as far as anybody who was to be asked has anything. */
  | { readonly outcome: 'filled' }
  /** These peers do not answer, and the take-back does not say to go on without them. */
  | { readonly outcome: 'waiting'; readonly without: readonly CertificateId[] };

/** Commits that one turn writes, and how long it may take. */
const WRITES_MAX = 500;
const TURN_MS_MAX = 20_000;

export async function fillCopy(ports: FillPorts, registryId: RegistryId): Promise<FillOutcome> {
  const endMs = ports.clock.now() + TURN_MS_MAX;
  for (let write = 0; write < WRITES_MAX && ports.clock.now() <= endMs; write += 1) {
    const head = await ports.store.head(registryId);
    if (head === undefined || !isFilling(head)) return { outcome: 'nothing' };
    if (await takeFromOld(ports, head)) continue;
    if (!ports.signer.knownIds.includes(leadOf(head.configuration))) return end(ports, head);
    const asked = await takeFromPeers(ports, head);
    if (asked.outcome === 'nothing') return endOrWait(ports, head, asked.silent);
  }
  return { outcome: 'more' };
}

function isFilling({ filling, closed }: Head): boolean {
  return filling !== undefined && closed !== true;
}

/** Whether the next commits were taken over from the older copy. */
async function takeFromOld(ports: FillPorts, head: Head): Promise<boolean> {
  const from = head.sequence + 1;
  const { copy = 0, through = 0 } = head.filling ?? {};
  const count = Math.min(limits.commitEntriesMax * 2, through - head.sequence);
  if (count <= 0) return false;
  try {
    const entries = await ports.store.entries(head.registryId, copy, { from, count });
    const commits: JudgedCommit[] = [];
    for (const carried of carriedCommits(entries)) {
      const judged = judgeCommit(head.registryId, carried);
      if (judged.outcome === 'malformed') break;
      commits.push(judged);
    }
    return await store(ports, head, commits);
  } catch (error) {
    if (isAboutStored(error)) return false;
    throw error;
  }
}

type Asked =
  | { readonly outcome: 'taken' }
  | { readonly outcome: 'nothing'; readonly silent: readonly CertificateId[] };

/** What any peer holds beyond the head; or who could not be asked. */
async function takeFromPeers(ports: FillPorts, head: Head): Promise<Asked> {
  const silent: CertificateId[] = [];
  const others = new Set([...head.configuration.peers, ...head.everPeers]);
  for (const peer of others) {
    if (ports.signer.knownIds.includes(peer)) continue;
    const taken = await takeFromPeer(ports, head, peer);
    if (taken === 'taken') return { outcome: 'taken' };
    if (taken === 'silent') silent.push(peer);
  }
  return { outcome: 'nothing', silent };
}

async function takeFromPeer(
  ports: FillPorts,
  head: Head,
  peer: CertificateId,
): Promise<'taken' | 'nothing' | 'silent'> {
  await knowPeer(ports, head, peer);
  const stated = await askHead(ports, head, peer);
  if (stated.outcome === 'unknown-registry' || stated.outcome === 'not-in-swarm') return 'nothing';
  // One that is too busy, or garbled on its way, has not said that it holds nothing.
  if (stated.outcome !== 'stated') return 'silent';
  if (stated.head.statement.sequence <= head.sequence) return 'nothing';
  const delivery = await askEntries(ports.transport, head.registryId, peer, head.sequence + 1);
  const judged = delivery === undefined ? undefined : judgeCommits(delivery);
  const commits = judged?.outcome === 'judged' ? judged.commits : [];
  const now = new Date(ports.clock.now()).toISOString();
  const along = await readBrought(ports.store, head.registryId, delivery ?? {}, now);
  const brought = along.outcome === 'brought' ? along : NOTHING_BROUGHT;
  // One that has more and does not give it is waited for like one that does not answer.
  return (await store(ports, head, commits, brought)) ? 'taken' : 'silent';
}

/** The leading commits, in one write; false: not one of them fits. */
async function store(
  ports: FillPorts,
  head: Head,
  judged: readonly JudgedCommit[],
  brought: Brought = NOTHING_BROUGHT,
): Promise<boolean> {
  const commits = judged.filter(({ first }) => first > head.sequence);
  if (commits[0]?.first !== head.sequence + 1) return false;
  const { registryId } = head;
  const known = await allResolutions(ports.store, registryId);
  const digests = [...known.map(({ digest }) => digest), ...brought.resolutions.keys()];
  const carrying = await readCarrying(ports.store, head, digests, brought);
  const group = commitsOfOneWrite(commits);
  for (const some of group.length === 1 ? [group] : [group, group.slice(0, 1)]) {
    const read = await readOwnSide(ports.store, registryId, some, carrying);
    if (read.head?.sequence !== head.sequence) return true;
    const tableId = await ports.store.tableId();
    const own = { registryId, read, self: ports.signer.knownIds, tableId, carrying };
    const check = checkCommits(own, some);
    if (check.outcome !== 'fits') continue;
    await keepNamed(ports.store, registryId, some.flatMap(namedBy), brought);
    const write = await keepRedactions(ports.store, check.write);
    // Whatever came of it: the next look at the head tells.
    await tried(() => ports.store.commit(write));
    return true;
  }
  return false;
}

/** Who does not answer and is not named in the reason of the take-back as left out. */
async function notToBeWaitedFor(
  { store: ledger }: FillPorts,
  head: Head,
  silent: readonly CertificateId[],
): Promise<CertificateId[]> {
  const inForce = await resolutionsInForce(ledger, head);
  const reasons = inForce.map(({ resolution }) => resolution.reason).join('\n');
  return silent.filter(
    (peer) => head.configuration.peers.includes(peer) && !reasons.includes(peer),
  );
}

async function endOrWait(
  ports: FillPorts,
  head: Head,
  silent: readonly CertificateId[],
): Promise<FillOutcome> {
  const without = await notToBeWaitedFor(ports, head, silent);
  return without.length > 0 ? wait(ports, head, without) : end(ports, head);
}

/** Asked again after a while, and whenever the operator decides anew. */
async function wait(
  { store: ledger, clock }: FillPorts,
  { registryId, copy }: Head,
  without: readonly CertificateId[],
): Promise<FillOutcome> {
  const progress = progressIn({ registryId, copy }, await ledger.progress(registryId));
  const { verifiedThrough, confirmedThrough } = progress;
  const failures = progress.failures + 1;
  await ledger.putProgress({
    registryId,
    copy,
    verifiedThrough,
    confirmedThrough,
    failures,
    nextAttemptAt: nextAttempt(clock.now(), failures),
    lastError: `the take-back waits for ${without.join(' ')}`.slice(0, REASON_CHARACTERS_MAX),
  });
  return { outcome: 'waiting', without };
}

/** The copy is as whole as it gets here. */
async function end(ports: FillPorts, head: Head): Promise<FillOutcome> {
  const { filling: _filling, ...rest } = head;
  const next: Head = { ...rest, conflictsVersion: head.conflictsVersion + 1 };
  const { registryId } = head;
  const settlement = { registryId, expected: head, head: next, origin: 'received' } as const;
  const written = await tried(() => ports.store.settle(settlement));
  if (written !== 'settled') return { outcome: 'more' };
  await conclude(ports, registryId);
  return { outcome: 'filled' };
}
