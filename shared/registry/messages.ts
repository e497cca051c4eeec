import * as z from 'zod';
import { type Refused, refuse } from '../ledger/errors.ts';
import { limits } from '../ledger/limits.ts';
import { certificateIdSchema, digestSchema, sequenceSchema, validate } from '../ledger/schema.ts';
import type { StoredEntry } from './ports.ts';

/**
 * What instances send each other: protocol section 6. The envelope is plain JSON; entries,
 * transactions and details travel as text inside it, so that their bytes arrive as they were
 * hashed, whatever they hold, and are judged afterwards.
 */

const carriedText = z.string().max(limits.transactionBytesMax);
const compact = z.string().max(2 * limits.statementBytesMax);

const carriedEntrySchema = z.strictObject({
  details: carriedText.exactOptional(),
  entry: carriedText,
  /** In place of the details: the signatures of the instance and its operator. */
  redaction: z.strictObject({ decision: compact, statement: compact }).exactOptional(),
  transaction: carriedText,
});

const commitSchema = z.strictObject({
  checkpoint: compact,
  entries: z.array(carriedEntrySchema).min(1).max(limits.commitEntriesMax),
});

const countersignedSchema = z.strictObject({ decision: compact, statement: compact });

const deliverySchema = z.strictObject({
  commits: z
    .array(commitSchema)
    .min(1)
    .max(limits.deliveryEntriesMax)
    .refine(
      (commits) =>
        commits.reduce((sum, { entries }) => sum + entries.length, 0) <= limits.deliveryEntriesMax,
      `expected at most ${limits.deliveryEntriesMax} entries`,
    ),
  /** First reports of the conflicts that those resolutions name. */
  conflicts: z.array(compact).max(limits.pageMax).exactOptional(),
  format: z.literal('registry/delivery/v1'),
  registryId: digestSchema,
  /** Every resolution that an entry of the delivery names. */
  resolutions: z.array(countersignedSchema).max(limits.pageMax).exactOptional(),
});

const statementsSchema = z.strictObject({
  format: z.literal('registry/statements/v1'),
  registryId: digestSchema,
  statements: z
    .array(
      z.strictObject({
        /** With a confirmation. */
        checkpoint: compact.exactOptional(),
        /** With what people decided: the operator's own signature. */
        decision: compact.exactOptional(),
        statement: compact,
      }),
    )
    .min(1)
    .max(limits.statementsMax),
});

const invitationSchema = z.strictObject({
  certificates: z.array(z.string().max(limits.certificateBytesMax)).max(2 * limits.peersMax),
  /** Every configuration entry, oldest first, each as the commit that holds it. */
  configurations: z.array(commitSchema).min(1).max(limits.invitationEntriesMax),
  format: z.literal('registry/invitation/v1'),
  registryId: digestSchema,
});

/** Answer to a delivery, from 200. */
const deliveryAnswerSchema = z.strictObject({
  confirmation: z.strictObject({ checkpoint: compact, statement: compact }).exactOptional(),
  digest: digestSchema,
  format: z.literal('registry/delivery-answer/v1'),
  sequence: sequenceSchema,
});

/** From 409 with the code DELIVERY_GAP, the problem's members. */
const gapSchema = z.object({ code: z.literal('DELIVERY_GAP'), next: sequenceSchema });
const problemSchema = z.object({ code: z.string(), detail: z.string().exactOptional() });
/** Statements up to `taken` were taken, the next was judged and refused. */
const refusedStatementSchema = z.object({
  code: z.string(),
  detail: z.string(),
  taken: z.int().min(0),
});
const contentAnswerSchema = z.object({ url: z.string().max(4096) });
const headAnswerSchema = z.strictObject({ head: compact });
const certificateAnswerSchema = z.object({ certificatePem: z.string() });

export const schemas = {
  delivery: deliverySchema,
  statements: statementsSchema,
  invitation: invitationSchema,
  deliveryAnswer: deliveryAnswerSchema,
  gap: gapSchema,
  problem: problemSchema,
  refusedStatement: refusedStatementSchema,
  contentAnswer: contentAnswerSchema,
  headAnswer: headAnswerSchema,
  certificateAnswer: certificateAnswerSchema,
  certificateId: certificateIdSchema,
} as const;

export type CarriedEntry = z.output<typeof carriedEntrySchema>;
export type CarriedCommit = z.output<typeof commitSchema>;
export type Delivery = z.output<typeof deliverySchema>;
export type Statements = z.output<typeof statementsSchema>;
export type Invitation = z.output<typeof invitationSchema>;
export type DeliveryAnswer = z.output<typeof deliveryAnswerSchema>;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Reads an envelope: size first, then JSON, then its schema. */
export function readMessage<Schema extends z.ZodType>(
  schema: Schema,
  bytes: Uint8Array,
  bytesMax: number = limits.deliveryBytesMax,
): { readonly outcome: 'valid'; readonly value: z.output<Schema> } | Refused {
  if (bytes.length > bytesMax)
    return refuse('TOO_LARGE', `${bytes.length} bytes; at most ${bytesMax} are allowed`);
  try {
    return validate(schema, JSON.parse(utf8.decode(bytes)));
  } catch {
    return refuse('NOT_JSON', 'the body is not JSON in UTF-8');
  }
}

export function encodeMessage(message: Delivery | Statements | Invitation): Buffer {
  return Buffer.from(JSON.stringify(message));
}

/** Stored entries as whole commits, for the wire; entries after the last checkpoint are left out. */
export function carriedCommits(entries: readonly StoredEntry[]): CarriedCommit[] {
  const commits: CarriedCommit[] = [];
  let open: CarriedEntry[] = [];
  for (const stored of entries) {
    open.push(carried(stored));
    if (stored.checkpoint === undefined) continue;
    commits.push({ entries: open, checkpoint: stored.checkpoint });
    open = [];
  }
  return commits;
}

function carried({ entry, transaction, details, redaction }: StoredEntry): CarriedEntry {
  return {
    entry: textOf(entry),
    transaction: textOf(transaction),
    ...(details === undefined ? {} : { details: textOf(details) }),
    ...(redaction === undefined ? {} : { redaction }),
  };
}

/** Stored bytes as text: they were canonical, hence UTF-8. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
