/** Operations about entries: what they hold, who confirmed them, and proof of it. */
import * as z from 'zod';
import { entrySchema } from '../ledger/entry.ts';
import { limits } from '../ledger/limits.ts';
import { receiptSchema } from '../ledger/receipt.ts';
import {
  certificateIdSchema,
  digestSchema,
  sequenceSchema,
  timestampSchema,
} from '../ledger/schema.ts';
import { transactionSchema } from '../ledger/transaction.ts';
import { defineOperations } from './operation.ts';
import { sequencePosition, sequenceText } from './positions.ts';
import { jsonBody } from './request-body.ts';
import { OPERATORS, READERS } from './roles.ts';
import {
  described,
  detailsSchema,
  named,
  statementSchema,
  supersededMark,
} from './schema-names.ts';

const redaction = named('Redaction', 'In place of details: who took them out, and why.', () =>
  z.strictObject({
    decidedBy: described(certificateIdSchema, 'The operator.'),
    decision: described(statementSchema, "The operator's signature."),
    reason: z.string(),
    signer: described(certificateIdSchema, 'The instance that took them out of its copy.'),
    statement: described(statementSchema, "The instance's signature over the same."),
  }),
);

/** What every answer about an entry says of it. */
function entryMembers() {
  return {
    sequence: sequenceSchema,
    digest: digestSchema,
    entry: entrySchema,
    transaction: transactionSchema,
    details: detailsSchema.exactOptional(),
    redaction: redaction.exactOptional(),
    checkpoint: described(statementSchema.exactOptional(), 'On the last entry of a commit.'),
    superseded: supersededMark.exactOptional(),
  };
}

const confirmed = named('FirstConfirmation', 'The first that covers the entry.', () =>
  z.strictObject({
    sequence: sequenceSchema,
    confirmedAt: timestampSchema,
    receivedAt: timestampSchema,
  }),
);

const role = z.enum(['lead', 'mirror']);

const peerConfirmation = named('PeerConfirmation', 'One peer of the list in force.', () =>
  z.strictObject({
    peer: certificateIdSchema,
    role,
    confirmed: confirmed.exactOptional(),
  }),
);

const status = named('EntryStatus', 'What the confirmations make of an entry.', () =>
  z.discriminatedUnion('status', [
    z.strictObject({ status: z.literal('recorded') }),
    z.strictObject({ status: z.literal('confirmed'), by: z.int().min(1), of: z.int().min(1) }),
    z.strictObject({ status: z.literal('final') }),
    z.strictObject({
      status: z.literal('final-since'),
      since: sequenceSchema,
      without: z.array(certificateIdSchema),
    }),
    z.strictObject({ status: z.literal('in-conflict'), conflicts: z.array(digestSchema) }),
  ]),
);

/** Every peer of the list in force at the entry has a row. */
function confirmationMembers() {
  return { confirmations: z.array(peerConfirmation), status };
}

const entryList = named('Entries', 'Entries in sequence order.', () =>
  z.strictObject({
    entries: z.array(z.strictObject(entryMembers())),
    next: z.string().exactOptional(),
  }),
);

const confirmedEntry = named('ConfirmedEntry', 'An entry with its confirmations.', () =>
  z.strictObject({ ...entryMembers(), ...confirmationMembers() }),
);

const entryConfirmations = named('EntryConfirmations', 'Who confirmed an entry.', () =>
  z.strictObject({
    sequence: sequenceSchema,
    digest: digestSchema,
    ...confirmationMembers(),
  }),
);

const confirmationTable = named('Confirmations', 'A row an entry, a column a peer.', () =>
  z.strictObject({
    peers: described(
      z.array(certificateIdSchema),
      'Every peer of every list in force at an entry of the page.',
    ),
    entries: z.array(
      z.strictObject({
        sequence: sequenceSchema,
        digest: digestSchema,
        status,
        /** In the order of the columns. */
        cells: z.array(
          z.strictObject({
            role: described(role.exactOptional(), 'Absent: not in the list in force at the entry.'),
            counts: described(z.boolean(), 'Whether it counts for the status.'),
            confirmed: confirmed.exactOptional(),
          }),
        ),
      }),
    ),
    next: z.string().exactOptional(),
  }),
);

const checkpoints = named('Checkpoints', 'Signed statements of leads, in sequence order.', () =>
  z.strictObject({
    checkpoints: z.array(
      z.strictObject({
        sequence: sequenceSchema,
        digest: digestSchema,
        issuedAt: timestampSchema,
        signer: certificateIdSchema,
        statement: statementSchema,
      }),
    ),
    next: z.string().exactOptional(),
  }),
);

const receipt = named('Receipt', 'Proof of one entry: protocol section 10.', () => receiptSchema);

const redacted = named('RedactedDetails', 'The redaction in place of the details.', () =>
  z.strictObject({ sequence: sequenceSchema, digest: digestSchema, redaction }),
);

const redactionOrder = named('RedactionOrder', 'What an operator decided, signed by them.', () =>
  z.strictObject({
    decision: described(
      z.string().max(2 * limits.statementBytesMax),
      'JWS compact, ES256, the public key in its header, over the canonical payload ' +
        '{decidedBy, format: registry/redaction/v1, reason, registryId, sequence, signer, ' +
        'what: details}; signer is this instance.',
    ),
  }),
);

const REGISTRY = '/v1/registries/{registryId}';
const ENTRY = `${REGISTRY}/entries/{entryId}` as const;
const from = described(sequenceText.exactOptional(), 'The first entry; 1 unless given.');
const to = described(sequenceText.exactOptional(), 'The last entry; the newest unless given.');
const UNKNOWN = ['REGISTRY_UNKNOWN', 'ENTRY_UNKNOWN'] as const;

export const entryOperations = defineOperations({
  listEntries: {
    method: 'GET',
    path: `${REGISTRY}/entries`,
    tag: 'entries',
    summary: 'The entries of a registry',
    description: 'A page may be shorter than `limit`, so that an answer stays within 4 MiB.',
    roles: READERS,
    query: { from, to },
    list: sequencePosition,
    answers: { 200: { description: 'In sequence order.', schema: entryList } },
    problems: ['REGISTRY_UNKNOWN'],
  },
  readEntry: {
    method: 'GET',
    path: ENTRY,
    tag: 'entries',
    summary: 'One entry with its confirmations',
    roles: READERS,
    answers: { 200: { description: 'The entry.', schema: confirmedEntry } },
    problems: UNKNOWN,
  },
  readConfirmations: {
    method: 'GET',
    path: `${ENTRY}/confirmations`,
    tag: 'entries',
    summary: 'Who confirmed an entry, and since when',
    roles: READERS,
    answers: { 200: { description: 'As this instance knows it.', schema: entryConfirmations } },
    problems: UNKNOWN,
  },
  readReceipt: {
    method: 'GET',
    path: `${ENTRY}/receipt`,
    tag: 'entries',
    summary: 'The receipt of an entry, to be kept',
    description:
      'It verifies offline with the certificate of the cluster CA and the registry id alone. ' +
      'It proves what this instance knows now: ask again once more peers have confirmed.',
    roles: READERS,
    answers: { 200: { description: 'Canonical JSON, the bytes to keep.', schema: receipt } },
    problems: [...UNKNOWN, 'CERTIFICATE_UNKNOWN'],
  },
  redactDetails: {
    method: 'POST',
    path: `${ENTRY}/redactions`,
    tag: 'entries',
    summary: "Take the details of an entry out of this instance's copy",
    description:
      'For good. Ledger, receipts and exports verify as before; other instances keep theirs. ' +
      'A repetition is answered with the first redaction.',
    roles: OPERATORS,
    body: jsonBody(redactionOrder, 'The decision, signed with the key of the calling operator.', {
      decision: 'eyJhbGciOiJFUzI1NiIsImp3ayI6…',
    }),
    answers: {
      200: { description: 'They were redacted before.', schema: redacted },
      201: { description: 'They are redacted now.', schema: redacted },
    },
    problems: [
      ...UNKNOWN,
      'DETAILS_NOT_EXPECTED',
      'REDACTION_DIFFERS',
      'STATEMENT_MALFORMED',
      'STATEMENT_SIGNER_DIFFERS',
      'STATEMENT_SIGNATURE_WRONG',
      'STATEMENT_REGISTRY_DIFFERS',
    ],
  },
  listConfirmations: {
    method: 'GET',
    path: `${REGISTRY}/confirmations`,
    tag: 'entries',
    summary: 'Who confirmed which entry, as a table',
    roles: READERS,
    query: { from, to },
    list: sequencePosition,
    answers: { 200: { description: 'In sequence order.', schema: confirmationTable } },
    problems: ['REGISTRY_UNKNOWN'],
  },
  listCheckpoints: {
    method: 'GET',
    path: `${REGISTRY}/checkpoints`,
    tag: 'entries',
    summary: 'The checkpoints of a registry',
    roles: READERS,
    query: { from },
    list: sequencePosition,
    answers: { 200: { description: 'In sequence order.', schema: checkpoints } },
    problems: ['REGISTRY_UNKNOWN'],
  },
});
