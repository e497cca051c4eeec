import type { Digest, Sequence } from './digest.ts';

/** Names an entry by its place and its digest. */
export interface Link {
  readonly sequence: Sequence;
  readonly digest: Digest;
}

/** For each k, at index k, the newest entry whose sequence is a multiple of 2^k (section 4). */
export type Tower = readonly Link[];

/**
 * The sequences entry n links to: n - 2^k for every k with 2^k dividing n, while that is at least
 * 1. Nearest first. Two on average (protocol section 4).
 */
export function backlinkSequences(sequence: number): number[] {
  const targets: number[] = [];
  for (let step = 1; sequence % step === 0 && sequence - step >= 1; step *= 2)
    targets.push(sequence - step);
  return targets;
}

/** The backlinks of the entry that comes next after the tower's newest entry. */
export function backlinksOf(tower: Tower, sequence: number): Link[] {
  // tower[k] is the newest multiple of 2^k: for a next entry that is one too, just 2^k away.
  return tower.slice(0, backlinkSequences(sequence).length);
}

/** The tower after the entry was added. */
export function grownTower(tower: Tower, added: Link): Link[] {
  const grown = [...tower];
  for (let step = 1, k = 0; added.sequence % step === 0; step *= 2, k += 1) grown[k] = added;
  return grown;
}

/**
 * The sequences of the shortest walk that the rule allows from a later entry back to an earlier
 * one, both included: at each entry the farthest backlink that does not overshoot. At most
 * 2·⌊log2 from⌋ steps (protocol section 4).
 */
export function backlinkPath(from: number, to: number): number[] {
  const path = [from];
  for (let current = from; current > to; ) {
    const reachable = backlinkSequences(current).filter((target) => target >= to);
    // The nearest backlink, current - 1, never overshoots, so there always is one.
    current = Math.min(...reachable);
    path.push(current);
  }
  return path;
}
