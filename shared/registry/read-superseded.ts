import type { Digest, RegistryId } from '../ledger/digest.ts';
import { type SupersededItem, supersededKey } from '../ledger/state.ts';
import { replacedBy } from './carrying.ts';
import { allResolutions } from './kept-statements.ts';
import type { LedgerStore } from './ports.ts';

/**
 * Entries that people replaced or voided, as readers see them: protocol section 7. They stay where
 * they are, with their receipts; the mark says that they do not count any more, and why.
 */

export interface Superseded {
  /** The entry that carried the resolution out: from there on it does not count. */
  readonly by: number;
  /** The entry in its place; absent where there is none. */
  readonly replacement?: number;
  readonly resolution: Digest;
  readonly reason: string;
}

/** The mark, where there is one. */
export interface Marked {
  readonly superseded?: Superseded;
}

/**
 * The rows with the marks of their entries. Only what a resolution of the manner replace names can
 * have one, so almost always nothing but the few kept statements is read.
 */
export async function withSuperseded<Row extends object>(
  { store }: { readonly store: LedgerStore },
  registryId: RegistryId,
  rows: readonly Row[],
  sequenceOf: (row: Row) => number,
): Promise<readonly (Row & Marked)[]> {
  if (rows.length === 0) return rows;
  const reasons = new Map<Digest, string>();
  const named = new Set<number>();
  for (const { digest, resolution } of await allResolutions(store, registryId))
    for (const { sequence } of replacedBy(resolution)) {
      reasons.set(digest, resolution.reason);
      named.add(sequence);
    }
  const wanted = new Set(rows.map(sequenceOf).filter((sequence) => named.has(sequence)));
  if (wanted.size === 0) return rows;
  const { items } = await store.read(registryId, [...wanted].map(supersededKey));
  return rows.map((row) => {
    const item = items.get(supersededKey(sequenceOf(row))) as SupersededItem | undefined;
    return item === undefined ? row : { ...row, superseded: markOf(item, reasons) };
  });
}

function markOf(
  { entry, replacement, resolution }: SupersededItem,
  reasons: ReadonlyMap<Digest, string>,
): Superseded {
  return {
    by: entry.sequence,
    ...(replacement === undefined ? {} : { replacement: replacement.sequence }),
    resolution,
    // A mark is made by a resolution that is kept.
    reason: reasons.get(resolution) ?? '',
  };
}
