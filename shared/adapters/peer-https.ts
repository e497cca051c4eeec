import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { SecureContext } from 'node:tls';
import { readCertificate } from '../ledger/certificate.ts';
import type { CertificateId } from '../ledger/digest.ts';
import type { PeerAnswer, PeerRequest, PeerTransport } from '../registry/peer-transport.ts';
import { hostOf, isRefusedHost } from './peer-address.ts';
import {
  type ConnectionOptions,
  FREE_CONNECTIONS_MAX,
  PeerAgent,
  secureContextOf,
} from './peer-connection.ts';
import { download } from './peer-download.ts';

export interface PeerHttpsOptions extends ConnectionOptions {
  /**
   * PEM of a peer's certificate, or undefined. It says only where the peer is: who answers there
   * proves itself by the handshake.
   */
  readonly certificateOf: (peer: CertificateId) => Promise<string | undefined>;
}

/** What a Lambda function can answer at most. */
const ANSWER_BYTES_MAX = 6 * 1024 * 1024;

interface Connection {
  readonly endpoint: string;
  readonly agent: PeerAgent;
}

/** Mutual TLS to other instances. One for all requests of a process: it keeps connections open. */
export class PeerHttps implements PeerTransport {
  readonly #options: PeerHttpsOptions;
  readonly #secureContext: SecureContext;
  readonly #connections = new Map<CertificateId, Connection>();

  constructor(options: PeerHttpsOptions) {
    this.#options = options;
    this.#secureContext = secureContextOf(options);
  }

  async call(peer: CertificateId, request: PeerRequest): Promise<PeerAnswer> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs);
    const endpoint = await this.#endpointOf(peer);
    if (endpoint.outcome === 'unreachable') return endpoint;
    const agent = this.#agentFor(peer, endpoint.origin);
    const call: Call = { agent, url: new URL(pathOf(request), endpoint.origin), request, signal };
    // The peer may close a kept connection at the moment it is used again: every kept one at most.
    for (let kept = 0; kept < FREE_CONNECTIONS_MAX; kept += 1) {
      const answer = await exchange(call);
      if (answer.outcome !== 'closed-while-kept') return answer;
    }
    const answer = await exchange(call);
    return answer.outcome === 'closed-while-kept' ? unreachable(BROKEN) : answer;
  }

  download(url: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    return download(url, this.#options);
  }

  /** Closes all connections; calls that are under way end as unreachable. */
  close(): void {
    for (const { agent } of this.#connections.values()) agent.destroy();
    this.#connections.clear();
  }

  async #endpointOf(
    peer: CertificateId,
  ): Promise<{ readonly outcome: 'found'; readonly origin: string } | Unreachable> {
    const pem = await this.#options.certificateOf(peer);
    if (pem === undefined) return unreachable('the certificate of the peer is not known');
    const read = readCertificate(pem);
    if (read.outcome === 'refused')
      return unreachable(`the certificate held of the peer is refused: ${read.reason}`);
    const { certificateId, endpoint } = read.certificate;
    if (certificateId !== peer || endpoint === undefined)
      return unreachable('the certificate held of the peer is another one or has no endpoint');
    if (!this.#options.localEndpoints && isRefusedHost(hostOf(new URL(endpoint))))
      return unreachable('the endpoint of the peer is an address that is not connected to');
    return { outcome: 'found', origin: endpoint };
  }

  #agentFor(peer: CertificateId, endpoint: string): PeerAgent {
    const known = this.#connections.get(peer);
    if (known?.endpoint === endpoint) return known.agent;
    known?.agent.destroy();
    const agent = new PeerAgent(peer, new URL(endpoint), this.#options, this.#secureContext);
    this.#connections.set(peer, { endpoint, agent });
    return agent;
  }
}

type Unreachable = Extract<PeerAnswer, { outcome: 'unreachable' }>;

function unreachable(reason: string): Unreachable {
  return { outcome: 'unreachable', reason };
}

/** Path and query of the operation's route, relative to the peer's origin. */
function pathOf({ operation, registryId, subject }: PeerRequest): string {
  const base = `/v1/peer/registries/${encodeURIComponent(registryId)}`;
  const about = () => {
    if (subject === undefined) throw new Error(`${operation}: a request to a peer needs a subject`);
    return encodeURIComponent(subject);
  };
  switch (operation) {
    case 'deliver':
      return `${base}/deliveries`;
    case 'entries':
      return `${base}/entries?from=${about()}`;
    case 'evidence':
      return `${base}/evidence/${about()}`;
    case 'statements':
      return `${base}/statements`;
    case 'invite':
      return `${base}/invitations`;
    case 'head':
      return `${base}/head?nonce=${about()}`;
    case 'content':
      return `${base}/contents/${about()}`;
    case 'certificate':
      return `${base}/certificates/${about()}`;
    case 'configuration':
      return `${base}/configuration`;
  }
}

interface Call {
  readonly agent: PeerAgent;
  readonly url: URL;
  readonly request: PeerRequest;
  readonly signal: AbortSignal;
}

const BROKEN = 'the connection broke before the whole answer came';
const posted: ReadonlySet<string> = new Set(['deliver', 'statements', 'invite']);

/** Begins the request; its body waits until the connection is proven. */
function requestOf({ agent, url, request, signal }: Call): ClientRequest {
  const body = posted.has(request.operation) ? (request.body ?? new Uint8Array()) : undefined;
  const about = body && {
    'content-type': 'application/json',
    'content-length': String(body.byteLength),
  };
  const method = body ? 'POST' : 'GET';
  const headers = { accept: 'application/json', ...about };
  return httpsRequest(url, { agent, method, headers, signal }).on('error', ignore).end(body);
}

async function exchange(
  call: Call,
): Promise<PeerAnswer | { readonly outcome: 'closed-while-kept' }> {
  const outgoing = requestOf(call);
  let proven = false;
  let answering = false;
  outgoing.once('socket', () => {
    proven = true;
  });
  try {
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    answering = true;
    return await answerOf(response);
  } catch (error) {
    if (call.signal.aborted) return unreachable('time-out: the peer did not answer in time');
    if (proven && outgoing.reusedSocket && !answering) return { outcome: 'closed-while-kept' };
    return unreachable(proven ? BROKEN : `not connected: ${messageOf(error)}`);
  } finally {
    // Does nothing where the whole answer was read and the connection is kept.
    outgoing.destroy();
  }
}

async function answerOf(response: IncomingMessage): Promise<PeerAnswer> {
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400)
    return unreachable(`the peer answered with a redirect (${status}), which is not followed`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > ANSWER_BYTES_MAX)
      return unreachable(`the peer answered with more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  const retryAfter = response.headers['retry-after'] ?? '';
  return {
    outcome: 'answered',
    status,
    body: Buffer.concat(chunks),
    ...((status === 429 || status === 503) && /^\d{1,6}$/.test(retryAfter)
      ? { retryAfterSeconds: Number(retryAfter) }
      : {}),
  };
}

/** Node's code where it has one: its messages repeat addresses. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}

function ignore(): void {
  // The same error rejects the wait for the answer, or the reading of it.
}
