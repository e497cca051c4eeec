import type { Digest } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { limits } from '../ledger/limits.ts';
import { encodeSignedLine } from '../ledger/signed-line.ts';
import { ConfirmationsInOrder, lineBefore, linesOf } from './export.ts';
import { allResolutions } from './kept-statements.ts';
import type { Head, LedgerStore, StoredEntry } from './ports.ts';
import { type StatementBefore, statementsBefore } from './statements-before.ts';

/**
 * The export of an older copy, which was set aside or taken back: evidence, for an expert. The lines
 * are those of an export, entries as they are stored, whatever they are worth: whoever verifies them
 * finds a branch, which is a chain of the lead's checkpoints, or what is wrong, and where. What was
 * confirmed is there as far as it is about these entries; closings are not, for they are about the
 * present copy.
 */
export async function* exportCopyLines(
  store: LedgerStore,
  head: Head,
  copy: number,
): AsyncGenerator<Uint8Array> {
  for (const said of await statementsNamed(store, head, copy)) yield lineBefore(said);
  const confirmations = new ConfirmationsInOrder(store, head.registryId);
  for await (const stored of entriesOf(store, head, copy)) {
    yield* linesOf(stored);
    const found = await confirmations.of(stored);
    const confirmed = found.filter(({ digest }) => digest === stored.digest);
    const checkpoint = stored.checkpoint ?? confirmed[0]?.checkpoint;
    if (checkpoint !== undefined) yield encodeSignedLine(checkpoint);
    for (const { statement } of confirmed) yield encodeSignedLine(statement);
  }
}

/** What an export says before entry 1, of the resolutions that entries of this copy name. */
async function statementsNamed(
  store: LedgerStore,
  head: Head,
  copy: number,
): Promise<StatementBefore[]> {
  const known = await allResolutions(store, head.registryId);
  if (known.length === 0) return [];
  const named = new Set<Digest>();
  for await (const { entry } of entriesOf(store, head, copy)) {
    const read = readEntry(entry);
    if (read.outcome === 'read') for (const digest of read.entry.resolves) named.add(digest);
  }
  const decided = known.map(({ digest }) => digest).filter((digest) => !named.has(digest));
  return statementsBefore(store, { registryId: head.registryId, decided });
}

/** Those that are there: of an older copy nothing says where it ended, and one may be missing. */
async function* entriesOf(
  store: LedgerStore,
  { registryId }: Head,
  copy: number,
): AsyncGenerator<StoredEntry> {
  for (let from = 1; ; from += limits.pageMax) {
    const wanted = Array.from({ length: limits.pageMax }, (_, index) => from + index);
    const page = await store.entriesAt(registryId, copy, wanted);
    if (page.length === 0) return;
    yield* page;
  }
}
