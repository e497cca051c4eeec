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
