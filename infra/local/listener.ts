/**
 * Stands for API Gateway on this machine: an HTTP API with mutual TLS in front of functions, with
 * payload format 2.0 and the gateway's limits. Where the gateway answers a refused certificate with
 * a bare 403, this listener says why, with the codes that the functions use.
 */
import { randomBytes, type X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { stopServer } from './stop-server.ts';

export interface ListenerOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** Private key and certificate of the instance. */
  readonly keyPem: string;
  readonly certificatePem: string;
  /** CAs that callers' certificates must chain to, one or more. */
  readonly clusterCaPem: string;
  /** Hands the event to a function and gives back its result. A rejection is answered with 500. */
  readonly invoke: (event: APIGatewayProxyEventV2) => Promise<unknown>;
  /** The route that the gateway would choose; `$default` for all unless given. */
  readonly routeKeyOf?: (method: string, path: string) => string;
  /** For the whole request; the gateway's 30 seconds unless given. */
  readonly timeoutMs?: number;
}

export interface Listener {
  readonly port: number;
  /** Closes all connections; requests under way are cut off. */
  close(): Promise<void>;
}

const MIB = 1024 * 1024;
/** API Gateway's quotas of HTTP APIs, and AWS Lambda's of one invocation. */
const BODY_BYTES_MAX = 10 * MIB;
const HEADER_BYTES_MAX = 10_240;
const TIMEOUT_MS = 30_000;
const INVOKE_BYTES_MAX = 6 * MIB;
/** Nothing but a safety net beside the time limit of each request, for those never read. */
const UNREAD_MS = 1000;

/** Starts listening on 127.0.0.1, and on ::1 where the machine has it, so that `localhost` works. */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const first = serverFor(options);
  await listen(first, options.port, '127.0.0.1');
  const { port } = first.address() as AddressInfo;
  const servers = [first];
  const second = serverFor(options);
  try {
    await listen(second, port, '::1');
    servers.push(second);
  } catch (error) {
    if (!withoutIpv6.has(codeOf(error))) {
      await stopServer(first);
      throw error;
    }
  }
  return {
    port,
    close: async () => {
      await Promise.all(servers.map(stopServer));
    },
  };
}

const withoutIpv6: ReadonlySet<unknown> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL']);

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw error;
    throw new Error(`port ${port} of ${host} is taken: stop what uses it, or choose another port`, {
      cause: error,
    });
  }
}

function serverFor(options: ListenerOptions): Server {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const settings = {
    key: options.keyPem,
    cert: options.certificatePem,
    ca: options.clusterCaPem,
    minVersion: 'TLSv1.2' as const,
    // The handshake is accepted whatever the certificate is, so that the refusal can be explained.
    requestCert: true,
    rejectUnauthorized: false,
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: timeoutMs,
    requestTimeout: timeoutMs + UNREAD_MS,
    connectionsCheckingInterval: UNREAD_MS,
    keepAliveTimeout: 2 * TIMEOUT_MS,
  };
  return createServer(settings, (request, response) => {
    answer({ ...options, timeoutMs }, request, response).catch(() => {
      if (response.headersSent) response.destroy();
      else say(response, 500);
    });
  });
}

async function answer(
  options: ListenerOptions & { readonly timeoutMs: number },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const socket = request.socket as TLSSocket;
  const caller = callerOf(socket, Date.now());
  if (caller.outcome === 'refused') return refuse(response, caller);
  const deadline = performance.now() + options.timeoutMs;
  const body = await before(deadline, readBody(request));
  if (body === 'late') return say(response, 408);
  if (body === 'too-large') return say(response, 413);
  const event = eventOf({ request, body, certificate: caller.certificate, options });
  if (event === undefined) return say(response, 400);
  if (Buffer.byteLength(JSON.stringify(event)) > INVOKE_BYTES_MAX) return say(response, 413);
  const result = await before(deadline, options.invoke(event));
  if (result === 'late') return say(response, 503);
  if (Buffer.byteLength(JSON.stringify(result ?? null)) > INVOKE_BYTES_MAX)
    return say(response, 500);
  response.setHeader('apigw-requestid', event.requestContext.requestId);
  give(response, result);
}

/** The promise's value, or `late`. What settles afterwards is dropped. */
async function before<T>(deadline: number, promise: Promise<T>): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, deadline - performance.now(), 'late');
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

interface RefusedCaller {
  readonly outcome: 'refused';
  readonly code: string;
  readonly detail: string;
}

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** What OpenSSL found wrong; everything else about a chain means that it is not ours. */
const verdicts: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'CLIENT_CERTIFICATE_EXPIRED',
  CERT_NOT_YET_VALID: 'CLIENT_CERTIFICATE_NOT_YET_VALID',
  INVALID_PURPOSE: 'CLIENT_CERTIFICATE_WRONG_USAGE',
};

const details: Readonly<Record<string, string>> = {
  CLIENT_CERTIFICATE_MISSING:
    'the request came without a client certificate: send one that the cluster CA issued',
  CLIENT_CERTIFICATE_UNTRUSTED: 'no CA of this cluster issued the client certificate',
  CLIENT_CERTIFICATE_EXPIRED: 'the client certificate has expired: renew it',
  CLIENT_CERTIFICATE_NOT_YET_VALID: 'the client certificate is not valid yet: check the clocks',
  CLIENT_CERTIFICATE_WRONG_USAGE: 'the client certificate is not one for clientAuth',
};

function callerOf(
  socket: TLSSocket,
  now: number,
): { readonly outcome: 'known'; readonly certificate: X509Certificate } | RefusedCaller {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return refusal('CLIENT_CERTIFICATE_MISSING');
  if (!socket.authorized)
    return refusal(verdicts[String(socket.authorizationError)] ?? 'CLIENT_CERTIFICATE_UNTRUSTED');
  // A connection may outlive the certificate that opened it.
  if (now > certificate.validToDate.getTime()) return refusal('CLIENT_CERTIFICATE_EXPIRED');
  // OpenSSL takes a certificate that names no usage for one of every usage. Node names the extended
  // key usage `keyUsage`, and leaves it undefined where there is none.
  const usages: readonly string[] | undefined = certificate.keyUsage;
  if (!usages?.includes(CLIENT_AUTH)) return refusal('CLIENT_CERTIFICATE_WRONG_USAGE');
  return { outcome: 'known', certificate };
}

function refusal(code: string): RefusedCaller {
  return { outcome: 'refused', code, detail: details[code] ?? code };
}

/** RFC 9457. */
function refuse(response: ServerResponse, { code, detail }: RefusedCaller): void {
  const type = `urn:registry:problem:${code.toLowerCase().replaceAll('_', '-')}`;
  const problem = { type, title: 'Forbidden', status: 403, code, detail };
  readOn(response);
  response.writeHead(403, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify(problem));
}

const messages = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Request Entity Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
} as const;

/** An answer of the gateway itself. */
function say(response: ServerResponse, status: keyof typeof messages): void {
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  // After a body that does not end in time nothing can follow on the same connection.
  const close = status === 408 ? { connection: 'close' } : {};
  if (status === 413) readOn(response);
  response.writeHead(status, { 'content-type': 'application/json', ...close });
  response.end(JSON.stringify({ message: messages[status] }));
}

/**
 * Before an answer to what was not read: Node reads on and drops it. If the connection were closed
 * now, a caller that is still sending would find it broken before it finds the answer.
 */
function readOn(response: ServerResponse): void {
  if (!response.req.complete) response.shouldKeepAlive = true;
}

async function readBody(request: IncomingMessage): Promise<Buffer | 'too-large'> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) return 'too-large';
  const chunks: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
      else {
        chunks.length = 0;
        resolve('too-large');
      }
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', reject);
  });
}

interface Arrived {
  readonly request: IncomingMessage;
  readonly body: Buffer;
  readonly certificate: X509Certificate;
  readonly options: ListenerOptions;
}

/** The event of payload format 2.0; undefined where the request target is no path. */
function eventOf({
  request,
  body,
  certificate,
  options,
}: Arrived): APIGatewayProxyEventV2 | undefined {
  const { method = 'GET', url: target = '' } = request;
  if (!target.startsWith('/')) return undefined;
  const [rawPath = '/', ...afterPath] = target.split('?');
  const rawQueryString = afterPath.join('?');
  const { headers, cookies } = headersOf(request);
  const routeKey = options.routeKeyOf?.(method, rawPath) ?? '$default';
  const text = isText(headers['content-type'], headers['content-encoding']);
  const domainName = (headers['host'] ?? 'localhost').replace(/:\d+$/, '');
  const [domainPrefix = ''] = domainName.split('.');
  const now = new Date();
  const path = { method, path: rawPath, protocol: `HTTP/${request.httpVersion}` };
  return {
    version: '2.0',
    routeKey,
    rawPath,
    rawQueryString,
    ...(cookies.length > 0 ? { cookies } : {}),
    headers,
    ...(rawQueryString === '' ? {} : { queryStringParameters: parametersOf(rawQueryString) }),
    requestContext: {
      accountId: '000000000000',
      apiId: 'local',
      authentication: { clientCert: clientCertOf(certificate) },
      domainName,
      domainPrefix,
      http: { ...path, sourceIp: sourceOf(request), userAgent: headers['user-agent'] ?? '' },
      requestId: randomBytes(12).toString('base64url'),
      routeKey,
      stage: '$default',
      time: commonLogTime(now),
      timeEpoch: now.getTime(),
    },
    ...(body.length > 0 ? { body: body.toString(text ? 'utf8' : 'base64') } : {}),
    isBase64Encoded: body.length > 0 && !text,
  };
}

/** Names in lower case, repeated ones joined by a comma, cookies apart. */
function headersOf(request: IncomingMessage): {
  readonly headers: Record<string, string>;
  readonly cookies: string[];
} {
  const joined = new Map<string, string>();
  const add = (name: string, value: string) => {
    const before = joined.get(name);
    joined.set(name, before === undefined ? value : `${before},${value}`);
  };
  const { rawHeaders } = request;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2)
    add(String(rawHeaders[at]).toLowerCase(), String(rawHeaders[at + 1]));
  add('x-forwarded-for', sourceOf(request));
  joined.set('x-forwarded-port', String(request.socket.localPort));
  joined.set('x-forwarded-proto', 'https');
  const cookies = joined.get('cookie')?.split(/; |,/) ?? [];
  for (const name of ['cookie', 'connection', 'keep-alive', 'transfer-encoding'])
    joined.delete(name);
  return { headers: Object.fromEntries(joined), cookies };
}

function parametersOf(rawQueryString: string): Record<string, string> {
  const parameters = new URLSearchParams(rawQueryString);
  const names = [...new Set(parameters.keys())];
  return Object.fromEntries(names.map((name) => [name, parameters.getAll(name).join(',')]));
}

const TEXT = /^(text\/.*|application\/(.*\+)?(json|xml)|application\/javascript)$/i;

/** Everything else comes base64 encoded, what has no content type too. */
function isText(contentType = '', contentEncoding = ''): boolean {
  const [mediaType = ''] = contentType.split(';');
  return contentEncoding === '' && TEXT.test(mediaType.trim());
}

function sourceOf(request: IncomingMessage): string {
  return (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
}

/** 22/Nov/2026:10:00:00 +0000. */
function commonLogTime(date: Date): string {
  const [, day, month, year, time] = date.toUTCString().split(' ');
  return `${day}/${month}/${year}:${time} +0000`;
}

function clientCertOf(certificate: X509Certificate) {
  const { subject, issuer, serialNumber, validFrom, validTo } = certificate;
  return {
    clientCertPem: certificate.toString(),
    subjectDN: distinguishedName(subject),
    issuerDN: distinguishedName(issuer),
    serialNumber: serialNumber.toLowerCase().match(/../g)?.join(':') ?? '',
    validity: { notBefore: validFrom, notAfter: validTo },
  };
}

/** RFC 4514: one line, the last attribute first. */
function distinguishedName(lines: string): string {
  return lines.split('\n').toReversed().join(',');
}

interface GatewayResult {
  readonly statusCode: number;
  readonly headers?: Readonly<Record<string, string | number | boolean>>;
  readonly cookies?: readonly string[];
  readonly body?: string;
  readonly isBase64Encoded?: boolean;
}

/** These are the gateway's own. */
const ownHeaders: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'transfer-encoding',
]);

/** Answers with a function's result, as the gateway reads it. Throws where it cannot be read. */
function give(response: ServerResponse, result: unknown): void {
  const { statusCode, headers = {}, cookies = [], body, isBase64Encoded } = structured(result);
  if (!Number.isInteger(statusCode) || statusCode < 200 || statusCode > 599)
    throw new Error('the function answered with a status code that is none');
  response.setHeader('content-type', 'text/plain; charset=UTF-8');
  for (const [name, value] of Object.entries(headers))
    if (!ownHeaders.has(name.toLowerCase())) response.setHeader(name, String(value));
  if (cookies.length > 0) response.setHeader('set-cookie', cookies);
  response.statusCode = statusCode;
  response.end(Buffer.from(body ?? '', isBase64Encoded ? 'base64' : 'utf8'));
}

/** A result without a status code is the body of a success. */
function structured(result: unknown): GatewayResult {
  if (typeof result === 'object' && result !== null && 'statusCode' in result)
    return result as GatewayResult;
  const body = typeof result === 'string' ? result : JSON.stringify(result ?? null);
  return { statusCode: 200, headers: { 'content-type': 'application/json' }, body };
}
