import type { OutgoingHttpHeaders } from 'node:http';
import { S3Error } from './s3-error.ts';
import type { OpenObject } from './s3-object-directory.ts';
import type { S3Request } from './s3-request.ts';

/** The part of an object that an answer carries: bytes `from` up to, not including, `until`. */
export interface ObjectAnswer {
  readonly status: 200 | 206;
  readonly headers: OutgoingHttpHeaders;
  readonly from: number;
  readonly until: number;
}

/** Answer to GetObject and HeadObject. Throws S3Error InvalidRange or InvalidArgument. */
export function answerFor(object: OpenObject, request: S3Request): ObjectAnswer {
  const { record, size } = object;
  const range = readRange(request.headers.get('range'), size);
  const { from, until } = range ?? { from: 0, until: size };
  const disposition = request.parameters.get('response-content-disposition');
  const wantsChecksum = readChecksumMode(request) === 'ENABLED';
  const headers: OutgoingHttpHeaders = {
    'accept-ranges': 'bytes',
    'content-length': until - from,
    'content-type': printable(
      request.parameters.get('response-content-type') ?? record.contentType,
    ),
    etag: record.etag,
    'last-modified': record.modified,
    ...(disposition === undefined ? {} : { 'content-disposition': printable(disposition) }),
    ...(range === undefined ? {} : { 'content-range': `bytes ${from}-${until - 1}/${size}` }),
  };
  // The checksum is of the whole object: beside a part of it, it would be a wrong one.
  if (wantsChecksum && range === undefined && record.checksum !== undefined) {
    headers['x-amz-checksum-sha256'] = record.checksum;
    headers['x-amz-checksum-type'] = 'FULL_OBJECT';
  }
  return { status: range === undefined ? 200 : 206, headers, from, until };
}

function readChecksumMode({ headers, parameters }: S3Request): string | undefined {
  return headers.get('x-amz-checksum-mode') ?? parameters.get('x-amz-checksum-mode');
}

/** RFC 9110 section 14.2: what is no single range of bytes is ignored. */
function readRange(
  text: string | undefined,
  size: number,
): Pick<ObjectAnswer, 'from' | 'until'> | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(text ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const until = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (from >= until)
    throw new S3Error('InvalidRange', `The range lies outside of the object's ${size} bytes.`);
  return { from, until };
}

function printable(value: string): string {
  if (!/^[\t\x20-\x7e]*$/.test(value))
    throw new S3Error('InvalidArgument', 'A response header may hold printable ASCII only.');
  return value;
}
