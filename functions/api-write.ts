import * as z from 'zod';
import type { Instance } from '../shared/adapters/aws/instance.ts';
import type { HttpHandler } from '../shared/http/http-stack.ts';
import { answer, problem } from '../shared/http/problem.ts';
import { readCertificate, verifyCertificate } from '../shared/ledger/certificate.ts';
import { isDigest, type RegistryId } from '../shared/ledger/digest.ts';
import { digestSchema } from '../shared/ledger/schema.ts';
import { sizeSchema } from '../shared/ledger/transaction.ts';
import { Appender } from '../shared/registry/append.ts';
import { appendAnswer, registryUnknown } from './api-answers.ts';
import { readJson, readProposals } from './request-body.ts';

type Handler = HttpHandler<Instance>;

/** One appender a process and key, so that concurrent requests share commits. */
export function appenders(): (instance: Instance) => Appender {
  let current: { readonly signer: Instance['signer']; readonly appender: Appender } | undefined;
  return (instance) => {
    if (current?.signer !== instance.signer)
      current = { signer: instance.signer, appender: new Appender(instance) };
    return current.appender;
  };
}

/** POST /v1/registries: entry 1, and further transactions of the same array. */
export function createRegistry(appenderOf: (instance: Instance) => Appender): Handler {
  return async ({ instance, body }) => {
    const read = readProposals(body);
    if (read.outcome === 'refused') return problem(read.code, read.detail);
    const [first] = read.proposals;
    if (first?.read.transaction.type !== 'create-registry')
      return problem('NOT_FIRST_ENTRY', 'the first transaction here must be a create-registry');
    const outcome = await appenderOf(instance).append(first.read.digest, read.proposals);
    return appendAnswer(instance, outcome);
  };
}

/** POST /v1/registries/{registryId}/transactions */
export function appendTransactions(appenderOf: (instance: Instance) => Appender): Handler {
  return async ({ instance, parameters, body }) => {
    const registryId = parameters['registryId'] ?? '';
    if (!isDigest(registryId)) return registryUnknown();
    const read = readProposals(body);
    if (read.outcome === 'refused') return problem(read.code, read.detail);
    const outcome = await appenderOf(instance).append(registryId as RegistryId, read.proposals);
    return appendAnswer(instance, outcome);
  };
}

const uploadSchema = z.strictObject({ contentDigest: digestSchema, size: sizeSchema });

/** POST /v1/uploads: where to PUT bytes, once and exactly these; or that they are here already. */
export const requestUpload: Handler = async ({ instance, body }) => {
  const valid = readJson(uploadSchema, body);
  if (valid.outcome === 'refused') return problem(valid.code, valid.detail);
  const { contentDigest, size } = valid.value;
  const held = await instance.blobs.sizeOf(contentDigest);
  if (held !== undefined && held !== size)
    return problem(
      'CONTENT_SIZE_DIFFERS',
      `the bytes with this SHA-256 are ${held} bytes long, not ${size}`,
    );
  if (held !== undefined) return answer(200, { contentDigest, size, held: true });
  const upload = await instance.blobs.uploadTarget({ contentDigest, size });
  return answer(201, { contentDigest, size, held: false, upload });
};

const certificateSchema = z.strictObject({ certificatePem: z.string() });

/** POST /v1/certificates: introduces an instance of the cluster, so that it can be a peer. */
export const introduceInstance: Handler = async ({ instance, body }) => {
  const valid = readJson(certificateSchema, body);
  if (valid.outcome === 'refused') return problem(valid.code, valid.detail);
  const read = readCertificate(valid.value.certificatePem);
  if (read.outcome === 'refused') return problem('CERTIFICATE_REFUSED', read.reason);
  const { certificate } = read;
  if (certificate.endpoint === undefined)
    return problem('CERTIFICATE_REFUSED', 'only an instance has an endpoint in its certificate');
  const now = new Date(instance.clock.now());
  const verified = verifyCertificate(certificate, instance.clusterCaPem, now);
  if (verified.outcome === 'refused') return problem('CERTIFICATE_REFUSED', verified.reason);
  await instance.store.putCertificate(certificate.certificateId, certificate.pem);
  const { certificateId, endpoint, subject } = certificate;
  return answer(200, { certificateId, endpoint, subject });
};
