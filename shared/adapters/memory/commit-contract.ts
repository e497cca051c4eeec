/** What a commit must be, whoever makes it: the sentences of the port, checked. */
import { encodeCanonical } from '../../ledger/canonical.ts';
import { digestOf } from '../../ledger/digest.ts';
import { limits } from '../../ledger/limits.ts';
import type { CommitWrite, Head } from '../../registry/ports.ts';

/** The sentence that says how the commit by itself breaks the contract of the port, if it does. */
export function flawOfCommit(write: CommitWrite): string | undefined {
  return flawOfRun(write) ?? flawOfEntries(write) ?? flawOfHead(write);
}

function flawOfRun({ entries, expected }: CommitWrite): string | undefined {
  if (entries.length < 1 || entries.length > limits.commitEntriesMax)
    return `has ${entries.length} entries; 1 to ${limits.commitEntriesMax} are one commit`;
  const first = entries[0]?.sequence ?? 0;
  const isRun = entries.every((entry, index) => entry.sequence === first + index);
  if (!isRun) return 'has entries that are not consecutive';
  if (expected === undefined && first !== 1)
    return `begins with entry ${first} where nothing is expected to be there yet`;
  return undefined;
}

function flawOfEntries({ entries }: CommitWrite): string | undefined {
  const wrong = entries.find((entry) => digestOf(entry.entry) !== entry.digest);
  if (wrong !== undefined)
    return `has an entry ${wrong.sequence} whose bytes do not come out to its digest`;
  const ids = new Set(entries.map((entry) => entry.transactionId));
  return ids.size < entries.length ? 'has a transaction id twice' : undefined;
}

function flawOfHead({ registryId, head, entries }: CommitWrite): string | undefined {
  const last = entries.at(-1);
  if (head.registryId !== registryId) return `has the head of registry ${head.registryId}`;
  if (last?.sequence !== head.sequence || last.digest !== head.digest)
    return `has a head at entry ${head.sequence} that is not its last entry`;
  if (last.checkpoint === undefined || last.checkpoint !== head.checkpoint)
    return 'does not end in an entry with the checkpoint of its head';
  return undefined;
}

/** The same about how the commit continues the head that it was found to expect. */
export function flawOfSuccession(before: Head | undefined, write: CommitWrite): string | undefined {
  if (before === undefined) return undefined;
  const { head, entries } = write;
  const first = entries[0]?.sequence;
  if (head.copy < before.copy) return `goes back from copy ${before.copy} to ${head.copy}`;
  // A set-aside begins the next copy further back.
  if (head.copy === before.copy && first !== before.sequence + 1)
    return `begins with entry ${first} on top of entry ${before.sequence}`;
  const isRaised = head.conflictsVersion > before.conflictsVersion;
  if (!isRaised && !same(head.openConflicts, before.openConflicts))
    return 'changes the open conflicts without raising their version';
  return head.conflictsVersion < before.conflictsVersion
    ? 'lowers the version of the open conflicts'
    : undefined;
}

function same(a: unknown, b: unknown): boolean {
  return encodeCanonical(a).equals(encodeCanonical(b));
}
