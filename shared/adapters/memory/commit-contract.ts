/** What a commit must be, whoever makes it: the sentences of the port, checked. */
import { encodeCanonical } from '../../ledger/canonical.ts';
import { digestOf } from '../../ledger/digest.ts';
import { limits } from '../../ledger/limits.ts';
import type { Settlement } from '../../registry/conflict-record.ts';
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

/** Whether the head, or that there is none, is still what the writer read. */
export function isAsExpected(
  head: Head | undefined,
  expected: Pick<Head, 'digest' | 'conflictsVersion'> | undefined,
): boolean {
  return head?.digest === expected?.digest && head?.conflictsVersion === expected?.conflictsVersion;
}

/** The same about how the commit continues the head that it was found to expect. */
export function flawOfSuccession(before: Head | undefined, write: CommitWrite): string | undefined {
  if (before === undefined) return undefined;
  const { head } = write;
  const flaw = head.copy === before.copy ? flawOfNext(before, write) : flawOfCopy(before, write);
  if (flaw !== undefined) return flaw;
  const isRaised = head.conflictsVersion > before.conflictsVersion;
  if (!isRaised && !same(head.openConflicts, before.openConflicts))
    return 'changes the open conflicts without raising their version';
  return head.conflictsVersion < before.conflictsVersion
    ? 'lowers the version of the open conflicts'
    : undefined;
}

function flawOfNext(before: Head, { entries }: CommitWrite): string | undefined {
  const first = entries[0]?.sequence;
  return first === before.sequence + 1
    ? undefined
    : `begins with entry ${first} on top of entry ${before.sequence}`;
}

/** A set-aside or a take-back begins the next copy, from the first entry on. */
function flawOfCopy(before: Head, { head, entries }: CommitWrite): string | undefined {
  const first = entries[0]?.sequence;
  if (head.copy < before.copy) return `goes back from copy ${before.copy} to ${head.copy}`;
  if (head.copy !== before.copy + 1) return `begins copy ${head.copy} after copy ${before.copy}`;
  if (first !== 1) return `begins copy ${head.copy} with entry ${first}`;
  // The new copy comes to the digests of the older one: only the version tells their heads apart.
  return head.conflictsVersion > before.conflictsVersion
    ? undefined
    : `begins copy ${head.copy} without raising the version of the open conflicts`;
}

/** The sentence that says how the settlement breaks the contract of the port, if it does. */
export function flawOfSettlement(settlement: Settlement): string | undefined {
  const { registryId, expected, head } = settlement;
  if (head.registryId !== registryId) return `has the head of registry ${head.registryId}`;
  return head.conflictsVersion === expected.conflictsVersion + 1
    ? undefined
    : `has version ${head.conflictsVersion} of the open conflicts after ${expected.conflictsVersion}`;
}

function same(a: unknown, b: unknown): boolean {
  return encodeCanonical(a).equals(encodeCanonical(b));
}
