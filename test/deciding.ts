/** Conflicts that instances of a cluster in memory report, and what their operators sign. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { encodeCanonical } from '../shared/ledger/canonical.ts';
import { certificateIdOfJwk } from '../shared/ledger/certificate.ts';
import type { CertificateId, Digest, RegistryId } from '../shared/ledger/digest.ts';
import { signStatement } from '../shared/ledger/jws.ts';
import type { Acceptance, Resolution, SetAside } from '../shared/ledger/resolution.ts';
import { readTransaction } from '../shared/ledger/transaction.ts';
import { textOf } from '../shared/registry/messages.ts';
import { ownTampering, reportConflict } from '../shared/registry/report-conflict.ts';
import type { TestCertificate } from './certificate-authority.ts';
import type { ApiAnswer, MemoryInstance } from './memory-cluster.ts';

/** The instance finds that its own copy of that entry is not what it was; the conflict's id. */
export function reportTampering(
  { ports }: MemoryInstance,
  registryId: RegistryId,
  sequence: number,
): Promise<Digest> {
  const disagreement = ownTampering(ports, registryId, sequence, `entry ${sequence} was changed`);
  return reportConflict(ports, registryId, disagreement);
}

/** The instance gets the bytes of that version from nobody; the conflict's id. */
export async function reportMissingBytes(
  { ports, known }: MemoryInstance,
  registryId: RegistryId,
  sequence: number,
): Promise<Digest> {
  const [stored] = await known.entries(registryId, 1, { from: sequence, count: 1 });
  const read = stored === undefined ? undefined : readTransaction(stored.transaction);
  if (stored === undefined || read?.outcome !== 'read' || !('contentDigest' in read.transaction))
    throw new Error(`entry ${sequence} is no upload-document`);
  return reportConflict(ports, registryId, {
    kind: 'document-mismatch',
    sequence,
    accused: 'open',
    digests: [read.transaction.contentDigest],
    evidence: {
      format: 'registry/evidence/v1',
      kind: 'document-mismatch',
      registryId,
      sequence,
      since: new Date(ports.clock.now()).toISOString(),
      sources: [],
      upload: { entry: textOf(stored.entry), transaction: textOf(stored.transaction) },
    },
    detail: 'nobody has the bytes',
  });
}

/** What the operator of an instance signs, whatever it says. */
export function signedBy({ keyPem, certificatePem }: TestCertificate, statement: object): string {
  const { x = '', y = '' } = createPublicKey(certificatePem).export({ format: 'jwk' });
  return signStatement(statement as Parameters<typeof signStatement>[0], createPrivateKey(keyPem), {
    crv: 'P-256',
    kty: 'EC',
    x,
    y,
  });
}

/** The certificate id of a caller, as the ledger has it. */
export function idOf({ certificatePem }: TestCertificate): CertificateId {
  const { x = '', y = '' } = createPublicKey(certificatePem).export({ format: 'jwk' });
  return certificateIdOfJwk({ crv: 'P-256', kty: 'EC', x, y });
}

/** The payload of a decision of the instance's operator, at the head as it is there. */
export async function resolutionAt(
  instance: MemoryInstance,
  registryId: RegistryId,
  changes: Partial<Resolution> & Pick<Resolution, 'conflicts' | 'manner'>,
): Promise<Resolution> {
  const head = await instance.known.head(registryId);
  if (head === undefined) throw new Error(`${instance.name} has no such registry`);
  return {
    format: 'registry/resolution/v1',
    registryId,
    signer: instance.id,
    decidedBy: idOf(instance.operator),
    reason: 'Besprechung vom 3. November',
    through: { sequence: head.sequence, digest: head.digest },
    entries: [],
    ...changes,
  };
}

/** The instance's operator accepts the resolution. */
export function acceptanceAt(
  instance: MemoryInstance,
  registryId: RegistryId,
  resolution: Digest,
): Acceptance {
  return {
    format: 'registry/acceptance/v1',
    registryId,
    signer: instance.id,
    decidedBy: idOf(instance.operator),
    reason: 'einverstanden',
    resolution,
  };
}

/** The instance's operator sets its copy aside. */
export function setAsideAt(
  instance: MemoryInstance,
  registryId: RegistryId,
  changes: Pick<SetAside, 'conflicts' | 'from'> & Partial<SetAside>,
): SetAside {
  return {
    format: 'registry/set-aside/v1',
    registryId,
    signer: instance.id,
    decidedBy: idOf(instance.operator),
    reason: 'Kopie beschädigt',
    copy: 2 as SetAside['copy'],
    ...changes,
  };
}

/** Posts what the instance's operator signed. */
export function decide(
  instance: MemoryInstance,
  registryId: RegistryId,
  route: 'resolutions' | 'acceptances' | 'set-asides',
  statement: object,
): Promise<ApiAnswer> {
  const body = { decision: signedBy(instance.operator, statement) };
  return asOperator(instance, 'POST', `/v1/registries/${registryId}/${route}`, body);
}

/** A call of the instance's operator. */
export function asOperator(
  instance: MemoryInstance,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<ApiAnswer> {
  const bytes = body === undefined ? undefined : encodeCanonical(body);
  return instance.callRaw(method, path, bytes, instance.operator.certificatePem);
}
