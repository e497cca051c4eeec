import { type CertificateId, digestOf, type RegistryId } from '../../ledger/digest.ts';
import { limits } from '../../ledger/limits.ts';
import type { SignedRedaction } from '../../ledger/redaction.ts';
import { type StateItem, type StateKey, transactionKey } from '../../ledger/state.ts';
import type { AcceptedInvitation } from '../../registry/accepted-invitation.ts';
import type { AuditProgressItem } from '../../registry/audit-progress.ts';
import type {
  KeptStatement,
  LoggedStatement,
  OpenedConflict,
  Origin,
  Settlement,
} from '../../registry/conflict-record.ts';
import { type ListName, type ListPosition, listPlaceOf } from '../../registry/lists.ts';
import type {
  CommitOutcome,
  CommitWrite,
  Confirmation,
  Cursor,
  EntryRange,
  Head,
  LedgerStore,
  ListedItem,
  Progress,
  StateRead,
  StoredEntry,
} from '../../registry/ports.ts';
import { changesOfOwn, tooManyEntries } from '../commit-items.ts';
import { openSetChange } from '../open-set.ts';
import {
  flawOfCommit,
  flawOfSettlement,
  flawOfSuccession,
  isAsExpected,
} from './commit-contract.ts';
import { inCopy, outOfCopy } from './copy-places.ts';
import { frozen } from './frozen.ts';
import { type HeldItem, heldItem } from './held-item.ts';
import { HeldStatements } from './held-statements.ts';

/** An entry as handed over, with copies of its bytes to tell whether somebody changed them. */
interface HeldEntry {
  readonly entry: StoredEntry;
  readonly bytes: readonly (readonly [handed: Uint8Array, kept: Uint8Array])[];
}

/** All about one registry. What depends on the copy is keyed by it. */
interface HeldRegistry {
  head?: Head;
  readonly entries: Map<string, HeldEntry>;
  readonly state: Map<string, HeldItem>;
  readonly statements: HeldStatements;
  readonly cursors: Map<CertificateId, Cursor>;
  progress?: Progress;
  auditProgress?: AuditProgressItem;
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

  async read(registryId: RegistryId, keys: readonly StateKey[], copy?: number): Promise<StateRead> {
    const held = this.#registries.get(registryId);
    const items = new Map<StateKey, StateItem>();
    if (held?.head === undefined) return { head: undefined, items };
    for (const key of keys) {
      const found = held.state.get(inCopy(copy ?? held.head.copy, key));
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
    if (held.statements.hasKept(write.kept)) return { outcome: 'lost-race' };
    const wrong = flawOfSuccession(held.head, write);
    if (wrong !== undefined) throw this.#breach(`a commit to registry ${registryId} ${wrong}`);
    for (const entry of write.entries) this.#putEntry(held, write, entry);
    for (const { key, after } of changed) held.state.set(inCopy(write.head.copy, key), after);
    held.statements.putKept(write.kept, 'own');
    held.statements.putOpenSetChange(openSetChange(expected, write.head));
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
    origin: Origin,
  ): Promise<'stored' | 'held' | 'contradicts'> {
    return this.#held(registryId).statements.putConfirmation(confirmation, origin);
  }

  async firstConfirmationCovering(
    registryId: RegistryId,
    signer: CertificateId,
    sequence: number,
  ): Promise<Confirmation | undefined> {
    return this.#confirmationsBy(registryId, signer).find((each) => each.sequence >= sequence);
  }

  async confirmations(
    registryId: RegistryId,
    signer: CertificateId,
    from: number,
    count: number,
  ): Promise<Confirmation[]> {
    const list = this.#confirmationsBy(registryId, signer);
    const found = list.filter((each) => each.sequence >= from);
    return found.slice(0, Math.min(count, limits.pageMax));
  }

  async newestConfirmation(
    registryId: RegistryId,
    signer: CertificateId,
  ): Promise<Confirmation | undefined> {
    return this.#confirmationsBy(registryId, signer).at(-1);
  }

  #confirmationsBy(registryId: RegistryId, signer: CertificateId): readonly Confirmation[] {
    return this.#registries.get(registryId)?.statements.confirmationsBy(signer) ?? [];
  }

  async statementsAfter(
    registryId: RegistryId,
    after: number,
    count: number,
  ): Promise<LoggedStatement[]> {
    return this.#registries.get(registryId)?.statements.log.slice(after, after + count) ?? [];
  }

  async statementsHead(registryId: RegistryId): Promise<number> {
    return this.#registries.get(registryId)?.statements.log.length ?? 0;
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

  async auditProgress(registryId: RegistryId): Promise<AuditProgressItem | undefined> {
    return this.#registries.get(registryId)?.auditProgress;
  }

  async putAuditProgress(progress: AuditProgressItem): Promise<void> {
    this.#held(progress.registryId).auditProgress = frozen(progress);
  }

  async openConflict(
    conflict: OpenedConflict,
    expected: Pick<Head, 'digest' | 'conflictsVersion'>,
    origin: Origin,
  ): Promise<'opened' | 'held' | 'lost-race'> {
    const { registryId, conflictId } = conflict;
    const held = this.#held(registryId);
    if (held.statements.hasConflict(conflictId)) return 'held';
    if (held.head === undefined || !isAsExpected(held.head, expected)) return 'lost-race';
    held.statements.putConflict(conflict, origin);
    held.head = frozen({
      ...held.head,
      conflictsVersion: held.head.conflictsVersion + 1,
      openConflicts: [...held.head.openConflicts, conflictId],
    });
    return 'opened';
  }

  async settle(settlement: Settlement): Promise<'settled' | 'held' | 'lost-race'> {
    const { registryId, expected, head, kept, origin } = settlement;
    const flaw = flawOfSettlement(settlement);
    if (flaw !== undefined) throw this.#breach(`a settlement in registry ${registryId} ${flaw}`);
    const held = this.#held(registryId);
    if (held.statements.hasKept(kept)) return 'held';
    if (held.head === undefined || !isAsExpected(held.head, expected)) return 'lost-race';
    held.statements.putKept(kept, origin);
    held.statements.putOpenSetChange(openSetChange(expected, head));
    held.head = frozen(head);
    return 'settled';
  }

  async openSetChange(registryId: RegistryId, conflictsVersion: number) {
    return this.#registries.get(registryId)?.statements.openSetChange(conflictsVersion);
  }

  async conflicts(registryId: RegistryId): Promise<OpenedConflict[]> {
    return this.#registries.get(registryId)?.statements.conflicts() ?? [];
  }

  async keep(
    registryId: RegistryId,
    kept: KeptStatement,
    origin: Origin,
  ): Promise<'kept' | 'held'> {
    const { statements } = this.#held(registryId);
    if (statements.hasKept(kept)) return 'held';
    statements.putKept(kept, origin);
    return 'kept';
  }

  async kept(registryId: RegistryId): Promise<KeptStatement[]> {
    return this.#registries.get(registryId)?.statements.kept() ?? [];
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
      statements: new HeldStatements(),
      cursors: new Map(),
    };
    this.#registries.set(registryId, held);
    return held;
  }

  #breach(sentence: string): Error {
    this.#breaches.push(sentence);
    return new Error(`contract broken: ${sentence}`);
  }
}
