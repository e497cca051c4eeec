import type { CertificateId, Digest, RegistryId, Sequence } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { askAfresh, judgeCommits } from './ask-afresh.ts';
import { barredByResolution, barredFromNext, openBrought } from './barred-delivery.ts';
import {
  type Brought,
  carryingWith,
  keepNamed,
  readBrought,
  strangerAmong,
} from './brought-decisions.ts';
import { type Carrying, NOTHING_CARRIED } from './carrying.ts';
import { type ConfirmPorts, confirm, type OwnConfirmation } from './confirm.ts';
import { disagree, dispute, ownSide } from './dispute-delivery.ts';
import type { JudgedCommit } from './judge-delivery.ts';
import type { Delivery } from './messages.ts';
import { laterInvitation } from './newest-list.ts';
import type { Alarms, CommitWrite, Head, LedgerStore, Random, StateRead } from './ports.ts';
import { redactionByStranger } from './redact.ts';
import { keepRedactions } from './redacted-copies.ts';
import { type ConflictPorts, reportRollback } from './report-conflict.ts';
import {
  type CommitCheck,
  checkCommits,
  commitsOfOneWrite,
  namedBy,
  readOwnSide,
} from './store-commits.ts';
import { countStored } from './usage.ts';

/**
 * A mirror receives a delivery: protocol section 6.
 *
 * 1. Judge each commit by itself.  Nothing is touched. What the lead itself sent and does not come
 *    out to its checkpoint is asked for afresh.
 * 2. Read the own head; say what is missing, or who may not deliver. While a conflict is open only
 *    what its resolution allows goes on.
 * 3. Compare what is already held.  What disagrees opens a conflict.
 * 4. Store whole commits, each group in one conditional write.  A crash leaves whole commits; the
 *    rest comes again, and what is held is compared and skipped.
 * 5. Re-read, re-digest and confirm, if no document has to be fetched first.  A crash before it
 *    leaves entries without confirmation: the fan-out of that write or the sweep makes it good.
 */

export interface ReplicatePorts extends ConflictPorts, ConfirmPorts {
  readonly random: Random;
  /** Whether this instance mirrors for that lead (its configuration). */
  readonly admits: (lead: CertificateId) => boolean;
}

export type ReplicateOutcome =
  /** Held now, through this head. */
  | {
      readonly outcome: 'held';
      readonly sequence: Sequence;
      readonly digest: Digest;
      readonly confirmation?: OwnConfirmation;
    }
  | { readonly outcome: 'gap'; readonly next: Sequence }
  | { readonly outcome: 'malformed'; readonly refused: Refused }
  /** Entry 1 is missing and this deliverer is not known to lead: an invitation comes first. */
  | { readonly outcome: 'uninvited' }
  | { readonly outcome: 'not-admitted'; readonly lead: CertificateId }
  | { readonly outcome: 'in-conflict'; readonly conflicts: readonly Digest[] }
  /** Nothing is ever stored again: this instance has signed its closing. */
  | { readonly outcome: 'closed' }
  | { readonly outcome: 'busy' };

const ATTEMPTS_MAX = 6;
/** Entries that are re-read within the answer to a delivery; more waits for the fetch function. */
const INLINE_ENTRIES_MAX = 200;

/** Stores what fits, answers what is held. `caller` proved its certificate id. */
export async function receiveDelivery(
  ports: ReplicatePorts,
  caller: CertificateId,
  delivery: Delivery,
): Promise<ReplicateOutcome> {
  const { registryId } = delivery;
  const judged = judgeCommits(delivery);
  if (judged.outcome === 'malformed') {
    const afresh = await askAfresh(ports, caller, delivery, judged);
    if (afresh.outcome === 'in-conflict') return afresh;
    if (afresh.outcome === 'malformed') return malformed(ports, registryId, caller, afresh.refused);
    return receiveJudged(ports, { registryId, caller, ...afresh });
  }
  return receiveJudged(ports, { registryId, caller, commits: judged.commits, delivery });
}

/** Goes on with a delivery whose commits come out to their checkpoints. */
async function receiveJudged(
  ports: ReplicatePorts,
  given: Omit<Arrival, 'brought'>,
): Promise<ReplicateOutcome> {
  const { registryId, caller, delivery } = given;
  const now = new Date(ports.clock.now()).toISOString();
  const brought = await readBrought(ports.store, registryId, delivery, now);
  if (brought.outcome === 'refused') return malformed(ports, registryId, caller, brought);
  const arrival = { ...given, brought };
  const accusing = await openBrought(ports, given, brought.reports);
  if (accusing?.outcome === 'refused') return malformed(ports, registryId, caller, accusing);
  if (accusing !== undefined) return accusing;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    if (attempt > 0)
      await ports.clock.wait(Math.floor(ports.random.fraction() * 20 * 2 ** attempt));
    const outcome = await attemptDelivery(ports, arrival);
    if (outcome !== 'again') return outcome;
  }
  return { outcome: 'busy' };
}

interface Arrival {
  readonly registryId: RegistryId;
  readonly caller: CertificateId;
  readonly commits: readonly JudgedCommit[];
  readonly delivery: Delivery;
  readonly brought: Brought;
}

async function attemptDelivery(
  ports: ReplicatePorts,
  arrival: Arrival,
): Promise<ReplicateOutcome | 'again'> {
  const { registryId, commits } = arrival;
  const head = await ports.store.head(registryId);
  const barred =
    head === undefined
      ? await barredFromFirst(ports, arrival)
      : ((await barredFromNext(ports, head, arrival)) ??
        (await findRolledBack(ports, head, commits)));
  if (barred !== undefined) return barred;
  const next = (head?.sequence ?? 0) + 1;
  if ((commits[0]?.first ?? next) > next) return { outcome: 'gap', next: next as Sequence };
  if (head !== undefined) {
    const differs = await compareHeld(ports, head, arrival);
    if (differs !== undefined) return differs;
  }
  const fresh = commits.filter(({ checkpoint }) => checkpoint.statement.sequence >= next);
  const hindering = await hinderedFresh(ports, head, { ...arrival, commits: fresh });
  if (hindering !== undefined) return hindering;
  const hindered = await storeAll(ports, arrival, fresh);
  return hindered ?? answerHeld(ports, registryId);
}

/** What keeps the commits beyond the head from being held against it. */
async function hinderedFresh(
  ports: ReplicatePorts,
  head: Head | undefined,
  fresh: Arrival,
): Promise<ReplicateOutcome | undefined> {
  const next = (head?.sequence ?? 0) + 1;
  const overlap = refuse('COMMIT_NOT_ENDED', `a commit overlaps the head ${next - 1}`);
  if ((fresh.commits[0]?.first ?? next) < next)
    return malformed(ports, fresh.registryId, fresh.caller, overlap);
  const stranger =
    (await redactionByStranger(ports.store, head, fresh)) ??
    (await strangerAmong(ports.store, head, fresh));
  if (stranger === undefined) return undefined;
  const { registryId, caller } = fresh;
  const detail = `${stranger} redacted details or resolved; no list that is known here has it`;
  ports.alarms.raise('StatementsRefused', { registryId, peer: caller, detail });
  // The lists between here and the sender's head may have it.
  return { outcome: 'uninvited' };
}

/** Who may bring entry 1: the lead that it names, or the one that an invitation has proved. */
async function barredFromFirst(
  { store, signer, admits }: ReplicatePorts,
  { registryId, caller, commits }: Arrival,
): Promise<ReplicateOutcome | undefined> {
  const invitation = await store.invitation(registryId);
  const first = commits[0]?.entries[0]?.transaction.transaction;
  const created = first?.type === 'create-registry' ? first.peers : undefined;
  const invited = invitation?.peers.includes(caller) === true;
  if (created === undefined && !invited) return { outcome: 'uninvited' };
  const lead = invited ? invitation.peers[0] : created?.[0];
  const listed = (invited ? invitation.peers : created)?.some((id) => signer.knownIds.includes(id));
  if (lead === undefined || listed !== true || (!invited && lead !== caller))
    return { outcome: 'uninvited' };
  // A lead that lost its ledger must not lead on from whatever part of it somebody brings.
  if (signer.knownIds.includes(lead)) return { outcome: 'uninvited' };
  return admits(lead) ? undefined : { outcome: 'not-admitted', lead };
}

/** An own checkpoint above the own head: this instance was restored to an older state. */
async function findRolledBack(
  ports: ReplicatePorts,
  head: Head,
  commits: readonly JudgedCommit[],
): Promise<ReplicateOutcome | undefined> {
  for (const { checkpoint } of commits) {
    const conflictId = await reportRollback(ports, head, checkpoint);
    if (conflictId !== undefined) return { outcome: 'in-conflict', conflicts: [conflictId] };
  }
  return undefined;
}

/** What was delivered for sequences that are held must be what is held. */
async function compareHeld(
  ports: ReplicatePorts,
  head: Head,
  { registryId, caller, commits }: Arrival,
): Promise<ReplicateOutcome | undefined> {
  const delivered = new Map<number, Digest>(
    commits.flatMap(({ entries, checkpoint }) => [
      ...entries.map(({ read }) => [read.entry.sequence as number, read.digest] as const),
      [checkpoint.statement.sequence as number, checkpoint.statement.digest] as const,
    ]),
  );
  const first = Math.max(1, commits[0]?.first ?? head.sequence + 1);
  if (first > head.sequence) return undefined;
  const last = Math.min(head.sequence, commits.at(-1)?.checkpoint.statement.sequence ?? 0);
  const range = { from: first, count: last - first + 1 };
  for (const held of await ports.store.entries(registryId, head.copy, range)) {
    const digest = delivered.get(held.sequence);
    if (digest === undefined || digest === held.digest) continue;
    const commit = commits.find(
      ({ checkpoint: { statement } }) => statement.sequence >= held.sequence,
    );
    const own = readEntry(held.entry);
    const signer = commit?.checkpoint.statement.signer;
    if (own.outcome === 'read' && signer !== own.entry.lead)
      return malformed(
        ports,
        registryId,
        caller,
        refuse('LEAD_DIFFERS', `${signer} does not lead at entry ${held.sequence}`),
      );
    const detail = `entry ${held.sequence} is held with ${held.digest}, delivered with ${digest}`;
    const disputed = await disagree(ports, {
      kind: 'fork',
      head,
      sequence: held.sequence,
      lead: signer as CertificateId,
      digests: [held.digest, digest],
      commit: commit as JudgedCommit,
      detail,
    });
    return disputed.outcome === 'taken-back'
      ? malformed(ports, registryId, caller, disputed.refused)
      : disputed;
  }
  return undefined;
}

async function storeAll(
  ports: ReplicatePorts,
  arrival: Arrival,
  fresh: readonly JudgedCommit[],
): Promise<ReplicateOutcome | 'again' | undefined> {
  let rest = fresh;
  while (rest.length > 0) {
    const outcome = await storeGroup(ports, arrival, commitsOfOneWrite(rest));
    if (typeof outcome !== 'number') return outcome;
    rest = rest.slice(outcome);
  }
  return undefined;
}

/** How many commits were stored; or why none was. */
async function storeGroup(
  ports: ReplicatePorts,
  arrival: Arrival,
  group: readonly JudgedCommit[],
): Promise<ReplicateOutcome | 'again' | number> {
  const { registryId } = arrival;
  const side = await readSide(ports, arrival, group);
  if (side === 'again') return 'again';
  const { read, carrying } = side;
  // Another delivery came first, or a conflict did: begin again from the head as it is now.
  if ((read.head?.sequence ?? 0) + 1 !== group[0]?.first) return 'again';
  const [first] = group;
  const inConflict = read.head !== undefined && read.head.openConflicts.length > 0;
  const check = checkCommits({ ...(await ownSide(ports, registryId, read)), carrying }, group);
  // What is wrong in a later commit, or forbidden, does not keep the sound ones before it out.
  if (group.length > 1 && (inConflict || check.outcome !== 'fits'))
    return storeGroup(ports, arrival, [first]);
  const barred = inConflict ? await barredByResolution(ports, read.head, first) : undefined;
  return barred ?? storeChecked(ports, { ...arrival, head: read.head }, group, check);
}

async function storeChecked(
  ports: ReplicatePorts,
  arrival: Arrival & { readonly head: Head | undefined },
  group: readonly JudgedCommit[],
  check: CommitCheck,
): Promise<ReplicateOutcome | 'again' | number> {
  const { registryId, caller, brought, head } = arrival;
  switch (check.outcome) {
    case 'malformed':
      return malformed(ports, registryId, caller, check.refused);
    case 'disagrees':
      if (head === undefined) return malformed(ports, registryId, caller, check.refused);
      return disputeGroup(ports, arrival, group);
    case 'fits':
      noteSkew(ports, check.write.head);
      await keepNamed(ports.store, registryId, group.flatMap(namedBy), brought);
      return (await stored(ports, check.write)) ? group.length : 'again';
  }
}

async function disputeGroup(
  ports: ReplicatePorts,
  arrival: Arrival,
  group: readonly JudgedCommit[],
): Promise<ReplicateOutcome | 'again'> {
  const disputed = await dispute(ports, arrival, group);
  if (disputed === 'again' || disputed.outcome === 'in-conflict') return disputed;
  return malformed(ports, arrival.registryId, arrival.caller, disputed.refused);
}

/** The own side of these commits, with the resolutions that concern them: mostly there are none. */
async function readSide(
  { store }: ReplicatePorts,
  { registryId, brought }: Arrival,
  group: readonly JudgedCommit[],
): Promise<{ readonly read: StateRead; readonly carrying: Carrying } | 'again'> {
  const plain = await readOwnSide(store, registryId, group, NOTHING_CARRIED);
  const decided = plain.head?.decided ?? [];
  if (decided.length === 0 && brought.resolutions.size === 0)
    return { read: plain, carrying: NOTHING_CARRIED };
  const carrying = await carryingWith(store, plain.head, brought);
  const read = await readOwnSide(store, registryId, group, carrying);
  return isSameHead(read.head, plain.head) ? { read, carrying } : 'again';
}

function isSameHead(a: Head | undefined, b: Head | undefined): boolean {
  return a?.digest === b?.digest && a?.conflictsVersion === b?.conflictsVersion;
}

/** A rejected write is unknown: the next attempt reads the head and so finds out. */
async function stored({ store, alarms }: ReplicatePorts, write: CommitWrite): Promise<boolean> {
  try {
    const kept = await keepRedactions(store, write);
    if ((await store.commit(kept)).outcome !== 'stored') return false;
  } catch {
    return false;
  }
  countStored(alarms, write);
  return true;
}

const SKEW_MAX_MS = 5 * 60_000;

/** The lead's clock decides nothing; far off, it is worth a look (protocol section 4). */
function noteSkew({ clock, alarms }: ReplicatePorts, head: Head): void {
  const skewMs = Math.abs(clock.now() - Date.parse(head.timestamp));
  // A catch-up brings old entries: only a timestamp ahead of this clock says anything.
  if (Date.parse(head.timestamp) - clock.now() > SKEW_MAX_MS)
    alarms.raise('ClockSkew', { registryId: head.registryId, sequence: head.sequence, skewMs });
}

function malformed(
  { alarms }: { readonly alarms: Alarms },
  registryId: RegistryId,
  caller: CertificateId,
  refused: Refused,
): ReplicateOutcome {
  const { code, detail } = refused;
  alarms.raise('StatementsRefused', { registryId, peer: caller, code, detail });
  return { outcome: 'malformed', refused };
}

async function answerHeld(
  ports: ReplicatePorts,
  registryId: RegistryId,
): Promise<ReplicateOutcome> {
  const bounds = { fetch: false, entriesMax: INLINE_ENTRIES_MAX };
  const confirmed = await confirm(ports, registryId, bounds);
  const head = await ports.store.head(registryId);
  if (head === undefined) return { outcome: 'busy' };
  const held = { outcome: 'held', sequence: head.sequence, digest: head.digest } as const;
  return confirmed.outcome === 'confirmed'
    ? { ...held, confirmation: confirmed.confirmation }
    : held;
}

/** Whether the caller may speak to this registry at all: any present or former peer. */
export async function isInSwarm(
  store: LedgerStore,
  registryId: RegistryId,
  caller: CertificateId,
): Promise<boolean | undefined> {
  const head = await store.head(registryId);
  if (head?.everPeers.includes(caller) === true) return true;
  const invitation =
    head === undefined ? await store.invitation(registryId) : await laterInvitation(store, head);
  if (invitation?.peers.includes(caller) === true) return true;
  return head === undefined && invitation === undefined ? undefined : false;
}
