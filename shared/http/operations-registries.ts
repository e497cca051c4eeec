/** Operations about registries: creating, listing, appending, peers. */
import * as z from 'zod';
import { copySchema } from '../ledger/checkpoint.ts';
import type { Digest } from '../ledger/digest.ts';
import { entrySchema } from '../ledger/entry.ts';
import {
  certificateIdSchema,
  digestSchema,
  linkSchema,
  sequenceSchema,
  timestampSchema,
  uuidSchema,
} from '../ledger/schema.ts';
import { type Answer, defineOperations } from './operation.ts';
import { RULE_PROBLEMS } from './problem-groups.ts';
import { transactionsBody } from './request-body.ts';
import { APPENDERS, READERS, WRITERS } from './roles.ts';
import { described, named, statementSchema, words } from './schema-names.ts';

const headSchema = named('Head', 'The newest entry, as this instance holds it.', () =>
  z.strictObject({ sequence: sequenceSchema, digest: digestSchema, timestamp: timestampSchema }),
);

/** What every answer about a registry says of it. */
function registryMembers() {
  return {
    registryId: digestSchema,
    name: words.exactOptional(),
    description: words.exactOptional(),
    redacted: described(
      z.literal(true).exactOptional(),
      'Name and description are gone by a decision of people.',
    ),
    head: headSchema,
    role: described(
      z.enum(['lead', 'mirror', 'former']),
      'Of this instance; `former`: taken off the peer list.',
    ),
  };
}

const registries = named('Registries', 'Registries in the order of their ids.', () =>
  z.strictObject({
    registries: z.array(z.strictObject({ ...registryMembers(), openConflicts: z.int().min(0) })),
    next: z.string().exactOptional(),
  }),
);

const peerState = named('PeerState', 'One peer of the list in force, as known here.', () =>
  z.strictObject({
    peer: certificateIdSchema,
    role: z.enum(['lead', 'mirror']),
    self: z.boolean(),
    state: described(
      z.enum(['in-step', 'catching-up', 'stalled', 'unreachable']),
      'Of a mirror by what it has confirmed, of the lead whether it can be reached.',
    ),
    lagEntries: described(z.int().min(0), 'Entries up to the head that it has not confirmed.'),
    lagSeconds: described(
      z.int().min(0),
      'Since the oldest of these was appended, or the mirror was added if that came later.',
    ),
    confirmedThrough: sequenceSchema.exactOptional(),
    deliveredThrough: z.int().min(0).exactOptional(),
    failures: z.int().min(0),
    nextAttemptAt: timestampSchema.exactOptional(),
    lastError: z.string().exactOptional(),
    closedAt: described(
      sequenceSchema.exactOptional(),
      'It has closed the registry, for good: its last entry.',
    ),
    awaitsAcceptance: described(
      digestSchema.exactOptional(),
      'It is stopped until its operator has accepted this resolution, as far as is known here.',
    ),
  }),
);

const registry = named('Registry', 'One registry with its peers.', () =>
  z.strictObject({
    ...registryMembers(),
    copy: copySchema,
    checkpoint: statementSchema,
    configuration: linkSchema,
    openConflicts: z.array(digestSchema),
    closed: described(
      z.literal(true).exactOptional(),
      'This instance has closed the registry, for good: its head is its last entry.',
    ),
    peers: z.array(peerState),
  }),
);

const placedEntry = named('PlacedEntry', 'An entry with its digest.', () =>
  z.strictObject({ sequence: sequenceSchema, digest: digestSchema, entry: entrySchema }),
);

const recorded = named('Recorded', 'What the lead recorded, provable with its checkpoint.', () =>
  z.strictObject({
    registryId: digestSchema,
    status: described(z.literal('recorded'), "The lead's storage, no more."),
    entries: z.array(
      z.strictObject({
        sequence: sequenceSchema,
        digest: digestSchema,
        transactionId: uuidSchema,
        entry: entrySchema,
      }),
    ),
    path: described(
      z.array(placedEntry),
      'Further entries on the way from the checkpoint to these.',
    ),
    checkpoint: statementSchema,
  }),
);

/** What answers an append: the same body for a repetition. */
export const appendAnswers = {
  200: { description: 'Recorded before: the first result again.', schema: recorded },
  201: { description: 'Recorded.', schema: recorded },
} as const satisfies Readonly<Record<number, Answer>>;

const REGISTRY = '/v1/registries/{registryId}';

export const registryOperations = defineOperations({
  createRegistry: {
    method: 'POST',
    path: '/v1/registries',
    tag: 'registries',
    summary: 'Create a registry',
    description: 'The first transaction is its create-registry; further ones may follow.',
    roles: WRITERS,
    body: transactionsBody,
    answers: appendAnswers,
    problems: RULE_PROBLEMS,
  },
  listRegistries: {
    method: 'GET',
    path: '/v1/registries',
    tag: 'registries',
    summary: 'All registries of this instance',
    roles: READERS,
    list: digestSchema as z.ZodType<Digest, string>,
    answers: { 200: { description: 'In the order of their ids.', schema: registries } },
    problems: [],
  },
  readRegistry: {
    method: 'GET',
    path: REGISTRY,
    tag: 'registries',
    summary: 'One registry: its head, its peers and how far they are',
    roles: READERS,
    answers: { 200: { description: 'As this instance knows it.', schema: registry } },
    problems: ['REGISTRY_UNKNOWN'],
  },
  appendTransactions: {
    method: 'POST',
    path: `${REGISTRY}/transactions`,
    tag: 'transactions',
    summary: 'Append transactions',
    description:
      'Only the lead appends. Send the same body again when no answer came. An operator appends ' +
      'only what carries out the resolution in force.',
    roles: APPENDERS,
    body: transactionsBody,
    answers: appendAnswers,
    problems: RULE_PROBLEMS,
  },
  readTransaction: {
    method: 'GET',
    path: `${REGISTRY}/transactions/{transactionId}`,
    tag: 'transactions',
    summary: 'The first result of a transaction',
    description: 'Settles what became of a request whose answer was lost.',
    roles: READERS,
    answers: { 200: { description: 'What appending answered.', schema: recorded } },
    problems: ['REGISTRY_UNKNOWN', 'TRANSACTION_UNKNOWN'],
  },
});
