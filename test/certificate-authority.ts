/**
 * Builds certificates of any shape, good and broken, byte by byte: an own encoder, so that what the
 * reader under test accepts is judged by other code than its own.
 */
import {
  createHash,
  ECDH,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';

export interface TestKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** PKCS#8. */
  readonly pem: string;
}

export type TestKeyKind = 'p256' | 'p256-explicit' | 'p384' | 'rsa' | 'rsa-1024';

export interface TestCertificate {
  readonly certificatePem: string;
  readonly der: Buffer;
  readonly key: TestKey;
  readonly keyPem: string;
  /** SHA-256 of the SubjectPublicKeyInfo as Node encodes it. */
  readonly certificateId: string;
}

export interface TestAuthority extends TestCertificate {
  readonly name: string;
}

/** Everything that can be said about a certificate; what is left out is as it is right for a leaf. */
export interface CertificateShape {
  readonly subject?: string;
  readonly key?: TestKey;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** In place of the key's own SubjectPublicKeyInfo. */
  readonly spki?: Uint8Array;
  readonly authority?: { readonly pathLength?: number };
  /** Bits of KeyUsage by number (RFC 5280 section 4.2.1.3); digitalSignature alone unless given. */
  readonly keyUsage?: readonly number[];
  /** Object identifiers; clientAuth, and serverAuth where an endpoint is given, unless given. */
  readonly extendedKeyUsage?: readonly string[];
  readonly endpoint?: string;
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** IPv4 addresses. */
  readonly addresses?: readonly string[];
  readonly extensions?: readonly Uint8Array[];
  /** Changes the encoded members of the TBSCertificate before it is signed. */
  readonly change?: (members: Buffer[]) => Buffer[];
}

export const usages = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
} as const;

export const keyUsageBits = { digitalSignature: 0, keyCertSign: 5, cRLSign: 6 } as const;

const HOUR_MS = 3_600_000;

/** A new key pair. */
export function testKey(kind: TestKeyKind = 'p256'): TestKey {
  const { privateKey, publicKey } = newKeyPair(kind);
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { privateKey, publicKey, pem };
}

/** SubjectPublicKeyInfo of a P-256 key with the point in its compressed form (RFC 5480). */
export function compressedSpki(key: TestKey): Buffer {
  const point = key.publicKey.export({ type: 'spki', format: 'der' }).subarray(26);
  const short = ECDH.convertKey(point, 'prime256v1', undefined, undefined, 'compressed');
  const algorithm = sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7'));
  return sequence(algorithm, tlv(0x03, Buffer.from([0]), Buffer.from(short)));
}

function newKeyPair(kind: TestKeyKind): { privateKey: KeyObject; publicKey: KeyObject } {
  switch (kind) {
    case 'p256':
      return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    case 'p256-explicit':
      return generateKeyPairSync('ec', { namedCurve: 'prime256v1', paramEncoding: 'explicit' });
    case 'p384':
      return generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: 2048 });
    case 'rsa-1024':
      return generateKeyPairSync('rsa', { modulusLength: 1024 });
  }
}

/** A root, or an intermediate where an issuer is given. */
export function testAuthority(
  name = 'Test Cluster CA',
  shape: CertificateShape = {},
  issuer?: TestAuthority,
): TestAuthority {
  const key = shape.key ?? testKey();
  const certificate = issueTestCertificate(issuer ?? { name, key }, {
    subject: name,
    authority: {},
    keyUsage: [keyUsageBits.keyCertSign, keyUsageBits.cRLSign],
    extendedKeyUsage: [],
    notBefore: new Date(Date.now() - 24 * HOUR_MS * 365),
    notAfter: new Date(Date.now() + 24 * HOUR_MS * 365),
    ...shape,
    key,
  });
  return { ...certificate, name };
}

/** A certificate of an instance, right in everything unless the shape says otherwise. */
export function testInstance(
  authority: TestAuthority,
  endpoint = 'https://localhost:4443',
  shape: CertificateShape = {},
): TestCertificate {
  return issueTestCertificate(authority, {
    subject: 'instance',
    endpoint,
    dnsNames: [new URL(endpoint).hostname],
    ...shape,
  });
}

/** A certificate of an application, an operator or an auditor. */
export function testApplication(
  authority: TestAuthority,
  shape: CertificateShape = {},
): TestCertificate {
  return issueTestCertificate(authority, { subject: 'application', ...shape });
}

/** Signs a certificate of the shape with the issuer's key, valid from an hour ago for a day. */
export function issueTestCertificate(
  issuer: { readonly name: string; readonly key: TestKey },
  shape: CertificateShape,
): TestCertificate {
  const key = shape.key ?? testKey();
  const ownSpki = key.publicKey.export({ type: 'spki', format: 'der' });
  const algorithm = signatureAlgorithm(issuer.key);
  const members = [
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
    algorithm,
    nameOf(issuer.name),
    sequence(
      timeOf(shape.notBefore ?? new Date(Date.now() - HOUR_MS)),
      timeOf(shape.notAfter ?? new Date(Date.now() + 23 * HOUR_MS)),
    ),
    nameOf(shape.subject ?? 'leaf'),
    Buffer.from(shape.spki ?? ownSpki),
    tlv(0xa3, sequence(...extensionsOf(shape))),
  ];
  const tbs = sequence(...(shape.change ?? ((same) => same))(members));
  const signature = sign('sha256', tbs, issuer.key.privateKey);
  const der = sequence(tbs, algorithm, tlv(0x03, Buffer.from([0]), signature));
  return {
    certificatePem: pemOf(der),
    der,
    key,
    keyPem: key.pem,
    certificateId: createHash('sha256').update(ownSpki).digest('hex'),
  };
}

function extensionsOf(shape: CertificateShape): Uint8Array[] {
  const kind = shape.endpoint === undefined ? [] : [usages.serverAuth];
  const extended = shape.extendedKeyUsage ?? [...kind, usages.clientAuth];
  const names = generalNames(shape);
  return [
    ...(shape.authority ? [basicConstraints(true, shape.authority.pathLength)] : []),
    keyUsage(shape.keyUsage ?? [keyUsageBits.digitalSignature]),
    ...(extended.length > 0 ? [extension('2.5.29.37', sequence(...extended.map(oid)))] : []),
    ...(names.length > 0 ? [extension('2.5.29.17', sequence(...names))] : []),
    ...(shape.extensions ?? []),
  ];
}

function generalNames(shape: CertificateShape): Buffer[] {
  const uris = [...(shape.endpoint === undefined ? [] : [shape.endpoint]), ...(shape.uris ?? [])];
  return [
    ...uris.map((uri) => tlv(0x86, Buffer.from(uri))),
    ...(shape.dnsNames ?? []).map((name) => tlv(0x82, Buffer.from(name))),
    ...(shape.addresses ?? []).map((text) => tlv(0x87, Buffer.from(text.split('.').map(Number)))),
  ];
}

/** A basicConstraints extension (RFC 5280 section 4.2.1.9). */
export function basicConstraints(ca: boolean, pathLength?: number): Buffer {
  const flag = ca ? [tlv(0x01, Buffer.from([0xff]))] : [];
  const length = pathLength === undefined ? [] : [tlv(0x02, Buffer.from([pathLength]))];
  return extension('2.5.29.19', sequence(...flag, ...length), true);
}

function keyUsage(bits: readonly number[]): Buffer {
  const value = bits.reduce((byte, bit) => byte | (0x80 >> bit), 0);
  return extension('2.5.29.15', tlv(0x03, Buffer.from([0, value])), true);
}

/** One extension around its encoded value. */
export function extension(id: string, value: Uint8Array, critical = false): Buffer {
  const flag = critical ? [tlv(0x01, Buffer.from([0xff]))] : [];
  return sequence(oid(id), ...flag, tlv(0x04, value));
}

/** DER: tag, shortest length, contents. */
export function tlv(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const size = content.length;
  const length =
    size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

export function sequence(...members: readonly Uint8Array[]): Buffer {
  return tlv(0x30, ...members);
}

/** An object identifier in dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = rest.flatMap((part) => {
    const digits = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return tlv(0x06, Buffer.from([first * 40 + second, ...bytes]));
}

function nameOf(commonName: string): Buffer {
  return sequence(tlv(0x31, sequence(oid('2.5.4.3'), tlv(0x0c, Buffer.from(commonName)))));
}

function timeOf(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, '');
  return date.getUTCFullYear() < 2050
    ? tlv(0x17, Buffer.from(text.slice(2)))
    : tlv(0x18, Buffer.from(text));
}

function signatureAlgorithm(key: TestKey): Buffer {
  return key.publicKey.asymmetricKeyType === 'rsa'
    ? sequence(oid('1.2.840.113549.1.1.11'), tlv(0x05))
    : sequence(oid('1.2.840.10045.4.3.2'));
}

/** The PEM text of a certificate, encoded here and not by the reader under test. */
export function pemOf(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
