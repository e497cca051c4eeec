/**
 * Document bytes in one S3 bucket: `documents/<digest>` and `evidence/<digest>`.
 *
 * What makes an object trustworthy is the SHA-256 that S3 itself verified while it was written: every
 * PUT carries `x-amz-checksum-sha256`, and an object without that checksum counts as not held. The
 * role needs `s3:PutObject`, `s3:GetObject` and, so that an absent object is 404 instead of 403,
 * `s3:ListBucket`.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { Digest } from '../../ledger/digest.ts';
import { limits } from '../../ledger/limits.ts';
import type { BlobStore, PutBytesOutcome, UploadTarget } from '../../registry/ports.ts';

const CONTENT_TYPE = 'application/octet-stream';
/** The headers that whoever uploads must send as signed. */
const UPLOAD_HEADERS = ['content-length', 'if-none-match', 'x-amz-checksum-sha256'];

export interface S3BlobStoreOptions {
  readonly client: S3Client;
  readonly bucketName: string;
}

interface Content {
  readonly contentDigest: Digest;
  /** In bytes. */
  readonly size: number;
  readonly generation?: number;
}

export class S3BlobStore implements BlobStore {
  readonly #client: S3Client;
  readonly #bucket: string;

  constructor({ client, bucketName }: S3BlobStoreOptions) {
    this.#client = client;
    this.#bucket = bucketName;
  }

  sizeOf(contentDigest: Digest, generation?: number): Promise<number | undefined> {
    return this.#sizeOf(documentKey(contentDigest, generation), contentDigest);
  }

  async uploadTarget({ contentDigest, size, generation }: Content): Promise<UploadTarget> {
    const command = new PutObjectCommand({
      Bucket: this.#bucket,
      Key: documentKey(contentDigest, generation),
      ...boundTo(contentDigest, size),
    });
    const url = await getSignedUrl(this.#client, command, {
      expiresIn: limits.objectUrlSeconds,
      // In the query the checksum would be signed but not required of the bytes.
      unhoistableHeaders: new Set(UPLOAD_HEADERS),
      signableHeaders: new Set(['host', ...UPLOAD_HEADERS]),
    });
    return {
      method: 'PUT',
      url,
      headers: {
        'content-length': String(size),
        'if-none-match': '*',
        'x-amz-checksum-sha256': checksumOf(contentDigest),
      },
      expiresAt: expiryOf(url),
    };
  }

  async downloadUrl(
    contentDigest: Digest,
    generation?: number,
  ): Promise<{ readonly url: string; readonly expiresAt: string }> {
    const command = new GetObjectCommand({
      Bucket: this.#bucket,
      Key: documentKey(contentDigest, generation),
      ResponseContentDisposition: 'attachment',
      ResponseContentType: CONTENT_TYPE,
    });
    const url = await getSignedUrl(this.#client, command, { expiresIn: limits.objectUrlSeconds });
    return { url, expiresAt: expiryOf(url) };
  }

  /**
   * Nothing is read from `bytes` when the document is held already. The last chunk is sent only once
   * size and digest of everything are known to be right, so S3 never completes a wrong object.
   */
  async put(content: Content, bytes: AsyncIterable<Uint8Array>): Promise<PutBytesOutcome> {
    const held = await this.sizeOf(content.contentDigest, content.generation);
    if (held !== undefined) return held === content.size ? 'held' : 'size-differs';
    const checked = new CheckedBytes(content, bytes);
    try {
      const outcome = await this.#stream(content, checked);
      return checked.refusal ?? outcome;
    } catch (error) {
      if (checked.refusal !== undefined) return checked.refusal;
      if (checked.failure !== undefined) throw checked.failure.cause;
      if (error instanceof S3ServiceException && error.name === 'BadDigest')
        return 'digest-differs';
      throw error;
    }
  }

  async get(
    contentDigest: Digest,
    generation?: number,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    return this.#get(documentKey(contentDigest, generation));
  }

  async beginning(
    contentDigest: Digest,
    bytesMax: number,
    generation?: number,
  ): Promise<Uint8Array | undefined> {
    const key = documentKey(contentDigest, generation);
    try {
      const bytes = await this.#get(key, `bytes=0-${bytesMax - 1}`);
      return bytes === undefined ? undefined : await readAll(bytes);
    } catch (error) {
      // Of an empty document there is no first byte.
      if (error instanceof S3ServiceException && error.name === 'InvalidRange')
        return new Uint8Array();
      throw error;
    }
  }

  /** Rejects when the bytes do not come out to the digest. */
  async putEvidence(digest: Digest, bytes: Uint8Array): Promise<void> {
    const content = { contentDigest: digest, size: bytes.length };
    await this.#putOnce(evidenceKey(digest), content, { Body: bytes });
  }

  async evidence(digest: Digest): Promise<Uint8Array | undefined> {
    const bytes = await this.#get(evidenceKey(digest));
    return bytes === undefined ? undefined : readAll(bytes);
  }

  async #sizeOf(key: string, digest: Digest): Promise<number | undefined> {
    const command = new HeadObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      ChecksumMode: 'ENABLED',
    });
    const head = await unlessAbsent(this.#client.send(command));
    return head?.ChecksumSHA256 === checksumOf(digest) ? head.ContentLength : undefined;
  }

  async #get(key: string, range?: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    const command = new GetObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      ...(range === undefined ? {} : { Range: range }),
    });
    // Bytes that differ from the checksum are a finding for whoever digests them, not a failed read.
    command.middlewareStack.add(
      (next) => (args) => next({ ...args, input: { ...args.input, ChecksumMode: undefined } }),
      { step: 'build', name: 'leaveChecksumToReader' },
    );
    const found = await unlessAbsent(this.#client.send(command));
    if (found === undefined) return undefined;
    if (!(found.Body instanceof Readable)) throw new Error('S3 answered without a body');
    return found.Body;
  }

  async #stream(content: Content, checked: CheckedBytes): Promise<PutBytesOutcome> {
    const chunks = checked.chunks();
    // Small or empty documents are checked whole here, before anything is sent.
    const first = await chunks.next();
    const aborting = new AbortController();
    const body = Readable.from(resumed(first, chunks), { objectMode: false });
    body.on('error', () => aborting.abort());
    const key = documentKey(content.contentDigest, content.generation);
    try {
      const Body = content.size === 0 ? new Uint8Array() : body;
      return await this.#putOnce(key, content, { Body }, aborting.signal);
    } finally {
      body.destroy();
      // Closes the source, also when nothing was read from the body. Not waited for: it may hang.
      chunks.return(undefined).catch(() => undefined);
    }
  }

  /** A lost condition is read back: only verified bytes of that digest count as held. */
  async #putOnce(
    key: string,
    content: Content,
    body: Pick<PutObjectCommandInput, 'Body'>,
    abortSignal?: AbortSignal,
  ): Promise<'stored' | 'held' | 'size-differs'> {
    const command = new PutObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      ContentType: CONTENT_TYPE,
      ...boundTo(content.contentDigest, content.size),
      ...body,
    });
    try {
      await this.#client.send(command, abortSignal === undefined ? {} : { abortSignal });
      return 'stored';
    } catch (error) {
      if (!isLostCondition(error)) throw error;
      const size = await this.#sizeOf(key, content.contentDigest);
      if (size !== undefined) return size === content.size ? 'held' : 'size-differs';
      if (error.name === 'PreconditionFailed')
        throw new Error(
          `the object ${key} is in the bucket without the SHA-256 that its name promises: ` +
            'find out who wrote it, keep it as evidence, and move it away',
          { cause: error },
        );
      throw error;
    }
  }
}

/** Passes chunks on one behind, so that the last one is held back until all were checked. */
class CheckedBytes {
  /** Why the bytes were refused, once they were. */
  refusal: 'digest-differs' | 'size-differs' | undefined;
  /** That the source itself failed. */
  failure: { readonly cause: unknown } | undefined;
  readonly #content: Content;
  readonly #source: AsyncIterable<Uint8Array>;

  constructor(content: Content, source: AsyncIterable<Uint8Array>) {
    this.#content = content;
    this.#source = source;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    const { contentDigest, size } = this.#content;
    const hash = createHash('sha256');
    let received = 0;
    let last: Uint8Array | undefined;
    for await (const chunk of this.#watched()) {
      received += chunk.length;
      if (received > size) this.#refuse('size-differs');
      hash.update(chunk);
      if (last !== undefined) yield last;
      last = chunk;
    }
    if (received !== size) this.#refuse('size-differs');
    if (hash.digest('hex') !== contentDigest) this.#refuse('digest-differs');
    if (last !== undefined) yield last;
  }

  async *#watched(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#source) if (chunk.length > 0) yield chunk;
    } catch (cause) {
      this.failure = { cause };
      throw cause;
    }
  }

  #refuse(refusal: 'digest-differs' | 'size-differs'): never {
    this.refusal = refusal;
    throw new Error(`the bytes were refused: ${refusal}`);
  }
}

async function* resumed(
  first: IteratorResult<Uint8Array, unknown>,
  rest: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (first.done !== true) yield first.value;
  yield* rest;
}

/** The first object of a document has its digest as name, a later one its number as well. */
function documentKey(contentDigest: Digest, generation = 1): string {
  return generation === 1
    ? `documents/${contentDigest}`
    : `documents/${contentDigest}.${generation}`;
}

function evidenceKey(digest: Digest): string {
  return `evidence/${digest}`;
}

function checksumOf(digest: Digest): string {
  return Buffer.from(digest, 'hex').toString('base64');
}

/** What binds a PUT to its bytes and to happening once. */
function boundTo(
  digest: Digest,
  size: number,
): Pick<PutObjectCommandInput, 'ContentLength' | 'ChecksumSHA256' | 'IfNoneMatch'> {
  return { ContentLength: size, ChecksumSHA256: checksumOf(digest), IfNoneMatch: '*' };
}

async function readAll(bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Uint8Array.from(Buffer.concat(chunks));
}

async function unlessAbsent<Output>(answer: Promise<Output>): Promise<Output | undefined> {
  try {
    return await answer;
  } catch (error) {
    const absent = ['NotFound', 'NoSuchKey'];
    if (error instanceof S3ServiceException && absent.includes(error.name)) return undefined;
    throw error;
  }
}

/** 412: something is there. 409: another conditional write of that key was under way. */
function isLostCondition(error: unknown): error is S3ServiceException {
  if (!(error instanceof S3ServiceException)) return false;
  return error.name === 'PreconditionFailed' || error.name === 'ConditionalRequestConflict';
}

/** Read from the URL itself: the presigner takes the time from the client's clock. */
function expiryOf(url: string): string {
  const { searchParams } = new URL(url);
  const signedAt = (searchParams.get('X-Amz-Date') ?? '').replace(
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/,
    '$1-$2-$3T$4:$5:$6Z',
  );
  const livesMs = Number(searchParams.get('X-Amz-Expires')) * 1000;
  return new Date(Date.parse(signedAt) + livesMs).toISOString();
}
