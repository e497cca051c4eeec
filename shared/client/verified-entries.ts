/**
 * Entries in pages, each page proven as a whole: every digest is computed again, every entry is
 * linked to by the next one, and the last one has a receipt. So a page costs one receipt.
 */
import { encodeCanonical } from '../ledger/canonical.ts';
import type { CertificateId, Digest, Sequence } from '../ledger/digest.ts';
import { type ReadEntry, readEntry } from '../ledger/entry.ts';
import { type Beside, checkBeside } from '../ledger/redaction.ts';
import {
  type Details,
  type ReadTransaction,
  readTransaction,
  type Transaction,
} from '../ledger/transaction.ts';
import type { EntryRow, Superseded } from './answers.ts';
import type { CallOptions } from './calls.ts';
import { notProven } from './problem.ts';
import type { Receipts } from './receipts.ts';

/** One entry of a page, proven. */
export interface VerifiedEntry {
  readonly sequence: Sequence;
  readonly digest: Digest;
  /** By the lead's clock. */
  readonly timestamp: string;
  /** Who appended it. */
  readonly lead: CertificateId;
  readonly transaction: Transaction;
  /**
   * Bound by the transaction. Absent where the type has none, and where they were left out: the
   * entry's receipt proves whether they were redacted, and by whom.
   */
  readonly details?: Details;
  /** The instance's word: people replaced or voided it. */
  readonly superseded?: Superseded;
}

/** The rows as entries `from` and on, one after the other, after all of them were proven. */
export async function provenEntries(
  receipts: Receipts,
  { registryId, from }: { readonly registryId: string; readonly from: number },
  rows: readonly EntryRow[],
  options?: CallOptions,
): Promise<VerifiedEntry[]> {
  const read = rows.map((row, index) => readRow(row, from + index));
  for (const [index, each] of read.entries()) requireLinked(each, read[index + 1]);
  const last = read.at(-1);
  if (last === undefined) return [];
  const place = { registryId, sequence: last.entry.sequence, digest: last.digest };
  await receipts.proven(place, () => undefined, options);
  return read.map(({ verified }) => verified);
}

interface ReadRow extends Pick<ReadEntry, 'entry' | 'digest'> {
  readonly verified: VerifiedEntry;
}

function readRow(row: EntryRow, expected: number): ReadRow {
  const what = `entry ${expected}`;
  const read = readEntry(canonical(row.entry, what));
  if (read.outcome === 'refused') throw notProven(`${what} is no entry: ${read.detail}`);
  const { entry, digest } = read;
  if (entry.sequence !== expected || row.sequence !== expected)
    throw notProven(`${what} was expected, entry ${entry.sequence} was answered`);
  if (digest !== row.digest)
    throw notProven(`${what} is named ${row.digest}, but comes out to ${digest}`);
  const transaction = readTransaction(canonical(row.transaction, what));
  if (transaction.outcome === 'refused')
    throw notProven(`the transaction of ${what} is none: ${transaction.detail}`);
  if (transaction.digest !== entry.transactionDigest)
    throw notProven(
      `${what} names the transaction ${entry.transactionDigest}; the one beside it comes out to ` +
        transaction.digest,
    );
  const details = detailsBeside(transaction, row, read);
  const { timestamp, lead, sequence } = entry;
  const verified = {
    sequence,
    digest,
    timestamp,
    lead,
    transaction: transaction.transaction,
    ...(details === undefined ? {} : { details }),
    ...(row.superseded === undefined ? {} : { superseded: row.superseded }),
  };
  return { entry, digest, verified };
}

/** Details that are there are the bound ones; a redaction that is there is one of this entry. */
function detailsBeside(
  transaction: ReadTransaction,
  row: EntryRow,
  { entry }: ReadEntry,
): Details | undefined {
  const { details, redaction } = row;
  if (details === undefined && redaction === undefined) return undefined;
  const what = `entry ${entry.sequence}`;
  const beside: Beside = {
    ...(details === undefined ? {} : { details: canonical(details, what) }),
    ...(redaction === undefined ? {} : { redaction }),
  };
  const checked = checkBeside(transaction, beside, entry);
  if (checked.outcome === 'refused')
    throw notProven(`what stands beside ${what} does not belong to it: ${checked.detail}`);
  return checked.details;
}

/** Entry n + 1 links to entry n, whatever else it links to: protocol section 4. */
function requireLinked({ entry, digest }: ReadRow, following: ReadRow | undefined): void {
  const link = following?.entry.backlinks.find(({ sequence }) => sequence === entry.sequence);
  if (following !== undefined && link?.digest !== digest)
    throw notProven(
      `entry ${entry.sequence} comes out to ${digest}; entry ${following.entry.sequence} links ` +
        `to ${link?.digest}`,
    );
}

/** The bytes that were hashed. The answer is untrusted: it may hold what has no encoding. */
export function canonical(value: unknown, what: string): Buffer {
  try {
    return encodeCanonical(value);
  } catch {
    throw notProven(`${what} holds what nobody can have hashed`);
  }
}
