import type { Digest, Sequence } from './digest.ts';

/** Names an entry by its place and its digest. */
export interface Link {
  readonly sequence: Sequence;
  readonly digest: Digest;
}
