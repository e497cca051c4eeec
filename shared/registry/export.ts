/**
 * The export of a registry: what verifies without this software's help, for as long as SHA-256 and
 * ECDSA can be computed.
 *
 * An export is text, one line per object. Every line is one canonical object (protocol section 2),
 * so `sha256sum` of the line without its newline prints the object's digest: that by which an entry
 * names its transaction, a transaction its details, and later entries the entry. First, for every
 * resolution that an entry names, come
 *
 * - the first reports of the conflicts that it is of, each once, signed by whoever found it
 *                        `{"format":"registry/signed/v1","statement":"<JWS>"}`
 * - the resolution, signed by the operator and by the lead
 *                        `{"decision":"<JWS>","format":"registry/countersigned/v1","statement":"<JWS>"}`
 *
 * They come first because what they replace may break the rules, and stands all the same. Then, for
 * each entry, in order of sequence, come
 *
 * 1. its transaction   `{…,"format":"registry/transaction/v1",…}`
 * 2. its details       `{…,"format":"registry/details/v1",…}`      where the transaction has some,
 *    or their redaction `{…,"format":"registry/redacted/v1",…}`    where this instance took them out
 * 3. the entry         `{…,"format":"registry/entry/v1",…}`
 * 4. the statements about this entry, each `{"format":"registry/signed/v1","statement":"<JWS>"}`:
 *    the lead's checkpoint, once, then the confirmations of mirrors, then the closings of instances
 *    whose own copy ended there.
 *
 * At the very end stand the closings of those whose copy ended at an entry that is not here yet.
 *
 * The checkpoint is there for the last entry, for every hand-over of the lead, for every commit that
 * carries out a resolution, and wherever there is a confirmation; the backlinks carry it to all
 * entries before. Every stored confirmation is there that counts: by who was a mirror there.
 */
import { ConfirmingPeers } from '../ledger/confirming-peers.ts';
import { encodeCountersignedLine } from '../ledger/countersigned.ts';
import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { resolvesNothing } from '../ledger/entry-in-place.ts';
import type { Compact } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import { encodeRedactedLine } from '../ledger/redaction.ts';
import { encodeSignedLine } from '../ledger/signed-line.ts';
import { allConfigurations, listBroughtBy } from './configuration-at.ts';
import { allClosings, allSetAsides, type KnownClosing } from './kept-statements.ts';
import type { Confirmation, Head, LedgerStore, StoredEntry } from './ports.ts';
import { type StatementBefore, statementsBefore } from './statements-before.ts';

/**
 * The lines without their newlines, up to the head as it is at the beginning; none where the
 * registry is unknown. Holds one page of 100 entries at a time. Throws where an entry is missing.
 */
export async function* exportLines(
  store: LedgerStore,
  registryId: RegistryId,
): AsyncGenerator<Uint8Array> {
  const head = await store.head(registryId);
  if (head === undefined) return;
  for (const said of await statementsBefore(store, head)) yield lineBefore(said);
  const confirmations = new ConfirmationsInOrder(store, registryId);
  const closings = await closingsOf(store, head);
  let carrying = false;
  for await (const stored of storedEntries(store, head)) {
    yield* linesOf(stored);
    const confirmed = await confirmations.of(stored);
    const checkpoint = checkpointOf(head, stored, confirmed);
    carrying ||= !resolvesNothing(stored.entry);
    const carried = carrying && stored.checkpoint !== undefined;
    const ends = confirmations.handOver || stored.sequence === head.sequence;
    if (ends || carried || confirmed.length > 0) yield encodeSignedLine(checkpoint);
    if (carried) carrying = false;
    for (const { statement } of confirmed) yield encodeSignedLine(statement);
    yield* closingLines(closings, stored, head);
  }
}

/** Of those whose copy ended there; at the end, also of those whose copy went on. */
function* closingLines(
  closings: readonly KnownClosing[],
  { sequence }: StoredEntry,
  head: Head,
): Iterable<Uint8Array> {
  const last = sequence === head.sequence;
  for (const { said, statement } of closings)
    if (said.sequence === sequence || (last && said.sequence > sequence))
      yield encodeSignedLine(statement);
}

/** Those of whoever is a peer in this copy: an older one may have had other lists. */
async function closingsOf(store: LedgerStore, head: Head): Promise<KnownClosing[]> {
  const closings = await allClosings(store, head.registryId);
  if (closings.length === 0) return [];
  const configurations = await allConfigurations(store, head);
  const peers = new Set(configurations.flatMap((each) => listBroughtBy(each)?.peers ?? []));
  return closings.filter(({ said }) => peers.has(said.signer));
}

/** What comes before entry 1. */
export function lineBefore(said: StatementBefore): Uint8Array {
  return said.kind === 'conflict'
    ? encodeSignedLine(said.statement)
    : encodeCountersignedLine(said.signed);
}

/** The entry with its transaction and what stands beside that. */
export function* linesOf({
  transaction,
  details,
  redaction,
  entry,
}: StoredEntry): Iterable<Uint8Array> {
  yield transaction;
  if (details !== undefined) yield details;
  if (redaction !== undefined) yield encodeRedactedLine(redaction);
  yield entry;
}

/** Stored with the entry that ends a commit, with the head, and with every confirmation. */
function checkpointOf(
  head: Head,
  stored: StoredEntry,
  confirmed: readonly Confirmation[],
): Compact {
  return stored.checkpoint ?? confirmed[0]?.checkpoint ?? head.checkpoint;
}

/** Every entry from 1 to the head, page by page. Throws where one is missing. */
async function* storedEntries(store: LedgerStore, head: Head): AsyncGenerator<StoredEntry> {
  let next = 1;
  while (next <= head.sequence) {
    const range = { from: next, count: Math.min(limits.pageMax, head.sequence - next + 1) };
    const page = await store.entries(head.registryId, head.copy, range);
    if (page.length === 0)
      throw new Error(
        `entry ${next} of registry ${head.registryId} is missing below its head ` +
          `${head.sequence}: audit this instance`,
      );
    yield* page;
    next += page.length;
  }
}

/**
 * The stored confirmations that count, entry by entry from 1 on: those of whoever was a mirror
 * there (a joiner's word about entries before its time counts for nothing). Asks for one
 * confirmation at a time and peer; memory grows with the peers only.
 */
export class ConfirmationsInOrder {
  readonly #store: LedgerStore;
  readonly #registryId: RegistryId;
  readonly #peers = new ConfirmingPeers();
  readonly #next = new Map<CertificateId, Confirmation | undefined>();

  constructor(store: LedgerStore, registryId: RegistryId) {
    this.#store = store;
    this.#registryId = registryId;
  }

  /** Whether the newest entry hands the lead over. */
  get handOver(): boolean {
    return this.#peers.handOver;
  }

  /** The confirmations of the entry, which comes right after the one of the call before. */
  async of(stored: StoredEntry): Promise<Confirmation[]> {
    const { sequence } = stored;
    const brought = listBroughtBy(stored)?.peers;
    this.#peers.extend(sequence, brought);
    if (stored.checkpoint !== undefined) this.#peers.endCommit();
    for (const peer of brought ?? [])
      if (!this.#next.has(peer)) await this.#advance(peer, sequence);
    const found: Confirmation[] = [];
    for (const [signer, confirmation] of [...this.#next]) {
      if (confirmation?.sequence !== sequence) continue;
      const counted = await this.#counted(confirmation, stored);
      if (counted !== undefined && this.#peers.includes(signer)) found.push(counted);
      await this.#advance(signer, sequence + 1);
    }
    return found;
  }

  /** What its signer has set aside since is evidence; in its place stands what was confirmed anew. */
  async #counted(first: Confirmation, { digest }: StoredEntry): Promise<Confirmation | undefined> {
    const { signer, sequence } = first;
    if (first.digest === digest) return first;
    // Where nothing was set aside by anybody, it was put there by somebody else.
    const setAsides = await allSetAsides(this.#store, this.#registryId);
    if (!setAsides.some((each) => each.from <= sequence)) return first;
    const count = limits.pageMax;
    const all = await this.#store.confirmations(this.#registryId, signer, sequence, count);
    return all.find((each) => each.sequence === sequence && each.digest === digest);
  }

  async #advance(signer: CertificateId, from: number): Promise<void> {
    const next = await this.#store.firstConfirmationCovering(this.#registryId, signer, from);
    this.#next.set(signer, next);
  }
}
