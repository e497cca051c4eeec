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
import { type Cluster, startCluster } from '../../infra/local/cluster.ts';
import { freePort } from '../../infra/local/port.ts';
import { systemRandom } from '../../shared/adapters/system.ts';
import type { AppendAnswer, UploadTarget } from '../../shared/client/answers.ts';
import { putBytes } from '../../shared/client/object-store.ts';
import { RegistryClient } from '../../shared/client/registry-client.ts';
import { encodeTransaction } from '../../shared/ledger/transaction.ts';

/** Every version names these bytes: each instance needs them only once. */
const CONTENT = Buffer.from('the same bytes for every document of the benchmark');
const content = {
  contentDigest: createHash('sha256').update(CONTENT).digest('hex'),
  size: CONTENT.length,
};

/** Short, for a parked peer waits for one. */
const SWEEP_SECONDS = 2;

/** A failure ends the run: tried again, it would be timed together with the wait before that. */
const ONE_TRY = { retries: { triesMax: 1 } } as const;

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
        new RegistryClient(
          {
            endpoint: `https://localhost:${port}`,
            certificatePem: application.certificatePem,
            keyPem: application.privateKeyPem,
            caPem: authority.certificatePem,
          },
          ONE_TRY,
        ),
    );
    const [client, ...others] = clients;
    if (client === undefined) throw new Error('a swarm has at least a lead');
    for (const each of clients)
      for (const { issued } of members) await each.introduceInstance(issued.certificatePem);
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
    const { registryId } = await this.client.createRegistry({ name: 'Neubau', peers });
    return registryId;
  }

  /**
   * Appends so many documents in one request; the last entry. A plain call: what the client's own
   * `append` verifies would take processor time that the instances are measured on.
   */
  async append(registryId: string, count: number): Promise<AppendAnswer['entries'][number]> {
    const transactions = Array.from({ length: count }, upload);
    const path = `/v1/registries/${registryId}/transactions`;
    const answer = await this.client.unverified.call('POST', path, { transactions });
    const last = (answer as AppendAnswer).entries.at(-1);
    if (last === undefined) throw new Error('the lead answered without an entry');
    return last;
  }

  /**
   * Waits until the lead knows that all mirrors have confirmed the entry. By the lead's word: to
   * build and verify receipts would be a part of the figures.
   */
  async final(registryId: string, sequence: number, pollMs: number): Promise<void> {
    const deadline = performance.now() + FINAL_WITHIN_MS;
    for (;;) {
      const { status } = await this.client.unverified.entryStatus(registryId, sequence);
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
    const answer = await this.client.unverified.call('POST', '/v1/uploads', content);
    const { upload } = answer as { readonly upload: UploadTarget };
    const { status, code } = await putBytes(upload, bytesOfContent(), { idleMsMax: IDLE_MS_MAX });
    if (status !== 200) throw new Error(`the document was not taken: ${status} ${code}`);
  }
}

const FINAL_WITHIN_MS = 300_000;
const IDLE_MS_MAX = 30_000;

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
