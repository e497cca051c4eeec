import { readCertificate } from '../ledger/certificate.ts';
import { firstExpiryOf } from '../ledger/certificate-chain.ts';
import type { CertificateMeasure } from './metrics.ts';
import type { Alarms, Clock } from './ports.ts';

const DAY_MS = 86_400_000;

export interface CertificateDaysPorts {
  readonly alarms: Alarms;
  readonly clock: Clock;
  readonly certificatePem: string;
  readonly clusterCaPem: string;
}

/**
 * Measures how many days the instance's certificate and the cluster's CAs have left, so that people
 * hear of it in time: nothing here renews them. Of several CAs the first to expire counts, for there
 * may be certificates that only it vouches for.
 */
export function measureCertificates(ports: CertificateDaysPorts): void {
  const own = readCertificate(ports.certificatePem);
  if (own.outcome === 'read') measure(ports, 'InstanceCertificateDays', own.certificate.notAfter);
  measure(ports, 'ClusterCaDays', firstExpiryOf(ports.clusterCaPem));
}

function measure(
  { alarms, clock }: CertificateDaysPorts,
  certificate: CertificateMeasure,
  notAfter: string,
): void {
  const days = Math.floor((new Date(notAfter).getTime() - clock.now()) / DAY_MS);
  alarms.measure(certificate, days, { notAfter });
}
