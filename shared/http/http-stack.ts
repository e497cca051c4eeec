import middy, { type MiddlewareObj } from '@middy/core';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import type { Config } from '../config.ts';
import { type Caller, identifyCaller } from './caller.ts';
import { type HttpResponse, problem } from './problem.ts';
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
  /** Exactly as received; empty without one. */
  readonly body: Uint8Array;
  readonly requestId: string;
}

export type HttpHandler<Instance> = (request: HttpRequest<Instance>) => Promise<HttpResponse>;

/** What the stack itself needs of an instance. */
export interface HttpInstance {
  readonly config: Config;
  readonly clock: { now(): number };
}

/** One structured line: never bodies, keys or URLs. */
export type Log = (
  level: 'info' | 'warn' | 'error',
  message: string,
  facts: Readonly<Record<string, string | number>>,
) => void;

/** The Lambda handler over a table of routes. */
export function httpHandler<Instance extends HttpInstance>(
  open: () => Promise<Instance>,
  routes: readonly Route<HttpHandler<Instance>>[],
  log: Log,
) {
  return middy<HttpEvent, HttpResponse>()
    .use(requestLine(log))
    .handler((event: HttpEvent) => handle(open, routes, event));
}

async function handle<Instance extends HttpInstance>(
  open: () => Promise<Instance>,
  routes: readonly Route<HttpHandler<Instance>>[],
  event: HttpEvent,
): Promise<HttpResponse> {
  const instance = await open();
  const pem = event.requestContext.authentication?.clientCert?.clientCertPem;
  const identified = identifyCaller(pem, instance.config, instance.clock.now());
  if (identified.outcome === 'refused') return problem(identified.code, identified.detail);
  const { caller } = identified;
  const matched = matchRoute(routes, event.requestContext.http.method, event.rawPath);
  if (matched.outcome === 'answered') return matched.response;
  const { route, parameters } = matched;
  if (!route.roles.includes(caller.role))
    return problem(
      'ROLE_NOT_ALLOWED',
      `a caller with the role ${caller.role} may not do this; allowed: ${route.roles.join(', ')}`,
    );
  return route.handler({
    instance,
    caller,
    parameters,
    query: event.queryStringParameters ?? {},
    body: bodyOf(event),
    requestId: event.requestContext.requestId,
  });
}

function bodyOf({ body, isBase64Encoded }: HttpEvent): Uint8Array {
  return Buffer.from(body ?? '', isBase64Encoded ? 'base64' : 'utf8');
}

/** One log line a request, and the answer to what nobody expected. */
function requestLine(log: Log): MiddlewareObj<HttpEvent, HttpResponse> {
  const facts = (event: HttpEvent) => ({
    requestId: event.requestContext.requestId,
    method: event.requestContext.http.method,
    path: event.rawPath,
  });
  return {
    after: (request) => {
      const response = request.response;
      if (response === null || response === undefined) return;
      const { requestId } = request.event.requestContext;
      log('info', 'request', { ...facts(request.event), status: response.statusCode });
      const headers = { ...response.headers, 'x-request-id': requestId };
      request.response = { ...response, headers };
    },
    onError: (request) => {
      const reason = request.error instanceof Error ? request.error.message : 'unknown';
      log('error', 'request failed', { ...facts(request.event), reason });
      const { requestId } = request.event.requestContext;
      request.response = problem(
        'INTERNAL',
        `something unexpected happened; repeat the request, and name ${requestId} if it stays`,
        { headers: { 'x-request-id': requestId } },
      );
    },
  };
}
