/** Getting a version's bytes: hashed while they stream, and given up at the first byte too many. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { access, link, rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { addressAnswer } from './answers.ts';
import type { CallOptions, Calls } from './calls.ts';
import type { Content } from './content-source.ts';
import { getBytes } from './object-store.ts';
import { versionPath } from './paths.ts';
import { notProven, RegistryError } from './problem.ts';
import { systemCodeOf } from './profile.ts';
import { withRetries } from './retries.ts';
import type { DocumentVersion } from './verified-documents.ts';

export interface DownloadOptions extends CallOptions {
  /** Bytes so far, and of all. */
  readonly onProgress?: (bytes: number, size: number) => void;
}

/**
 * The bytes of a proven version. What was yielded counts only when the last byte came without an
 * error: `CONTENT_DIFFERS` says that it was something else.
 */
export async function openContent(
  calls: Calls,
  version: DocumentVersion,
  options: DownloadOptions = {},
): Promise<AsyncGenerator<Uint8Array, void, undefined>> {
  const { registryId, documentId, version: number, contentDigest } = version;
  const { signal } = options;
  const call = signal === undefined ? {} : { signal };
  const { retries, timeoutMs } = calls.limits;
  const path = `${versionPath(registryId, documentId, number)}/content`;
  const bytes = await withRetries(retries, signal, async () => {
    const address = await calls.get(path, addressAnswer, call);
    if (address.contentDigest !== contentDigest || address.size !== version.size)
      throw notProven('the address is one of other bytes than those of the version');
    return getBytes(address.url, { idleMsMax: timeoutMs, ...call });
  });
  return checked(bytes, version, options);
}

async function* checked(
  bytes: AsyncIterable<Uint8Array>,
  { contentDigest, size }: Content,
  { onProgress }: DownloadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash('sha256');
  let received = 0;
  for await (const chunk of bytes) {
    received += chunk.length;
    if (received > size) throw differs(`are more than the ${size} that were recorded`);
    hash.update(chunk);
    yield chunk;
    onProgress?.(received, size);
  }
  const digest = hash.digest('hex');
  if (digest !== contentDigest)
    throw differs(`come out to ${digest}, recorded is ${contentDigest}`);
}

function differs(how: string): RegistryError {
  return new RegistryError(
    'CONTENT_DIFFERS',
    `the bytes ${how}: nothing was kept; tell the operator of the instance`,
  );
}

/**
 * Streams a proven version into a new file: under another name, which ends in `.part`, until every
 * byte was checked. Nothing is overwritten.
 */
export async function downloadTo(
  calls: Calls,
  version: DocumentVersion,
  target: string,
  options: DownloadOptions = {},
): Promise<void> {
  await requireAbsent(target);
  const part = `${target}.part`;
  const { signal } = options;
  await withRetries(calls.limits.retries, signal, async () => {
    const bytes = await openContent(calls, version, options);
    await write(part, bytes);
  });
  await giveName(part, target);
}

async function requireAbsent(target: string): Promise<void> {
  const exists = await access(target).then(
    () => true,
    () => false,
  );
  if (exists) throw existing(target);
}

function existing(target: string): RegistryError {
  return notWritten(target, 'exists and is not overwritten: name another file, or move it away');
}

function notWritten(target: string, why: string, cause?: unknown): RegistryError {
  return new RegistryError('FILE_NOT_WRITTEN', `${target} ${why}`, { cause });
}

/** Leaves nothing behind where it fails. */
async function write(part: string, bytes: AsyncGenerator<Uint8Array>): Promise<void> {
  try {
    await pipeline(Readable.from(bytes), createWriteStream(part));
  } catch (error) {
    await rm(part, { force: true });
    const isSystems = error instanceof Error && 'syscall' in error;
    if (!isSystems) throw error;
    throw notWritten(part, `cannot be written (${systemCodeOf(error)}): check its folder`, error);
  }
}

/** As a second name, which cannot replace a file that came meanwhile. */
async function giveName(part: string, target: string): Promise<void> {
  try {
    await link(part, target);
    await rm(part);
  } catch (error) {
    if (systemCodeOf(error) === 'EEXIST') {
      await rm(part, { force: true });
      throw existing(target);
    }
    // Some file systems know no second names.
    await rename(part, target);
  }
}
