import type { Link } from '../ledger/backlinks.ts';
import { readEntry } from '../ledger/entry.ts';
import type { Refused } from '../ledger/errors.ts';
import { limits } from '../ledger/limits.ts';
import {
  checkDetails,
  type Details,
  type ReadTransaction,
  readTransaction,
  type Transaction,
} from '../ledger/transaction.ts';
import type { Head, LedgerStore, StoredEntry } from './ports.ts';

/** What stored entries say. They were parsed before they were stored: what fails now was damaged. */

/** The words in an entry's details: which ones depends on the type of its transaction. */
export interface Texts {
  readonly name?: string;
  readonly description?: string;
  readonly note?: string;
  readonly signer?: string;
  /** The details are gone, by a decision of people: there is no text any more. */
  readonly redacted?: true;
}

/** The entries of these sequences, read together. Asking for one that is missing throws. */
export async function storedEntries(
  store: LedgerStore,
  { registryId, copy }: Pick<Head, 'registryId' | 'copy'>,
  sequences: readonly number[],
): Promise<(sequence: number) => StoredEntry> {
  const wanted = [...new Set(sequences)];
  const found = new Map<number, StoredEntry>();
  for (let start = 0; start < wanted.length; start += limits.pageMax) {
    const some = wanted.slice(start, start + limits.pageMax);
    for (const stored of await store.entriesAt(registryId, copy, some))
      found.set(stored.sequence, stored);
  }
  return (sequence) => {
    const stored = found.get(sequence);
    if (stored !== undefined) return stored;
    throw new Error(
      `entry ${sequence} of registry ${registryId} is missing from copy ${copy}: ` +
        'audit this instance',
    );
  };
}

/** The entry as others link to it. */
export function linkOf({ digest, sequence }: StoredEntry): Link {
  return { digest, sequence };
}

/** The transaction of the entry, which is of that type. Throws where it is not. */
export function transactionOf<Type extends Transaction['type']>(
  stored: StoredEntry,
  type: Type,
): Extract<Transaction, { type: Type }> {
  const { transaction } = readOf(stored);
  if (transaction.type !== type)
    throw new Error(`entry ${stored.sequence} records ${transaction.type}; expected ${type}`);
  return transaction as Extract<Transaction, { type: Type }>;
}

/** The entry's timestamp: RFC 3339, by its lead's clock. */
export function timestampOf(stored: StoredEntry): string {
  const read = readEntry(stored.entry);
  if (read.outcome === 'refused') throw damaged(stored, read);
  return read.entry.timestamp;
}

/** The words in the entry's details, or that they are redacted. */
export function textsOf(stored: StoredEntry): Texts {
  if (stored.details === undefined) return { redacted: true };
  const checked = checkDetails(readOf(stored), stored.details);
  if (checked.outcome === 'refused') throw damaged(stored, checked);
  const { format: _format, salt: _salt, ...texts } = checked.details as Details;
  return texts;
}

function readOf(stored: StoredEntry): ReadTransaction {
  const read = readTransaction(stored.transaction);
  if (read.outcome === 'refused') throw damaged(stored, read);
  return read;
}

function damaged({ sequence }: StoredEntry, { code, detail }: Refused): Error {
  return new Error(`entry ${sequence} was damaged where it is stored: ${code}: ${detail}`);
}
