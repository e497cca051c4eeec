import * as z from 'zod';
import { asBuffer } from './as-buffer.ts';
import { backlinkPath } from './backlinks.ts';
import { encodeCanonical, parseCanonical } from './canonical.ts';
import { entrySchema } from './entry.ts';
import { type Refused, refuse } from './errors.ts';
import type { Compact } from './jws.ts';
import { limits } from './limits.ts';
import type { SignedRedaction } from './redaction.ts';
import { validate } from './schema.ts';
import { formatOf } from './transaction.ts';

/**
 * A receipt: what a client keeps for one entry, and what verifies by itself with the cluster's CA
 * and the registry id (protocol section 10). Building and reading; `verify-receipt.ts` judges it.
 *
 * What was hashed is in it as objects, not as texts: their bytes are canonical, so inside a
 * canonical receipt they are written exactly as they were hashed, and people can read them.
 */

/** Read strictly, with their digests, by `verify-receipt.ts`. */
const transactionSchema = z.looseObject({ format: z.literal('registry/transaction/v1') });
const detailsSchema = z.looseObject({ format: z.literal('registry/details/v1') });

/** Twice the bytes, for base64 of them. */
const compactSchema = z.string().max(2 * limits.statementBytesMax);
const certificateSchema = z.string().max(2 * limits.certificateBytesMax);

const configurationSchema = z.strictObject({ entry: entrySchema, transaction: transactionSchema });
const confirmationsSchema = z.array(compactSchema).max(limits.peersMax);

/** Every list has one order, so that a receipt that says the same has the same bytes. */
export const receiptSchema = z.strictObject({
  /** DER in base64 of everybody who signed something here; in ascending order of these texts. */
  certificates: z.array(certificateSchema).min(1),
  /** The nearest at or after the entry. */
  checkpoint: compactSchema,
  /** From entry 1 to the one that the entry links to, ascending; none for entry 1 itself. */
  configurations: z.array(configurationSchema),
  /** Of mirrors of the list in force at the entry, the first covering one each, in the list's order. */
  confirmations: confirmationsSchema,
  details: detailsSchema.exactOptional(),
  entry: entrySchema,
  format: z.literal('registry/receipt/v1'),
  /**
   * The checkpoint of every configuration entry that hands the lead over, by the lead before it;
   * ascending. Without it any instance could write itself a list that it leads.
   */
  handOvers: z.array(compactSchema),
  /** Only where the entry is final since a later list, with all of that list's confirmations. */
  later: z
    .strictObject({
      /** The nearest at or after the last of these configuration entries. */
      checkpoint: compactSchema,
      /** What comes after the entry, ascending; the last is the one that the entry is final since. */
      configurations: z.array(configurationSchema).min(1),
      /** Those that are not among the others already, in the order of the last list. */
      confirmations: confirmationsSchema,
    })
    .exactOptional(),
  /** All further entries on the way from the statements down to the entry, descending. */
  path: z.array(entrySchema),
  /** In place of details that were redacted: the instance's statement, the operator's decision. */
  redaction: z.strictObject({ decision: compactSchema, statement: compactSchema }).exactOptional(),
  transaction: transactionSchema,
});

export type Receipt = z.output<typeof receiptSchema>;

/** A receipt is one answer of an instance, like a delivery. Most have some 10 KB. */
export const receiptBytesMax = limits.deliveryBytesMax;

/** Canonical bytes of a configuration entry and its transaction. */
export interface ReceiptConfiguration {
  readonly entry: Uint8Array;
  readonly transaction: Uint8Array;
}

/**
 * What a receipt is made of; the bytes are canonical. In the orders of the schema, but for `path`
 * and `certificates`, which are sorted here.
 */
export interface ReceiptParts {
  readonly entry: Uint8Array;
  readonly transaction: Uint8Array;
  readonly details?: Uint8Array;
  readonly redaction?: SignedRedaction;
  readonly checkpoint: Compact;
  readonly configurations: readonly ReceiptConfiguration[];
  readonly handOvers: readonly Compact[];
  readonly confirmations: readonly Compact[];
  readonly later?: {
    readonly checkpoint: Compact;
    readonly configurations: readonly ReceiptConfiguration[];
    readonly confirmations: readonly Compact[];
  };
  readonly path: readonly Uint8Array[];
  /** DER. */
  readonly certificates: readonly Uint8Array[];
}

/** The canonical bytes of the receipt. Nothing is checked: `verifyReceipt` does. */
export function buildReceipt(parts: ReceiptParts): Buffer {
  const { details, redaction, later } = parts;
  const path = parts.path.map((bytes) => objectIn(bytes) as { readonly sequence: number });
  return encodeCanonical({
    certificates: parts.certificates.map((der) => asBuffer(der).toString('base64')).sort(),
    checkpoint: parts.checkpoint,
    configurations: configurationsIn(parts.configurations),
    confirmations: parts.confirmations,
    ...(details === undefined ? {} : { details: objectIn(details) }),
    entry: objectIn(parts.entry),
    format: 'registry/receipt/v1',
    handOvers: parts.handOvers,
    ...(later === undefined
      ? {}
      : { later: { ...later, configurations: configurationsIn(later.configurations) } }),
    path: path.sort((a, b) => b.sequence - a.sequence),
    ...(redaction === undefined ? {} : { redaction }),
    transaction: objectIn(parts.transaction),
  });
}

function configurationsIn(configurations: readonly ReceiptConfiguration[]): object[] {
  return configurations.map(({ entry, transaction }) => ({
    entry: objectIn(entry),
    transaction: objectIn(transaction),
  }));
}

function objectIn(bytes: Uint8Array): object {
  return JSON.parse(asBuffer(bytes).toString('utf8'));
}

/** The bytes that were hashed: what was parsed from canonical bytes still has their order. */
export function bytesOf(object: object): Buffer {
  return Buffer.from(JSON.stringify(object));
}

export type ParsedReceipt = { readonly outcome: 'parsed'; readonly receipt: Receipt } | Refused;

/** Reads canonical bytes as a receipt; everything inside is still untrusted. */
export function parseReceipt(untrusted: Uint8Array): ParsedReceipt {
  const parsed = parseCanonical(untrusted, receiptBytesMax);
  if (parsed.outcome === 'refused') return parsed;
  const format = formatOf(parsed.value);
  if (format !== 'registry/receipt/v1')
    return refuse('UNKNOWN_FORMAT', `format is ${format}; expected registry/receipt/v1`);
  const valid = validate(receiptSchema, parsed.value);
  if (valid.outcome === 'refused') return { ...valid, detail: `receipt: ${valid.detail}` };
  // Not what the schema put together anew: the order of members there is another.
  return { outcome: 'parsed', receipt: parsed.value as Receipt };
}

/**
 * The sequences of the way from a checkpointed or confirmed entry down to the receipt's entry, both
 * included. What stands at or beyond the entry that the receipt's is final since leads there first:
 * so it is proven to come after both.
 */
export function receiptPath(from: number, entry: number, since: number | undefined): number[] {
  if (since === undefined || from < since) return backlinkPath(from, entry);
  return [...backlinkPath(from, since), ...backlinkPath(since, entry).slice(1)];
}
