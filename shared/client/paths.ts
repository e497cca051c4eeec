/** The paths of the API, from checked parts: what is no id never becomes part of a path. */
import { isDigest, isSequence } from '../ledger/digest.ts';
import { identifierSchema, uuidSchema } from '../ledger/schema.ts';
import { invalidArgument } from './problem.ts';

/** An entry by its sequence, or by the id of its transaction. */
export type EntryId = number | string;

export function registryPath(registryId: string): string {
  if (!isDigest(registryId))
    throw invalidArgument(`"${registryId}" is no registry id: expected 64 lower-case hex digits`);
  return `/v1/registries/${registryId}`;
}

export function entryPath(registryId: string, entry: EntryId): string {
  if (typeof entry === 'number' ? !isSequence(entry) : !uuidSchema.safeParse(entry).success)
    throw invalidArgument(
      `"${entry}" names no entry: expected a sequence from 1, or a transaction id (UUID)`,
    );
  return `${registryPath(registryId)}/entries/${entry}`;
}

export function documentPath(registryId: string, documentId: string): string {
  if (!identifierSchema.safeParse(documentId).success)
    throw invalidArgument(
      `"${documentId}" is no document id: expected letters, digits and . _ : - only, beginning ` +
        'with a letter or digit',
    );
  return `${registryPath(registryId)}/documents/${encodeURIComponent(documentId)}`;
}

export function versionPath(registryId: string, documentId: string, version: number): string {
  if (!isSequence(version))
    throw invalidArgument(`"${version}" is no version: expected a whole number from 1`);
  return `${documentPath(registryId, documentId)}/versions/${version}`;
}

export function requestPath(registryId: string, requestId: string): string {
  if (!uuidSchema.safeParse(requestId).success)
    throw invalidArgument(`"${requestId}" is no request id: expected a UUID in lower case`);
  return `${registryPath(registryId)}/signature-requests/${requestId}`;
}

export function conflictPath(registryId: string, conflictId: string): string {
  if (!isDigest(conflictId))
    throw invalidArgument(`"${conflictId}" is no conflict id: expected 64 lower-case hex digits`);
  return `${registryPath(registryId)}/conflicts/${conflictId}`;
}

export function contentPath(contentDigest: string): string {
  if (!isDigest(contentDigest))
    throw invalidArgument(`"${contentDigest}" is no SHA-256: expected 64 lower-case hex digits`);
  return `/v1/contents/${contentDigest}`;
}

export function certificatePath(certificateId: string): string {
  if (!isDigest(certificateId))
    throw invalidArgument(
      `"${certificateId}" is no certificate id: expected 64 lower-case hex digits`,
    );
  return `/v1/certificates/${certificateId}`;
}

/** Query parameters behind a path; those without a value are left out. */
export function withQuery(
  path: string,
  query: Readonly<Record<string, string | number | undefined>>,
): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) given.set(name, String(value));
  return given.size === 0 ? path : `${path}?${given}`;
}
