/**
 * An instance of a cluster in memory behind a real HTTPS listener: mutual TLS as the gateway has it,
 * which asks for a client certificate and passes it on, and a store that takes and gives bytes at
 * addresses. So clients meet real connections, and tests decide what happens on the way.
 */
import { once } from 'node:events';
import {
  createServer as createPlainServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import type { Profile } from '../shared/client/profile.ts';
import {
  type CertificateShape,
  type TestCertificate,
  testInstance,
} from './certificate-authority.ts';
import type { MemoryCluster, MemoryInstance, RawAnswer } from './memory-cluster.ts';

/** A request that has arrived. */
export interface Arrived {
  readonly method: string;
  /** With the query. Whoever intercepts may change it. */
  path: string;
  readonly body: Buffer;
  /** Of the client's end of the connection. */
  readonly port: number | undefined;
}

/** What is answered, or that the connection breaks instead. */
export type Outcome = RawAnswer | 'reset';

/** What happens to a request: `carry` has the instance answer it, and may be called or not. */
export type Intercept = (
  arrived: Arrived,
  carry: () => Promise<RawAnswer>,
) => Outcome | Promise<Outcome>;

/** The same at the store of the bytes. */
export type InterceptBytes = (
  arrived: Arrived,
  carry: () => Promise<RawAnswer>,
) => Outcome | Promise<Outcome>;

export interface MemoryEndpoint {
  readonly origin: string;
  /** Every request, in order. */
  readonly arrived: Arrived[];
  /** Every request at the store. */
  readonly arrivedAtStore: Arrived[];
  intercept: Intercept;
  interceptBytes: InterceptBytes;
  /** What the instance's application needs to call it, or another caller. */
  profile(caller?: TestCertificate): Profile;
  /** Another certificate from the next connection on, such as one that has expired. */
  present(certificate: TestCertificate): void;
  close(): Promise<void>;
}

/**
 * Puts the instance behind a listener on a free port of this machine. Its certificate is issued
 * again with the same key, for `https://localhost:port`, and known to every other instance; after
 * every call that may have changed something the cluster comes to rest.
 */
export async function serve(
  cluster: MemoryCluster,
  instance: MemoryInstance,
  shape: CertificateShape = {},
): Promise<MemoryEndpoint> {
  const store = new ByteStore(instance);
  await store.listen();
  const endpoint = new Endpoint(cluster, instance, store);
  await endpoint.listen(shape);
  return endpoint;
}

class Endpoint implements MemoryEndpoint {
  readonly arrived: Arrived[] = [];
  intercept: Intercept = (_arrived, carry) => carry();
  readonly #cluster: MemoryCluster;
  readonly #instance: MemoryInstance;
  readonly #store: ByteStore;
  readonly #server: ReturnType<typeof createServer>;

  constructor(cluster: MemoryCluster, instance: MemoryInstance, store: ByteStore) {
    this.#cluster = cluster;
    this.#instance = instance;
    this.#store = store;
    // As the gateway: whoever calls is looked at behind it.
    const settings = { requestCert: true, rejectUnauthorized: false, ca: this.#caPem };
    this.#server = createServer(settings, (request, response) => {
      void this.#answer(request, response);
    });
  }

  get #caPem(): string {
    return this.#cluster.authority.certificatePem;
  }

  get origin(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  get arrivedAtStore(): Arrived[] {
    return this.#store.arrived;
  }

  get interceptBytes(): InterceptBytes {
    return this.#store.intercept;
  }

  set interceptBytes(intercept: InterceptBytes) {
    this.#store.intercept = intercept;
  }

  async listen(shape: CertificateShape): Promise<void> {
    this.#server.listen(0, 'localhost');
    await once(this.#server, 'listening');
    const { key } = this.#instance.certificate;
    const certificate = testInstance(this.#cluster.authority, this.origin, { key, ...shape });
    this.present(certificate);
    this.#instance.certificate = certificate;
    const { certificatePem } = certificate;
    this.#instance.ports = { ...this.#instance.ports, certificatePem };
    for (const other of this.#cluster.instances.values())
      if (other !== this.#instance)
        await other.known.putCertificate(this.#instance.id, certificatePem);
  }

  present({ certificatePem, keyPem }: TestCertificate): void {
    this.#server.setSecureContext({ cert: certificatePem, key: keyPem, ca: this.#caPem });
  }

  profile(caller: TestCertificate = this.#instance.application): Profile {
    const { certificatePem, keyPem } = caller;
    return { endpoint: this.origin, certificatePem, keyPem, caPem: this.#caPem };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrived = await read(request);
    this.arrived.push(arrived);
    const pem = (request.socket as TLSSocket).getPeerX509Certificate()?.toString();
    const carry = async () => {
      const { method, path, body } = arrived;
      const headers = { accept: request.headers.accept ?? '' };
      const given = { ...(pem === undefined ? {} : { pem }), headers, body };
      const answer = await this.#instance.exchange(method, path, given);
      if (method !== 'GET') await this.#cluster.settle();
      return { ...answer, bytes: this.#store.addressed(answer.bytes) };
    };
    give(response, await this.intercept(arrived, carry));
  }

  async close(): Promise<void> {
    await Promise.all([stop(this.#server), this.#store.close()]);
  }
}

/** Gives the instance's bytes addresses on this machine. */
class ByteStore {
  readonly arrived: Arrived[] = [];
  intercept: InterceptBytes = (_arrived, carry) => carry();
  readonly #instance: MemoryInstance;
  readonly #server: Server;

  constructor(instance: MemoryInstance) {
    this.#instance = instance;
    this.#server = createPlainServer((request, response) => {
      void this.#answer(request, response);
    });
  }

  /** An answer whose addresses in memory have become addresses here. */
  addressed(bytes: Buffer): Buffer {
    const text = bytes.toString('latin1');
    const address = (url: string) => `${this.#origin}/?address=${encodeURIComponent(url)}`;
    return Buffer.from(text.replaceAll(/memory:\/\/[^"]+/g, address), 'latin1');
  }

  get #origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrived = await read(request).catch(() => undefined);
    // The client went away in the middle of its bytes.
    if (arrived === undefined) return;
    this.arrived.push(arrived);
    const url = new URL(arrived.path, this.#origin).searchParams.get('address') ?? '';
    const carry = () =>
      arrived.method === 'PUT'
        ? this.#put(url, request.headers as Record<string, string>, arrived.body)
        : this.#get(url);
    give(response, await this.intercept(arrived, carry));
  }

  async #put(url: string, headers: Record<string, string>, body: Buffer): Promise<RawAnswer> {
    const status = await this.#instance.blobs.upload({ url, headers }, body);
    const bytes = Buffer.from(status === 400 ? '<Error><Code>BadDigest</Code></Error>' : '');
    return { status, headers: {}, bytes };
  }

  async #get(url: string): Promise<RawAnswer> {
    const chunks = await this.#instance.blobs.download(url);
    if (chunks === undefined) return { status: 403, headers: {}, bytes: Buffer.from('') };
    return { status: 200, headers: {}, bytes: await buffer(chunks) };
  }

  close(): Promise<void> {
    return stop(this.#server);
  }
}

async function read(request: IncomingMessage): Promise<Arrived> {
  const body = await buffer(request);
  const { method = '', url: path = '', socket } = request;
  return { method, path, body, port: socket.remotePort };
}

function give(response: ServerResponse, outcome: Outcome): void {
  if (outcome === 'reset') {
    response.destroy();
    return;
  }
  const { status, headers, bytes } = outcome;
  response.writeHead(status, { ...headers, 'content-length': bytes.length }).end(bytes);
}

async function stop(server: Server | ReturnType<typeof createServer>): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** The answer with another JSON body. */
export function changed(
  answer: RawAnswer,
  // biome-ignore lint/suspicious/noExplicitAny: tests change answers of every shape
  change: (body: any) => unknown,
): RawAnswer {
  const body = JSON.parse(answer.bytes.toString('utf8'));
  return { ...answer, bytes: Buffer.from(JSON.stringify(change(body) ?? body)) };
}
