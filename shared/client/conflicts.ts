/**
 * Conflicts as an instance tells of them. Every statement is held against its signatures: what it
 * says, and who signed it, is proven. What the instance makes of them is its own word: whether a
 * conflict is open, which statements there are, and what has to happen next. Who was a peer, and what
 * the evidence proves, the conflict file shows to anybody.
 */
import type * as z from 'zod';
import { type ConflictStatement, conflictIdOf, conflictSchema } from '../ledger/conflict.ts';
import { readCountersigned } from '../ledger/countersigned.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import type { Refused } from '../ledger/errors.ts';
import { type Compact, type DecidedStatement, readStatement } from '../ledger/jws.ts';
import {
  type Acceptance,
  acceptanceSchema,
  type Closing,
  closingSchema,
  type Resolution,
  resolutionSchema,
  type SetAside,
  setAsideSchema,
} from '../ledger/resolution.ts';
import type { Manner } from '../ledger/resolution-rules.ts';
import { verifyConflictFile } from '../ledger/verify-conflict-file.ts';
import {
  type ConflictRow,
  conflictAnswer,
  conflictsAnswer,
  type Disputed,
  type HistoryRow,
  type SetAsideChoice,
} from './answers.ts';
import type { CallOptions, Calls } from './calls.ts';
import { conflictPath, registryPath } from './paths.ts';
import { notProven } from './problem.ts';

/** One conflict by its first report, whose signature was verified. */
export interface ConflictSummary {
  readonly conflictId: Digest;
  /** What the finder says, signed by `said.signer`. */
  readonly said: ConflictStatement;
  readonly statement: Compact;
  readonly open: boolean;
  /** A claim against the instance that did not reproduce there: only its finder is stopped. */
  readonly contested?: true;
  /** By the clock of the instance that was called. */
  readonly recordedAt: string;
  readonly reports: number;
  /** Of the resolution in force that names it, or that resolved it. */
  readonly resolution?: Digest;
  /** An operator of the instance has to accept that resolution: the lead is the accused. */
  readonly awaitsAcceptance: boolean;
  /** Mirrors that are stopped until their operators accept `resolution`, as the instance knows. */
  readonly notAccepted: readonly CertificateId[];
}

/** What was signed about a conflict, verified: `said` is what the signatures are over. */
export type ConflictEvent =
  | ReportEvent
  | DecidedResolution
  | (DecidedEvent & { readonly kind: 'acceptance'; readonly said: Acceptance })
  | (DecidedEvent & { readonly kind: 'set-aside'; readonly said: SetAside })
  | (SignedEvent & { readonly kind: 'closing'; readonly said: Closing });

interface SignedEvent {
  /** When it was recorded at the instance, by its clock. */
  readonly at: string;
  /** Of what the statement says. */
  readonly digest: Digest;
  readonly statement: Compact;
}

/** What the evidence comes to is the instance's word: the conflict file proves it. */
export interface ReportEvent extends SignedEvent {
  readonly kind: 'report';
  readonly said: ConflictStatement;
  /** Absent: the instance has no evidence of it that shows it. */
  readonly worth?: 'proven' | 'claimed';
  readonly finding?: string;
}

/** Signed by an operator as well, over the same. */
interface DecidedEvent extends SignedEvent {
  readonly decision: Compact;
}

export interface DecidedResolution extends DecidedEvent {
  readonly kind: 'resolution';
  readonly said: Resolution;
}

/** The conflicts of one registry. */
export interface RegistryConflicts {
  readonly conflicts: readonly ConflictSummary[];
  /** Decided, and not carried out yet. */
  readonly resolution?: DecidedResolution;
  /** Of the instance that was called. */
  readonly role: 'lead' | 'mirror' | 'former';
}

/** One conflict with its story. */
export interface ConflictStory extends ConflictSummary, Disputed {
  /** In the order of time, as the instance has it. */
  readonly history: readonly ConflictEvent[];
  /** What can be decided at this instance. */
  readonly manners: readonly Manner[];
  /** At a mirror, while the conflict is open: whether its own copy can be set aside. */
  readonly setAside?: SetAsideChoice;
  /** The lead, where it is decided. */
  readonly decideAt: { readonly certificateId: CertificateId; readonly endpoint?: string };
  /** What has to happen next, and who has to do it: sentences for people. */
  readonly next: string;
}

/** Every conflict, open and resolved, in the order in which the instance recorded them. */
export async function readConflicts(
  calls: Calls,
  registryId: string,
  options?: CallOptions,
): Promise<RegistryConflicts> {
  const path = `${registryPath(registryId)}/conflicts`;
  const { conflicts, resolution, role } = await calls.get(path, conflictsAnswer, options);
  const event = resolution === undefined ? undefined : eventOf(registryId, resolution);
  return {
    conflicts: conflicts.map((row) => summaryOf(registryId, row)),
    ...(event?.kind === 'resolution' ? { resolution: event } : {}),
    role,
  };
}

/** One conflict with its story. */
export async function readConflict(
  calls: Calls,
  registryId: string,
  conflictId: string,
  options?: CallOptions,
): Promise<ConflictStory> {
  const path = conflictPath(registryId, conflictId);
  const answer = await calls.get(path, conflictAnswer, options);
  const summary = summaryOf(registryId, answer);
  if (summary.conflictId !== conflictId)
    throw notProven(`asked for the conflict ${conflictId}, answered is ${summary.conflictId}`);
  const { history, manners, setAside, decideAt, document, branches, next } = answer;
  const events = history.map((row) => eventOf(registryId, row));
  const choice = setAside === undefined ? {} : { setAside };
  return {
    ...summary,
    history: events,
    manners,
    ...choice,
    decideAt,
    ...(document === undefined ? {} : { document }),
    ...(branches === undefined ? {} : { branches }),
    next,
  };
}

/**
 * Everything about one conflict, as the bytes of a file to be kept: `verifyConflictFile` says from
 * them alone what is proven. A file about something else is refused; one whose evidence does not show
 * what is claimed is given, so that it can be looked at.
 */
export async function readEvidence(
  calls: Calls,
  registryId: string,
  conflictId: string,
  options?: CallOptions,
): Promise<Buffer> {
  const path = `${conflictPath(registryId, conflictId)}/evidence`;
  const { bytes } = await calls.send({ method: 'GET', path, ...options });
  const { clusterCaPem } = calls.connection;
  const found = verifyConflictFile(bytes, { clusterCaPem });
  if (found.outcome === 'refused') return bytes;
  if (found.registryId !== registryId || found.conflictId !== conflictId)
    throw notProven(`asked for the conflict ${conflictId}, the file is about ${found.conflictId}`);
  return bytes;
}

function summaryOf(registryId: string, row: ConflictRow): ConflictSummary {
  const { open, contested, recordedAt, reports, resolution, awaitsAcceptance, notAccepted } = row;
  const read = proven(registryId, readStatement(row.statement, conflictSchema));
  const conflictId = conflictIdOf(read.statement);
  if (conflictId !== row.conflictId)
    throw notProven(`the conflict ${row.conflictId} is named so, and comes out to ${conflictId}`);
  return {
    conflictId,
    said: read.statement,
    statement: read.compact,
    open,
    ...(contested === undefined ? {} : { contested }),
    recordedAt,
    reports,
    ...(resolution === undefined ? {} : { resolution }),
    awaitsAcceptance,
    notAccepted,
  };
}

/** Signed as it must be, about this registry. */
function proven<Read extends { readonly statement: { readonly registryId: Digest } }>(
  registryId: string,
  read: Read | Refused,
): Read {
  if ('code' in read)
    throw notProven(`a statement about a conflict is refused (${read.code}): ${read.detail}`);
  if (read.statement.registryId === registryId) return read;
  throw notProven(`a statement is about the registry ${read.statement.registryId}`);
}

function eventOf(registryId: string, row: HistoryRow): ConflictEvent {
  const { kind, at } = row;
  switch (kind) {
    case 'report': {
      const {
        statement: said,
        digest,
        compact,
      } = proven(registryId, readStatement(row.statement, conflictSchema));
      const { worth, finding } = row;
      const found = worth === undefined || finding === undefined ? {} : { worth, finding };
      return { kind, at, digest, statement: compact, said, ...found };
    }
    case 'resolution':
      return { kind, at, ...countersigned(registryId, row, resolutionSchema) };
    case 'acceptance':
      return { kind, at, ...countersigned(registryId, row, acceptanceSchema) };
    case 'set-aside':
      return { kind, at, ...countersigned(registryId, row, setAsideSchema) };
    case 'closing': {
      const {
        statement: said,
        digest,
        compact,
      } = proven(registryId, readStatement(row.statement, closingSchema));
      return { kind, at, digest, statement: compact, said };
    }
  }
}

function countersigned<Said extends DecidedStatement>(
  registryId: string,
  { statement, decision = '' }: HistoryRow,
  schema: z.ZodType<Said>,
) {
  const read = proven(registryId, readCountersigned({ statement, decision }, schema));
  return { digest: read.digest, ...read.signed, said: read.statement };
}
