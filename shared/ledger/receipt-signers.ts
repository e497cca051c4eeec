import { readCertificate } from './certificate.ts';
import { verifyIssuer } from './certificate-chain.ts';
import type { CertificateId } from './digest.ts';
import { type Refused, refuse } from './errors.ts';

/** The certificates in a receipt: who its signers are (protocol sections 1 and 10). */

interface KnownSigner {
  readonly outcome: 'known';
  readonly certificateId: CertificateId;
}

/**
 * Signers by the text of the cluster's CA and that of the certificate. A cluster has few, and a
 * chain takes longer than all else in a receipt; bounded against flooding.
 */
const known = new Map<string, Map<string, KnownSigner>>();
const AUTHORITIES_MAX = 16;
const CERTIFICATES_MAX = 1024;

/**
 * Whose certificate it is: that of an instance, with an endpoint, that chains to the cluster's CA.
 *
 * Receipts are for years, so no certificate is judged by today's date: one that has expired since
 * was good when it signed. It is judged at the beginning of its own validity, and where the CA was
 * renewed and begins later, at the end of it. The times in statements are claims and decide nothing.
 *
 * `base64`: untrusted DER. Throws where the CA itself cannot be read.
 */
export function signerIn(base64: string, clusterCaPem: string): KnownSigner | Refused {
  const cached = known.get(clusterCaPem)?.get(base64);
  if (cached !== undefined) return cached;
  const der = Buffer.from(base64, 'base64');
  if (der.toString('base64') !== base64)
    return refuse('RECEIPT_MALFORMED', 'a certificate is not DER in base64 with padding');
  const read = readCertificate(der);
  if (read.outcome === 'refused') return refusedCertificate(read.code, read.reason);
  const { certificate } = read;
  if (certificate.endpoint === undefined)
    return refusedCertificate(
      'CERTIFICATE_WITHOUT_ENDPOINT',
      `${certificate.certificateId} is no instance`,
    );
  const verdict = verifyIssuer(certificate, clusterCaPem);
  if (verdict.outcome === 'refused') return refusedCertificate(verdict.code, verdict.reason);
  const signer = { outcome: 'known', certificateId: certificate.certificateId } as const;
  remember(clusterCaPem, base64, signer);
  return signer;
}

function refusedCertificate(code: string, reason: string): Refused {
  return refuse(
    'RECEIPT_CERTIFICATE_REFUSED',
    `a certificate is refused (${code}): ${reason}; expected one of an instance of this cluster`,
  );
}

function remember(clusterCaPem: string, base64: string, signer: KnownSigner): void {
  const ofCluster = known.get(clusterCaPem) ?? new Map<string, KnownSigner>();
  if (ofCluster.size >= CERTIFICATES_MAX) ofCluster.clear();
  ofCluster.set(base64, signer);
  if (known.size >= AUTHORITIES_MAX) known.clear();
  known.set(clusterCaPem, ofCluster);
}
