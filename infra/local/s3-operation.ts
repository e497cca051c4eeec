import { S3Error } from './s3-error.ts';
import type { S3Request } from './s3-request.ts';

export type S3Operation = 'PutObject' | 'GetObject' | 'HeadObject';

const KEY_BYTES_MAX = 1024;

const operationByMethod: ReadonlyMap<string, S3Operation> = new Map([
  ['PUT', 'PutObject'],
  ['GET', 'GetObject'],
  ['HEAD', 'HeadObject'],
]);

/** Names that carry the signature, or that mean nothing. */
const signatureNames = [
  'x-amz-algorithm',
  'x-amz-content-sha256',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-expires',
  'x-amz-signature',
  'x-amz-signedheaders',
  'x-amz-user-agent',
];
/** Standard headers that S3 gives a meaning and this server does not. */
const conditionHeaders = ['if-match', 'if-modified-since', 'if-unmodified-since', 'if-range'];

interface Names {
  readonly headers: ReadonlySet<string>;
  readonly refused: ReadonlySet<string>;
  readonly parameters: ReadonlySet<string>;
}

const onRead: Names = {
  headers: new Set([...signatureNames, 'x-amz-checksum-mode']),
  refused: new Set([...conditionHeaders, 'if-none-match']),
  parameters: new Set([
    ...signatureNames,
    'x-id',
    'x-amz-checksum-mode',
    'response-content-disposition',
    'response-content-type',
  ]),
};

const onWrite: Names = {
  headers: new Set([...signatureNames, 'x-amz-checksum-sha256', 'x-amz-sdk-checksum-algorithm']),
  refused: new Set([
    ...conditionHeaders,
    'content-disposition',
    'content-encoding',
    'content-language',
    'content-md5',
  ]),
  parameters: new Set([...signatureNames, 'x-id', 'x-amz-sdk-checksum-algorithm']),
};

/**
 * Which operation is asked for. What the server does not enforce it refuses with NotImplemented,
 * so that nothing seems to work here that S3 would treat in another way. Throws S3Error.
 */
export function operationOf(request: S3Request): S3Operation {
  const operation = operationByMethod.get(request.method);
  if (operation === undefined || request.bucket === '' || request.key === '')
    throw notImplemented('operation', `${request.method} on ${describePath(request)}`);
  if (operation === 'PutObject') checkNames(request, onWrite);
  else checkNames(request, onRead);
  if (Buffer.byteLength(request.key) > KEY_BYTES_MAX)
    throw new S3Error('KeyTooLongError', `A key may have at most ${KEY_BYTES_MAX} bytes.`);
  return operation;
}

function checkNames(request: S3Request, { headers, refused, parameters }: Names): void {
  for (const name of request.headers.keys())
    if (refused.has(name) || (name.startsWith('x-amz-') && !headers.has(name)))
      throw notImplemented('header', name);
  for (const name of request.parameters.keys())
    if (!parameters.has(name)) throw notImplemented('query parameter', name);
}

function describePath({ bucket, key }: S3Request): string {
  if (bucket === '') return 'the service';
  return key === '' ? 'a bucket' : 'an object';
}

function notImplemented(kind: string, name: string): S3Error {
  return new S3Error('NotImplemented', `The local server does not implement the ${kind} ${name}.`);
}
