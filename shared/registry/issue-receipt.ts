/**
 * Issuing the receipt of one entry, protocol section 10: by any instance that holds the entry, lead
 * or mirror. Only reads, so a crash leaves nothing behind.
 *
 * 1. Every peer list from entry 1 to the entry, by the configuration links.
 * 2. The nearest checkpoint, and of each mirror of the list in force its first confirmation that
 *    covers the entry and counts. While a conflict is open nothing becomes final, so what arrived
 *    after it is left out (section 7).
 * 3. Where that is not all of them, and the entry is final since a later list: the lists up to that
 *    one, its checkpoint, and the confirmations of all its mirrors.
 * 4. The further entries on the ways down from all of these, and everybody's certificate.
 */
import { readCertificate } from '../ledger/certificate.ts';
import { leadOf } from '../ledger/chain.ts';
import type { CertificateId } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { type Compact, payloadOf, type Statement } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import { buildReceipt, type ReceiptParts, receiptPath } from '../ledger/receipt.ts';
import { type ListInForce, listBroughtBy } from './configuration-at.ts';
import type { Confirmation, Head, LedgerStore, Signer, StoredEntry } from './ports.ts';
import { openStatuses } from './read-status.ts';
import { storedEntries } from './read-stored.ts';

export interface ReceiptPorts {
  readonly store: LedgerStore;
  readonly signer: Pick<Signer, 'certificateId'>;
  /** The instance's own. */
  readonly certificatePem: string;
}

export type IssueOutcome =
  | { readonly outcome: 'issued'; readonly bytes: Buffer }
  /** Nobody could check what that peer signed: this instance does not hold its certificate. */
  | { readonly outcome: 'certificate-unknown'; readonly certificateId: CertificateId };

/**
 * The receipt of a stored entry, as this instance can prove it today: canonical bytes. Throws where
 * an entry or a checkpoint is missing that must be there.
 */
export async function issueReceipt(
  ports: ReceiptPorts,
  head: Head,
  stored: StoredEntry,
): Promise<IssueOutcome> {
  const proof = await gather(ports.store, head, stored);
  const certificates: Uint8Array[] = [];
  for (const [signer, pem] of await certificatesOf(ports, signersOf(proof, stored))) {
    const read = pem === undefined ? undefined : readCertificate(pem);
    if (read?.outcome !== 'read') return { outcome: 'certificate-unknown', certificateId: signer };
    certificates.push(read.certificate.raw);
  }
  const { entry, transaction, details, redaction } = stored;
  const bytes = buildReceipt({
    entry,
    transaction,
    ...(details === undefined ? {} : { details }),
    ...(redaction === undefined ? {} : { redaction }),
    ...proof,
    certificates,
  });
  return { outcome: 'issued', bytes };
}

type Proof = Omit<ReceiptParts, 'entry' | 'transaction' | 'details' | 'redaction' | 'certificates'>;

async function gather(store: LedgerStore, head: Head, stored: StoredEntry): Promise<Proof> {
  const { sequence } = stored;
  const before = await listsDown(store, head, { from: configurationOf(stored), above: 0 });
  const bringing = listBroughtBy(stored) === undefined ? before.slice(-1) : [stored];
  const list = listIn(bringing[0] ?? stored);
  const counted = await countedConfirmations(store, head);
  const found = await firstOfEach(list, (mirror) => counted(mirror, sequence));
  const later =
    found.length > 0 && found.length === list.peers.length - 1
      ? undefined
      : await gatherLater({ store, head, counted }, stored, { list, found });
  const end = await nearestCheckpoint(store, head, stored);
  const from = [end, ...found, ...(later?.reached ?? [])].map((each) => each.sequence);
  const since = later?.list.sequence;
  const ways = new Set(from.flatMap((each) => receiptPath(each, sequence, since)));
  for (const held of [stored, ...before, ...(later?.configurations ?? [])])
    ways.delete(held.sequence);
  const read = await storedEntries(store, head, [...ways]);
  return {
    checkpoint: end.checkpoint,
    configurations: before,
    handOvers: [
      ...handOversIn(before),
      ...handOversIn([...bringing, ...(later?.configurations.slice(0, -1) ?? [])]),
    ],
    confirmations: found.map(({ statement }) => statement),
    ...(later === undefined ? {} : { later: later.parts }),
    path: [...ways].map((each) => read(each).entry),
  };
}

/** The sequence of the list that the entry links to, always a lower one; 0 for entry 1. */
function configurationOf(stored: StoredEntry): number {
  const read = readEntry(stored.entry);
  if (read.outcome === 'refused') throw damaged(stored, read.detail);
  const linked = read.entry.configuration?.sequence ?? 0;
  if (linked >= stored.sequence) throw damaged(stored, `it links to the list of entry ${linked}`);
  return linked;
}

function damaged({ sequence }: StoredEntry, why: string): Error {
  return new Error(`entry ${sequence} was damaged where it is stored: ${why}`);
}

/** The list that the entry brings, which must be one that does. */
function listIn(stored: StoredEntry): ListInForce {
  const list = listBroughtBy(stored);
  if (list === undefined) throw damaged(stored, 'it brings no peer list');
  return list;
}

/** The entries that bring the lists, from one down to the first above another; ascending. */
async function listsDown(
  store: LedgerStore,
  head: Head,
  { from, above }: { readonly from: number; readonly above: number },
): Promise<StoredEntry[]> {
  const found: StoredEntry[] = [];
  for (let sequence = from; sequence > above; ) {
    const stored = (await storedEntries(store, head, [sequence]))(sequence);
    found.unshift(stored);
    sequence = configurationOf(stored);
  }
  return found;
}

/** The checkpoints of those lists that put another lead in force than the one before. */
function handOversIn(configurations: readonly StoredEntry[]): Compact[] {
  let lead: CertificateId | undefined;
  return configurations.flatMap((stored) => {
    const before = lead;
    lead = leadOf(listIn(stored));
    return before === undefined || before === lead ? [] : [checkpointAt(stored).checkpoint];
  });
}

/** The end of a commit. */
type Checkpointed = StoredEntry & { readonly checkpoint: Compact };

function checkpointAt(stored: StoredEntry): Checkpointed {
  const { sequence, checkpoint } = stored;
  if (checkpoint === undefined) throw new Error(`no checkpoint is stored with entry ${sequence}`);
  return { ...stored, checkpoint };
}

/** The end of the commit that holds the entry. */
async function nearestCheckpoint(
  store: LedgerStore,
  { registryId, copy }: Head,
  stored: StoredEntry,
): Promise<Checkpointed> {
  if (stored.checkpoint !== undefined) return checkpointAt(stored);
  const range = { from: stored.sequence, count: limits.commitEntriesMax };
  const following = await store.entries(registryId, copy, range);
  return checkpointAt(following.find(({ checkpoint }) => checkpoint !== undefined) ?? stored);
}

/** The first confirmation of a peer, at that entry or later, that counts. */
type Counted = (peer: CertificateId, from: number) => Promise<Confirmation | undefined>;

/** Pages of one peer's confirmations that are looked through for one from before a conflict. */
const PAGES_MAX = 10;

async function countedConfirmations(store: LedgerStore, head: Head): Promise<Counted> {
  const { registryId, openConflicts } = head;
  const conflicts = openConflicts.length === 0 ? [] : await store.conflicts(registryId);
  const since = conflicts
    .filter(({ conflictId }) => openConflicts.includes(conflictId))
    .map(({ recordedAt }) => recordedAt)
    .sort()[0];
  if (since === undefined)
    return (peer, from) => store.firstConfirmationCovering(registryId, peer, from);
  return async (peer, from) => {
    let next = from;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const some = await store.confirmations(registryId, peer, next, limits.pageMax);
      const found = some.find(({ receivedAt }) => receivedAt <= since);
      if (found !== undefined || some.length < limits.pageMax) return found;
      next = (some.at(-1)?.sequence ?? next) + 1;
    }
    return undefined;
  };
}

/** What the mirrors of the list answer, as far as they do, in the list's order. */
async function firstOfEach(
  { peers }: ListInForce,
  ask: (mirror: CertificateId) => Promise<Confirmation | undefined>,
): Promise<Confirmation[]> {
  const answers = await inGroups(peers.slice(1), ask);
  return answers.filter((answer) => answer !== undefined);
}

interface LaterProof {
  readonly list: ListInForce;
  readonly configurations: readonly StoredEntry[];
  /** What statements are about. */
  readonly reached: readonly { readonly sequence: number }[];
  readonly parts: NonNullable<ReceiptParts['later']>;
}

/** What proves that the entry is final since a later list; undefined where it is not. */
async function gatherLater(
  { store, head, counted }: { store: LedgerStore; head: Head; counted: Counted },
  stored: StoredEntry,
  { list, found }: { list: ListInForce; found: readonly Confirmation[] },
): Promise<LaterProof | undefined> {
  const statuses = await openStatuses(store, head, stored.sequence);
  const status = await statuses.of(stored.sequence, list);
  if (status.status !== 'final-since') return undefined;
  const { since } = status;
  const range = { from: since, above: stored.sequence };
  const configurations = await listsDown(store, head, range);
  const last = configurations.at(-1) as StoredEntry;
  const later = listIn(last);
  const enough = new Set(
    found.filter(({ sequence }) => sequence >= since).map(({ signer }) => signer),
  );
  const all = await firstOfEach(later, (mirror) => counted(mirror, since));
  const confirmations = all.filter(({ signer }) => !enough.has(signer));
  const end = await nearestCheckpoint(store, head, last);
  return {
    list: later,
    configurations,
    reached: [end, ...confirmations],
    parts: {
      checkpoint: end.checkpoint,
      configurations,
      confirmations: confirmations.map(({ statement }) => statement),
    },
  };
}

function signersOf(proof: Proof, { redaction }: StoredEntry): CertificateId[] {
  const { later } = proof;
  const statements = [
    proof.checkpoint,
    ...proof.handOvers,
    ...proof.confirmations,
    ...(later === undefined ? [] : [later.checkpoint, ...later.confirmations]),
    ...(redaction === undefined ? [] : [redaction.statement]),
  ];
  return [...new Set(statements.map((compact) => (payloadOf(compact) as Statement).signer))];
}

function certificatesOf(
  { store, signer, certificatePem }: ReceiptPorts,
  signers: readonly CertificateId[],
): Promise<[CertificateId, string | undefined][]> {
  return inGroups(signers, async (id) => [
    id,
    id === signer.certificateId ? certificatePem : await store.certificate(id),
  ]);
}

const READS_MAX = 8;

/** Asks for all of them together, but for never more than a few at a time. */
async function inGroups<T, R>(items: readonly T[], ask: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  for (let from = 0; from < items.length; from += READS_MAX)
    answers.push(...(await Promise.all(items.slice(from, from + READS_MAX).map(ask))));
  return answers;
}
