/**
 * What a client reads, verified with the cluster's CA and the registry id alone: what is returned is
 * signed by the lead in force, and an answer that says something else is a `RegistryError` with the
 * code `ANSWER_NOT_PROVEN`.
 *
 * What no signature can show stays the word of the instance: that a list is complete, that a version
 * or a head is the newest, that an open request has no signature yet. Whoever needs to know asks
 * another peer as well.
 */
import {
  checkpointsAnswer,
  confirmationRows,
  confirmationsAnswer,
  contentsAnswer,
  documentAnswer,
  documentsAnswer,
  entriesAnswer,
  registriesAnswer,
  registryAnswer,
  requestAnswer,
  requestsAnswer,
  versionAnswer,
  versionsAnswer,
} from './answers.ts';
import type { CallOptions, Calls } from './calls.ts';
import {
  type ConflictStory,
  type RegistryConflicts,
  readConflict,
  readConflicts,
  readEvidence,
} from './conflicts.ts';
import { type DownloadOptions, downloadTo, openContent } from './download.ts';
import { type EntryRange, rowsInRange } from './entry-pages.ts';
import { inParallel } from './in-parallel.ts';
import {
  type InstanceCertificate,
  type InstanceDescription,
  readInstance,
  readInstanceCertificate,
} from './instances.ts';
import { listPages } from './pages.ts';
import {
  contentPath,
  documentPath,
  type EntryId,
  registryPath,
  requestPath,
  versionPath,
} from './paths.ts';
import { notProven } from './problem.ts';
import { type FetchedReceipt, Receipts } from './receipts.ts';
import { entryRows, type RequestFilter } from './unverified-reads.ts';
import { type DocumentVersion, provenVersion } from './verified-documents.ts';
import { provenEntries, type VerifiedEntry } from './verified-entries.ts';
import { provenRegistry, type RegistrySummary } from './verified-registries.ts';
import { provenRequest, type RequestSource, type SigningRequest } from './verified-requests.ts';
import {
  type EntryConfirmations,
  provenCheckpoint,
  provenConfirmations,
  type VerifiedCheckpoint,
} from './verified-statements.ts';
import { type WaitOptions, waitForConfirmations } from './waiting.ts';

/** Receipts that are asked for at the same time, for the rows of one page. */
const AT_ONCE_MAX = 8;

/** A list, read as it is needed: `for await`. */
type List<T> = AsyncGenerator<T, void, undefined>;

export class VerifiedReads {
  protected readonly calls: Calls;
  protected readonly receipts: Receipts;

  constructor(calls: Calls) {
    this.calls = calls;
    this.receipts = new Receipts(calls, calls.connection.clusterCaPem);
  }

  /** Who the instance is: its certificate is proven, its name and former ids are its own word. */
  instance(options?: CallOptions): Promise<InstanceDescription> {
    return readInstance(this.calls, options);
  }

  /** The certificate of an instance that is known there. */
  certificate(certificateId: string, options?: CallOptions): Promise<InstanceCertificate> {
    return readInstanceCertificate(this.calls, certificateId, options);
  }

  /** Every registry of the instance. */
  async *registries(options?: CallOptions): List<RegistrySummary> {
    const list = { path: '/v1/registries' };
    for await (const page of listPages(this.calls, list, registriesAnswer, options))
      yield* await this.#proven(page.registries, (row) =>
        provenRegistry(this.receipts, row, options),
      );
  }

  /** One registry: its name, its peer list in force, and a head that is an entry of it. */
  async registry(registryId: string, options?: CallOptions): Promise<RegistrySummary> {
    const answer = await this.calls.get(registryPath(registryId), registryAnswer, options);
    requireAsked({ registryId }, answer);
    return provenRegistry(this.receipts, answer, options);
  }

  /**
   * One entry, proven by its receipt: transaction, details or their redaction, who appended it, and
   * who has confirmed it so far. Always asked for afresh.
   */
  entry(registryId: string, entry: EntryId, options?: CallOptions): Promise<FetchedReceipt> {
    return this.receipts.fetch(registryId, entry, options);
  }

  /**
   * Entries in sequence order. Every page is proven as a whole: its digests, its links, and one
   * receipt for its last entry.
   */
  async *entries(registryId: string, range: EntryRange = {}): List<VerifiedEntry> {
    const path = `${registryPath(registryId)}/entries`;
    const list = { path, schema: entriesAnswer, rowsOf: entryRows };
    const call = callOf(range);
    let from = range.from ?? 1;
    for await (const rows of rowsInRange(this.calls, list, range)) {
      yield* await provenEntries(this.receipts, { registryId, from }, rows, call);
      from += rows.length;
    }
  }

  /** Every document by its newest version; that it is the newest is the instance's word. */
  async *documents(registryId: string, options?: CallOptions): List<DocumentVersion> {
    const list = { path: `${registryPath(registryId)}/documents` };
    for await (const page of listPages(this.calls, list, documentsAnswer, options))
      yield* await this.#proven(page.documents, (row) =>
        provenVersion(this.receipts, registryId, row, options),
      );
  }

  /** A document by its newest version; that it is the newest is the instance's word. */
  async document(
    registryId: string,
    documentId: string,
    options?: CallOptions,
  ): Promise<DocumentVersion> {
    const path = documentPath(registryId, documentId);
    const row = await this.calls.get(path, documentAnswer, options);
    requireAsked({ documentId }, row);
    return provenVersion(this.receipts, registryId, row, options);
  }

  /** The versions of a document, in the order of their numbers. */
  async *versions(
    registryId: string,
    documentId: string,
    options?: CallOptions,
  ): List<DocumentVersion> {
    const list = { path: `${documentPath(registryId, documentId)}/versions` };
    for await (const page of listPages(this.calls, list, versionsAnswer, options))
      yield* await this.#proven(page.versions, (row) => {
        requireAsked({ documentId }, row);
        return provenVersion(this.receipts, registryId, row, options);
      });
  }

  /** One version of a document. */
  async version(
    registryId: string,
    documentId: string,
    version: number,
    options?: CallOptions,
  ): Promise<DocumentVersion> {
    const path = versionPath(registryId, documentId, version);
    const row = await this.calls.get(path, versionAnswer, options);
    requireAsked({ documentId, version }, row);
    return provenVersion(this.receipts, registryId, row, options);
  }

  /**
   * The bytes of a version. They are hashed while they stream: what was yielded counts only when the
   * stream ends without an error.
   */
  openContent(version: DocumentVersion, options?: DownloadOptions): Promise<List<Uint8Array>> {
    return openContent(this.calls, version, options);
  }

  /** Streams a version into a new file, which gets its name when every byte was checked. */
  async downloadTo(
    version: DocumentVersion,
    target: string,
    options?: DownloadOptions,
  ): Promise<void> {
    await downloadTo(this.calls, version, target, options);
  }

  /** Where exactly these bytes are registered, in whatever registry of the instance. */
  async *contents(contentDigest: string, options?: CallOptions): List<DocumentVersion> {
    const list = { path: contentPath(contentDigest) };
    for await (const page of listPages(this.calls, list, contentsAnswer, options))
      yield* await this.#proven(page.versions, (row) => {
        requireAsked({ contentDigest }, row);
        return provenVersion(this.receipts, row.registryId, row, options);
      });
  }

  /** Signatures that are required, and those that were given: each of them is verified again. */
  async *signingRequests(registryId: string, filter: RequestFilter = {}): List<SigningRequest> {
    const { status, documentId } = filter;
    const path = `${registryPath(registryId)}/signature-requests`;
    const list = { path, query: { status, documentId } };
    const call = callOf(filter);
    for await (const page of listPages(this.calls, list, requestsAnswer, call))
      yield* await this.#proven(page.signatureRequests, (row) =>
        provenRequest(this.#source, registryId, row, call),
      );
  }

  async signingRequest(
    registryId: string,
    requestId: string,
    options?: CallOptions,
  ): Promise<SigningRequest> {
    const row = await this.calls.get(requestPath(registryId, requestId), requestAnswer, options);
    requireAsked({ requestId }, row);
    return provenRequest(this.#source, registryId, row, options);
  }

  /** Who has confirmed which entry: one receipt for each entry. */
  async *confirmations(registryId: string, range: EntryRange = {}): List<EntryConfirmations> {
    const path = `${registryPath(registryId)}/confirmations`;
    const list = { path, schema: confirmationsAnswer, rowsOf: confirmationRows };
    const call = callOf(range);
    for await (const rows of rowsInRange(this.calls, list, range))
      yield* await this.#proven(rows, (row) =>
        provenConfirmations(this.receipts, registryId, row, call),
      );
  }

  /** The heads that leads have signed: one receipt for each. */
  async *checkpoints(registryId: string, options?: CallOptions): List<VerifiedCheckpoint> {
    const list = { path: `${registryPath(registryId)}/checkpoints` };
    for await (const page of listPages(this.calls, list, checkpointsAnswer, options))
      yield* await this.#proven(page.checkpoints, (row) =>
        provenCheckpoint(this.receipts, registryId, row, options),
      );
  }

  /**
   * Conflicts, open and resolved: the signatures of what was found and decided are verified; which of
   * them are open is the instance's word.
   */
  conflicts(registryId: string, options?: CallOptions): Promise<RegistryConflicts> {
    return readConflicts(this.calls, registryId, options);
  }

  /** One conflict with all that was reported and decided, and what has to happen next. */
  conflict(registryId: string, conflictId: string, options?: CallOptions): Promise<ConflictStory> {
    return readConflict(this.calls, registryId, conflictId, options);
  }

  /** The file about one conflict: `verifyConflictFile` says from these bytes what is proven. */
  evidence(registryId: string, conflictId: string, options?: CallOptions): Promise<Buffer> {
    return readEvidence(this.calls, registryId, conflictId, options);
  }

  /**
   * Waits until all mirrors, or those that are named, have confirmed the entry, as its receipt
   * proves. Rejects with `NOT_CONFIRMED_IN_TIME`, naming who has not.
   */
  waitUntilConfirmed(
    registryId: string,
    entry: EntryId,
    options?: WaitOptions,
  ): Promise<FetchedReceipt> {
    return waitForConfirmations(this.receipts, { registryId, entry }, options);
  }

  get #source(): RequestSource {
    return { receipts: this.receipts, calls: this.calls };
  }

  #proven<Row, Proven>(
    rows: readonly Row[],
    prove: (row: Row) => Promise<Proven>,
  ): Promise<Proven[]> {
    return inParallel(rows, AT_ONCE_MAX, prove);
  }
}

/** Of options that are also something else. */
function callOf({ signal }: CallOptions): CallOptions {
  return signal === undefined ? {} : { signal };
}

/** Whether the answer is one to what was asked. */
function requireAsked<Asked extends Readonly<Record<string, unknown>>>(
  asked: Asked,
  answer: { readonly [Name in keyof Asked]: unknown },
): void {
  for (const [name, value] of Object.entries(asked))
    if (answer[name] !== value)
      throw notProven(`asked for ${name} ${value}, the answer is about ${answer[name]}`);
}
