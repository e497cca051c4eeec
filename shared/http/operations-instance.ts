/** Operations about the instance itself: who it is, whom it knows, which bytes it holds. */
import * as z from 'zod';
import { certificateIdSchema, digestSchema, timestampSchema } from '../ledger/schema.ts';
import { sizeSchema } from '../ledger/transaction.ts';
import { isContentPosition } from '../registry/lists.ts';
import { defineOperations } from './operation.ts';
import { versionMembers } from './operations-documents.ts';
import { jsonBody } from './request-body.ts';
import { APPENDERS, READERS } from './roles.ts';
import { certificatePemSchema, named } from './schema-names.ts';

const DIGEST = '6a1bc1547239c62178de0554fa651fdee8356c6c5ced3337a479791e61383abc';

const instance = named('Instance', 'One deployment with its own key.', () =>
  z.strictObject({
    name: z.string(),
    certificateId: certificateIdSchema,
    knownIds: z.array(certificateIdSchema),
    endpoint: z.url(),
    certificatePem: certificatePemSchema,
  }),
);

const description = named('OpenApi', 'This description.', () =>
  z.looseObject({ openapi: z.literal('3.1.1') }),
);

const upload = named('Upload', 'Whether the bytes are here, and if not, where they go.', () =>
  z.strictObject({
    contentDigest: digestSchema,
    size: sizeSchema,
    held: z.boolean(),
    upload: z
      .strictObject({
        method: z.literal('PUT'),
        url: z.url(),
        headers: z.record(z.string(), z.string()),
        expiresAt: timestampSchema,
      })
      .exactOptional(),
  }),
);

const content = named('Content', 'Where bytes with this SHA-256 are registered.', () =>
  z.strictObject({
    contentDigest: digestSchema,
    held: z.boolean(),
    versions: z.array(z.strictObject({ registryId: digestSchema, ...versionMembers() })),
    next: z.string().exactOptional(),
  }),
);

const introduced = named('IntroducedInstance', 'An instance whose certificate is known here.', () =>
  z.strictObject({
    certificateId: certificateIdSchema,
    endpoint: z.url(),
    subject: z.string(),
  }),
);

const certificate = named('Certificate', 'The certificate of an instance.', () =>
  z.strictObject({ certificatePem: certificatePemSchema }),
);

const contentPosition = z.string().refine(isContentPosition);

export const instanceOperations = defineOperations({
  readDescription: {
    method: 'GET',
    path: '/v1/openapi.json',
    tag: 'instance',
    summary: 'This description of the API',
    roles: READERS,
    answers: { 200: { description: 'OpenAPI 3.1.', schema: description } },
    problems: [],
  },
  readInstance: {
    method: 'GET',
    path: '/v1/instance',
    tag: 'instance',
    summary: 'Who this instance is',
    roles: READERS,
    answers: { 200: { description: 'The instance.', schema: instance } },
    problems: [],
  },
  requestUpload: {
    method: 'POST',
    path: '/v1/uploads',
    tag: 'instance',
    summary: 'Ask for an address for bytes',
    description:
      'PUT the bytes to the address, once and with exactly the headers given. ' +
      'The store refuses bytes that do not come out to the SHA-256. ' +
      'Where the first object of a document was found to be something else, the registry in which ' +
      'that was found takes another one: name it, and the address is for that one.',
    roles: APPENDERS,
    body: jsonBody(
      named('UploadRequest', 'The bytes that are to come.', () =>
        z.strictObject({
          contentDigest: digestSchema,
          registryId: digestSchema.exactOptional(),
          size: sizeSchema,
        }),
      ),
      'SHA-256 and size of the bytes, and the registry that they are for.',
      { contentDigest: DIGEST, registryId: DIGEST, size: 981 },
    ),
    answers: {
      200: { description: 'The bytes are here already.', schema: upload },
      201: { description: 'Where to PUT the bytes.', schema: upload },
    },
    problems: ['CONTENT_SIZE_DIFFERS', 'REGISTRY_UNKNOWN'],
  },
  findContent: {
    method: 'GET',
    path: '/v1/contents/{contentDigest}',
    tag: 'instance',
    summary: 'Whether a file is registered, and where',
    description:
      'Every version on this instance, in whatever registry, that has exactly these bytes. ' +
      'What was recorded within the last second may be missing.',
    roles: READERS,
    list: contentPosition,
    answers: { 200: { description: 'The versions; none: not here.', schema: content } },
    problems: [],
  },
  introduceInstance: {
    method: 'POST',
    path: '/v1/certificates',
    tag: 'instance',
    summary: 'Introduce an instance, so that it can be a peer',
    roles: ['application', 'operator'],
    body: jsonBody(
      named('CertificateIntroduction', 'The certificate of an instance.', () =>
        z.strictObject({ certificatePem: z.string() }),
      ),
      'The certificate of an instance of this cluster.',
      { certificatePem: '-----BEGIN CERTIFICATE-----\n…' },
    ),
    answers: { 200: { description: 'The instance is known.', schema: introduced } },
    problems: ['CERTIFICATE_REFUSED'],
  },
  readCertificate: {
    method: 'GET',
    path: '/v1/certificates/{certificateId}',
    tag: 'instance',
    summary: 'The certificate of an instance that is known here',
    roles: READERS,
    answers: { 200: { description: 'The certificate.', schema: certificate } },
    problems: ['CERTIFICATE_UNKNOWN'],
  },
});
