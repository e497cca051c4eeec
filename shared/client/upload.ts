/**
 * Recording a version of a document:
 *
 * 1. Hash the bytes while reading them.
 * 2. Ask the lead to record the version. If it has the bytes already, that was all.
 * 3. Otherwise ask for an address, PUT the bytes there, and ask again with the very same transaction.
 *
 * That another instance leads, or that nothing is appended now, is so found out before gigabytes have
 * travelled. Wherever this is interrupted, it may be repeated: bytes that arrived are not sent again, and with a transaction id
 * that the caller chose a version that was recorded is not recorded again.
 */
import { randomUUID } from 'node:crypto';
import type { Link } from '../ledger/backlinks.ts';
import { documentAnswer, uploadAnswer } from './answers.ts';
import {
  appendTo,
  type Prepared,
  prepare,
  type RecordedEntry,
  type Repeatable,
  repeatableIn,
} from './appending.ts';
import type { CallOptions, Calls } from './calls.ts';
import {
  type Content,
  type ContentSource,
  chunksOf,
  hashContent,
  type Progress,
} from './content-source.ts';
import { putBytes } from './object-store.ts';
import { documentPath, entryPath, registryPath } from './paths.ts';
import { RegistryError } from './problem.ts';
import { Receipts, recordedEntryOf } from './receipts.ts';
import { withRetries } from './retries.ts';

export interface NewDocument {
  readonly documentId: string;
  readonly content: ContentSource;
  /** Of this version, for people. */
  readonly name: string;
  readonly note?: string;
  /** RFC 6838. */
  readonly mediaType: string;
  /** The next one of the document unless given. */
  readonly version?: number;
  /** The entry that it replaces, under a resolution of the manner replace. */
  readonly supersedes?: Link;
}

export interface SendOptions extends CallOptions {
  /** Told after every chunk: the bytes are read twice, hashed first, then sent if need be. */
  readonly onProgress?: (progress: Progress) => void;
}

/** With a transaction id that is kept, the whole call may be repeated by another process. */
export interface UploadOptions extends SendOptions, Repeatable {}

export interface RecordedDocument extends RecordedEntry, Content {
  readonly documentId: string;
  readonly version: number;
}

/** Bytes for one registry, hashed. */
export interface HashedContent {
  readonly registryId: string;
  readonly source: ContentSource;
  readonly content: Content;
}

/** A document with what is the same wherever and however often it is recorded. */
export interface HashedDocument {
  readonly registryId: string;
  readonly document: NewDocument;
  readonly content: Content;
  readonly transactionId: string;
  readonly salt?: string;
}

/** Step 1. Refuses ids that cannot be before a byte is read. */
export async function hashDocument(
  registryId: string,
  document: NewDocument,
  options: UploadOptions = {},
): Promise<HashedDocument> {
  const { transactionId = randomUUID(), ...repeatable } = repeatableIn(options);
  entryPath(registryId, transactionId);
  documentPath(registryId, document.documentId);
  const content = await hashContent(document.content, options);
  return { registryId, document, content, transactionId, ...repeatable };
}

/** Steps 2 and 3, at the lead. */
export async function recordDocument(
  lead: Calls,
  hashed: HashedDocument,
  options: UploadOptions = {},
): Promise<RecordedDocument> {
  if (options.transactionId === undefined) return recordNewest(lead, hashed, options);
  const before = await recordedBefore(lead, hashed, options);
  if (before !== undefined) return before;
  return recordNewest(lead, hashed, options).catch(async (error: unknown) => {
    if (!isCode(error, 'TRANSACTION_ID_REUSED')) throw error;
    // An earlier call, with another salt, got through meanwhile.
    const meanwhile = await recordedBefore(lead, hashed, options);
    if (meanwhile === undefined) throw error;
    return meanwhile;
  });
}

/** How often somebody else may be faster with the same document. */
const RACES_MAX = 5;

async function recordNewest(
  lead: Calls,
  hashed: HashedDocument,
  options: UploadOptions,
): Promise<RecordedDocument> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await recordNext(lead, hashed, options);
    } catch (error) {
      const raced = isCode(error, 'VERSION_NOT_NEXT') && hashed.document.version === undefined;
      if (!raced || tries >= RACES_MAX) throw error;
    }
  }
}

function isCode(error: unknown, code: RegistryError['code']): boolean {
  return error instanceof RegistryError && error.code === code;
}

async function recordNext(
  lead: Calls,
  hashed: HashedDocument,
  options: UploadOptions,
): Promise<RecordedDocument> {
  const { registryId, document, content } = hashed;
  const { documentId } = document;
  const version = document.version ?? (await newestVersion(lead, hashed, options)) + 1;
  const prepared = prepareVersion(hashed, version);
  const { signal } = options;
  const call = signal === undefined ? {} : { signal };
  const append = () => appendTo(lead, registryId, prepared, call);
  const entries = await append().catch(async (error: unknown) => {
    if (!isCode(error, 'CONTENT_NOT_UPLOADED')) throw error;
    await sendContent(lead, { registryId, source: document.content, content }, options);
    return append();
  });
  return { ...(entries[0] as RecordedEntry), documentId, version, ...content };
}

function prepareVersion(hashed: HashedDocument, version: number): Prepared {
  const { document, content } = hashed;
  const { documentId, mediaType, name, note, supersedes } = document;
  const replaced = supersedes === undefined ? {} : { supersedes };
  return prepare([
    {
      type: 'upload-document',
      ...repeatableIn(hashed),
      members: { documentId, version, mediaType, ...content, ...replaced },
      details: { name, ...(note === undefined ? {} : { note }) },
    },
  ]);
}

async function newestVersion(
  lead: Calls,
  { registryId, document }: HashedDocument,
  { signal }: UploadOptions,
): Promise<number> {
  const path = documentPath(registryId, document.documentId);
  const call = signal === undefined ? {} : { signal };
  try {
    return (await lead.get(path, documentAnswer, call)).version;
  } catch (error) {
    if (isCode(error, 'DOCUMENT_UNKNOWN')) return 0;
    throw error;
  }
}

/** What an earlier call with the same transaction id recorded; undefined: nothing. */
async function recordedBefore(
  lead: Calls,
  { registryId, transactionId, document, content }: HashedDocument,
  { signal }: UploadOptions,
): Promise<RecordedDocument | undefined> {
  const receipts = new Receipts(lead, lead.connection.clusterCaPem);
  const call = signal === undefined ? {} : { signal };
  const found = await receipts.fetch(registryId, transactionId, call).catch((error: unknown) => {
    if (isCode(error, 'ENTRY_UNKNOWN')) return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  const { transaction } = found.receipt;
  if (
    transaction.type !== 'upload-document' ||
    transaction.documentId !== document.documentId ||
    transaction.contentDigest !== content.contentDigest
  )
    throw new RegistryError(
      'TRANSACTION_ID_REUSED',
      `the transaction id ${transactionId} has entry ${found.receipt.sequence}, which is not this ` +
        'document with these bytes: take a new UUID',
    );
  const { documentId, version } = transaction;
  return { ...recordedEntryOf(found), documentId, version, ...content };
}

/** Sends the bytes for one registry, unless the instance says that it has them. */
async function sendContent(
  instance: Calls,
  hashed: HashedContent,
  options: SendOptions,
): Promise<'sent' | 'held'> {
  const { signal } = options;
  const { retries, timeoutMs } = instance.limits;
  const asked = { ...hashed.content, registryId: hashed.registryId };
  const call = signal === undefined ? {} : { signal };
  return withRetries(retries, signal, async () => {
    const { upload } = await instance.post('/v1/uploads', asked, uploadAnswer, call);
    if (upload === undefined) return 'held';
    const bytes = sending(hashed, options);
    const { status, code } = await putBytes(upload, bytes, { idleMsMax: timeoutMs, ...call });
    // 412: they have arrived by another way.
    if (status === 200) return 'sent';
    if (status === 412) return 'held';
    throw refused(status, code);
  });
}

/** What an instance has now, and whether it had to be sent. */
export interface GivenContent extends Content {
  readonly outcome: 'sent' | 'held';
}

/** The bytes of a version that is recorded, for an instance that lacks them. */
export async function giveContent(
  instance: Calls,
  registryId: string,
  source: ContentSource,
  options: SendOptions,
): Promise<GivenContent> {
  registryPath(registryId);
  const content = await hashContent(source, options);
  const outcome = await sendContent(instance, { registryId, source, content }, options);
  return { ...content, outcome };
}

/** The bytes once more. What has changed since it was hashed must not wait for its end. */
async function* sending(
  { source, content: { size } }: HashedContent,
  { signal, onProgress }: SendOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  for await (const chunk of chunksOf(source, signal)) {
    bytes += chunk.length;
    if (bytes > size) throw changed();
    yield chunk;
    onProgress?.({ phase: 'send', bytes, size });
  }
  if (bytes < size) throw changed();
}

function changed(): RegistryError {
  return new RegistryError(
    'UPLOAD_REFUSED',
    'the bytes have changed while they were read: see that nobody changes them, and call this again',
  );
}

function refused(status: number, code = 'no code'): RegistryError {
  if (status === 400) return changed();
  return new RegistryError(
    'UPLOAD_REFUSED',
    `the store did not take the bytes (${status} ${code}): call this again`,
    // An address lives for minutes: the next one may do.
    { retryable: status === 403 || status === 429 || status >= 500, members: { status, code } },
  );
}
