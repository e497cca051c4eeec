import { backlinkSequences } from '../ledger/backlinks.ts';
import {
  type ChainHead,
  checkPlace,
  extendHead,
  handsOver,
  leadOf,
  sameLink,
} from '../ledger/chain.ts';
import type { CertificateId, RegistryId } from '../ledger/digest.ts';
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
  | {
      readonly outcome: 'disagrees';
      readonly kind: 'fork' | 'invalid-transaction';
      readonly sequence: number;
      readonly lead: CertificateId;
      readonly digest: JudgedEntry['read']['digest'];
      readonly refused: Refused;
    };

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
  if (commit.flaw !== undefined)
    return { ...commit.flaw, outcome: 'disagrees', kind: 'invalid-transaction', lead };
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
  | {
      readonly outcome: 'disagrees';
      readonly kind: 'fork' | 'invalid-transaction';
      readonly sequence: number;
      readonly digest: JudgedEntry['read']['digest'];
      readonly refused: Refused;
    };

function checkEntry(
  chain: ChainHead | undefined,
  view: StateView,
  { read, transaction }: JudgedEntry,
  lastOfCommit: boolean,
): EntryCheck {
  const { sequence, resolves, subject } = read.entry;
  const disagrees = (kind: 'fork' | 'invalid-transaction', refused: Refused): EntryCheck => ({
    outcome: 'disagrees',
    kind,
    sequence,
    digest: read.digest,
    refused,
  });
  const misplaced = checkPlace(chain, read, transaction.transaction, transaction.digest);
  if (misplaced !== undefined)
    return disagrees(linksElsewhere(chain, read.entry) ? 'fork' : 'invalid-transaction', misplaced);
  const ruling = rule(chain, view, transaction.transaction, transaction.digest);
  if (ruling.outcome === 'refused') return disagrees('invalid-transaction', ruling);
  if (!sameLink(subject, ruling.subject))
    return disagrees(
      'invalid-transaction',
      refuse('SUBJECT_LINK_WRONG', `entry ${sequence} does not link to what it is about`),
    );
  if (resolves.length > 0)
    return disagrees(
      'invalid-transaction',
      refuse('RESOLVES_UNKNOWN', `entry ${sequence} names resolutions that nobody has sent`),
    );
  if (!lastOfCommit && chain !== undefined && handsOver(chain, transaction.transaction))
    return disagrees(
      'invalid-transaction',
      refuse('COMMIT_NOT_ENDED', `entry ${sequence} hands the lead over inside a commit`),
    );
  return { outcome: 'fits', changes: ruling.changesAt(linkTo(read)) };
}

/** Right places, other digests: an entry of another chain of the same lead. */
function linksElsewhere(
  chain: ChainHead | undefined,
  entry: JudgedEntry['read']['entry'],
): boolean {
  if (chain === undefined || entry.sequence !== chain.sequence + 1) return false;
  const expected = backlinkSequences(entry.sequence);
  return (
    entry.backlinks.length === expected.length &&
    entry.backlinks.every((link, index) => link.sequence === expected[index]) &&
    (entry.backlinks.some((link) =>
      chain.tower.some((own) => own.sequence === link.sequence && own.digest !== link.digest),
    ) ||
      (entry.configuration?.sequence === chain.configuration.sequence &&
        entry.configuration.digest !== chain.configuration.digest))
  );
}

/** The head of the registry and the state items for the commits. */
export function readOwnSide(
  store: LedgerStore,
  registryId: Head['registryId'],
  commits: readonly JudgedCommit[],
): Promise<StateRead> {
  return store.read(registryId, stateKeysOfCommits(commits));
}
