import { encodeCanonical } from '../../ledger/canonical.ts';
import type { StateItem } from '../../ledger/state.ts';
import { frozen } from './frozen.ts';

/** A state item, and its canonical text to compare. */
export type HeldItem = ReturnType<typeof heldItem>;

export function heldItem(item: StateItem) {
  return { item: frozen(item), text: encodeCanonical(item).toString() };
}
