import * as z from 'zod';
import { copySchema } from './checkpoint.ts';
import { limits } from './limits.ts';
import {
  certificateIdSchema,
  digestSchema,
  linkSchema,
  sequenceSchema,
  textSchema,
} from './schema.ts';

/** People's decisions, as signed statements: the frozen formats of protocol sections 2 and 7. */

const signed = { registryId: digestSchema, signer: certificateIdSchema };
const decided = {
  /** The operator's certificate id; their own JWS over the same payload goes along. */
  decidedBy: certificateIdSchema,
  reason: textSchema(limits.descriptionCharactersMax),
};
const conflicts = z.array(digestSchema).min(1).max(limits.pageMax);

export const resolutionSchema = z.strictObject({
  ...signed,
  ...decided,
  /** The resolution that this one ends. */
  after: digestSchema.exactOptional(),
  conflicts,
  /** What is replaced or becomes void. */
  entries: z.array(linkSchema).max(limits.pageMax),
  format: z.literal('registry/resolution/v1'),
  manner: z.enum(['replay', 'expel', 'replace', 'set-aside', 'take-back', 'close']),
  /** The lead's head when it was decided. */
  through: linkSchema,
});

export const acceptanceSchema = z.strictObject({
  ...signed,
  ...decided,
  format: z.literal('registry/acceptance/v1'),
  resolution: digestSchema,
});

export const setAsideSchema = z.strictObject({
  ...signed,
  ...decided,
  conflicts,
  /** The new copy, which begins at `from`. */
  copy: copySchema,
  format: z.literal('registry/set-aside/v1'),
  from: sequenceSchema,
});

export const redactionSchema = z.strictObject({
  ...signed,
  ...decided,
  format: z.literal('registry/redaction/v1'),
  sequence: sequenceSchema,
  what: z.literal('details'),
});

export const closingSchema = z.strictObject({
  ...signed,
  digest: digestSchema,
  format: z.literal('registry/closing/v1'),
  sequence: sequenceSchema,
});

export type Resolution = z.output<typeof resolutionSchema>;
export type Acceptance = z.output<typeof acceptanceSchema>;
export type SetAside = z.output<typeof setAsideSchema>;
export type Redaction = z.output<typeof redactionSchema>;
export type Closing = z.output<typeof closingSchema>;
