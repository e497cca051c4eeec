import * as z from 'zod';
import { checkpointSchema, copySchema } from './checkpoint.ts';
import type { RegistryId } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import { type ReadStatement, readStatement } from './jws.ts';
import { certificateIdSchema, digestSchema, sequenceSchema, timestampSchema } from './schema.ts';

/**
 * A mirror's signed statement that it durably holds every entry and every document byte up to a
 * checkpointed head, and computed the same digest itself: protocol sections 1 and 6.
 */
export const confirmationSchema = z.strictObject({
  confirmedAt: timestampSchema,
  copy: copySchema,
  digest: digestSchema,
  format: z.literal('registry/confirmation/v1'),
  registryId: digestSchema,
  sequence: sequenceSchema,
  signer: certificateIdSchema,
});

export type ConfirmationStatement = z.output<typeof confirmationSchema>;

/** The payload of a confirmation to be signed. */
export function confirmationOf(
  parts: Omit<ConfirmationStatement, 'format'>,
): ConfirmationStatement {
  return { ...parts, format: 'registry/confirmation/v1' };
}

export interface CheckpointedConfirmation {
  readonly outcome: 'read';
  readonly confirmation: ReadStatement<ConfirmationStatement>;
  /** Its signer is to be held against the lead in force at that sequence by the caller. */
  readonly checkpoint: ReadStatement<z.output<typeof checkpointSchema>>;
}

/**
 * Reads a confirmation together with the checkpoint that it confirms: both signatures, one
 * registry, the same sequence and digest. Alone it is worth nothing (protocol section 6).
 */
export function readConfirmation(
  registryId: RegistryId,
  confirmation: string,
  checkpoint: string,
): CheckpointedConfirmation | Refused {
  const confirmed = readStatement(confirmation, confirmationSchema);
  if (confirmed.outcome === 'refused') return confirmed;
  const checkpointed = readStatement(checkpoint, checkpointSchema);
  if (checkpointed.outcome === 'refused') return checkpointed;
  for (const { statement } of [confirmed, checkpointed])
    if (statement.registryId !== registryId)
      return refuse('STATEMENT_REGISTRY_DIFFERS', `is about the registry ${statement.registryId}`);
  const [said, issued] = [confirmed.statement, checkpointed.statement];
  if (said.sequence !== issued.sequence || said.digest !== issued.digest)
    return refuse(
      'CHECKPOINT_DIFFERS',
      `confirms entry ${said.sequence} with ${said.digest}, but the checkpoint beside it states ` +
        `entry ${issued.sequence} with ${issued.digest}`,
    );
  return { outcome: 'read', confirmation: confirmed, checkpoint: checkpointed };
}
