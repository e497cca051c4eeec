import type { Instance } from '../shared/adapters/aws/instance.ts';
import { answer, type HttpResponse, problem } from '../shared/http/problem.ts';
import { LOOK_BYTES, lookOfContent } from '../shared/registry/look-of-content.ts';
import * as documents from '../shared/registry/read-documents.ts';
import { type Handler, holds, withHead } from './api-answers.ts';

export const listDocuments: Handler<'listDocuments'> = (request) =>
  withHead(request, async (head) => {
    const found = await documents.listDocuments(request.instance, head, request.page);
    return answer(200, { documents: found.documents, ...request.nextAfter(found.next) });
  });

export const readDocument: Handler<'readDocument'> = (request) =>
  withHead(request, async (head) => {
    const { instance, parameters } = request;
    const found = await documents.readDocument(instance, head, parameters.documentId);
    if (found === undefined) return documentUnknown();
    return answer(200, { ...found, ...(await heldWithLook(instance, found)) });
  });

export const listVersions: Handler<'listVersions'> = (request) =>
  withHead(request, async (head) => {
    const { instance, parameters, page } = request;
    const found = await documents.listVersions(instance, head, parameters.documentId, page);
    if (found === undefined) return documentUnknown();
    return answer(200, { versions: found.versions, ...request.nextAfter(found.next) });
  });

export const readVersion: Handler<'readVersion'> = (request) =>
  withHead(request, async (head) => {
    const { documentId, version } = request.parameters;
    const found = await documents.readVersion(request.instance, head, documentId, version);
    if (found === undefined) return documentUnknown();
    return answer(200, { ...found, ...(await heldWithLook(request.instance, found)) });
  });

/** Whether the bytes are here, and then what they look like. */
async function heldWithLook(instance: Instance, version: documents.VersionSummary) {
  if (!(await holds(instance, version))) return { held: false };
  const beginning = await instance.blobs.beginning(version.contentDigest, LOOK_BYTES);
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
    if (!(await holds(instance, found)))
      return problem('CONTENT_NOT_HELD', 'this instance does not have the bytes yet');
    const address = await instance.blobs.downloadUrl(contentDigest);
    return answer(200, { contentDigest, size, ...address });
  });

function documentUnknown(): HttpResponse {
  return problem('DOCUMENT_UNKNOWN', 'this registry has no such document or version');
}
