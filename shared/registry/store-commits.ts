import { backlinkSequences, type Link } from '../ledger/backlinks.ts';
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
import { flawOfNaming } from '../ledger/naming.ts';
import type { Resolution } from '../ledger/resolution.ts';
import {
  rule,
  type StateChange,
  type StateKey,
  type StateView,
  stateKeysOf,
  viewAfter,
} from '../ledger/state.ts';
import {
  changesWithoutEffect,
  NAMED_KEY,
  namedAt,
  namingChanges,
  stateKeysOfVoided,
  type VoidedEntry,
} from '../ledger/superseding.ts';
import { type Carrying, carriedBy, checkCarried, marksOf, replacedBy } from './carrying.ts';
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

/**
 * Leading commits of the list that one write can hold. One that names resolutions is written by
 * itself: it may mark as many items as one write can take beside its entries.
 */
export function commitsOfOneWrite(commits: readonly JudgedCommit[]): JudgedCommit[] {
  const taken: JudgedCommit[] = [];
  let count = 0;
  for (const commit of commits) {
    count += commit.entries.length;
    const naming = namedBy(commit).length > 0;
    if (taken.length > 0 && (naming || count > limits.commitEntriesMax)) break;
    taken.push(commit);
    if (naming) break;
  }
  return taken;
}

/** The state items that the rules need for these commits, and for what they carry out. */
function stateKeysOfCommits(commits: readonly JudgedCommit[], carrying: Carrying): StateKey[] {
  const entries = commits.flatMap((commit) => commit.entries);
  const keys = entries.flatMap(({ read, transaction }) => [
    ...stateKeysOf(transaction.transaction),
    ...(read.entry.resolves.length === 0 ? [] : [NAMED_KEY]),
  ]);
  if (carrying.resolutions.size === 0) return [...new Set(keys)];
  const arriving = replacedAmong(entries, carrying);
  const voided = [...carrying.replaced.values(), ...arriving.values()];
  return [...new Set([...keys, ...stateKeysOfVoided(voided)])];
}

/** Of the entries those that a known resolution replaces or voids. */
function replacedAmong(
  entries: readonly JudgedEntry[],
  { resolutions }: Carrying,
): Map<number, VoidedEntry> {
  const links = [...resolutions.values()].flatMap(replacedBy);
  const found = new Map<number, VoidedEntry>();
  for (const { read, transaction } of entries) {
    const link = linkTo(read);
    if (links.some((each) => sameLink(each, link)))
      found.set(link.sequence, { link, transaction: transaction.transaction });
  }
  return found;
}

export interface OwnSide {
  readonly registryId: RegistryId;
  readonly read: StateRead;
  readonly self: readonly CertificateId[];
  readonly tableId: string;
  /** Of every resolution that is in force here, or that the delivery brings. */
  readonly carrying: Carrying;
}

/** Checks consecutive commits that come next after the head, in order. */
export function checkCommits(own: OwnSide, commits: readonly JudgedCommit[]): CommitCheck {
  const before = own.read.head;
  const arriving = replacedAmong(
    commits.flatMap(({ entries }) => entries),
    own.carrying,
  );
  const replaced = new Map([...own.carrying.replaced, ...arriving]);
  const carrying = { ...own.carrying, replaced };
  const view = (key: StateKey) => own.read.items.get(key);
  let walk: Walk = { chain: before, view, staged: [], carrying };
  for (const commit of commits) {
    const checked = checkCommit(walk, commit);
    if (checked.outcome !== 'walked') return checked;
    walk = checked;
  }
  const checkpoint = commits.at(-1)?.checkpoint.compact;
  if (checkpoint === undefined) throw new Error('no commits to check');
  const { registryId, self, tableId } = own;
  const { resolutions } = carrying;
  const context = { registryId, before, self, tableId, resolutions };
  const write = commitWrite(context, walk.staged, checkpoint);
  return { outcome: 'fits', write };
}

/** How far the checking of a delivery has come. */
interface Walk {
  readonly chain: ChainHead | undefined;
  readonly view: StateView;
  readonly staged: readonly StagedEntry[];
  readonly carrying: Carrying;
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
  const uncarried = flawOfCarried(walk, commit, lead);
  if (uncarried !== undefined) return uncarried;
  const replaceable = carriedBy(walk.carrying, namedBy(commit)).flatMap(({ statement }) =>
    replacedBy(statement),
  );
  for (const [index, judged] of commit.entries.entries()) {
    const last = index === commit.entries.length - 1;
    const at = { chain, view, carrying: walk.carrying, replaceable, first: index === 0, last };
    const checked = checkEntry(at, judged);
    if (checked.outcome === 'disagrees') return { ...checked, lead };
    staged.push({
      ...judged,
      changes: checked.changes,
      ...(last ? { checkpoint: commit.checkpoint.compact } : {}),
    });
    view = viewAfter(view, checked.changes);
    chain = extendHead(chain, judged.read, judged.transaction.transaction);
  }
  return { outcome: 'walked', chain, view, staged, carrying: walk.carrying };
}

/** The resolutions that a commit names: with its first entry, all decided since the one before. */
export function namedBy({ entries }: JudgedCommit): readonly Digest[] {
  return entries[0]?.read.entry.resolves ?? [];
}

/** Whether what the commit names is known, is its lead's, and is carried out by it. */
function flawOfCarried(
  { chain, carrying, view }: Walk,
  commit: JudgedCommit,
  lead: CertificateId,
): Exclude<CommitCheck, { outcome: 'fits' }> | undefined {
  const named = namedBy(commit);
  const [first] = commit.entries;
  if (named.length === 0 || first === undefined) return undefined;
  const { sequence } = first.read.entry;
  const disagrees = (refused: Refused) =>
    ({
      outcome: 'disagrees',
      kind: 'invalid-transaction',
      lead,
      sequence,
      digests: [first.read.digest],
      refused,
    }) as const;
  const again = flawOfNaming(named, (digest) => namedAt(view, digest) !== undefined);
  // Of another chain of the same lead the place tells, not what it names.
  if (again !== undefined && isInPlace(chain, first)) return { ...disagrees(again), ruled: first };
  const malformed = (code: 'RESOLVES_UNKNOWN' | 'LEAD_DIFFERS', detail: string) =>
    ({ outcome: 'malformed', refused: refuse(code, detail) }) as const;
  // Whoever delivers has to bring what the entries name: that it is missing accuses nobody.
  const unknown = named.find((digest) => !carrying.resolutions.has(digest));
  if (unknown !== undefined || chain === undefined)
    return malformed(
      'RESOLVES_UNKNOWN',
      `entry ${sequence} names the resolution ${unknown}, which has not been brought`,
    );
  const foreign = named.find((digest) => carrying.resolutions.get(digest)?.signer !== lead);
  if (foreign !== undefined)
    return malformed('LEAD_DIFFERS', `the resolution ${foreign} is not of the lead ${lead}`);
  const astray = named
    .map((digest) => carrying.resolutions.get(digest) as Resolution)
    .find(
      ({ manner, through }) =>
        manner !== 'take-back' && through.sequence === chain.sequence && !sameLink(through, chain),
    );
  if (astray !== undefined)
    return malformed(
      'RESOLVES_UNKNOWN',
      `a resolution that entry ${sequence} names was decided at another entry ${chain.sequence}`,
    );
  const { peers } = chain.configuration;
  const transactions = commit.entries.map(({ transaction }) => transaction.transaction);
  const refused = checkCarried(carrying, named, { peers, transactions });
  return refused && disagrees(refused);
}

function isInPlace(chain: ChainHead | undefined, { read, transaction }: JudgedEntry): boolean {
  return checkPlace(chain, read, transaction.transaction, transaction.digest) === undefined;
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

/** Where in the walk an entry stands. */
interface EntryPlace {
  readonly chain: ChainHead | undefined;
  readonly view: StateView;
  readonly carrying: Carrying;
  readonly replaceable: readonly Link[];
  /** Of its commit. */
  readonly first: boolean;
  readonly last: boolean;
}

function checkEntry(place: EntryPlace, judged: JudgedEntry): EntryCheck {
  const { chain, carrying } = place;
  const { read, transaction } = judged;
  const { sequence, resolves } = read.entry;
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
  if (resolves.length > 0 && !place.first)
    return invalid(
      refuse('RESOLVES_UNKNOWN', `entry ${sequence} names resolutions inside a commit`),
    );
  if (!place.last && chain !== undefined && handsOver(chain, transaction.transaction))
    return invalid(
      refuse('COMMIT_NOT_ENDED', `entry ${sequence} hands the lead over inside a commit`),
    );
  const entry = linkTo(read);
  const naming = { entry, resolves };
  const marks =
    resolves.length === 0
      ? []
      : [...namingChanges(place.view, naming), ...marksOf(carrying, place.view, naming)];
  const ruled = ruledChanges(place, marks, judged);
  if (ruled.outcome === 'fits') return ruled;
  const voided = carrying.replaced.get(sequence);
  if (!sameLink(voided?.link, entry) || !mayStand(ruled)) return invalid(ruled);
  // It stands, and changes nothing: a resolution that people decided names it (section 3).
  const item = { transactionDigest: transaction.digest, sequence };
  const used = changesWithoutEffect(transaction.transaction, item);
  return { outcome: 'fits', changes: [...marks, ...used] };
}

/** What cannot be stored even then: entry 1 is no other, and an id is one item. */
function mayStand({ code }: Refused): boolean {
  return code !== 'TRANSACTION_ID_REUSED' && code !== 'NOT_FIRST_ENTRY';
}

/** The rules of section 3, once the entry has marked what the resolutions that it names replace. */
function ruledChanges(
  { chain, view, replaceable }: EntryPlace,
  marks: readonly StateChange[],
  { read, transaction }: JudgedEntry,
): { readonly outcome: 'fits'; readonly changes: StagedEntry['changes'] } | Refused {
  const { sequence, subject } = read.entry;
  const marked = marks.length === 0 ? view : viewAfter(view, marks);
  const ruling = rule(chain, marked, transaction.transaction, transaction.digest, replaceable);
  if (ruling.outcome === 'refused') return ruling;
  if (!sameLink(subject, ruling.subject))
    return refuse('SUBJECT_LINK_WRONG', `entry ${sequence} does not link to what it is about`);
  return { outcome: 'fits', changes: [...marks, ...ruling.changesAt(linkTo(read))] };
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
  carrying: Carrying,
): Promise<StateRead> {
  return store.read(registryId, stateKeysOfCommits(commits, carrying));
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
  carrying: Carrying,
): Promise<StateRead | undefined> {
  const before = await store.head(registryId);
  const read = await readOwnSide(store, registryId, commits, carrying);
  const after = await store.head(registryId);
  const same = [read.head, after].every(
    (head) =>
      head?.digest === before?.digest && head?.conflictsVersion === before?.conflictsVersion,
  );
  return same ? read : undefined;
}
