/**
 * Mutual TLS in sentences. What is wrong with the caller's own certificate is found before anything
 * is sent: a server that refuses it says little, or merely hangs up. What is wrong with the server
 * is found before a byte of a request is sent.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import {
  type Certificate,
  type RefusedCertificate,
  readCertificate,
  verifyCertificate,
} from '../ledger/certificate.ts';
import type { CertificateId } from '../ledger/digest.ts';
import { type ClientCode, RegistryError } from './problem.ts';
import { type Profile, systemCodeOf } from './profile.ts';

/** Who calls, once certificate, key and CA were found to go together. */
export interface OwnIdentity {
  readonly certificate: Certificate;
  readonly key: KeyObject;
}

/**
 * Reads the caller's own certificate and key, and holds them against each other, the CA and the
 * time; `now` in milliseconds since 1970. Throws a `RegistryError` whose code begins with TLS_.
 */
export function readOwnIdentity(profile: Profile, now: number): OwnIdentity {
  const [own = '', ...others] = profile.certificatePem.match(PEM) ?? [];
  const read = readCertificate(own);
  if (read.outcome === 'refused') throw ownRefused(read);
  const { certificate } = read;
  requireValidAt(certificate, now);
  const key = fittingKey(certificate, profile.keyPem);
  requireChain(certificate, { caPem: profile.caPem, others }, now);
  return { certificate, key };
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function ownRefused({ code, reason }: RefusedCertificate): RegistryError {
  const usage = code === 'CERTIFICATE_WRONG_USAGE' || code === 'CERTIFICATE_IS_CA';
  return new RegistryError(
    usage ? 'TLS_WRONG_EXTENDED_KEY_USAGE' : 'TLS_OWN_CERTIFICATE_MALFORMED',
    `no instance takes your certificate: ${reason}; have the operator of the CA issue it again`,
    { members: { reason: code } },
  );
}

/** Asked before every request: a long-lived client may outlive its certificate. */
export function requireValidAt({ notBefore, notAfter }: Certificate, now: number): void {
  if (now < Date.parse(notBefore))
    throw new RegistryError(
      'TLS_OWN_CERTIFICATE_NOT_YET_VALID',
      `your certificate is valid from ${notBefore} on, and now is ${new Date(now).toISOString()}: ` +
        'wait, or set the clock of this machine',
    );
  if (now > Date.parse(notAfter))
    throw new RegistryError(
      'TLS_OWN_CERTIFICATE_EXPIRED',
      `your certificate was valid until ${notAfter}: have it renewed with the same key`,
    );
}

function fittingKey({ raw }: Certificate, keyPem: string): KeyObject {
  const key = keyIn(keyPem);
  if (key === undefined)
    throw new RegistryError(
      'TLS_KEY_DOES_NOT_FIT',
      'your private key cannot be read: expected PEM without a passphrase',
    );
  if (!new X509Certificate(raw).checkPrivateKey(key))
    throw new RegistryError(
      'TLS_KEY_DOES_NOT_FIT',
      'your private key is not that of your certificate: name the two that were issued together',
    );
  return key;
}

function keyIn(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

interface Issuers {
  readonly caPem: string;
  /** What stands behind the own certificate in its file. */
  readonly others: readonly string[];
}

function requireChain(certificate: Certificate, { caPem, others }: Issuers, now: number): void {
  let verdict: ReturnType<typeof verifyCertificate>;
  try {
    // A root beside one's own certificate proves nothing: only the cluster's is trusted.
    const between = others.filter((pem) => !isSelfIssued(new X509Certificate(pem)));
    verdict = verifyCertificate(certificate, [caPem, ...between], new Date(now));
  } catch (cause) {
    throw new RegistryError(
      'TLS_WRONG_CA',
      'the certificate of the cluster CA cannot be read: expected one or more in PEM',
      { cause },
    );
  }
  if (verdict.outcome === 'refused')
    throw new RegistryError(
      'TLS_WRONG_CA',
      'the CA that you name did not issue your certificate, or is not valid today: name the CA ' +
        'of the cluster that the certificate is for',
    );
}

function isSelfIssued(x509: X509Certificate): boolean {
  return x509.checkIssued(x509);
}

/** What a server must be. */
export interface ExpectedServer {
  readonly clusterCaPem: string;
  /** The only one that will do; any instance of the cluster unless given. */
  readonly certificateId?: CertificateId;
}

/**
 * What is wrong with a server whose chain TLS has accepted: its name, its profile as an instance, its
 * id. The form that `checkServerIdentity` of node:tls has.
 */
export function serverObjection(
  host: string,
  presented: PeerCertificate,
  { clusterCaPem, certificateId }: ExpectedServer,
): Error | undefined {
  if (checkServerIdentity(host, presented) !== undefined) return nameDiffers(host);
  const read = readCertificate(presented.raw);
  if (read.outcome === 'refused') return notAnInstance(read.reason);
  const { certificate } = read;
  if (!certificate.usages.server) return notAnInstance('it is that of an application');
  const verdict = verifyCertificate(certificate, clusterCaPem, new Date());
  if (verdict.outcome === 'refused') return notAnInstance(verdict.reason);
  if (certificateId !== undefined && certificate.certificateId !== certificateId)
    return new RegistryError(
      'TLS_SERVER_ID_DIFFERS',
      `the server at ${host} is the instance ${certificate.certificateId}; expected ` +
        `${certificateId}: nothing was sent to it`,
    );
  return undefined;
}

function nameDiffers(host: string): RegistryError {
  return new RegistryError(
    'TLS_SERVER_NAME_DIFFERS',
    `the certificate of the server is not for ${host}: use the name in the endpoint of the instance`,
  );
}

function notAnInstance(reason: string): RegistryError {
  return new RegistryError(
    'TLS_SERVER_NOT_TRUSTED',
    `the server is no instance of your cluster: ${reason}; check the endpoint`,
  );
}

/** What a failed connection means, as a sentence; `endpoint`: whom it was to. */
export function connectionError(cause: unknown, endpoint: string): RegistryError {
  if (cause instanceof RegistryError) return cause;
  const systemCode = systemCodeOf(cause);
  // During the handshake OpenSSL's reason stands in the message alone.
  const message = cause instanceof Error ? cause.message.toUpperCase().replaceAll(' ', '_') : '';
  const found = explanations.find(
    ({ pattern }) => pattern.test(systemCode) || pattern.test(message),
  );
  if (found === undefined)
    return new RegistryError(
      'UNREACHABLE',
      `${endpoint} does not answer (${systemCode}): see that the instance runs and that the ` +
        'network lets you reach it',
      { cause, retryable: true },
    );
  return new RegistryError(found.code, `${endpoint}: ${found.sentence} (${systemCode})`, { cause });
}

interface Explanation {
  /** Of the code that Node or OpenSSL gives. */
  readonly pattern: RegExp;
  readonly code: ClientCode;
  readonly sentence: string;
}

const explanations: readonly Explanation[] = [
  {
    pattern: /^CERT_HAS_EXPIRED$/,
    code: 'TLS_SERVER_CERTIFICATE_EXPIRED',
    sentence:
      'the certificate of the server, or its CA, has expired: tell the operator of the instance, ' +
      'and check the clock of this machine',
  },
  {
    pattern: /^CERT_NOT_YET_VALID$/,
    code: 'TLS_SERVER_CERTIFICATE_NOT_YET_VALID',
    sentence: 'the certificate of the server is not valid yet: check the clock of this machine',
  },
  {
    pattern: /^ERR_TLS_CERT_ALTNAME/,
    code: 'TLS_SERVER_NAME_DIFFERS',
    sentence: 'the certificate of the server is for another name: use the one in its endpoint',
  },
  {
    pattern:
      /SELF_SIGNED|UNABLE_TO_(?:GET_ISSUER|VERIFY_LEAF)|^CERT_(?:SIGNATURE|CHAIN|UNTRUSTED|REJECTED|REVOKED)|^INVALID_|^PATH_LENGTH/,
    code: 'TLS_SERVER_NOT_TRUSTED',
    sentence:
      'no CA that you name issued the certificate of the server: check the endpoint, and that the ' +
      'CA is the one of its cluster',
  },
  {
    pattern: /ALERT_(?:[A-Z_]*CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/,
    code: 'TLS_OWN_CERTIFICATE_REFUSED',
    sentence:
      'the server does not take your certificate: see that it was issued by the CA of its cluster',
  },
  {
    pattern: /^(?:ERR_SSL_|ERR_TLS_|EPROTO$)/,
    code: 'TLS_FAILED',
    sentence: 'TLS 1.2 or 1.3 could not be agreed on: see that an instance listens there',
  },
];
