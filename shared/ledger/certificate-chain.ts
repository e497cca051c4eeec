import { X509Certificate } from 'node:crypto';
import { type Certificate, type RefusedCertificate, verifyCertificate } from './certificate.ts';

/**
 * Whether the cluster's CA issued the certificate, whatever the time is: for what was signed while it
 * was valid, and for keeping it until somebody asks for it. Judged at the beginning of its own
 * validity, or at the end, for a CA that was renewed under its key. Whoever connects asks
 * `verifyCertificate` at the time that it is.
 */
export function verifyIssuer(
  certificate: Certificate,
  caPems: string | readonly string[],
): { readonly outcome: 'trusted' } | RefusedCertificate {
  const { notBefore, notAfter } = certificate;
  const first = verifyCertificate(certificate, caPems, new Date(notBefore));
  if (first.outcome === 'trusted') return first;
  return verifyCertificate(certificate, caPems, new Date(notAfter));
}

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** When the first of the cluster's CAs expires, ISO 8601. Throws where there is none to be read. */
export function firstExpiryOf(caPem: string): string {
  const pems = caPem.match(PEM_BLOCK);
  if (pems === null) throw new Error("the cluster's CA is no certificate in PEM");
  const ends = pems.map((pem) => new X509Certificate(pem).validToDate.getTime());
  return new Date(Math.min(...ends)).toISOString();
}
