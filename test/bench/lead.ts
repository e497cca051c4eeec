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
import { systemClock, systemRandom } from '../../shared/adapters/system.ts';
import { digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import { type Draft, encodeTransaction, readTransaction } from '../../shared/ledger/transaction.ts';
import { Appender } from '../../shared/registry/append.ts';
import type { Proposal } from '../../shared/registry/commit-plan.ts';
import { testAuthority, testInstance } from '../certificate-authority.ts';
import type { DynamoDbLocal } from '../dynamo-db-local.ts';

/** Every version names these bytes: they need be at the lead only once. */
const CONTENT = Buffer.from('the same bytes for every document of the benchmark');
const content = { contentDigest: digestOf(CONTENT), size: CONTENT.length };

export class BenchLead {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  /** Requests so far, by the name of the operation: `TransactWriteItemsCommand`. */
  readonly requests = new Map<string, number>();
  /** What the last transaction wrote. */
  lastWrite: readonly TransactWriteItem[] = [];
  readonly #appender: Appender;
  readonly #peers: readonly string[];

  private constructor(
    client: DynamoDBClient,
    tableName: string,
    appender: Appender,
    peers: readonly string[],
  ) {
    this.client = client;
    this.tableName = tableName;
    this.#appender = appender;
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

  /** A lead that knows two mirrors, with a table of its own. */
  static async start(dynamoDb: DynamoDbLocal): Promise<BenchLead> {
    const client = dynamoDb.client();
    const tableName = await dynamoDb.createTable(client);
    const store = new DynamoLedgerStore({ client, tableName });
    const authority = testAuthority();
    const { keyPem: privateKeyPem, certificatePem } = testInstance(authority);
    const signer = createInstanceSigner({ privateKeyPem, certificatePem, formerIds: [] });
    const mirrors = [testInstance(authority), testInstance(authority)];
    for (const mirror of mirrors)
      await store.putCertificate(
        mirror.certificateId as typeof signer.certificateId,
        mirror.certificatePem,
      );
    // Held in memory: what is measured is the ledger's database, not a bucket.
    const blobs = new MemoryBlobStore({ name: 'bench.example', clock: systemClock });
    await blobs.put(content, chunksOf(CONTENT));
    const ports = { store, blobs, signer, clock: systemClock, random: systemRandom };
    const peers = [signer.certificateId, ...mirrors.map(({ certificateId }) => certificateId)];
    return new BenchLead(client, tableName, new Appender(ports), peers);
  }

  async createRegistry(): Promise<RegistryId> {
    const transactionId = randomUUID();
    const creation = proposalOf({ type: 'create-registry', transactionId, peers: this.#peers });
    await this.append(creation.read.digest, [creation]);
    return creation.read.digest;
  }

  /** Appends these together; throws where they are not appended. */
  async append(registryId: RegistryId, proposals: readonly Proposal[]): Promise<void> {
    const outcome = await this.#appender.append(registryId, proposals);
    if (outcome.outcome !== 'appended') throw new Error(JSON.stringify(outcome));
  }

  /** Transactions written so far. */
  get transactions(): number {
    return this.requests.get('TransactWriteItemsCommand') ?? 0;
  }
}

/** First versions of so many new documents, as a request brings them. */
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
  const details = { salt: systemRandom.hex(16), name: 'Grundriss Erdgeschoß' };
  const encoded = encodeTransaction(draft, details);
  const read = readTransaction(encoded.transaction);
  if (read.outcome === 'refused') throw new Error(read.detail);
  return { read, ...(encoded.details === undefined ? {} : { details: encoded.details }) };
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
