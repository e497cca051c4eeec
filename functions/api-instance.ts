import type { Instance } from '../shared/adapters/aws/instance.ts';
import { answer, type HttpResponse, problem } from '../shared/http/problem.ts';
import { readCertificate } from '../shared/ledger/certificate.ts';
import { verifyIssuer } from '../shared/ledger/certificate-chain.ts';
import { type CertificateId, isCertificateId } from '../shared/ledger/digest.ts';
import { generationOf } from '../shared/registry/held-content.ts';
import * as documents from '../shared/registry/read-documents.ts';
import { type Handler, registryUnknown } from './api-answers.ts';
import { marked } from './api-documents.ts';

let description: Uint8Array | undefined;

/** Made when it is first asked for: a starting function needs none of it. */
export const readDescription: Handler<'readDescription'> = async () => {
  if (description === undefined) {
    const { openApi } = await import('../shared/http/open-api.ts');
    const { operations } = await import('../shared/http/operations.ts');
    description = Buffer.from(JSON.stringify(openApi(operations)));
  }
  return answer(200, description);
};

export const readInstance: Handler<'readInstance'> = async ({ instance }) => {
  const { signer, certificatePem, config } = instance;
  const read = readCertificate(certificatePem);
  const endpoint = read.outcome === 'read' ? read.certificate.endpoint : undefined;
  const { certificateId, knownIds } = signer;
  const name = config.instanceName;
  return answer(200, { name, certificateId, knownIds, endpoint, certificatePem });
};

/** Where to PUT bytes, once and exactly these; or that they are here already. */
export const requestUpload: Handler<'requestUpload'> = async ({ instance, body }) => {
  const { contentDigest, registryId, size } = body;
  const head = registryId === undefined ? undefined : await instance.store.head(registryId);
  if (registryId !== undefined && head === undefined) return registryUnknown();
  const generation = generationOf(head, contentDigest);
  const held = await instance.blobs.sizeOf(contentDigest, generation);
  if (held !== undefined && held !== size)
    return problem(
      'CONTENT_SIZE_DIFFERS',
      `the bytes with this SHA-256 are ${held} bytes long, not ${size}`,
    );
  if (held !== undefined) return answer(200, { contentDigest, size, held: true });
  const upload = await instance.blobs.uploadTarget({ contentDigest, size, generation });
  return answer(201, { contentDigest, size, held: false, upload });
};

/** Is this file registered? */
export const findContent: Handler<'findContent'> = async (request) => {
  const { instance, page } = request;
  const { contentDigest } = request.parameters;
  const { versions, next } = await documents.findContent(instance, contentDigest, page);
  const held = (await instance.blobs.sizeOf(contentDigest)) !== undefined;
  const registries = [...new Set(versions.map(({ registryId }) => registryId))];
  const shown = await Promise.all(
    registries.map((id) =>
      marked(
        instance,
        id,
        versions.filter(({ registryId }) => registryId === id),
      ),
    ),
  );
  return answer(200, { contentDigest, held, versions: shown.flat(), ...request.nextAfter(next) });
};

/** Makes an instance of the cluster known, so that it can be a peer. */
export const introduceInstance: Handler<'introduceInstance'> = async ({ instance, body }) => {
  const read = readCertificate(body.certificatePem);
  if (read.outcome === 'refused') return problem('CERTIFICATE_REFUSED', read.reason);
  const { certificate } = read;
  if (certificate.endpoint === undefined)
    return problem('CERTIFICATE_REFUSED', 'only an instance has an endpoint in its certificate');
  const issued = verifyIssuer(certificate, instance.clusterCaPem);
  if (issued.outcome === 'refused') return problem('CERTIFICATE_REFUSED', issued.reason);
  const { certificateId, endpoint, subject, notAfter } = certificate;
  // An expired one is for receipts about its time; it takes the place of none.
  const expired = instance.clock.now() > Date.parse(notAfter);
  if (!expired || (await instance.store.certificate(certificateId)) === undefined)
    await instance.store.putCertificate(certificateId, certificate.pem);
  return answer(200, { certificateId, endpoint, subject });
};

export const readPeerCertificate: Handler<'readCertificate'> = ({ instance, parameters }) =>
  certificateAnswer(instance, parameters.certificateId);

/** A certificate that is known here, the instance's own among them. */
export async function certificateAnswer(instance: Instance, id: string): Promise<HttpResponse> {
  const own = instance.signer.certificateId === id ? instance.certificatePem : undefined;
  const pem =
    own ??
    (isCertificateId(id) ? await instance.store.certificate(id as CertificateId) : undefined);
  if (pem === undefined)
    return problem('CERTIFICATE_UNKNOWN', 'no certificate with this id is known here');
  return answer(200, { certificatePem: pem });
}
