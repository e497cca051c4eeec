import { encodeCanonical } from '../../ledger/canonical.ts';
import { type CertificateId, digestOf, type RegistryId } from '../../ledger/digest.ts';
import { limits } from '../../ledger/limits.ts';
import type { SignedRedaction } from '../../ledger/redaction.ts';
import { type StateItem, type StateKey, transactionKey } from '../../ledger/state.ts';
import { type ListName, type ListPosition, listPlaceOf } from '../../registry/lists.ts';
import type {
  AcceptedInvitation,
  CommitOutcome,
  CommitWrite,
  Confirmation,
  Cursor,
  EntryRange,
  Head,
  LedgerStore,
  ListedItem,
  LoggedStatement,
  OpenedConflict,
  Progress,
  StateRead,
  StoredEntry,
} from '../../registry/ports.ts';
import { changesOfOwn, tooManyEntries } from '../commit-items.ts';
import { flawOfCommit, flawOfSuccession } from './commit-contract.ts';

/** An entry as handed over, with copies of its bytes to tell whether somebody changed them. */
interface HeldEntry {
  readonly entry: StoredEntry;
  readonly bytes: readonly (readonly [handed: Uint8Array, kept: Uint8Array])[];
}

interface HeldItem {
  readonly item: StateItem;
  /** Canonical, to compare. */
  readonly text: string;
}

/** All about one registry. What depends on the copy is keyed by it. */
interface HeldRegistry {
  head?: Head;
  readonly entries: Map<string, HeldEntry>;
  readonly state: Map<string, HeldItem>;
  /** By signer, in the order of their sequences. */
  readonly confirmations: Map<CertificateId, Confirmation[]>;
  readonly log: LoggedStatement[];
  readonly cursors: Map<CertificateId, Cursor>;
  readonly conflicts: Map<string, OpenedConflict>;
  progress?: Progress;
  invitation?: AcceptedInvitation;
}

/**
 * The ledgers of one instance in memory: for tests, and a checker. Whoever breaks the contract of
 * the port gets an error that says how, and as code that recovers from errors might hide it, the
 * sentence is kept in `breaches` too. What is handed out is frozen.
 */
export class MemoryLedgerStore implements LedgerStore {
  readonly #tableId: string;
  readonly #registries = new Map<RegistryId, HeldRegistry>();
  readonly #certificates = new Map<CertificateId, string>();
  readonly #breaches: string[] = [];

  constructor({ tableId = 'memory' }: { readonly tableId?: string } = {}) {
    this.#tableId = tableId;
  }

  /** Every way in which the contract was broken so far. */
  get breaches(): readonly string[] {
    return this.#breaches;
  }

  /** Looks through all byte arrays that were handed over; throws where one was changed since. */
  verifyUntouched(): void {
    for (const [registryId, { entries }] of this.#registries)
      for (const held of entries.values()) this.#checkUntouched(registryId, held);
  }

  async read(registryId: RegistryId, keys: readonly StateKey[]): Promise<StateRead> {
    const held = this.#registries.get(registryId);
    const items = new Map<StateKey, StateItem>();
    if (held?.head === undefined) return { head: undefined, items };
    for (const key of keys) {
      const found = held.state.get(inCopy(held.head.copy, key));
      if (found !== undefined) items.set(key, found.item);
    }
    return { head: held.head, items };
  }

  async head(registryId: RegistryId): Promise<Head | undefined> {
    return this.#registries.get(registryId)?.head;
  }

  async commit(write: CommitWrite): Promise<CommitOutcome> {
    const { registryId, expected } = write;
    const flaw = flawOfCommit(write);
    if (flaw !== undefined) throw this.#breach(`a commit to registry ${registryId} ${flaw}`);
    const changed = this.#stateAfter(write);
    const held = this.#held(registryId);
    if (!isAsExpected(held.head, expected)) return { outcome: 'lost-race' };
    for (const { key, before } of changed)
      if (held.state.get(inCopy(write.head.copy, key))?.text !== before)
        return { outcome: 'lost-race' };
    const wrong = flawOfSuccession(held.head, write);
    if (wrong !== undefined) throw this.#breach(`a commit to registry ${registryId} ${wrong}`);
    for (const entry of write.entries) this.#putEntry(held, write, entry);
    for (const { key, after } of changed) held.state.set(inCopy(write.head.copy, key), after);
    held.head = frozen(write.head);
    return { outcome: 'stored' };
  }

  /** Every state item with what it must be before: transactions among them, once. */
  #stateAfter(write: CommitWrite) {
    const transactions = write.entries.map(({ transactionId, transaction, sequence }) => ({
      key: transactionKey(transactionId),
      before: undefined,
      after: heldItem({ transactionDigest: digestOf(transaction), sequence }),
    }));
    try {
      const others = changesOfOwn(write).map(({ key, before, after }) => ({
        key,
        before: before && heldItem(before).text,
        after: heldItem(after),
      }));
      return [...transactions, ...others];
    } catch (error) {
      throw this.#breach((error as Error).message);
    }
  }

  #putEntry(held: HeldRegistry, { registryId, head }: CommitWrite, entry: StoredEntry): void {
    const place = inCopy(head.copy, entry.sequence);
    if (held.entries.has(place))
      throw this.#breach(`entry ${entry.sequence} of registry ${registryId} was put twice`);
    const handed = [entry.entry, entry.transaction, entry.details].filter(
      (each) => each !== undefined,
    );
    const bytes = handed.map((each) => [each, Uint8Array.from(each)] as const);
    held.entries.set(place, { entry: Object.freeze({ ...entry }), bytes });
  }

  async entries(registryId: RegistryId, copy: number, range: EntryRange): Promise<StoredEntry[]> {
    const held = this.#registries.get(registryId);
    const run: StoredEntry[] = [];
    for (let index = 0; index < Math.min(range.count, limits.pageMax); index += 1) {
      const found = held?.entries.get(inCopy(copy, range.from + index));
      if (found === undefined) break;
      this.#checkUntouched(registryId, found);
      run.push(found.entry);
    }
    return run;
  }

  #checkUntouched(registryId: RegistryId, { entry, bytes }: HeldEntry): void {
    for (const [handed, kept] of bytes)
      if (Buffer.compare(handed, kept) !== 0)
        throw this.#breach(
          `bytes of entry ${entry.sequence} of registry ${registryId} were changed after they ` +
            'were handed over',
        );
  }

  async entriesAt(
    registryId: RegistryId,
    copy: number,
    sequences: readonly number[],
  ): Promise<StoredEntry[]> {
    if (sequences.length > limits.pageMax) throw this.#breach(tooManyEntries(sequences));
    const held = this.#registries.get(registryId);
    const found = sequences.map((sequence) => held?.entries.get(inCopy(copy, sequence)));
    return found.flatMap((each) => {
      if (each === undefined) return [];
      this.#checkUntouched(registryId, each);
      return [each.entry];
    });
  }

  async list(
    list: ListName,
    after: ListPosition | undefined,
    count: number,
  ): Promise<ListedItem[]> {
    return [...this.#listed(list)]
      .filter(({ position }) => after === undefined || position > after)
      .sort((a, b) => (a.position < b.position ? -1 : 1))
      .slice(0, count);
  }

  *#listed(list: ListName): Generator<ListedItem> {
    for (const [registryId, { state }] of this.#registries)
      for (const [place, { item }] of state) {
        const at = { registryId, ...outOfCopy(place) };
        const listed = listPlaceOf(at, item);
        if (listed?.list === list) yield { ...at, item, position: listed.position };
      }
  }

  async redactDetails(
    registryId: RegistryId,
    copy: number,
    { sequence }: StoredEntry,
    redaction: SignedRedaction,
  ): Promise<'redacted' | 'held'> {
    const held = this.#held(registryId);
    const place = inCopy(copy, sequence);
    const found = held.entries.get(place);
    if (found?.entry.details === undefined) return 'held';
    const { details: _, ...rest } = found.entry;
    const entry = Object.freeze({ ...rest, redaction: frozen(redaction) });
    held.entries.set(place, { ...found, entry });
    return 'redacted';
  }

  async registries(after: RegistryId | undefined, count: number): Promise<RegistryId[]> {
    return [...this.#registries]
      .filter(([id, { head }]) => head !== undefined && (after === undefined || id > after))
      .map(([id]) => id)
      .sort()
      .slice(0, count);
  }

  async putConfirmation(
    registryId: RegistryId,
    confirmation: Confirmation,
    origin: 'own' | 'received',
  ): Promise<'stored' | 'held' | 'contradicts'> {
    const { signer, sequence, digest, statement, checkpoint } = confirmation;
    const held = this.#held(registryId);
    const list = held.confirmations.get(signer) ?? [];
    const found = list.find((each) => each.sequence === sequence);
    if (found !== undefined) return found.digest === digest ? 'held' : 'contradicts';
    const at = list.findIndex((each) => each.sequence > sequence);
    list.splice(at === -1 ? list.length : at, 0, frozen(confirmation));
    held.confirmations.set(signer, list);
    if (origin === 'own')
      held.log.push(frozen({ index: held.log.length + 1, statement, checkpoint }));
    return 'stored';
  }

  async firstConfirmationCovering(
    registryId: RegistryId,
    signer: CertificateId,
    sequence: number,
  ): Promise<Confirmation | undefined> {
    const list = this.#registries.get(registryId)?.confirmations.get(signer);
    return list?.find((each) => each.sequence >= sequence);
  }

  async confirmations(
    registryId: RegistryId,
    signer: CertificateId,
    from: number,
    count: number,
  ): Promise<Confirmation[]> {
    const list = this.#registries.get(registryId)?.confirmations.get(signer) ?? [];
    const found = list.filter((each) => each.sequence >= from);
    return found.slice(0, Math.min(count, limits.pageMax));
  }

  async newestConfirmation(
    registryId: RegistryId,
    signer: CertificateId,
  ): Promise<Confirmation | undefined> {
    return this.#registries.get(registryId)?.confirmations.get(signer)?.at(-1);
  }

  async statementsAfter(
    registryId: RegistryId,
    after: number,
    count: number,
  ): Promise<LoggedStatement[]> {
    return this.#registries.get(registryId)?.log.slice(after, after + count) ?? [];
  }

  async statementsHead(registryId: RegistryId): Promise<number> {
    return this.#registries.get(registryId)?.log.length ?? 0;
  }

  async cursors(registryId: RegistryId): Promise<Cursor[]> {
    const cursors = [...(this.#registries.get(registryId)?.cursors.values() ?? [])];
    return cursors.sort((a, b) => (a.peer < b.peer ? -1 : 1));
  }

  async cursor(registryId: RegistryId, peer: CertificateId): Promise<Cursor | undefined> {
    return this.#registries.get(registryId)?.cursors.get(peer);
  }

  async putCursor(cursor: Cursor): Promise<void> {
    this.#held(cursor.registryId).cursors.set(cursor.peer, frozen(cursor));
  }

  async progress(registryId: RegistryId): Promise<Progress | undefined> {
    return this.#registries.get(registryId)?.progress;
  }

  async putProgress(progress: Progress): Promise<void> {
    this.#held(progress.registryId).progress = frozen(progress);
  }

  async openConflict(
    conflict: OpenedConflict,
    expected: Pick<Head, 'digest' | 'conflictsVersion'>,
  ): Promise<'opened' | 'held' | 'lost-race'> {
    const { registryId, conflictId } = conflict;
    const held = this.#held(registryId);
    if (held.conflicts.has(conflictId)) return 'held';
    if (held.head === undefined || !isAsExpected(held.head, expected)) return 'lost-race';
    held.conflicts.set(conflictId, frozen(conflict));
    held.head = frozen({
      ...held.head,
      conflictsVersion: held.head.conflictsVersion + 1,
      openConflicts: [...held.head.openConflicts, conflictId],
    });
    return 'opened';
  }

  async conflicts(registryId: RegistryId): Promise<OpenedConflict[]> {
    const conflicts = [...(this.#registries.get(registryId)?.conflicts.values() ?? [])];
    return conflicts.sort((a, b) => (a.conflictId < b.conflictId ? -1 : 1));
  }

  async putInvitation(invitation: AcceptedInvitation): Promise<void> {
    this.#held(invitation.registryId).invitation = frozen(invitation);
  }

  async invitation(registryId: RegistryId): Promise<AcceptedInvitation | undefined> {
    return this.#registries.get(registryId)?.invitation;
  }

  async certificate(id: CertificateId): Promise<string | undefined> {
    return this.#certificates.get(id);
  }

  async putCertificate(id: CertificateId, pem: string): Promise<void> {
    this.#certificates.set(id, pem);
  }

  async tableId(): Promise<string> {
    return this.#tableId;
  }

  #held(registryId: RegistryId): HeldRegistry {
    const held = this.#registries.get(registryId) ?? {
      entries: new Map(),
      state: new Map(),
      confirmations: new Map(),
      log: [],
      cursors: new Map(),
      conflicts: new Map(),
    };
    this.#registries.set(registryId, held);
    return held;
  }

  #breach(sentence: string): Error {
    this.#breaches.push(sentence);
    return new Error(`contract broken: ${sentence}`);
  }
}

function inCopy(copy: number, place: StateKey | number): string {
  return `${copy}#${place}`;
}

/** Copy and key of a state item from its place. */
function outOfCopy(place: string): { readonly copy: number; readonly key: StateKey } {
  const end = place.indexOf('#');
  return { copy: Number(place.slice(0, end)), key: place.slice(end + 1) as StateKey };
}

function heldItem(item: StateItem): HeldItem {
  return { item: frozen(item), text: encodeCanonical(item).toString() };
}

function isAsExpected(head: Head | undefined, expected: CommitWrite['expected']): boolean {
  return head?.digest === expected?.digest && head?.conflictsVersion === expected?.conflictsVersion;
}

/** A copy that nobody can change. */
function frozen<T extends object>(value: T): T {
  return deepFreeze(structuredClone(value));
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}
