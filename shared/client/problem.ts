/** What can go wrong for a client, as errors with a closed list of codes that programs branch on. */
import { type RefusalCode, refusalCodes } from '../ledger/errors.ts';

/** What an instance answers beyond the refusals of the ledger's rules: docs/api.md. */
const instanceCodes = [
  'CLIENT_CERTIFICATE_MISSING',
  'CLIENT_CERTIFICATE_MALFORMED',
  'CLIENT_CERTIFICATE_WRONG_USAGE',
  'CLIENT_CERTIFICATE_UNTRUSTED',
  'CLIENT_CERTIFICATE_NOT_YET_VALID',
  'CLIENT_CERTIFICATE_EXPIRED',
  'CALLER_DENIED',
  'CALLER_NOT_LISTED',
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
  'EVIDENCE_UNKNOWN',
  'REGISTRY_UNINVITED',
  'ENTRY_UNKNOWN',
  'TRANSACTION_UNKNOWN',
  'DOCUMENT_UNKNOWN',
  'SIGNATURE_REQUEST_UNKNOWN',
  'CONTENT_NOT_HELD',
  'CERTIFICATE_UNKNOWN',
  'CERTIFICATE_REFUSED',
  'DENIAL_NOT_ALLOWED',
  'DELIVERY_GAP',
  'DELIVERY_MALFORMED',
  'STATEMENT_AHEAD',
  'BUSY',
  'INTERNAL',
] as const;

/** A code that an instance can answer with. */
export type InstanceCode = RefusalCode | (typeof instanceCodes)[number];

/** Every code that an instance can answer with, as this client knows them. */
export const knownInstanceCodes: readonly InstanceCode[] = [...refusalCodes, ...instanceCodes];

/** What the client itself finds: docs/client.md. */
export const clientCodes = [
  // Called wrongly.
  'ARGUMENT_INVALID',
  'PROFILE_INVALID',
  'FILE_UNREADABLE',
  'FILE_NOT_WRITTEN',
  // Found before connecting.
  'TLS_OWN_CERTIFICATE_MALFORMED',
  'TLS_OWN_CERTIFICATE_EXPIRED',
  'TLS_OWN_CERTIFICATE_NOT_YET_VALID',
  'TLS_WRONG_CA',
  'TLS_KEY_DOES_NOT_FIT',
  'TLS_WRONG_EXTENDED_KEY_USAGE',
  // Found while connecting.
  'TLS_OWN_CERTIFICATE_REFUSED',
  'TLS_SERVER_NOT_TRUSTED',
  'TLS_SERVER_NAME_DIFFERS',
  'TLS_SERVER_ID_DIFFERS',
  'TLS_SERVER_CERTIFICATE_EXPIRED',
  'TLS_SERVER_CERTIFICATE_NOT_YET_VALID',
  'TLS_FAILED',
  'UNREACHABLE',
  'TIMED_OUT',
  // Found in what was answered.
  'GATEWAY_REFUSED',
  'PROBLEM_UNKNOWN',
  'ANSWER_MALFORMED',
  'ANSWER_NOT_PROVEN',
  'CONTENT_DIFFERS',
  // Said by the store of the documents' bytes.
  'UPLOAD_REFUSED',
  'DOWNLOAD_REFUSED',
  // Waiting.
  'NOBODY_TO_CONFIRM',
  'NOT_CONFIRMED_IN_TIME',
] as const;

/** A code of the client itself. */
export type ClientCode = (typeof clientCodes)[number];

export type RegistryErrorCode = InstanceCode | ClientCode;

/** What an instance answered instead of what was asked: RFC 9457. */
export interface Problem {
  readonly status: number;
  /** As it was answered; the error's own code is `PROBLEM_UNKNOWN` where this client lacks it. */
  readonly code: string;
  /** One sentence for people. */
  readonly detail: string;
  /** The same request may succeed later without being changed. */
  readonly retryable: boolean;
  /** To be named when the problem is reported to the operator. */
  readonly requestId?: string;
  /** All members, those of this kind of problem among them, such as `leadEndpoint`. */
  readonly members: Readonly<Record<string, unknown>>;
}

export interface RegistryErrorOptions {
  readonly problem?: Problem;
  readonly retryable?: boolean;
  /** How long the answer asks to wait. */
  readonly retryAfterMs?: number;
  /** What a program may want to know beyond the sentence. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** Everything that this client rejects with, but for the reason of a signal that was aborted. */
export class RegistryError extends Error {
  readonly code: RegistryErrorCode;
  /** What the instance answered, where it did. */
  readonly problem?: Problem;
  /** Whether the same call may succeed later; the client itself has tried as often as it may. */
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly members: Readonly<Record<string, unknown>>;

  /** `message`: what was wrong, what was expected, what to do. */
  constructor(code: RegistryErrorCode, message: string, options: RegistryErrorOptions = {}) {
    const { problem, retryAfterMs, members, cause } = options;
    super(message, cause === undefined ? {} : { cause });
    this.name = 'RegistryError';
    this.code = code;
    this.retryable = options.retryable ?? problem?.retryable ?? false;
    if (problem !== undefined) this.problem = problem;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
    this.members = members ?? problem?.members ?? {};
  }

  /** The HTTP status, where an instance answered. */
  get status(): number | undefined {
    return this.problem?.status;
  }

  get requestId(): string | undefined {
    return this.problem?.requestId;
  }
}

/** An answer of the instance that does not come out to what is signed. `what` begins the sentence. */
export function notProven(what: string): RegistryError {
  return new RegistryError(
    'ANSWER_NOT_PROVEN',
    `${what}; do not use this answer, and tell the operator of the instance`,
  );
}

/** Whatever else may be wrong with an answer. */
export function malformedAnswer(what: string): RegistryError {
  return new RegistryError(
    'ANSWER_MALFORMED',
    `${what}; see that the endpoint is that of an instance, and that client and instance fit`,
  );
}

/** A call that cannot mean anything. */
export function invalidArgument(what: string): RegistryError {
  return new RegistryError('ARGUMENT_INVALID', what);
}

/** The parts of an answer that make up a problem. */
export interface FailedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly bytes: Uint8Array;
}

/** The error for an answer from status 400 on. */
export function problemError(answer: FailedAnswer): RegistryError {
  const members = objectIn(answer.bytes);
  const retryAfterMs = retryAfterOf(answer);
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (typeof members['code'] !== 'string') return gatewayError(answer, wait);
  const problem = problemOf(answer, members, members['code']);
  const known = knownInstanceCodes.find((code) => code === problem.code);
  return known === undefined
    ? new RegistryError('PROBLEM_UNKNOWN', `${problem.code}: ${problem.detail}`, {
        problem,
        ...wait,
      })
    : new RegistryError(known, problem.detail, { problem, ...wait });
}

function problemOf(
  { status, headers }: FailedAnswer,
  members: Readonly<Record<string, unknown>>,
  code: string,
): Problem {
  const { detail, retryable } = members;
  const requestId = members['requestId'] ?? headers['x-request-id'];
  return {
    status,
    code,
    detail: typeof detail === 'string' ? detail : 'the instance gave no detail',
    retryable: typeof retryable === 'boolean' ? retryable : isPassing(status),
    ...(typeof requestId === 'string' ? { requestId } : {}),
    members,
  };
}

/** What stands before the functions answers without a code, and may pass. */
function gatewayError(
  { status, headers }: FailedAnswer,
  wait: { readonly retryAfterMs?: number },
): RegistryError {
  const requestId = headers['apigw-requestid'] ?? headers['x-amzn-requestid'];
  const named = typeof requestId === 'string' ? ` (request ${requestId})` : '';
  const advice =
    status === 403
      ? 'it does not take the client certificate: see that the CA of the cluster issued it'
      : 'call again later, and tell the operator of the instance if it stays';
  return new RegistryError(
    'GATEWAY_REFUSED',
    `what stands before the instance answered ${status}${named}: ${advice}`,
    { retryable: isPassing(status), members: { status }, ...wait },
  );
}

/** Statuses that the same request need not get again. */
function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function retryAfterOf({ status, headers }: FailedAnswer): number | undefined {
  const text = headers['retry-after'];
  if ((status !== 429 && status !== 503) || typeof text !== 'string') return undefined;
  if (/^\d{1,6}$/.test(text)) return 1000 * Number(text);
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

function objectIn(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch {
    return {};
  }
}
