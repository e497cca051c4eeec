/** The names under which schemas stand in the API's description, each once. */
import * as z from 'zod';
import { entrySchema } from '../ledger/entry.ts';
import {
  certificateIdSchema,
  digestSchema,
  identifierSchema,
  linkSchema,
  sequenceSchema,
  timestampSchema,
  uuidSchema,
} from '../ledger/schema.ts';
import {
  detailsSchemas,
  mediaTypeSchema,
  publicKeySchema,
  sizeSchema,
  transactionSchema,
  versionSchema,
} from '../ledger/transaction.ts';

export interface SchemaWords {
  readonly id?: string;
  readonly description?: string;
  readonly examples?: unknown[];
}

export const schemaWords = z.registry<SchemaWords>();

/**
 * A schema with a name of its own. It is built when it is first used: what only the description
 * needs costs a starting function nothing.
 */
export function named<Schema extends z.ZodType>(
  id: string,
  description: string,
  build: () => Schema,
): z.ZodLazy<Schema> {
  const schema = z.lazy(build);
  schemaWords.add(schema, { id, description });
  return schema;
}

/** The same schema with words of its own. */
export function described<Schema extends z.ZodType>(schema: Schema, description: string): Schema {
  const copy = schema.clone();
  schemaWords.add(copy, { description });
  return copy;
}

const DIGEST = '6a1bc1547239c62178de0554fa651fdee8356c6c5ced3337a479791e61383abc';
const TIMESTAMP = '2026-11-22T10:00:00.000Z';
const UUID = '1ce39644-42df-45d0-845b-81c775d90617';

/** What the ledger defines, under the names of the protocol. */
const ofTheLedger: readonly (readonly [z.ZodType, string, string, unknown?])[] = [
  [digestSchema, 'Digest', 'SHA-256 in lower-case hex.', DIGEST],
  [certificateIdSchema, 'CertificateId', 'SHA-256 of a public key in lower-case hex.', DIGEST],
  [sequenceSchema, 'Sequence', 'The place of an entry, from 1 without gaps.', 12],
  [timestampSchema, 'Timestamp', 'RFC 3339 in UTC with milliseconds.', TIMESTAMP],
  [uuidSchema, 'Uuid', 'RFC 9562 in lower case.', UUID],
  [identifierSchema, 'Identifier', 'An id that the application chose.', 'ARC-0001'],
  [mediaTypeSchema, 'MediaType', 'RFC 6838.', 'application/pdf'],
  [versionSchema, 'Version', 'The number of a version, from 1 without gaps.', 1],
  [sizeSchema, 'Size', 'In bytes.', 981],
  [linkSchema, 'Link', 'An entry by its sequence and digest.', { digest: DIGEST, sequence: 12 }],
  [entrySchema, 'Entry', 'A transaction in its place: its canonical encoding gives its digest.'],
  [transactionSchema, 'Transaction', 'What is recorded; the entry names its digest.'],
  [publicKeySchema, 'PublicKey', 'A public key as JWK: RFC 7517, 7518 and 8037.'],
  [detailsSchemas['create-registry'], 'RegistryDetails', 'Words of a create-registry.'],
  [detailsSchemas['upload-document'], 'DocumentDetails', 'Words of an upload-document.'],
  [detailsSchemas['request-signature'], 'RequestDetails', 'Words of a request-signature.'],
];

for (const [schema, id, description, example] of ofTheLedger)
  schemaWords.add(schema, {
    id,
    description,
    ...(example === undefined ? {} : { examples: [example] }),
  });

export const detailsSchema = named('Details', 'What may name people; bound by its digest.', () =>
  z.union(Object.values(detailsSchemas)),
);

/** A statement of an instance. What it says is in its second part, in base64url. */
export const statementSchema = named('Statement', 'JWS compact, ES256 (RFC 7515).', () =>
  z.string().regex(/^[\w-]+\.[\w-]+\.[\w-]+$/),
);

export const certificatePemSchema = named('CertificatePem', 'An X.509 certificate as PEM.', () =>
  z.string().regex(/^-----BEGIN CERTIFICATE-----/),
);

/** On an entry, and on what it recorded. */
export const supersededMark = named('Superseded', 'It was replaced or voided by people.', () =>
  z.strictObject({
    by: described(sequenceSchema, 'The entry from which on it does not count.'),
    replacement: described(sequenceSchema.exactOptional(), 'The entry in its place.'),
    resolution: described(digestSchema, 'Of the resolution that decided it.'),
    reason: z.string(),
  }),
);

/** Texts of people: the ledger has bounded their length before. */
export const words = z.string();
