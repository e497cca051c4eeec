import type { RegistryId } from '../ledger/digest.ts';
import * as signed from '../ledger/signed-commit.ts';
import type { CarriedCommit } from './messages.ts';

/** A delivered commit, judged by itself: the rules are those of the ledger (protocol section 6). */

export type JudgedEntry = signed.JudgedEntry;
export type JudgedCommit = signed.JudgedCommit;
export type Flaw = signed.Flaw;
export type Malformed = signed.Malformed;

/** What the commit's checkpoint reaches, before anything is compared with one's own copy. */
export function judgeCommit(
  registryId: RegistryId,
  commit: CarriedCommit,
): JudgedCommit | Malformed {
  return signed.judgeCommit(registryId, commit);
}
