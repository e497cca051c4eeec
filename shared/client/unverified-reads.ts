/**
 * Answers as an instance gives them, held against nothing: quick, and worth as much as the word of
 * whoever runs that instance. For screens that are looked at now, never for evidence.
 */
import * as z from 'zod';
import {
  type CheckpointRow,
  type ConfirmationRow,
  type ConflictRow,
  type ContentRow,
  checkpointsAnswer,
  confirmationRows,
  confirmationsAnswer,
  conflictAnswer,
  conflictsAnswer,
  contentsAnswer,
  documentAnswer,
  documentsAnswer,
  type EntryRow,
  entriesAnswer,
  entryAnswer,
  entryStatusAnswer,
  instanceAnswer,
  type RegistryRow,
  type RequestRow,
  registriesAnswer,
  registryAnswer,
  requestAnswer,
  requestsAnswer,
  signingInputAnswer,
  type VersionRow,
  versionAnswer,
  versionsAnswer,
} from './answers.ts';
import { bytesOf, type CallOptions, type Calls, parsed } from './calls.ts';
import { type EntryRange, rowsInRange } from './entry-pages.ts';
import { listPages } from './pages.ts';
import {
  conflictPath,
  contentPath,
  documentPath,
  type EntryId,
  entryPath,
  registryPath,
  requestPath,
  versionPath,
} from './paths.ts';

export interface RequestFilter extends CallOptions {
  readonly status?: 'open' | 'overdue' | 'signed';
  readonly documentId?: string;
}

export class UnverifiedReads {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Any route of the API; `body` is sent as canonical JSON. Gives the parsed answer. */
  async call(
    method: 'GET' | 'POST',
    path: string,
    body?: unknown,
    options: CallOptions = {},
  ): Promise<unknown> {
    const bytes = body === undefined ? {} : { body: bytesOf(body) };
    return parsed(z.unknown(), await this.#calls.send({ method, path, ...bytes, ...options }));
  }

  async instance(options?: CallOptions) {
    return this.#calls.get('/v1/instance', instanceAnswer, options);
  }

  async *registries(options?: CallOptions): AsyncGenerator<RegistryRow, void, undefined> {
    for await (const page of listPages(
      this.#calls,
      { path: '/v1/registries' },
      registriesAnswer,
      options,
    ))
      yield* page.registries;
  }

  /** With what the instance knows of each peer. */
  async registry(registryId: string, options?: CallOptions) {
    return this.#calls.get(registryPath(registryId), registryAnswer, options);
  }

  /** With its status and confirmations. */
  async entry(registryId: string, entry: EntryId, options?: CallOptions) {
    return this.#calls.get(entryPath(registryId, entry), entryAnswer, options);
  }

  /** Status and confirmations of one entry. */
  async entryStatus(registryId: string, entry: EntryId, options?: CallOptions) {
    const path = `${entryPath(registryId, entry)}/confirmations`;
    return this.#calls.get(path, entryStatusAnswer, options);
  }

  async *entries(
    registryId: string,
    range: EntryRange = {},
  ): AsyncGenerator<EntryRow, void, undefined> {
    const path = `${registryPath(registryId)}/entries`;
    const list = { path, schema: entriesAnswer, rowsOf: entryRows };
    for await (const rows of rowsInRange(this.#calls, list, range)) yield* rows;
  }

  async *documents(
    registryId: string,
    options?: CallOptions,
  ): AsyncGenerator<VersionRow & { readonly versions: number }, void, undefined> {
    const path = `${registryPath(registryId)}/documents`;
    for await (const page of listPages(this.#calls, { path }, documentsAnswer, options))
      yield* page.documents;
  }

  async document(registryId: string, documentId: string, options?: CallOptions) {
    return this.#calls.get(documentPath(registryId, documentId), documentAnswer, options);
  }

  async *versions(
    registryId: string,
    documentId: string,
    options?: CallOptions,
  ): AsyncGenerator<VersionRow, void, undefined> {
    const path = `${documentPath(registryId, documentId)}/versions`;
    for await (const page of listPages(this.#calls, { path }, versionsAnswer, options))
      yield* page.versions;
  }

  async version(registryId: string, documentId: string, version: number, options?: CallOptions) {
    const path = versionPath(registryId, documentId, version);
    return this.#calls.get(path, versionAnswer, options);
  }

  /** Where exactly these bytes are registered. */
  async *contents(
    contentDigest: string,
    options?: CallOptions,
  ): AsyncGenerator<ContentRow, void, undefined> {
    const path = contentPath(contentDigest);
    for await (const page of listPages(this.#calls, { path }, contentsAnswer, options))
      yield* page.versions;
  }

  async *signingRequests(
    registryId: string,
    { status, documentId, ...options }: RequestFilter = {},
  ): AsyncGenerator<RequestRow, void, undefined> {
    const path = `${registryPath(registryId)}/signature-requests`;
    const list = { path, query: { status, documentId } };
    for await (const page of listPages(this.#calls, list, requestsAnswer, options))
      yield* page.signatureRequests;
  }

  async signingRequest(registryId: string, requestId: string, options?: CallOptions) {
    return this.#calls.get(requestPath(registryId, requestId), requestAnswer, options);
  }

  /** What the instance wants signed. `signingInput` of the client itself needs no trust in it. */
  async signingInput(registryId: string, requestId: string, options?: CallOptions) {
    const path = `${requestPath(registryId, requestId)}/signing-input`;
    return this.#calls.get(path, signingInputAnswer, options);
  }

  /** Who confirmed which entry, with a cell for every peer of a list in force nearby. */
  async *confirmations(
    registryId: string,
    range: EntryRange = {},
  ): AsyncGenerator<ConfirmationRow, void, undefined> {
    const path = `${registryPath(registryId)}/confirmations`;
    const list = { path, schema: confirmationsAnswer, rowsOf: confirmationRows };
    for await (const rows of rowsInRange(this.#calls, list, range)) yield* rows;
  }

  async *checkpoints(
    registryId: string,
    options?: CallOptions,
  ): AsyncGenerator<CheckpointRow, void, undefined> {
    const path = `${registryPath(registryId)}/checkpoints`;
    for await (const page of listPages(this.#calls, { path }, checkpointsAnswer, options))
      yield* page.checkpoints;
  }

  async *conflicts(
    registryId: string,
    options?: CallOptions,
  ): AsyncGenerator<ConflictRow, void, undefined> {
    const path = `${registryPath(registryId)}/conflicts`;
    yield* (await this.#calls.get(path, conflictsAnswer, options)).conflicts;
  }

  /** One conflict with its story. */
  async conflict(registryId: string, conflictId: string, options?: CallOptions) {
    return this.#calls.get(conflictPath(registryId, conflictId), conflictAnswer, options);
  }
}

/** The rows of a page of entries. */
export function entryRows({ entries }: z.output<typeof entriesAnswer>): readonly EntryRow[] {
  return entries;
}
