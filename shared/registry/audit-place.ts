import { backlinkSequences, type Link } from '../ledger/backlinks.ts';
import {
  type ChainHead,
  type Configuration,
  checkPlace,
  leadOf,
  sameLink,
} from '../ledger/chain.ts';
import { checkCheckpoint } from '../ledger/checkpoint.ts';
import { linkTo } from '../ledger/entry.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { limits } from '../ledger/limits.ts';
import { checkBeside } from '../ledger/redaction.ts';
import type { Transaction } from '../ledger/transaction.ts';
import type { AuditedCopy, AuditRange } from './audit-entries.ts';
import { type AuditFinding, findingAt } from './audit-finding.ts';
import type { Head } from './ports.ts';
import type { LookedAt, SoundEntries, SoundEntry } from './sound-entries.ts';

/** Whether a stored entry stands where it belongs: protocol sections 3 and 4, from its neighbours. */

/** The range that is audited, and where what is read around it begins. */
export interface WiderRange extends AuditRange {
  readonly begin: number;
}

/** What has to be read to judge the entry; of one before `from` only the peer list in force. */
export function sequencesNeeded(entries: SoundEntries, sequence: number, from: number): number[] {
  const looked = entries.at(sequence);
  if (looked?.outcome !== 'sound') return [];
  const { configuration, subject } = looked.read.entry;
  const links = sequence < from ? [configuration] : [configuration, subject];
  const linked = links
    .map((link) => link?.sequence ?? 0)
    .filter((each) => each >= 1 && each < sequence);
  return sequence < from ? linked : [...backlinkSequences(sequence), ...linked];
}

/**
 * Reads what says whether the entries themselves or those that they link to were changed, where the
 * two do not fit: the entry right after the linked one links to it as well.
 */
export async function readWitnesses(
  entries: SoundEntries,
  sound: readonly SoundEntry[],
): Promise<void> {
  const differing = sound.flatMap((each) => linksThatDiffer(entries, each));
  await entries.add(differing.map(({ sequence }) => sequence + 1));
}

function linksThatDiffer(entries: SoundEntries, { read }: SoundEntry): Link[] {
  const { backlinks, configuration, subject } = read.entry;
  return [...backlinks, configuration, subject].filter((link): link is Link => {
    const looked = link && entries.at(link.sequence);
    return looked?.outcome === 'sound' && looked.read.digest !== link?.digest;
  });
}

/** The linked entry is not the one that even the next one links to: then it was changed itself. */
function flawOfLinked(entries: SoundEntries, { sequence }: Link): AuditFinding | undefined {
  const [linked, next] = [entries.at(sequence), entries.at(sequence + 1)];
  if (linked?.outcome !== 'sound' || next?.outcome !== 'sound') return undefined;
  const [nearest] = next.read.entry.backlinks;
  if (nearest?.digest === linked.read.digest) return undefined;
  const detail =
    `entry ${sequence + 1} links to entry ${sequence} with ${nearest?.digest}; it comes out to ` +
    linked.read.digest;
  return findingAt(sequence + 1, { code: 'BACKLINKS_WRONG', detail }, [next.stored.digest]);
}

function flawOfAnyLinked(entries: SoundEntries, sound: SoundEntry): AuditFinding | undefined {
  for (const link of linksThatDiffer(entries, sound)) {
    const flaw = flawOfLinked(entries, link);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}

/**
 * Whether the entry is in its place: its links name what is stored there, and it has the lead and
 * the peer list that are in force after the entry before it. The finding may be of what it links to.
 */
export function flawOfPlace(
  entries: SoundEntries,
  { head }: AuditedCopy,
  sound: SoundEntry,
): AuditFinding | undefined {
  const changed = flawOfAnyLinked(entries, sound);
  if (changed !== undefined) return changed;
  const { stored, read, transaction } = sound;
  const { sequence, registryId } = read.entry;
  const before = chainBefore(entries, head, sequence);
  if (before.outcome === 'wrong') return before.finding;
  const first = transaction.transaction.type === 'create-registry';
  const refused =
    checkPlace(before.chain, read, transaction.transaction, transaction.digest) ??
    (registryId === head.registryId
      ? undefined
      : refuse('REGISTRY_DIFFERS', `entry ${sequence} is of registry ${registryId}`)) ??
    (first === (sequence === 1)
      ? undefined
      : refuse('NOT_FIRST_ENTRY', 'create-registry is entry 1 and only entry 1'));
  return refused && findingAt(sequence, refused, [stored.digest]);
}

type Before =
  | { readonly outcome: 'before'; readonly chain: ChainHead | undefined }
  | { readonly outcome: 'wrong'; readonly finding: AuditFinding };

/** The chain that the entry comes after, as what is stored before it leads to. */
function chainBefore(entries: SoundEntries, { registryId }: Head, sequence: number): Before {
  if (sequence === 1) return { outcome: 'before', chain: undefined };
  const tower: Link[] = [];
  for (const linked of backlinkSequences(sequence)) {
    const looked = entries.at(linked);
    if (looked?.outcome === 'wrong') return looked;
    if (looked !== undefined) tower.push(linkTo(looked.read));
  }
  // The nearest backlink is to the entry before: it is sound here.
  const previous = entries.at(sequence - 1) as SoundEntry;
  const inForce = listAfter(entries, previous);
  if (inForce.outcome === 'wrong') return inForce;
  const { configuration } = inForce;
  const { digest, entry } = previous.read;
  const { timestamp } = entry;
  const at = { registryId, sequence: entry.sequence, digest, timestamp };
  return { outcome: 'before', chain: { ...at, tower, configuration } };
}

type ListAfter =
  | { readonly outcome: 'in-force'; readonly configuration: Configuration }
  | { readonly outcome: 'wrong'; readonly finding: AuditFinding };

/** The peer list in force after the entry, and the entry that brought it. */
export function listAfter(entries: SoundEntries, sound: SoundEntry): ListAfter {
  const { transaction } = sound.transaction;
  if ('peers' in transaction) return inForce(sound, transaction.peers);
  return listLinked(entries, sound);
}

/** The peer list that the entry links to. */
export function listLinked(entries: SoundEntries, { stored, read }: SoundEntry): ListAfter {
  const { configuration, sequence } = read.entry;
  const looked = configuration && entries.at(configuration.sequence);
  if (looked?.outcome === 'wrong') return looked;
  const brought = looked?.transaction.transaction;
  if (
    looked !== undefined &&
    brought !== undefined &&
    'peers' in brought &&
    sameLink(linkTo(looked.read), configuration)
  )
    return inForce(looked, brought.peers);
  const changed = configuration && flawOfLinked(entries, configuration);
  if (changed !== undefined) return { outcome: 'wrong', finding: changed };
  const detail = `entry ${sequence} does not link to the peer list in force`;
  const flaw = { code: 'CONFIGURATION_LINK_WRONG', detail } as const;
  return { outcome: 'wrong', finding: findingAt(sequence, flaw, [stored.digest]) };
}

function inForce({ read }: SoundEntry, peers: Configuration['peers']): ListAfter {
  return { outcome: 'in-force', configuration: { ...linkTo(read), peers } };
}

/** What is stored with the entry: its details or their redaction, and its checkpoint. */
export function flawOfRecord(copy: AuditedCopy, sound: SoundEntry): AuditFinding | undefined {
  const refused = flawOfBeside(copy, sound) ?? flawOfCheckpoint(copy, sound);
  return refused && findingAt(sound.read.entry.sequence, refused, [sound.stored.digest]);
}

function flawOfBeside(
  { head, everPeers }: AuditedCopy,
  { stored, transaction, read }: SoundEntry,
): Refused | undefined {
  const place = { registryId: head.registryId, sequence: read.entry.sequence };
  const beside = checkBeside(transaction, stored, place);
  if (beside.outcome === 'refused') return beside;
  const signer = beside.redaction?.signer;
  if (signer === undefined || everPeers.has(signer)) return undefined;
  return refuse('SIGNER_NO_PEER', `${signer} redacted details and was never a peer`);
}

function flawOfCheckpoint(
  { head: { registryId } }: AuditedCopy,
  { stored: { checkpoint }, read }: SoundEntry,
): Refused | undefined {
  if (checkpoint === undefined) return undefined;
  const { sequence, lead } = read.entry;
  const expected = { registryId, signer: lead, sequence, digest: read.digest };
  const checked = checkCheckpoint(checkpoint, expected);
  return checked.outcome === 'refused' ? checked : undefined;
}

/** Whether the entry links to what it is about. The finding may be of what it links to. */
export function flawOfSubject(entries: SoundEntries, sound: SoundEntry): AuditFinding | undefined {
  const { subject, sequence } = sound.read.entry;
  const { transaction } = sound.transaction;
  const looked = subject && entries.at(subject.sequence);
  if (looked?.outcome === 'wrong') return looked.finding;
  const right =
    subject === undefined
      ? standsAlone(transaction)
      : looked !== undefined &&
        sameLink(linkTo(looked.read), subject) &&
        isAbout(sound, subject, looked.transaction.transaction);
  if (right) return undefined;
  const changed = subject && flawOfLinked(entries, subject);
  if (changed !== undefined) return changed;
  const detail = `entry ${sequence} does not link to what it is about`;
  return findingAt(sequence, { code: 'SUBJECT_LINK_WRONG', detail }, [sound.stored.digest]);
}

/** A first version, and entry 1, are about nothing before them. */
function standsAlone(transaction: Transaction): boolean {
  if (transaction.type === 'create-registry') return true;
  if (transaction.supersedes !== undefined) return false;
  return transaction.type === 'upload-document' && transaction.version === 1;
}

/** Whether the entry is about the one that it links to, whose transaction is given. */
function isAbout({ read, transaction }: SoundEntry, subject: Link, linked: Transaction): boolean {
  const own = transaction.transaction;
  if (own.type === 'create-registry') return false;
  if (own.supersedes !== undefined) return sameLink(own.supersedes, subject);
  switch (own.type) {
    case 'reconfigure-peers':
      return sameLink(read.entry.configuration, subject);
    case 'upload-document':
      return (
        linked.type === 'upload-document' &&
        linked.documentId === own.documentId &&
        linked.version < own.version
      );
    case 'request-signature':
      return (
        linked.type === 'upload-document' &&
        linked.documentId === own.documentId &&
        linked.version === own.version
      );
    case 'sign-document':
      return linked.type === 'request-signature' && linked.requestId === own.requestId;
  }
}

/** Where a commit goes on for longer than it may: what no checkpoint reaches nobody has signed. */
export function unendedCommits(
  entries: SoundEntries,
  head: Head,
  { begin, from, through }: WiderRange,
): AuditFinding[] {
  const found: AuditFinding[] = [];
  let open = 0;
  for (let sequence = begin; sequence <= through; sequence += 1) {
    const looked = entries.at(sequence);
    open = isOpen(looked) ? open + 1 : 0;
    if (open === 0 || looked?.outcome !== 'sound') continue;
    const ends = open >= limits.commitEntriesMax || sequence === head.sequence || handsOver(looked);
    if (!ends) continue;
    open = 0;
    const detail = `entry ${sequence} ends a commit; expected its lead's checkpoint`;
    const flaw = { code: 'CHECKPOINT_MISSING', detail } as const;
    if (sequence >= from) found.push(findingAt(sequence, flaw, [looked.stored.digest]));
  }
  return found;
}

/** What is damaged may have had a checkpoint. */
function isOpen(looked: LookedAt | undefined): boolean {
  return looked?.outcome === 'sound' && looked.stored.checkpoint === undefined;
}

function handsOver({ read, transaction }: SoundEntry): boolean {
  const own = transaction.transaction;
  return own.type === 'reconfigure-peers' && leadOf(own) !== read.entry.lead;
}
