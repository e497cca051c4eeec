import type { ClientRequest } from 'node:http';
import { Agent } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { readCertificate, verifyCertificate } from '../ledger/certificate.ts';
import type { CertificateId } from '../ledger/digest.ts';
import { checkedLookup, hostOf, type Resolve } from './peer-address.ts';

/** How this instance shows itself, whom it trusts, and how long it waits. */
export interface ConnectionOptions {
  /** Private key, PKCS#8 PEM. */
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly clusterCaPem: string;
  /** Admits endpoints and plain http on this machine. */
  readonly localEndpoints: boolean;
  /** Total time of one call; of a download the longest time without a byte. */
  readonly timeoutMs: number;
  /** Resolves host names; the system's resolver unless given. */
  readonly resolve?: Resolve;
}

/** The server at the peer's endpoint is not that peer; nothing was sent to it. */
export class PeerUnproven extends Error {}

/** What one secure context needs; made once, it costs more than a connection. */
export function secureContextOf(options: ConnectionOptions): SecureContext {
  return createSecureContext({
    key: options.keyPem,
    cert: options.certificatePem,
    ca: options.clusterCaPem,
    minVersion: 'TLSv1.2',
  });
}

/** Connections to one peer that are kept open without a request. */
export const FREE_CONNECTIONS_MAX = 2;

/** An open connection is used again for at most this long, then proven anew. */
const CONNECTION_AGE_MS_MAX = 300_000;

/**
 * Keeps connections to one peer. A connection is handed to a request only after the server proved
 * the peer's certificate id: until then not one byte of a request is written.
 */
export class PeerAgent extends Agent {
  readonly #peer: CertificateId;
  readonly #endpoint: URL;
  readonly #connection: ConnectionOptions;
  readonly #secureContext: SecureContext;
  readonly #reusableUntil = new WeakMap<Duplex, number>();

  constructor(
    peer: CertificateId,
    endpoint: URL,
    connection: ConnectionOptions,
    secureContext: SecureContext,
  ) {
    super({ keepAlive: true, maxSockets: 8, maxFreeSockets: FREE_CONNECTIONS_MAX });
    this.#peer = peer;
    this.#endpoint = endpoint;
    this.#connection = connection;
    this.#secureContext = secureContext;
  }

  /** Answers through the callback only, when the connection is proven. */
  override createConnection(
    _options: unknown,
    callback?: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const socket = this.#connect();
    const deadline = setTimeout(
      () => socket.destroy(new Error('time-out')),
      this.#connection.timeoutMs,
    );
    const settle = (objection: Error | null) => {
      clearTimeout(deadline);
      socket.off('error', settle);
      if (objection) socket.on('error', ignore).destroy();
      callback?.(objection, socket);
    };
    socket.once('error', settle);
    socket.once('secureConnect', () => settle(this.#objectionTo(socket)));
  }

  /** A kept connection that is too old ends here; the request finds it closed and begins anew. */
  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    if (Date.now() > (this.#reusableUntil.get(socket) ?? 0)) socket.destroy();
    super.reuseSocket(socket, request);
  }

  #connect(): TLSSocket {
    const { localEndpoints, resolve } = this.#connection;
    const host = hostOf(this.#endpoint);
    return connect({
      host,
      port: Number(this.#endpoint.port || 443),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      lookup: checkedLookup(localEndpoints, resolve),
      secureContext: this.#secureContext,
      rejectUnauthorized: true,
      ALPNProtocols: ['http/1.1'],
    });
  }

  /** TLS has checked chain, time and host name; here follow the profile and the id. */
  #objectionTo(socket: TLSSocket): PeerUnproven | null {
    const read = readCertificate(socket.getPeerX509Certificate()?.raw ?? '');
    if (read.outcome === 'refused') return new PeerUnproven(read.reason);
    const { certificateId, usages, notAfter } = read.certificate;
    if (certificateId !== this.#peer)
      return new PeerUnproven(`the server has the certificate id ${certificateId}`);
    if (!usages.server) return new PeerUnproven('the certificate is not one of an instance');
    const now = Date.now();
    const trust = verifyCertificate(read.certificate, this.#connection.clusterCaPem, new Date(now));
    if (trust.outcome === 'refused') return new PeerUnproven(trust.reason);
    const until = Math.min(now + CONNECTION_AGE_MS_MAX, Date.parse(notAfter));
    this.#reusableUntil.set(socket, until);
    return null;
  }
}

function ignore(): void {
  // A connection that was given up may still complain.
}
