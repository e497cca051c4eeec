import { constants, type KeyObject, verify } from 'node:crypto';

/** The encodings of signatures, and the bare verification: RFC 7515, 7518, 8017, 8032, X.690. */

/** RFC 7518 section 3 and RFC 8037; RS256 only for the cards that have nothing better. */
export type SignatureAlgorithm = 'ES256' | 'ES384' | 'ES512' | 'EdDSA' | 'PS256' | 'RS256';

/** The bytes, if the text is their only encoding (RFC 4648 section 5, no padding). */
export function exactBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

/** The bytes, if the text is their only encoding (RFC 4648 section 4, with padding). */
export function exactBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** The size of r and of s in bytes, and the order of the curve's group, which both are below. */
export interface EcdsaSizes {
  readonly coordinateBytes: number;
  readonly order: bigint;
}

const TAG = { integer: 0x02, sequence: 0x30 } as const;

/**
 * An ECDSA signature in DER (RFC 3279 section 2.2.3) as r and s of fixed size, one after the other
 * (RFC 7518 section 3.4). Only DER: a reader of BER would take many texts for one signature. A
 * string says what is wrong with it.
 */
export function rawOfDer(der: Buffer, sizes: EcdsaSizes): Buffer | string {
  const sequence = elementOf(der, TAG.sequence);
  const r = sequence?.rest.length === 0 ? elementOf(sequence.content, TAG.integer) : undefined;
  const s = r && elementOf(r.rest, TAG.integer);
  if (r === undefined || s?.rest.length !== 0)
    return 'expected one SEQUENCE of two INTEGERs, lengths in their shortest form, nothing after it';
  if (!isMinimal(r.content) || !isMinimal(s.content))
    return 'r or s is negative, empty, or padded with zeros';
  const [rawR, rawS] = [fixed(r.content, sizes), fixed(s.content, sizes)];
  if (rawR === undefined || rawS === undefined)
    return "r or s is not between 1 and the order of the curve's group";
  return Buffer.concat([rawR, rawS]);
}

interface Element {
  readonly content: Buffer;
  readonly rest: Buffer;
}

/** The element at the beginning, if it has the tag and a definite length in its shortest form. */
function elementOf(bytes: Buffer, tag: number): Element | undefined {
  const [found, first = 0x80, second = 0] = bytes;
  const long = first === 0x81 && second >= 0x80;
  if (found !== tag || (first >= 0x80 && !long)) return undefined;
  const start = long ? 3 : 2;
  const end = start + (long ? second : first);
  if (end > bytes.length) return undefined;
  return { content: bytes.subarray(start, end), rest: bytes.subarray(end) };
}

/** Whether the INTEGER is positive or zero, and not longer than it must be. */
function isMinimal(content: Buffer): boolean {
  const [first = 0x80, second = 0x80] = content;
  return first < 0x80 && (first > 0 || second >= 0x80);
}

function fixed(content: Buffer, { coordinateBytes, order }: EcdsaSizes): Buffer | undefined {
  const value = BigInt(`0x${content.toString('hex')}`);
  if (value === 0n || value >= order) return undefined;
  return Buffer.from(value.toString(16).padStart(2 * coordinateBytes, '0'), 'hex');
}

/**
 * Whether the signature, in its JOSE form, is that of the key over the bytes. Never throws for
 * signature bytes, whatever they are; `key` must be of the algorithm's kind.
 */
export function fits(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  input: Uint8Array,
  signature: Uint8Array,
): boolean {
  switch (algorithm) {
    case 'ES256':
      return verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, signature);
    case 'ES384':
      return verify('sha384', input, { key, dsaEncoding: 'ieee-p1363' }, signature);
    case 'ES512':
      return verify('sha512', input, { key, dsaEncoding: 'ieee-p1363' }, signature);
    case 'EdDSA':
      return verify(null, input, key, signature);
    case 'PS256': {
      // RFC 7518 section 3.5: MGF1 with the same hash, a salt as long as the hash. Nothing else.
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return verify('sha256', input, { key, padding, saltLength: 32 }, signature);
    }
    case 'RS256':
      return verify('sha256', input, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
  }
}
