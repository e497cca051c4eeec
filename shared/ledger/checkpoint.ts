import * as z from 'zod';
import type { Digest } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import { type ReadStatement, readStatement } from './jws.ts';
import { certificateIdSchema, digestSchema, sequenceSchema, timestampSchema } from './schema.ts';

/** Statements about a head: protocol sections 1, 2 and 5. */

/** 1 for the first copy of a ledger at an instance; every set-aside or take-back adds one. */
export const copySchema = z.int().min(1);

const place = {
  copy: copySchema,
  digest: digestSchema,
  registryId: digestSchema,
  sequence: sequenceSchema,
  signer: certificateIdSchema,
};

/** The lead's signed statement of a head. */
export const checkpointSchema = z.strictObject({
  ...place,
  format: z.literal('registry/checkpoint/v1'),
  issuedAt: timestampSchema,
});

/** An instance's signed answer to "what is your head?"; the nonce is the asker's. */
export const headSchema = z.strictObject({
  ...place,
  format: z.literal('registry/head/v1'),
  nonce: z.string().regex(/^[0-9a-f]{32}$/, 'expected 16 bytes as 32 lower-case hex digits'),
});

export type Checkpoint = z.output<typeof checkpointSchema>;
export type HeadStatement = z.output<typeof headSchema>;

/** What a checkpoint must say to be accepted for an entry. */
export interface CheckpointExpectation {
  readonly registryId: Digest;
  readonly signer: string;
  readonly sequence: number;
  /** As computed here. */
  readonly digest: Digest;
}

/** Reads a checkpoint and holds it against what was computed here. */
export function checkCheckpoint(
  compact: string,
  expected: CheckpointExpectation,
): ReadStatement<Checkpoint> | Refused {
  const read = readStatement(compact, checkpointSchema);
  if (read.outcome === 'refused') return read;
  const { statement } = read;
  if (statement.registryId !== expected.registryId)
    return refuse('STATEMENT_REGISTRY_DIFFERS', `is about the registry ${statement.registryId}`);
  if (statement.signer !== expected.signer)
    return refuse('LEAD_DIFFERS', `signed by ${statement.signer}; the lead is ${expected.signer}`);
  if (statement.sequence !== expected.sequence || statement.digest !== expected.digest)
    return refuse(
      'CHECKPOINT_DIFFERS',
      `states entry ${statement.sequence} with ${statement.digest}; ` +
        `entry ${expected.sequence} comes out to ${expected.digest}`,
    );
  return read;
}

/** The payload of a checkpoint to be signed. */
export function checkpointOf(parts: Omit<Checkpoint, 'format'>): Checkpoint {
  return { ...parts, format: 'registry/checkpoint/v1' };
}
