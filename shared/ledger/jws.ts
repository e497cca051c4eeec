import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import * as z from 'zod';
import { encodeCanonical, parseCanonical } from './canonical.ts';
import { certificateIdOfJwk } from './certificate.ts';
import { type CertificateId, type Digest, digestOf } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import { limits } from './limits.ts';
import { base64urlSchema, validate } from './schema.ts';

/** A JWS in compact serialization (RFC 7515 section 3.1). */
export type Compact = string & { readonly compact: unique symbol };

/** The public half of an instance's key (RFC 7518 section 6.2.1). */
export interface PublicKeyJwk {
  readonly crv: 'P-256';
  readonly kty: 'EC';
  readonly x: string;
  readonly y: string;
}

/** What every signed statement says about itself (protocol section 2). */
export interface Statement {
  readonly format: string;
  readonly registryId: Digest;
  readonly signer: CertificateId;
}

const coordinateSchema = base64urlSchema.refine(
  (text) => Buffer.from(text, 'base64url').length === 32,
  'expected 32 bytes',
);

const headerSchema = z.strictObject({
  alg: z.literal('ES256'),
  jwk: z.strictObject({
    crv: z.literal('P-256'),
    kty: z.literal('EC'),
    x: coordinateSchema,
    y: coordinateSchema,
  }),
});

/** r and s of P-256, 32 bytes each (RFC 7518 section 3.4). */
const SIGNATURE_BYTES = 64;

/**
 * Signs a statement: JWS compact, ES256, canonical header and payload, the public key in the
 * header (protocol section 2). `key` is the private half of `publicKey`.
 */
export function signStatement(
  statement: Statement,
  key: KeyObject,
  publicKey: PublicKeyJwk,
): Compact {
  const { crv, kty, x, y } = publicKey;
  const header = encodeCanonical({ alg: 'ES256', jwk: { crv, kty, x, y } });
  const payload = encodeCanonical(statement);
  const input = `${header.toString('base64url')}.${payload.toString('base64url')}`;
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}` as Compact;
}

export interface ReadStatement<S extends Statement> {
  readonly outcome: 'read';
  readonly statement: S;
  /** Of the payload's bytes: statements are the same when they say the same and one signed. */
  readonly digest: Digest;
  readonly compact: Compact;
}

/**
 * Reads a statement strictly and verifies its signature with the key in its header, whose
 * certificate id must be the `signer` that the payload names. Whether that signer may say this is
 * the caller's question.
 */
export function readStatement<Schema extends z.ZodType<Statement>>(
  compact: string,
  schema: Schema,
): ReadStatement<z.output<Schema>> | Refused {
  return readSigned(compact, schema, ({ signer }) => signer);
}

/** A statement that a person decided on (protocol section 2). */
export interface DecidedStatement extends Statement {
  readonly decidedBy: CertificateId;
}

/**
 * Reads an operator's own signature over the payload of a statement: as `readStatement`, but the
 * key in the header is that of `decidedBy`. That this is an operator, the statement's signer vouches.
 */
export function readDecision<Schema extends z.ZodType<DecidedStatement>>(
  compact: string,
  schema: Schema,
): ReadStatement<z.output<Schema>> | Refused {
  return readSigned(compact, schema, ({ decidedBy }) => decidedBy);
}

function readSigned<Schema extends z.ZodType<Statement>>(
  compact: string,
  schema: Schema,
  signerOf: (statement: z.output<Schema>) => CertificateId,
): ReadStatement<z.output<Schema>> | Refused {
  const parts = splitCompact(compact);
  if (parts.outcome === 'refused') return parts;
  const header = readHeader(parts.header);
  if (header.outcome === 'refused') return header;
  const parsed = parseCanonical(parts.payload, limits.statementBytesMax);
  if (parsed.outcome === 'refused') return malformed(`payload: ${parsed.code} ${parsed.detail}`);
  const valid = validate(schema, parsed.value);
  if (valid.outcome === 'refused') return malformed(`payload: ${valid.detail}`);
  const named = signerOf(valid.value);
  if (named !== header.key.certificateId)
    return refuse(
      'STATEMENT_SIGNER_DIFFERS',
      `signed with the key ${header.key.certificateId}, but names ${named}`,
    );
  const key = { key: header.key.publicKey, dsaEncoding: 'ieee-p1363' } as const;
  if (!verify('sha256', parts.input, key, parts.signature))
    return refuse('STATEMENT_SIGNATURE_WRONG', 'the signature does not fit key and payload');
  const digest = digestOf(parts.payload);
  return { outcome: 'read', statement: valid.value, digest, compact: compact as Compact };
}

/** The payload of a statement that was read and verified before, and stored since. */
export function payloadOf(compact: Compact): unknown {
  const [, payload = ''] = compact.split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
}

function malformed(detail: string): Refused {
  return refuse('STATEMENT_MALFORMED', detail);
}

interface CompactParts {
  readonly outcome: 'split';
  readonly header: string;
  readonly payload: Buffer;
  readonly signature: Buffer;
  readonly input: Buffer;
}

function splitCompact(compact: string): CompactParts | Refused {
  if (compact.length > 2 * limits.statementBytesMax) return malformed('longer than a statement');
  const parts = compact.split('.');
  const [header, payloadText, signatureText] = parts;
  if (
    header === undefined ||
    payloadText === undefined ||
    signatureText === undefined ||
    parts.length !== 3
  )
    return malformed('expected three parts with dots between them (JWS compact)');
  const payload = exactBase64url(payloadText);
  const signature = exactBase64url(signatureText);
  if (payload === undefined || signature === undefined)
    return malformed('a part is not base64url in its one form without padding');
  if (signature.length !== SIGNATURE_BYTES)
    return malformed(`the signature has ${signature.length} bytes; ES256 has ${SIGNATURE_BYTES}`);
  const input = Buffer.from(`${header}.${payloadText}`);
  return { outcome: 'split', header, payload, signature, input };
}

/** The bytes, if the text is their only encoding (RFC 4648 section 5, no padding). */
function exactBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

interface HeaderKey {
  readonly outcome: 'key';
  readonly key: { readonly certificateId: CertificateId; readonly publicKey: KeyObject };
}

/**
 * Keys by the exact header text. A registry has few signers and their headers never change, so
 * reading each header once saves most of the work beside the signature; bounded against flooding.
 */
const headers = new Map<string, HeaderKey>();
const HEADERS_MAX = 256;

function readHeader(text: string): HeaderKey | Refused {
  const known = headers.get(text);
  if (known !== undefined) return known;
  const bytes = exactBase64url(text);
  if (bytes === undefined) return malformed('the header is not base64url in its one form');
  const parsed = parseCanonical(bytes, limits.statementBytesMax);
  if (parsed.outcome === 'refused') return malformed(`header: ${parsed.code} ${parsed.detail}`);
  const valid = validate(headerSchema, parsed.value);
  if (valid.outcome === 'refused') return malformed(`header: ${valid.detail}`);
  const read = importKey(valid.value.jwk);
  if (read.outcome === 'refused') return read;
  if (headers.size >= HEADERS_MAX) headers.clear();
  headers.set(text, read);
  return read;
}

function importKey(jwk: PublicKeyJwk): HeaderKey | Refused {
  try {
    const publicKey = createPublicKey({ key: { ...jwk }, format: 'jwk' });
    return { outcome: 'key', key: { certificateId: certificateIdOfJwk(jwk), publicKey } };
  } catch {
    return malformed('header: the key is no point of the curve P-256');
  }
}
