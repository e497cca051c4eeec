/**
 * Answers of an instance, as far as this client reads them. They are untrusted: what is not of the
 * right form is refused here, whether it is true is asked elsewhere. Unknown members are ignored, so
 * that an instance may tell more than this client knows.
 */
import * as z from 'zod';
import type { CertificateId } from '../ledger/digest.ts';
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
  mediaTypeSchema,
  publicKeySchema,
  sizeSchema,
  versionSchema,
} from '../ledger/transaction.ts';

const words = z.string();
/** Absent: the last page. */
const next = z.string().min(1).max(4096).exactOptional();
const redacted = z.literal(true).exactOptional();
const statement = z.string();

export const instanceAnswer = z.object({
  name: words,
  certificateId: certificateIdSchema,
  knownIds: z.array(certificateIdSchema),
  endpoint: words,
  certificatePem: words,
});

export const certificateAnswer = z.object({ certificatePem: words });

export const deniedAnswer = z.object({
  denied: z.array(
    z.object({
      certificateId: certificateIdSchema,
      inFile: z.boolean(),
      deniedBy: certificateIdSchema.exactOptional(),
      deniedAt: timestampSchema.exactOptional(),
    }),
  ),
});

export const introducedAnswer = z.object({ certificateId: certificateIdSchema, endpoint: words });

/** The instance's word: the entry was replaced or voided by people. */
const superseded = z
  .object({
    by: sequenceSchema,
    replacement: sequenceSchema.exactOptional(),
    resolution: digestSchema,
    reason: words,
  })
  .exactOptional();

const registryMembers = {
  registryId: digestSchema,
  name: words.exactOptional(),
  description: words.exactOptional(),
  redacted,
  head: z.object({ sequence: sequenceSchema, digest: digestSchema, timestamp: timestampSchema }),
  role: z.enum(['lead', 'mirror', 'former']),
};

export const registriesAnswer = z.object({
  registries: z.array(z.object({ ...registryMembers, openConflicts: z.int().min(0) })),
  next,
});

const peerState = z.object({
  peer: certificateIdSchema,
  role: z.enum(['lead', 'mirror']),
  self: z.boolean(),
  /** `in-step`, `catching-up`, `stalled`, `unreachable`, or one that this client does not know. */
  state: words,
  lagEntries: z.int().min(0),
  lagSeconds: z.int().min(0),
  confirmedThrough: sequenceSchema.exactOptional(),
  deliveredThrough: z.int().min(0).exactOptional(),
  failures: z.int().min(0),
  nextAttemptAt: timestampSchema.exactOptional(),
  lastError: words.exactOptional(),
  closedAt: sequenceSchema.exactOptional(),
  awaitsAcceptance: digestSchema.exactOptional(),
});

export const registryAnswer = z.object({
  ...registryMembers,
  configuration: linkSchema,
  openConflicts: z.array(digestSchema),
  closed: z.literal(true).exactOptional(),
  peers: z.array(peerState),
});

const entryMembers = {
  sequence: sequenceSchema,
  digest: digestSchema,
  /** Their canonical encodings are what was hashed. */
  entry: z.unknown(),
  transaction: z.unknown(),
  details: z.unknown().exactOptional(),
  redaction: z.object({ statement, decision: statement }).exactOptional(),
  checkpoint: statement.exactOptional(),
  superseded,
};

export const entriesAnswer = z.object({ entries: z.array(z.object(entryMembers)), next });

const confirmed = z.object({
  sequence: sequenceSchema,
  confirmedAt: timestampSchema,
  receivedAt: timestampSchema,
});

const role = z.enum(['lead', 'mirror']);

/** Open where an instance may learn new ones: whoever does not know a status shows it as it is. */
const status = z.looseObject({ status: words });

const confirmationMembers = {
  confirmations: z.array(
    z.object({ peer: certificateIdSchema, role, confirmed: confirmed.exactOptional() }),
  ),
  status,
};

export const entryAnswer = z.object({ ...entryMembers, ...confirmationMembers });

export const entryStatusAnswer = z.object({
  sequence: sequenceSchema,
  digest: digestSchema,
  ...confirmationMembers,
});

export const confirmationsAnswer = z.object({
  peers: z.array(certificateIdSchema),
  entries: z.array(
    z.object({
      sequence: sequenceSchema,
      digest: digestSchema,
      status,
      cells: z.array(
        z.object({
          role: role.exactOptional(),
          counts: z.boolean(),
          confirmed: confirmed.exactOptional(),
        }),
      ),
    }),
  ),
  next,
});

export const checkpointsAnswer = z.object({
  checkpoints: z.array(
    z.object({
      sequence: sequenceSchema,
      digest: digestSchema,
      issuedAt: timestampSchema,
      signer: certificateIdSchema,
      statement,
    }),
  ),
  next,
});

const conflictMembers = {
  conflictId: digestSchema,
  open: z.boolean(),
  contested: z.literal(true).exactOptional(),
  recordedAt: timestampSchema,
  statement,
  reports: z.int().min(1),
  resolution: digestSchema.exactOptional(),
  awaitsAcceptance: z.boolean(),
  /** An instance that does not know whom it waits for tells nobody. */
  notAccepted: z.array(certificateIdSchema).default([]),
};

/** What the statement says is read from the statement itself. */
const historyRow = z.object({
  kind: z.enum(['report', 'resolution', 'acceptance', 'set-aside', 'closing']),
  at: timestampSchema,
  statement,
  decision: statement.exactOptional(),
  /** Of a report, by the evidence that the instance has. */
  worth: z.enum(['proven', 'claimed']).exactOptional(),
  finding: words.exactOptional(),
});

export const conflictsAnswer = z.object({
  conflicts: z.array(z.object(conflictMembers)),
  resolution: historyRow.exactOptional(),
  role: z.enum(['lead', 'mirror', 'former']),
});

const setAsideChoice = z.union([
  z.object({ allowed: z.literal(true), from: sequenceSchema, copy: z.int().min(1) }),
  z.object({ allowed: z.literal(false) }),
]);

export const conflictAnswer = z.object({
  ...conflictMembers,
  history: z.array(historyRow),
  manners: z.array(z.enum(['replay', 'expel', 'replace', 'set-aside', 'take-back', 'close'])),
  setAside: setAsideChoice.exactOptional(),
  decideAt: z.object({ certificateId: certificateIdSchema, endpoint: words.exactOptional() }),
  document: z
    .object({ documentId: identifierSchema, version: versionSchema, contentDigest: digestSchema })
    .exactOptional(),
  branches: z.object({ stays: digestSchema, givesWay: digestSchema }).exactOptional(),
  next: words,
});

const placedEntry = z.object({
  sequence: sequenceSchema,
  digest: digestSchema,
  entry: z.unknown(),
});

export const appendAnswer = z.object({
  registryId: digestSchema,
  entries: z.array(z.object({ ...placedEntry.shape, transactionId: uuidSchema })),
  path: z.array(placedEntry),
  checkpoint: statement,
});

const versionMembers = {
  documentId: identifierSchema,
  version: versionSchema,
  name: words.exactOptional(),
  note: words.exactOptional(),
  redacted,
  entry: linkSchema,
  recordedAt: timestampSchema,
  contentDigest: digestSchema,
  size: sizeSchema,
  mediaType: mediaTypeSchema,
  superseded,
};

export const versionAnswer = z.object({ ...versionMembers, held: z.boolean() });
export const documentAnswer = z.object({
  ...versionMembers,
  versions: versionSchema,
  held: z.boolean(),
});
export const documentsAnswer = z.object({
  documents: z.array(z.object({ ...versionMembers, versions: versionSchema })),
  next,
});
export const versionsAnswer = z.object({ versions: z.array(z.object(versionMembers)), next });
export const contentsAnswer = z.object({
  contentDigest: digestSchema,
  held: z.boolean(),
  versions: z.array(z.object({ registryId: digestSchema, ...versionMembers })),
  next,
});

export const addressAnswer = z.object({
  contentDigest: digestSchema,
  size: sizeSchema,
  url: words,
  expiresAt: timestampSchema,
});

export const uploadAnswer = z.object({
  contentDigest: digestSchema,
  size: sizeSchema,
  held: z.boolean(),
  upload: z
    .object({
      method: z.literal('PUT'),
      url: words,
      headers: z.record(z.string(), z.string()),
      expiresAt: timestampSchema,
    })
    .exactOptional(),
});

const algorithm = z.enum(['ES256', 'ES384', 'ES512', 'EdDSA', 'PS256', 'RS256']);
const purpose = z.enum(['approval', 'origin', 'receipt', 'creation']);

export const requestAnswer = z.object({
  requestId: uuidSchema,
  status: z.enum(['open', 'overdue', 'signed']),
  documentId: identifierSchema,
  version: versionSchema,
  contentDigest: digestSchema,
  purpose,
  publicKey: publicKeySchema,
  dueAt: timestampSchema.exactOptional(),
  signer: words.exactOptional(),
  note: words.exactOptional(),
  redacted,
  requestedBy: linkSchema,
  requestedAt: timestampSchema,
  superseded,
  signature: z
    .object({
      signedBy: linkSchema,
      signedAt: timestampSchema,
      /** These are absent where the instance says that the signature does not verify. */
      claimedAt: timestampSchema.exactOptional(),
      algorithm: algorithm.exactOptional(),
      legacy: z.boolean().exactOptional(),
    })
    .exactOptional(),
});

export const requestsAnswer = z.object({ signatureRequests: z.array(requestAnswer), next });

export const signingInputAnswer = z.object({
  requestId: uuidSchema,
  algorithm,
  issuedAt: timestampSchema,
  objectUrn: words,
  contentDigest: digestSchema,
  purpose,
  protected: words,
  /** Base64. */
  signingInput: words,
  digest: digestSchema,
});

export type InstanceAnswer = z.output<typeof instanceAnswer>;
export type RegistryRow = z.output<typeof registriesAnswer>['registries'][number];
export type RegistryAnswer = z.output<typeof registryAnswer>;
export type EntryRow = z.output<typeof entriesAnswer>['entries'][number];
export type EntryStatusAnswer = z.output<typeof entryStatusAnswer>;
type ConfirmationsPage = z.output<typeof confirmationsAnswer>;
export type CheckpointRow = z.output<typeof checkpointsAnswer>['checkpoints'][number];
export type ConflictRow = z.output<typeof conflictsAnswer>['conflicts'][number];
export type HistoryRow = z.output<typeof historyRow>;
export type SetAsideChoice = z.output<typeof setAsideChoice>;
export type Disputed = Pick<z.output<typeof conflictAnswer>, 'document' | 'branches'>;
export type Superseded = NonNullable<z.output<typeof superseded>>;
export type AppendAnswer = z.output<typeof appendAnswer>;
export type VersionRow = z.output<typeof versionsAnswer>['versions'][number];
export type ContentRow = z.output<typeof contentsAnswer>['versions'][number];
export type RequestRow = z.output<typeof requestAnswer>;
export type UploadTarget = NonNullable<z.output<typeof uploadAnswer>['upload']>;

/** One row of the table of confirmations, each cell with its peer. */
export interface ConfirmationRow extends Omit<ConfirmationsPage['entries'][number], 'cells'> {
  readonly cells: readonly ConfirmationCell[];
}

export interface ConfirmationCell {
  readonly peer: CertificateId;
  /** Absent: not in the list in force at the entry. */
  readonly role?: 'lead' | 'mirror';
  /** Whether it counts for the status. */
  readonly counts: boolean;
  readonly confirmed?: { readonly sequence: number; readonly confirmedAt: string };
}

/** The rows of a page, whose columns are named once. */
export function confirmationRows({ peers, entries }: ConfirmationsPage): ConfirmationRow[] {
  return entries.map((row) => ({
    ...row,
    cells: row.cells.flatMap((cell, index) => {
      const peer = peers[index];
      return peer === undefined ? [] : [{ peer, ...cell }];
    }),
  }));
}
