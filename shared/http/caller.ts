/** Who calls: read from the client certificate of the mutual TLS connection and nothing else. */
import type { Config } from '../config.ts';
import {
  type CertificateRefusalCode,
  readCertificate,
  verifyCertificate,
} from '../ledger/certificate.ts';
import type { CertificateId } from '../ledger/digest.ts';

export type CallerRole = 'peer' | 'application' | 'operator' | 'auditor';

export interface Caller {
  readonly certificateId: CertificateId;
  readonly role: CallerRole;
  /** Origin of a peer; absent for every other role. */
  readonly endpoint?: string;
  readonly pem: string;
}

export const callerRefusalCodes = [
  'CLIENT_CERTIFICATE_MISSING',
  'CLIENT_CERTIFICATE_MALFORMED',
  'CLIENT_CERTIFICATE_WRONG_USAGE',
  'CLIENT_CERTIFICATE_UNTRUSTED',
  'CLIENT_CERTIFICATE_NOT_YET_VALID',
  'CLIENT_CERTIFICATE_EXPIRED',
  /** On the deny list, whatever else it is. */
  'CALLER_DENIED',
  /** A certificate of the cluster that the configuration gives no role. */
  'CALLER_NOT_LISTED',
] as const;

export type CallerRefusalCode = (typeof callerRefusalCodes)[number];

export interface RefusedCaller {
  readonly outcome: 'refused';
  readonly status: 403;
  readonly code: CallerRefusalCode;
  readonly detail: string;
  /** Where the certificate could be read. */
  readonly certificateId?: CertificateId;
}

export type IdentifiedCaller =
  | { readonly outcome: 'identified'; readonly caller: Caller }
  | RefusedCaller;

type CallerConfig = Pick<
  Config,
  'clusterCaPem' | 'applications' | 'operators' | 'auditors' | 'denied'
>;

const codes: Readonly<Record<CertificateRefusalCode, CallerRefusalCode>> = {
  CERTIFICATE_MALFORMED: 'CLIENT_CERTIFICATE_MALFORMED',
  CERTIFICATE_NOT_V3: 'CLIENT_CERTIFICATE_MALFORMED',
  CERTIFICATE_NOT_CANONICAL_KEY: 'CLIENT_CERTIFICATE_MALFORMED',
  CERTIFICATE_UNKNOWN_CRITICAL_EXTENSION: 'CLIENT_CERTIFICATE_MALFORMED',
  CERTIFICATE_WILDCARD: 'CLIENT_CERTIFICATE_MALFORMED',
  CERTIFICATE_WRONG_ENDPOINT: 'CLIENT_CERTIFICATE_MALFORMED',
  CERTIFICATE_WITHOUT_ENDPOINT: 'CLIENT_CERTIFICATE_MALFORMED',
  CERTIFICATE_IS_CA: 'CLIENT_CERTIFICATE_WRONG_USAGE',
  CERTIFICATE_WRONG_USAGE: 'CLIENT_CERTIFICATE_WRONG_USAGE',
  CERTIFICATE_UNTRUSTED: 'CLIENT_CERTIFICATE_UNTRUSTED',
  CERTIFICATE_NOT_YET_VALID: 'CLIENT_CERTIFICATE_NOT_YET_VALID',
  CERTIFICATE_EXPIRED: 'CLIENT_CERTIFICATE_EXPIRED',
};

/**
 * Identifies the caller by the PEM of its certificate, as the gateway hands it over; `now` in
 * milliseconds since 1970 (protocol section 9). A certificate with an endpoint is a peer and never
 * anything else; whether it belongs to a registry's swarm is not asked here. Any other has the role
 * that the configuration gives it, the first of operator, application, auditor.
 */
export function identifyCaller(
  untrustedPem: string | undefined,
  config: CallerConfig,
  now: number,
): IdentifiedCaller {
  if (untrustedPem === undefined || untrustedPem === '')
    return refused(
      'CLIENT_CERTIFICATE_MISSING',
      'the request came without a client certificate: send one that the cluster CA issued',
    );
  const read = readCertificate(untrustedPem);
  if (read.outcome === 'refused') return refused(codes[read.code], read.reason);
  const { certificateId, endpoint, pem } = read.certificate;
  if (config.denied.has(certificateId))
    return refused(
      'CALLER_DENIED',
      `this instance denies all to the certificate ${certificateId}`,
      certificateId,
    );
  const trust = verifyCertificate(read.certificate, config.clusterCaPem, new Date(now));
  if (trust.outcome === 'refused') return refused(codes[trust.code], trust.reason, certificateId);
  if (endpoint !== undefined)
    return { outcome: 'identified', caller: { certificateId, role: 'peer', endpoint, pem } };
  const role = listedRole(certificateId, config);
  if (role === undefined)
    return refused(
      'CALLER_NOT_LISTED',
      `the certificate ${certificateId} has no role at this instance: what its operators decide, the ` +
        'operator of another instance decides at that one; whoever is to work with this instance, ' +
        'its operator lists as operator, application or auditor',
      certificateId,
    );
  return { outcome: 'identified', caller: { certificateId, role, pem } };
}

function listedRole(id: CertificateId, config: CallerConfig): CallerRole | undefined {
  if (config.operators.has(id)) return 'operator';
  if (config.applications.has(id)) return 'application';
  return config.auditors.has(id) ? 'auditor' : undefined;
}

function refused(
  code: CallerRefusalCode,
  detail: string,
  certificateId?: CertificateId,
): RefusedCaller {
  const known = certificateId === undefined ? {} : { certificateId };
  return { outcome: 'refused', status: 403, code, detail, ...known };
}
