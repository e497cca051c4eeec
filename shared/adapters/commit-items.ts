/**
 * A commit as items, by the same rules in every store: a transaction and its id are one item, which
 * answers the state key `transaction#<id>`, so a change of that key adds nothing.
 */
import { digestOf } from '../ledger/digest.ts';
import { limits } from '../ledger/limits.ts';
import { type StateChange, type StateKey, transactionKey } from '../ledger/state.ts';
import type { CommitWrite, StoredEntry } from '../registry/ports.ts';
import { openSetChange } from './open-set.ts';

/** What one TransactWriteItems of DynamoDB takes. */
export const COMMIT_ITEMS_MAX = 100;

/** The sentence for whoever asks for more scattered entries at once than a store reads. */
export function tooManyEntries(sequences: readonly number[]): string {
  return (
    `${sequences.length} entries were asked for at once; at most ${limits.pageMax} are read: ` +
    'ask in pages'
  );
}

const TRANSACTION_PREFIX = transactionKey('');

/** The transaction id in a state key that is answered from the transaction's item. */
export function transactionIdOf(key: StateKey): string | undefined {
  return key.startsWith(TRANSACTION_PREFIX) ? key.slice(TRANSACTION_PREFIX.length) : undefined;
}

/**
 * The changes that are items of their own. Throws where the commit is larger than a store takes, or
 * where a change of a transaction's key says something else than the transaction beside it.
 */
export function changesOfOwn(write: CommitWrite): StateChange[] {
  const entries = new Map(write.entries.map((entry) => [entry.transactionId, entry]));
  const own = write.changes.filter((change) => {
    const id = transactionIdOf(change.key);
    if (id === undefined) return true;
    if (!isSaidBy(change, entries.get(id)))
      throw new Error(
        `commit to registry ${write.registryId}: the change of ${change.key} does not fit an ` +
          'entry of the same commit; a transaction is recorded together with its entry',
      );
    return false;
  });
  checkCount(write, own.length);
  return own;
}

function isSaidBy({ before, after }: StateChange, entry: StoredEntry | undefined): boolean {
  if (entry === undefined || before !== undefined || !('transactionDigest' in after)) return false;
  const { transactionDigest, sequence } = after;
  return sequence === entry.sequence && transactionDigest === digestOf(entry.transaction);
}

function checkCount(write: CommitWrite, changes: number): void {
  // The head; an entry and a transaction each; with entry 1 the registry's place in the list; what
  // is kept, with its place in the log and the log's head; what ends of open conflicts.
  const first = write.expected === undefined ? 1 : 0;
  const kept = write.kept === undefined ? 0 : 3;
  const ended = openSetChange(write.expected, write.head) === undefined ? 0 : 1;
  const items = 1 + 2 * write.entries.length + changes + first + kept + ended;
  if (items > COMMIT_ITEMS_MAX)
    throw new Error(
      `commit to registry ${write.registryId} has ${items} items; one write takes ` +
        `${COMMIT_ITEMS_MAX}: commit fewer transactions at once`,
    );
}
