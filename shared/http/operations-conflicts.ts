/** Operations about conflicts: what disagrees, the proof of it, and what operators decide. */
import * as z from 'zod';
import { copySchema } from '../ledger/checkpoint.ts';
import { conflictKindSchema } from '../ledger/conflict.ts';
import { limits } from '../ledger/limits.ts';
import {
  certificateIdSchema,
  digestSchema,
  identifierSchema,
  linkSchema,
  sequenceSchema,
  timestampSchema,
} from '../ledger/schema.ts';
import { versionSchema } from '../ledger/transaction.ts';
import { type Answer, defineOperations } from './operation.ts';
import { DECISION_PROBLEMS } from './problem-groups.ts';
import { jsonBody } from './request-body.ts';
import { OPERATORS, READERS } from './roles.ts';
import { described, named, statementSchema } from './schema-names.ts';

const manner = z.enum(['replay', 'expel', 'replace', 'set-aside', 'take-back', 'close']);

/** What every signed statement has here. */
function signedMembers<const Kind extends string>(kind: Kind) {
  return {
    kind: z.literal(kind),
    at: described(timestampSchema, 'When it was recorded here, by the clock of this instance.'),
    digest: described(digestSchema, 'Of what the statement says.'),
    signer: described(certificateIdSchema, 'The instance that signed it.'),
    statement: statementSchema,
  };
}

function decidedMembers<const Kind extends string>(kind: Kind) {
  return {
    ...signedMembers(kind),
    decidedBy: described(certificateIdSchema, 'The operator.'),
    reason: z.string(),
    decision: described(statementSchema, "The operator's own signature over the same."),
  };
}

/** What an operator of the lead decided. */
export const resolutionSchema = named('Resolution', 'A decision about open conflicts.', () =>
  z.strictObject({
    ...decidedMembers('resolution'),
    manner,
    conflicts: z.array(digestSchema),
    entries: described(
      z.array(linkSchema),
      'What is replaced or becomes void; of a fork both branches.',
    ),
    through: described(linkSchema, "The lead's head when it was decided."),
    after: described(digestSchema.exactOptional(), 'The resolution that this one ends.'),
  }),
);

const acceptance = named('Acceptance', "A mirror's operator accepts a resolution.", () =>
  z.strictObject({ ...decidedMembers('acceptance'), resolution: digestSchema }),
);

const setAside = named('SetAside', 'A mirror begins a new copy of its ledger.', () =>
  z.strictObject({
    ...decidedMembers('set-aside'),
    conflicts: z.array(digestSchema),
    copy: described(copySchema, 'The new copy.'),
    from: described(sequenceSchema, 'Where it begins: entries before are taken over.'),
  }),
);

const closing = named('Closing', 'An instance takes nothing more, for good.', () =>
  z.strictObject({
    ...signedMembers('closing'),
    through: described(linkSchema, 'Its last entry: what a successor names as predecessor.'),
  }),
);

const report = named('ConflictReport', 'What an instance found.', () =>
  z.strictObject({
    ...signedMembers('report'),
    detectedAt: timestampSchema,
    evidence: described(z.array(digestSchema), 'By digest: kept by the finder.'),
    worth: described(
      z.enum(['proven', 'claimed']).exactOptional(),
      'Of the evidence, rechecked here: proof about the accused, or the word of the signer. ' +
        'Absent: the evidence is not here, or does not show it.',
    ),
    finding: described(z.string().exactOptional(), 'What was found, in words.'),
  }),
);

const history = named('ConflictHistory', 'What was reported and decided, in time order.', () =>
  z.array(z.discriminatedUnion('kind', [report, resolutionSchema, acceptance, setAside, closing])),
);

/** What every answer about a conflict says of it, by its first report. */
function conflictMembers() {
  return {
    conflictId: digestSchema,
    open: described(z.boolean(), 'While one is open here, nothing is recorded.'),
    contested: described(
      z.literal(true).exactOptional(),
      'A claim against this instance that did not reproduce here: only its finder is stopped.',
    ),
    recordedAt: timestampSchema,
    statement: statementSchema,
    kind: conflictKindSchema,
    sequence: described(z.int().min(1), 'The entry that it is about.'),
    accused: described(z.string(), 'A certificate id, or `open`: whose fault it is is not said.'),
    signer: described(certificateIdSchema, 'The instance that found it.'),
    digests: described(z.array(digestSchema), 'What disagrees, sorted.'),
    detectedAt: described(timestampSchema, 'By the clock of the finder.'),
    reports: described(z.int().min(1), 'How many reports of it are here.'),
    resolution: described(
      digestSchema.exactOptional(),
      'Of the resolution in force that names it, or that resolved it.',
    ),
    awaitsAcceptance: described(
      z.boolean(),
      'The lead is accused: an operator of this instance has to accept the resolution.',
    ),
    notAccepted: described(
      z.array(certificateIdSchema),
      'Mirrors that are stopped until their operators accept `resolution`, as known here.',
    ),
  };
}

const conflicts = named('Conflicts', 'Signed disagreements, open and resolved.', () =>
  z.strictObject({
    conflicts: z.array(z.strictObject(conflictMembers())),
    resolution: described(
      resolutionSchema.exactOptional(),
      'The one in force: decided, and not carried out yet.',
    ),
    role: described(z.enum(['lead', 'mirror', 'former']), 'Of this instance.'),
  }),
);

const setAsideChoice = named('SetAsideChoice', 'Whether a mirror can set its copy aside.', () =>
  z.union([
    z.strictObject({ allowed: z.literal(true), from: z.int().min(1), copy: copySchema }),
    z.strictObject({ allowed: z.literal(false) }),
  ]),
);

const conflict = named('Conflict', 'One disagreement with its whole story.', () =>
  z.strictObject({
    ...conflictMembers(),
    history,
    manners: described(
      z.array(manner),
      'What can be decided, where this instance leads and something is to be decided.',
    ),
    setAside: described(setAsideChoice.exactOptional(), 'At a mirror, while it is open.'),
    decideAt: described(
      z.strictObject({ certificateId: certificateIdSchema, endpoint: z.url().exactOptional() }),
      'The lead, where it is decided.',
    ),
    document: described(
      z
        .strictObject({
          documentId: identifierSchema,
          version: versionSchema,
          contentDigest: digestSchema,
        })
        .exactOptional(),
      'The version whose bytes are in dispute.',
    ),
    branches: described(
      z.strictObject({ stays: digestSchema, givesWay: digestSchema }).exactOptional(),
      "Of a fork whose replay was decided, where this instance can tell: the lead's own copy stays.",
    ),
    next: described(z.string(), 'What has to happen next and who has to do it, for people.'),
  }),
);

const conflictFile = named('ConflictFile', 'All about one conflict, to be verified offline.', () =>
  z.looseObject({
    format: z.literal('registry/conflict-file/v1'),
    registryId: digestSchema,
    exportedAt: timestampSchema,
  }),
);

/** An order that holds nothing but what an operator signed. */
function decisionBody(id: string, format: string, members: string) {
  const schema = named(id, 'What an operator decided, signed by them.', () =>
    z.strictObject({
      decision: described(
        z.string().max(2 * limits.statementBytesMax),
        'JWS compact, ES256, the public key in its header, over the canonical payload ' +
          `{${members}, decidedBy, format: ${format}, reason, registryId, signer}; signer is ` +
          'this instance.',
      ),
    }),
  );
  return jsonBody(schema, 'The decision, signed with the key of the calling operator.', {
    decision: 'eyJhbGciOiJFUzI1NiIsImp3ayI6…',
  });
}

/** 201 for what is new, 200 for a repetition. */
function decisionAnswers(schema: z.ZodType): Readonly<Record<200 | 201, Answer>> {
  return {
    200: { description: 'Decided before: the first answer again.', schema },
    201: { description: 'Decided now.', schema },
  };
}

const REGISTRY = '/v1/registries/{registryId}';
const CONFLICT = `${REGISTRY}/conflicts/{conflictId}` as const;
const UNKNOWN = ['REGISTRY_UNKNOWN', 'CONFLICT_UNKNOWN'] as const;

export const conflictOperations = defineOperations({
  listConflicts: {
    method: 'GET',
    path: `${REGISTRY}/conflicts`,
    tag: 'conflicts',
    summary: 'Conflicts of a registry, open and resolved',
    roles: READERS,
    answers: { 200: { description: 'In the order of their recording.', schema: conflicts } },
    problems: ['REGISTRY_UNKNOWN'],
  },
  readConflict: {
    method: 'GET',
    path: CONFLICT,
    tag: 'conflicts',
    summary: 'One conflict: its story, and what has to happen next',
    roles: READERS,
    answers: { 200: { description: 'As this instance knows it.', schema: conflict } },
    problems: UNKNOWN,
  },
  readEvidence: {
    method: 'GET',
    path: `${CONFLICT}/evidence`,
    tag: 'conflicts',
    summary: 'Everything about a conflict in one file, to be kept',
    description:
      'It verifies offline with the certificate of the cluster CA and the registry id alone: what ' +
      'is proven about whom, what is only claimed, and what was decided.',
    roles: READERS,
    answers: {
      200: { description: 'Canonical JSON, the bytes to keep.', schema: conflictFile },
    },
    problems: [...UNKNOWN, 'EVIDENCE_UNKNOWN', 'CERTIFICATE_UNKNOWN', 'TOO_LARGE'],
  },
  resolveConflicts: {
    method: 'POST',
    path: `${REGISTRY}/resolutions`,
    tag: 'conflicts',
    summary: 'Decide how open conflicts are resolved',
    description:
      'At the lead. One resolution is in force at a time; another one ends it by naming it in ' +
      '`after`. Deciding carries nothing out: an entry does, or the replay.',
    roles: OPERATORS,
    body: decisionBody(
      'ResolutionOrder',
      'registry/resolution/v1',
      'after?, conflicts, entries, manner, through',
    ),
    answers: decisionAnswers(
      named('DecidedResolution', 'What is in force now.', () =>
        z.strictObject({ resolution: resolutionSchema }),
      ),
    ),
    problems: [
      ...DECISION_PROBLEMS,
      'NOT_THE_LEAD',
      'CONFLICT_UNKNOWN',
      'CONFLICT_NOT_OPEN',
      'RESOLUTION_IN_FORCE',
      'RESOLUTION_OUTDATED',
      'RESOLUTION_MALFORMED',
      'MANNER_NOT_ALLOWED',
      'ENTRY_NOT_HELD',
      'BUSY',
    ],
  },
  acceptResolution: {
    method: 'POST',
    path: `${REGISTRY}/acceptances`,
    tag: 'conflicts',
    summary: 'Accept what the lead decided about itself',
    description: 'At a mirror, where the lead is the accused: it stays stopped until then.',
    roles: OPERATORS,
    body: decisionBody('AcceptanceOrder', 'registry/acceptance/v1', 'resolution'),
    answers: decisionAnswers(
      named('AcceptedResolution', 'The acceptance.', () => z.strictObject({ acceptance })),
    ),
    problems: [...DECISION_PROBLEMS, 'RESOLUTION_UNKNOWN', 'ACCEPTANCE_NOT_NEEDED'],
  },
  setAside: {
    method: 'POST',
    path: `${REGISTRY}/set-asides`,
    tag: 'conflicts',
    summary: "Set this instance's own copy aside, from an entry on",
    description: 'At a mirror whose own copy is wrong. Nothing is deleted: a new copy begins.',
    roles: OPERATORS,
    body: decisionBody('SetAsideOrder', 'registry/set-aside/v1', 'conflicts, copy, from'),
    answers: decisionAnswers(
      named('CopySetAside', 'The set-aside.', () => z.strictObject({ setAside })),
    ),
    problems: [...DECISION_PROBLEMS, 'CONFLICT_NOT_OPEN', 'SET_ASIDE_NOT_ALLOWED', 'BUSY'],
  },
  closeRegistry: {
    method: 'POST',
    path: `${REGISTRY}/closings`,
    tag: 'conflicts',
    summary: 'Close the registry at this instance, for good',
    description:
      'Nothing is recorded here any more. Where the lead is lost or not to be trusted, every ' +
      'instance closes, and a new registry names the last common entry as its predecessor.',
    roles: OPERATORS,
    body: jsonBody(
      named('ClosingOrder', 'Nothing: the instance signs its own head.', () => z.strictObject({})),
      'An empty object.',
      {},
    ),
    answers: decisionAnswers(
      named('ClosedRegistry', 'The closing.', () => z.strictObject({ closing })),
    ),
    problems: ['REGISTRY_UNKNOWN', 'BUSY'],
  },
});
