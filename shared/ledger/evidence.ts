import * as z from 'zod';
import { type Refused, refuse } from './errors.ts';
import { limits } from './limits.ts';
import {
  certificateIdSchema,
  digestSchema,
  sequenceSchema,
  textSchema,
  timestampSchema,
  validate,
} from './schema.ts';
import { carriedCommitSchema, carriedTextSchema, compactSchema } from './signed-commit.ts';

/**
 * What is kept with a conflict, so that anybody can check it again from signed bytes alone: protocol
 * section 7. The statement names the evidence by the digest of its bytes.
 *
 * Entries, transactions and details are texts inside it: their bytes survive, whatever they hold,
 * and are judged when the evidence is rechecked.
 */

/** A walk by backlinks of 53 bits, and a commit before it. */
const PATH_MAX = 128;
const LINKS_MAX = 1000;

const common = {
  format: z.literal('registry/evidence/v1'),
  registryId: digestSchema,
  sequence: z.int().min(1),
};
const detail = textSchema(limits.descriptionCharactersMax);

/** An entry with its transaction. */
const recordedSchema = z.strictObject({
  entry: carriedTextSchema,
  transaction: carriedTextSchema,
});

/**
 * From a checkpoint down to what it says of one place. Each entry of `path` is named by a backlink
 * or the configuration link of the one before it; the first is the checkpointed one. An empty path:
 * the checkpoint itself is about the place. Else the last is the entry of that place, or one of
 * those two kinds of its links names it. Subject links prove nothing here: an entry that was voided
 * may hold a wrong one, for which no later lead is to blame.
 */
const chainSchema = z.strictObject({
  checkpoint: compactSchema,
  /** Of a mirror, over the same head: who told the finder of this chain. */
  confirmation: compactSchema.exactOptional(),
  path: z.array(carriedTextSchema).max(PATH_MAX),
});

const forkSchema = z.strictObject({
  ...common,
  kind: z.literal('fork'),
  chains: z.tuple([chainSchema, chainSchema]),
});

const invalidTransactionSchema = z.strictObject({
  ...common,
  kind: z.literal('invalid-transaction'),
  /** As it was delivered; the accused entry is in it. */
  commit: carriedCommitSchema,
  /** Entries that only connect the witnesses with the commit. */
  links: z.array(carriedTextSchema).max(LINKS_MAX),
  /** Earlier entries that show which state made the accused one invalid. */
  witnesses: z.array(recordedSchema).max(limits.pageMax),
});

const digestMismatchSchema = z.strictObject({
  ...common,
  kind: z.literal('digest-mismatch'),
  /** As they were received: at least one of them does not come out to its checkpoint. */
  deliveries: z.array(carriedCommitSchema).min(1).max(3),
});

const documentMismatchSchema = z.strictObject({
  ...common,
  kind: z.literal('document-mismatch'),
  /** When the bytes were first asked for. */
  since: timestampSchema,
  sources: z
    .array(
      z.strictObject({
        /** `digest-differs`, `size-differs`, `not-held`, `unreachable`, or in other words. */
        found: textSchema(200),
        peer: certificateIdSchema,
      }),
    )
    .max(limits.peersMax),
  upload: recordedSchema,
});

const leadRollbackSchema = z.strictObject({
  ...common,
  kind: z.literal('lead-rollback'),
  /** That the lead itself signed, above its head. Absent where the table is another one. */
  checkpoint: compactSchema.exactOptional(),
  detail,
  /** What the lead holds. */
  head: z.strictObject({ digest: digestSchema, sequence: sequenceSchema }),
});

const localTamperingSchema = z.strictObject({
  ...common,
  kind: z.literal('local-tampering'),
  /** What was expected, and what was found. */
  detail,
  /** The stored bytes in base64, as far as they could be read. */
  storedBase64: z
    .array(z.string().max(2 * limits.transactionBytesMax))
    .max(16)
    .exactOptional(),
});

export const evidenceSchema = z.discriminatedUnion('kind', [
  forkSchema,
  invalidTransactionSchema,
  digestMismatchSchema,
  documentMismatchSchema,
  leadRollbackSchema,
  localTamperingSchema,
]);

export type Evidence = z.output<typeof evidenceSchema>;
export type EvidenceOf<Kind extends Evidence['kind']> = Extract<Evidence, { kind: Kind }>;
export type ForkChain = EvidenceOf<'fork'>['chains'][number];

/**
 * The bytes of evidence: JSON with sorted names, escaped where it would not be in normalization form
 * C: the same for the same evidence, and holding any text, also one that is not canonical. What has more than
 * `limits.evidenceBytesMax` is refused by `readEvidence`.
 */
export function encodeEvidence(evidence: Evidence): Buffer {
  const text = JSON.stringify(evidence, sorted);
  // Most text is in that form already, and six times as long escaped.
  if (text.normalize('NFC') === text) return Buffer.from(text);
  return Buffer.from(text.replaceAll(/[^ -~]/g, escaped), 'latin1');
}

function sorted(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Of one UTF-16 unit; JSON.stringify has escaped the control characters. */
function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads untrusted bytes: size, UTF-8, JSON, schema. What is inside is still untrusted. */
export function readEvidence(
  bytes: Uint8Array,
): { readonly outcome: 'read'; readonly evidence: Evidence } | Refused {
  if (bytes.length > limits.evidenceBytesMax)
    return malformed(`has ${bytes.length} bytes; at most ${limits.evidenceBytesMax} are allowed`);
  const parsed = parse(bytes);
  if (parsed === undefined) return malformed('is not JSON in UTF-8');
  const valid = validate(evidenceSchema, parsed.value);
  if (valid.outcome === 'refused') return malformed(`${valid.code}: ${valid.detail}`);
  return { outcome: 'read', evidence: valid.value };
}

function parse(bytes: Uint8Array): { readonly value: unknown } | undefined {
  try {
    const text = utf8.decode(bytes);
    // A file about the conflict holds it as a string, and strings are in this form.
    return text.normalize('NFC') === text ? { value: JSON.parse(text) } : undefined;
  } catch {
    return undefined;
  }
}

function malformed(detail: string): Refused {
  return refuse('EVIDENCE_MALFORMED', `the evidence ${detail}`);
}
