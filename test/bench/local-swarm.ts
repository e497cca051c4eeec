/** Instances on this machine, from the synthesized templates, and an application that uses them. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import {
  createCertificateAuthority,
  type IssuedCertificate,
  issueApplicationCertificate,
  issueInstanceCertificate,
} from '../../cli/certificates.ts';
import { putBytes, RegistryClient } from '../../cli/client.ts';
import { createRegistry, entryStatus, introduce, type Recorded } from '../../cli/documents.ts';
import { type Cluster, startCluster } from '../../infra/local/cluster.ts';
import { freePort } from '../../infra/local/port.ts';
import { systemRandom } from '../../shared/adapters/system.ts';
import { encodeTransaction } from '../../shared/ledger/transaction.ts';

/** Every version names these bytes: each instance needs them only once. */
const CONTENT = Buffer.from('the same bytes for every document of the benchmark');
const content = {
  contentDigest: createHash('sha256').update(CONTENT).digest('hex'),
  size: CONTENT.length,
};

/** Short, for a parked peer waits for one. */
const SWEEP_SECONDS = 2;

interface SwarmMember {
  readonly name: string;
  readonly port: number;
  readonly issued: IssuedCertificate;
}

/** A lead and its mirrors. The first name leads; all of them know each other. */
export class LocalSwarm {
  readonly cluster: Cluster;
  /** The application at the lead. */
  readonly client: RegistryClient;
  readonly #members: readonly SwarmMember[];
  readonly #directory: string;

  private constructor(
    cluster: Cluster,
    client: RegistryClient,
    members: readonly SwarmMember[],
    directory: string,
  ) {
    this.cluster = cluster;
    this.client = client;
    this.#members = members;
    this.#directory = directory;
  }

  static async start(names: readonly string[]): Promise<LocalSwarm> {
    const directory = mkdtempSync(join(tmpdir(), 'registry-bench-'));
    const authority = await createCertificateAuthority({ name: 'Benchmark Cluster CA' });
    const application = await issueApplicationCertificate({ authority, name: 'benchmark' });
    const members: SwarmMember[] = [];
    for (const name of names) {
      const port = await freePort(0, 'the port of an instance');
      const endpoint = `https://localhost:${port}`;
      const issued = await issueInstanceCertificate({ authority, name, endpoint });
      members.push({ name, port, issued });
    }
    const settings = {
      clusterCa: authority.certificatePem,
      applications: [application.certificateId],
      operators: [],
      auditors: [],
      denied: [],
      admittedLeads: 'any',
    } as const;
    const cluster = await startCluster({
      directory,
      instances: members.map(({ name, port, issued }) => {
        const keyFile = join(directory, `${name}.json`);
        writeFileSync(keyFile, JSON.stringify({ ...issued, formerIds: [] }), { mode: 0o600 });
        return { name, port, keyFile, settings };
      }),
      inMemory: true,
      sweepSeconds: SWEEP_SECONDS,
    });
    const clients = members.map(
      ({ port }) =>
        new RegistryClient({
          endpoint: `https://localhost:${port}`,
          certificatePem: application.certificatePem,
          keyPem: application.privateKeyPem,
          caPem: authority.certificatePem,
        }),
    );
    const [client, ...others] = clients;
    if (client === undefined) throw new Error('a swarm has at least a lead');
    for (const each of clients)
      for (const { issued } of members) await introduce(each, issued.certificatePem);
    for (const other of others) other.close();
    const swarm = new LocalSwarm(cluster, client, members, directory);
    await swarm.#uploadContent();
    return swarm;
  }

  /** Certificate ids. */
  idsOf(names: readonly string[]): string[] {
    return names.map((name) => {
      const member = this.#members.find((each) => each.name === name);
      if (member === undefined) throw new Error(`the swarm has no ${name}`);
      return member.issued.certificateId;
    });
  }

  /** A registry of these instances; its id. */
  async createRegistry(names: readonly string[]): Promise<string> {
    const peers = this.idsOf(names);
    const { registryId } = await createRegistry(this.client, { name: 'Neubau', peers });
    return registryId;
  }

  /** Appends so many documents in one request; the last entry. */
  async append(registryId: string, count: number): Promise<Recorded> {
    const transactions = Array.from({ length: count }, upload);
    const path = `/v1/registries/${registryId}/transactions`;
    const { body } = await this.client.call('POST', path, { transactions });
    const last = (body as { readonly entries: readonly Recorded[] }).entries.at(-1);
    if (last === undefined) throw new Error('the lead answered without an entry');
    return last;
  }

  /** Waits until the lead knows that all mirrors have confirmed the entry. */
  async final(registryId: string, sequence: number, pollMs: number): Promise<void> {
    const deadline = performance.now() + FINAL_WITHIN_MS;
    for (;;) {
      const { status } = await entryStatus(this.client, registryId, sequence);
      if (status.status === 'final') return;
      if (performance.now() > deadline)
        throw new Error(`entry ${sequence} does not become final: ${JSON.stringify(status)}`);
      await setTimeout(pollMs);
    }
  }

  async close(): Promise<void> {
    this.client.close();
    await this.cluster.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #uploadContent(): Promise<void> {
    const { body } = await this.client.call('POST', '/v1/uploads', content);
    const { upload } = body as { readonly upload: Parameters<typeof putBytes>[0] };
    const { status, text } = await putBytes(upload, bytesOfContent());
    if (status !== 200) throw new Error(`the document was not taken: ${status} ${text}`);
  }
}

const FINAL_WITHIN_MS = 300_000;

/** One element of a request's array: version 1 of a new document. */
function upload() {
  const encoded = encodeTransaction(
    {
      type: 'upload-document',
      transactionId: randomUUID(),
      documentId: randomUUID(),
      version: 1,
      mediaType: 'application/pdf',
      ...content,
    },
    { salt: systemRandom.hex(16), name: 'Grundriss Erdgeschoß' },
  );
  return {
    transaction: JSON.parse(encoded.transaction.toString()),
    details: JSON.parse(String(encoded.details)),
  };
}

async function* bytesOfContent(): AsyncGenerator<Uint8Array> {
  yield CONTENT;
}
