import { type RefusalCode, refusalCodes } from '../ledger/errors.ts';
import type { Facts } from '../registry/ports.ts';
import { type CallerRefusalCode, callerRefusalCodes } from './caller.ts';

/** The one table of errors over HTTP: RFC 9457 problem details with a closed list of codes. */

/** What the rules of the ledger do not know of. */
const httpCodes = [
  'ROUTE_UNKNOWN',
  'METHOD_NOT_ALLOWED',
  'ROLE_NOT_ALLOWED',
  'PARAMETER_INVALID',
  'PEER_NOT_IN_SWARM',
  'LEAD_NOT_ADMITTED',
  'NOT_THE_LEAD',
  'LEAD_NOT_RECONCILED',
  'REGISTRY_IN_CONFLICT',
  'RESOLUTION_IN_FORCE',
  'REGISTRY_UNINVITED',
  'ENTRY_UNKNOWN',
  'TRANSACTION_UNKNOWN',
  'DOCUMENT_UNKNOWN',
  'SIGNATURE_REQUEST_UNKNOWN',
  'CONTENT_NOT_HELD',
  'EVIDENCE_UNKNOWN',
  'CERTIFICATE_UNKNOWN',
  'CERTIFICATE_REFUSED',
  'DENIAL_NOT_ALLOWED',
  'DELIVERY_GAP',
  'DELIVERY_MALFORMED',
  'STATEMENT_AHEAD',
  'BUSY',
  'INTERNAL',
] as const;

export type ProblemCode = RefusalCode | CallerRefusalCode | (typeof httpCodes)[number];

/** Every code that a problem can have. */
export const problemCodes: readonly ProblemCode[] = [
  ...refusalCodes,
  ...callerRefusalCodes,
  ...httpCodes,
];

/** Statuses that differ from the 400 of bad input; everything else is 400. */
const STATUS: Partial<Record<ProblemCode, number>> = {
  TOO_LARGE: 413,
  ROUTE_UNKNOWN: 404,
  METHOD_NOT_ALLOWED: 405,
  REGISTRY_UNKNOWN: 404,
  REGISTRY_UNINVITED: 404,
  ENTRY_UNKNOWN: 404,
  TRANSACTION_UNKNOWN: 404,
  DOCUMENT_UNKNOWN: 404,
  SIGNATURE_REQUEST_UNKNOWN: 404,
  CONTENT_NOT_HELD: 404,
  EVIDENCE_UNKNOWN: 404,
  CERTIFICATE_UNKNOWN: 404,
  ROLE_NOT_ALLOWED: 403,
  PEER_NOT_IN_SWARM: 403,
  LEAD_NOT_ADMITTED: 403,
  NOT_THE_LEAD: 421,
  TRANSACTION_ID_REUSED: 409,
  VERSION_NOT_NEXT: 409,
  REQUEST_ID_REUSED: 409,
  REQUEST_ALREADY_SIGNED: 409,
  ALREADY_SUPERSEDED: 409,
  VERSION_SUPERSEDED: 409,
  REQUEST_SUPERSEDED: 409,
  SIGNATURE_REPLAYED: 409,
  NEW_LEAD_BEHIND: 409,
  CONTENT_NOT_UPLOADED: 409,
  CONTENT_SIZE_DIFFERS: 409,
  PEER_CERTIFICATE_UNKNOWN: 409,
  DENIAL_NOT_ALLOWED: 409,
  REGISTRY_IN_CONFLICT: 409,
  MANNER_NOT_ALLOWED: 409,
  CONFLICT_UNKNOWN: 404,
  RESOLUTION_UNKNOWN: 404,
  CONFLICT_NOT_OPEN: 409,
  RESOLUTION_OUTDATED: 409,
  RESOLUTION_IN_FORCE: 409,
  NOT_RESOLVING: 409,
  SET_ASIDE_NOT_ALLOWED: 409,
  ACCEPTANCE_NOT_NEEDED: 409,
  REGISTRY_CLOSED: 409,
  PREDECESSOR_NOT_CLOSED: 409,
  DELIVERY_GAP: 409,
  STATEMENT_AHEAD: 429,
  LEAD_NOT_RECONCILED: 503,
  BUSY: 503,
  INTERNAL: 500,
};

/** The same request may succeed later without being changed. */
const RETRYABLE: ReadonlySet<ProblemCode> = new Set([
  'STATEMENT_AHEAD',
  'BUSY',
  'LEAD_NOT_RECONCILED',
  'INTERNAL',
  // Their texts say to wait. ENTRY_UNKNOWN is an answer in itself, which callers must get at once.
  'CONTENT_NOT_HELD',
  'NEW_LEAD_BEHIND',
]);

/** An answer, before it gets the gateway's form. */
export interface HttpResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes are sent as they are, any other value as JSON; absent: there is no body. */
  readonly body?: unknown;
  /** What the line about this request says besides; sent to nobody. */
  readonly facts?: Facts;
  /** Size of a document whose address is in the body: it is fetched past this instance. */
  readonly handedOutBytes?: number;
}

/** RFC 9457. */
export const PROBLEM_TYPE = 'application/problem+json';

export interface ProblemOptions {
  /** Further members, for example the lead behind a 421. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A problem as an answer. `detail` says what was wrong, what was expected and what to do. The id of
 * the request joins the members when the answer is sent.
 */
export function problem(
  code: ProblemCode,
  detail: string,
  { members = {}, headers = {} }: ProblemOptions = {},
): HttpResponse {
  const status = problemStatus(code);
  const body = {
    type: `urn:registry:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: titleOf(code),
    status,
    detail,
    code,
    retryable: RETRYABLE.has(code),
    ...members,
  };
  const retry = status === 429 || status === 503 ? { 'retry-after': '1' } : {};
  return {
    statusCode: status,
    headers: { 'content-type': PROBLEM_TYPE, ...SAFE_HEADERS, ...retry, ...headers },
    body,
  };
}

/** For every answer: it is data, for this caller, now. */
export const SAFE_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
} as const;

/** The HTTP status that goes with a code. */
export function problemStatus(code: ProblemCode): number {
  if (code.startsWith('CLIENT_CERTIFICATE_') || code.startsWith('CALLER_')) return 403;
  return STATUS[code] ?? 400;
}

function titleOf(code: ProblemCode): string {
  const words = code.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A JSON answer. */
export function answer(
  statusCode: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return {
    statusCode,
    headers: { 'content-type': 'application/json', ...SAFE_HEADERS, ...headers },
    body,
  };
}
