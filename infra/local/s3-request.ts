import type { IncomingMessage } from 'node:http';
import { S3Error } from './s3-error.ts';

/** One request as it came, decoded once; nothing of it is believed before its signature is. */
export interface S3Request {
  readonly method: string;
  /** Percent-decoded, with its leading slash, never normalised. */
  readonly path: string;
  readonly bucket: string;
  readonly key: string;
  /** Percent-decoded names and values in the order received. */
  readonly query: readonly (readonly [name: string, value: string])[];
  /** The same by lower-case name. */
  readonly parameters: ReadonlyMap<string, string>;
  /** By lower-case name; repeated ones joined by a comma, as SigV4 signs them. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Reads path style requests. Throws S3Error InvalidURI or InvalidArgument. */
export function readRequest(message: IncomingMessage): S3Request {
  const target = message.url ?? '';
  if (!target.startsWith('/'))
    throw new S3Error('InvalidURI', 'The request target must be a path that begins with a slash.');
  const mark = target.indexOf('?');
  const path = percentDecode(mark === -1 ? target : target.slice(0, mark));
  const query = readQuery(mark === -1 ? '' : target.slice(mark + 1));
  const slash = path.indexOf('/', 1);
  return {
    method: message.method ?? '',
    path,
    bucket: slash === -1 ? path.slice(1) : path.slice(1, slash),
    key: slash === -1 ? '' : path.slice(slash + 1),
    query,
    parameters: byName(query),
    headers: readHeaders(message),
  };
}

function readQuery(text: string): (readonly [string, string])[] {
  return text
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=');
      if (equals === -1) return [percentDecode(part), ''] as const;
      return [percentDecode(part.slice(0, equals)), percentDecode(part.slice(equals + 1))] as const;
    });
}

function byName(query: S3Request['query']): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of query) {
    const known = name.toLowerCase();
    // Two values for one name would let what is signed differ from what is obeyed.
    if (parameters.has(known))
      throw new S3Error('InvalidArgument', `The query parameter ${name} may be given only once.`);
    parameters.set(known, value);
  }
  return parameters;
}

function readHeaders(message: IncomingMessage): Map<string, string> {
  const headers = new Map<string, string>();
  for (const [name, values] of Object.entries(message.headersDistinct))
    if (values !== undefined) headers.set(name, values.join(','));
  return headers;
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new S3Error('InvalidURI', 'The request target is not percent-encoded UTF-8.');
  }
}
