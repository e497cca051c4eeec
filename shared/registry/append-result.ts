import { backlinkPath } from '../ledger/backlinks.ts';
import type { RegistryId } from '../ledger/digest.ts';
import type { Compact } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import type { LedgerStore, StoredEntry } from './ports.ts';

/** What a client gets for its transactions: enough to check them offline (protocol section 5). */
export interface AppendResult {
  readonly registryId: RegistryId;
  /** In the order of the request. */
  readonly entries: readonly StoredEntry[];
  /** The further entries on the way from the checkpoint back to each of them, newest first. */
  readonly path: readonly StoredEntry[];
  readonly checkpoint: Compact;
}

/** The result for some transactions of a run of entries that ends in a checkpoint. */
export function appendResult(
  registryId: RegistryId,
  run: readonly StoredEntry[],
  transactionIds: ReadonlySet<string>,
): AppendResult {
  const last = run.at(-1);
  if (last?.checkpoint === undefined) throw new Error('a run of entries ends in a checkpoint');
  const entries = run.filter((stored) => transactionIds.has(stored.transactionId));
  const onPath = new Set(entries.flatMap(({ sequence }) => backlinkPath(last.sequence, sequence)));
  for (const { sequence } of entries) onPath.delete(sequence);
  const path = run.filter(({ sequence }) => onPath.has(sequence)).reverse();
  return { registryId, entries, path, checkpoint: last.checkpoint };
}

/** The same result again, read from what is stored. */
export async function storedAppendResult(
  store: LedgerStore,
  registryId: RegistryId,
  copy: number,
  recorded: { readonly from: number; readonly transactionIds: ReadonlySet<string> },
): Promise<AppendResult> {
  const { from, transactionIds } = recorded;
  const count = 2 * limits.commitEntriesMax;
  const stored = await store.entries(registryId, copy, { from, count });
  const end = stored.findIndex(
    (entry, index) => index >= transactionIds.size - 1 && entry.checkpoint !== undefined,
  );
  return appendResult(registryId, stored.slice(0, end + 1), transactionIds);
}
