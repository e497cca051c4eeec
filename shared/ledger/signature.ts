/**
 * Signatures by people (protocol section 8): JAdES baseline B-B (ETSI TS 119 182-1 V1.2.1) as
 * flattened JWS, detached. What is signed is the protected header alone: it names the version as
 * `sigD` of the mechanism ObjectIdByURIHash, for which the payload adds an empty stream (clause
 * 5.2.8.3.3), and with `b64: false` its hash is that of the version's very bytes (clause 5.2.8.1).
 * Without a certificate it has the same form, but is no B-B: that refers to one (clause 5.1.7).
 */
import { encodeCanonical, parseCanonical } from './canonical.ts';
import { type Digest, digestOf } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import { limits } from './limits.ts';
import { exactBase64url, fits, rawOfDer, type SignatureAlgorithm } from './signature-bytes.ts';
import {
  checkHeader,
  type ExpectedHeader,
  type HeaderFacts,
  headerOf,
  refuseAlgorithm,
  type SigningOptions,
} from './signature-header.ts';
import { curves, importKey, type ReadKey, readJwk, readPem } from './signing-key.ts';
import type { Purpose, SignDocument, SigningKey } from './transaction.ts';

export type { SignatureAlgorithm } from './signature-bytes.ts';
export type { SigningOptions } from './signature-header.ts';

/** A flattened JWS without payload (RFC 7515 section 7.2.2 and appendix F). */
type FlattenedJws = SignDocument['signature'];

/** What a signature must be over, for which purpose, and with which key: as requested. */
export interface SignatureTarget {
  readonly registryId: Digest;
  readonly documentId: string;
  readonly version: number;
  /** Of the version's bytes. */
  readonly contentDigest: Digest;
  readonly purpose: Purpose;
  /** Was admitted by `checkSigningKey` when it was requested. */
  readonly publicKey: SigningKey;
}

/** The name of a version in `sigD.pars`. No two versions anywhere have the same. */
export function objectUrn({
  registryId,
  documentId,
  version,
}: Pick<SignatureTarget, 'registryId' | 'documentId' | 'version'>): string {
  return `urn:registry:${registryId}:document:${documentId}:version:${version}`;
}

/**
 * Whether people may sign with the key: EC on its curve, Ed25519 in its one encoding and of no small
 * order, RSA of 3072 to 8192 bits with the exponent 65537. Undefined: they may; else
 * KEY_NOT_ALLOWED, which says what is wrong.
 */
export function checkSigningKey(publicKey: SigningKey): Refused | undefined {
  const read = readJwk(publicKey);
  return read.outcome === 'refused' ? read : undefined;
}

/**
 * Reads the key that somebody is to sign with: a public JWK as JSON value, or PEM text of a
 * SubjectPublicKeyInfo or of a certificate of any authority. The result passes `checkSigningKey`
 * and has no members but those of the key itself. Refusals are KEY_NOT_ALLOWED.
 */
export function readSigningKey(
  untrusted: { readonly jwk: unknown } | { readonly pem: string },
): ReadKey {
  return 'pem' in untrusted ? readPem(untrusted.pem) : readJwk(untrusted.jwk);
}

const EC_ALGORITHM = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' } as const;

/** The algorithms of a key, the preferred one first: never does the message choose one. */
export function algorithmsOf(publicKey: SigningKey): readonly SignatureAlgorithm[] {
  switch (publicKey.kty) {
    case 'EC':
      return [EC_ALGORITHM[publicKey.crv]];
    case 'OKP':
      return ['EdDSA'];
    case 'RSA':
      return ['PS256', 'RS256'];
  }
}

/** Size of a signature in its JOSE form: r and s, R and S, or as long as the modulus. */
function signatureBytesOf(publicKey: SigningKey): number {
  switch (publicKey.kty) {
    case 'EC':
      return 2 * curves[publicKey.crv].coordinateBytes;
    case 'OKP':
      return 64;
    case 'RSA':
      return Buffer.from(publicKey.n, 'base64url').length;
  }
}

/**
 * SHA-256 of the signing input of any flattened JWS; nothing is checked. The same for every
 * signature over the same header, however often and in whatever form it was signed.
 */
export function signatureInputDigest(jws: FlattenedJws): Digest {
  return digestOf(inputOf(jws.protected));
}

/** RFC 7797 section 3 over an empty payload. */
function inputOf(protectedText: string): Buffer {
  return Buffer.from(`${protectedText}.`, 'latin1');
}

export interface SigningInput {
  readonly outcome: 'built';
  /** For the JWS, as it is: base64url of the canonical header. */
  readonly protected: string;
  /** What OpenSSL, a card or a browser signs. */
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes, for those who sign or show a hash. */
  readonly digest: Digest;
}

/**
 * Builds what is to be signed. Refuses what `verifySignature` would refuse of the header: an
 * algorithm that the key does not have, a time that does not exist, certificates of another key.
 */
export function signingInput(
  target: SignatureTarget,
  options: SigningOptions,
): SigningInput | Refused {
  const expected = expectedOf(target);
  const header = headerOf(expected, options);
  const checked = checkHeader(header, expected);
  if (checked.outcome === 'refused') return checked;
  const protectedText = encodeCanonical(header).toString('base64url');
  const bytes = inputOf(protectedText);
  return { outcome: 'built', protected: protectedText, bytes, digest: digestOf(bytes) };
}

function expectedOf(target: SignatureTarget): ExpectedHeader {
  const { publicKey, contentDigest, purpose } = target;
  const [algorithms, object] = [algorithmsOf(publicKey), objectUrn(target)];
  return { publicKey, algorithms, object, contentDigest, purpose };
}

/**
 * The JOSE form of signature bytes as programs write them. ECDSA: r and s side by side, or strict
 * DER. Says nothing of whether the signature is right: `verifySignature` does.
 */
export function joseSignature(
  algorithm: SignatureAlgorithm,
  publicKey: SigningKey,
  bytes: Uint8Array,
): { readonly outcome: 'read'; readonly signature: string } | Refused {
  if (!algorithmsOf(publicKey).includes(algorithm))
    return refuseAlgorithm(algorithm, algorithmsOf(publicKey));
  const expected = signatureBytesOf(publicKey);
  const raw = rawOf(publicKey, bytes, expected);
  if (typeof raw !== 'string') return { outcome: 'read', signature: raw.toString('base64url') };
  const found = `the signature has ${bytes.length} bytes, not ${expected}`;
  return publicKey.kty === 'EC'
    ? refuse('SIGNATURE_DER_MALFORMED', `${found} for r and s, and is not in DER either: ${raw}`)
    : refuse('SIGNATURE_LENGTH_WRONG', found);
}

/** A string says what is wrong. */
function rawOf(publicKey: SigningKey, bytes: Uint8Array, expected: number): Buffer | string {
  if (bytes.length === expected) return Buffer.from(bytes);
  return publicKey.kty === 'EC' ? rawOfDer(Buffer.from(bytes), curves[publicKey.crv]) : 'length';
}

/**
 * Whether the bytes are the key's signature over the input, in the JOSE form alone (no DER). The
 * key's size and strength are not looked at, `checkSigningKey` does that: what is no key, or no key
 * of that algorithm, has signed nothing. Never throws.
 */
export function verifyBytes(
  algorithm: SignatureAlgorithm,
  publicKey: SigningKey,
  input: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!algorithmsOf(publicKey).includes(algorithm)) return false;
  if (signature.length !== signatureBytesOf(publicKey)) return false;
  const key = importKey(publicKey);
  return key !== undefined && fits(algorithm, key, input, signature);
}

export interface VerifiedSignature extends HeaderFacts {
  readonly outcome: 'verified';
  /** SHA-256 of the signing input: the same for every signature over the same header. */
  readonly inputDigest: Digest;
  /** RS256: shown as such, so that a reader sees what to replace. */
  readonly legacy: boolean;
}

/**
 * Verifies a signature against exactly what was requested. Checks in this order: form, canonical
 * header, `alg`, `crit`, `b64`, members, key and certificates, `sigD`, purpose, length, and at last
 * the signature itself; the first flaw is the refusal.
 */
export function verifySignature(
  jws: FlattenedJws,
  target: SignatureTarget,
): VerifiedSignature | Refused {
  const { publicKey } = target;
  const longest = Math.max(jws.protected.length, jws.signature.length);
  if (longest > limits.transactionBytesMax) return malformed('longer than a transaction may be');
  const signature = exactBase64url(jws.signature);
  const headerBytes = exactBase64url(jws.protected);
  if (signature === undefined || headerBytes === undefined)
    return malformed('a part is not base64url in its one form without padding; send it as it was');
  const parsed = parseCanonical(headerBytes, limits.transactionBytesMax);
  if (parsed.outcome === 'refused')
    return malformed(`protected header: ${parsed.code}: ${parsed.detail}`);
  const header = checkHeader(parsed.value, expectedOf(target));
  if (header.outcome === 'refused') return header;
  const expected = signatureBytesOf(publicKey);
  if (signature.length !== expected)
    return refuse(
      'SIGNATURE_LENGTH_WRONG',
      `the signature has ${signature.length} bytes; one of ${header.algorithm} has ${expected}`,
    );
  const input = inputOf(jws.protected);
  if (!verifyBytes(header.algorithm, publicKey, input, signature))
    return refuse(
      'SIGNATURE_WRONG',
      'the signature does not fit the requested key and the signing input; sign the served bytes',
    );
  return {
    ...header,
    outcome: 'verified',
    inputDigest: digestOf(input),
    legacy: header.algorithm === 'RS256',
  };
}

function malformed(detail: string): Refused {
  return refuse('SIGNATURE_MALFORMED', detail);
}
