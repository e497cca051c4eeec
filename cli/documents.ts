/** What an application does with registries and documents, over an instance's API. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Draft, encodeTransaction } from '../shared/ledger/transaction.ts';
import { putBytes, type RegistryClient, RegistryProblem } from './client.ts';
import { CommandMistake, codeOf } from './command.ts';

/** An entry as the lead answered it. */
export interface Recorded {
  readonly registryId: string;
  readonly sequence: number;
  readonly digest: string;
}

interface AppendAnswer {
  readonly registryId: string;
  readonly entries: readonly { readonly sequence: number; readonly digest: string }[];
}

/** The body of a request that appends one transaction. */
export function requestBody(draft: Draft, details?: Readonly<Record<string, unknown>>): unknown {
  const salted = details === undefined ? undefined : { ...details, salt: newSalt() };
  const encoded = encodeTransaction(draft, salted);
  return {
    transactions: [
      {
        transaction: JSON.parse(encoded.transaction.toString('utf8')),
        ...(encoded.details === undefined
          ? {}
          : { details: JSON.parse(encoded.details.toString('utf8')) }),
      },
    ],
  };
}

function newSalt(): string {
  return randomBytes(16).toString('hex');
}

const TRIES = 5;

/** Appends once, however often it is sent: the same transaction id over all retries. */
async function append(client: RegistryClient, path: string, body: unknown): Promise<Recorded> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { body: answered } = await client.call('POST', path, body);
      const { registryId, entries } = answered as AppendAnswer;
      const [entry] = entries;
      if (entry === undefined) throw new CommandMistake('the instance answered without an entry');
      return { registryId, sequence: entry.sequence, digest: entry.digest };
    } catch (error) {
      const retryable = error instanceof RegistryProblem && error.members['retryable'] === true;
      if (!retryable || attempt >= TRIES) throw error;
      await setTimeout(attempt * 500);
    }
  }
}

export interface NewRegistry {
  readonly name: string;
  readonly description?: string;
  /** Certificate ids; the first is the instance that is called. */
  readonly peers: readonly string[];
}

export function createRegistry(
  client: RegistryClient,
  { name, description, peers }: NewRegistry,
): Promise<Recorded> {
  const draft = { type: 'create-registry', transactionId: randomUUID(), peers } as const;
  const details = { name, ...(description === undefined ? {} : { description }) };
  return append(client, '/v1/registries', requestBody(draft, details));
}

/** The whole new ordered peer list; the first leads from the next entry on. */
export function reconfigurePeers(
  client: RegistryClient,
  registryId: string,
  peers: readonly string[],
): Promise<Recorded> {
  const draft = { type: 'reconfigure-peers', transactionId: randomUUID(), peers } as const;
  return append(client, `/v1/registries/${registryId}/transactions`, requestBody(draft));
}

/** Makes an instance known by its certificate; its certificate id. */
export async function introduce(client: RegistryClient, certificatePem: string): Promise<string> {
  const { body } = await client.call('POST', '/v1/certificates', { certificatePem });
  return (body as { readonly certificateId: string }).certificateId;
}

export interface NewDocument {
  readonly registryId: string;
  readonly documentId: string;
  /** The next version of the document unless given. */
  readonly version?: number;
  readonly path: string;
  readonly name: string;
  readonly note?: string;
  /** By the file's ending unless given. */
  readonly mediaType?: string;
  /** Bytes so far, of the file's size, while it is read twice: hashed, then sent. */
  readonly onProgress?: (phase: 'hash' | 'send', bytes: number, size: number) => void;
}

export interface RecordedDocument extends Recorded {
  readonly documentId: string;
  readonly version: number;
  readonly contentDigest: string;
  readonly size: number;
}

/** Hashes the file, puts its bytes where the instance says, and records the version. */
export async function uploadDocument(
  client: RegistryClient,
  document: NewDocument,
): Promise<RecordedDocument> {
  const { registryId, documentId, path, onProgress } = document;
  const size = await sizeOf(path);
  const contentDigest = await digestFile(path, (bytes) => onProgress?.('hash', bytes, size));
  await putContent(client, document, { contentDigest, size });
  const version = document.version ?? (await nextVersion(client, registryId, documentId));
  const mediaType = document.mediaType ?? mediaTypeOf(path);
  const draft = {
    type: 'upload-document',
    transactionId: randomUUID(),
    documentId,
    version,
    contentDigest,
    size,
    mediaType,
  } as const;
  const { name, note } = document;
  const body = requestBody(draft, { name, ...(note === undefined ? {} : { note }) });
  const recorded = await append(client, `/v1/registries/${registryId}/transactions`, body);
  return { ...recorded, documentId, version, contentDigest, size };
}

async function sizeOf(path: string): Promise<number> {
  try {
    const found = await stat(path);
    if (found.isFile()) return found.size;
  } catch (error) {
    throw new CommandMistake(
      `${path} cannot be read (${codeOf(error)}): name a file that is there`,
    );
  }
  throw new CommandMistake(`${path} is no file: name a file`);
}

/** SHA-256 of a file in hex, streamed. */
export async function digestFile(
  path: string,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<string> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk);
    bytes += chunk.length;
    onBytes(bytes);
  }
  return hash.digest('hex');
}

interface UploadAnswer {
  readonly held: boolean;
  readonly upload?: { readonly url: string; readonly headers: Readonly<Record<string, string>> };
}

/** What S3 answers where the bytes are there already. */
const PRECONDITION_FAILED = 412;

async function putContent(
  client: RegistryClient,
  { path, onProgress }: NewDocument,
  content: { readonly contentDigest: string; readonly size: number },
): Promise<void> {
  const { body } = await client.call('POST', '/v1/uploads', content);
  const { upload } = body as UploadAnswer;
  if (upload === undefined) return;
  const bytes = readWithProgress(path, (count) => onProgress?.('send', count, content.size));
  const { status, text } = await putBytes(upload, bytes);
  if (status === 200 || status === PRECONDITION_FAILED) return;
  const code = /<Code>([^<]+)/.exec(text)?.[1] ?? 'no code';
  throw new CommandMistake(
    `the bytes of ${path} were not taken (${status} ${code}): ` +
      'see that nobody changes the file, and call this again',
  );
}

async function* readWithProgress(
  path: string,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    bytes += chunk.length;
    onBytes(bytes);
    yield chunk;
  }
}

async function nextVersion(
  client: RegistryClient,
  registryId: string,
  documentId: string,
): Promise<number> {
  try {
    const path = `/v1/registries/${registryId}/documents/${encodeURIComponent(documentId)}`;
    const { body } = await client.call('GET', path);
    return (body as { readonly version: number }).version + 1;
  } catch (error) {
    if (error instanceof RegistryProblem && error.code === 'DOCUMENT_UNKNOWN') return 1;
    throw error;
  }
}

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.ifc': 'application/x-step',
  '.ifczip': 'application/zip',
  '.bcf': 'application/zip',
  '.bcfzip': 'application/zip',
  '.zip': 'application/zip',
  '.pdf': 'application/pdf',
  '.eml': 'message/rfc822',
  '.dwg': 'image/vnd.dwg',
  '.dxf': 'image/vnd.dxf',
  '.xml': 'application/xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.txt': 'text/plain',
};

/** The media type that a file's ending suggests. */
export function mediaTypeOf(path: string): string {
  return MEDIA_TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream';
}

/** One row of an entry's confirmations. */
export interface ConfirmationRow {
  readonly peer: string;
  readonly role: 'lead' | 'mirror';
  readonly confirmed?: {
    readonly sequence: number;
    readonly confirmedAt: string;
    readonly receivedAt: string;
  };
}

export interface EntryStatus {
  readonly sequence: number;
  readonly digest: string;
  readonly status: { readonly status: string; readonly [member: string]: unknown };
  readonly confirmations: readonly ConfirmationRow[];
}

export async function entryStatus(
  client: RegistryClient,
  registryId: string,
  sequence: number,
): Promise<EntryStatus> {
  const path = `/v1/registries/${registryId}/entries/${sequence}/confirmations`;
  return (await client.call('GET', path)).body as EntryStatus;
}

const POLL_MS = 100;

/** Waits until all mirrors of the entry have confirmed it, as this instance knows it. */
export async function waitUntilFinal(
  client: RegistryClient,
  registryId: string,
  sequence: number,
  timeoutMs: number,
): Promise<EntryStatus> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const known = await statusOrAbsent(client, registryId, sequence);
    if (known?.status.status === 'final') return known;
    if (performance.now() > deadline) {
      const state = known === undefined ? 'not there yet' : JSON.stringify(known.status);
      throw new CommandMistake(
        `entry ${sequence} is not final at ${client.endpoint} after ${timeoutMs / 1000} s: ${state}`,
      );
    }
    await setTimeout(POLL_MS);
  }
}

/** A mirror may not hold the entry, or the registry, yet. */
async function statusOrAbsent(
  client: RegistryClient,
  registryId: string,
  sequence: number,
): Promise<EntryStatus | undefined> {
  try {
    return await entryStatus(client, registryId, sequence);
  } catch (error) {
    if (error instanceof RegistryProblem && error.status === 404) return undefined;
    throw error;
  }
}
