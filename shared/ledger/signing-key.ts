/**
 * The keys that people may sign with (protocol section 8), from JWK, PEM and certificates. Node
 * imports far more than is admitted here, and some of it is no key at all, so each is looked at.
 */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { type Refused, refuse } from './errors.ts';
import { limits } from './limits.ts';
import { type EcdsaSizes, exactBase64, exactBase64url } from './signature-bytes.ts';
import type { SigningKey } from './transaction.ts';

export type ReadKey = { readonly outcome: 'read'; readonly publicKey: SigningKey } | Refused;

type EcKey = Extract<SigningKey, { readonly kty: 'EC' }>;

/** FIPS 186-5 and SP 800-186: the orders of the groups. */
export const curves: Readonly<Record<EcKey['crv'], EcdsaSizes>> = {
  'P-256': {
    coordinateBytes: 32,
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  'P-384': {
    coordinateBytes: 48,
    order: BigInt(
      '0xffffffffffffffffffffffffffffffffffffffffffffffff' +
        'c7634d81f4372ddf581a0db248b0a77aecec196accc52973',
    ),
  },
  'P-521': {
    coordinateBytes: 66,
    order: BigInt(
      '0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa' +
        '51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
    ),
  },
};

const ADMITTED =
  'admitted are EC keys of P-256, P-384 and P-521, Ed25519, ' +
  'and RSA of 3072 to 8192 bits with the exponent 65537';

function notAllowed(what: string): Refused {
  return refuse('KEY_NOT_ALLOWED', `${what}; ${ADMITTED}`);
}

type Members = Readonly<Record<string, unknown>>;

const readers: ReadonlyMap<unknown, (jwk: Members) => ReadKey> = new Map([
  ['EC', readEcKey],
  ['OKP', readEdwardsKey],
  ['RSA', readRsaKey],
]);

/** Members of RFC 7517 and 7518 that only private and shared keys have. */
const SECRETS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/** A public JWK (RFC 7517), whatever else it holds; the result has only what makes up the key. */
export function readJwk(untrusted: unknown): ReadKey {
  if (typeof untrusted !== 'object' || untrusted === null || Array.isArray(untrusted))
    return notAllowed('the key is no JSON Web Key: expected an object with kty');
  const jwk = untrusted as Members;
  const secret = SECRETS.find((name) => Object.hasOwn(jwk, name));
  if (secret !== undefined) return refusePrivate(`the key holds ${secret}`);
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig')
    return notAllowed(`the key is for the use ${quoted(jwk['use'])}, not for signatures`);
  const reader = readers.get(jwk['kty']);
  return reader?.(jwk) ?? notAllowed(`keys of the kind ${quoted(jwk['kty'])} are not admitted`);
}

function refusePrivate(what: string): Refused {
  return refuse(
    'KEY_NOT_ALLOWED',
    `${what}: that is a secret, which stays with whoever signs; send the public key alone`,
  );
}

/** A value of others in a sentence: as JSON, cut to a length that one can read. */
export function quoted(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 256);
}

function bytesOf(member: unknown): Buffer | undefined {
  return typeof member === 'string' ? exactBase64url(member) : undefined;
}

function readEcKey({ crv, x, y }: Members): ReadKey {
  if (!isAdmittedCurve(crv)) return notAllowed(`the curve ${quoted(crv)} is not admitted`);
  const { coordinateBytes } = curves[crv];
  if (![x, y].every((text) => bytesOf(text)?.length === coordinateBytes))
    return notAllowed(
      `x and y of a key of ${crv} are ${coordinateBytes} bytes each, in base64url without padding`,
    );
  const publicKey = { crv, kty: 'EC', x: x as string, y: y as string } as const;
  if (importKey(publicKey) === undefined)
    return notAllowed(`the point of the key is not on the curve ${crv}`);
  return { outcome: 'read', publicKey };
}

function isAdmittedCurve(crv: unknown): crv is EcKey['crv'] {
  return typeof crv === 'string' && Object.hasOwn(curves, crv);
}

function readEdwardsKey({ crv, x }: Members): ReadKey {
  if (crv !== 'Ed25519') return notAllowed(`the curve ${quoted(crv)} is not admitted`);
  const bytes = bytesOf(x);
  if (bytes?.length !== 32)
    return notAllowed('x of an Ed25519 key is 32 bytes, in base64url without padding');
  const flaw = flawOfEdwardsPoint(bytes);
  if (flaw !== undefined) return notAllowed(flaw);
  return { outcome: 'read', publicKey: { crv, kty: 'OKP', x: x as string } };
}

/** RFC 8032 section 5.1: the field, the curve's d, and y of two of its points of order 8. */
const FIELD = 2n ** 255n - 19n;
const D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;
const ORDER_8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;

/** Of all points whose order divides 8: a signature of theirs says nothing about who made it. */
const SMALL_ORDER_Y = new Set([0n, 1n, FIELD - 1n, ORDER_8, FIELD - ORDER_8]);

/** Node takes any 32 bytes for a key, and finds out when it verifies, or never. */
function flawOfEdwardsPoint(bytes: Buffer): string | undefined {
  const encoded = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
  const y = encoded & (2n ** 255n - 1n);
  if (y >= FIELD) return 'the Ed25519 key is not in its one encoding';
  if (SMALL_ORDER_Y.has(y)) return 'the Ed25519 key is a point of small order, of no use as a key';
  const squared = y * y;
  if (!isSquare((squared - 1n) * (D * squared + 1n)))
    return 'the Ed25519 key is no point of the curve';
  return undefined;
}

/** Euler's criterion. u / v is a square exactly when u · v is. */
function isSquare(value: bigint): boolean {
  let result = 1n;
  let base = value % FIELD;
  for (let exponent = (FIELD - 1n) / 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % FIELD;
    base = (base * base) % FIELD;
  }
  return result === 1n;
}

const RSA_BITS_MIN = 3072;
const RSA_BITS_MAX = 8192;

function readRsaKey({ e, n }: Members): ReadKey {
  if (e !== 'AQAB') return notAllowed(`e of the RSA key is ${quoted(e)}, not AQAB`);
  const modulus = bytesOf(n);
  const first = modulus?.[0];
  if (modulus === undefined || first === undefined || first === 0)
    return notAllowed('n of an RSA key is base64url without padding and without leading zeros');
  const bits = 8 * modulus.length + 24 - Math.clz32(first);
  if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) return notAllowed(`the RSA key has ${bits} bits`);
  if (modulus.readUInt8(modulus.length - 1) % 2 === 0)
    return notAllowed('the modulus of the RSA key is even');
  return { outcome: 'read', publicKey: { e, kty: 'RSA', n: n as string } };
}

/**
 * One public key in PEM (RFC 7468): SubjectPublicKeyInfo, or an X.509 certificate, of which only the
 * key is taken. Text around the block is what many tools write, and is left out.
 */
export function readPem(text: string): ReadKey {
  if (text.length > PEM_CHARACTERS_MAX)
    return notAllowed(`the PEM text is longer than ${PEM_CHARACTERS_MAX} characters`);
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text))
    return refusePrivate('the PEM text holds a private key');
  const [block, ...others] = text.matchAll(BLOCK);
  if (block === undefined || others.length > 0)
    return notAllowed('expected the PEM text of one public key or one certificate, of the signer');
  const [, label, lines = ''] = block;
  const der = exactBase64(lines.replaceAll(/[\r\n]/g, ''));
  if (der === undefined) return notAllowed('the PEM text is not in base64');
  switch (label) {
    case 'CERTIFICATE':
      return readCertificateKey(der) ?? notAllowed('the certificate cannot be read');
    case 'PUBLIC KEY':
      return readSubjectPublicKey(der);
  }
  return notAllowed(
    `the PEM text is a ${label}; expected PUBLIC KEY (openssl pkey -pubout) or CERTIFICATE`,
  );
}

/** A certificate of any signer, with the text that some tools put before it. */
const PEM_CHARACTERS_MAX = 4 * limits.certificateBytesMax;
const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([\w+/=\r\n]+?)-----END \1-----/g;

function readSubjectPublicKey(der: Buffer): ReadKey {
  try {
    return readKeyObject(createPublicKey({ key: der, format: 'der', type: 'spki' }));
  } catch {
    return notAllowed('the public key cannot be read');
  }
}

/**
 * The key of one certificate in DER, whoever issued it, and whenever. Undefined: this is not one
 * certificate, or not in the one right encoding.
 */
export function readCertificateKey(der: Uint8Array): ReadKey | undefined {
  try {
    const certificate = new X509Certificate(der);
    return certificate.raw.equals(der) ? readKeyObject(certificate.publicKey) : undefined;
  } catch {
    return undefined;
  }
}

function readKeyObject(key: KeyObject): ReadKey {
  try {
    return readJwk(key.export({ format: 'jwk' }));
  } catch {
    // Node has no JWK for it: no admitted kind, or no admitted curve.
    const kind = [key.asymmetricKeyType, key.asymmetricKeyDetails?.namedCurve].join(' ').trim();
    return notAllowed(`keys of the kind ${kind} are not admitted`);
  }
}

/** Whether a value is that very key: the same members, and no others. */
export function sameKey(value: unknown, publicKey: SigningKey): boolean {
  const members = Object.entries(Object(value) as Members);
  const expected = new Map<string, unknown>(Object.entries(publicKey));
  return (
    members.length === expected.size &&
    members.every(([name, member]) => expected.get(name) === member)
  );
}

/** Keys by their members: importing one costs as much as a signature; bounded against flooding. */
const imported = new Map<string, KeyObject>();
const IMPORTED_MAX = 256;

/** The key as Node uses it; undefined where it cannot be one. Checks no sizes. */
export function importKey(publicKey: SigningKey): KeyObject | undefined {
  const text = JSON.stringify(publicKey);
  const known = imported.get(text);
  if (known !== undefined) return known;
  try {
    const key = createPublicKey({ key: { ...publicKey }, format: 'jwk' });
    if (imported.size >= IMPORTED_MAX) imported.clear();
    imported.set(text, key);
    return key;
  } catch {
    return undefined;
  }
}
