import type { Link } from '../ledger/backlinks.ts';
import type { ChainHead } from '../ledger/chain.ts';
import { sameLink } from '../ledger/chain.ts';
import { checkCheckpoint } from '../ledger/checkpoint.ts';
import type { CertificateId } from '../ledger/digest.ts';
import { linkTo } from '../ledger/entry.ts';
import { limits } from '../ledger/limits.ts';
import type { AuditedCopy } from './audit-entries.ts';
import { type Findings, findingAt } from './audit-finding.ts';
import { type AuditFlaw, flawOfHeadItem } from './audit-flaws.ts';
import { listAfter, readWitnesses } from './audit-place.ts';
import { SoundEntries, type SoundEntry } from './sound-entries.ts';

/** The head item, held against the entries that it speaks of: everything that they determine. */

export async function auditHead(copy: AuditedCopy, findings: Findings): Promise<void> {
  const { store, head } = copy;
  const entries = new SoundEntries(store, head);
  const levels = towerSequences(head.sequence);
  await entries.add([head.sequence, ...levels]);
  const newest = entries.at(head.sequence);
  if (newest?.outcome !== 'sound') {
    findings.add(newest?.finding);
    return;
  }
  const chain = await chainOf(entries, newest, levels, findings);
  if (chain === undefined) return;
  const flaw =
    flawOfHeadItem(head, chain) ??
    flawOfCheckpoint(copy, newest) ??
    (await flawOfEverPeers(copy, entries, chain, findings)) ??
    (await flawOfEnd(copy));
  if (flaw !== undefined)
    findings.add(findingAt(head.sequence, flaw, flaw.digests ?? [head.digest]));
}

/** For each k the newest entry at or before the head whose sequence is a multiple of 2^k. */
function towerSequences(sequence: number): number[] {
  const levels: number[] = [];
  for (let step = 1; step <= sequence; step *= 2) levels.push(sequence - (sequence % step));
  return levels;
}

/** The chain at the head; undefined: an entry that it rests on is damaged. */
async function chainOf(
  entries: SoundEntries,
  newest: SoundEntry,
  levels: readonly number[],
  findings: Findings,
): Promise<ChainHead | undefined> {
  const { entry, digest } = newest.read;
  const tower: Link[] = [];
  for (const level of levels) {
    const looked = entries.at(level);
    if (looked?.outcome === 'sound') tower.push(linkTo(looked.read));
    else findings.add(looked?.finding);
  }
  if (entry.configuration !== undefined) await entries.add([entry.configuration.sequence]);
  await readWitnesses(entries, [newest]);
  const inForce = listAfter(entries, newest);
  if (inForce.outcome === 'wrong') findings.add(inForce.finding);
  if (inForce.outcome === 'wrong' || tower.length < levels.length) return undefined;
  const { registryId, sequence, timestamp } = entry;
  const { configuration } = inForce;
  return { registryId, sequence, digest, timestamp, tower, configuration };
}

function flawOfCheckpoint({ head }: AuditedCopy, { read }: SoundEntry): AuditFlaw | undefined {
  const { registryId, checkpoint } = head;
  const { lead, sequence } = read.entry;
  const expected = { registryId, signer: lead, sequence, digest: read.digest };
  const checked = checkCheckpoint(checkpoint, expected);
  return checked.outcome === 'refused' ? checked : undefined;
}

/** Whoever is in there may deliver and be asked: exactly the peers of all lists. */
async function flawOfEverPeers(
  { head }: AuditedCopy,
  entries: SoundEntries,
  { configuration }: ChainHead,
  findings: Findings,
): Promise<AuditFlaw | undefined> {
  const peers = await peersOfAllLists(entries, configuration, findings);
  if (peers === undefined) return undefined;
  const missing = [...peers].filter((peer) => !head.everPeers.includes(peer));
  // A later copy may have lost lists of another branch.
  const strange = head.copy > 1 ? [] : head.everPeers.filter((peer) => !peers.has(peer));
  if (missing.length === 0 && strange.length === 0) return undefined;
  const detail =
    `the head knows the peers of all lists wrongly: missing are ${missing.length} ` +
    `(${missing.join(' ')}), strangers are ${strange.length} (${strange.join(' ')})`;
  return { code: 'HEAD_DIFFERS', detail };
}

/** From the newest list back to entry 1; undefined: a link is wrong, which is found at its place. */
async function peersOfAllLists(
  entries: SoundEntries,
  newest: Link,
  findings: Findings,
): Promise<ReadonlySet<CertificateId> | undefined> {
  const peers = new Set<CertificateId>();
  let link: Link | undefined = newest;
  for (let lists = 0; link !== undefined; lists += 1) {
    await entries.add([link.sequence]);
    const looked = entries.at(link.sequence);
    if (looked?.outcome === 'wrong') findings.add(looked.finding);
    if (looked?.outcome !== 'sound' || !sameLink(linkTo(looked.read), link)) return undefined;
    if (lists > limits.invitationEntriesMax) return undefined;
    for (const peer of listIn(looked)) peers.add(peer);
    link = looked.read.entry.configuration;
  }
  return peers;
}

function listIn({ transaction: { transaction } }: SoundEntry): readonly CertificateId[] {
  return 'peers' in transaction ? transaction.peers : [];
}

/** Behind the head there is nothing; an older head item put back would hide the newest entries. */
async function flawOfEnd({ store, head }: AuditedCopy): Promise<AuditFlaw | undefined> {
  const { registryId, copy, sequence, digest } = head;
  const [beyond] = await store.entriesAt(registryId, copy, [sequence + 1]);
  if (beyond === undefined) return undefined;
  const now = await store.head(registryId);
  // Entries and head are written together: it has moved on meanwhile, or should have.
  if (now?.copy !== copy || now.digest !== digest) return undefined;
  const detail = `the head names entry ${sequence} as the newest; entry ${sequence + 1} is stored`;
  return { code: 'HEAD_DIFFERS', detail };
}
