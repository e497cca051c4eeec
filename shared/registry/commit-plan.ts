import type { Link } from '../ledger/backlinks.ts';
import { type ChainHead, extendHead, handsOver, leadOf, nextEntry } from '../ledger/chain.ts';
import { checkpointOf } from '../ledger/checkpoint.ts';
import { type Digest, digestOf, type RegistryId, type Sequence } from '../ledger/digest.ts';
import { linkTo, type ReadEntry } from '../ledger/entry.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { limits } from '../ledger/limits.ts';
import { flawOfNaming } from '../ledger/naming.ts';
import type { Resolution } from '../ledger/resolution.ts';
import {
  rule,
  type StateChange,
  type StateView,
  type TransactionItem,
  transactionKey,
  viewAfter,
} from '../ledger/state.ts';
import { namedAt, namingChanges } from '../ledger/superseding.ts';
import type { ReadTransaction, Transaction } from '../ledger/transaction.ts';
import type { AppendOutcome } from './append.ts';
import { storedAppendResult } from './append-result.ts';
import {
  type Carrying,
  carriedBy,
  checkCarried,
  marksOf,
  NOTHING_CARRIED,
  replacedBy,
} from './carrying.ts';
import { commitWrite, type StagedEntry } from './commit.ts';
import type { KnownResolution } from './kept-statements.ts';
import { checkLeadAlone } from './lead-alone.ts';
import type {
  BlobStore,
  Clock,
  CommitWrite,
  Head,
  LedgerStore,
  Signer,
  StateRead,
} from './ports.ts';
import { readStanding } from './standing.ts';

export interface PlanPorts {
  readonly store: LedgerStore;
  readonly blobs: BlobStore;
  readonly signer: Signer;
  readonly clock: Clock;
}

/** A transaction as parsed, with its details. */
export interface Proposal {
  readonly read: ReadTransaction;
  readonly details?: Uint8Array;
}

/** One transaction on its way into an entry. */
interface Asked {
  readonly transaction: ReadTransaction;
  readonly resolves: readonly Digest[];
  readonly replaceable: readonly Link[];
}

interface Placed {
  readonly outcome: 'placed';
  readonly read: ReadEntry;
  readonly changes: readonly StateChange[];
}

/** What a request adds to a commit, if it is accepted. */
interface Planned {
  readonly outcome: 'planned';
  readonly staged: readonly StagedEntry[];
  readonly chain: ChainHead | undefined;
  readonly view: StateView;
  readonly ended: boolean;
}

/**
 * One commit in the making: requests are added one after the other, each all or nothing, on top of
 * the state as read. Nothing here is written or released.
 */
export class CommitPlan {
  readonly #ports: PlanPorts;
  readonly #read: StateRead;
  readonly #carrying: Carrying;
  readonly #staged: StagedEntry[] = [];
  #chain: ChainHead | undefined;
  #view: StateView;
  #ended = false;

  /** `carrying`: of the resolutions that the head says are to be named by the next entry. */
  constructor(ports: PlanPorts, read: StateRead, carrying: Carrying = NOTHING_CARRIED) {
    this.#ports = ports;
    this.#read = read;
    this.#carrying = carrying;
    this.#chain = read.head;
    this.#view = (key) => read.items.get(key);
  }

  /** `staged`: part of the commit if that succeeds. `later`: the commit has ended before it. */
  async add(
    registryId: RegistryId,
    proposals: readonly Proposal[],
  ): Promise<AppendOutcome | 'staged' | 'later'> {
    const settled =
      (await this.#repeated(registryId, proposals)) ?? (await this.#barred(proposals));
    if (settled !== undefined) return settled;
    if (this.#ended) return 'later';
    // Rules first: nobody is to upload gigabytes for a version that is not the next one.
    const planned = this.#plan(proposals);
    if (planned.outcome === 'refused') return planned;
    // Together: the bucket is asked once for each document.
    const checked = await Promise.all(
      proposals.map(({ read }) => checkLeadAlone(this.#ports, this.#read.head, read.transaction)),
    );
    const refused = checked.find((outcome) => outcome !== undefined);
    if (refused !== undefined) return refused;
    this.#staged.push(...planned.staged);
    this.#chain = planned.chain;
    this.#view = planned.view;
    this.#ended = planned.ended;
    return 'staged';
  }

  /** All ids recorded with these very transactions: their first result. Some: refused. */
  async #repeated(
    registryId: RegistryId,
    proposals: readonly Proposal[],
  ): Promise<AppendOutcome | undefined> {
    const { head, items } = this.#read;
    const found = proposals.map(
      ({ read }) =>
        items.get(transactionKey(read.transaction.transactionId)) as TransactionItem | undefined,
    );
    const [first] = found;
    if (head === undefined || found.every((item) => item === undefined)) return undefined;
    for (const [index, item] of found.entries()) {
      const digest = proposals[index]?.read.digest;
      if (item?.transactionDigest !== digest || item?.sequence !== (first?.sequence ?? 0) + index)
        return idReused(proposals[index], item);
    }
    const recorded = {
      from: first?.sequence ?? 0,
      transactionIds: new Set(proposals.map(({ read }) => read.transaction.transactionId)),
    };
    const result = await storedAppendResult(this.#ports.store, registryId, head.copy, recorded);
    return { outcome: 'repeated', result };
  }

  /** Whether this instance may append to the registry at all. */
  async #barred(proposals: readonly Proposal[]): Promise<AppendOutcome | undefined> {
    const { head } = this.#read;
    const { store, signer } = this.#ports;
    const first = proposals[0]?.read.transaction;
    if (head === undefined) {
      if (first?.type !== 'create-registry') return { outcome: 'unknown-registry' };
      if (first.peers[0] === signer.certificateId) return undefined;
      return refuse(
        'LEAD_NOT_FIRST',
        `peers[0] is ${first.peers[0]}; a registry is created by its lead, which here is ` +
          `${signer.certificateId}: list it first, or ask the instance that is to lead`,
      );
    }
    const lead = leadOf(head.configuration);
    if (lead !== signer.certificateId) return { outcome: 'not-lead', lead };
    if (head.closed === true)
      return refuse(
        'REGISTRY_CLOSED',
        `was closed at entry ${head.sequence}: create a successor that names it as predecessor`,
      );
    const unresolved = await this.#barredByConflict(head, proposals);
    if (unresolved !== undefined) return unresolved;
    if (head.tableId !== (await store.tableId())) return { outcome: 'not-reconciled', head };
    return undefined;
  }

  /** While conflicts are open, only what carries out the resolution in force is appended. */
  async #barredByConflict(
    head: Head,
    proposals: readonly Proposal[],
  ): Promise<AppendOutcome | undefined> {
    const { peers } = head.configuration;
    const transactions = proposals.map(({ read }) => read.transaction);
    // Also where the claim that is resolved did not block this lead: its finder waits for it.
    if (head.openConflicts.length === 0)
      return this.#staged.length > 0 ? undefined : this.#unlessCarried({ peers, transactions });
    // What carries it out ends its commit: what waits behind it is looked at afterwards.
    if (this.#staged.length > 0) return undefined;
    const inConflict = { outcome: 'in-conflict', conflicts: head.openConflicts } as const;
    const { outcome, open } = await readStanding(this.#ports, head);
    const carried = this.#carried().map(({ digest }) => digest);
    if (outcome !== 'resolving') return inConflict;
    if (!open.every(({ resolution }) => isCarriedByEntry(resolution, carried))) return inConflict;
    return this.#unlessCarried({ peers, transactions });
  }

  #carried() {
    return carriedBy(this.#carrying, this.#toBeNamed().named);
  }

  /** What does not even try to carry it out is told the same as before: an application waits. */
  #unlessCarried(given: Parameters<typeof checkCarried>[2]): AppendOutcome | undefined {
    const unfit = checkCarried(this.#carrying, this.#toBeNamed().named, given);
    if (unfit?.code !== 'NOT_RESOLVING' || given.transactions.some(triesToCarryOut)) return unfit;
    const conflicts = this.#carried()
      .filter(({ statement }) => takesEntry(statement))
      .flatMap(({ statement }) => statement.conflicts);
    return { outcome: 'in-conflict', conflicts };
  }

  /** The entries of the proposals on top of what is staged. */
  #plan(proposals: readonly Proposal[]): Planned | Refused {
    const now = new Date(this.#ports.clock.now()).toISOString();
    const staged: StagedEntry[] = [];
    let chain = this.#chain;
    let view = this.#view;
    const { named, replaceable } = this.#toBeNamed();
    let ended = false;
    for (const [index, { read: transaction, details }] of proposals.entries()) {
      if (ended)
        return refuse(
          'COMMIT_NOT_ENDED',
          'a hand-over of the lead ends its commit: send what comes after it to the new lead',
        );
      const resolves = index === 0 ? named : [];
      const asked = { transaction, resolves, replaceable };
      const placed = this.#place(chain, view, asked, now);
      if (placed.outcome === 'refused') return placed;
      const { read, changes } = placed;
      staged.push({ read, transaction, changes, ...(details === undefined ? {} : { details }) });
      ended = chain !== undefined && handsOver(chain, transaction.transaction);
      chain = extendHead(chain, read, transaction.transaction);
      view = viewAfter(view, changes);
    }
    if (this.#staged.length + staged.length > limits.commitEntriesMax)
      return refuse('TOO_LARGE', `at most ${limits.commitEntriesMax} transactions a request`);
    const carries = carriedBy(this.#carrying, named).some(({ statement }) => takesEntry(statement));
    return { outcome: 'planned', staged, chain, view, ended: ended || carries };
  }

  /** The resolutions that the next entry names: the first of the commit, all of them. */
  #toBeNamed(): { readonly named: readonly Digest[]; readonly replaceable: readonly Link[] } {
    const own = (digest: Digest) => {
      const signer = this.#carrying.resolutions.get(digest)?.signer;
      return signer !== undefined && this.#ports.signer.knownIds.includes(signer);
    };
    const named = this.#staged.length === 0 ? (this.#read.head?.decided ?? []).filter(own) : [];
    const carried = carriedBy(this.#carrying, named);
    return { named, replaceable: carried.flatMap(({ statement }) => replacedBy(statement)) };
  }

  /** One entry in its place, with the marks of what it carries out. */
  #place(
    chain: ChainHead | undefined,
    view: StateView,
    { transaction: { transaction, digest }, resolves, replaceable }: Asked,
    now: string,
  ): Placed | Refused {
    const again = flawOfNaming(resolves, (resolution) => namedAt(view, resolution) !== undefined);
    if (again !== undefined) return again;
    const marksAt = (entry: Link) => marksOf(this.#carrying, view, { entry, resolves });
    // Which entry makes the marks decides nothing: the rules read only that they are there.
    const marked = resolves.length === 0 ? view : viewAfter(view, marksAt(NO_ENTRY));
    const ruling = rule(chain, marked, transaction, digest, replaceable);
    if (ruling.outcome === 'refused') return ruling;
    const placement = {
      transaction,
      transactionDigest: digest,
      resolves,
      ...(ruling.subject === undefined ? {} : { subject: ruling.subject }),
    };
    const read = nextEntry(chain, placement, now);
    const entry = linkTo(read);
    if (resolves.length === 0) return { outcome: 'placed', read, changes: ruling.changesAt(entry) };
    const marks = marksAt(entry);
    const ruled = rule(chain, viewAfter(view, marks), transaction, digest, replaceable);
    if (ruled.outcome === 'refused') return ruled;
    const naming = namingChanges(view, { entry, resolves });
    return { outcome: 'placed', read, changes: [...naming, ...marks, ...ruled.changesAt(entry)] };
  }

  /** The write, with the checkpoint signed in memory; undefined where nothing was staged. */
  async write(registryId: RegistryId): Promise<CommitWrite | undefined> {
    const { signer, clock, store } = this.#ports;
    const chain = this.#chain;
    if (this.#staged.length === 0 || chain === undefined) return undefined;
    const checkpoint = signer.sign(
      checkpointOf({
        registryId,
        signer: signer.certificateId,
        sequence: chain.sequence,
        digest: chain.digest,
        copy: this.#read.head?.copy ?? 1,
        issuedAt: new Date(clock.now()).toISOString(),
      }),
    );
    const context = {
      registryId,
      before: this.#read.head,
      self: signer.knownIds,
      tableId: await store.tableId(),
      resolutions: this.#carrying.resolutions,
    };
    return commitWrite(context, this.#staged, checkpoint);
  }
}

/** In place of an entry whose digest is not known yet. */
const NO_ENTRY: Link = { sequence: 0 as Sequence, digest: digestOf('') };

/** Expelling and replacing take an entry; the other manners do without. */
function isCarriedByEntry(
  resolution: KnownResolution | undefined,
  carried: readonly Digest[],
): boolean {
  if (resolution === undefined || !carried.includes(resolution.digest)) return false;
  return takesEntry(resolution.resolution);
}

/** A peer list, or what takes the place of an entry. */
function triesToCarryOut(transaction: Transaction): boolean {
  if (transaction.type === 'reconfigure-peers') return true;
  return 'supersedes' in transaction && transaction.supersedes !== undefined;
}

function takesEntry({ manner }: Resolution): boolean {
  return manner === 'expel' || manner === 'replace';
}

function idReused(proposal: Proposal | undefined, item: TransactionItem | undefined): Refused {
  const id = proposal?.read.transaction.transactionId;
  if (item === undefined)
    return refuse(
      'TRANSACTION_ID_REUSED',
      `other transactions of this array are recorded, ${id} is not: repeat an array as it was`,
    );
  if (item.transactionDigest === proposal?.read.digest)
    return refuse(
      'TRANSACTION_ID_REUSED',
      `${id} is recorded as entry ${item.sequence}, but not beside the others of this array: ` +
        'repeat an array as it was',
    );
  return refuse(
    'TRANSACTION_ID_REUSED',
    `transaction id ${id} is entry ${item.sequence} with other content (${item.transactionDigest}); ` +
      'take a new UUID for a new transaction',
  );
}
