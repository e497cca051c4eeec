import { type Digest, digestOf, isDigest } from '../../ledger/digest.ts';
import { limits } from '../../ledger/limits.ts';
import type { BlobStore, Clock, PutBytesOutcome, UploadTarget } from '../../registry/ports.ts';

export interface MemoryBlobStoreOptions {
  /** Host of the URLs that the store hands out; tells the stores of one simulation apart. */
  readonly name: string;
  readonly clock: Pick<Clock, 'now'>;
}

interface Content {
  readonly contentDigest: Digest;
  /** In bytes. */
  readonly size: number;
  readonly generation?: number;
}

interface Issued extends Content {
  readonly use: 'upload' | 'download';
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/**
 * A BlobStore for tests. Throws where a caller breaks the contract: a malformed digest, a size that
 * no document has, evidence that does not come out to its digest, bytes changed after the hand-over.
 */
export class MemoryBlobStore implements BlobStore {
  readonly #options: MemoryBlobStoreOptions;
  readonly #documents = new Map<string, Uint8Array>();
  readonly #evidence = new Map<Digest, Uint8Array>();
  readonly #handedOver: { readonly bytes: Uint8Array; readonly digest: Digest }[] = [];
  readonly #issued = new Map<string, Issued>();

  constructor(options: MemoryBlobStoreOptions) {
    this.#options = options;
  }

  async sizeOf(contentDigest: Digest, generation?: number): Promise<number | undefined> {
    checkDigest(contentDigest);
    return this.#documents.get(placeOf(contentDigest, generation))?.length;
  }

  async uploadTarget(content: Content): Promise<UploadTarget> {
    checkContent(content);
    const { url, expiresAt } = this.#issue('upload', content);
    return { method: 'PUT', url, headers: headersOf(content), expiresAt };
  }

  async downloadUrl(
    contentDigest: Digest,
    generation = 1,
  ): Promise<{ readonly url: string; readonly expiresAt: string }> {
    checkDigest(contentDigest);
    return this.#issue('download', { contentDigest, size: 0, generation });
  }

  async put(content: Content, bytes: AsyncIterable<Uint8Array>): Promise<PutBytesOutcome> {
    checkContent(content);
    const place = placeOf(content.contentDigest, content.generation);
    const present = this.#documents.get(place);
    if (present !== undefined) return present.length === content.size ? 'held' : 'size-differs';
    const received = await readAtMost(bytes, content.size);
    if (received === undefined || received.length !== content.size) return 'size-differs';
    if (digestOf(received) !== content.contentDigest) return 'digest-differs';
    // Another one may have come first while these were read.
    if (this.#documents.has(place)) return 'held';
    this.#documents.set(place, received);
    return 'stored';
  }

  async get(
    contentDigest: Digest,
    generation?: number,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    checkDigest(contentDigest);
    const bytes = this.#documents.get(placeOf(contentDigest, generation));
    return bytes === undefined ? undefined : chunksOf(bytes);
  }

  async beginning(
    contentDigest: Digest,
    bytesMax: number,
    generation?: number,
  ): Promise<Uint8Array | undefined> {
    checkDigest(contentDigest);
    return this.#documents.get(placeOf(contentDigest, generation))?.slice(0, bytesMax);
  }

  async putEvidence(digest: Digest, bytes: Uint8Array): Promise<void> {
    checkDigest(digest);
    this.#checkHandedOver();
    if (digestOf(bytes) !== digest)
      throw new Error('evidence was put under a digest that its bytes do not come out to');
    if (bytes.length > limits.evidenceBytesMax)
      throw new Error(`evidence may have at most ${limits.evidenceBytesMax} bytes`);
    this.#handedOver.push({ bytes, digest });
    if (!this.#evidence.has(digest)) this.#evidence.set(digest, Uint8Array.from(bytes));
  }

  async evidence(digest: Digest): Promise<Uint8Array | undefined> {
    checkDigest(digest);
    this.#checkHandedOver();
    const bytes = this.#evidence.get(digest);
    return bytes === undefined ? undefined : Uint8Array.from(bytes);
  }

  /**
   * What an application does with an upload target. Answers with the status that S3 has: 200 stored,
   * 403 expired or not as issued, 412 there already, 400 other bytes than those signed for.
   */
  async upload(
    target: Pick<UploadTarget, 'url' | 'headers'>,
    bytes: Uint8Array,
  ): Promise<200 | 400 | 403 | 412> {
    const issued = this.#valid('upload', target.url);
    if (issued === undefined) return 403;
    for (const [name, value] of Object.entries(headersOf(issued)))
      if (target.headers[name] !== value) return 403;
    const place = placeOf(issued.contentDigest, issued.generation);
    if (this.#documents.has(place)) return 412;
    if (bytes.length !== issued.size || digestOf(bytes) !== issued.contentDigest) return 400;
    this.#documents.set(place, Uint8Array.from(bytes));
    return 200;
  }

  /** What a peer does with a download URL. Undefined: expired, never issued, or nothing there. */
  async download(url: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    const issued = this.#valid('download', url);
    return issued === undefined ? undefined : this.get(issued.contentDigest, issued.generation);
  }

  /** Damage below the store: it reports the document as held, with other bytes. */
  corrupt(contentDigest: Digest, bytes: Uint8Array): void {
    this.#documents.set(contentDigest, Uint8Array.from(bytes));
  }

  /** Damage below the store: the document is gone. */
  lose(contentDigest: Digest): void {
    this.#documents.delete(contentDigest);
  }

  #issue(use: Issued['use'], content: Content): { url: string; expiresAt: string } {
    const expiresAtMs = this.#options.clock.now() + limits.objectUrlSeconds * 1000;
    const path = `documents/${placeOf(content.contentDigest, content.generation)}`;
    const query = `use=${use}&size=${content.size}&expires=${expiresAtMs}`;
    const url = `memory://${this.#options.name}/${path}?${query}`;
    this.#issued.set(url, { ...content, use, expiresAtMs });
    return { url, expiresAt: new Date(expiresAtMs).toISOString() };
  }

  #valid(use: Issued['use'], url: string): Issued | undefined {
    const issued = this.#issued.get(url);
    if (issued?.use !== use || this.#options.clock.now() > issued.expiresAtMs) return undefined;
    return issued;
  }

  #checkHandedOver(): void {
    for (const { bytes, digest } of this.#handedOver)
      if (digestOf(bytes) !== digest)
        throw new Error('evidence was changed by its owner after it was handed over');
  }
}

/** The first object of a document has its digest as name, a later one its number as well. */
function placeOf(contentDigest: Digest, generation = 1): string {
  return generation === 1 ? contentDigest : `${contentDigest}.${generation}`;
}

function checkDigest(digest: string): void {
  if (!isDigest(digest)) throw new Error(`"${digest}" is no digest: 64 lower-case hex digits`);
}

function checkContent({ contentDigest, size }: Content): void {
  checkDigest(contentDigest);
  if (!Number.isSafeInteger(size) || size < 0 || size > limits.documentBytesMax)
    throw new Error(`a document has 0 to ${limits.documentBytesMax} bytes, not ${size}`);
}

function headersOf({ contentDigest, size }: Content): Record<string, string> {
  return {
    'content-length': String(size),
    'if-none-match': '*',
    'x-amz-checksum-sha256': Buffer.from(contentDigest, 'hex').toString('base64'),
  };
}

/** Undefined as soon as there are more: an endless source ends here. */
async function readAtMost(
  bytes: AsyncIterable<Uint8Array>,
  size: number,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let received = 0;
  for await (const chunk of bytes) {
    received += chunk.length;
    if (received > size) return undefined;
    chunks.push(chunk);
  }
  return Uint8Array.from(Buffer.concat(chunks));
}

const CHUNK_BYTES = 64 * 1024;

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += CHUNK_BYTES)
    yield bytes.slice(from, from + CHUNK_BYTES);
}
