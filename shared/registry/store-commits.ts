import { backlinkSequences } from '../ledger/backlinks.ts';
import {
  type ChainHead,
  checkPlace,
  extendHead,
  handsOver,
  leadOf,
  sameLink,
} from '../ledger/chain.ts';
import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import { linkTo } from '../ledger/entry.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { limits } from '../ledger/limits.ts';
import { rule, type StateKey, type StateView, stateKeysOf, viewAfter } from '../ledger/state.ts';
import { commitWrite, type StagedEntry } from './commit.ts';
import type { JudgedCommit, JudgedEntry } from './judge-delivery.ts';
import type { CommitWrite, Head, LedgerStore, StateRead } from './ports.ts';

/**
 * Holding judged commits against one's own copy, and building the write that stores them: the same
 * rules and the same conditional write as at a lead (protocol section 6).
 */

export type CommitCheck =
  | { readonly outcome: 'fits'; readonly write: CommitWrite }
  /** Signed by somebody who does not lead there, or by nobody: it accuses nobody. */
  | { readonly outcome: 'malformed'; readonly refused: Refused }
  /** The lead's own word, and it disagrees. */
  | ({
      readonly outcome: 'disagrees';
      readonly lead: CertificateId;
    } & Objection);

/** What is wrong with the lead's word. */
interface Objection {
  readonly kind: 'fork' | 'invalid-transaction';
  /** Of the invalid entry; of a fork the place where two digests meet. */
  readonly sequence: number;
  /** The invalid entry's; of a fork the one held and the one that is linked to. */
  readonly digests: readonly Digest[];
  readonly refused: Refused;
  /** The entry that was held against own state items, where the refusal may rest on those. */
  readonly ruled?: JudgedEntry;
}

/** Leading commits of the list that one write can hold. */
export function commitsOfOneWrite(commits: readonly JudgedCommit[]): JudgedCommit[] {
  const taken: JudgedCommit[] = [];
  let count = 0;
  for (const commit of commits) {
    count += commit.entries.length;
    if (taken.length > 0 && count > limits.commitEntriesMax) break;
    taken.push(commit);
  }
  return taken;
}

/** The state items that the rules need for these commits. */
export function stateKeysOfCommits(commits: readonly JudgedCommit[]): StateKey[] {
  const keys = commits.flatMap(({ entries }) =>
    entries.flatMap(({ transaction }) => stateKeysOf(transaction.transaction)),
  );
  return [...new Set(keys)];
}

export interface OwnSide {
  readonly registryId: RegistryId;
  readonly read: StateRead;
  readonly self: readonly CertificateId[];
  readonly tableId: string;
}

/** Checks consecutive commits that come next after the head, in order. */
export function checkCommits(own: OwnSide, commits: readonly JudgedCommit[]): CommitCheck {
  const before = own.read.head;
  let walk: Walk = { chain: before, view: (key) => own.read.items.get(key), staged: [] };
  for (const commit of commits) {
    const checked = checkCommit(walk, commit);
    if (checked.outcome !== 'walked') return checked;
    walk = checked;
  }
  const checkpoint = commits.at(-1)?.checkpoint.compact;
  if (checkpoint === undefined) throw new Error('no commits to check');
  const { registryId, self, tableId } = own;
  const write = commitWrite({ registryId, before, self, tableId }, walk.staged, checkpoint);
  return { outcome: 'fits', write };
}

/** How far the checking of a delivery has come. */
interface Walk {
  readonly chain: ChainHead | undefined;
  readonly view: StateView;
  readonly staged: readonly StagedEntry[];
}

function checkCommit(
  walk: Walk,
  commit: JudgedCommit,
): ({ readonly outcome: 'walked' } & Walk) | Exclude<CommitCheck, { outcome: 'fits' }> {
  let { chain, view } = walk;
  const staged = [...walk.staged];
  const lead = chain === undefined ? firstLead(commit) : leadOf(chain.configuration);
  const foreign = signerFlaw(commit, lead);
  if (foreign !== undefined) return { outcome: 'malformed', refused: foreign };
  if (commit.flaw !== undefined) {
    const { sequence, digest, refused } = commit.flaw;
    const objection = {
      kind: 'invalid-transaction',
      sequence,
      digests: [digest],
      refused,
    } as const;
    return { ...objection, outcome: 'disagrees', lead };
  }
  for (const [index, judged] of commit.entries.entries()) {
    const last = index === commit.entries.length - 1;
    const checked = checkEntry(chain, view, judged, last);
    if (checked.outcome === 'disagrees') return { ...checked, lead };
    staged.push({
      ...judged,
      changes: checked.changes,
      ...(last ? { checkpoint: commit.checkpoint.compact } : {}),
    });
    view = viewAfter(view, checked.changes);
    chain = extendHead(chain, judged.read, judged.transaction.transaction);
  }
  return { outcome: 'walked', chain, view, staged };
}

function firstLead(commit: JudgedCommit): CertificateId {
  const transaction = commit.entries[0]?.transaction.transaction;
  return transaction?.type === 'create-registry' ? leadOf(transaction) : ('' as CertificateId);
}

function signerFlaw({ checkpoint }: JudgedCommit, lead: CertificateId): Refused | undefined {
  const { signer, sequence } = checkpoint.statement;
  if (signer === lead) return undefined;
  return refuse(
    'LEAD_DIFFERS',
    `the checkpoint of entry ${sequence} is signed by ${signer}; the lead in force is ${lead}`,
  );
}

type EntryCheck =
  | { readonly outcome: 'fits'; readonly changes: StagedEntry['changes'] }
  | ({ readonly outcome: 'disagrees' } & Objection);

function checkEntry(
  chain: ChainHead | undefined,
  view: StateView,
  judged: JudgedEntry,
  lastOfCommit: boolean,
): EntryCheck {
  const { read, transaction } = judged;
  const { sequence, resolves, subject } = read.entry;
  const invalid = (refused: Refused): EntryCheck => ({
    outcome: 'disagrees',
    kind: 'invalid-transaction',
    sequence,
    digests: [read.digest],
    refused,
    ruled: judged,
  });
  const misplaced = checkPlace(chain, read, transaction.transaction, transaction.digest);
  if (misplaced !== undefined) return forked(chain, read.entry, misplaced) ?? invalid(misplaced);
  const ruling = rule(chain, view, transaction.transaction, transaction.digest);
  if (ruling.outcome === 'refused') return invalid(ruling);
  if (!sameLink(subject, ruling.subject))
    return invalid(
      refuse('SUBJECT_LINK_WRONG', `entry ${sequence} does not link to what it is about`),
    );
  if (resolves.length > 0)
    return invalid(
      refuse('RESOLVES_UNKNOWN', `entry ${sequence} names resolutions that nobody has sent`),
    );
  if (!lastOfCommit && chain !== undefined && handsOver(chain, transaction.transaction))
    return invalid(
      refuse('COMMIT_NOT_ENDED', `entry ${sequence} hands the lead over inside a commit`),
    );
  return { outcome: 'fits', changes: ruling.changesAt(linkTo(read)) };
}

/** Right places, other digests: an entry of another chain of the same lead. */
function forked(
  chain: ChainHead | undefined,
  { sequence, backlinks, configuration }: JudgedEntry['read']['entry'],
  refused: Refused,
): EntryCheck | undefined {
  if (chain === undefined || sequence !== chain.sequence + 1) return undefined;
  const expected = backlinkSequences(sequence);
  if (backlinks.length !== expected.length) return undefined;
  if (backlinks.some((link, index) => link.sequence !== expected[index])) return undefined;
  const held = new Map<number, Digest>(
    [...chain.tower, chain.configuration].map((own) => [own.sequence, own.digest]),
  );
  const links = configuration === undefined ? backlinks : [...backlinks, configuration];
  for (const link of links) {
    const own = held.get(link.sequence);
    if (own === undefined || own === link.digest) continue;
    const digests = [own, link.digest];
    return { outcome: 'disagrees', kind: 'fork', sequence: link.sequence, digests, refused };
  }
  return undefined;
}

/** The head of the registry and the state items for the commits. */
export function readOwnSide(
  store: LedgerStore,
  registryId: Head['registryId'],
  commits: readonly JudgedCommit[],
): Promise<StateRead> {
  return store.read(registryId, stateKeysOfCommits(commits));
}

/**
 * The same, certain not to mix times: the head and the items are no snapshot, and items that are
 * newer or older than the head make a sound entry look wrong. Undefined: something was written
 * meanwhile.
 */
export async function readSettled(
  store: LedgerStore,
  registryId: Head['registryId'],
  commits: readonly JudgedCommit[],
): Promise<StateRead | undefined> {
  const before = await store.head(registryId);
  const read = await readOwnSide(store, registryId, commits);
  const after = await store.head(registryId);
  const same = [read.head, after].every(
    (head) =>
      head?.digest === before?.digest && head?.conflictsVersion === before?.conflictsVersion,
  );
  return same ? read : undefined;
}
