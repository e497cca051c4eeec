import { subjectNamed } from './alternative.ts';
import type { Link } from './backlinks.ts';
import { sameLink } from './chain.ts';
import type { Digest } from './digest.ts';
import type { NamedItem } from './naming.ts';
import type { Resolution } from './resolution.ts';
import {
  mergeChanges,
  type RequestItem,
  type RuleView,
  requestKey,
  type StateChange,
  type StateKey,
  type StateView,
  type SupersededItem,
  supersededKey,
  type TransactionItem,
  transactionKey,
  type VersionItem,
  versionKey,
  viewAfter,
} from './state.ts';
import type { Transaction } from './transaction.ts';

/**
 * Entries that a resolution of the manner replace lists, as the state has them: protocol section 7.
 * Everything stays where it is; marks say from which entry on it does not count any more. Lead,
 * mirrors, audit and verification make the same marks.
 */

/** An entry that a resolution voids, with its transaction. */
export interface VoidedEntry {
  readonly link: Link;
  readonly transaction: Transaction;
}

/** State items that voiding these reads. */
export function stateKeysOfVoided(voided: readonly VoidedEntry[]): StateKey[] {
  return [...new Set(voided.flatMap(keysOf))];
}

function keysOf({ link, transaction }: VoidedEntry): StateKey[] {
  const mark = supersededKey(link.sequence);
  const effect = keyOfEffect(transaction);
  return effect === undefined ? [mark] : [mark, effect];
}

/** The item by which the transaction had an effect that can be taken back. */
function keyOfEffect(transaction: Transaction): StateKey | undefined {
  switch (transaction.type) {
    case 'create-registry':
    case 'reconfigure-peers':
      return undefined;
    case 'upload-document':
      return versionKey(transaction.documentId, transaction.version);
    case 'request-signature':
    case 'sign-document':
      return requestKey(transaction.requestId);
  }
}

/**
 * The marks at the entry that carries the resolution out; they come before the rules of that entry's
 * own transaction. The view answers at least `stateKeysOfVoided`. What was superseded before stays
 * as it is.
 */
export function voidChanges(
  view: RuleView,
  voided: readonly VoidedEntry[],
  { entry, resolution }: { readonly entry: Link; readonly resolution: Digest },
): StateChange[] {
  // A view that only verifies has parts of the items; what it lacks no mark needs.
  let marked = view as StateView;
  const changes: StateChange[] = [];
  for (const each of voided) {
    const key = supersededKey(each.link.sequence);
    if (marked(key) !== undefined) continue;
    const subject = subjectNamed(each.transaction);
    const after: SupersededItem = {
      entry,
      resolution,
      type: each.transaction.type,
      ...(subject === undefined ? {} : { subject }),
    };
    const marks = [{ key, before: undefined, after }, ...effectTakenBack(marked, each, entry)];
    changes.push(...marks);
    marked = viewAfter(marked, marks);
  }
  return mergeChanges(changes);
}

/** Nothing where the entry had no effect: because it broke a rule, or was taken back before. */
function effectTakenBack(
  view: StateView,
  { link, transaction }: VoidedEntry,
  superseded: Link,
): StateChange[] {
  const key = keyOfEffect(transaction);
  const before = key === undefined ? undefined : view(key);
  if (key === undefined || before === undefined) return [];
  if (transaction.type === 'sign-document') {
    const { signed, ...open } = before as RequestItem;
    return sameLink(signed, link) ? [{ key, before, after: open }] : [];
  }
  const item = before as VersionItem | RequestItem;
  return sameLink(item.entry, link) ? [{ key, before, after: { ...item, superseded } }] : [];
}

/**
 * The change by an entry that breaks a rule and stands only because a resolution names it: its
 * transaction id is used (protocol section 3).
 */
export function changesWithoutEffect(
  { transactionId }: Transaction,
  item: TransactionItem,
): StateChange[] {
  return [{ key: transactionKey(transactionId), before: undefined, after: item }];
}

/** A resolution with its digest. */
export interface DecidedResolution {
  readonly digest: Digest;
  readonly statement: Resolution;
}

/**
 * Of the resolutions that one entry names those that it carries out: a later one may have ended an
 * earlier one by naming it in `after`.
 */
export function carriedOut<Decided extends DecidedResolution>(
  named: readonly Decided[],
): readonly Decided[] {
  const ended = new Set(named.map(({ statement }) => statement.after));
  return named.filter(({ digest }) => !ended.has(digest));
}

/** The state item that says which resolutions were named: there is one. */
export const NAMED_KEY = 'named#' as StateKey;

/** The entry that named the resolution, as the state has it; undefined: none has. */
export function namedAt(view: RuleView, resolution: Digest): number | undefined {
  const item = view(NAMED_KEY) as NamedItem | undefined;
  return item?.named[resolution];
}

/** What an entry changes by naming resolutions, whatever it carries out. */
export function namingChanges(
  view: StateView,
  { entry, resolves }: { readonly entry: Link; readonly resolves: readonly Digest[] },
): StateChange[] {
  if (resolves.length === 0) return [];
  const before = view(NAMED_KEY) as NamedItem | undefined;
  const now = Object.fromEntries(resolves.map((digest) => [digest, entry.sequence]));
  return [{ key: NAMED_KEY, before, after: { entry, named: { ...before?.named, ...now } } }];
}
