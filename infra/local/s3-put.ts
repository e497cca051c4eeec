import { createHash } from 'node:crypto';
import { S3Error } from './s3-error.ts';
import type { ObjectDirectory, ObjectRecord } from './s3-object-directory.ts';
import type { S3Request } from './s3-request.ts';
import { type Signed, UNSIGNED_PAYLOAD } from './s3-signature.ts';

/** The largest body of one PUT: 5 GiB. */
const OBJECT_BYTES_MAX = 5 * 1024 ** 3;

interface Expected {
  /** In bytes. */
  readonly length: number;
  /** SHA-256 in base64, when the sender gave it. */
  readonly checksum: string | undefined;
  /** SHA-256 in hex, when the signature covers it. */
  readonly payload: string | undefined;
  readonly once: boolean;
  readonly contentType: string;
}

/** The body of a PUT; `accept` tells a sender that waits for `100 Continue` to go on. */
export interface PutBody {
  readonly accept: () => void;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** PutObject: everything that can be refused before the body is read is; throws S3Error. */
export async function putObject(
  objects: ObjectDirectory,
  request: S3Request,
  signed: Signed,
  body: PutBody,
): Promise<ObjectRecord> {
  const expected = readExpected(request, signed);
  if (expected.once && (await objects.has(request))) throw preconditionFailed();
  body.accept();
  const hash = createHash('sha256');
  let received = 0;
  const metered = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of body.bytes) {
      hash.update(chunk);
      received += chunk.length;
      yield chunk;
    }
  };
  let record: ObjectRecord | undefined;
  const describe = (): ObjectRecord => {
    record = verified(expected, received, hash.digest());
    return record;
  };
  const outcome = await objects.put(request, metered(), describe, expected);
  if (outcome === 'present') throw preconditionFailed();
  if (record === undefined) throw new Error('an object was stored without its record');
  return record;
}

function readExpected(request: S3Request, signed: Signed): Expected {
  const length = request.headers.get('content-length');
  if (length === undefined)
    throw new S3Error('MissingContentLength', 'You must provide the Content-Length HTTP header.');
  if (Number(length) > OBJECT_BYTES_MAX)
    throw new S3Error('EntityTooLarge', 'One PUT takes at most 5 GiB (5368709120 bytes).');
  const condition = request.headers.get('if-none-match');
  if (condition !== undefined && condition !== '*')
    throw new S3Error('NotImplemented', 'A PUT takes no other If-None-Match than "*".');
  const contentType = request.headers.get('content-type') ?? 'binary/octet-stream';
  if (!/^[\t\x20-\x7e]{0,256}$/.test(contentType))
    throw new S3Error('InvalidArgument', 'Content-Type must be at most 256 ASCII characters.');
  return {
    length: Number(length),
    checksum: readChecksum(request),
    payload: signed.payload === UNSIGNED_PAYLOAD ? undefined : signed.payload,
    once: condition === '*',
    contentType,
  };
}

function readChecksum({ headers, parameters }: S3Request): string | undefined {
  const algorithm =
    headers.get('x-amz-sdk-checksum-algorithm') ?? parameters.get('x-amz-sdk-checksum-algorithm');
  if (algorithm !== undefined && algorithm !== 'SHA256')
    throw new S3Error('NotImplemented', 'The only checksum that is verified is SHA256.');
  const checksum = headers.get('x-amz-checksum-sha256');
  if (checksum !== undefined && !isChecksum(checksum))
    throw new S3Error('InvalidRequest', 'Value for x-amz-checksum-sha256 header is invalid.');
  if (algorithm !== undefined && checksum === undefined)
    throw new S3Error(
      'InvalidRequest',
      'x-amz-sdk-checksum-algorithm is given without the header x-amz-checksum-sha256.',
    );
  return checksum;
}

function isChecksum(text: string): boolean {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === 32 && bytes.toString('base64') === text;
}

function verified(expected: Expected, received: number, digest: Buffer): ObjectRecord {
  if (received !== expected.length)
    throw new S3Error('InvalidRequest', 'The body is not as long as its Content-Length.');
  if (expected.payload !== undefined && expected.payload !== digest.toString('hex'))
    throw new S3Error(
      'XAmzContentSHA256Mismatch',
      'The body does not come out to the signed x-amz-content-sha256.',
    );
  if (expected.checksum !== undefined && expected.checksum !== digest.toString('base64'))
    throw new S3Error(
      'BadDigest',
      'The SHA256 you specified did not match the calculated checksum.',
    );
  return {
    contentType: expected.contentType,
    ...(expected.checksum === undefined ? {} : { checksum: expected.checksum }),
    etag: `"${digest.toString('hex').slice(0, 32)}"`,
    modified: new Date().toUTCString(),
  };
}

function preconditionFailed(): S3Error {
  return new S3Error(
    'PreconditionFailed',
    'At least one of the pre-conditions you specified did not hold: the object is there already.',
  );
}
