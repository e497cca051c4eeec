/**
 * The store of the documents' bytes: addresses that an instance hands out for a few minutes. They
 * are secrets, so no error repeats one. Bytes travel without the client's certificate, over plain
 * TLS; what they are is known by their SHA-256 alone.
 */
import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { UploadTarget } from './answers.ts';
import { malformedAnswer, RegistryError } from './problem.ts';
import { systemCodeOf } from './profile.ts';

export interface Transfer {
  /** The longest time without a byte. */
  readonly idleMsMax: number;
  readonly signal?: AbortSignal;
}

export interface PutOutcome {
  readonly status: number;
  /** The store's own code, such as `BadDigest`. */
  readonly code?: string;
}

/** Errors in the store's words are short. */
const EXPLANATION_BYTES_MAX = 64 * 1024;

/**
 * PUTs bytes to an address with exactly the headers that came with it, and gives what the store
 * answers; memory does not grow with the size.
 */
export async function putBytes(
  target: Pick<UploadTarget, 'url' | 'headers'>,
  bytes: AsyncIterable<Uint8Array>,
  transfer: Transfer,
): Promise<PutOutcome> {
  const { host: _, ...headers } = target.headers;
  const request = requestTo(target.url, { method: 'PUT', headers }, transfer);
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  // The store may refuse before it has read everything: its answer counts, not the broken pipe.
  const sent = pump(request, bytes).then(() => answered);
  sent.catch(() => undefined);
  try {
    const [response] = await Promise.race([answered, failureOf(sent)]);
    const text = await beginningOf(response);
    const code = /<Code>([^<]{1,64})</.exec(text)?.[1];
    return { status: response.statusCode ?? 0, ...(code === undefined ? {} : { code }) };
  } catch (error) {
    throw brokenOff(error, transfer);
  } finally {
    request.destroy();
  }
}

/** Settles only when the promise fails, and then like it. */
function failureOf(promise: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => {
    promise.catch(reject);
  });
}

async function pump(request: ClientRequest, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of bytes) {
    if (request.destroyed) return;
    if (!request.write(chunk)) await drained(request);
  }
  request.end();
}

/** Until more may be written, or nothing can be any more. Its listeners go when it ends. */
async function drained(request: ClientRequest): Promise<void> {
  const waiting = new AbortController();
  const { signal } = waiting;
  try {
    await Promise.race([once(request, 'drain', { signal }), once(request, 'close', { signal })]);
  } finally {
    waiting.abort();
  }
}

async function beginningOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > EXPLANATION_BYTES_MAX) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * The bytes behind an address. Rejects with `DOWNLOAD_REFUSED` for any status but 200, which may
 * come right with a new address.
 */
export async function getBytes(
  url: string,
  transfer: Transfer,
): Promise<AsyncGenerator<Uint8Array, void, undefined>> {
  const request = requestTo(url, { method: 'GET' }, transfer);
  try {
    const answered = once(request, 'response') as Promise<[IncomingMessage]>;
    request.end();
    const [response] = await answered;
    if (response.statusCode === 200) return bytesIn(request, response, transfer);
    throw new RegistryError(
      'DOWNLOAD_REFUSED',
      `the store answered ${response.statusCode}: call this again`,
      { retryable: true },
    );
  } catch (error) {
    request.destroy();
    throw brokenOff(error, transfer);
  }
}

async function* bytesIn(
  request: ClientRequest,
  response: IncomingMessage,
  transfer: Transfer,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    throw brokenOff(error, transfer);
  } finally {
    request.destroy();
  }
}

interface ObjectRequest {
  readonly method: 'PUT' | 'GET';
  readonly headers?: Readonly<Record<string, string>>;
}

function requestTo(
  url: string,
  { method, headers = {} }: ObjectRequest,
  { idleMsMax, signal }: Transfer,
): ClientRequest {
  const target = URL.parse(url);
  const plain = target?.protocol === 'http:' && LOCAL_HOSTS.has(target.hostname);
  if (target === null || (target.protocol !== 'https:' && !plain))
    throw malformedAnswer('the address of the bytes is not one of https');
  const request = (plain ? httpRequest : httpsRequest)(target, {
    method,
    headers: { ...headers },
    ...(signal === undefined ? {} : { signal }),
  });
  request.on('error', ignore);
  return request.setTimeout(idleMsMax, () => {
    request.destroy(
      new RegistryError('TIMED_OUT', `no byte came through for ${idleMsMax / 1000} s`, {
        retryable: true,
      }),
    );
  });
}

/** Without TLS only on this machine: its local runner has no certificates for a store. */
const LOCAL_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

function brokenOff(cause: unknown, { signal }: Transfer): unknown {
  signal?.throwIfAborted();
  if (cause instanceof RegistryError) return cause;
  return new RegistryError(
    'UNREACHABLE',
    `the connection to the store of the bytes broke off (${systemCodeOf(cause)}): call this again`,
    { cause, retryable: true },
  );
}

function ignore(): void {
  // The same error rejects the wait for the answer, or the reading of it.
}
