import * as z from 'zod';
import { type Checkpoint, checkpointSchema } from './checkpoint.ts';
import { type Digest, digestOf, type RegistryId } from './digest.ts';
import { type ReadEntry, readEntry } from './entry.ts';
import { type Refused, refuse } from './errors.ts';
import { type ReadStatement, readStatement } from './jws.ts';
import { limits } from './limits.ts';
import { checkBeside, type SignedRedaction } from './redaction.ts';
import { type ReadTransaction, readTransaction } from './transaction.ts';

/**
 * A commit judged by itself, before anything is compared with one's own copy: protocol section 6.
 * What the checkpoint reaches by digests is the lead's word, right or wrong; the rest is nobody's.
 */

/** Bytes as text, so that they arrive as they were hashed, whatever they hold. */
export const carriedTextSchema = z.string().max(limits.transactionBytesMax);

/** Twice the bytes, for base64url of them. */
export const compactSchema = z.string().max(2 * limits.statementBytesMax);

const carriedEntrySchema = z.strictObject({
  details: carriedTextSchema.exactOptional(),
  entry: carriedTextSchema,
  /** In place of the details: the signatures of the instance and its operator. */
  redaction: z.strictObject({ decision: compactSchema, statement: compactSchema }).exactOptional(),
  transaction: carriedTextSchema,
});

export const carriedCommitSchema = z.strictObject({
  checkpoint: compactSchema,
  entries: z.array(carriedEntrySchema).min(1).max(limits.commitEntriesMax),
});

/** An entry as it travels: texts, untrusted. */
export type CarriedEntry = z.output<typeof carriedEntrySchema>;

/** Consecutive entries, oldest first, with the checkpoint of the last. */
export type CarriedCommit = z.output<typeof carriedCommitSchema>;

export interface JudgedEntry {
  readonly read: ReadEntry;
  readonly transaction: ReadTransaction;
  readonly details?: Uint8Array;
  readonly redaction?: SignedRedaction;
}

/** Something that the checkpoint does reach and that breaks sections 2 or 3. */
export interface Flaw {
  readonly sequence: number;
  readonly digest: Digest;
  readonly refused: Refused;
}

export interface JudgedCommit {
  readonly outcome: 'judged';
  readonly checkpoint: ReadStatement<Checkpoint>;
  readonly first: number;
  readonly entries: readonly JudgedEntry[];
  /** Set where the lead's own word is invalid: then `entries` is empty. */
  readonly flaw?: Flaw;
}

/** A commit no part of which anybody signed, or not as it came: it accuses nobody. */
export interface Malformed {
  readonly outcome: 'malformed';
  readonly refused: Refused;
  /** Where the bytes do not come out to the digest that leads to them. */
  readonly mismatch?: DigestMismatch;
}

export interface DigestMismatch {
  readonly sequence: number;
  readonly expected: Digest;
  readonly found: Digest;
}

/** Walks from the checkpoint down the nearest backlinks, entry by entry. */
export function judgeCommit(
  registryId: RegistryId,
  commit: CarriedCommit,
): JudgedCommit | Malformed {
  const checkpoint = readStatement(commit.checkpoint, checkpointSchema);
  if (checkpoint.outcome === 'refused') return malformed(checkpoint);
  if (checkpoint.statement.registryId !== registryId)
    return malformed(refuse('STATEMENT_REGISTRY_DIFFERS', 'the checkpoint is of another registry'));
  const first = checkpoint.statement.sequence - commit.entries.length + 1;
  const entries: JudgedEntry[] = [];
  let reached = checkpoint.statement.digest;
  for (let index = commit.entries.length - 1; index >= 0; index -= 1) {
    const sequence = first + index;
    const carried = commit.entries[index] as CarriedEntry;
    const judged = judgeEntry(carried, { registryId, sequence, reached });
    if (judged.outcome === 'malformed') return judged;
    if (judged.outcome === 'flawed')
      return { outcome: 'judged', checkpoint, first, entries: [], flaw: judged };
    entries.unshift(judged.judged);
    // The nearest backlink is to the entry before: links inside the commit are checked so.
    reached = judged.judged.read.entry.backlinks[0]?.digest ?? ('' as Digest);
  }
  return { outcome: 'judged', checkpoint, first, entries };
}

type JudgedOutcome =
  | { readonly outcome: 'sound'; readonly judged: JudgedEntry }
  | ({ readonly outcome: 'flawed' } & Flaw)
  | Malformed;

/** Where the walk back from the checkpoint has come to. */
interface Expected {
  readonly registryId: RegistryId;
  readonly sequence: number;
  readonly reached: Digest;
}

function judgeEntry(
  carried: CarriedEntry,
  { registryId, sequence, reached }: Expected,
): JudgedOutcome {
  const bytes = Buffer.from(carried.entry);
  const digest = digestOf(bytes);
  if (digest !== reached)
    return malformed(
      refuse(
        'CHECKPOINT_DIFFERS',
        `entry ${sequence} comes out to ${digest}; its checkpoint leads to ${reached}`,
      ),
      { sequence, expected: reached, found: digest },
    );
  const flawed = (refused: Refused): JudgedOutcome => ({
    outcome: 'flawed',
    sequence,
    digest,
    refused,
  });
  const read = readEntry(bytes);
  if (read.outcome === 'refused') return flawed(read);
  if (read.entry.sequence !== sequence)
    return flawed(refuse('SEQUENCE_NOT_NEXT', `entry ${sequence} says ${read.entry.sequence}`));
  if (read.entry.registryId !== registryId)
    return flawed(
      refuse('REGISTRY_DIFFERS', `entry ${sequence} is of registry ${read.entry.registryId}`),
    );
  const transactionBytes = Buffer.from(carried.transaction);
  const found = digestOf(transactionBytes);
  if (found !== read.entry.transactionDigest)
    return malformed(
      refuse(
        'TRANSACTION_DIGEST_DIFFERS',
        `the transaction beside entry ${sequence} is not its own`,
      ),
      { sequence, expected: read.entry.transactionDigest, found },
    );
  const transaction = readTransaction(transactionBytes);
  if (transaction.outcome === 'refused') return flawed(transaction);
  const details = carried.details === undefined ? undefined : Buffer.from(carried.details);
  const beside = besideOf(carried, details);
  const fits = checkBeside(transaction, beside, { registryId, sequence });
  if (fits.outcome === 'refused')
    // Nobody's checkpoint reaches a redaction: what is wrong with one accuses nobody.
    return carried.redaction === undefined && isBound(transaction, details)
      ? flawed(fits)
      : malformed(fits, detailsMismatch(sequence, transaction, details));
  return { outcome: 'sound', judged: { read, transaction, ...beside } };
}

/** Both signatures of a redaction are checked before they are kept. */
function besideOf({ redaction }: CarriedEntry, details: Uint8Array | undefined) {
  return {
    ...(details === undefined ? {} : { details }),
    ...(redaction === undefined ? {} : { redaction: redaction as SignedRedaction }),
  };
}

/** Whether the details are the very bytes that the transaction names. */
function isBound({ transaction }: ReadTransaction, details: Uint8Array | undefined): boolean {
  return (
    details !== undefined &&
    'detailsDigest' in transaction &&
    digestOf(details) === transaction.detailsDigest
  );
}

/** Details that are not the ones that the transaction names. */
function detailsMismatch(
  sequence: number,
  { transaction }: ReadTransaction,
  details: Uint8Array | undefined,
): DigestMismatch | undefined {
  if (details === undefined || !('detailsDigest' in transaction)) return undefined;
  return { sequence, expected: transaction.detailsDigest, found: digestOf(details) };
}

function malformed(refused: Refused, mismatch?: DigestMismatch): Malformed {
  return { outcome: 'malformed', refused, ...(mismatch === undefined ? {} : { mismatch }) };
}
