import * as z from 'zod';
import { encodeCanonical } from './canonical.ts';
import { type Digest, digestOf } from './digest.ts';
import { certificateIdSchema, digestSchema, sequenceSchema, timestampSchema } from './schema.ts';

/** A recorded, signed disagreement: protocol section 7. */

export const conflictKindSchema = z.enum([
  'digest-mismatch',
  'fork',
  'invalid-transaction',
  'document-mismatch',
  'lead-rollback',
  'local-tampering',
]);

export type ConflictKind = z.output<typeof conflictKindSchema>;

export const conflictSchema = z.strictObject({
  /** Whom the evidence accuses; `open` where it proves nobody's fault. */
  accused: z.union([z.literal('open'), certificateIdSchema]),
  detectedAt: timestampSchema,
  /** The digests that disagree: expected and found, sorted. */
  digests: z.array(digestSchema).max(4),
  /** Digests of the evidence, kept by the finder. */
  evidence: z.array(digestSchema).max(16),
  format: z.literal('registry/conflict/v1'),
  kind: conflictKindSchema,
  registryId: digestSchema,
  sequence: sequenceSchema,
  signer: certificateIdSchema,
});

export type ConflictStatement = z.output<typeof conflictSchema>;

/**
 * What makes two reports the same conflict: the digest of registry, kind, sequence, sorted digests
 * and accused. Who found it, when, and with what evidence does not enter.
 */
export function conflictIdOf(
  conflict: Pick<ConflictStatement, 'registryId' | 'kind' | 'sequence' | 'digests' | 'accused'>,
): Digest {
  const { registryId, kind, sequence, accused } = conflict;
  const digests = [...conflict.digests].sort();
  return digestOf(encodeCanonical({ registryId, kind, sequence, digests, accused }));
}

/** The payload of a conflict to be signed; sorts the digests. */
export function conflictOf(parts: Omit<ConflictStatement, 'format'>): ConflictStatement {
  return { ...parts, digests: [...parts.digests].sort(), format: 'registry/conflict/v1' };
}
