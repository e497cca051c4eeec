import type { Link } from './backlinks.ts';
import type { Digest } from './digest.ts';
import { type Refused, refuse } from './errors.ts';

/** That an entry names a resolution, and that no other one does: protocol section 4. */

/** Which resolutions the entries have named. One state item: people decide on each. */
export interface NamedItem {
  /** The newest entry that named any. */
  readonly entry: Link;
  /** The entries that named them, by the resolutions' digests. */
  readonly named: Readonly<Record<Digest, number>>;
}

/**
 * Whether each is named for the first time. That holds whatever becomes of the entry: one that names
 * a resolution again stands in no ledger.
 */
export function flawOfNaming(
  resolves: readonly Digest[],
  isNamed: (resolution: Digest) => boolean,
): Refused | undefined {
  const again = resolves.find(
    (digest, index) => isNamed(digest) || resolves.indexOf(digest) !== index,
  );
  if (again === undefined) return undefined;
  return refuse('RESOLVES_AGAIN', `the resolution ${again} was named by an entry before`);
}
