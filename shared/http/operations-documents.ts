/** Operations about documents and their versions. */
import * as z from 'zod';
import { digestSchema, identifierSchema, linkSchema, timestampSchema } from '../ledger/schema.ts';
import { mediaTypeSchema, sizeSchema, versionSchema } from '../ledger/transaction.ts';
import { defineOperations } from './operation.ts';
import { sequencePosition } from './positions.ts';
import { READERS } from './roles.ts';
import { described, named, supersededMark, words } from './schema-names.ts';

/** What every answer about a version says of it. */
export function versionMembers() {
  return {
    documentId: identifierSchema,
    version: versionSchema,
    name: words.exactOptional(),
    note: words.exactOptional(),
    redacted: described(
      z.literal(true).exactOptional(),
      'Name and note are gone by a decision of people.',
    ),
    entry: described(linkSchema, 'The entry that recorded it.'),
    recordedAt: described(timestampSchema, "The timestamp of that entry, by the lead's clock."),
    contentDigest: digestSchema,
    size: sizeSchema,
    mediaType: mediaTypeSchema,
    superseded: supersededMark.exactOptional(),
  };
}

const versions = described(versionSchema, 'How many there are: 1 to the newest.');
const held = described(z.boolean(), 'Whether this instance has the bytes.');

const look = named('ContentLook', 'What the bytes look like: a hint that nobody signed.', () =>
  z.strictObject({
    looksLike: described(
      z.enum(['application/x-step', 'application/pdf', 'application/zip']).exactOptional(),
      'Absent where the beginning is nothing that is recognised.',
    ),
    warning: described(z.string().exactOptional(), 'The declared media type says something else.'),
    ifc: described(
      z
        .strictObject({
          schema: z.string().exactOptional(),
          project: z.string().exactOptional(),
          application: z.string().exactOptional(),
          fileName: z.string().exactOptional(),
          organization: z.string().exactOptional(),
        })
        .exactOptional(),
      'What a building model says of itself.',
    ),
  }),
);
const unsignedLook = described(look.exactOptional(), 'Absent while the bytes are not held.');

const documentList = named('Documents', 'Documents by their newest versions.', () =>
  z.strictObject({
    documents: z.array(z.strictObject({ ...versionMembers(), versions })),
    next: z.string().exactOptional(),
  }),
);

const document = named('Document', 'A document by its newest version.', () =>
  z.strictObject({ ...versionMembers(), versions, held, look: unsignedLook }),
);

const versionList = named('DocumentVersions', 'Versions in the order of their numbers.', () =>
  z.strictObject({
    versions: z.array(z.strictObject(versionMembers())),
    next: z.string().exactOptional(),
  }),
);

const version = named('DocumentVersion', 'One recorded version.', () =>
  z.strictObject({ ...versionMembers(), held, look: unsignedLook }),
);

const address = named('ContentAddress', 'Anybody can GET it for five minutes.', () =>
  z.strictObject({
    contentDigest: digestSchema,
    size: sizeSchema,
    url: z.url(),
    expiresAt: timestampSchema,
  }),
);

const DOCUMENTS = '/v1/registries/{registryId}/documents';
const VERSIONS = `${DOCUMENTS}/{documentId}/versions` as const;
const UNKNOWN = ['REGISTRY_UNKNOWN', 'DOCUMENT_UNKNOWN'] as const;

export const documentOperations = defineOperations({
  listDocuments: {
    method: 'GET',
    path: DOCUMENTS,
    tag: 'documents',
    summary: 'The documents of a registry',
    description: 'What was recorded within the last second may be missing.',
    roles: READERS,
    list: sequencePosition,
    answers: {
      200: { description: 'In the order of their first versions.', schema: documentList },
    },
    problems: ['REGISTRY_UNKNOWN'],
  },
  readDocument: {
    method: 'GET',
    path: `${DOCUMENTS}/{documentId}`,
    tag: 'documents',
    summary: 'A document by its newest version',
    roles: READERS,
    answers: { 200: { description: 'The newest version.', schema: document } },
    problems: UNKNOWN,
  },
  listVersions: {
    method: 'GET',
    path: VERSIONS,
    tag: 'documents',
    summary: 'The versions of a document',
    roles: READERS,
    list: sequencePosition,
    answers: { 200: { description: 'In the order of their numbers.', schema: versionList } },
    problems: UNKNOWN,
  },
  readVersion: {
    method: 'GET',
    path: `${VERSIONS}/{version}`,
    tag: 'documents',
    summary: 'One version of a document',
    roles: READERS,
    answers: { 200: { description: 'The version.', schema: version } },
    problems: UNKNOWN,
  },
  readContent: {
    method: 'GET',
    path: `${VERSIONS}/{version}/content`,
    tag: 'documents',
    summary: 'A short-lived address of the bytes of a version',
    description: 'Treat the address as a secret. Compare the SHA-256 of what you downloaded.',
    roles: READERS,
    answers: { 200: { description: 'Where the bytes are for now.', schema: address } },
    problems: [...UNKNOWN, 'CONTENT_NOT_HELD'],
    expires: true,
  },
});
