import type { CertificateId, Digest, RegistryId, Sequence } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { type ConfirmPorts, confirm, type OwnConfirmation } from './confirm.ts';
import { type JudgedCommit, judgeCommit } from './judge-delivery.ts';
import type { Delivery } from './messages.ts';
import { flawOfOwnCopy } from './own-copy.ts';
import { flawOfOwnState } from './own-state.ts';
import type { Alarms, Head, LedgerStore, Random, StateRead } from './ports.ts';
import { redactionByStranger } from './redact.ts';
import { type ConflictPorts, reportConflict, reportRollback } from './report-conflict.ts';
import {
  checkCommits,
  commitsOfOneWrite,
  type OwnSide,
  readOwnSide,
  readSettled,
} from './store-commits.ts';

/**
 * A mirror receives a delivery: protocol section 6.
 *
 * 1. Judge each commit by itself.  Nothing is touched.
 * 2. Read the own head; say what is missing, or who may not deliver.
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
  const commits: JudgedCommit[] = [];
  for (const carried of delivery.commits) {
    const judged = judgeCommit(registryId, carried);
    if (judged.outcome === 'malformed') return malformed(ports, registryId, caller, judged.refused);
    const expected = commits.at(-1)?.checkpoint.statement.sequence;
    if (expected !== undefined && judged.first !== expected + 1)
      return malformed(ports, registryId, caller, refuse('SEQUENCE_NOT_NEXT', 'commits have gaps'));
    commits.push(judged);
  }
  const arrival = { registryId, caller, commits, delivery };
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
      : (barredFromNext(head) ?? (await findRolledBack(ports, head, commits)));
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
  const stranger = await redactionByStranger(ports.store, head, fresh);
  if (stranger === undefined) return undefined;
  const { registryId, caller } = fresh;
  const detail = `${stranger} redacted details; no list that is known here has that peer`;
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

function barredFromNext(head: Head): ReplicateOutcome | undefined {
  if (head.openConflicts.length > 0)
    return { outcome: 'in-conflict', conflicts: head.openConflicts };
  return undefined;
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
  { registryId, caller, commits, delivery }: Arrival,
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
    const digests: [Digest, Digest] = [held.digest, digest];
    const detail = `entry ${held.sequence} is held with ${held.digest}, delivered with ${digest}`;
    return disagree(ports, head, {
      kind: 'fork',
      sequence: held.sequence,
      lead: signer as CertificateId,
      digests,
      delivery,
      detail,
    });
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
    const group = commitsOfOneWrite(rest);
    const outcome = await storeGroup(ports, arrival, group);
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
  const { registryId, caller } = arrival;
  const read = await readOwnSide(ports.store, registryId, group);
  // Another delivery came first, or a conflict did: begin again from the head as it is now.
  if ((read.head?.sequence ?? 0) + 1 !== group[0]?.first) return 'again';
  if ((read.head?.openConflicts.length ?? 0) > 0) return 'again';
  const check = checkCommits(await ownSide(ports, registryId, read), group);
  // What is wrong in a later commit does not keep the sound ones before it from being stored.
  if (check.outcome !== 'fits' && group.length > 1)
    return storeGroup(ports, arrival, group.slice(0, 1));
  switch (check.outcome) {
    case 'malformed':
      return malformed(ports, registryId, caller, check.refused);
    case 'disagrees':
      if (read.head === undefined) return malformed(ports, registryId, caller, check.refused);
      return dispute(ports, arrival, group);
    case 'fits':
      noteSkew(ports, check.write.head);
      return (await stored(ports.store, check.write)) ? group.length : 'again';
  }
}

async function ownSide(
  { store, signer }: ReplicatePorts,
  registryId: RegistryId,
  read: StateRead,
): Promise<OwnSide> {
  return { registryId, read, self: signer.knownIds, tableId: await store.tableId() };
}

/** Rules once more on what certainly belongs together; what then still disagrees is a conflict. */
async function dispute(
  ports: ReplicatePorts,
  { registryId, delivery }: Arrival,
  group: readonly JudgedCommit[],
): Promise<ReplicateOutcome | 'again'> {
  const read = await readSettled(ports.store, registryId, group);
  if (read?.head === undefined || read.head.sequence + 1 !== group[0]?.first) return 'again';
  const check = checkCommits(await ownSide(ports, registryId, read), group);
  if (check.outcome !== 'disagrees') return 'again';
  const { kind, sequence, lead, digests, refused, ruled } = check;
  const ownFlaw = ruled === undefined ? undefined : await flawOfOwnState(ports.store, read, ruled);
  const detail = `${refused.code}: ${refused.detail}`;
  const found = { kind, sequence, lead, digests, delivery, detail };
  return disagree(ports, read.head, { ...found, ...(ownFlaw === undefined ? {} : { ownFlaw }) });
}

/** A rejected write is unknown: the next attempt reads the head and so finds out. */
async function stored(
  store: LedgerStore,
  write: Parameters<LedgerStore['commit']>[0],
): Promise<boolean> {
  try {
    return (await store.commit(write)).outcome === 'stored';
  } catch {
    return false;
  }
}

const SKEW_MAX_MS = 5 * 60_000;

/** The lead's clock decides nothing; far off, it is worth a look (protocol section 4). */
function noteSkew({ clock, alarms }: ReplicatePorts, head: Head): void {
  const skewMs = Math.abs(clock.now() - Date.parse(head.timestamp));
  // A catch-up brings old entries: only a timestamp ahead of this clock says anything.
  if (Date.parse(head.timestamp) - clock.now() > SKEW_MAX_MS)
    alarms.raise('ClockSkew', { registryId: head.registryId, sequence: head.sequence, skewMs });
}

interface Dispute {
  readonly kind: 'fork' | 'invalid-transaction';
  readonly sequence: number;
  readonly lead: CertificateId;
  readonly digests: readonly Digest[];
  readonly delivery: Delivery;
  readonly detail: string;
  /** What was found wrong with the own state. */
  readonly ownFlaw?: string;
}

/** Checks one's own side before accusing the lead; either way the registry stops here. */
async function disagree(
  ports: ReplicatePorts,
  head: Head,
  { kind, sequence, lead, digests, delivery, detail, ownFlaw }: Dispute,
): Promise<ReplicateOutcome> {
  const at = Math.min(sequence, head.sequence);
  const own = ownFlaw ?? (await flawOfOwnCopy(ports.store, head, at));
  const disagreement =
    own === undefined
      ? { kind, accused: lead, detail }
      : { kind: 'local-tampering' as const, accused: ports.signer.certificateId, detail: own };
  const evidence = Buffer.from(JSON.stringify(delivery));
  const conflict = { ...disagreement, sequence, digests, evidence };
  const conflictId = await reportConflict(ports, head.registryId, conflict);
  return { outcome: 'in-conflict', conflicts: [conflictId] };
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
  const invitation = await store.invitation(registryId);
  if (invitation?.peers.includes(caller) === true) return true;
  return head === undefined && invitation === undefined ? undefined : false;
}
