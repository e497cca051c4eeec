import { checkAlternative } from './alternative.ts';
import type { Link } from './backlinks.ts';
import type { ChainHead } from './chain.ts';
import type { Digest, Sequence } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import type { NamedItem } from './naming.ts';
import { checkSigningKey, signatureInputDigest, verifySignature } from './signature.ts';
import type {
  CreateRegistry,
  Purpose,
  RequestSignature,
  SignDocument,
  SigningKey,
  Transaction,
  TransactionType,
  UploadDocument,
} from './transaction.ts';

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
  /** The entry of version 1: documents are listed in this order. */
  readonly first: Sequence;
  readonly version: number;
  readonly entry: Link;
}

/** One version of a document. */
export interface VersionItem {
  readonly entry: Link;
  readonly contentDigest: Digest;
  readonly size: number;
  readonly mediaType: string;
  /** The entry with which the version was replaced or voided: nothing is signed of it any more. */
  readonly superseded?: Link;
}

/** A required signature, and the entry that gave it. */
export interface RequestItem {
  readonly entry: Link;
  readonly documentId: string;
  readonly version: number;
  /** Of that version: what the signature is held against. */
  readonly contentDigest: Digest;
  readonly purpose: Purpose;
  readonly publicKey: SigningKey;
  /** RFC 3339. Decides nothing: overdue is what readers see. */
  readonly dueAt?: string;
  /** Absent while the request is open. */
  readonly signed?: Link;
  /** The entry with which the request was replaced or voided: it takes no signature any more. */
  readonly superseded?: Link;
}

/** A signature that has an entry, by the digest of what was signed. */
export interface SignatureItem {
  readonly entry: Link;
}

/** An entry that a resolution replaced or voided (protocol section 7), by its sequence. */
export interface SupersededItem {
  /** The entry that carries the resolution out. */
  readonly entry: Link;
  readonly resolution: Digest;
  readonly type: TransactionType;
  /** What an alternative must be about: a document, for a signature its request, else nothing. */
  readonly subject?: string;
  /** The alternative, once there is one. */
  readonly replacement?: Link;
}

export type StateItem =
  | TransactionItem
  | DocumentItem
  | VersionItem
  | RequestItem
  | SignatureItem
  | SupersededItem
  | NamedItem;

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
  | Pick<DocumentItem, 'version' | 'entry'>
  | Pick<VersionItem, 'entry' | 'contentDigest' | 'superseded'>
  | RequestItem
  | Required<Pick<RequestItem, 'entry' | 'signed'>>
  | SignatureItem
  | SupersededItem;

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

export function requestKey(requestId: string): StateKey {
  return `request#${requestId}` as StateKey;
}

/** `inputDigest`: SHA-256 of the signing input, which no re-encoding of a signature changes. */
export function signatureKey(inputDigest: Digest): StateKey {
  return `signature#${inputDigest}` as StateKey;
}

/** `sequence`: of the entry that was replaced or voided. */
export function supersededKey(sequence: number): StateKey {
  return `superseded#${sequence}` as StateKey;
}

/** Every state item that the rules read for this transaction. */
export function stateKeysOf(transaction: Transaction): StateKey[] {
  const keys = stateKeysOfType(transaction);
  const replaced = supersededBy(transaction);
  return replaced === undefined ? keys : [...keys, supersededKey(replaced.sequence)];
}

/** The entry that the transaction is to replace; undefined: it is no alternative. */
export function supersededBy(transaction: Transaction): Link | undefined {
  return transaction.type === 'create-registry' ? undefined : transaction.supersedes;
}

function stateKeysOfType(transaction: Transaction): StateKey[] {
  const own = transactionKey(transaction.transactionId);
  switch (transaction.type) {
    case 'create-registry':
    case 'reconfigure-peers':
      return [own];
    case 'upload-document':
      return [own, documentKey(transaction.documentId)];
    case 'request-signature': {
      const { requestId, documentId, version } = transaction;
      return [own, requestKey(requestId), versionKey(documentId, version)];
    }
    case 'sign-document': {
      const { requestId, signature } = transaction;
      return [own, requestKey(requestId), signatureKey(signatureInputDigest(signature))];
    }
  }
}

export type Ruling =
  | {
      readonly outcome: 'accepted';
      readonly subject?: Link;
      /** The changes of the state once the entry has its digest. */
      readonly changesAt: (entry: Link) => StateChange[];
    }
  | Refused;

/** What is asked of the rules: a transaction, and which entries it may replace, if it is to. */
type Asked = readonly [
  transaction: Transaction,
  transactionDigest: Digest,
  replaceable?: readonly Link[],
];

/**
 * The rules that lead and mirrors check alike. `head` is what the entry comes after, undefined for
 * entry 1; `view` answers at least the keys of `stateKeysOf`, with the marks of the resolutions that
 * the entry itself carries out. `replaceable` are the entries of the replace resolutions that this
 * commit names up to this entry (protocol section 7).
 */
export function rule(
  head: ChainHead | undefined,
  view: RuleView,
  ...[transaction, transactionDigest, replaceable = []]: Asked
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
  const { supersedes } = transaction;
  if (supersedes === undefined) return ruleByType(head, view, transaction, transactionDigest);
  const key = supersededKey(supersedes.sequence);
  const found = view(key) as SupersededItem | undefined;
  const permitted = checkAlternative(transaction, supersedes, { mark: found, replaceable });
  if (permitted.outcome === 'refused') return permitted;
  const { mark } = permitted;
  const ruling = ruleByType(head, view, transaction, transactionDigest);
  if (ruling.outcome === 'refused') return ruling;
  const changesAt = (entry: Link) => [
    ...ruling.changesAt(entry),
    { key, before: mark, after: { ...mark, replacement: entry } },
  ];
  return { outcome: 'accepted', subject: supersedes, changesAt };
}

function ruleByType(
  head: ChainHead,
  view: RuleView,
  transaction: Exclude<Transaction, CreateRegistry>,
  transactionDigest: Digest,
): Ruling {
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
      return ruleRequestSignature(view, transaction, item);
    case 'sign-document':
      return ruleSignDocument({ registryId: head.registryId, view }, transaction, item);
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
      {
        key: documentKey(documentId),
        before: latest,
        after: { first: entry.sequence, ...latest, version, entry },
      },
      created(versionKey(documentId, version), { entry, contentDigest, size, mediaType }),
    ],
  };
}

function ruleRequestSignature(
  view: RuleView,
  transaction: RequestSignature,
  item: TransactionItem,
): Ruling {
  const { requestId, documentId, version, publicKey, purpose, dueAt } = transaction;
  if (view(requestKey(requestId)) !== undefined)
    return refuse(
      'REQUEST_ID_REUSED',
      `request ${requestId} has an entry already; take a new UUID for another signature`,
    );
  const asked = view(versionKey(documentId, version)) as VersionItem | undefined;
  if (asked === undefined)
    return refuse(
      'VERSION_UNKNOWN',
      `version ${version} of ${documentId} is not in this registry; upload it first`,
    );
  if (asked.superseded !== undefined)
    return refuse(
      'VERSION_SUPERSEDED',
      `version ${version} of ${documentId} was replaced or voided with entry ` +
        `${asked.superseded.sequence}; request the signature of another version`,
    );
  const weak = checkSigningKey(publicKey);
  if (weak !== undefined) return weak;
  const { contentDigest } = asked;
  const request = { documentId, version, contentDigest, purpose, publicKey };
  return {
    outcome: 'accepted',
    subject: asked.entry,
    changesAt: (entry) => [
      created(transactionKey(transaction.transactionId), item),
      created(requestKey(requestId), {
        ...request,
        entry,
        ...(dueAt === undefined ? {} : { dueAt }),
      }),
    ],
  };
}

interface SignatureContext {
  readonly registryId: Digest;
  readonly view: RuleView;
}

function ruleSignDocument(
  { registryId, view }: SignatureContext,
  { requestId, signature, transactionId }: SignDocument,
  item: TransactionItem,
): Ruling {
  const found = view(requestKey(requestId)) as RequestItem | undefined;
  if (found === undefined)
    return refuse(
      'REQUEST_UNKNOWN',
      `no signature was requested as ${requestId} in this registry; request it first`,
    );
  if (found.signed !== undefined)
    return refuse(
      'REQUEST_ALREADY_SIGNED',
      `request ${requestId} was signed with entry ${found.signed.sequence}; ` +
        'request another signature if one more is required',
    );
  if (found.superseded !== undefined)
    return refuse(
      'REQUEST_SUPERSEDED',
      `request ${requestId} was replaced or voided with entry ${found.superseded.sequence}; ` +
        'it takes no signature any more',
    );
  const verified = verifySignature(signature, { ...found, registryId });
  if (verified.outcome === 'refused') return verified;
  const given = view(signatureKey(verified.inputDigest)) as SignatureItem | undefined;
  if (given !== undefined)
    return refuse(
      'SIGNATURE_REPLAYED',
      `this very signature answered another request with entry ${given.entry.sequence}; ` +
        'every request takes a signature of its own',
    );
  return {
    outcome: 'accepted',
    subject: found.entry,
    changesAt: (entry) => [
      created(transactionKey(transactionId), item),
      { key: requestKey(requestId), before: found, after: { ...found, signed: entry } },
      created(signatureKey(verified.inputDigest), { entry }),
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
