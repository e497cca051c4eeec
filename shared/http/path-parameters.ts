/** The parameters of paths: one schema for each name, wherever it stands. */
import * as z from 'zod';
import {
  certificateIdSchema,
  digestSchema,
  identifierSchema,
  uuidSchema,
} from '../ledger/schema.ts';
import { versionSchema } from '../ledger/transaction.ts';

const NUMBER = '[1-9][0-9]{0,14}';
const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';

/** A place in a ledger, or who has it: `12` or a transaction id. */
export type EntryId = number | string;

const entryIdSchema = z
  .string()
  .regex(
    new RegExp(`^(?:${NUMBER}|${UUID})$`),
    'expected a sequence from 1, or a transaction id: a UUID in lower case',
  )
  .transform((text): EntryId => (text.includes('-') ? text : Number(text)))
  .pipe(z.union([z.int().min(1), uuidSchema]));

export const pathParameters = {
  registryId: digestSchema,
  entryId: entryIdSchema,
  transactionId: uuidSchema,
  documentId: identifierSchema,
  version: z
    .string()
    .regex(new RegExp(`^${NUMBER}$`), 'expected a version number from 1')
    .transform(Number)
    .pipe(versionSchema),
  requestId: uuidSchema,
  contentDigest: digestSchema,
  conflictId: digestSchema,
  certificateId: certificateIdSchema,
} as const;

export type PathParameters = typeof pathParameters;

export const pathDescriptions: Readonly<Record<keyof PathParameters, string>> = {
  registryId: 'The digest of the transaction that created the registry.',
  entryId: 'The sequence of the entry, or its transaction id.',
  transactionId: 'The UUID that the application chose.',
  documentId: 'The id that the application chose.',
  version: 'The number of the version, from 1.',
  requestId: 'The UUID of the signature request.',
  contentDigest: 'SHA-256 of the document in lower-case hex.',
  conflictId: 'The digest of what disagrees: all reports of the same have it.',
  certificateId: 'SHA-256 of the public key (SubjectPublicKeyInfo) in lower-case hex.',
};

/** The names in the braces of a path. */
export function namesIn(path: string): (keyof PathParameters)[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as keyof PathParameters);
}
