/** A lead in this process on DynamoDB Local, and what it writes there. */
import { randomUUID } from 'node:crypto';
import type {
  DynamoDBClient,
  TransactWriteItem,
  TransactWriteItemsInput,
} from '@aws-sdk/client-dynamodb';
import { DynamoLedgerStore } from '../../shared/adapters/aws/dynamo-ledger-store.ts';
import { createInstanceSigner } from '../../shared/adapters/instance-signer.ts';
import { MemoryBlobStore } from '../../shared/adapters/memory/memory-blob-store.ts';
import { RecordingAlarms } from '../../shared/adapters/memory/recording-alarms.ts';
import { systemClock, systemRandom } from '../../shared/adapters/system.ts';
import { type CertificateId, digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import { type Draft, encodeTransaction, readTransaction } from '../../shared/ledger/transaction.ts';
import { Appender, type AppendPorts } from '../../shared/registry/append.ts';
import type { Proposal } from '../../shared/registry/commit-plan.ts';
import { testAuthority, testInstance } from '../certificate-authority.ts';
import type { BenchDatabase } from './database.ts';

/** Every version names these bytes, so the lead needs them only once. */
const CONTENT = Buffer.from('the same bytes for every document of the benchmark');
const content = { contentDigest: digestOf(CONTENT), size: CONTENT.length };

/** A lead with two mirrors, which are known by their certificates and never called. */
export class BenchLead {
  /** Requests to the database so far, by the name of their command. */
  readonly requests = new Map<string, number>();
  /** What the last transaction wrote. */
  lastWrite: readonly TransactWriteItem[] = [];
  readonly #appender: Appender;
  readonly #peers: readonly CertificateId[];

  private constructor(client: DynamoDBClient, ports: AppendPorts, peers: readonly CertificateId[]) {
    this.#appender = new Appender(ports);
    this.#peers = peers;
    client.middlewareStack.add(
      (next, { commandName = '' }) =>
        (args) => {
          this.requests.set(commandName, (this.requests.get(commandName) ?? 0) + 1);
          const { TransactItems } = args.input as Partial<TransactWriteItemsInput>;
          this.lastWrite = TransactItems ?? this.lastWrite;
          return next(args);
        },
      { step: 'initialize' },
    );
  }

  /** Makes it a table of its own. */
  static async start(database: BenchDatabase): Promise<BenchLead> {
    const client = database.client();
    const tableName = `lead-${randomUUID()}`;
    await database.createTable(tableName);
    const store = new DynamoLedgerStore({ client, tableName });
    const authority = testAuthority();
    const { keyPem: privateKeyPem, certificatePem } = testInstance(authority);
    const signer = createInstanceSigner({ privateKeyPem, certificatePem, formerIds: [] });
    const peers = [signer.certificateId];
    for (const mirror of [testInstance(authority), testInstance(authority)]) {
      const id = mirror.certificateId as CertificateId;
      await store.putCertificate(id, mirror.certificatePem);
      peers.push(id);
    }
    // In memory: what is measured is the database of the ledger, not the bucket.
    const blobs = new MemoryBlobStore({ name: 'bench.example', clock: systemClock });
    await blobs.put(content, chunksOf(CONTENT));
    const alarms = new RecordingAlarms();
    const ports = { store, blobs, signer, alarms, clock: systemClock, random: systemRandom };
    return new BenchLead(client, ports, peers);
  }

  async createRegistry(): Promise<RegistryId> {
    const transactionId = randomUUID();
    const creation = proposalOf({ type: 'create-registry', transactionId, peers: this.#peers });
    await this.append(creation.read.digest, [creation]);
    return creation.read.digest;
  }

  /** Appends these together. Throws where they are not appended. */
  async append(registryId: RegistryId, proposals: readonly Proposal[]): Promise<void> {
    const outcome = await this.#appender.append(registryId, proposals);
    if (outcome.outcome !== 'appended') throw new Error(JSON.stringify(outcome));
  }

  /** Database transactions so far. */
  get transactions(): number {
    return this.requests.get('TransactWriteItemsCommand') ?? 0;
  }
}

/** First versions of so many new documents, parsed as a request's are. */
export function uploads(count: number): Proposal[] {
  return Array.from({ length: count }, () =>
    proposalOf({
      type: 'upload-document',
      transactionId: randomUUID(),
      documentId: randomUUID(),
      version: 1,
      mediaType: 'application/pdf',
      ...content,
    }),
  );
}

function proposalOf(draft: Draft): Proposal {
  const named = { salt: systemRandom.hex(16), name: 'Grundriss Erdgeschoß' };
  const { transaction, details } = encodeTransaction(draft, named);
  const read = readTransaction(transaction);
  if (read.outcome === 'refused') throw new Error(read.detail);
  return { read, ...(details === undefined ? {} : { details }) };
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
