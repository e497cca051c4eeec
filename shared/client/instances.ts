/** Who an instance is: its certificate, held against its id and the cluster's CA. */
import { readCertificate, verifyCertificate } from '../ledger/certificate.ts';
import type { CertificateId } from '../ledger/digest.ts';
import { certificateAnswer, instanceAnswer, introducedAnswer } from './answers.ts';
import type { CallOptions, Calls } from './calls.ts';
import { certificatePath } from './paths.ts';
import { notProven, RegistryError } from './problem.ts';

export interface InstanceDescription {
  /** For people: the instance's own word, as are the further ids that it says it has had. */
  readonly name: string;
  readonly knownIds: readonly CertificateId[];
  readonly certificateId: CertificateId;
  readonly endpoint: string;
  readonly certificatePem: string;
}

/** A certificate of an instance of this cluster. */
export interface InstanceCertificate {
  readonly certificateId: CertificateId;
  readonly endpoint: string;
  readonly certificatePem: string;
}

/** The instance that is called. */
export async function readInstance(
  calls: Calls,
  options?: CallOptions,
): Promise<InstanceDescription> {
  const answer = await calls.get('/v1/instance', instanceAnswer, options);
  const { name, knownIds, certificateId, certificatePem } = answer;
  return { name, knownIds, ...provenCertificate(calls, certificatePem, certificateId) };
}

/** An instance that is known there. */
export async function readInstanceCertificate(
  calls: Calls,
  certificateId: string,
  options?: CallOptions,
): Promise<InstanceCertificate> {
  const path = certificatePath(certificateId);
  const { certificatePem } = await calls.get(path, certificateAnswer, options);
  return provenCertificate(calls, certificatePem, certificateId);
}

/** Of that very id, and by the cluster's CA now or when it was valid. */
function provenCertificate(
  { connection }: Calls,
  untrustedPem: string,
  certificateId: string,
): InstanceCertificate {
  const read = readCertificate(untrustedPem);
  if (read.outcome === 'refused')
    throw notProven(`the certificate of ${certificateId} is refused: ${read.reason}`);
  const { certificate } = read;
  if (certificate.certificateId !== certificateId || certificate.endpoint === undefined)
    throw notProven(`the certificate is not that of the instance ${certificateId}`);
  // Whoever was a peer years ago may have an expired certificate by now.
  const at = [new Date(), new Date(certificate.notBefore), new Date(certificate.notAfter)];
  const trusted = at.some(
    (time) => verifyCertificate(certificate, connection.clusterCaPem, time).outcome === 'trusted',
  );
  if (!trusted) throw notProven(`no CA of this cluster issued the certificate of ${certificateId}`);
  return {
    certificateId: certificate.certificateId,
    endpoint: certificate.endpoint,
    certificatePem: certificate.pem,
  };
}

/** Makes an instance known by its certificate, so that it can be a peer; its certificate id. */
export async function introduce(
  calls: Calls,
  certificatePem: string,
  options?: CallOptions,
): Promise<CertificateId> {
  const read = readCertificate(certificatePem);
  if (read.outcome === 'refused')
    throw new RegistryError('CERTIFICATE_REFUSED', `${read.code}: ${read.reason}`);
  const body = { certificatePem };
  const answer = await calls.post('/v1/certificates', body, introducedAnswer, options);
  const { certificateId } = read.certificate;
  if (answer.certificateId !== certificateId)
    throw notProven(`${certificateId} was introduced, ${answer.certificateId} answered`);
  return certificateId;
}
