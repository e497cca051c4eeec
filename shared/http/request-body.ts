import * as z from 'zod';
import { encodeCanonical, parseCanonical } from '../ledger/canonical.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { limits } from '../ledger/limits.ts';
import { type Validated, validate } from '../ledger/schema.ts';
import { checkDetails, readTransaction, transactionSchema } from '../ledger/transaction.ts';
import type { Proposal } from '../registry/commit-plan.ts';
import type { RequestBody } from './operation.ts';
import { JSON_PROBLEMS, TRANSACTION_PROBLEMS } from './problem-groups.ts';
import { detailsSchema, named } from './schema-names.ts';

/** Bodies that applications send. */

/** The envelope around the transactions. */
const ENVELOPE_BYTES_MAX = 4096;

const transactionsSchema = named(
  'Transactions',
  'Appended together, in order, all or none. The body is canonical JSON (RFC 8785).',
  () => {
    const details = detailsSchema.exactOptional();
    const proposal = z.strictObject({ details, transaction: transactionSchema });
    return z.strictObject({
      transactions: z.array(proposal).min(1).max(limits.commitEntriesMax),
    });
  },
);

/** Transactions: canonical, so that what is hashed is what was sent. */
export const transactionsBody: RequestBody<readonly Proposal[]> = {
  description: 'Canonical JSON (RFC 8785): what is hashed is what was sent.',
  schema: transactionsSchema,
  read: readProposals,
  problems: TRANSACTION_PROBLEMS,
};

/** Reads `{"transactions":[{"details":{…},"transaction":{…}}]}`, 1 to 24 of them. */
function readProposals(body: Uint8Array): Validated<readonly Proposal[]> {
  const parsed = parseCanonical(body, limits.appendBytesMax + ENVELOPE_BYTES_MAX);
  if (parsed.outcome === 'refused') return parsed;
  const items = itemsOf(parsed.value);
  if (items === undefined)
    return refuse(
      'SCHEMA_VIOLATION',
      `expected {"transactions":[{"details":{…},"transaction":{…}}]} with 1 to ` +
        `${limits.commitEntriesMax} transactions and nothing else`,
    );
  const proposals: Proposal[] = [];
  for (const [index, item] of items.entries()) {
    const read = readProposal(item);
    if (read.outcome === 'refused')
      return { ...read, detail: `transactions.${index}: ${read.detail}` };
    proposals.push(read.proposal);
  }
  return { outcome: 'valid', value: proposals };
}

interface Item {
  readonly transaction: unknown;
  readonly details?: unknown;
}

function itemsOf(value: unknown): readonly Item[] | undefined {
  if (!hasOnly(value, ['transactions']) || !Array.isArray(value['transactions'])) return undefined;
  const items: readonly unknown[] = value['transactions'];
  if (items.length < 1 || items.length > limits.commitEntriesMax) return undefined;
  return items.every(isItem) ? items : undefined;
}

function isItem(value: unknown): value is Item {
  return hasOnly(value, ['transaction', 'details']) && 'transaction' in value;
}

function hasOnly(
  value: unknown,
  names: readonly string[],
): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.keys(value).every((name) => names.includes(name));
}

function readProposal(
  item: Item,
): { readonly outcome: 'read'; readonly proposal: Proposal } | Refused {
  // The body is canonical, so each part of it encodes to the very bytes that were received.
  const read = readTransaction(encodeCanonical(item.transaction));
  if (read.outcome === 'refused') return read;
  const details = item.details === undefined ? undefined : encodeCanonical(item.details);
  const fits = checkDetails(read, details);
  if (fits.outcome === 'refused') return fits;
  const proposal = details === undefined ? { read } : { read, details };
  return { outcome: 'read', proposal };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A body that nobody hashes: plain JSON that fits the schema. */
export function jsonBody<Schema extends z.ZodType>(
  schema: Schema,
  description: string,
  example: z.input<Schema>,
): RequestBody<z.output<Schema>> {
  const read = (body: Uint8Array) => readJson(schema, body);
  return { description, schema, read, problems: JSON_PROBLEMS, example };
}

function readJson<Schema extends z.ZodType>(
  schema: Schema,
  body: Uint8Array,
): Validated<z.output<Schema>> {
  if (body.length > limits.transactionBytesMax)
    return refuse(
      'TOO_LARGE',
      `${body.length} bytes; at most ${limits.transactionBytesMax} are allowed`,
    );
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(body));
  } catch {
    return refuse('NOT_JSON', 'the body is not JSON in UTF-8; send an object as the API describes');
  }
  return validate(schema, value);
}
