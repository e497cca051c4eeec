import * as z from 'zod';
import { type Canonical, encodeCanonical, parseCanonical } from './canonical.ts';
import { type Digest, digestOf } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import { limits } from './limits.ts';
import { plainUpload, plainUploadDetails } from './plain-forms.ts';
import {
  base64urlSchema,
  certificateIdSchema,
  digestSchema,
  identifierSchema,
  linkSchema,
  sequenceSchema,
  textSchema,
  timestampSchema,
  uuidSchema,
  type Validated,
  validate,
} from './schema.ts';

/** The five transactions and their details: protocol section 3. */

const common = { format: z.literal('registry/transaction/v1'), transactionId: uuidSchema };
const alternative = { supersedes: linkSchema.exactOptional() };

/** 1 to 32 certificate ids without duplicates; the first is the lead. */
export const peersSchema = z
  .array(certificateIdSchema)
  .min(1)
  .max(limits.peersMax)
  .refine((peers) => new Set(peers).size === peers.length, 'expected every peer once');

const createRegistrySchema = z.strictObject({
  ...common,
  type: z.literal('create-registry'),
  detailsDigest: digestSchema,
  peers: peersSchema,
  predecessor: z
    .strictObject({ digest: digestSchema, registryId: digestSchema, sequence: sequenceSchema })
    .exactOptional(),
});

const reconfigurePeersSchema = z.strictObject({
  ...common,
  ...alternative,
  type: z.literal('reconfigure-peers'),
  peers: peersSchema,
});

/** RFC 6838 type and subtype, with parameters as given; kept, never interpreted. */
export const mediaTypeSchema = z
  .string()
  .max(255)
  .regex(
    /^[A-Za-z0-9][\w!#$&^.+-]*\/[A-Za-z0-9][\w!#$&^.+-]*(?:; ?[\w.-]+=[\x21-\x7e]+)*$/,
    'expected a media type such as application/pdf',
  );

/** Version numbers of a document: 1, 2, 3 … */
export const versionSchema = z.int().min(1);

/** Size of a document in bytes. Empty documents exist. */
export const sizeSchema = z.int().min(0).max(limits.documentBytesMax);

const uploadDocumentSchema = z.strictObject({
  ...common,
  ...alternative,
  type: z.literal('upload-document'),
  contentDigest: digestSchema,
  detailsDigest: digestSchema,
  documentId: identifierSchema,
  mediaType: mediaTypeSchema,
  size: sizeSchema,
  version: versionSchema,
});

/** RFC 7517/7518/8037: the public half of the keys that section 8 admits, nothing else. */
export const publicKeySchema = z.discriminatedUnion('kty', [
  z.strictObject({
    crv: z.enum(['P-256', 'P-384', 'P-521']),
    kty: z.literal('EC'),
    x: base64urlSchema,
    y: base64urlSchema,
  }),
  z.strictObject({ crv: z.literal('Ed25519'), kty: z.literal('OKP'), x: base64urlSchema }),
  z.strictObject({ e: z.literal('AQAB'), kty: z.literal('RSA'), n: base64urlSchema }),
]);

/** What a signature is for: ETSI TS 119 182-1, srCms. */
export const purposeSchema = z.enum(['approval', 'origin', 'receipt', 'creation']);

const requestSignatureSchema = z.strictObject({
  ...common,
  ...alternative,
  type: z.literal('request-signature'),
  detailsDigest: digestSchema,
  documentId: identifierSchema,
  dueAt: timestampSchema.exactOptional(),
  publicKey: publicKeySchema,
  purpose: purposeSchema,
  requestId: uuidSchema,
  version: versionSchema,
});

const signDocumentSchema = z.strictObject({
  ...common,
  ...alternative,
  type: z.literal('sign-document'),
  requestId: uuidSchema,
  /** Flattened JWS with detached payload (RFC 7515 section 7.2.2 and appendix F). */
  signature: z.strictObject({ protected: base64urlSchema, signature: base64urlSchema }),
});

/** Any transaction: `type` says which. */
export const transactionSchema = z.discriminatedUnion('type', [
  createRegistrySchema,
  reconfigurePeersSchema,
  uploadDocumentSchema,
  requestSignatureSchema,
  signDocumentSchema,
]);

export type Transaction = z.output<typeof transactionSchema>;
export type TransactionType = Transaction['type'];
export type CreateRegistry = z.output<typeof createRegistrySchema>;
export type ReconfigurePeers = z.output<typeof reconfigurePeersSchema>;
export type UploadDocument = z.output<typeof uploadDocumentSchema>;
export type RequestSignature = z.output<typeof requestSignatureSchema>;
export type SignDocument = z.output<typeof signDocumentSchema>;
/** A public key as JWK: RFC 7517, 7518 and 8037. */
export type SigningKey = RequestSignature['publicKey'];
/** What a signature says about the version: ETSI TS 119 182-1, srCms. */
export type Purpose = RequestSignature['purpose'];

const detailsCommon = {
  format: z.literal('registry/details/v1'),
  salt: z.string().regex(/^[0-9a-f]{32}$/, 'expected 16 random bytes as 32 lower-case hex digits'),
};
const name = textSchema(limits.nameCharactersMax);
const note = textSchema(limits.descriptionCharactersMax);

/** The details of each type that has some. */
export const detailsSchemas = {
  'create-registry': z.strictObject({ ...detailsCommon, name, description: note.exactOptional() }),
  'upload-document': z.strictObject({ ...detailsCommon, name, note: note.exactOptional() }),
  'request-signature': z.strictObject({
    ...detailsCommon,
    note: note.exactOptional(),
    signer: name,
  }),
} as const;

/** What may name people or betray content: bound by digest, redactable (sections 3 and 4). */
export type Details = z.output<(typeof detailsSchemas)[keyof typeof detailsSchemas]>;

/** A transaction with its bytes and digest, as received. */
export interface ReadTransaction {
  readonly outcome: 'read';
  readonly transaction: Transaction;
  readonly bytes: Uint8Array;
  readonly digest: Digest;
}

/** No plain form is longer; longer bytes are not worth the attempt. */
const PLAIN_BYTES_MAX = 16 * 1024;

/** Reads canonical bytes as a transaction (protocol sections 2 and 3). */
export function readTransaction(bytes: Uint8Array): ReadTransaction | Refused {
  const plain = bytes.length <= PLAIN_BYTES_MAX ? plainUpload(bytes) : undefined;
  if (plain !== undefined)
    return { outcome: 'read', transaction: plain, bytes, digest: digestOf(bytes) };
  const parsed = parseCanonical(bytes, limits.transactionBytesMax);
  if (parsed.outcome === 'refused') return parsed;
  const format = formatOf(parsed.value);
  if (format !== 'registry/transaction/v1')
    return refuse('UNKNOWN_FORMAT', `format is ${format}; expected registry/transaction/v1`);
  const valid = validate(transactionSchema, parsed.value);
  if (valid.outcome === 'refused') return valid;
  return { outcome: 'read', transaction: valid.value, bytes, digest: digestOf(bytes) };
}

/** The `format` member of a parsed value, for messages and branching. */
export function formatOf(value: Canonical): string {
  const format = (value as { readonly format?: unknown } | null)?.format;
  return typeof format === 'string' ? format : 'missing';
}

/**
 * Holds details against their transaction: present if and only if it names a digest, and that very
 * digest; schema by type; both together within the limit. Redacted details are not given here.
 */
export function checkDetails(
  read: ReadTransaction,
  details: Uint8Array | undefined,
): { readonly outcome: 'fits'; readonly details?: Details } | Refused {
  const { transaction } = read;
  if (!('detailsDigest' in transaction)) {
    if (details === undefined) return { outcome: 'fits' };
    return refuse('DETAILS_NOT_EXPECTED', `${transaction.type} has no details; leave them out`);
  }
  if (details === undefined)
    return refuse('DETAILS_MISSING', `${transaction.type} needs details beside the transaction`);
  if (read.bytes.length + details.length > limits.transactionBytesMax)
    return refuse(
      'TOO_LARGE',
      `transaction and details have ${read.bytes.length + details.length} bytes; ` +
        `at most ${limits.transactionBytesMax} are allowed`,
    );
  const valid = readDetails(transaction.type, details);
  if (valid.outcome === 'refused') return { ...valid, detail: `details: ${valid.detail}` };
  const digest = digestOf(details);
  if (digest !== transaction.detailsDigest)
    return refuse(
      'DETAILS_DIGEST_DIFFERS',
      `the details come out to ${digest}, the transaction names ${transaction.detailsDigest}`,
    );
  return { outcome: 'fits', details: valid.value };
}

function readDetails(type: keyof typeof detailsSchemas, bytes: Uint8Array): Validated<Details> {
  const plain =
    type === 'upload-document' && bytes.length <= PLAIN_BYTES_MAX
      ? plainUploadDetails(bytes)
      : undefined;
  if (plain !== undefined) return { outcome: 'valid', value: plain };
  const parsed = parseCanonical(bytes, limits.transactionBytesMax);
  return parsed.outcome === 'refused' ? parsed : validate(detailsSchemas[type], parsed.value);
}

/** A transaction without what follows from its details, as an application states it. */
export type Draft = { readonly type: TransactionType; readonly transactionId: string } & Readonly<
  Record<string, unknown>
>;

/**
 * Canonical bytes of a transaction and of its details, ready to be sent. Does not validate: the
 * reader does. `salt`: 32 hex digits from a cryptographic source.
 */
export function encodeTransaction(
  draft: Draft,
  details?: { readonly salt: string } & Readonly<Record<string, unknown>>,
): { readonly transaction: Buffer; readonly details?: Buffer } {
  if (details === undefined)
    return { transaction: encodeCanonical({ format: 'registry/transaction/v1', ...draft }) };
  const detailBytes = encodeCanonical({ format: 'registry/details/v1', ...details });
  const transaction = encodeCanonical({
    format: 'registry/transaction/v1',
    ...draft,
    detailsDigest: digestOf(detailBytes),
  });
  return { transaction, details: detailBytes };
}
