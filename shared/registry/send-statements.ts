import type { RefusalCode } from '../ledger/errors.ts';
import { payloadOf } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import type { LoggedStatement } from './conflict-record.ts';
import { encodeMessage, readMessage, type Statements, schemas } from './messages.ts';
import type { PeerAnswer, PeerTransport } from './peer-transport.ts';
import type { Alarms, Cursor, Head, LedgerStore } from './ports.ts';

/**
 * Own statements on their way to one peer, from the log and its cursor: in order, all of them
 * (protocol section 6). What concerns conflicts does not wait behind confirmations that run ahead of
 * a peer which is blocked by that very conflict: it is sent before its turn as well, and again in
 * its turn, for everything is stored once. So are the confirmations of a copy that began anew, for
 * they may be what the peer waits for, while those of the copy before run ahead of it.
 */

export interface SendStatementsPorts {
  readonly store: LedgerStore;
  readonly transport: PeerTransport;
  readonly alarms: Alarms;
}

export type SentStatements =
  /** Nothing is left to send. */
  | 'done'
  | { readonly outcome: 'moved'; readonly statementsThrough: number }
  | {
      readonly outcome: 'not-taken';
      readonly answer: PeerAnswer;
      /** To be noted on the cursor. */
      readonly unreadable?: NonNullable<Cursor['unreadable']>;
    };

/** The next page of the log. */
export async function sendStatements(
  ports: SendStatementsPorts,
  head: Head,
  cursor: Pick<Cursor, 'peer' | 'statementsThrough' | 'unreadable'>,
): Promise<SentStatements> {
  const after = cursor.statementsThrough;
  const logged = await ports.store.statementsAfter(head.registryId, after, limits.statementsMax);
  if (logged.length === 0) return 'done';
  const answer = await send(ports, head, cursor, logged);
  if (answer.outcome === 'answered' && answer.status === 200)
    return { outcome: 'moved', statementsThrough: logged.at(-1)?.index ?? after };
  const refused = refusedAt(logged, answer);
  if (refused === undefined) return { outcome: 'not-taken', answer };
  const { index } = refused;
  const times = cursor.unreadable?.index === index ? cursor.unreadable.times : 0;
  if (refused.unreadable && times < UNREADABLE_MAX)
    return { outcome: 'not-taken', answer, unreadable: { index, times: times + 1 } };
  // It was brought, and judged: what comes after it must not wait behind it for ever.
  ports.alarms.raise('StatementsRefused', {
    registryId: head.registryId,
    peer: cursor.peer,
    detail: `${cursor.peer} refuses the own statement ${index}: ${refused.reason}`,
  });
  return { outcome: 'moved', statementsThrough: index };
}

/**
 * So often a peer may say that one statement is unreadable before it is believed. What else has
 * failed meanwhile does not count: it says nothing about that statement.
 */
const UNREADABLE_MAX = 3;

/** How whatever was damaged on its way is refused: it was sound when it was sent. */
const UNREADABLE: ReadonlySet<string> = new Set<RefusalCode>([
  'STATEMENT_MALFORMED',
  'STATEMENT_SIGNATURE_WRONG',
  'STATEMENT_SIGNER_DIFFERS',
  'UNKNOWN_FORMAT',
]);

/** The statement that the peer judged and does not take. Undefined: it may take it later. */
function refusedAt(
  logged: readonly LoggedStatement[],
  answer: PeerAnswer,
): { readonly index: number; readonly reason: string; readonly unreadable: boolean } | undefined {
  if (answer.outcome === 'unreachable' || answer.status === 429) return undefined;
  const problem = readMessage(schemas.refusedStatement, answer.body);
  if (problem.outcome === 'refused') return undefined;
  const { taken, code, detail } = problem.value;
  const index = logged[taken]?.index;
  if (index === undefined) return undefined;
  return { index, reason: `${code} ${detail}`, unreadable: UNREADABLE.has(code) };
}

/** So much of the log is looked through for what is not to wait. */
const PAGES_MAX = 10;

/** What is still to be sent and does not wait: first what is about conflicts. */
export async function sendBeforeTurn(
  ports: SendStatementsPorts,
  head: Head,
  cursor: Pick<Cursor, 'peer' | 'statementsThrough'>,
): Promise<PeerAnswer | undefined> {
  const pending: LoggedStatement[] = [];
  let after = cursor.statementsThrough;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const logged = await ports.store.statementsAfter(head.registryId, after, limits.statementsMax);
    pending.push(...logged);
    if (logged.length < limits.statementsMax) break;
    after = logged.at(-1)?.index ?? after;
  }
  const decisions = pending.filter((each) => confirmedBy(each) === undefined);
  let answer: PeerAnswer | undefined;
  // Not together: whatever of the one is not taken would hold up the other.
  for (const logged of [decisions, overtaking(pending)]) {
    if (logged.length === 0) continue;
    answer = await send(ports, head, cursor, logged.slice(0, limits.statementsMax));
    if (answer.outcome === 'unreachable') break;
  }
  return answer;
}

/**
 * Confirmations that stand behind one of the same entry or a later one, as they do where a copy
 * began anew: lowest first, and of one entry the newest, so that none waits for one that runs ahead.
 */
function overtaking(pending: readonly LoggedStatement[]): LoggedStatement[] {
  const found: (readonly [number, LoggedStatement])[] = [];
  let highest = 0;
  for (const logged of pending) {
    const sequence = confirmedBy(logged);
    if (sequence === undefined) continue;
    if (sequence <= highest) found.push([sequence, logged]);
    highest = Math.max(highest, sequence);
  }
  return found.sort(([a, one], [b, other]) => a - b || other.index - one.index).map(([, it]) => it);
}

/** The entry that the statement confirms. Undefined: it is no confirmation. */
function confirmedBy({ statement }: LoggedStatement): number | undefined {
  const said = payloadOf(statement) as { readonly format: string; readonly sequence: number };
  return said.format === 'registry/confirmation/v1' ? said.sequence : undefined;
}

function send(
  { transport }: SendStatementsPorts,
  { registryId }: Head,
  { peer }: Pick<Cursor, 'peer'>,
  logged: readonly LoggedStatement[],
): Promise<PeerAnswer> {
  const message: Statements = {
    format: 'registry/statements/v1',
    registryId,
    statements: logged.map(({ statement, checkpoint, decision }) => ({
      statement,
      ...(checkpoint === undefined ? {} : { checkpoint }),
      ...(decision === undefined ? {} : { decision }),
    })),
  };
  const body = encodeMessage(message);
  return transport.call(peer, { operation: 'statements', registryId, body });
}
