/** Operations about signatures by people: what is required, what is to be signed, what was. */
import * as z from 'zod';
import { refusalCodes } from '../ledger/errors.ts';
import {
  base64urlSchema,
  digestSchema,
  identifierSchema,
  linkSchema,
  timestampSchema,
  uuidSchema,
} from '../ledger/schema.ts';
import type { SignatureAlgorithm } from '../ledger/signature.ts';
import { publicKeySchema, purposeSchema, versionSchema } from '../ledger/transaction.ts';
import type { RequestStatus } from '../registry/read-requests.ts';
import { defineOperations } from './operation.ts';
import { appendAnswers } from './operations-registries.ts';
import { sequencePosition } from './positions.ts';
import { APPENDING_PROBLEMS, SIGNATURE_PROBLEMS } from './problem-groups.ts';
import { jsonBody } from './request-body.ts';
import { READERS, WRITERS } from './roles.ts';
import { described, named, supersededMark, words } from './schema-names.ts';

const algorithmSchema = z.enum([
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'PS256',
  'RS256',
] as const satisfies readonly SignatureAlgorithm[]);
const statusSchema = z.enum([
  'open',
  'overdue',
  'signed',
] as const satisfies readonly RequestStatus[]);

const recordedSignature = {
  signedBy: linkSchema,
  signedAt: described(timestampSchema, "By the lead's clock; `claimedAt` is by the signer's."),
};

const signatureRequest = named('SignatureRequest', 'One required signature.', () =>
  z.strictObject({
    requestId: uuidSchema,
    status: described(statusSchema, '`overdue`: open, and `dueAt` has passed.'),
    documentId: identifierSchema,
    version: versionSchema,
    contentDigest: described(digestSchema, 'Of that version: what is to be signed.'),
    purpose: purposeSchema,
    publicKey: publicKeySchema,
    dueAt: timestampSchema.exactOptional(),
    signer: words.exactOptional(),
    note: words.exactOptional(),
    redacted: described(
      z.literal(true).exactOptional(),
      'Signer and note are gone by a decision of people.',
    ),
    requestedBy: linkSchema,
    requestedAt: timestampSchema,
    superseded: supersededMark.exactOptional(),
    signature: z
      .union([
        z.strictObject({
          ...recordedSignature,
          claimedAt: timestampSchema,
          algorithm: algorithmSchema,
          legacy: described(z.boolean(), 'RS256: accepted for existing cards.'),
        }),
        z.strictObject({
          ...recordedSignature,
          flaw: described(
            z.enum(refusalCodes),
            'The signature does not verify any more, and this is why: audit the instance.',
          ),
        }),
      ])
      .exactOptional(),
  }),
);

const signatureRequests = named('SignatureRequests', 'In the order of their entries.', () =>
  z.strictObject({
    signatureRequests: z.array(signatureRequest),
    next: z.string().exactOptional(),
  }),
);

const signingInput = named('SigningInput', 'What the signer signs, and what it says.', () =>
  z.strictObject({
    requestId: uuidSchema,
    algorithm: algorithmSchema,
    issuedAt: timestampSchema,
    objectUrn: z.string(),
    contentDigest: digestSchema,
    purpose: purposeSchema,
    protected: described(
      base64urlSchema,
      'The protected header: to be sent back with the signature.',
    ),
    signingInput: described(z.string().regex(/^[A-Za-z0-9+/]+={0,2}$/), 'The bytes to sign.'),
    digest: described(digestSchema, 'SHA-256 of these bytes.'),
  }),
);

const wholeSecond = timestampSchema.refine(
  (text) => text.endsWith('.000Z'),
  'expected whole seconds, such as 2026-11-22T10:00:00.000Z',
);

const certificates = z
  .string()
  .regex(
    /^[\w-]+(?:,[\w-]+){0,3}$/,
    'expected one to four certificates as base64url of their DER, separated by commas',
  )
  .transform((text) => text.split(','))
  .pipe(z.array(base64urlSchema));

const givenSignature = named('GivenSignature', 'A signature over a signing input.', () =>
  z.union([
    z.strictObject({
      transactionId: described(
        uuidSchema,
        'Chosen by the client: sent again, the same one changes nothing.',
      ),
      protected: described(base64urlSchema, 'As the signing input gave it.'),
      /** As the signing program wrote it: raw, or DER where that is usual. */
      signature: z
        .string()
        .regex(
          /^[A-Za-z0-9+/_-]+={0,2}$/,
          'expected base64 or base64url of the signature, without line breaks',
        ),
    }),
    z.strictObject({
      transactionId: uuidSchema,
      jws: z.strictObject({ protected: base64urlSchema, signature: base64urlSchema }),
    }),
  ]),
);

const REQUESTS = '/v1/registries/{registryId}/signature-requests';
const REQUEST = `${REQUESTS}/{requestId}` as const;
const UNKNOWN = ['REGISTRY_UNKNOWN', 'SIGNATURE_REQUEST_UNKNOWN'] as const;
const SIGNATURE =
  'MEUCIQD3dXJ3YXMgc2lnbmVkIGhlcmUgYnkgbm9ib2R5AAAAAAAAAiBub2JvZHkgc2lnbmVkIGFueXRoaW5nIGhlcmUAAAAA';

export const signatureOperations = defineOperations({
  listSignatureRequests: {
    method: 'GET',
    path: REQUESTS,
    tag: 'signatures',
    summary: 'Signatures that are required, and that were given',
    description:
      'What was recorded within the last second may be missing. With a filter a page may be ' +
      'shorter than `limit`, even empty: go on as long as there is `next`.',
    roles: READERS,
    query: { status: statusSchema.exactOptional(), documentId: identifierSchema.exactOptional() },
    list: sequencePosition,
    answers: { 200: { description: 'In the order of their entries.', schema: signatureRequests } },
    problems: ['REGISTRY_UNKNOWN'],
  },
  readSignatureRequest: {
    method: 'GET',
    path: REQUEST,
    tag: 'signatures',
    summary: 'One required signature',
    roles: READERS,
    answers: { 200: { description: 'The request.', schema: signatureRequest } },
    problems: UNKNOWN,
  },
  readSigningInput: {
    method: 'GET',
    path: `${REQUEST}/signing-input`,
    tag: 'signatures',
    summary: 'The bytes to sign',
    description:
      'A JAdES B-B signature (ETSI TS 119 182-1), detached. Without `algorithm` it is the first ' +
      'one of the requested key (PS256 for RSA), without `issuedAt` it is now.',
    roles: READERS,
    query: {
      algorithm: algorithmSchema.exactOptional(),
      issuedAt: described(wholeSecond.exactOptional(), 'When the signer says to sign.'),
      certificate: described(
        certificates.exactOptional(),
        "The signer's certificate and those above it: base64url of the DER, the signer's first.",
      ),
    },
    answers: {
      200: {
        description: 'The signing input.',
        schema: signingInput,
        alternative: {
          mediaType: 'application/octet-stream',
          headers: {
            'x-signing-input-sha256': 'SHA-256 of the bytes in lower-case hex.',
            'x-protected-header': 'The protected header: to be sent back with the signature.',
          },
        },
      },
    },
    problems: [
      ...UNKNOWN,
      'SIGNATURE_MALFORMED',
      'SIGNATURE_ALGORITHM_NOT_ALLOWED',
      'SIGNATURE_CERTIFICATE_MALFORMED',
      'SIGNATURE_KEY_DIFFERS',
      'REQUEST_ALREADY_SIGNED',
      'REQUEST_SUPERSEDED',
    ],
  },
  giveSignature: {
    method: 'POST',
    path: `${REQUEST}/signatures`,
    tag: 'signatures',
    summary: 'Give a required signature',
    description:
      'Appends the sign-document transaction and answers as appending does. Only the lead appends.',
    roles: WRITERS,
    body: jsonBody(givenSignature, 'The signature, as a program wrote it or as flattened JWS.', {
      transactionId: '1ce39644-42df-45d0-845b-81c775d90617',
      protected: 'eyJhbGciOiJFUzI1NiJ9',
      signature: SIGNATURE,
    }),
    answers: appendAnswers,
    problems: [...UNKNOWN, ...APPENDING_PROBLEMS, ...SIGNATURE_PROBLEMS],
  },
});
