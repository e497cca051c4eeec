import type { Instance } from '../shared/adapters/aws/instance.ts';
import type { HttpHandler, HttpRequest } from '../shared/http/http-stack.ts';
import { answer, type HttpResponse, problem } from '../shared/http/problem.ts';
import { readCertificate } from '../shared/ledger/certificate.ts';
import {
  type CertificateId,
  isCertificateId,
  isDigest,
  type RegistryId,
} from '../shared/ledger/digest.ts';
import { limits } from '../shared/ledger/limits.ts';
import {
  type DocumentItem,
  documentKey,
  type StateItem,
  type TransactionItem,
  transactionKey,
  type VersionItem,
  versionKey,
} from '../shared/ledger/state.ts';
import { storedAppendResult } from '../shared/registry/append-result.ts';
import type { Head, StoredEntry } from '../shared/registry/ports.ts';
import { entryConfirmations, peerStates } from '../shared/registry/read.ts';
import { appendBody, entryBody, registryUnknown } from './api-answers.ts';

type Handler = HttpHandler<Instance>;
type Request = HttpRequest<Instance>;

const KEY_CHARACTERS_MAX = 2 * limits.identifierCharactersMax;

/** GET /v1/instance: who this is. */
export const readInstance: Handler = async ({ instance }) => {
  const { signer, certificatePem, config } = instance;
  const read = readCertificate(certificatePem);
  const endpoint = read.outcome === 'read' ? read.certificate.endpoint : undefined;
  const { certificateId, knownIds } = signer;
  const name = config.instanceName;
  return answer(200, { name, certificateId, knownIds, endpoint, certificatePem });
};

/** GET /v1/registries?after=&limit= in the order of their ids. */
export const listRegistries: Handler = async ({ instance, query }) => {
  const page = pageOf(query);
  if (page === undefined) return pageInvalid();
  const after = query['after'];
  if (after !== undefined && !isDigest(after))
    return problem('PARAMETER_INVALID', 'after: expected the last registry id of a page');
  const ids = await instance.store.registries(after as RegistryId | undefined, page);
  const last = ids.length === page ? ids.at(-1) : undefined;
  const registries = ids.map((registryId) => ({ registryId }));
  return answer(200, { registries, ...(last === undefined ? {} : { next: last }) });
};

/** GET /v1/registries/{registryId} */
export const readRegistry: Handler = (request) =>
  withHead(request, async (head) => {
    const peers = await peerStates(request.instance, head);
    const { registryId, copy, sequence, digest, timestamp, checkpoint } = head;
    const { openConflicts, configuration } = head;
    const since = { sequence: configuration.sequence, digest: configuration.digest };
    return answer(200, {
      registryId,
      copy,
      head: { sequence, digest, timestamp },
      checkpoint,
      configuration: since,
      openConflicts,
      peers,
    });
  });

/** GET /v1/registries/{registryId}/entries?after=&limit= in sequence order. */
export const listEntries: Handler = (request) =>
  withHead(request, async (head) => {
    const page = pageOf(request.query);
    const after = numberOf(request.query['after'] ?? '0');
    if (page === undefined) return pageInvalid();
    if (after === undefined)
      return problem('PARAMETER_INVALID', 'after: expected the last sequence of a page');
    const count = Math.min(page, Math.max(0, head.sequence - after));
    const stored =
      count === 0
        ? []
        : await request.instance.store.entries(head.registryId, head.copy, {
            from: after + 1,
            count,
          });
    const entries = withinBytes(stored);
    const last = entries.at(-1)?.sequence ?? head.sequence;
    const next = last < head.sequence ? { next: String(last) } : {};
    return answer(200, { entries: entries.map(entryBody), ...next });
  });

/** The first of the entries that one answer can hold: always at least one. */
function withinBytes(stored: readonly StoredEntry[]): readonly StoredEntry[] {
  let bytes = 0;
  const end = stored.findIndex(({ entry, transaction, details, checkpoint }) => {
    bytes += entry.length + transaction.length + (details?.length ?? 0);
    bytes += checkpoint?.length ?? 0;
    return bytes > limits.deliveryBytesMax;
  });
  return end === -1 ? stored : stored.slice(0, Math.max(1, end));
}

/** GET /v1/registries/{registryId}/entries/{sequence} */
export const readOneEntry: Handler = (request) =>
  withEntry(request, async (head, stored) => {
    const known = await entryConfirmations(request.instance, head, stored);
    return answer(200, { ...entryBody(stored), ...known });
  });

/** GET /v1/registries/{registryId}/entries/{sequence}/confirmations: who, and since when. */
export const readConfirmations: Handler = (request) =>
  withEntry(request, async (head, stored) => {
    const { sequence, digest } = stored;
    const known = await entryConfirmations(request.instance, head, stored);
    return answer(200, { sequence, digest, ...known });
  });

/** GET /v1/registries/{registryId}/transactions/{transactionId}: its first result. */
export const readAppendResult: Handler = (request) =>
  withHead(request, async (head) => {
    const transactionId = request.parameters['transactionId'] ?? '';
    const item = await stateItem<TransactionItem>(request, head, transactionKey(transactionId));
    if (item === undefined)
      return problem('TRANSACTION_UNKNOWN', 'no entry has this transaction id here');
    const recorded = { from: item.sequence, transactionIds: new Set([transactionId]) };
    const { store } = request.instance;
    const result = await storedAppendResult(store, head.registryId, head.copy, recorded);
    return answer(200, appendBody(result));
  });

/** GET /v1/registries/{registryId}/documents/{documentId}: the newest version. */
export const readDocument: Handler = (request) =>
  withHead(request, async (head) => {
    const documentId = request.parameters['documentId'] ?? '';
    const item = await stateItem<DocumentItem>(request, head, documentKey(documentId));
    if (item === undefined) return documentUnknown();
    return versionAnswer(request, head, item.version);
  });

/** GET /v1/registries/{registryId}/documents/{documentId}/versions/{version} */
export const readVersion: Handler = (request) =>
  withHead(request, async (head) => {
    const version = numberOf(request.parameters['version'] ?? '');
    return version === undefined ? documentUnknown() : versionAnswer(request, head, version);
  });

async function versionAnswer(request: Request, head: Head, version: number): Promise<HttpResponse> {
  const documentId = request.parameters['documentId'] ?? '';
  const item = await stateItem<VersionItem>(request, head, versionKey(documentId, version));
  if (item === undefined) return documentUnknown();
  const { contentDigest, size, mediaType, entry } = item;
  const held = (await request.instance.blobs.sizeOf(contentDigest)) === size;
  return answer(200, { documentId, version, contentDigest, size, mediaType, entry, held });
}

/** GET …/versions/{version}/content: a short-lived address of the bytes. */
export const readContent: Handler = (request) =>
  withHead(request, async (head) => {
    const documentId = request.parameters['documentId'] ?? '';
    const version = numberOf(request.parameters['version'] ?? '') ?? 0;
    const item = await stateItem<VersionItem>(request, head, versionKey(documentId, version));
    if (item === undefined) return documentUnknown();
    const { contentDigest, size } = item;
    const { blobs } = request.instance;
    if ((await blobs.sizeOf(contentDigest)) === undefined)
      return problem('CONTENT_NOT_HELD', 'this instance does not have the bytes yet');
    return answer(200, { contentDigest, size, ...(await blobs.downloadUrl(contentDigest)) });
  });

/** GET /v1/registries/{registryId}/conflicts */
export const listConflicts: Handler = (request) =>
  withHead(request, async (head) => {
    const conflicts = await request.instance.store.conflicts(head.registryId);
    const open = new Set(head.openConflicts);
    return answer(200, {
      conflicts: conflicts.map(({ conflictId, statement, recordedAt }) => ({
        conflictId,
        open: open.has(conflictId),
        recordedAt,
        statement,
      })),
    });
  });

/** GET /v1/certificates/{certificateId} */
export const readPeerCertificate: Handler = async ({ instance, parameters }) => {
  const id = parameters['certificateId'] ?? '';
  const own = instance.signer.certificateId === id ? instance.certificatePem : undefined;
  const pem =
    own ??
    (isCertificateId(id) ? await instance.store.certificate(id as CertificateId) : undefined);
  if (pem === undefined)
    return problem('CERTIFICATE_UNKNOWN', 'no certificate with this id is known here');
  return answer(200, { certificatePem: pem });
};

async function withHead(
  request: Request,
  respond: (head: Head) => Promise<HttpResponse>,
): Promise<HttpResponse> {
  const registryId = request.parameters['registryId'] ?? '';
  const head = isDigest(registryId) ? await request.instance.store.head(registryId) : undefined;
  return head === undefined ? registryUnknown() : respond(head);
}

function withEntry(
  request: Request,
  respond: (head: Head, stored: StoredEntry) => Promise<HttpResponse>,
): Promise<HttpResponse> {
  return withHead(request, async (head) => {
    const from = numberOf(request.parameters['sequence'] ?? '') ?? 0;
    const beyond = from < 1 || from > head.sequence;
    const range = { from, count: 1 };
    const [stored] = beyond
      ? []
      : await request.instance.store.entries(head.registryId, head.copy, range);
    if (stored === undefined)
      return problem('ENTRY_UNKNOWN', `this instance holds the entries 1 to ${head.sequence}`);
    return respond(head, stored);
  });
}

async function stateItem<Item extends StateItem>(
  { instance }: Request,
  head: Head,
  key: ReturnType<typeof documentKey>,
): Promise<Item | undefined> {
  // Longer than any id that was ever recorded, and than a table key may be.
  if (key.length > KEY_CHARACTERS_MAX) return undefined;
  const { items } = await instance.store.read(head.registryId, [key]);
  return items.get(key) as Item | undefined;
}

function documentUnknown(): HttpResponse {
  return problem('DOCUMENT_UNKNOWN', 'this registry has no such document or version');
}

function numberOf(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function pageOf(query: Request['query']): number | undefined {
  const limit = numberOf(query['limit'] ?? String(limits.pageMax));
  return limit === undefined || limit < 1 || limit > limits.pageMax ? undefined : limit;
}

function pageInvalid(): HttpResponse {
  return problem('PARAMETER_INVALID', `limit: expected 1 to ${limits.pageMax}`);
}
