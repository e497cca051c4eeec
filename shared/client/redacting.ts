/** Taking the details of an entry out of one instance's copy: an operator's decision, signed here. */
import * as z from 'zod';
import type { CertificateId, RegistryId, Sequence } from '../ledger/digest.ts';
import { signStatement } from '../ledger/jws.ts';
import { redactionOf } from '../ledger/redaction.ts';
import { redactionSchema } from '../ledger/resolution.ts';
import { validate } from '../ledger/schema.ts';
import type { CallOptions, Calls } from './calls.ts';
import { entryPath } from './paths.ts';
import { invalidArgument } from './problem.ts';

export interface NewRedaction {
  readonly registryId: string;
  readonly sequence: number;
  /** For people: who asked for it, on which ground. It is kept for ever. */
  readonly reason: string;
  /** The instance whose copy it is. */
  readonly instance: CertificateId;
}

/**
 * Signs the decision with the caller's own key, which must be that of an operator, and has the
 * instance carry it out. Repeated, it is answered with what is there.
 */
export async function redactDetails(
  calls: Calls,
  { registryId, sequence, reason, instance }: NewRedaction,
  options?: CallOptions,
): Promise<void> {
  if (reason.trim() === '')
    throw invalidArgument('reason is empty: it is signed and kept for ever, so say in it why');
  const path = `${entryPath(registryId, sequence)}/redactions`;
  const { certificate, key } = calls.connection.identity();
  const payload = redactionOf({
    registryId: registryId as RegistryId,
    sequence: sequence as Sequence,
    reason: reason.normalize('NFC'),
    decidedBy: certificate.certificateId,
    signer: instance,
  });
  const valid = validate(redactionSchema, payload);
  if (valid.outcome === 'refused') throw invalidArgument(valid.detail);
  const decision = signStatement(payload, key, certificate.publicKeyJwk);
  await calls.post(path, { decision }, z.unknown(), options);
}
