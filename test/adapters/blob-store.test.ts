import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type S3Server, startS3Server } from '../../infra/local/s3-server.ts';
import { S3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import { MemoryBlobStore } from '../../shared/adapters/memory/memory-blob-store.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { limits } from '../../shared/ledger/limits.ts';
import {
  type BlobStoreUnderTest,
  blobStoreContract,
  chunksOf,
  content,
  sample,
} from './blob-store.contract.ts';

const bytes = sample(200);
const nothing = (): void => undefined;
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const BUCKET = 'bytes-of-client';

describe('the blob store in memory', () => {
  blobStoreContract(async () => {
    const store = new MemoryBlobStore({ name: 'client', clock: Date });
    return {
      store,
      upload: (target, sent) => store.upload(target, sent),
      download: async (url) => collect(await store.download(url)),
      corrupt: async (contentDigest, others) => store.corrupt(contentDigest, others),
      close: async () => undefined,
    };
  });

  test('URLs end with the clock', async () => {
    let now = 0;
    const store = new MemoryBlobStore({ name: 'client', clock: { now: () => now } });
    await store.put(content(bytes), chunksOf(bytes));
    const { url, expiresAt } = await store.downloadUrl(digestOf(bytes));
    const target = await store.uploadTarget(content(bytes));

    now = limits.objectUrlSeconds * 1000 + 1;

    expect(expiresAt).toBe('1970-01-01T00:05:00.000Z');
    expect(await store.download(url)).toBeUndefined();
    expect(await store.upload(target, bytes)).toBe(403);
  });

  test('a URL for uploading does not download, nor the other way round', async () => {
    const store = new MemoryBlobStore({ name: 'client', clock: Date });
    await store.put(content(bytes), chunksOf(bytes));
    const target = await store.uploadTarget(content(bytes));
    const { url } = await store.downloadUrl(digestOf(bytes));

    expect(await store.download(target.url)).toBeUndefined();
    expect(await store.upload({ url, headers: target.headers }, bytes)).toBe(403);
  });

  test('a lost document is not held', async () => {
    const store = new MemoryBlobStore({ name: 'client', clock: Date });
    await store.put(content(bytes), chunksOf(bytes));

    store.lose(digestOf(bytes));

    expect(await store.sizeOf(digestOf(bytes))).toBeUndefined();
  });

  test('evidence that is changed after it was handed over is reported', async () => {
    const store = new MemoryBlobStore({ name: 'client', clock: Date });
    const handedOver = Uint8Array.from(bytes);
    const digest = digestOf(handedOver);
    await store.putEvidence(digest, handedOver);

    handedOver[0] = 77;

    await expect(store.evidence(digest)).rejects.toThrow('changed by its owner');
  });

  test('what no document can be is reported', async () => {
    const store = new MemoryBlobStore({ name: 'client', clock: Date });
    const tooLarge = { contentDigest: digestOf(bytes), size: limits.documentBytesMax + 1 };

    await expect(store.uploadTarget(tooLarge)).rejects.toThrow('a document has 0 to');
    await expect(store.sizeOf('../x' as ReturnType<typeof digestOf>)).rejects.toThrow('no digest');
  });
});

describe('the blob store on S3', () => {
  blobStoreContract(async () => s3Setting());

  let setting: S3Setting;
  beforeEach(async () => {
    setting = await s3Setting();
  });
  afterEach(() => setting.close());

  test('an object that was written without a checksum counts as not held', async () => {
    await setting.write(`documents/${digestOf(bytes)}`, bytes, {});

    expect(await setting.store.sizeOf(digestOf(bytes))).toBeUndefined();
  });

  test('an object with the checksum of other bytes counts as not held', async () => {
    await setting.write(`documents/${digestOf(bytes)}`, sample(50), { checksum: true });

    expect(await setting.store.sizeOf(digestOf(bytes))).toBeUndefined();
  });

  test('a put onto an object that is not what its name promises rejects with what to do', async () => {
    await setting.write(`documents/${digestOf(bytes)}`, sample(50), { checksum: true });

    const put = setting.store.put(content(bytes), chunksOf(bytes));

    await expect(put).rejects.toThrow(/without the SHA-256 that its name promises.*move it away/);
  });

  test('a download URL makes the answer an attachment of no particular type', async () => {
    await setting.store.put(content(bytes), chunksOf(bytes));
    const { url } = await setting.store.downloadUrl(digestOf(bytes));

    const answer = await fetch(url);

    expect(answer.headers.get('content-disposition')).toBe('attachment');
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    expect(await answer.bytes()).toEqual(bytes);
  });

  test('the URL of an upload signs length, checksum and put-once and carries no checksum itself', async () => {
    const { url } = await setting.store.uploadTarget(content(bytes));

    const query = new URL(url).searchParams;

    expect(query.get('X-Amz-SignedHeaders')).toBe(
      'content-length;host;if-none-match;x-amz-checksum-sha256',
    );
    expect(query.get('X-Amz-Expires')).toBe('300');
    expect([...query.keys()].filter((name) => name.includes('checksum'))).toEqual([]);
  });

  test('a put onto a server that is gone rejects and reads nothing', async () => {
    let chunksRead = 0;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      chunksRead += 1;
      yield bytes;
    };
    await setting.server.close();

    await expect(setting.store.put(content(bytes), source())).rejects.toThrow();

    expect(chunksRead).toBe(0);
  });

  test('a put whose server goes away midway rejects and closes its source', async () => {
    let closed = false;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (let count = 0; ; count += 1) {
          if (count === 100) void setting.server.close();
          yield sample(65_536);
        }
      } finally {
        closed = true;
      }
    };

    const put = setting.store.put({ contentDigest: digestOf(bytes), size: 1e9 }, source());

    await expect(put).rejects.toThrow();
    await expect.poll(() => closed).toBe(true);
  });
});

interface S3Setting extends BlobStoreUnderTest {
  readonly server: S3Server;
  /** Writes as whoever has the key of the bucket can. */
  write(key: string, body: Uint8Array, how: { readonly checksum?: boolean }): Promise<void>;
}

async function s3Setting(): Promise<S3Setting> {
  const directory = await mkdtemp(join(tmpdir(), 'blob-store-'));
  const server = await startS3Server({
    directory,
    port: 0,
    region: 'eu-central-1',
    secretOf: (accessKeyId) => (accessKeyId === 'client' ? 'secret of client' : undefined),
  });
  await server.createBucket(BUCKET, 'client');
  const connection = {
    region: 'eu-central-1',
    endpoint: server.endpoint,
    credentials: { accessKeyId: 'client', secretAccessKey: 'secret of client' },
    forcePathStyle: true,
    maxAttempts: 1,
    // The SDK warns about every refused stream, which these tests provoke.
    logger: silent,
  };
  const client = new S3Client(connection);
  // What a writer that knows nothing of checksums does.
  const careless = new S3Client({ ...connection, requestChecksumCalculation: 'WHEN_REQUIRED' });
  return {
    server,
    store: new S3BlobStore({ client, bucketName: BUCKET }),
    upload: async ({ url, headers }, body) => {
      const answer = await fetch(url, { method: 'PUT', headers, body: Buffer.from(body) });
      await answer.arrayBuffer();
      return answer.status;
    },
    download: async (url) => {
      const answer = await fetch(url);
      const received = await answer.bytes();
      return answer.ok ? received : undefined;
    },
    corrupt: async (contentDigest, others) => {
      const name = digestOf(`documents/${contentDigest}`);
      const file = join(directory, 'buckets', BUCKET, 'objects', name);
      const stored = await readFile(file);
      stored.set(others);
      await writeFile(file, stored);
    },
    write: async (Key, Body, { checksum = false }) => {
      const ChecksumSHA256 = Buffer.from(digestOf(Body), 'hex').toString('base64');
      const command = { Bucket: BUCKET, Key, Body, ...(checksum ? { ChecksumSHA256 } : {}) };
      await careless.send(new PutObjectCommand(command));
    },
    close: async () => {
      client.destroy();
      careless.destroy();
      await server.close();
      expect(await readdir(join(directory, 'uploads'))).toEqual([]);
      await rm(directory, { recursive: true });
    },
  };
}

async function collect(
  source: AsyncIterable<Uint8Array> | undefined,
): Promise<Uint8Array | undefined> {
  if (source === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Uint8Array.from(Buffer.concat(chunks));
}
