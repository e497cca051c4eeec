/** The bytes of a document, wherever they come from: read twice, once to hash and once to send. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Digest } from '../ledger/digest.ts';
import { limits } from '../ledger/limits.ts';
import { invalidArgument, RegistryError } from './problem.ts';
import { unreadable } from './profile.ts';

/** A path, the bytes themselves, or whatever gives the same bytes every time that it is called. */
export type ContentSource = string | Uint8Array | (() => AsyncIterable<Uint8Array>);

export interface Content {
  readonly contentDigest: Digest;
  /** In bytes. */
  readonly size: number;
}

/** How far an upload is. */
export interface Progress {
  readonly phase: 'hash' | 'send';
  /** So far, in this phase. */
  readonly bytes: number;
  /** Of the whole document; absent while a stream is read for the first time. */
  readonly size?: number;
}

export interface Reading {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

const CHUNK_BYTES = 1024 * 1024;

/** The chunks of the source, from the beginning. */
export async function* chunksOf(
  source: ContentSource,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const chunk of open(source)) {
      signal?.throwIfAborted();
      yield chunk;
    }
  } catch (error) {
    if (typeof source !== 'string' || signal?.aborted === true) throw error;
    throw unreadable(source, error);
  }
}

function open(source: ContentSource): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  if (typeof source === 'string') return createReadStream(source, { highWaterMark: CHUNK_BYTES });
  return source instanceof Uint8Array ? slices(source) : source();
}

function* slices(bytes: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += CHUNK_BYTES)
    yield bytes.subarray(from, from + CHUNK_BYTES);
}

/** The size, where it is known before the bytes are read. */
async function sizeOf(source: ContentSource): Promise<number | undefined> {
  if (source instanceof Uint8Array) return source.length;
  if (typeof source !== 'string') return undefined;
  const found = await stat(source).catch((error: unknown) => {
    throw unreadable(source, error);
  });
  if (!found.isFile())
    throw new RegistryError('FILE_UNREADABLE', `${source} is no file: name a file`);
  return found.size;
}

/** SHA-256 and size of the source; memory does not grow with it. */
export async function hashContent(
  source: ContentSource,
  { signal, onProgress }: Reading = {},
): Promise<Content> {
  const size = await sizeOf(source);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of chunksOf(source, signal)) {
    bytes += chunk.length;
    if (bytes > limits.documentBytesMax)
      throw invalidArgument(`a document has at most ${limits.documentBytesMax} bytes; split it`);
    hash.update(chunk);
    onProgress?.({ phase: 'hash', bytes, ...(size === undefined ? {} : { size }) });
  }
  return { contentDigest: hash.digest('hex') as Digest, size: bytes };
}
