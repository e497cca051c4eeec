import type { Link } from './backlinks.ts';
import { sameLink } from './chain.ts';
import type { Digest, RegistryId } from './digest.ts';
import { linkTo, type ReadEntry, readEntry } from './entry.ts';
import { type Refused, refuse } from './errors.ts';
import type { EvidenceOf } from './evidence.ts';
import { linksDown } from './recheck-fork.ts';
import { signatureInputDigest } from './signature.ts';
import {
  documentKey,
  type RequestItem,
  type RuleItem,
  type RuleView,
  requestKey,
  type StateKey,
  signatureKey,
  transactionKey,
  type VersionItem,
  versionKey,
} from './state.ts';
import { type ReadTransaction, readTransaction, type Transaction } from './transaction.ts';

/**
 * Earlier entries in the evidence against an invalid transaction: that they are in the chain that
 * the lead signed, and what state they add up to.
 */

/** An entry with its transaction. */
export interface Recorded {
  readonly read: ReadEntry;
  readonly transaction: ReadTransaction;
}

export interface Witnesses {
  readonly outcome: 'shown';
  /** All that come before the accused entry, also those of its own commit; ascending. */
  readonly before: readonly Recorded[];
  /** Every entry in the evidence, by its digest. */
  readonly entries: ReadonlyMap<Digest, ReadEntry>;
}

/**
 * Reads witnesses and links, and follows the links down from the commit: what they do not reach is
 * nobody's word. The links of subjects are followed from the accused entry on only: if that is
 * valid, they name what took effect; those of others may be what made an entry void.
 */
export function readWitnesses(
  { registryId, witnesses, links }: EvidenceOf<'invalid-transaction'>,
  commit: readonly Recorded[],
  accused: Recorded,
): Witnesses | Refused {
  const shown: Recorded[] = [];
  for (const { entry, transaction } of witnesses) {
    const read = readRecorded(registryId, entry, transaction);
    if (read.outcome === 'refused') return read;
    shown.push(read);
  }
  const entries = new Map<Digest, ReadEntry>();
  for (const { read } of shown) entries.set(read.digest, read);
  for (const text of links) {
    const read = readOf(registryId, text);
    if (read.outcome === 'refused') return read;
    entries.set(read.digest, read);
  }
  const lost = unreached(entries, commit, accused);
  if (lost !== undefined)
    return refuse(
      'EVIDENCE_NOT_REPRODUCED',
      `no link in the evidence leads to entry ${lost.sequence} with ${lost.digest}`,
    );
  for (const { read } of commit) entries.set(read.digest, read);
  const before = [...shown, ...commit]
    .filter(({ read }) => read.entry.sequence < accused.read.entry.sequence)
    .sort((a, b) => a.read.entry.sequence - b.read.entry.sequence);
  return { outcome: 'shown', before, entries };
}

function readOf(registryId: RegistryId, text: string): ReadEntry | Refused {
  const read = readEntry(Buffer.from(text));
  if (read.outcome === 'refused') return unreadable(read);
  if (read.entry.registryId === registryId) return read;
  return refuse(
    'EVIDENCE_NOT_REPRODUCED',
    `entry ${read.entry.sequence} is of the registry ${read.entry.registryId}`,
  );
}

function readRecorded(
  registryId: RegistryId,
  entryText: string,
  transactionText: string,
): ({ readonly outcome: 'read' } & Recorded) | Refused {
  const read = readOf(registryId, entryText);
  if (read.outcome === 'refused') return read;
  const transaction = readTransaction(Buffer.from(transactionText));
  if (transaction.outcome === 'refused') return unreadable(transaction);
  if (transaction.digest === read.entry.transactionDigest)
    return { outcome: 'read', read, transaction };
  return refuse(
    'EVIDENCE_NOT_REPRODUCED',
    `the transaction beside entry ${read.entry.sequence} is not its own`,
  );
}

function unreadable({ code, detail }: Refused): Refused {
  return refuse('EVIDENCE_NOT_REPRODUCED', `a witness: ${code}: ${detail}`);
}

/** An entry to which no way leads. */
function unreached(
  entries: ReadonlyMap<Digest, ReadEntry>,
  commit: readonly Recorded[],
  accused: Recorded,
): Link | undefined {
  const lost = new Map(entries);
  const open = commit.map(({ read }) => read);
  const all = new Map([...entries, ...open.map((read) => [read.digest, read] as const)]);
  const take = (link: Link | undefined): ReadEntry | undefined => {
    const read = link === undefined ? undefined : all.get(link.digest);
    if (read === undefined || !sameLink(linkTo(read), link)) return undefined;
    if (lost.delete(read.digest)) open.push(read);
    return read;
  };
  for (let cited: ReadEntry | undefined = accused.read; cited !== undefined; )
    cited = take(cited.entry.subject);
  for (let next = open.pop(); next !== undefined; next = open.pop())
    for (const link of linksDown(next.entry)) take(link);
  const [first] = lost.values();
  return first && linkTo(first);
}

/**
 * The state that the witnesses show, as far as the rules read it. Entries that a resolution voided
 * took no effect, but their transaction ids are used.
 */
export function stateOf(before: readonly Recorded[], voided: readonly Link[]): RuleView {
  const items = new Map<StateKey, RuleItem>();
  for (const { read, transaction } of before) {
    const { transactionId } = transaction.transaction;
    items.set(transactionKey(transactionId), { sequence: read.entry.sequence });
    if (isVoided(read, voided)) continue;
    const view = (key: StateKey) => items.get(key);
    for (const [key, item] of itemsOf(view, linkTo(read), transaction.transaction))
      items.set(key, item);
  }
  return (key) => items.get(key);
}

export function isVoided(read: ReadEntry, voided: readonly Link[]): boolean {
  return voided.some((link) => sameLink(link, linkTo(read)));
}

/** In place of the digest of a version that no witness shows. */
export const NOT_SHOWN = '' as Digest;

/** What an entry that took effect changes, as far as the rules read it. */
function itemsOf(
  view: RuleView,
  entry: Link,
  transaction: Transaction,
): (readonly [StateKey, RuleItem])[] {
  switch (transaction.type) {
    case 'create-registry':
    case 'reconfigure-peers':
      return [];
    case 'upload-document': {
      const { documentId, version, contentDigest } = transaction;
      return [
        [documentKey(documentId), { version, entry }],
        [versionKey(documentId, version), { entry, contentDigest }],
      ];
    }
    case 'request-signature': {
      const { requestId, documentId, version, purpose, publicKey } = transaction;
      const asked = view(versionKey(documentId, version)) as AskedVersion | undefined;
      const contentDigest = asked?.contentDigest ?? NOT_SHOWN;
      const request = { documentId, version, contentDigest, purpose, publicKey, entry };
      return [[requestKey(requestId), request]];
    }
    case 'sign-document': {
      const { requestId, signature } = transaction;
      const request = view(requestKey(requestId)) as RequestItem | undefined;
      return [
        [requestKey(requestId), { entry, ...request, signed: entry }],
        [signatureKey(signatureInputDigest(signature)), { entry }],
      ];
    }
  }
}

type AskedVersion = Pick<VersionItem, 'contentDigest'>;
