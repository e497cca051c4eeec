/**
 * Certificates of instances and callers: id, profile, chain. A TLS library accepts far more than an
 * identity may be here: version 1, authorities, any usage, one key in several encodings. So after
 * the handshake the certificate is read once more, strictly (RFC 5280, X.690 DER).
 */
import { createPublicKey, X509Certificate } from 'node:crypto';
import { type CertificateId, digestOf } from './digest.ts';
import type { PublicKeyJwk } from './jws.ts';
import { limits } from './limits.ts';

export type CertificateRefusalCode =
  /** Not one certificate in PEM or DER, or not in the one right encoding. */
  | 'CERTIFICATE_MALFORMED'
  | 'CERTIFICATE_NOT_V3'
  /** Not a P-256 key as named curve with an uncompressed point. */
  | 'CERTIFICATE_NOT_CANONICAL_KEY'
  | 'CERTIFICATE_UNKNOWN_CRITICAL_EXTENSION'
  | 'CERTIFICATE_IS_CA'
  /** Not digitalSignature with clientAuth, and serverAuth exactly where there is an endpoint. */
  | 'CERTIFICATE_WRONG_USAGE'
  | 'CERTIFICATE_WILDCARD'
  /** An https URI that is no origin, or more than one. */
  | 'CERTIFICATE_WRONG_ENDPOINT'
  | 'CERTIFICATE_WITHOUT_ENDPOINT'
  | 'CERTIFICATE_UNTRUSTED'
  | 'CERTIFICATE_NOT_YET_VALID'
  | 'CERTIFICATE_EXPIRED';

export interface RefusedCertificate {
  readonly outcome: 'refused';
  readonly code: CertificateRefusalCode;
  readonly reason: string;
}

/** A certificate of the right form; whether to trust it is said by `verifyCertificate`. */
export interface Certificate {
  readonly certificateId: CertificateId;
  /** Origin under which an instance is reached, `https://host[:port]`; absent for applications. */
  readonly endpoint?: string;
  /** Distinguished name, one attribute a line. */
  readonly subject: string;
  /** ISO 8601, both inclusive. */
  readonly notBefore: string;
  readonly notAfter: string;
  readonly pem: string;
  readonly raw: Uint8Array;
  readonly usages: { readonly client: true; readonly server: boolean };
  readonly publicKeyJwk: PublicKeyJwk;
}

/** SubjectPublicKeyInfo of P-256 as named curve, up to the uncompressed point (RFC 5480). */
const SPKI_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');
const COORDINATE_BYTES = 32;

/**
 * The certificate id of a public key. Throws where a coordinate is not 32 bytes in base64url: the
 * bytes of two wrong lengths could come out to the id of another key.
 */
export function certificateIdOfJwk(jwk: PublicKeyJwk): CertificateId {
  return digestOf(spkiOfJwk(jwk)) as string as CertificateId;
}

/** The certificate id of a DER SubjectPublicKeyInfo; throws where it is not the canonical one. */
export function certificateIdOfSpki(spki: Uint8Array): CertificateId {
  return certificateIdOfJwk(jwkOfSpki(Buffer.from(spki)));
}

function spkiOfJwk({ x, y }: PublicKeyJwk): Buffer {
  return Buffer.concat([SPKI_PREFIX, coordinateOf(x), coordinateOf(y)]);
}

function coordinateOf(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== COORDINATE_BYTES || bytes.toString('base64url') !== text)
    return refuse('CERTIFICATE_NOT_CANONICAL_KEY', 'a coordinate is not 32 bytes in base64url');
  return bytes;
}

/** Whatever is not the canonical encoding differs from the encoding of what was read from it. */
function jwkOfSpki(spki: Buffer): PublicKeyJwk {
  const at = SPKI_PREFIX.length;
  const x = spki.subarray(at, at + COORDINATE_BYTES).toString('base64url');
  const y = spki.subarray(at + COORDINATE_BYTES, at + 2 * COORDINATE_BYTES).toString('base64url');
  const jwk = { crv: 'P-256', kty: 'EC', x, y } as const;
  if (spki.length < at + 2 * COORDINATE_BYTES || !spkiOfJwk(jwk).equals(spki))
    return refuse(
      'CERTIFICATE_NOT_CANONICAL_KEY',
      'the key is not a P-256 key, encoded as named curve with an uncompressed point',
    );
  return jwk;
}

/** Carries a refusal out of the reader. */
class Refusal extends Error {
  readonly code: CertificateRefusalCode;

  constructor(code: CertificateRefusalCode, reason: string) {
    super(reason);
    this.code = code;
  }
}

function refuse(code: CertificateRefusalCode, reason: string): never {
  throw new Refusal(code, reason);
}

function refused(code: CertificateRefusalCode, reason: string): RefusedCertificate {
  return { outcome: 'refused', code, reason };
}

/**
 * Reads one certificate, PEM or DER, and enforces the profile of a caller: version 3, no authority,
 * canonical P-256 key, digitalSignature, and clientAuth alone (application) or with serverAuth and
 * one endpoint URI (instance). Looks neither at the issuer nor at the time.
 */
export function readCertificate(
  untrusted: string | Uint8Array,
): { readonly outcome: 'read'; readonly certificate: Certificate } | RefusedCertificate {
  try {
    return { outcome: 'read', certificate: leafOf(derOf(untrusted)) };
  } catch (error) {
    if (error instanceof Refusal) return refused(error.code, error.message);
    // Node's own errors about bytes that it cannot read: nothing else throws here.
    return refused('CERTIFICATE_MALFORMED', 'the certificate cannot be read');
  }
}

const PEM = /^-----BEGIN CERTIFICATE-----\r?\n([\w+/=\r\n]+)-----END CERTIFICATE-----\s*$/;

function derOf(untrusted: string | Uint8Array): Buffer {
  if (untrusted.length > limits.certificateBytesMax)
    refuse('CERTIFICATE_MALFORMED', `longer than ${limits.certificateBytesMax} bytes`);
  if (typeof untrusted !== 'string') return Buffer.from(untrusted);
  const base64 = PEM.exec(untrusted)?.[1]?.replaceAll(/[\r\n]/g, '') ?? '';
  const der = Buffer.from(base64, 'base64');
  if (base64 === '' || der.toString('base64') !== base64)
    refuse('CERTIFICATE_MALFORMED', 'expected the PEM text of exactly one certificate');
  return der;
}

function leafOf(der: Buffer): Certificate {
  const x509 = new X509Certificate(der);
  if (!x509.raw.equals(der))
    refuse('CERTIFICATE_MALFORMED', 'there are bytes beside the certificate, or it is not DER');
  const { spki, extensions } = fieldsOf(der);
  const publicKeyJwk = jwkOfSpki(spki);
  createPublicKey({ key: { ...publicKeyJwk }, format: 'jwk' });
  if (constraintsOf(extensions).authority)
    refuse('CERTIFICATE_IS_CA', 'the certificate is that of an authority, not of a caller');
  const usages = usagesOf(extensions);
  const endpoint = endpointOf(extensions);
  if (endpoint === undefined && usages.server)
    refuse('CERTIFICATE_WITHOUT_ENDPOINT', 'an instance needs one https URI as alternative name');
  if (endpoint !== undefined && !usages.server)
    refuse('CERTIFICATE_WRONG_USAGE', 'an instance needs both clientAuth and serverAuth');
  return {
    certificateId: certificateIdOfJwk(publicKeyJwk),
    ...(endpoint === undefined ? {} : { endpoint }),
    subject: x509.subject,
    notBefore: x509.validFromDate.toISOString(),
    notAfter: x509.validToDate.toISOString(),
    pem: x509.toString(),
    raw: der,
    usages,
    publicKeyJwk,
  };
}

/** Of GeneralName [2] and [6], of TBSCertificate [0] and [3]. */
const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  sequence: 0x30,
  dnsName: 0x82,
  uri: 0x86,
  version: 0xa0,
  extensions: 0xa3,
} as const;

/** `content` is without tag and length. */
type Element = Readonly<Record<'whole' | 'content', Buffer>>;

/** Reads elements of DER one after the other; lengths only in their shortest form. */
class DerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Whether the next element has the tag. */
  sees(tag: number): boolean {
    return this.#bytes[this.#at] === tag;
  }

  /** The next element, which must have the tag. */
  take(tag: number): Element {
    if (!this.sees(tag)) refuse('CERTIFICATE_MALFORMED', 'a member is missing or out of place');
    return this.takeAny();
  }

  takeAny(): Element {
    const start = this.#at;
    const { length, size } = this.#lengthAt(start + 1);
    this.#at = start + 1 + size + length;
    if (this.#at > this.#bytes.length)
      refuse('CERTIFICATE_MALFORMED', 'a member ends after what holds it');
    const whole = this.#bytes.subarray(start, this.#at);
    return { whole, content: whole.subarray(1 + size) };
  }

  inside(tag: number): DerReader {
    return new DerReader(this.take(tag).content);
  }

  #lengthAt(at: number): { readonly length: number; readonly size: number } {
    const first = this.#bytes.readUInt8(at);
    if (first < 0x80) return { length: first, size: 1 };
    const octets = first - 0x80;
    const length = octets === 1 || octets === 2 ? this.#bytes.readUIntBE(at + 1, octets) : 0;
    if (length < 0x80 || length < 2 ** (8 * (octets - 1)))
      refuse('CERTIFICATE_MALFORMED', 'a length is not in its shortest form');
    return { length, size: 1 + octets };
  }
}

type Extensions = ReadonlyMap<string, Buffer>;

/** Object identifiers by the hex of their DER content. */
const OID = {
  keyUsage: '551d0f',
  alternativeName: '551d11',
  basicConstraints: '551d13',
  extendedKeyUsage: '551d25',
  serverAuth: '2b06010505070301',
  clientAuth: '2b06010505070302',
} as const;
const understood = new Set<string>(Object.values(OID));

/** What Node does not show: version, exact key bytes, criticality (RFC 5280 section 4.1). */
function fieldsOf(der: Buffer): { readonly spki: Buffer; readonly extensions: Extensions } {
  const tbs = new DerReader(der).inside(TAG.sequence).inside(TAG.sequence);
  const version = tbs.sees(TAG.version) ? tbs.take(TAG.version).content.toString('hex') : '';
  if (version !== '020102')
    refuse('CERTIFICATE_NOT_V3', 'the certificate is not one of X.509 version 3');
  tbs.take(TAG.integer);
  // Signature algorithm, issuer, validity, subject: Node reads these.
  for (let member = 0; member < 4; member += 1) tbs.take(TAG.sequence);
  const spki = tbs.take(TAG.sequence).whole;
  return { spki, extensions: extensionsOf(tbs.inside(TAG.extensions).inside(TAG.sequence)) };
}

function extensionsOf(list: DerReader): Extensions {
  const extensions = new Map<string, Buffer>();
  while (!list.done) {
    const members = list.inside(TAG.sequence);
    const id = members.take(TAG.objectIdentifier).content.toString('hex');
    const critical = members.sees(TAG.boolean) && isTrue(members.take(TAG.boolean).content);
    if (critical && !understood.has(id))
      refuse('CERTIFICATE_UNKNOWN_CRITICAL_EXTENSION', 'a critical extension is not understood');
    if (extensions.has(id)) refuse('CERTIFICATE_MALFORMED', 'an extension is there twice');
    extensions.set(id, members.take(TAG.octetString).content);
  }
  return extensions;
}

/** DER leaves false out and writes true in one way. */
function isTrue(content: Buffer): true {
  if (content.toString('hex') !== 'ff') refuse('CERTIFICATE_MALFORMED', 'a truth value is not DER');
  return true;
}

/** A sequence of nothing, in place of an extension that is not there. */
const EMPTY: Buffer = Buffer.from('3000', 'hex');

/** `pathLength`: how many authorities may stand between this one and the leaf. */
function constraintsOf(extensions: Extensions): { authority: boolean; pathLength: number } {
  const value = extensions.get(OID.basicConstraints) ?? EMPTY;
  const members = new DerReader(value).inside(TAG.sequence);
  const authority = members.sees(TAG.boolean) && isTrue(members.take(TAG.boolean).content);
  const pathLength = members.done
    ? Number.POSITIVE_INFINITY
    : members.take(TAG.integer).content.readUIntBE(0, 1);
  return { authority, pathLength };
}

/** In KeyUsage's first byte digitalSignature is 0x80, keyCertSign 0x04 and cRLSign 0x02. */
const KEY_USAGE_MASK = 0x86;

function usagesOf(extensions: Extensions): Certificate['usages'] {
  const value = extensions.get(OID.keyUsage);
  const bits = value ? new DerReader(value).take(TAG.bitString).content.readUInt8(1) : 0;
  if ((bits & KEY_USAGE_MASK) !== 0x80)
    refuse('CERTIFICATE_WRONG_USAGE', 'the key usage must be digitalSignature');
  const ids = extendedUsages(extensions.get(OID.extendedKeyUsage));
  const server = ids.includes(OID.serverAuth);
  if (!ids.includes(OID.clientAuth) || ids.length !== (server ? 2 : 1))
    refuse(
      'CERTIFICATE_WRONG_USAGE',
      'the extended key usage must be clientAuth alone, or clientAuth and serverAuth',
    );
  return { client: true, server };
}

function extendedUsages(value = EMPTY): string[] {
  const ids: string[] = [];
  const members = new DerReader(value).inside(TAG.sequence);
  while (!members.done) ids.push(members.take(TAG.objectIdentifier).content.toString('hex'));
  return ids;
}

const PRINTABLE = /^[\x21-\x7e]+$/;

function endpointOf(extensions: Extensions): string | undefined {
  const [uri, ...others] = urisOf(extensions.get(OID.alternativeName));
  if (uri === undefined) return;
  const origin = URL.canParse(uri) ? new URL(uri).origin : '';
  if (others.length > 0 || (uri !== origin && uri !== `${origin}/`))
    refuse(
      'CERTIFICATE_WRONG_ENDPOINT',
      'the endpoint must be one https URI of host and port alone, such as https://registry.example',
    );
  return origin;
}

/** The https URIs among the alternative names (RFC 5280 section 4.2.1.6). */
function urisOf(value = EMPTY): string[] {
  const uris: string[] = [];
  const names = new DerReader(value).inside(TAG.sequence);
  while (!names.done) {
    const isUri = names.sees(TAG.uri);
    const isText = isUri || names.sees(TAG.dnsName);
    const text = names.takeAny().content.toString('latin1');
    if (isText && !PRINTABLE.test(text))
      refuse('CERTIFICATE_MALFORMED', 'an alternative name has characters that no name has');
    if (isText && text.includes('*'))
      refuse('CERTIFICATE_WILDCARD', 'an alternative name holds a wildcard');
    if (isUri && /^https:/i.test(text)) uris.push(text);
  }
  return uris;
}

/** Leaf, one intermediate, root. */
const INTERMEDIATES_MAX = 1;

/**
 * Whether the certificate chains to a root among the cluster's CAs and is valid at that time. The
 * CAs are PEM, one or more, intermediates among them; the chain is at most three certificates long,
 * and each authority in it valid at that time. Throws where the CAs themselves cannot be read.
 */
export function verifyCertificate(
  certificate: Certificate,
  caPems: string | readonly string[],
  at: Date,
): { readonly outcome: 'trusted' } | RefusedCertificate {
  const authorities = authoritiesOf([caPems].flat().join('\n'), at);
  if (!chains(new X509Certificate(certificate.raw), authorities, 0))
    return refused('CERTIFICATE_UNTRUSTED', 'no CA of this cluster issued the certificate');
  const { notBefore, notAfter } = certificate;
  if (at < new Date(notBefore))
    return refused('CERTIFICATE_NOT_YET_VALID', `the certificate is valid from ${notBefore} on`);
  if (at > new Date(notAfter))
    return refused('CERTIFICATE_EXPIRED', `the certificate was valid until ${notAfter}`);
  return { outcome: 'trusted' };
}

function authoritiesOf(caPem: string, at: Date) {
  const blocks = caPem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (blocks === null)
    throw new Error('the cluster CA is no certificate: expected one or more in PEM');
  return blocks
    .map((block) => new X509Certificate(block))
    .filter((x509) => x509.ca && x509.validFromDate <= at && at <= x509.validToDate)
    .map((x509) => ({ x509, ...constraintsOf(fieldsOf(x509.raw).extensions) }));
}

type Authorities = ReturnType<typeof authoritiesOf>;

function chains(subject: X509Certificate, authorities: Authorities, between: number): boolean {
  return authorities.some(
    ({ x509, pathLength }) =>
      between <= pathLength &&
      issued(x509, subject) &&
      (issued(x509, x509) ||
        (between < INTERMEDIATES_MAX && chains(x509, authorities, between + 1))),
  );
}

function issued(issuer: X509Certificate, subject: X509Certificate): boolean {
  return subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
}
