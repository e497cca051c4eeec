import type { Link } from './backlinks.ts';
import type { ChainHead } from './chain.ts';
import type { Digest } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import type { CreateRegistry, Transaction, UploadDocument } from './transaction.ts';

/**
 * What the entries add up to, and the rules of protocol section 3 as a pure function of it. The
 * same function serves the lead, every mirror, the audit and the verification of an export.
 */

/** Names one state item of a registry. */
export type StateKey = string & { readonly stateKey: unique symbol };

/** A transaction that has an entry. */
export interface TransactionItem {
  readonly transactionDigest: Digest;
  readonly sequence: number;
}

/** The newest version of a document. */
export interface DocumentItem {
  readonly version: number;
  readonly entry: Link;
}

/** One version of a document. */
export interface VersionItem {
  readonly entry: Link;
  readonly contentDigest: Digest;
  readonly size: number;
  readonly mediaType: string;
}

export type StateItem = TransactionItem | DocumentItem | VersionItem;

/** One item before and after a transaction. Items are never removed. */
export interface StateChange {
  readonly key: StateKey;
  readonly before: StateItem | undefined;
  readonly after: StateItem;
}

/** Looks a state item up; undefined where there is none. */
export type StateView = (key: StateKey) => StateItem | undefined;

/** What the rules read of a state item: whoever only verifies need keep no more. */
export type RuleItem =
  | Pick<TransactionItem, 'sequence'>
  | DocumentItem
  | Pick<VersionItem, 'entry'>;

/** A view that is enough for the rules. */
export type RuleView = (key: StateKey) => RuleItem | undefined;

export function transactionKey(transactionId: string): StateKey {
  return `transaction#${transactionId}` as StateKey;
}

export function documentKey(documentId: string): StateKey {
  return `document#${documentId}` as StateKey;
}

export function versionKey(documentId: string, version: number): StateKey {
  return `version#${documentId}#${version}` as StateKey;
}

/** Every state item that the rules read for this transaction. */
export function stateKeysOf(transaction: Transaction): StateKey[] {
  const keys = [transactionKey(transaction.transactionId)];
  if (transaction.type === 'upload-document') keys.push(documentKey(transaction.documentId));
  return keys;
}

export type Ruling =
  | {
      readonly outcome: 'accepted';
      readonly subject?: Link;
      /** The changes of the state once the entry has its digest. */
      readonly changesAt: (entry: Link) => StateChange[];
    }
  | Refused;

/**
 * The rules that lead and mirrors check alike. `head` is what the entry comes after, undefined for
 * entry 1; `view` answers at least the keys of `stateKeysOf`.
 */
export function rule(
  head: ChainHead | undefined,
  view: RuleView,
  transaction: Transaction,
  transactionDigest: Digest,
): Ruling {
  if (transaction.type === 'create-registry')
    return ruleCreateRegistry(head, transaction, transactionDigest);
  if (head === undefined)
    return refuse('NOT_FIRST_ENTRY', 'entry 1 of a registry is its create-registry, nothing else');
  if (view(transactionKey(transaction.transactionId)) !== undefined)
    return refuse(
      'TRANSACTION_ID_REUSED',
      `transaction id ${transaction.transactionId} has an entry already; take a new UUID`,
    );
  if (transaction.supersedes !== undefined)
    return refuse(
      'SUPERSEDES_WITHOUT_RESOLUTION',
      'supersedes is allowed only under a resolution of the manner replace that lists that entry',
    );
  const item = { transactionDigest, sequence: head.sequence + 1 };
  switch (transaction.type) {
    case 'reconfigure-peers':
      return {
        outcome: 'accepted',
        subject: { digest: head.configuration.digest, sequence: head.configuration.sequence },
        changesAt: () => [created(transactionKey(transaction.transactionId), item)],
      };
    case 'upload-document':
      return ruleUploadDocument(view, transaction, item);
    case 'request-signature':
    case 'sign-document':
      return refuse(
        'TYPE_NOT_SUPPORTED',
        `${transaction.type} is not carried out by this version of the software`,
      );
  }
}

function ruleCreateRegistry(
  head: ChainHead | undefined,
  transaction: CreateRegistry,
  transactionDigest: Digest,
): Ruling {
  if (head !== undefined)
    return refuse('NOT_FIRST_ENTRY', 'create-registry is entry 1 and only entry 1');
  return {
    outcome: 'accepted',
    changesAt: () => [
      created(transactionKey(transaction.transactionId), { transactionDigest, sequence: 1 }),
    ],
  };
}

function ruleUploadDocument(
  view: RuleView,
  transaction: UploadDocument,
  item: TransactionItem,
): Ruling {
  const { documentId, version, contentDigest, size, mediaType } = transaction;
  const latest = view(documentKey(documentId)) as DocumentItem | undefined;
  const next = (latest?.version ?? 0) + 1;
  if (version !== next)
    return refuse(
      'VERSION_NOT_NEXT',
      `version ${version} of ${documentId} cannot be recorded; the next version is ${next}`,
    );
  return {
    outcome: 'accepted',
    ...(latest === undefined ? {} : { subject: latest.entry }),
    changesAt: (entry) => [
      created(transactionKey(transaction.transactionId), item),
      { key: documentKey(documentId), before: latest, after: { version, entry } },
      created(versionKey(documentId, version), { entry, contentDigest, size, mediaType }),
    ],
  };
}

function created(key: StateKey, after: StateItem): StateChange {
  return { key, before: undefined, after };
}

/** A view in which the given changes have happened on top of another view. */
export function viewAfter(view: StateView, changes: readonly StateChange[]): StateView {
  const changed = new Map(changes.map((change) => [change.key, change.after]));
  return (key) => changed.get(key) ?? view(key);
}

/** Changes of the same item merged: the first `before`, the last `after`. */
export function mergeChanges(changes: readonly StateChange[]): StateChange[] {
  const merged = new Map<StateKey, StateChange>();
  for (const change of changes) {
    const earlier = merged.get(change.key);
    merged.set(change.key, earlier === undefined ? change : { ...earlier, after: change.after });
  }
  return [...merged.values()];
}
