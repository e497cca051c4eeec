import middy, { type MiddlewareObj } from '@middy/core';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import type { Config } from '../config.ts';
import type { DenyList } from '../registry/deny-list.ts';
import type { Alarms, Facts } from '../registry/ports.ts';
import { type Caller, identifyCaller } from './caller.ts';
import { type HttpResponse, PROBLEM_TYPE, problem } from './problem.ts';
import { matchRoute, type Parameters, type Route } from './routes.ts';

/**
 * What stands before every handler of the HTTP functions: the caller from its certificate, the
 * route, the role; and behind it: whatever was not expected becomes a problem without its inside.
 */

/** The certificate is where API Gateway puts it with mutual TLS; the types lack it. */
export type HttpEvent = APIGatewayProxyEventV2 & {
  readonly requestContext: {
    readonly authentication?: { readonly clientCert?: { readonly clientCertPem?: string } };
  };
};

/** A request whose caller is known and may be here. */
export interface HttpRequest<Instance> {
  readonly instance: Instance;
  readonly caller: Caller;
  readonly parameters: Parameters;
  readonly query: Readonly<Record<string, string | undefined>>;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Exactly as received; empty without one. */
  readonly body: Uint8Array;
  readonly requestId: string;
}

export type HttpHandler<Instance> = (request: HttpRequest<Instance>) => Promise<HttpResponse>;

/** What the stack itself needs of an instance. */
export interface HttpInstance {
  readonly config: Config;
  readonly clock: { now(): number };
  readonly denyList: Pick<DenyList, 'ids'>;
  readonly alarms: Pick<Alarms, 'count'>;
}

/** Answer of a function behind the gateway: payload format 2.0. */
export interface GatewayResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isBase64Encoded?: true;
}

/** One structured line: never bodies, keys or URLs. */
export type Log = (level: 'info' | 'warn' | 'error', message: string, facts: Facts) => void;

export interface Logging {
  readonly log: Log;
  /** Told what becomes known of the request, for whatever else is logged while it is served. */
  readonly note?: (facts: Facts) => void;
}

/** The Lambda handler over a table of routes. */
export function httpHandler<Instance extends HttpInstance>(
  open: () => Promise<Instance>,
  routes: readonly Route<HttpHandler<Instance>>[],
  { log, note = () => undefined }: Logging,
) {
  const known = new WeakMap<HttpEvent, Record<string, string | number>>();
  const serving: Serving<Instance> = {
    open,
    routes,
    note: (event, facts) => {
      note(facts);
      known.set(event, { ...known.get(event), ...facts });
    },
  };
  const stack = middy<HttpEvent, GatewayResponse>()
    .use(requestLine(log, (event) => known.get(event) ?? {}))
    .handler(async (event: HttpEvent) => answerTo(serving, event));
  return (event: HttpEvent, context: Context): Promise<GatewayResponse> => stack(event, context);
}

interface Serving<Instance> {
  readonly open: () => Promise<Instance>;
  readonly routes: readonly Route<HttpHandler<Instance>>[];
  readonly note: (event: HttpEvent, facts: Facts) => void;
}

async function answerTo<Instance extends HttpInstance>(
  serving: Serving<Instance>,
  event: HttpEvent,
): Promise<GatewayResponse> {
  serving.note(event, { requestId: event.requestContext.requestId });
  const instance = await serving.open();
  const response = await handle(instance, serving, event);
  serving.note(event, factsOf(response));
  const answered = gatewayResponse(event, response);
  const bytes = bytesOf(answered) + (response.handedOutBytes ?? 0);
  if (bytes > 0) instance.alarms.count({ BytesSent: bytes }, {});
  return answered;
}

/** Of a problem its code, which says more than the status. */
function factsOf({ facts = {}, headers, body }: HttpResponse): Facts {
  const isProblem = headers['content-type'] === PROBLEM_TYPE;
  return isProblem ? { ...facts, code: String(Object(body)['code']) } : facts;
}

function bytesOf({ body, isBase64Encoded }: GatewayResponse): number {
  return Buffer.byteLength(body, isBase64Encoded === true ? 'base64' : 'utf8');
}

async function handle<Instance extends HttpInstance>(
  instance: Instance,
  { routes, note }: Serving<Instance>,
  event: HttpEvent,
): Promise<HttpResponse> {
  const pem = event.requestContext.authentication?.clientCert?.clientCertPem;
  const config = { ...instance.config, denied: await instance.denyList.ids() };
  const identified = identifyCaller(pem, config, instance.clock.now());
  if (identified.outcome === 'refused') {
    if (identified.certificateId !== undefined) note(event, { caller: identified.certificateId });
    return problem(identified.code, identified.detail);
  }
  const { caller } = identified;
  note(event, { caller: caller.certificateId, role: caller.role });
  const matched = matchRoute(routes, event.requestContext.http.method, event.rawPath);
  if (matched.outcome === 'answered') return matched.response;
  const { route, parameters } = matched;
  const { registryId } = parameters;
  if (registryId !== undefined) note(event, { registryId });
  if (!route.roles.includes(caller.role))
    return problem(
      'ROLE_NOT_ALLOWED',
      `a caller with the role ${caller.role} may not do this; allowed: ${route.roles.join(', ')}`,
    );
  if (isReplaced(event))
    return problem(
      'NOT_UTF8',
      'the body holds U+FFFD, which a gateway puts in the place of bytes that are no UTF-8: send ' +
        'UTF-8; where the character is meant, send it as application/octet-stream',
    );
  return route.handler({
    instance,
    caller,
    parameters,
    query: event.queryStringParameters ?? {},
    headers: event.headers,
    body: bodyOf(event),
    requestId: event.requestContext.requestId,
  });
}

/** A gateway hands text over as text, and what was no UTF-8 is lost in it without a word. */
function isReplaced({ body, isBase64Encoded }: HttpEvent): boolean {
  return !isBase64Encoded && body?.includes('\uFFFD') === true;
}

function bodyOf({ body, isBase64Encoded }: HttpEvent): Uint8Array {
  return Buffer.from(body ?? '', isBase64Encoded ? 'base64' : 'utf8');
}

/** The id of the request is in every answer: a problem names it inside as well. */
function gatewayResponse(event: HttpEvent, response: HttpResponse): GatewayResponse {
  const { requestId } = event.requestContext;
  const { statusCode, body } = response;
  const headers: Record<string, string> = { ...response.headers, 'x-request-id': requestId };
  if (body === undefined) return { statusCode, headers, body: '' };
  const type = headers['content-type'] ?? '';
  if (body instanceof Uint8Array)
    return type.startsWith('application/json')
      ? { statusCode, headers, body: Buffer.from(body).toString('utf8') }
      : { statusCode, headers, body: Buffer.from(body).toString('base64'), isBase64Encoded: true };
  const value = type === PROBLEM_TYPE ? { ...body, requestId } : body;
  return { statusCode, headers, body: JSON.stringify(value) };
}

/** One log line a request, and the answer to what nobody expected. */
function requestLine(
  log: Log,
  known: (event: HttpEvent) => Facts,
): MiddlewareObj<HttpEvent, GatewayResponse> {
  const facts = (event: HttpEvent) => ({
    ...known(event),
    method: event.requestContext.http.method,
    path: event.rawPath,
  });
  return {
    after: ({ event, response }) => {
      if (response === null || response === undefined) return;
      log('info', 'request', { ...facts(event), status: response.statusCode });
    },
    onError: (request) => {
      const reason = request.error instanceof Error ? request.error.message : 'unknown';
      log('error', 'request failed', { ...facts(request.event), reason });
      const { requestId } = request.event.requestContext;
      const detail = `something unexpected happened; repeat the request, and name ${requestId} if it stays`;
      request.response = gatewayResponse(request.event, problem('INTERNAL', detail));
    },
  };
}
