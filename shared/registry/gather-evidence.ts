import { backlinkPath, type Link } from '../ledger/backlinks.ts';
import type { Checkpoint } from '../ledger/checkpoint.ts';
import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import type { Evidence, ForkChain } from '../ledger/evidence.ts';
import { type Compact, payloadOf } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import type { NamedItem } from '../ledger/naming.ts';
import { linksDown } from '../ledger/recheck-fork.ts';
import { stateKeysOf } from '../ledger/state.ts';
import { NAMED_KEY } from '../ledger/superseding.ts';
import { commitHolding } from './configuration-at.ts';
import type { JudgedCommit, JudgedEntry } from './judge-delivery.ts';
import { type CarriedCommit, textOf } from './messages.ts';
import type { Confirmation, Head, LedgerStore, Signer, StateRead, StoredEntry } from './ports.ts';

/** What proves a disagreement to somebody who has nothing but signed bytes: protocol section 7. */

/**
 * From the own copy: the lead's checkpoint and the entries from it down to the given one; with the own
 * confirmation, if there is one, for it shows that the lead's word was held by somebody.
 */
export async function ownChain(
  { store, signer }: { readonly store: LedgerStore; readonly signer: Signer },
  head: Head,
  sequence: number,
): Promise<ForkChain | undefined> {
  const commit = await commitHolding(store, head, sequence);
  const checkpoint = commit.at(-1)?.checkpoint;
  if (checkpoint === undefined) return undefined;
  for (const own of signer.knownIds) {
    const confirmed = await confirmedBy(store, head, [own, sequence]);
    if (confirmed === undefined || copyOf(confirmed.checkpoint) !== copyOf(checkpoint)) continue;
    const chain = await confirmedChain(store, head, confirmed, sequence);
    if (chain !== undefined) return chain;
  }
  const path = commit.filter((stored) => stored.sequence >= sequence).reverse();
  return { checkpoint, path: path.length === 1 ? [] : path.map(({ entry }) => textOf(entry)) };
}

/** The first confirmation of this copy that covers the entry. */
async function confirmedBy(
  store: LedgerStore,
  { registryId, copy }: Head,
  [own, sequence]: readonly [CertificateId, number],
): Promise<Confirmation | undefined> {
  const covering = await store.confirmations(registryId, own, sequence, limits.pageMax);
  return covering.find((confirmation) => confirmation.copy === copy);
}

function copyOf(checkpoint: Compact): number {
  return (payloadOf(checkpoint) as Checkpoint).copy;
}

/** Undefined: the stored entries are not those that were confirmed. */
async function confirmedChain(
  store: LedgerStore,
  { registryId, copy }: Head,
  { sequence: top, digest, checkpoint, statement: confirmation }: Confirmation,
  sequence: number,
): Promise<ForkChain | undefined> {
  const wanted = backlinkPath(top, sequence);
  const path = await store.entriesAt(registryId, copy, wanted);
  if (path.length < wanted.length || path[0]?.digest !== digest) return undefined;
  const entries = top === sequence ? [] : path.map(({ entry }) => textOf(entry));
  return { checkpoint, confirmation, path: entries };
}

/** From a delivered commit: the checkpoint and the entries from it down to what names the link. */
export function deliveredChain(
  { checkpoint: { compact, statement }, entries }: JudgedCommit,
  { sequence, digest }: { readonly sequence: number; readonly digest: Digest },
): ForkChain {
  if (statement.sequence === sequence) return { checkpoint: compact, path: [] };
  const names = (link: Link) => link.sequence === sequence && link.digest === digest;
  const end = entries.findLastIndex(
    ({ read }) => read.entry.sequence === sequence || linksDown(read.entry).some(names),
  );
  const path = entries.slice(Math.max(0, end)).reverse();
  return { checkpoint: compact, path: path.map(({ read }) => textOf(read.bytes)) };
}

/** Two chains of one lead for one place. */
export function forkEvidence(
  registryId: RegistryId,
  sequence: number,
  chains: readonly [ForkChain, ForkChain],
): Evidence {
  const kind = 'fork';
  return { format: 'registry/evidence/v1', kind, registryId, sequence, chains: [...chains] };
}

export function tamperingEvidence(
  registryId: RegistryId,
  sequence: number,
  detail: string,
): Evidence {
  const kind = 'local-tampering';
  const short = detail.slice(0, limits.descriptionCharactersMax);
  return { format: 'registry/evidence/v1', kind, registryId, sequence, detail: short };
}

/** What shows that a commit of the lead breaks the rules. */
export interface InvalidCommit {
  readonly carried: CarriedCommit;
  readonly sequence: number;
  /** The entry that was held against the state; absent where its bytes alone are wrong. */
  readonly ruled?: JudgedEntry;
}

/** The commit with the stored entries that made it invalid, linked to it by digests. */
export async function invalidEvidence(
  store: LedgerStore,
  { head, items }: StateRead,
  { carried, sequence, ruled }: InvalidCommit,
): Promise<Evidence> {
  const registryId = (head as Head).registryId;
  const shown = ruled === undefined ? [] : await witnessesOf(store, head as Head, [ruled, items]);
  const witnesses = shown.map(({ entry, transaction }) => ({
    entry: textOf(entry),
    transaction: textOf(transaction),
  }));
  const links = await linksTo(store, head as Head, shown);
  const parts = { registryId, sequence, commit: carried, witnesses, links };
  return { format: 'registry/evidence/v1', kind: 'invalid-transaction', ...parts };
}

/** The stored entries that the rules' answer rests on: those that the state items name. */
async function witnessesOf(
  store: LedgerStore,
  head: Head,
  [{ read, transaction }, items]: readonly [JudgedEntry, StateRead['items']],
): Promise<StoredEntry[]> {
  const named = new Set<number>([head.sequence, head.configuration.sequence]);
  for (const key of stateKeysOf(transaction.transaction)) {
    const item = items.get(key);
    if (item === undefined) continue;
    named.add('entry' in item ? item.entry.sequence : item.sequence);
    if ('signed' in item && item.signed !== undefined) named.add(item.signed.sequence);
  }
  const { subject, resolves } = read.entry;
  if (subject !== undefined && subject.sequence <= head.sequence) named.add(subject.sequence);
  for (const sequence of sequencesNaming(resolves, items)) named.add(sequence);
  const found = await store.entriesAt(head.registryId, head.copy, [...named]);
  // A request's own subject is the version that its signature is held against.
  const further = found.flatMap(({ entry }) => {
    const other = readEntry(entry);
    return other.outcome === 'read' && other.entry.subject !== undefined
      ? [other.entry.subject.sequence as number]
      : [];
  });
  const rest = [...new Set(further)].filter((sequence) => !named.has(sequence));
  return [...found, ...(await store.entriesAt(head.registryId, head.copy, rest))];
}

/** The earlier entries that named these resolutions. */
function sequencesNaming(resolves: readonly Digest[], items: StateRead['items']): number[] {
  const item = items.get(NAMED_KEY) as NamedItem | undefined;
  return resolves.flatMap((digest) => item?.named[digest] ?? []);
}

/** What evidence holds at most: a few walks of logarithmic length. */
const LINKS_MAX = 1000;

/** The further entries on the way from the head back to each of these. */
async function linksTo(
  store: LedgerStore,
  head: Head,
  shown: readonly StoredEntry[],
): Promise<string[]> {
  const on = new Set(shown.flatMap(({ sequence }) => backlinkPath(head.sequence, sequence)));
  for (const { sequence } of shown) on.delete(sequence);
  const wanted = [...on].slice(0, LINKS_MAX);
  const texts: string[] = [];
  for (let start = 0; start < wanted.length; start += limits.pageMax) {
    const some = wanted.slice(start, start + limits.pageMax);
    for (const { entry } of await store.entriesAt(head.registryId, head.copy, some))
      texts.push(textOf(entry));
  }
  return texts;
}
