/** One instance over mutual TLS: single requests and their answers. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { CertificateId } from '../ledger/digest.ts';
import { malformedAnswer, RegistryError } from './problem.ts';
import type { Profile } from './profile.ts';
import {
  connectionError,
  type OwnIdentity,
  readOwnIdentity,
  requireValidAt,
  serverObjection,
} from './tls-check.ts';

export interface Request {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** JSON, as bytes. */
  readonly body?: Uint8Array;
  /** `application/json` unless given. */
  readonly accept?: string;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Buffer;
}

/** What an instance can answer at most is 6 MB. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;

const CONNECTIONS_MAX = 16;

/** Keeps its connections open until `close`. */
export class Connection {
  readonly #profile: Profile;
  readonly #agent: Agent;
  #identity: OwnIdentity | undefined;

  /** `serverId`: the only server that will do; any instance of the cluster unless given. */
  constructor(profile: Profile, serverId?: CertificateId) {
    this.#profile = profile;
    const expected = {
      clusterCaPem: profile.caPem,
      ...(serverId === undefined ? {} : { certificateId: serverId }),
    };
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: CONNECTIONS_MAX,
      cert: profile.certificatePem,
      key: profile.keyPem,
      ca: profile.caPem,
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
      // A resumed session would not show the server's certificate again.
      maxCachedSessions: 0,
      checkServerIdentity: (host, presented) => serverObjection(host, presented, expected),
    });
  }

  get endpoint(): string {
    return this.#profile.endpoint;
  }

  /** PEM: all that is trusted. */
  get clusterCaPem(): string {
    return this.#profile.caPem;
  }

  /** The caller's own certificate and key. Throws where they cannot be used now. */
  identity(): OwnIdentity {
    const now = Date.now();
    this.#identity ??= readOwnIdentity(this.#profile, now);
    requireValidAt(this.#identity.certificate, now);
    return this.#identity;
  }

  /**
   * Sends one request, once. Resolves with whatever status comes; rejects with a `RegistryError`
   * where nothing does within the time, or with the reason of the signal.
   */
  async exchange(request: Request, timeoutMs: number): Promise<Answer> {
    this.identity();
    const { signal } = request;
    signal?.throwIfAborted();
    const timeout = AbortSignal.timeout(Math.ceil(timeoutMs));
    const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    try {
      return await this.#exchange(request, either);
    } catch (error) {
      signal?.throwIfAborted();
      if (timeout.aborted) throw late(this.endpoint, timeoutMs);
      throw connectionError(error, this.endpoint);
    }
  }

  async #exchange(
    { method, path, body, accept = 'application/json' }: Request,
    signal: AbortSignal,
  ): Promise<Answer> {
    const outgoing = httpsRequest(new URL(path, this.endpoint), {
      method,
      agent: this.#agent,
      signal,
      headers: {
        accept,
        ...(body && { 'content-type': 'application/json', 'content-length': body.length }),
      },
    }).on('error', ignore);
    try {
      const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
      outgoing.end(body);
      const [response] = await answered;
      const bytes = await boundedBytes(response);
      return { status: response.statusCode ?? 0, headers: response.headers, bytes };
    } finally {
      // Does nothing where the whole answer was read and the connection is kept.
      outgoing.destroy();
    }
  }

  /** Closes all connections; requests under way are cut off. */
  close(): void {
    this.#agent.destroy();
  }
}

function late(endpoint: string, timeoutMs: number): RegistryError {
  return new RegistryError(
    'TIMED_OUT',
    `${endpoint} did not answer within ${Math.ceil(timeoutMs) / 1000} s: call again; what is ` +
      'repeated with the same transaction id is recorded once',
    { retryable: true },
  );
}

async function boundedBytes(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX)
      throw malformedAnswer(`the answer has more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function ignore(): void {
  // The same error rejects the wait for the answer, or the reading of it.
}
