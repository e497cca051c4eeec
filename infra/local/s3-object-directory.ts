/**
 * Buckets and objects on disk, so that they survive `kill -9` at any moment:
 *
 *     uploads/<uuid>                          bytes on their way; emptied at the start
 *     buckets/<bucket>/owner                  the access key id; a bucket exists once this does
 *     buckets/<bucket>/objects/<SHA-256 hex>  one object, named by the digest of its key
 *
 * An object is one file, the bytes followed by a trailer of 1 KiB that describes them: link(2) and
 * rename(2) then publish both in one step. Keys are only digested, so none can leave the directory.
 */
import { createHash, randomUUID } from 'node:crypto';
import {
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
} from 'node:fs/promises';
import { join } from 'node:path';

const TRAILER_BYTES = 1024;
const CHUNK_BYTES = 64 * 1024;
/** S3's rule, which also keeps a name from being a path. */
const BUCKET_NAME = /^(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** What is kept of an object beside its bytes. */
export interface ObjectRecord {
  readonly contentType: string;
  /** In base64, as sent with the bytes and verified; absent when none was sent. */
  readonly checksum?: string;
  readonly etag: string;
  /** In the form of the Last-Modified header. */
  readonly modified: string;
}

/** An object open for reading: whoever gets it closes `handle`. */
export interface OpenObject {
  readonly record: ObjectRecord;
  readonly size: number;
  readonly handle: FileHandle;
}

export interface ObjectPlace {
  readonly bucket: string;
  readonly key: string;
}

export class ObjectDirectory {
  readonly #uploads: string;
  readonly #buckets: string;
  readonly #owners = new Map<string, string>();

  /** One process at a time may have a directory open: the start discards unfinished uploads. */
  static async open(directory: string): Promise<ObjectDirectory> {
    const opened = new ObjectDirectory(directory);
    await opened.#recover();
    return opened;
  }

  private constructor(directory: string) {
    this.#uploads = join(directory, 'uploads');
    this.#buckets = join(directory, 'buckets');
  }

  /** Does nothing when the key has that bucket already. */
  async createBucket(name: string, owner: string): Promise<void> {
    if (!BUCKET_NAME.test(name))
      throw new Error(
        `"${name}" is no bucket name: use 3 to 63 lower-case letters, digits, dots and hyphens`,
      );
    const present = this.#owners.get(name);
    if (present === owner) return;
    if (present !== undefined)
      throw new Error(`bucket "${name}" belongs to another access key: choose another name`);
    const bucket = join(this.#buckets, name);
    await mkdir(join(bucket, 'objects'), { recursive: true, mode: 0o700 });
    await this.#write([Buffer.from(owner)], (temporary) =>
      rename(temporary, join(bucket, 'owner')),
    );
    await Promise.all([bucket, this.#buckets].map(syncDirectory));
    this.#owners.set(name, owner);
  }

  /** The access key id that the bucket was created for. */
  ownerOf(bucket: string): string | undefined {
    return this.#owners.get(bucket);
  }

  async find(place: ObjectPlace): Promise<OpenObject | undefined> {
    const handle = await openIfPresent(this.#pathOf(place));
    if (handle === undefined) return undefined;
    try {
      const { size } = await handle.stat();
      const trailer = Buffer.alloc(TRAILER_BYTES);
      await handle.read(trailer, 0, TRAILER_BYTES, size - TRAILER_BYTES);
      const record = JSON.parse(trailer.toString('utf8')) as ObjectRecord;
      return { record, size: size - TRAILER_BYTES, handle };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async has(place: ObjectPlace): Promise<boolean> {
    const handle = await openIfPresent(this.#pathOf(place));
    await handle?.close();
    return handle !== undefined;
  }

  /**
   * Streams the bytes to disk, then asks for the record; nothing is kept when either throws.
   * `once` leaves an object that is there as it is, however close the race.
   */
  async put(
    place: ObjectPlace,
    bytes: AsyncIterable<Uint8Array>,
    describe: () => ObjectRecord,
    { once }: { readonly once: boolean },
  ): Promise<'stored' | 'present'> {
    const path = this.#pathOf(place);
    const outcome = await this.#write(followedBy(bytes, describe), async (temporary) => {
      if (!once) await rename(temporary, path);
      else if (!(await linkIfAbsent(temporary, path))) return 'present';
      return 'stored';
    });
    await syncDirectory(join(this.#buckets, place.bucket, 'objects'));
    return outcome;
  }

  /** The file is whole and on disk before `publish` gives it a name that is ever read. */
  async #write<Outcome>(
    bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    publish: (temporary: string) => Promise<Outcome>,
  ): Promise<Outcome> {
    const temporary = join(this.#uploads, randomUUID());
    try {
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      return await publish(temporary);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async #recover(): Promise<void> {
    await rm(this.#uploads, { recursive: true, force: true });
    await mkdir(this.#uploads, { recursive: true, mode: 0o700 });
    await mkdir(this.#buckets, { recursive: true, mode: 0o700 });
    for (const bucket of await readdir(this.#buckets)) {
      const owner = await readOwner(join(this.#buckets, bucket, 'owner'));
      if (owner !== undefined) this.#owners.set(bucket, owner);
    }
  }

  #pathOf({ bucket, key }: ObjectPlace): string {
    const name = createHash('sha256').update(key).digest('hex');
    return join(this.#buckets, bucket, 'objects', name);
  }
}

/** The bytes `from` up to, not including, `until`, in chunks of 64 KiB at most. */
export async function* readPart(
  handle: FileHandle,
  from: number,
  until: number,
): AsyncGenerator<Uint8Array> {
  let position = from;
  while (position < until) {
    const length = Math.min(CHUNK_BYTES, until - position);
    const chunk = Buffer.allocUnsafe(length);
    const { bytesRead } = await handle.read(chunk, 0, length, position);
    if (bytesRead === 0) throw new Error('an object became shorter while it was read');
    position += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

async function* followedBy(
  bytes: AsyncIterable<Uint8Array>,
  describe: () => ObjectRecord,
): AsyncGenerator<Uint8Array> {
  yield* bytes;
  const trailer = Buffer.from(JSON.stringify(describe()).padEnd(TRAILER_BYTES));
  if (trailer.length !== TRAILER_BYTES)
    throw new Error(`an object's record must fit into ${TRAILER_BYTES} bytes`);
  yield trailer;
}

async function linkIfAbsent(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return false;
    throw error;
  }
}

async function openIfPresent(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Undefined: the process ended while it created that bucket. */
async function readOwner(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** A new name is durable only once its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isSystemError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
