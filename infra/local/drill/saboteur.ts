/**
 * Changes what instances have stored, past their software: as a thief with the instance's rights, a
 * broken disk or an old backup does. Only items and objects of one registry are touched.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import {
  headKey,
  type Item,
  type ItemKey,
  transactionItemKey,
} from '../../../shared/adapters/aws/dynamo-keys.ts';
import { DynamoLedgerStore } from '../../../shared/adapters/aws/dynamo-ledger-store.ts';
import { S3BlobStore } from '../../../shared/adapters/aws/s3-blob-store.ts';
import type { RegistryId } from '../../../shared/ledger/digest.ts';
import type { Cluster } from '../cluster.ts';
import type { MemberName } from '../members.ts';

/** The table and the bucket of one instance, with the instance's own rights. */
export class Storage {
  readonly store: DynamoLedgerStore;
  readonly blobs: S3BlobStore;
  readonly #dynamo: DynamoDBClient;
  readonly #s3: S3Client;
  readonly #tableName: string;
  /** Where the emulator of S3 keeps the bucket's objects. */
  readonly #objects: string;

  constructor(cluster: Cluster, name: MemberName) {
    const environment = cluster.environmentOf(name);
    const given = (variable: string) => environment[variable] ?? '';
    const common = {
      region: given('AWS_REGION'),
      credentials: {
        accessKeyId: given('AWS_ACCESS_KEY_ID'),
        secretAccessKey: given('AWS_SECRET_ACCESS_KEY'),
      },
    };
    const bucketName = given('BUCKET_NAME');
    this.#dynamo = new DynamoDBClient({ ...common, endpoint: given('AWS_ENDPOINT_URL_DYNAMODB') });
    this.#s3 = new S3Client({ ...common, endpoint: given('AWS_ENDPOINT_URL_S3') });
    this.#tableName = given('TABLE_NAME');
    this.store = new DynamoLedgerStore({ client: this.#dynamo, tableName: this.#tableName });
    this.blobs = new S3BlobStore({ client: this.#s3, bucketName });
    const home = cluster.instances.find((each) => each.name === name)?.directory ?? '';
    this.#objects = join(dirname(home), 'objects', 'buckets', bucketName, 'objects');
  }

  close(): void {
    this.#dynamo.destroy();
    this.#s3.destroy();
  }

  /** Makes another version of the one that a stored upload-document records: one byte. */
  async editVersion(
    registryId: string,
    transactionId: string,
  ): Promise<{ was: string; is: string }> {
    const key = transactionItemKey(registryId as RegistryId, 1, transactionId);
    const stored = (await this.#read(key))['bytes']?.B;
    if (stored === undefined) throw new Error(`no transaction ${transactionId} is stored`);
    const bytes = Buffer.from(stored);
    const at = bytes.length - 2;
    const digit = bytes[at] ?? 0;
    bytes[at] = digit === 0x39 ? 0x31 : digit + 1;
    await this.#dynamo.send(
      new UpdateItemCommand({
        TableName: this.#tableName,
        Key: key,
        UpdateExpression: 'SET #bytes = :bytes',
        ExpressionAttributeNames: { '#bytes': 'bytes' },
        ExpressionAttributeValues: { ':bytes': { B: bytes } },
      }),
    );
    const shown = (text: Uint8Array) => Buffer.from(text).toString('utf8').slice(-12);
    return { was: shown(stored), is: shown(bytes) };
  }

  /** The head as it is stored now, for a backup. */
  savedHead(registryId: string): Promise<Item> {
    return this.#read(headKey(registryId as RegistryId));
  }

  /** Puts an item back as it was, as a restored backup does. */
  async putBack(item: Item): Promise<void> {
    await this.#dynamo.send(new PutItemCommand({ TableName: this.#tableName, Item: item }));
  }

  /** Changes the first byte of a document where it lies on disk; once more, and it is as it was. */
  async flipByte(contentDigest: string): Promise<void> {
    const name = createHash('sha256').update(`documents/${contentDigest}`).digest('hex');
    const file = await open(join(this.#objects, name), 'r+');
    try {
      const first = Buffer.alloc(1);
      await file.read(first, 0, 1, 0);
      await file.write(Buffer.from([(first[0] ?? 0) ^ 1]), 0, 1, 0);
    } finally {
      await file.close();
    }
  }

  async #read(key: ItemKey): Promise<Item> {
    const { Item: item } = await this.#dynamo.send(
      new GetItemCommand({ TableName: this.#tableName, Key: key, ConsistentRead: true }),
    );
    if (item === undefined) throw new Error(`no item ${JSON.stringify(key)}`);
    return item;
  }
}
