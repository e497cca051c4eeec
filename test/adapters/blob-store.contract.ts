import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Digest, digestOf } from '../../shared/ledger/digest.ts';
import { limits } from '../../shared/ledger/limits.ts';
import type { BlobStore, UploadTarget } from '../../shared/registry/ports.ts';

/** A store with what the world does to it. */
export interface BlobStoreUnderTest {
  readonly store: BlobStore;
  /** Sends the bytes to the target and answers with the HTTP status. */
  upload(target: Pick<UploadTarget, 'url' | 'headers'>, bytes: Uint8Array): Promise<number>;
  /** Undefined unless the URL gives bytes. */
  download(url: string): Promise<Uint8Array | undefined>;
  /** Replaces the held bytes by others of the same length, below the store. */
  corrupt(contentDigest: Digest, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** The rules of the port BlobStore, as tests over a fresh store each. */
export function blobStoreContract(open: () => Promise<BlobStoreUnderTest>): void {
  let world: BlobStoreUnderTest;
  let store: BlobStore;
  beforeEach(async () => {
    world = await open();
    store = world.store;
  });
  afterEach(() => world.close());

  test('bytes that come out to digest and size are stored and read back', async () => {
    const outcome = await store.put(content(bytes), chunksOf(bytes, 7));

    expect(outcome).toBe('stored');
    expect(await store.sizeOf(digestOf(bytes))).toBe(bytes.length);
    expect(await readAll(store, digestOf(bytes))).toEqual(bytes);
  });

  test.each([0, 1, 65_536, 1_000_001])('a document of %i bytes is stored', async (size) => {
    const document = sample(size);

    expect(await store.put(content(document), chunksOf(document, 65_536))).toBe('stored');

    expect(await store.sizeOf(digestOf(document))).toBe(size);
    expect(await readAll(store, digestOf(document))).toEqual(document);
  });

  test('what was never put is not held', async () => {
    expect(await store.sizeOf(digestOf(bytes))).toBeUndefined();
    expect(await store.get(digestOf(bytes))).toBeUndefined();
    expect(await store.evidence(digestOf(bytes))).toBeUndefined();
  });

  test('bytes that are held are not read a second time', async () => {
    await store.put(content(bytes), chunksOf(bytes));
    const source = new WatchedSource([bytes]);

    expect(await store.put(content(bytes), source)).toBe('held');

    expect(source.chunksRead).toBe(0);
  });

  test('the beginning of a document is read, and no more of it', async () => {
    const empty = new Uint8Array();
    await store.put(content(bytes), chunksOf(bytes));
    await store.put(content(empty), chunksOf(empty));

    expect(await store.beginning(digestOf(bytes), 7)).toEqual(
      Uint8Array.from(bytes.subarray(0, 7)),
    );
    expect(await store.beginning(digestOf(bytes), 65_536)).toEqual(Uint8Array.from(bytes));
    expect(await store.beginning(digestOf(empty), 65_536)).toEqual(empty);
    expect(await store.beginning(digestOf(otherBytes), 7)).toBeUndefined();
  });

  test('held bytes under another size differ in size', async () => {
    await store.put(content(bytes), chunksOf(bytes));

    const claimed = { contentDigest: digestOf(bytes), size: bytes.length + 1 };

    expect(await store.put(claimed, chunksOf(bytes))).toBe('size-differs');
  });

  test('two writers of the same bytes both succeed and one of them stores', async () => {
    const large = sample(1_000_000);

    const outcomes = await Promise.all([
      store.put(content(large), chunksOf(large, 1000)),
      store.put(content(large), chunksOf(large, 1000)),
    ]);

    expect(outcomes.toSorted()).toEqual(['held', 'stored']);
    expect(await readAll(store, digestOf(large))).toEqual(large);
  });

  test.each([
    1, 3, 200,
  ])('other bytes of the same size, %i at a time, are refused', async (step) => {
    const outcome = await store.put(content(bytes), chunksOf(otherBytes, step));

    expect(outcome).toBe('digest-differs');
    await expectNothingHeld(store, bytes);
  });

  test.each([1, 64, 200])('bytes that end early, %i at a time, are refused', async (step) => {
    const outcome = await store.put(content(bytes), chunksOf(bytes.subarray(0, -1), step));

    expect(outcome).toBe('size-differs');
    await expectNothingHeld(store, bytes);
  });

  test.each([1, 64, 200])('one byte too many, %i at a time, is refused', async (step) => {
    const longer = Buffer.concat([bytes, Buffer.from('x')]);

    expect(await store.put(content(bytes), chunksOf(longer, step))).toBe('size-differs');

    await expectNothingHeld(store, bytes);
  });

  test('a byte for an empty document is refused', async () => {
    const empty = new Uint8Array();

    expect(await store.put(content(empty), chunksOf(bytes, 1))).toBe('size-differs');

    await expectNothingHeld(store, empty);
  });

  test('an endless source is read to the declared size and one chunk more, then closed', async () => {
    const source = new WatchedSource(forever(sample(1000)));
    const declared = { contentDigest: digestOf(bytes), size: 10_000 };

    expect(await store.put(declared, source)).toBe('size-differs');

    expect(source.chunksRead).toBe(11);
    expect(source.closed).toBe(true);
    await expectNothingHeld(store, bytes);
  });

  test('a source that fails stores nothing and its error comes through', async () => {
    const large = sample(1_000_000);
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield large.subarray(0, 600_000);
      throw new Error('the peer hung up');
    };

    await expect(store.put(content(large), failing())).rejects.toThrow('the peer hung up');

    await expectNothingHeld(store, large);
    expect(await store.put(content(large), chunksOf(large))).toBe('stored');
  });

  test('a large wrong document is refused after part of it was sent', async () => {
    const large = sample(3_000_000);
    const wrong = Buffer.concat([large.subarray(0, -1), Buffer.from('x')]);

    expect(await store.put(content(large), chunksOf(wrong, 65_536))).toBe('digest-differs');

    await expectNothingHeld(store, large);
  });

  test('an upload target takes the bytes that it names, once', async () => {
    const target = await store.uploadTarget(content(bytes));

    expect(await world.upload(target, bytes)).toBe(200);
    expect(await world.upload(target, bytes)).toBe(412);

    expect(await store.sizeOf(digestOf(bytes))).toBe(bytes.length);
    expect(await store.put(content(bytes), chunksOf(bytes))).toBe('held');
  });

  test('an upload target of a later object leaves the first one as it is', async () => {
    await store.put(content(bytes), chunksOf(bytes));
    const target = await store.uploadTarget({ ...content(bytes), generation: 2 });

    expect(await store.sizeOf(digestOf(bytes), 2)).toBeUndefined();
    expect(await world.upload(target, bytes)).toBe(200);

    expect(await store.sizeOf(digestOf(bytes), 2)).toBe(bytes.length);
    expect(await world.upload(target, bytes)).toBe(412);
  });

  test('an upload target refuses other bytes and can be used again', async () => {
    const target = await store.uploadTarget(content(bytes));

    expect(await world.upload(target, otherBytes)).toBe(400);
    await expectNothingHeld(store, bytes);

    expect(await world.upload(target, bytes)).toBe(200);
  });

  test.each([
    'content-length',
    'if-none-match',
    'x-amz-checksum-sha256',
  ])('an upload target names the header %s as signed', async (name) => {
    const { headers } = await store.uploadTarget(content(bytes));

    expect(Object.keys(headers)).toContain(name);
  });

  test.each([
    'if-none-match',
    'x-amz-checksum-sha256',
  ])('an upload without the signed header %s is refused', async (name) => {
    const target = await store.uploadTarget(content(bytes));
    const headers = Object.fromEntries(
      Object.entries(target.headers).filter(([present]) => present !== name),
    );

    expect(await world.upload({ url: target.url, headers }, bytes)).toBe(403);

    await expectNothingHeld(store, bytes);
  });

  test('an upload target of another document is refused', async () => {
    const target = await store.uploadTarget(content(bytes));
    const other = await store.uploadTarget(content(otherBytes));

    const mixed = { url: target.url, headers: other.headers };

    expect(await world.upload(mixed, otherBytes)).toBe(403);
  });

  test('URLs live as long as the limit says', async () => {
    const before = Date.now();

    const expiries = [
      (await store.uploadTarget(content(bytes))).expiresAt,
      (await store.downloadUrl(digestOf(bytes))).expiresAt,
    ].map((text) => Date.parse(text));

    for (const expiry of expiries) {
      // Signed dates have whole seconds.
      expect(expiry).toBeGreaterThan(before + limits.objectUrlSeconds * 1000 - 1001);
      expect(expiry).toBeLessThanOrEqual(Date.now() + limits.objectUrlSeconds * 1000);
    }
  });

  test('a download URL gives the bytes, and nothing while none are there', async () => {
    const { url } = await store.downloadUrl(digestOf(bytes));
    expect(await world.download(url)).toBeUndefined();

    await store.put(content(bytes), chunksOf(bytes));

    expect(await world.download(url)).toEqual(bytes);
  });

  test('damaged bytes are read as they are, for re-digesting to find', async () => {
    await store.put(content(bytes), chunksOf(bytes));

    await world.corrupt(digestOf(bytes), otherBytes);

    expect(await readAll(store, digestOf(bytes))).toEqual(otherBytes);
    expect(await store.sizeOf(digestOf(bytes))).toBe(bytes.length);
  });

  test('evidence is put once, read back, and kept apart from documents', async () => {
    await store.putEvidence(digestOf(bytes), bytes);
    await store.putEvidence(digestOf(bytes), bytes);

    expect(await store.evidence(digestOf(bytes))).toEqual(bytes);
    expect(await store.sizeOf(digestOf(bytes))).toBeUndefined();
  });

  test('evidence that does not come out to its digest is not stored', async () => {
    await expect(store.putEvidence(digestOf(bytes), otherBytes)).rejects.toThrow();

    expect(await store.evidence(digestOf(bytes))).toBeUndefined();
  });
}

const bytes = sample(200);
const otherBytes = Uint8Array.from(bytes, (byte) => byte ^ 1);

/** Bytes that differ from one position to the next, the same for one size. */
export function sample(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
}

/** The digest and size of a document. */
export function content(document: Uint8Array): { contentDigest: Digest; size: number } {
  return { contentDigest: digestOf(document), size: document.length };
}

export async function* chunksOf(document: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < document.length; from += size)
    yield document.subarray(from, from + size);
}

function* forever(chunk: Uint8Array): Generator<Uint8Array> {
  for (;;) yield chunk;
}

/** Counts what is read of it, and notices when the reader lets go. */
class WatchedSource implements AsyncIterable<Uint8Array> {
  chunksRead = 0;
  closed = false;
  readonly #chunks: Iterable<Uint8Array>;

  constructor(chunks: Iterable<Uint8Array>) {
    this.#chunks = chunks;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (const chunk of this.#chunks) {
        this.chunksRead += 1;
        yield chunk;
      }
    } finally {
      this.closed = true;
    }
  }
}

async function readAll(store: BlobStore, contentDigest: Digest): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await store.get(contentDigest)) ?? []) chunks.push(chunk);
  return Uint8Array.from(Buffer.concat(chunks));
}

async function expectNothingHeld(store: BlobStore, document: Uint8Array): Promise<void> {
  expect(await store.sizeOf(digestOf(document))).toBeUndefined();
  expect(await store.get(digestOf(document))).toBeUndefined();
}
