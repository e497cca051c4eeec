import { randomUUID } from 'node:crypto';
import { createApi } from '../functions/api.ts';
import { createDeliver } from '../functions/deliver.ts';
import { createFetchDocuments } from '../functions/fetch-documents.ts';
import { createPeerApi } from '../functions/peer-api.ts';
import type { Instance } from '../shared/adapters/aws/instance.ts';
import { inLogContext } from '../shared/adapters/aws/log-context.ts';
import { guardedTransport } from '../shared/adapters/guarded-transport.ts';
import { createInstanceSigner } from '../shared/adapters/instance-signer.ts';
import { FaultyLedgerStore } from '../shared/adapters/memory/faulty-ledger-store.ts';
import { MemoryBlobStore } from '../shared/adapters/memory/memory-blob-store.ts';
import { MemoryDenials } from '../shared/adapters/memory/memory-denials.ts';
import { MemoryOutbox, type Poke } from '../shared/adapters/memory/memory-outbox.ts';
import { RecordingAlarms } from '../shared/adapters/memory/recording-alarms.ts';
import { systemRandom } from '../shared/adapters/system.ts';
import type { GatewayResponse } from '../shared/http/http-stack.ts';
import { encodeCanonical } from '../shared/ledger/canonical.ts';
import { type CertificateId, digestOf, type RegistryId } from '../shared/ledger/digest.ts';
import { encodeTransaction } from '../shared/ledger/transaction.ts';
import { DenyList } from '../shared/registry/deny-list.ts';
import type { PeerAnswer, PeerRequest, PeerTransport } from '../shared/registry/peer-transport.ts';
import { wakeAll } from '../shared/registry/wake.ts';
import {
  type TestAuthority,
  type TestCertificate,
  testApplication,
  testAuthority,
  testInstance,
} from './certificate-authority.ts';
import { DamagedLedgerStore } from './damaged-store.ts';

/**
 * A cluster in memory: the real handlers of the real functions over the memory adapters. Requests
 * between instances pass through the handlers as they would behind the gateway; what the stream,
 * the queues and the schedules do on AWS happens in `settle`.
 */
export class MemoryCluster {
  readonly authority: TestAuthority = testAuthority();
  readonly instances = new Map<CertificateId, MemoryInstance>();
  /** Milliseconds since 1970; waiting moves it. */
  nowMs = Date.now();

  /** What happens to a request between two instances: carried over unless a test wants otherwise. */
  network: Network = (_request, carry) => carry();
  /** The same for the download of bytes from an address. */
  downloads: (
    url: string,
    carry: () => Promise<AsyncIterable<Uint8Array> | undefined>,
  ) => Promise<AsyncIterable<Uint8Array> | undefined> = (_url, carry) => carry();

  /** An instance that knows every other one, or those that are named, and admits every lead. */
  async add(
    name: string,
    options: {
      readonly admittedLeads?: 'any' | readonly string[];
      readonly knows?: readonly MemoryInstance[];
    } = {},
  ) {
    const instance = new MemoryInstance(this, name, options.admittedLeads ?? 'any');
    for (const other of options.knows ?? this.instances.values()) {
      await other.known.putCertificate(instance.id, instance.certificate.certificatePem);
      await instance.known.putCertificate(other.id, other.certificate.certificatePem);
    }
    this.instances.set(instance.id, instance);
    return instance;
  }

  /** Serves every poke of every instance that is up, until nothing is left that is due. */
  async settle(rounds = 200): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      let served = 0;
      for (const instance of this.instances.values()) served += await instance.serve();
      if (served === 0) return;
    }
    throw new Error('the cluster does not come to rest');
  }

  /** Lets so much time pass, so that parked peers are tried again. */
  pass(milliseconds: number): void {
    this.nowMs += milliseconds;
  }
}

/** One request on its way. */
export interface Passing {
  readonly from: MemoryInstance;
  readonly to: MemoryInstance;
  readonly request: PeerRequest;
}

export type Network = (
  passing: Passing,
  carry: () => Promise<PeerAnswer>,
) => PeerAnswer | Promise<PeerAnswer>;

export const unreachable: PeerAnswer = { outcome: 'unreachable', reason: 'connection refused' };

export class MemoryInstance {
  id: CertificateId;
  readonly name: string;
  certificate: TestCertificate;
  readonly application: TestCertificate;
  readonly operator: TestCertificate;
  readonly auditor: TestCertificate;
  readonly known = new DamagedLedgerStore();
  readonly store = new FaultyLedgerStore(this.known);
  readonly blobs: MemoryBlobStore;
  readonly alarms = new RecordingAlarms();
  readonly denials = new MemoryDenials();
  readonly outbox = new MemoryOutbox();
  ports: Instance;
  /** Every log line of the functions. */
  readonly logged: { readonly message: string; readonly facts: object }[] = [];
  /** False: does not answer and does nothing, as if it were switched off. */
  up = true;
  /** Requests that other instances made here. */
  readonly requests: PeerRequest[] = [];
  readonly #cluster: MemoryCluster;
  readonly #api: Invoke;
  readonly #peerApi: Invoke;

  constructor(cluster: MemoryCluster, name: string, admittedLeads: 'any' | readonly string[]) {
    this.#cluster = cluster;
    this.name = name;
    this.certificate = testInstance(cluster.authority, `https://${name}.example`);
    this.application = testApplication(cluster.authority);
    this.operator = testApplication(cluster.authority);
    this.auditor = testApplication(cluster.authority);
    const signer = createInstanceSigner({
      privateKeyPem: this.certificate.keyPem,
      certificatePem: this.certificate.certificatePem,
      formerIds: [],
    });
    this.id = signer.certificateId;
    const clock = {
      now: () => cluster.nowMs,
      wait: async (milliseconds: number) => {
        cluster.nowMs += milliseconds;
      },
    };
    this.blobs = new MemoryBlobStore({ name: `${name}-${this.id.slice(0, 8)}.example`, clock });
    const denyList = new DenyList({ store: this.denials, clock, inFile: new Set() });
    this.ports = {
      config: {
        ...configOf(cluster, name),
        applications: new Set([this.application.certificateId]),
        operators: new Set([this.operator.certificateId]),
        auditors: new Set([this.auditor.certificateId]),
      },
      store: this.store,
      blobs: this.blobs,
      outbox: this.outbox,
      transport: guardedTransport(this.#transport(), { denyList, alarms: this.alarms }),
      signer,
      certificatePem: this.certificate.certificatePem,
      clusterCaPem: cluster.authority.certificatePem,
      admits: (lead) => admittedLeads === 'any' || admittedLeads.includes(lead),
      denyList,
      alarms: this.alarms,
      clock,
      random: systemRandom,
    };
    const open = async () => this.ports;
    this.#api = createApi(open, this.#log) as unknown as Invoke;
    this.#peerApi = createPeerApi(open, this.#log) as unknown as Invoke;
  }

  readonly #log = (_level: string, message: string, facts: object) => {
    this.logged.push({ message, facts });
  };

  /** A new key for the same endpoint: the old one signs on, and knows that the new one is its own. */
  announceKey(): TestCertificate {
    const next = testInstance(this.#cluster.authority, `https://${this.name}.example`);
    this.ports = { ...this.ports, signer: this.#signerOf(this.certificate, [next.certificateId]) };
    return next;
  }

  /** The new key comes into use, for signing and for TLS. */
  switchKey(next: TestCertificate): void {
    const { instances } = this.#cluster;
    instances.delete(this.id);
    const signer = this.#signerOf(next, [this.id]);
    this.ports = { ...this.ports, signer, certificatePem: next.certificatePem };
    this.certificate = next;
    this.id = signer.certificateId;
    instances.set(this.id, this);
  }

  #signerOf({ keyPem, certificatePem }: TestCertificate, formerIds: readonly string[]) {
    return createInstanceSigner({ privateKeyPem: keyPem, certificatePem, formerIds });
  }

  #transport(): PeerTransport {
    return {
      call: async (peer, request): Promise<PeerAnswer> => {
        const to = this.#cluster.instances.get(peer);
        if ((await this.known.certificate(peer)) === undefined)
          return { outcome: 'unreachable', reason: 'the certificate of the peer is not known' };
        if (to?.up !== true) return unreachable;
        const carry = () => to.answerPeer(this.certificate.certificatePem, request);
        return this.#cluster.network({ from: this, to, request }, carry);
      },
      download: (url) => this.#cluster.downloads(url, () => this.#download(url)),
    };
  }

  async #download(url: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    for (const { up, blobs } of this.#cluster.instances.values()) {
      const bytes = up ? await blobs.download(url) : undefined;
      if (bytes !== undefined) return bytes;
    }
    return undefined;
  }

  /** What the peer API answers to that certificate. */
  async answerPeer(pem: string, request: PeerRequest): Promise<PeerAnswer> {
    this.requests.push(request);
    const event = httpEvent(pem, ...peerRoute(request), request.body);
    // Another instance is another process: what it logs is not the caller's.
    const { statusCode, body, headers } = await inLogContext({}, () =>
      this.#peerApi(event, context),
    );
    const after = headers['retry-after'];
    return {
      outcome: 'answered',
      status: statusCode,
      body: Buffer.from(body),
      ...(after === undefined ? {} : { retryAfterSeconds: Number(after) }),
    };
  }

  /** A call of this instance's own application. The body is canonical JSON of the value. */
  async call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<ApiAnswer> {
    const bytes = body === undefined ? undefined : encodeCanonical(body);
    return this.callRaw(method, path, bytes);
  }

  async callRaw(
    method: string,
    path: string,
    body?: Uint8Array,
    pem: string | undefined = this.application.certificatePem,
  ): Promise<ApiAnswer> {
    const answer = await this.exchange(method, path, { pem, ...(body && { body }) });
    const { status, headers, bytes } = answer;
    const text = bytes.toString('utf8');
    return { status, headers, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** A call with all that HTTP has; `headers` by name in lower case. */
  async exchange(method: string, path: string, given: Exchange = {}): Promise<RawAnswer> {
    const { pem = this.application.certificatePem, headers = {}, body } = given;
    const event = { ...httpEvent(pem, method, path, body), headers };
    const answer = await this.#api(event, context);
    const bytes = Buffer.from(answer.body, answer.isBase64Encoded === true ? 'base64' : 'utf8');
    return { status: answer.statusCode, headers: answer.headers, bytes };
  }

  /** Wakes what is due and carries out every poke once; how many there were. */
  async serve(): Promise<number> {
    if (!this.up) return 0;
    await wakeAll(this.ports, 'test');
    const pokes = this.outbox.take();
    for (const poke of pokes) await this.#carryOut(poke);
    return pokes.length;
  }

  async #carryOut(poke: Poke): Promise<void> {
    const open = async () => this.ports;
    const peer = poke.kind === 'delivery' ? { peer: poke.peer } : {};
    const body = JSON.stringify({ registryId: poke.registryId, ...peer });
    const handler =
      poke.kind === 'delivery'
        ? createDeliver(open, this.#log)
        : createFetchDocuments(open, this.#log);
    const record = { messageId: randomUUID(), body, attributes: { MessageGroupId: 'group' } };
    const { batchItemFailures } = await handler({ Records: [record] } as never);
    if (batchItemFailures.length > 0) throw new Error(`a poke failed at ${this.name}`);
  }

  /** Puts bytes into the bucket as an application would, and gives what to record. */
  async upload(text: string): Promise<{ contentDigest: string; size: number }> {
    const bytes = Buffer.from(text);
    const content = { contentDigest: digestOf(bytes), size: bytes.length };
    const asked = await this.call('POST', '/v1/uploads', content);
    if (asked.body.upload !== undefined) await this.blobs.upload(asked.body.upload, bytes);
    return content;
  }

  /** Creates a registry that this instance leads; its id. */
  async create(mirrors: readonly MemoryInstance[], name = 'Neubau Grundschule Musterstadt') {
    const draft = {
      type: 'create-registry' as const,
      transactionId: randomUUID(),
      peers: [this.id, ...mirrors.map(({ id }) => id)],
    };
    const answer = await this.call('POST', '/v1/registries', one(draft, { salt, name }));
    if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
    return answer.body.registryId as RegistryId;
  }

  /** Uploads and records a document version. */
  async record(registryId: RegistryId, documentId: string, version = 1): Promise<ApiAnswer> {
    const content = await this.upload(`${documentId} version ${version}`);
    return this.append(registryId, uploadDraft(documentId, version, content), {
      salt,
      name: documentId,
    });
  }

  async reconfigure(registryId: RegistryId, peers: readonly MemoryInstance[]): Promise<ApiAnswer> {
    const draft = {
      type: 'reconfigure-peers' as const,
      transactionId: randomUUID(),
      peers: peers.map(({ id }) => id),
    };
    return this.append(registryId, draft);
  }

  append(
    registryId: RegistryId,
    draft: Parameters<typeof encodeTransaction>[0],
    details?: Parameters<typeof encodeTransaction>[1],
  ): Promise<ApiAnswer> {
    return this.call('POST', `/v1/registries/${registryId}/transactions`, one(draft, details));
  }

  /** Sequence and digest of the head. */
  async head(registryId: RegistryId) {
    const head = await this.known.head(registryId);
    return head === undefined ? undefined : { sequence: head.sequence, digest: head.digest };
  }

  async status(registryId: RegistryId, sequence: number) {
    const path = `/v1/registries/${registryId}/entries/${sequence}/confirmations`;
    return (await this.call('GET', path)).body;
  }
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any;
}

export interface Exchange {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Of the application unless given. */
  readonly pem?: string;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
}

type Invoke = (event: unknown, context: unknown) => Promise<GatewayResponse>;

const context = { getRemainingTimeInMillis: () => 30_000 };

export const salt = '00112233445566778899aabbccddeeff';

export function uploadDraft(
  documentId: string,
  version: number,
  content: { readonly contentDigest: string; readonly size: number },
) {
  return {
    type: 'upload-document' as const,
    transactionId: randomUUID(),
    documentId,
    version,
    mediaType: 'application/x-step',
    ...content,
  };
}

/** A request body with one transaction. */
export function one(
  draft: Parameters<typeof encodeTransaction>[0],
  details?: Parameters<typeof encodeTransaction>[1],
) {
  return { transactions: [item(draft, details)] };
}

/** One element of a request's array. */
export function item(
  draft: Parameters<typeof encodeTransaction>[0],
  details?: Parameters<typeof encodeTransaction>[1],
) {
  const encoded = encodeTransaction(draft, details);
  return {
    transaction: JSON.parse(encoded.transaction.toString()),
    ...(encoded.details === undefined ? {} : { details: JSON.parse(encoded.details.toString()) }),
  };
}

function configOf(cluster: MemoryCluster, instanceName: string) {
  return {
    instanceName,
    tableName: 'memory',
    bucketName: 'memory',
    deliveryQueueUrl: 'memory',
    fetchQueueUrl: 'memory',
    eventBusName: 'memory',
    keySecretArn: 'memory',
    clusterCaPem: cluster.authority.certificatePem,
    denied: new Set<string>(),
    admittedLeads: 'any' as const,
    auditPeriodDays: 30,
    localEndpoints: false,
  };
}

function peerRoute({ operation, registryId, subject = '' }: PeerRequest): [string, string] {
  const base = `/v1/peer/registries/${registryId}`;
  switch (operation) {
    case 'deliver':
      return ['POST', `${base}/deliveries`];
    case 'entries':
      return ['GET', `${base}/entries?from=${subject}`];
    case 'evidence':
      return ['GET', `${base}/evidence/${subject}`];
    case 'statements':
      return ['POST', `${base}/statements`];
    case 'invite':
      return ['POST', `${base}/invitations`];
    case 'head':
      return ['GET', `${base}/head?nonce=${subject}`];
    case 'content':
      return ['GET', `${base}/contents/${subject}`];
    case 'certificate':
      return ['GET', `${base}/certificates/${subject}`];
    case 'configuration':
      return ['GET', `${base}/configuration`];
  }
}

function httpEvent(pem: string | undefined, method: string, path: string, body?: Uint8Array) {
  const url = new URL(path, 'https://instance.example');
  return {
    version: '2.0',
    rawPath: url.pathname,
    queryStringParameters: Object.fromEntries(url.searchParams),
    headers: {},
    requestContext: {
      requestId: randomUUID(),
      http: { method, path: url.pathname },
      authentication: pem === undefined ? undefined : { clientCert: { clientCertPem: pem } },
    },
    ...(body === undefined
      ? {}
      : { body: Buffer.from(body).toString('base64'), isBase64Encoded: true }),
  };
}
