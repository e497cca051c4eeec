import type { Instance } from '../shared/adapters/aws/instance.ts';
import { answer, type HttpResponse, problem } from '../shared/http/problem.ts';
import type { RegistryId } from '../shared/ledger/digest.ts';
import { generationOf, isHeld } from '../shared/registry/held-content.ts';
import { LOOK_BYTES, lookOfContent } from '../shared/registry/look-of-content.ts';
import type { Head } from '../shared/registry/ports.ts';
import * as documents from '../shared/registry/read-documents.ts';
import { withSuperseded } from '../shared/registry/read-superseded.ts';
import { type Handler, withHead } from './api-answers.ts';

export const listDocuments: Handler<'listDocuments'> = (request) =>
  withHead(request, async (head) => {
    const found = await documents.listDocuments(request.instance, head, request.page);
    const rows = await marked(request.instance, head.registryId, found.documents);
    return answer(200, { documents: rows, ...request.nextAfter(found.next) });
  });

export const readDocument: Handler<'readDocument'> = (request) =>
  withHead(request, async (head) => {
    const { instance, parameters } = request;
    const found = await documents.readDocument(instance, head, parameters.documentId);
    if (found === undefined) return documentUnknown();
    const [shown] = await marked(instance, head.registryId, [found]);
    return answer(200, { ...shown, ...(await heldWithLook(instance, head, found)) });
  });

export const listVersions: Handler<'listVersions'> = (request) =>
  withHead(request, async (head) => {
    const { instance, parameters, page } = request;
    const found = await documents.listVersions(instance, head, parameters.documentId, page);
    if (found === undefined) return documentUnknown();
    const rows = await marked(instance, head.registryId, found.versions);
    return answer(200, { versions: rows, ...request.nextAfter(found.next) });
  });

export const readVersion: Handler<'readVersion'> = (request) =>
  withHead(request, async (head) => {
    const { documentId, version } = request.parameters;
    const found = await documents.readVersion(request.instance, head, documentId, version);
    if (found === undefined) return documentUnknown();
    const [shown] = await marked(request.instance, head.registryId, [found]);
    return answer(200, { ...shown, ...(await heldWithLook(request.instance, head, found)) });
  });

/** Versions that people replaced or voided say so. */
export function marked<Row extends documents.VersionSummary>(
  instance: Instance,
  registryId: RegistryId,
  rows: readonly Row[],
) {
  return withSuperseded(instance, registryId, rows, ({ entry }) => entry.sequence);
}

/** Whether the bytes are here, and then what they look like. */
async function heldWithLook(instance: Instance, head: Head, version: documents.VersionSummary) {
  if (!(await isHeld(instance.blobs, head, version))) return { held: false };
  const beginning = await instance.blobs.beginning(
    version.contentDigest,
    LOOK_BYTES,
    generationOf(head, version.contentDigest),
  );
  if (beginning === undefined) return { held: false };
  return { held: true, look: lookOfContent(beginning, version.mediaType) };
}

/** A short-lived address of the bytes. */
export const readContent: Handler<'readContent'> = (request) =>
  withHead(request, async (head) => {
    const { instance } = request;
    const { documentId, version } = request.parameters;
    const found = await documents.readVersion(instance, head, documentId, version);
    if (found === undefined) return documentUnknown();
    const { contentDigest, size } = found;
    if (!(await isHeld(instance.blobs, head, found)))
      return problem('CONTENT_NOT_HELD', 'this instance does not have the bytes yet');
    const address = await instance.blobs.downloadUrl(
      contentDigest,
      generationOf(head, contentDigest),
    );
    const body = { contentDigest, size, ...address };
    return { ...answer(200, body), facts: { contentDigest }, handedOutBytes: size };
  });

function documentUnknown(): HttpResponse {
  return problem('DOCUMENT_UNKNOWN', 'this registry has no such document or version');
}
