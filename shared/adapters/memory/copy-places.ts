import type { StateKey } from '../../ledger/state.ts';

/** Where an entry or a state item of a copy is held. */
export function inCopy(copy: number, place: StateKey | number): string {
  return `${copy}#${place}`;
}

/** Copy and key of a state item from its place. */
export function outOfCopy(place: string): { readonly copy: number; readonly key: StateKey } {
  const end = place.indexOf('#');
  return { copy: Number(place.slice(0, end)), key: place.slice(end + 1) as StateKey };
}
