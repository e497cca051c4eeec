/**
 * Appending transactions: one transaction id over all tries, and an answer that is held against what
 * was sent. Every id, and the salt of every details object, is chosen once, before the first try.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { backlinkPath } from '../ledger/backlinks.ts';
import { type Checkpoint, checkpointSchema } from '../ledger/checkpoint.ts';
import type { CertificateId, Digest, RegistryId, Sequence } from '../ledger/digest.ts';
import { type ReadEntry, readEntry } from '../ledger/entry.ts';
import { type Compact, readStatement } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import {
  checkDetails,
  encodeTransaction,
  type ReadTransaction,
  readTransaction,
  type TransactionType,
} from '../ledger/transaction.ts';
import { type AppendAnswer, appendAnswer } from './answers.ts';
import type { CallOptions, Calls } from './calls.ts';
import { registryPath } from './paths.ts';
import { invalidArgument, notProven, RegistryError } from './problem.ts';
import { canonical } from './verified-entries.ts';

/** What makes two calls one: with both kept, the same bytes can be sent again by anybody. */
export interface Repeatable {
  /** A UUID; a new one unless given. It is recorded once in a registry. */
  readonly transactionId?: string;
  /** Of the details, which it keeps from being guessed: 32 hex digits; new ones unless given. */
  readonly salt?: string;
}

/** A transaction as an application states it; the members of each type are in shared/README.md. */
export interface NewTransaction extends Repeatable {
  readonly type: TransactionType;
  /** All other members but `format` and `detailsDigest`. */
  readonly members: Readonly<Record<string, unknown>>;
  /** The members that may name people, without `format` and `salt`. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A transaction that has its place, by the lead's own signature. */
export interface RecordedEntry {
  readonly registryId: RegistryId;
  readonly sequence: Sequence;
  readonly digest: Digest;
  readonly transactionId: string;
  /** By the lead's clock. */
  readonly timestamp: string;
  /** Who says so, with a checkpoint that backlinks lead down from to the entry. */
  readonly lead: CertificateId;
  readonly checkpoint: Compact;
}

/** Transactions with their bytes, ready to be sent any number of times. */
export interface Prepared {
  readonly body: unknown;
  readonly transactions: readonly ReadTransaction[];
}

/** Encodes the transactions and refuses what an instance would refuse, with the same codes. */
export function prepare(transactions: readonly NewTransaction[]): Prepared {
  if (transactions.length < 1 || transactions.length > limits.commitEntriesMax)
    throw invalidArgument(
      `${transactions.length} transactions: expected 1 to ${limits.commitEntriesMax} at a time`,
    );
  const encoded = transactions.map(encode);
  return {
    body: { transactions: encoded.map(({ item }) => item) },
    transactions: encoded.map(({ read }) => read),
  };
}

function encode({ type, transactionId, salt, members, details }: NewTransaction) {
  const draft = { ...members, type, transactionId: transactionId ?? randomUUID() };
  const salted = details && {
    ...normalized(details),
    salt: salt ?? randomBytes(16).toString('hex'),
  };
  const bytes = encoded(draft, salted);
  const read = readTransaction(bytes.transaction);
  if (read.outcome === 'refused') throw new RegistryError(read.code, read.detail);
  const fits = checkDetails(read, bytes.details);
  if (fits.outcome === 'refused') throw new RegistryError(fits.code, fits.detail);
  const item = {
    transaction: objectIn(bytes.transaction),
    ...(bytes.details === undefined ? {} : { details: objectIn(bytes.details) }),
  };
  return { read, item };
}

function encoded(...given: Parameters<typeof encodeTransaction>) {
  try {
    return encodeTransaction(...given);
  } catch (error) {
    throw invalidArgument(error instanceof Error ? error.message : 'cannot be encoded');
  }
}

/** File names of some systems are not in normalization form C, which every text must be. */
function normalized(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const members = Object.entries(details).map(([name, value]) => [
    name,
    typeof value === 'string' ? value.normalize('NFC') : value,
  ]);
  return Object.fromEntries(members);
}

function objectIn(bytes: Buffer): unknown {
  return JSON.parse(bytes.toString('utf8'));
}

/** Creates a registry whose create-registry is the first of the transactions. */
export async function appendFirst(
  calls: Calls,
  prepared: Prepared,
  options?: CallOptions,
): Promise<RecordedEntry[]> {
  const answer = await calls.post('/v1/registries', prepared.body, appendAnswer, options);
  const [first] = prepared.transactions;
  return requireRecorded(answer, prepared, first?.digest ?? '');
}

/** Appends to a registry, at the instance that leads it. */
export async function appendTo(
  calls: Calls,
  registryId: string,
  prepared: Prepared,
  options?: CallOptions,
): Promise<RecordedEntry[]> {
  const path = `${registryPath(registryId)}/transactions`;
  const answer = await calls.post(path, prepared.body, appendAnswer, options);
  return requireRecorded(answer, prepared, registryId);
}

/**
 * Holds the answer against what was sent: the entries hold these very transactions, and the lead
 * that they name signed a checkpoint from which they are reached. That it is the lead in force is
 * not shown here: the receipt of the entry does.
 */
function requireRecorded(
  answer: AppendAnswer,
  { transactions }: Prepared,
  registryId: string,
): RecordedEntry[] {
  const checkpoint = checkpointIn(answer);
  const entries = answer.entries.map(readPlaced);
  const reached = reachedFrom(checkpoint, [...entries, ...answer.path.map(readPlaced)], entries);
  if (entries.length !== transactions.length)
    throw notProven(`${transactions.length} transactions were sent, ${entries.length} answered`);
  return transactions.map(({ digest, transaction }, index) => {
    const { entry, digest: entryDigest } = entries[index] as ReadEntry;
    const { sequence, timestamp, lead } = entry;
    if (entry.transactionDigest !== digest || !reached.has(sequence))
      throw notProven(`entry ${sequence} does not hold the transaction that was sent`);
    if (lead !== checkpoint.signer || entry.registryId !== registryId)
      throw notProven(`entry ${sequence} is of another registry, or of another lead`);
    return {
      registryId: entry.registryId,
      sequence,
      digest: entryDigest,
      transactionId: transaction.transactionId,
      timestamp,
      lead,
      checkpoint: answer.checkpoint as Compact,
    };
  });
}

function checkpointIn(answer: AppendAnswer): Checkpoint {
  const read = readStatement(answer.checkpoint, checkpointSchema);
  if (read.outcome === 'refused')
    throw notProven(`the checkpoint is refused (${read.code}): ${read.detail}`);
  return read.statement;
}

function readPlaced(placed: AppendAnswer['path'][number]): ReadEntry {
  const what = `entry ${placed.sequence}`;
  const read = readEntry(canonical(placed.entry, what));
  if (read.outcome === 'refused') throw notProven(`${what} is no entry: ${read.detail}`);
  if (read.digest !== placed.digest || read.entry.sequence !== placed.sequence)
    throw notProven(`${what} is named ${placed.digest}, but comes out to ${read.digest}`);
  return read;
}

/** Which of the wanted entries backlinks lead to from the checkpoint. */
function reachedFrom(
  checkpoint: Checkpoint,
  known: readonly ReadEntry[],
  wanted: readonly ReadEntry[],
): ReadonlySet<number> {
  const bySequence = new Map(known.map((read) => [Number(read.entry.sequence), read]));
  const reached = wanted.filter(({ entry }) => {
    if (entry.sequence > checkpoint.sequence) return false;
    let digest: Digest | undefined = checkpoint.digest;
    const way = backlinkPath(checkpoint.sequence, entry.sequence);
    return way.every((sequence, index) => {
      const read = bySequence.get(sequence);
      if (read === undefined || read.digest !== digest) return false;
      const next = way[index + 1];
      digest = read.entry.backlinks.find((link) => link.sequence === next)?.digest;
      return true;
    });
  });
  return new Set(reached.map(({ entry }) => entry.sequence));
}

/** The part of some options that a transaction takes. */
export function repeatableIn({ transactionId, salt }: Repeatable): Repeatable {
  return {
    ...(transactionId === undefined ? {} : { transactionId }),
    ...(salt === undefined ? {} : { salt }),
  };
}
