import { subjectNamed } from '../ledger/alternative.ts';
import type { Link } from '../ledger/backlinks.ts';
import { sameLink } from '../ledger/chain.ts';
import { type Digest, digestOf, isSequence } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { payloadOf } from '../ledger/jws.ts';
import type { NamedItem } from '../ledger/naming.ts';
import type { Resolution } from '../ledger/resolution.ts';
import {
  type RequestItem,
  type StateItem,
  type StateKey,
  type SupersededItem,
  supersededBy,
  supersededKey,
  versionKey,
} from '../ledger/state.ts';
import { carriedOut, NAMED_KEY } from '../ledger/superseding.ts';
import type { Transaction, UploadDocument } from '../ledger/transaction.ts';
import { replacedBy } from './carrying.ts';
import type { Head, LedgerStore, StoredEntry } from './ports.ts';

/**
 * Holding the marks of replaced and voided entries against the resolutions that made them: protocol
 * section 7. A mark is seen from three sides: from the entry that it is of, from the one that carries
 * the resolution out, and from the alternative.
 */

/** The resolutions that are kept here, by what they come out to. */
export type KeptResolutions = ReadonlyMap<Digest, Resolution>;

/** What is known about the marks of a page of entries. */
export interface MarksRead {
  readonly items: ReadonlyMap<StateKey, StateItem>;
  readonly resolutions: KeptResolutions;
  /** Entries that a resolution replaces which no entry has carried out yet. */
  readonly decided: readonly Link[];
  /** Sound entries that the marks name, and those that are marked. */
  readonly named: (sequence: number) => NamedEntry | undefined;
}

export interface NamedEntry {
  readonly link: Link;
  readonly transaction: Transaction;
  readonly resolves: readonly Digest[];
}

/** The items of marks that an entry speaks of by itself, and that of what it names. */
export function keysOfMarks(stored: StoredEntry, transaction: Transaction): StateKey[] {
  const replaced = supersededBy(transaction);
  const own = supersededKey(stored.sequence);
  const naming = resolvesOf(stored).length === 0 ? [own] : [own, NAMED_KEY];
  return replaced === undefined ? naming : [...naming, supersededKey(replaced.sequence)];
}

/** The entry's own mark. */
export function markOf(
  items: ReadonlyMap<StateKey, StateItem>,
  sequence: number,
): SupersededItem | undefined {
  return items.get(supersededKey(sequence)) as SupersededItem | undefined;
}

/** Where the entries are that the mark names. */
export function sequencesOfMark(mark: SupersededItem | undefined): (Link | undefined)[] {
  return mark === undefined ? [] : [mark.entry, mark.replacement];
}

/** What stands in an item may be anything: whoever can write to the table put it there. */
export function sequencesOf(...links: readonly (Link | undefined)[]): number[] {
  return links.map((link) => link?.sequence ?? 0).filter((sequence) => isSequence(sequence));
}

/** The resolutions that the entries name. */
export function resolvesOf(stored: StoredEntry): readonly Digest[] {
  const read = readEntry(stored.entry);
  return read.outcome === 'read' ? read.entry.resolves : [];
}

/** All that are kept, where any is needed: a resolution is known by what its payload comes out to. */
export async function readKeptResolutions(
  store: LedgerStore,
  { registryId }: Pick<Head, 'registryId'>,
): Promise<KeptResolutions> {
  const resolutions = new Map<Digest, Resolution>();
  for (const { kind, statement } of await store.kept(registryId)) {
    if (kind !== 'resolution') continue;
    const payload = Buffer.from(statement.split('.', 2)[1] ?? '', 'base64url');
    resolutions.set(digestOf(payload), payloadOf(statement) as Resolution);
  }
  return resolutions;
}

/** The entries that the named resolutions replace or void, of those that are carried out. */
export function replacedThrough(
  resolutions: KeptResolutions,
  resolves: readonly Digest[],
): { readonly digest: Digest; readonly replaced: readonly Link[] }[] {
  const known = resolves.flatMap((digest) => {
    const statement = resolutions.get(digest);
    return statement === undefined ? [] : [{ digest, statement }];
  });
  return carriedOut(known).map(({ digest, statement }) => ({
    digest,
    replaced: replacedBy(statement),
  }));
}

/** The first mark that is not what the resolutions make it; undefined: all are. */
export function markThatDiffers(entry: NamedEntry, read: MarksRead): StateKey | undefined {
  return (
    namingThatDiffers(entry, read) ??
    ownMarkThatDiffers(entry, read) ??
    madeMarkThatDiffers(entry, read) ??
    takenMark(entry, read)
  );
}

/** What the state says that the entry named; of the newest that named any it has the link. */
function namingThatDiffers(
  { link, resolves }: NamedEntry,
  { items }: MarksRead,
): StateKey | undefined {
  if (resolves.length === 0) return undefined;
  // What stands in an item may be anything.
  const { entry, named = {} } = (items.get(NAMED_KEY) as Partial<NamedItem> | undefined) ?? {};
  const newest = Math.max(...Object.values(named)) === link.sequence;
  const right =
    resolves.every((digest) => named[digest] === link.sequence) &&
    (!newest || sameLink(entry, link));
  return right ? undefined : NAMED_KEY;
}

/** The mark of the entry itself: a later entry carries out a resolution that lists it. */
function ownMarkThatDiffers(
  { link, transaction }: NamedEntry,
  { items, resolutions, named }: MarksRead,
): StateKey | undefined {
  const mark = markOf(items, link.sequence);
  if (mark === undefined) return undefined;
  const carrying = named(mark.entry?.sequence ?? 0);
  const [carried] = replacedThrough(resolutions, carrying?.resolves ?? []).filter(
    ({ digest }) => digest === mark.resolution,
  );
  const right =
    carrying !== undefined &&
    sameLink(carrying.link, mark.entry) &&
    mark.entry.sequence > link.sequence &&
    isIn(carried?.replaced ?? [], link) &&
    isOf(mark, transaction) &&
    isReplacedBy(mark, link, named);
  return right ? undefined : supersededKey(link.sequence);
}

function isOf({ type, subject }: SupersededItem, transaction: Transaction): boolean {
  return type === transaction.type && subject === subjectNamed(transaction);
}

function isReplacedBy(
  { replacement }: SupersededItem,
  replaced: Link,
  named: MarksRead['named'],
): boolean {
  if (replacement === undefined) return true;
  // What stands in an item may be anything.
  const alternative = named(replacement?.sequence ?? 0);
  return (
    alternative !== undefined &&
    sameLink(alternative.link, replacement) &&
    sameLink(supersededBy(alternative.transaction), replaced)
  );
}

/** The marks that the entry makes; what was superseded before stays as it was. */
function madeMarkThatDiffers(
  { link, resolves }: NamedEntry,
  { items, resolutions, named }: MarksRead,
): StateKey | undefined {
  for (const { digest, replaced } of replacedThrough(resolutions, resolves))
    for (const { sequence } of replaced) {
      const mark = markOf(items, sequence);
      const marked = named(sequence);
      // What is damaged is found at its own place.
      if (marked === undefined) continue;
      const right =
        mark !== undefined &&
        isOf(mark, marked.transaction) &&
        (isMadeBefore(mark, link) || (sameLink(mark.entry, link) && mark.resolution === digest));
      if (!right) return supersededKey(sequence);
    }
  return undefined;
}

function isMadeBefore(mark: SupersededItem, { sequence }: Link): boolean {
  return mark.entry?.sequence < sequence;
}

/** The mark that an alternative has taken, unless it broke a rule and is void itself. */
function takenMark(
  { link, transaction }: NamedEntry,
  { items, decided }: MarksRead,
): StateKey | undefined {
  const replaced = supersededBy(transaction);
  const isVoid = markOf(items, link.sequence) !== undefined || isIn(decided, link);
  if (replaced === undefined || isVoid) return undefined;
  const mark = markOf(items, replaced.sequence);
  return sameLink(mark?.replacement, link) ? undefined : supersededKey(replaced.sequence);
}

/** Whether a resolution that is kept replaces or voids the entry, carried out or not. */
export function isReplaced(resolutions: KeptResolutions, link: Link): boolean {
  return [...resolutions.values()].some((resolution) => isIn(replacedBy(resolution), link));
}

export function isIn(links: readonly Link[], link: Link): boolean {
  return links.some((each) => sameLink(each, link));
}

/**
 * The item that an entry made although it breaks a rule and stands only because it is void: where
 * wrong software had let it take effect, voiding it takes back a part.
 */
export function madeAllTheSame(
  link: Link,
  keys: readonly StateKey[],
  items: ReadonlyMap<StateKey, StateItem>,
): StateKey | undefined {
  return keys.find((key) => {
    const item = items.get(key) as Partial<RequestItem> | undefined;
    return sameLink(item?.entry, link) || sameLink(item?.signed, link);
  });
}

/**
 * Whether a void version counted, and the one before it never did. That shows without the entries
 * before: versions are counted without a gap, and none is ever removed.
 */
export function skipsVersions(
  { sequence }: StoredEntry,
  { documentId, version }: UploadDocument,
  items: ReadonlyMap<StateKey, StateItem>,
): boolean {
  const isVoid = markOf(items, sequence) !== undefined;
  return isVoid && version > 1 && !items.has(versionKey(documentId, version - 1));
}
