import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { limits } from '../ledger/limits.ts';
import { askHead } from './ask-head.ts';
import { decisionsOf } from './brought-decisions.ts';
import { owedThrough } from './commit.ts';
import { BACKOFF_MAX_MS, isParked, nextAttempt, REASON_CHARACTERS_MAX } from './confirm.ts';
import { buildInvitation } from './invite.ts';
import { type KnowPeerPorts, knowPeer } from './know-peer.ts';
import {
  type CarriedCommit,
  carriedCommits,
  type Delivery,
  encodeMessage,
  readMessage,
  schemas,
} from './messages.ts';
import type { PeerAnswer, PeerOperation, PeerTransport } from './peer-transport.ts';
import type { Cursor, DeliveryFailure, Head, LedgerStore, Random, StoredEntry } from './ports.ts';
import { receiveConfirmation } from './receive-confirmation.ts';
import type { ConflictPorts } from './report-conflict.ts';
import { type SentStatements, sendBeforeTurn, sendStatements } from './send-statements.ts';

/**
 * Bringing one peer what it lacks, from a cursor: protocol section 6. The same verb serves the
 * normal path, the catch-up and the sweep.
 *
 * 1. Read the head and the cursor; without a cursor ask the peer for its head. A peer that is
 *    parked is left alone: an old poke must not make anybody wait for it again.
 * 2. Send what concerns conflicts: it waits for nothing.
 * 3. Send whole commits from the cursor on, until the peer's duty is done or the turn is over. A
 *    peer that is blocked by a conflict takes none, and still gets the rest.
 * 4. Send own statements from the log, likewise.
 * 5. Write the cursor: how far, or why not and when again.  A crash before it repeats a delivery,
 *    which the peer compares and skips.
 */

export interface DeliverPorts extends ConflictPorts, KnowPeerPorts {
  readonly transport: PeerTransport;
  readonly random: Random;
}

export type DeliverOutcome =
  /** Nothing to do now. */
  | { readonly outcome: 'done' }
  /** The turn is over before the work is: to be poked again. */
  | { readonly outcome: 'more' }
  /** Failed; the cursor says when it is tried again. */
  | {
      readonly outcome: 'parked';
      readonly reason: string;
      readonly nextAttemptAt: string;
      /** The peer is merely behind and asked to be called again: so soon that waiting pays. */
      readonly comeAgain: boolean;
    };

/** Requests of one turn, and when its last one may begin: a turn ends before the function does. */
const REQUESTS_MAX = 20;
const TURN_MS_MAX = 20_000;

/** So often a peer may ask to come again before that counts as a failure of its own. */
const COME_AGAIN_MAX = 5;
/** So often it is called again at once; after that the sweep does it. */
const COME_AGAIN_SOON_MAX = 3;

export async function deliver(
  ports: DeliverPorts,
  registryId: RegistryId,
  peer: CertificateId,
): Promise<DeliverOutcome> {
  const { store } = ports;
  const head = await store.head(registryId);
  if (head === undefined) return { outcome: 'done' };
  const stored = await store.cursor(registryId, peer);
  const log = await store.statementsHead(registryId);
  if (isWaiting(stored, log, ports.clock.now())) return { outcome: 'done' };
  await knowPeer(ports, head, peer);
  const cursor = stored ?? { registryId, peer, statementsThrough: 0, failures: 0 };
  const { end, cursor: reached } = await takeTurn(ports, head, cursor);
  if (end !== 'done' && end !== 'more')
    return park(ports, head, { ...reached, failedAtLog: log }, end);
  if (end === 'more' || reached !== stored || reached.failures > 0)
    await store.putCursor(served(reached));
  return { outcome: end };
}

/** What has happened in a turn, and is not to happen twice. */
interface Turn {
  invited: boolean;
  corrected: boolean;
  /** What concerns conflicts was sent. */
  told: boolean;
  /** The peer takes no entries, because of a conflict. */
  blocked?: Failed;
}

/**
 * Whether the peer is left alone until its next attempt: not if something new is to be said and it
 * does answer, for then only entries have to wait.
 */
export function isWaiting(cursor: Cursor | undefined, log: number, now: number): boolean {
  if (cursor === undefined || !isParked(cursor, now)) return false;
  const news = log > (cursor.failedAtLog ?? 0) && cursor.lastFailure !== 'unreachable';
  return !(news && cursor.failedAtLog !== undefined);
}

/** How a turn ended, and how far it came. */
interface TurnEnd {
  readonly end: 'done' | 'more' | Failed;
  readonly cursor: Cursor;
}

async function takeTurn(ports: DeliverPorts, head: Head, begin: Cursor): Promise<TurnEnd> {
  const turn: Turn = { invited: false, corrected: false, told: false };
  const endMs = ports.clock.now() + TURN_MS_MAX;
  let cursor = begin;
  for (let request = 0; request < REQUESTS_MAX && ports.clock.now() <= endMs; request += 1) {
    const step = await takeStep(ports, head, cursor, turn);
    if (step === 'done') return { end: turn.blocked ?? 'done', cursor };
    if (step.outcome === 'failed') return { end: step, cursor };
    cursor = movedOn(head, cursor, step.cursor);
  }
  return { end: 'more', cursor };
}

/** Whatever a peer says that it holds: beyond the own head nothing was brought to it. */
function movedOn(head: Head, cursor: Cursor, step: Partial<Cursor>): Cursor {
  const moved = { ...cursor, ...step };
  if (moved.deliveredThrough === undefined) return moved;
  return { ...moved, deliveredThrough: Math.min(moved.deliveredThrough, head.sequence) };
}

/**
 * One invitation and one correction a turn: a peer that then still knows nothing, or asks for other
 * entries again, is not served on and on.
 */
async function takeStep(
  ports: DeliverPorts,
  head: Head,
  cursor: Cursor,
  turn: Turn,
): Promise<Step> {
  const step = await nextStep(ports, head, cursor, turn);
  if (step !== 'done' && step !== 'uninvited' && step.outcome === 'corrected') {
    if (turn.corrected)
      return { outcome: 'failed', reason: 'it asks for other entries again and again' };
    turn.corrected = true;
    return { outcome: 'moved', cursor: { deliveredThrough: step.deliveredThrough } };
  }
  if (step !== 'uninvited') return step;
  const invited = await invite(ports, head, cursor, turn.invited);
  turn.invited = true;
  return invited;
}

function served({ registryId, peer, deliveredThrough, statementsThrough }: Cursor): Cursor {
  return {
    registryId,
    peer,
    statementsThrough,
    failures: 0,
    ...(deliveredThrough === undefined ? {} : { deliveredThrough }),
  };
}

type Step = 'done' | { readonly outcome: 'moved'; readonly cursor: Partial<Cursor> } | Failed;

/** The peer needs less or other entries than the cursor thought: it knows best. */
interface Corrected {
  readonly outcome: 'corrected';
  readonly deliveredThrough: number;
}

interface Failed {
  readonly outcome: 'failed';
  readonly reason: string;
  /** `other` unless given. */
  readonly failure?: DeliveryFailure;
  /** What the peer asked for. */
  readonly retryAfterSeconds?: number;
  readonly unreadable?: NonNullable<Cursor['unreadable']>;
}

async function nextStep(
  ports: DeliverPorts,
  head: Head,
  cursor: Cursor,
  turn: Turn,
): Promise<Step | Corrected | 'uninvited'> {
  const until = owedThrough(head, ports.signer.knownIds, cursor.peer);
  if (until > 0 && cursor.deliveredThrough === undefined) return beginAtHead(ports, head, cursor);
  const present = head.configuration.peers.includes(cursor.peer);
  if (present && !turn.told) {
    turn.told = true;
    const answer = await sendBeforeTurn(ports, head, cursor);
    if (answer?.outcome === 'unreachable') return unanswered(answer);
  }
  if (turn.blocked === undefined && (cursor.deliveredThrough ?? until) < until) {
    const step = await deliverCommits(ports, head, cursor, until);
    if (!isBlocked(step)) return step;
    turn.blocked = step;
  }
  return present ? logStep(await sendStatements(ports, head, cursor)) : 'done';
}

function isBlocked(step: Step | Corrected | 'uninvited'): step is Failed {
  return typeof step !== 'string' && step.outcome === 'failed' && step.failure === 'in-conflict';
}

function logStep(sent: SentStatements): Step {
  if (sent === 'done') return 'done';
  if (sent.outcome === 'moved')
    return { outcome: 'moved', cursor: { statementsThrough: sent.statementsThrough } };
  const { answer, outcome: _notTaken, ...noted } = sent;
  return answer.outcome === 'unreachable' ? unanswered(answer) : { ...failed(answer), ...noted };
}

async function call(
  ports: DeliverPorts,
  cursor: Cursor,
  operation: PeerOperation,
  body?: Uint8Array,
): Promise<PeerAnswer> {
  const { registryId, peer } = cursor;
  const request = { operation, registryId, ...(body === undefined ? {} : { body }) };
  return ports.transport.call(peer, request);
}

/** A cursor begins at the head that the peer itself states, signed. */
async function beginAtHead(
  ports: DeliverPorts,
  head: Head,
  { peer }: Cursor,
): Promise<Step | 'uninvited'> {
  const answer = await askHead(ports, head, peer);
  switch (answer.outcome) {
    case 'unreachable':
      return unanswered(answer);
    case 'not-in-swarm':
      return 'uninvited';
    case 'unknown-registry':
      return { outcome: 'moved', cursor: { deliveredThrough: 0 } };
    case 'refused':
      return failed(answer.answer);
    case 'malformed':
      return { outcome: 'failed', reason: answer.reason };
    case 'stated':
      return { outcome: 'moved', cursor: { deliveredThrough: answer.head.statement.sequence } };
  }
}

async function deliverCommits(
  ports: DeliverPorts,
  head: Head,
  cursor: Cursor,
  until: number,
): Promise<Step | Corrected | 'uninvited'> {
  const from = (cursor.deliveredThrough ?? 0) + 1;
  const delivery = await deliveryFrom(ports.store, head, from, until);
  if (delivery === undefined)
    return { outcome: 'failed', reason: `no whole commit is stored from entry ${from} on` };
  const answer = await call(ports, cursor, 'deliver', encodeMessage(delivery));
  if (answer.outcome === 'unreachable') return unanswered(answer);
  if (answer.status === 200) return delivered(ports, head, from, answer);
  const code = problemCode(answer);
  if (code === 'REGISTRY_UNINVITED' || code === 'PEER_NOT_IN_SWARM') return 'uninvited';
  const gap = readMessage(schemas.gap, answer.body);
  if (answer.status === 409 && gap.outcome === 'valid' && gap.value.next !== from)
    return { outcome: 'corrected', deliveredThrough: gap.value.next - 1 };
  return failed(answer);
}

/**
 * Whole commits from `from` on, within the limits of one delivery and up to the commit that holds
 * `until`, with the decisions that belong to them. Undefined: there is none.
 */
export async function deliveryFrom(
  store: LedgerStore,
  head: Head,
  from: number,
  until: number = head.sequence,
): Promise<Delivery | undefined> {
  const { registryId, copy } = head;
  const entries = await store.entries(registryId, copy, { from, count: limits.deliveryEntriesMax });
  const commits = withinBytes(carriedCommits(owed(entries, until)));
  if (commits.length === 0) return undefined;
  const decisions = await decisionsOf(store, head, entries.slice(0, lengthOf(commits)));
  return { format: 'registry/delivery/v1', registryId, commits, ...decisions };
}

function lengthOf(commits: readonly CarriedCommit[]): number {
  return commits.reduce((sum, { entries }) => sum + entries.length, 0);
}

/** Up to the commit that holds the last entry owed: a former peer hears nothing beyond. */
function owed(entries: readonly StoredEntry[], until: number): readonly StoredEntry[] {
  const end = entries.findIndex(
    ({ sequence, checkpoint }) => sequence >= until && checkpoint !== undefined,
  );
  return end === -1 ? entries : entries.slice(0, end + 1);
}

/** Leading commits that stay within one delivery's bytes; always at least one. */
function withinBytes(commits: readonly CarriedCommit[]): CarriedCommit[] {
  let bytes = 1024;
  const taken = commits.filter((commit, index) => {
    bytes += Buffer.byteLength(JSON.stringify(commit)) + 1;
    return index === 0 || bytes <= limits.deliveryBytesMax;
  });
  return taken;
}

type Answered = Extract<PeerAnswer, { outcome: 'answered' }>;

async function delivered(
  ports: DeliverPorts,
  head: Head,
  from: number,
  answer: Answered,
): Promise<Step> {
  const message = readMessage(schemas.deliveryAnswer, answer.body);
  if (message.outcome === 'refused') return { outcome: 'failed', reason: message.detail };
  const { confirmation, sequence } = message.value;
  if (sequence < from)
    return { outcome: 'failed', reason: `it says that it holds only entry ${sequence}` };
  // Kept at once; the peer's own log brings it too. What is wrong with it is raised there.
  if (confirmation !== undefined)
    await receiveConfirmation(ports, head.registryId, [
      confirmation.statement,
      confirmation.checkpoint,
    ]);
  return { outcome: 'moved', cursor: { deliveredThrough: sequence } };
}

/** Tells the peer who leads; it states its head again, or starts at entry 1. */
async function invite(
  ports: DeliverPorts,
  head: Head,
  cursor: Cursor,
  invitedBefore: boolean,
): Promise<Step> {
  if (invitedBefore) return { outcome: 'failed', reason: 'it was invited and still refuses' };
  const body = encodeMessage(await buildInvitation(ports.store, head));
  const answer = await call(ports, cursor, 'invite', body);
  if (answer.outcome === 'unreachable') return unanswered(answer);
  if (answer.status !== 200) return failed(answer);
  const moved = cursor.deliveredThrough === undefined ? {} : { deliveredThrough: 0 };
  return { outcome: 'moved', cursor: moved };
}

function problemCode(answer: Answered): string | undefined {
  const problem = readMessage(schemas.problem, answer.body);
  return problem.outcome === 'valid' ? problem.value.code : undefined;
}

function unanswered({ reason }: Extract<PeerAnswer, { outcome: 'unreachable' }>): Failed {
  return { outcome: 'failed', reason, failure: 'unreachable' };
}

function failed(answer: Answered): Failed {
  const problem = readMessage(schemas.problem, answer.body);
  const said = problem.outcome === 'valid' ? `${problem.value.code} ${problem.value.detail}` : '';
  const { status, retryAfterSeconds } = answer;
  return {
    outcome: 'failed',
    reason: `answered ${status} ${said}`.trim(),
    failure: problemCode(answer) === 'REGISTRY_IN_CONFLICT' ? 'in-conflict' : 'other',
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
}

async function park(
  { store, clock, alarms }: DeliverPorts,
  head: Head,
  cursor: Cursor,
  { reason: said, failure = 'other', retryAfterSeconds, unreadable }: Failed,
): Promise<DeliverOutcome> {
  const { registryId, peer } = cursor;
  const failures = cursor.failures + 1;
  const reason = said.slice(0, REASON_CHARACTERS_MAX);
  const asked = retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000;
  const nextAttemptAt =
    asked === undefined
      ? nextAttempt(clock.now(), failures)
      : new Date(clock.now() + Math.min(asked, BACKOFF_MAX_MS)).toISOString();
  const noted = { failures, nextAttemptAt, lastError: reason, lastFailure: failure };
  await store.putCursor({
    ...cursor,
    ...noted,
    ...(unreadable === undefined ? {} : { unreadable }),
  });
  // A former peer may be gone for good, and one that is merely behind says when to come again.
  const expected = asked !== undefined && failures <= COME_AGAIN_MAX;
  if (head.configuration.peers.includes(peer) && !expected && failure !== 'in-conflict')
    alarms.raise('PeerUnreachable', { registryId, peer, failures, reason });
  const comeAgain = expected && failures <= COME_AGAIN_SOON_MAX;
  return { outcome: 'parked', reason, nextAttemptAt, comeAgain };
}
