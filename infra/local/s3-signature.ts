/**
 * Signature Version 4 as S3 verifies it, in the Authorization header and in the query of a
 * presigned URL (AWS: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference).
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { S3Error, type S3ErrorCode } from './s3-error.ts';
import type { S3Request } from './s3-request.ts';

const ALGORITHM = 'AWS4-HMAC-SHA256';
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
/** S3 takes a request that is dated at most so far from its own clock. */
const SKEW_MS_MAX = 15 * 60 * 1000;
/** The longest life of a presigned URL: a week. */
const EXPIRES_SECONDS_MAX = 604_800;

export interface SignatureSettings {
  readonly region: string;
  readonly secretOf: (accessKeyId: string) => string | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Who signed the request, and the payload digest that the signature covers (hex or unsigned). */
export interface Signed {
  readonly accessKeyId: string;
  readonly payload: string;
}

interface Scope {
  readonly accessKeyId: string;
  readonly day: string;
  /** `<day>/<region>/s3/aws4_request`. */
  readonly text: string;
}

interface Claim extends Signed {
  readonly scope: Scope;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** `YYYYMMDDTHHMMSSZ`. */
  readonly timestamp: string;
}

/** Verifies dates, scope, signed headers and signature; throws the S3Error that S3 answers with. */
export function verifySignature(request: S3Request, settings: SignatureSettings): Signed {
  const claim = readClaim(request, settings);
  checkSignedHeaders(request, claim);
  const secret = settings.secretOf(claim.accessKeyId);
  if (secret === undefined)
    throw new S3Error('InvalidAccessKeyId', 'The access key id is not known to this server.');
  const expected = signatureOf(request, claim, secret);
  if (!timingSafeEqual(Buffer.from(expected), Buffer.from(claim.signature)))
    throw new S3Error(
      'SignatureDoesNotMatch',
      'The signature is not the one of this request under this key: check the secret, and that ' +
        'method, path, query and every signed header are sent as they were signed.',
    );
  return { accessKeyId: claim.accessKeyId, payload: claim.payload };
}

/** For requests without a body: a digest that the signature covers must be that of no bytes. */
export function checkEmptyPayload({ payload }: Signed): void {
  if (payload !== UNSIGNED_PAYLOAD && payload !== createHash('sha256').digest('hex'))
    throw new S3Error(
      'XAmzContentSHA256Mismatch',
      'The signed x-amz-content-sha256 is not that of an empty body.',
    );
}

function readClaim(request: S3Request, settings: SignatureSettings): Claim {
  const inHeader = request.headers.has('authorization');
  const inQuery =
    request.parameters.has('x-amz-signature') || request.parameters.has('x-amz-algorithm');
  if (inHeader && inQuery)
    throw new S3Error(
      'InvalidArgument',
      'Sign the request in the header or in the query, not both.',
    );
  if (inHeader) return headerClaim(request, settings);
  if (inQuery) return queryClaim(request, settings);
  throw new S3Error('AccessDenied', 'The request is not signed: sign it with Signature Version 4.');
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 +Credential=([^,\s]+), *SignedHeaders=([^,\s]+), *Signature=([0-9a-f]{64})$/;

function headerClaim(request: S3Request, settings: SignatureSettings): Claim {
  const malformed = 'AuthorizationHeaderMalformed';
  const [, credential, signedHeaders, signature] =
    AUTHORIZATION.exec(request.headers.get('authorization') ?? '') ?? [];
  if (credential === undefined || signedHeaders === undefined || signature === undefined)
    throw new S3Error(
      malformed,
      `The Authorization header must be "${ALGORITHM} Credential=…, SignedHeaders=…, Signature=…".`,
    );
  const timestamp = request.headers.get('x-amz-date');
  if (timestamp === undefined)
    throw new S3Error('AccessDenied', 'A request that is signed in the header needs x-amz-date.');
  const scope = readScope(credential, settings.region, malformed);
  if (Math.abs(settings.now - instantOf(timestamp, scope, malformed)) > SKEW_MS_MAX)
    throw new S3Error(
      'RequestTimeTooSkewed',
      'The request is dated more than 15 minutes from the time of the server: set the clock.',
    );
  const payload = request.headers.get('x-amz-content-sha256');
  if (payload === undefined)
    throw new S3Error('InvalidRequest', 'The header x-amz-content-sha256 is missing.');
  return {
    accessKeyId: scope.accessKeyId,
    payload: readPayload(payload),
    scope,
    signedHeaders: signedHeaders.split(';'),
    signature,
    timestamp,
  };
}

function queryClaim(request: S3Request, settings: SignatureSettings): Claim {
  const malformed = 'AuthorizationQueryParametersError';
  const parameter = (name: string, form: RegExp): string => {
    const value = request.parameters.get(name.toLowerCase());
    if (value === undefined || !form.test(value))
      throw new S3Error(malformed, `The query parameter ${name} is missing or malformed.`);
    return value;
  };
  parameter('X-Amz-Algorithm', /^AWS4-HMAC-SHA256$/);
  const scope = readScope(parameter('X-Amz-Credential', /./), settings.region, malformed);
  const timestamp = parameter('X-Amz-Date', /./);
  const signedAt = instantOf(timestamp, scope, malformed);
  const expiresSeconds = Number(parameter('X-Amz-Expires', /^[0-9]{1,6}$/));
  if (expiresSeconds < 1 || expiresSeconds > EXPIRES_SECONDS_MAX)
    throw new S3Error(malformed, 'X-Amz-Expires must be from 1 to 604800 seconds.');
  if (settings.now < signedAt - SKEW_MS_MAX)
    throw new S3Error('AccessDenied', 'The URL is not valid yet: it is dated in the future.');
  if (settings.now > signedAt + expiresSeconds * 1000)
    throw new S3Error('AccessDenied', 'Request has expired: ask for a new URL.');
  const payload =
    request.parameters.get('x-amz-content-sha256') ?? request.headers.get('x-amz-content-sha256');
  return {
    accessKeyId: scope.accessKeyId,
    payload: readPayload(payload ?? UNSIGNED_PAYLOAD),
    scope,
    signedHeaders: parameter('X-Amz-SignedHeaders', /./).split(';'),
    signature: parameter('X-Amz-Signature', /^[0-9a-f]{64}$/),
    timestamp,
  };
}

function readScope(credential: string, region: string, malformed: S3ErrorCode): Scope {
  const parts = credential.split('/');
  const [day = '', inRegion, service, terminator] = parts.slice(-4);
  const accessKeyId = parts.slice(0, -4).join('/');
  if (accessKeyId === '' || service !== 's3' || terminator !== 'aws4_request')
    throw new S3Error(malformed, 'The credential must be "<key>/<day>/<region>/s3/aws4_request".');
  if (inRegion !== region)
    throw new S3Error(malformed, `The region '${inRegion}' is wrong; expecting '${region}'.`);
  return { accessKeyId, day, text: `${day}/${region}/s3/aws4_request` };
}

function instantOf(timestamp: string, scope: Scope, malformed: S3ErrorCode): number {
  const basic = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
  const instant = Date.parse(timestamp.replace(basic, '$1-$2-$3T$4:$5:$6Z'));
  if (!basic.test(timestamp) || Number.isNaN(instant))
    throw new S3Error(malformed, 'The date of the request must have the form YYYYMMDDTHHMMSSZ.');
  if (timestamp.slice(0, 8) !== scope.day)
    throw new S3Error(malformed, 'The day of the credential is not the day of the request.');
  return instant;
}

function readPayload(payload: string): string {
  if (payload.startsWith('STREAMING-'))
    throw new S3Error('NotImplemented', 'Payloads signed in chunks (aws-chunked) are not taken.');
  if (payload !== UNSIGNED_PAYLOAD && !/^[0-9a-f]{64}$/.test(payload))
    throw new S3Error(
      'InvalidArgument',
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a SHA-256 in lower-case hex.',
    );
  return payload;
}

function checkSignedHeaders(request: S3Request, claim: Claim): void {
  const signed = new Set(claim.signedHeaders);
  const unsigned = [...request.headers.keys()].filter(
    (name) => (name === 'host' || name.startsWith('x-amz-')) && !signed.has(name),
  );
  if (unsigned.length > 0)
    throw new S3Error(
      'AccessDenied',
      `There were headers present in the request which were not signed: ${unsigned.join(', ')}.`,
    );
}

function signatureOf(request: S3Request, claim: Claim, secret: string): string {
  const canonicalRequest = [
    request.method,
    encodePath(request.path),
    canonicalQuery(request.query),
    ...claim.signedHeaders.map((name) => `${name}:${canonicalValue(request.headers.get(name))}`),
    '',
    claim.signedHeaders.join(';'),
    claim.payload,
  ].join('\n');
  const stringToSign = [
    ALGORITHM,
    claim.timestamp,
    claim.scope.text,
    createHash('sha256').update(canonicalRequest).digest('hex'),
  ].join('\n');
  const key = claim.scope.text
    .split('/')
    .reduce<Buffer>((parent, part) => hmac(parent, part), Buffer.from(`AWS4${secret}`));
  return hmac(key, stringToSign).toString('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function canonicalQuery(query: S3Request['query']): string {
  return query
    .filter(([name]) => name.toLowerCase() !== 'x-amz-signature')
    .map(([name, value]) => [percentEncode(name), percentEncode(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

/** A signed header that was not sent counts as empty, so that its absence breaks the signature. */
function canonicalValue(value: string | undefined): string {
  return (value ?? '').replace(/[ \t]+/g, ' ').trim();
}

function encodePath(path: string): string {
  return path.split('/').map(percentEncode).join('/');
}

/** RFC 3986: everything but the unreserved characters, which is stricter than JavaScript. */
function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
