import { asBuffer } from './as-buffer.ts';
import type { Link } from './backlinks.ts';
import { type ChainHead, checkPlace, nextEntry } from './chain.ts';
import { type ReadEntry, readEntry } from './entry.ts';
import type { Refused } from './errors.ts';
import { isTimestamp } from './schema.ts';
import type { ReadTransaction } from './transaction.ts';

/** Whether the bytes of an entry belong where they stand, after `head`: protocol section 4. */

/**
 * The entry if it is exactly the one that is to be expected, all but its time, and names no
 * resolution. Undefined says nothing of what is wrong, nor that something is.
 */
export function asExpected(
  head: ChainHead | undefined,
  bytes: Uint8Array,
  { transaction, digest }: ReadTransaction,
  subject: Link | undefined,
): ReadEntry | undefined {
  const timestamp = timestampIn(bytes);
  if (!isTimestamp(timestamp)) return undefined;
  const placement = { transaction, transactionDigest: digest, resolves: [] };
  const expected = nextEntry(
    head,
    subject === undefined ? placement : { ...placement, subject },
    timestamp,
  );
  return Buffer.compare(expected.bytes, bytes) === 0 ? expected : undefined;
}

/** The entry, member by member, but for its subject and the resolutions that it names. */
export function examined(
  head: ChainHead | undefined,
  bytes: Uint8Array,
  { transaction, digest }: ReadTransaction,
): ReadEntry | Refused {
  const read = readEntry(bytes);
  if (read.outcome === 'refused') return read;
  return checkPlace(head, read, transaction, digest) ?? read;
}

const RESOLVES_NOTHING = Buffer.from('"resolves":[]');

/** Whether the entry names no resolution, as nearly every one: a look at bytes that may be anything. */
export function resolvesNothing(bytes: Uint8Array): boolean {
  return asBuffer(bytes).includes(RESOLVES_NOTHING);
}

const AFTER_TIMESTAMP = '","transactionDigest":"'.length + 64 + '"}'.length;
const TIMESTAMP_LENGTH = '2026-11-22T10:00:00.000Z'.length;

/** What stands in an entry's bytes where its time is to be. */
function timestampIn(bytes: Uint8Array): string {
  const end = bytes.length - AFTER_TIMESTAMP;
  return asBuffer(bytes).toString('latin1', end - TIMESTAMP_LENGTH, end);
}
