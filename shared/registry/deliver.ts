import { headSchema } from '../ledger/checkpoint.ts';
import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { readStatement } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
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
  type Statements,
  schemas,
} from './messages.ts';
import type {
  Cursor,
  Head,
  PeerAnswer,
  PeerOperation,
  PeerTransport,
  Random,
  StoredEntry,
} from './ports.ts';
import { receiveOne } from './receive-statements.ts';
import type { ConflictPorts } from './report-conflict.ts';

/**
 * Bringing one peer what it lacks, from a cursor: protocol section 6. The same verb serves the
 * normal path, the catch-up and the sweep.
 *
 * 1. Read the head and the cursor; without a cursor ask the peer for its head. A peer that is
 *    parked is left alone: an old poke must not make anybody wait for it again.
 * 2. Send whole commits from the cursor on, until the peer's duty is done or the turn is over.
 * 3. Send own statements from the log, likewise.
 * 4. Write the cursor: how far, or why not and when again.  A crash before it repeats a delivery,
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
  if (isParked(stored, ports.clock.now())) return { outcome: 'done' };
  await knowPeer(ports, head, peer);
  const cursor = stored ?? { registryId, peer, statementsThrough: 0, failures: 0 };
  const { end, cursor: reached } = await takeTurn(ports, head, cursor);
  if (end !== 'done' && end !== 'more') return park(ports, head, reached, end);
  if (end === 'more' || reached !== stored || reached.failures > 0)
    await store.putCursor(served(reached));
  return { outcome: end };
}

/** How a turn ended, and how far it came. */
interface TurnEnd {
  readonly end: 'done' | 'more' | Failed;
  readonly cursor: Cursor;
}

async function takeTurn(ports: DeliverPorts, head: Head, begin: Cursor): Promise<TurnEnd> {
  const turn = { invited: false, corrected: false };
  const endMs = ports.clock.now() + TURN_MS_MAX;
  let cursor = begin;
  for (let request = 0; request < REQUESTS_MAX && ports.clock.now() <= endMs; request += 1) {
    const step = await takeStep(ports, head, cursor, turn);
    if (step === 'done') return { end: 'done', cursor };
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
  turn: { invited: boolean; corrected: boolean },
): Promise<Step> {
  const step = await nextStep(ports, head, cursor);
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
  /** What the peer asked for. */
  readonly retryAfterSeconds?: number;
}

async function nextStep(
  ports: DeliverPorts,
  head: Head,
  cursor: Cursor,
): Promise<Step | Corrected | 'uninvited'> {
  const until = owedThrough(head, ports.signer.knownIds, cursor.peer);
  if (until > 0 && cursor.deliveredThrough === undefined) return askHead(ports, head, cursor);
  if ((cursor.deliveredThrough ?? until) < until) return deliverCommits(ports, head, cursor, until);
  const present = head.configuration.peers.includes(cursor.peer);
  return present ? sendStatements(ports, head, cursor) : 'done';
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
async function askHead(
  ports: DeliverPorts,
  head: Head,
  cursor: Cursor,
): Promise<Step | 'uninvited'> {
  const nonce = ports.random.hex(16);
  const request = { operation: 'head', registryId: head.registryId, subject: nonce } as const;
  const answer = await ports.transport.call(cursor.peer, request);
  if (answer.outcome === 'unreachable') return { outcome: 'failed', reason: answer.reason };
  if (problemCode(answer) === 'PEER_NOT_IN_SWARM') return 'uninvited';
  if (answer.status === 404) return { outcome: 'moved', cursor: { deliveredThrough: 0 } };
  if (answer.status !== 200) return failed(answer);
  const message = readMessage(schemas.headAnswer, answer.body);
  if (message.outcome === 'refused') return { outcome: 'failed', reason: message.detail };
  const read = readStatement(message.value.head, headSchema);
  if (read.outcome === 'refused') return { outcome: 'failed', reason: read.detail };
  const { signer, registryId, sequence } = read.statement;
  if (signer !== cursor.peer || registryId !== head.registryId || read.statement.nonce !== nonce)
    return {
      outcome: 'failed',
      reason: 'the head it stated is not its own answer to this question',
    };
  return { outcome: 'moved', cursor: { deliveredThrough: sequence } };
}

async function deliverCommits(
  ports: DeliverPorts,
  head: Head,
  cursor: Cursor,
  until: number,
): Promise<Step | Corrected | 'uninvited'> {
  const from = (cursor.deliveredThrough ?? 0) + 1;
  const range = { from, count: limits.deliveryEntriesMax };
  const entries = await ports.store.entries(head.registryId, head.copy, range);
  const commits = withinBytes(carriedCommits(owed(entries, until)));
  if (commits.length === 0)
    return { outcome: 'failed', reason: `no whole commit is stored from entry ${from} on` };
  const { registryId } = head;
  const delivery: Delivery = { format: 'registry/delivery/v1', registryId, commits };
  const answer = await call(ports, cursor, 'deliver', encodeMessage(delivery));
  if (answer.outcome === 'unreachable') return { outcome: 'failed', reason: answer.reason };
  if (answer.status === 200) return delivered(ports, head, from, answer);
  const code = problemCode(answer);
  if (code === 'REGISTRY_UNINVITED' || code === 'PEER_NOT_IN_SWARM') return 'uninvited';
  const gap = readMessage(schemas.gap, answer.body);
  if (answer.status === 409 && gap.outcome === 'valid' && gap.value.next !== from)
    return { outcome: 'corrected', deliveredThrough: gap.value.next - 1 };
  return failed(answer);
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
    await receiveOne(ports, head.registryId, [confirmation.statement, confirmation.checkpoint]);
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
  if (answer.outcome === 'unreachable') return { outcome: 'failed', reason: answer.reason };
  if (answer.status !== 200) return failed(answer);
  const moved = cursor.deliveredThrough === undefined ? {} : { deliveredThrough: 0 };
  return { outcome: 'moved', cursor: moved };
}

async function sendStatements(ports: DeliverPorts, head: Head, cursor: Cursor): Promise<Step> {
  const { store } = ports;
  const after = cursor.statementsThrough;
  const logged = await store.statementsAfter(head.registryId, after, limits.statementsMax);
  if (logged.length === 0) return 'done';
  const message: Statements = {
    format: 'registry/statements/v1',
    registryId: head.registryId,
    statements: logged.map(({ statement, checkpoint }) => ({
      statement,
      ...(checkpoint === undefined ? {} : { checkpoint }),
    })),
  };
  const answer = await call(ports, cursor, 'statements', encodeMessage(message));
  if (answer.outcome === 'unreachable') return { outcome: 'failed', reason: answer.reason };
  if (answer.status !== 200) return failed(answer);
  const through = logged.at(-1)?.index ?? after;
  return { outcome: 'moved', cursor: { statementsThrough: through } };
}

function problemCode(answer: Answered): string | undefined {
  const problem = readMessage(schemas.problem, answer.body);
  return problem.outcome === 'valid' ? problem.value.code : undefined;
}

function failed(answer: Answered): Failed {
  const problem = readMessage(schemas.problem, answer.body);
  const said = problem.outcome === 'valid' ? `${problem.value.code} ${problem.value.detail}` : '';
  const { status, retryAfterSeconds } = answer;
  return {
    outcome: 'failed',
    reason: `answered ${status} ${said}`.trim(),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
}

async function park(
  { store, clock, alarms }: DeliverPorts,
  head: Head,
  cursor: Cursor,
  { reason: said, retryAfterSeconds }: Failed,
): Promise<DeliverOutcome> {
  const { registryId, peer } = cursor;
  const failures = cursor.failures + 1;
  const reason = said.slice(0, REASON_CHARACTERS_MAX);
  const asked = retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000;
  const nextAttemptAt =
    asked === undefined
      ? nextAttempt(clock.now(), failures)
      : new Date(clock.now() + Math.min(asked, BACKOFF_MAX_MS)).toISOString();
  await store.putCursor({ ...cursor, failures, nextAttemptAt, lastError: reason });
  // A former peer may be gone for good, and one that is merely behind says when to come again.
  const expected = asked !== undefined && failures <= COME_AGAIN_MAX;
  if (head.configuration.peers.includes(peer) && !expected)
    alarms.raise('PeerUnreachable', { registryId, peer, failures, reason });
  const comeAgain = expected && failures <= COME_AGAIN_SOON_MAX;
  return { outcome: 'parked', reason, nextAttemptAt, comeAgain };
}
