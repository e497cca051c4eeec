/**
 * The certificates of a cluster: its CA, its instances, its applications. Public CAs issue no
 * client certificates, so a cluster has its own; one that a company already runs serves as well.
 */
import 'reflect-metadata';
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  X509Certificate as IssuingCertificate,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import {
  certificateIdOfSpki,
  readCertificate,
  verifyCertificate,
} from '../shared/ledger/certificate.ts';
import type { CertificateId } from '../shared/ledger/digest.ts';
import { CommandMistake } from './command.ts';

/** A CA that issues: its certificate and its private key, PEM both. */
export interface CertificateAuthority {
  /** A root, or an intermediate followed by its root. */
  readonly certificatePem: string;
  /** EC on P-256 or P-384, or RSA of 2048 bits and more. */
  readonly privateKeyPem: string;
}

export interface IssuedCertificate {
  readonly certificatePem: string;
  /** PKCS#8. */
  readonly privateKeyPem: string;
  readonly certificateId: CertificateId;
}

/** A request that cannot be fulfilled; the message says what was wrong and what to do. */
export class CertificateMistake extends CommandMistake {}

const DAY_MS = 86_400_000;
/** Certificates are valid from an hour ago, for peers whose clocks are behind. */
const CLOCK_SKEW_MS = 3_600_000;

/** RFC 5280, upper bound of a common name. */
const NAME_CHARACTERS_MAX = 64;
const LEAF_DAYS = 365;
const DAYS_MAX = 3650;
const AUTHORITY_YEARS = 10;
const YEARS_MAX = 50;

/** A new root on P-256 that issues certificates of callers and no other CAs. */
export async function createCertificateAuthority(wanted: {
  readonly name: string;
  /** 10 unless given. */
  readonly years?: number;
}): Promise<IssuedCertificate> {
  const days = 365 * within(wanted.years ?? AUTHORITY_YEARS, YEARS_MAX, 'years');
  const key = newKey();
  const publicKey = publicKeyOf(key);
  const name = nameOf(wanted.name);
  const certificate = await X509CertificateGenerator.create({
    ...(await signingWith(key)),
    ...validity(days),
    serialNumber: newSerial(),
    subject: name,
    issuer: name,
    publicKey,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    privateKeyPem: pemOf(key),
    certificateId: certificateIdOfSpki(publicKey),
  };
}

export interface WantedCertificate {
  readonly authority: CertificateAuthority;
  /** Common name. */
  readonly name: string;
  /** 365 unless given. */
  readonly days?: number;
  /** An existing P-256 key: the certificate id stays what it was. A new key unless given. */
  readonly keyPem?: string;
}

/** A certificate for an instance: it answers at the endpoint, and calls its peers. */
export async function issueInstanceCertificate(
  wanted: WantedCertificate & { readonly endpoint: string },
): Promise<IssuedCertificate> {
  const { origin, hostname } = endpointOf(wanted.endpoint);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return await issue(wanted, [
    new ExtendedKeyUsageExtension([CLIENT_AUTH, SERVER_AUTH]),
    new SubjectAlternativeNameExtension([
      { type: 'url', value: origin },
      { type: isIP(host) === 0 ? 'dns' : 'ip', value: host },
    ]),
  ]);
}

/** A certificate for an application, an operator or an auditor: it calls and never answers. */
export async function issueApplicationCertificate(
  wanted: WantedCertificate,
): Promise<IssuedCertificate> {
  return await issue(wanted, [new ExtendedKeyUsageExtension([CLIENT_AUTH])]);
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

async function issue(wanted: WantedCertificate, own: Extension[]): Promise<IssuedCertificate> {
  const authority = readAuthority(wanted.authority);
  const key = wanted.keyPem === undefined ? newKey() : existingKey(wanted.keyPem);
  const publicKey = publicKeyOf(key);
  const times = validity(within(wanted.days ?? LEAF_DAYS, DAYS_MAX, 'days'));
  if (times.notAfter > authority.validTo)
    throw new CertificateMistake(
      `the certificate would outlive its CA, which ends on ${dayOf(authority.validTo)}: ` +
        'choose fewer days, or renew the CA',
    );
  const certificate = await X509CertificateGenerator.create({
    ...(await signingWith(authority.key)),
    ...times,
    serialNumber: newSerial(),
    subject: nameOf(wanted.name),
    issuer: authority.issuer.subjectName,
    publicKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      ...own,
      await SubjectKeyIdentifierExtension.create(publicKey),
      await authorityKeyIdentifier(authority.issuer),
    ],
  });
  const certificatePem = `${certificate.toString('pem')}\n`;
  return {
    certificatePem,
    privateKeyPem: pemOf(key),
    certificateId: accept(certificatePem, wanted),
  };
}

/** What is issued here is what an instance accepts: read and verified as an instance does it. */
function accept(certificatePem: string, { authority }: WantedCertificate): CertificateId {
  const read = readCertificate(certificatePem);
  if (read.outcome === 'refused')
    throw new CertificateMistake(`no instance would accept the certificate: ${read.reason}`);
  const trust = verifyCertificate(read.certificate, authority.certificatePem, new Date());
  if (trust.outcome === 'refused')
    throw new CertificateMistake(
      'no instance would trust the certificate: give a CA that is valid now, as a root, or as an ' +
        'intermediate with its root after it in the same file',
    );
  return read.certificate.certificateId;
}

/** The issuer's own identifier, which need not be made the way the library makes it. */
async function authorityKeyIdentifier(issuer: IssuingCertificate): Promise<Extension> {
  const own = issuer.getExtension(SubjectKeyIdentifierExtension);
  return own
    ? new AuthorityKeyIdentifierExtension(own.keyId)
    : await AuthorityKeyIdentifierExtension.create(issuer.publicKey);
}

function readAuthority({ certificatePem, privateKeyPem }: CertificateAuthority) {
  const certificate = parsed(() => new X509Certificate(certificatePem));
  if (!certificate?.ca)
    throw new CertificateMistake('the CA certificate is not that of a CA: expected PEM of one');
  const key = parsed(() => createPrivateKey(privateKeyPem));
  if (key === undefined || !isAuthorityKey(key))
    throw new CertificateMistake(
      'the CA key cannot be used: expected EC on P-256 or P-384, or RSA of at least 2048 bits, ' +
        'in PEM without a passphrase',
    );
  if (!certificate.checkPrivateKey(key))
    throw new CertificateMistake('the CA key does not belong to the CA certificate: check both');
  const issuer = new IssuingCertificate(Uint8Array.from(certificate.raw));
  return { issuer, key, validTo: certificate.validToDate };
}

function isAuthorityKey({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  const { namedCurve = '', modulusLength = 0 } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === 'ec') return namedCurve in CURVES;
  return asymmetricKeyType === 'rsa' && modulusLength >= RSA_BITS_MIN;
}

function existingKey(pem: string): KeyObject {
  const key = parsed(() => createPrivateKey(pem));
  if (key?.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new CertificateMistake(
      'the key is not a P-256 private key: expected one in PEM without a passphrase',
    );
  return key;
}

function parsed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
}

/** SubjectPublicKeyInfo, DER, as named curve with an uncompressed point. */
function publicKeyOf(key: KeyObject): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(createPublicKey(key).export({ type: 'spki', format: 'der' }));
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Names of curves in OpenSSL and in WebCrypto. */
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384' };
const RSA_BITS_MIN = 2048;

async function signingWith(key: KeyObject) {
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  const hash = 'SHA-256';
  const algorithm =
    namedCurve === undefined
      ? { name: 'RSASSA-PKCS1-v1_5', hash }
      : { name: 'ECDSA', hash, namedCurve: CURVES[namedCurve] ?? namedCurve };
  return { signingKey: key.toCryptoKey(algorithm, false, ['sign']), signingAlgorithm: algorithm };
}

/** 126 random bits, positive and never shorter (RFC 5280 section 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x3f) | 0x40, 0);
  return bytes.toString('hex');
}

function validity(days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = Date.now();
  return {
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + days * DAY_MS),
  };
}

function within(value: number, max: number, unit: string): number {
  if (!Number.isInteger(value) || value < 1 || value > max)
    throw new CertificateMistake(`${value} ${unit}: expected a whole number from 1 to ${max}`);
  return value;
}

/** As attribute and value: what is in a name cannot become another attribute. */
function nameOf(name: string): JsonName {
  const length = [...name].length;
  if (length < 1 || length > NAME_CHARACTERS_MAX || /\p{Cc}/u.test(name))
    throw new CertificateMistake(
      `the name has ${length} characters or control characters: ` +
        `expected 1 to ${NAME_CHARACTERS_MAX} printable ones`,
    );
  return [{ CN: [name] }];
}

function endpointOf(endpoint: string): URL {
  const url = URL.parse(endpoint);
  const isOrigin = url?.protocol === 'https:' && `${url.origin}/` === url.href;
  if (url === null || !isOrigin || url.hostname.includes('*'))
    throw new CertificateMistake(
      `the endpoint "${endpoint}" is not one: expected https with host and port alone, ` +
        'such as https://registry.example',
    );
  return url;
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
