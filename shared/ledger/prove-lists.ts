import type { Link } from './backlinks.ts';
import { leadOf, sameLink } from './chain.ts';
import type { CertificateId, RegistryId } from './digest.ts';
import { linkTo } from './entry.ts';
import { type Refused, refuse } from './errors.ts';
import {
  type CarriedCommit,
  type JudgedCommit,
  type JudgedEntry,
  judgeCommit,
} from './signed-commit.ts';

/**
 * Who leads and who mirrors, proved from nothing but the registry id: every configuration entry
 * inside its checkpointed commit, from entry 1 on, each list linked from the next (protocol section
 * 6). A lead whose list ends has itself signed the commit that says so.
 */

/** A peer list and the entry that put it in force; it is in force from the next entry on. */
export interface ProvedList extends Link {
  readonly peers: readonly CertificateId[];
}

export interface ProvedLists {
  readonly outcome: 'proved';
  /** Oldest first; at least that of entry 1. */
  readonly lists: readonly ProvedList[];
  /** The last of them. */
  readonly peers: readonly CertificateId[];
  /** Of any of the lists. */
  readonly everPeers: ReadonlySet<CertificateId>;
}

/** The lists that a chain of configuration entries puts in force; `configurations` oldest first. */
export function proveLists({
  registryId,
  configurations,
}: {
  readonly registryId: RegistryId;
  readonly configurations: readonly CarriedCommit[];
}): ProvedLists | Refused {
  let lists: readonly ProvedList[] = [];
  for (const carried of configurations) {
    const judged = judgeCommit(registryId, carried);
    if (judged.outcome === 'malformed') return judged.refused;
    if (judged.flaw !== undefined) return judged.flaw.refused;
    const continued = continueThrough(registryId, lists, judged);
    if (continued.outcome === 'refused') return continued;
    lists = continued.lists;
  }
  const newest = lists.at(-1);
  if (newest === undefined) return refuse('NOT_FIRST_ENTRY', 'there is no peer list at all');
  const everPeers = new Set(lists.flatMap(({ peers }) => peers));
  return { outcome: 'proved', lists, peers: newest.peers, everPeers };
}

/**
 * Who leads at an entry, and so appended it: the first of the last list before it, and at entry 1 of
 * its own. `lists` are proved, hence not empty.
 */
export function leadAt(lists: readonly ProvedList[], sequence: number): CertificateId {
  const before = lists.findLast((list) => list.sequence < sequence) ?? lists[0];
  return leadOf(before as ProvedList);
}

type Continued = { readonly outcome: 'continued'; readonly lists: readonly ProvedList[] } | Refused;

function continueThrough(
  registryId: RegistryId,
  before: readonly ProvedList[],
  { checkpoint, entries }: JudgedCommit,
): Continued {
  const { signer, sequence } = checkpoint.statement;
  let lists = before;
  for (const entry of entries) {
    const next = continueLists(registryId, lists, entry);
    if (next.outcome === 'refused') return next;
    if (signer !== entry.read.entry.lead)
      return refuse('LEAD_DIFFERS', `the checkpoint of entry ${sequence} is not its lead's`);
    lists = next.lists;
  }
  return { outcome: 'continued', lists };
}

/** One entry, held against the list that was in force before it. */
function continueLists(
  registryId: RegistryId,
  lists: readonly ProvedList[],
  { read, transaction }: JudgedEntry,
): Continued {
  const { sequence, configuration, lead } = read.entry;
  const before = lists.at(-1);
  const brought =
    'peers' in transaction.transaction
      ? { ...linkTo(read), peers: transaction.transaction.peers }
      : undefined;
  if (before === undefined) {
    if (sequence !== 1 || transaction.digest !== registryId || brought === undefined)
      return refuse('NOT_FIRST_ENTRY', 'the peer lists do not begin with the create-registry');
    if (lead !== leadOf(brought)) return refuse('LEAD_DIFFERS', 'entry 1 is not of its own lead');
    return { outcome: 'continued', lists: [brought] };
  }
  if (transaction.transaction.type === 'create-registry')
    return refuse('NOT_FIRST_ENTRY', `entry ${sequence} creates a registry; only entry 1 does`);
  if (!sameLink(configuration, before) || before.sequence >= sequence)
    return refuse('CONFIGURATION_LINK_WRONG', `entry ${sequence} skips a peer list`);
  if (lead !== leadOf(before))
    return refuse('LEAD_DIFFERS', `entry ${sequence} is not of the lead in force`);
  return { outcome: 'continued', lists: brought === undefined ? lists : [...lists, brought] };
}
