import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { tableKey } from '../../config.ts';
import type { CertificateId, RegistryId } from '../../ledger/digest.ts';
import { limits } from '../../ledger/limits.ts';
import type { SignedRedaction } from '../../ledger/redaction.ts';
import type { StateItem, StateKey } from '../../ledger/state.ts';
import type { AcceptedInvitation } from '../../registry/accepted-invitation.ts';
import type { AuditProgressItem } from '../../registry/audit-progress.ts';
import type {
  KeptStatement,
  LoggedStatement,
  OpenedConflict,
  OpenSetChange,
  Origin,
  Settlement,
} from '../../registry/conflict-record.ts';
import { type ListName, type ListPosition, sortableNumber } from '../../registry/lists.ts';
import type {
  Clock,
  CommitOutcome,
  CommitWrite,
  Confirmation,
  Cursor,
  EntryRange,
  Head,
  LedgerStore,
  ListedItem,
  Progress,
  Random,
  StateRead,
  StoredEntry,
} from '../../registry/ports.ts';
import { StoredDamage } from '../../registry/stored-damage.ts';
import { tooManyEntries } from '../commit-items.ts';
import { oldestFirst } from '../kept-items.ts';
import { systemClock, systemRandom } from '../system.ts';
import { writeCommit } from './dynamo-commit.ts';
import { keepStatement, writeConflict, writeSettlement } from './dynamo-conflicts.ts';
import {
  headOf,
  listedItemOf,
  numberOf,
  recordItem,
  recordOf,
  STATE_ATTRIBUTES,
  stateItemOf,
  storedEntryOf,
  textOf,
} from './dynamo-items.ts';
import {
  auditProgressKey,
  certificateKey,
  confirmationsPartition,
  conflictsPartition,
  cursorKey,
  cursorsPartition,
  entryKey,
  headKey,
  type Item,
  invitationKey,
  keptPartition,
  keyText,
  logHeadKey,
  logPartition,
  openSetKey,
  progressKey,
  REGISTRIES_PARTITION,
  stateKeyItemKey,
  transactionItemKey,
} from './dynamo-keys.ts';
import { indexOf } from './dynamo-log.ts';
import { writeRedaction } from './dynamo-redaction.ts';
import {
  confirmationOf,
  type PutConfirmationOutcome,
  putOwnConfirmation,
  putReceivedConfirmation,
} from './dynamo-statements.ts';
import { DynamoTable } from './dynamo-table.ts';

export interface DynamoLedgerStoreOptions {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  /** For the waits between attempts; the machine's unless given. */
  readonly clock?: Clock;
  readonly random?: Random;
}

/** How often a read is repeated because a set-aside began another copy meanwhile. */
const COPY_CHANGES_MAX = 3;

/**
 * The ledgers of one instance in one DynamoDB table. The role needs GetItem, BatchGetItem, Query,
 * PutItem, UpdateItem and DescribeTable, and for `list` Query on the index; nothing is ever scanned
 * or deleted, and nothing but heads, cursors, progress, invitations and certificates is rewritten.
 */
export class DynamoLedgerStore implements LedgerStore {
  readonly #table: DynamoTable;
  #tableId: Promise<string> | undefined;
  /** The copies last seen, where not the first: state items are keyed by it. */
  readonly #copies = new Map<RegistryId, number>();

  constructor({
    client,
    tableName,
    clock = systemClock,
    random = systemRandom,
  }: DynamoLedgerStoreOptions) {
    this.#table = new DynamoTable({ client, tableName, clock, random });
  }

  async read(registryId: RegistryId, keys: readonly StateKey[], of?: number): Promise<StateRead> {
    if (of !== undefined) return this.#readCopy(registryId, of, keys);
    for (let attempt = 0; attempt < COPY_CHANGES_MAX; attempt += 1) {
      const copy = this.#copies.get(registryId) ?? 1;
      const read = await this.#readCopy(registryId, copy, keys);
      if (read.head === undefined) return { head: undefined, items: new Map() };
      if (read.head.copy === copy) return read;
      this.#copies.set(registryId, read.head.copy);
    }
    throw new Error(`registry ${registryId}: its copy keeps changing while it is read; try again`);
  }

  /** The head, whatever its copy, and the state items of the given one, in one request. */
  async #readCopy(
    registryId: RegistryId,
    copy: number,
    keys: readonly StateKey[],
  ): Promise<StateRead> {
    const headAt = headKey(registryId);
    const places = keys.map((key) => ({ key, at: stateKeyItemKey(registryId, copy, key) }));
    const wanted = [headAt, ...places.map(({ at }) => at)];
    const found = await this.#table.batchGet(wanted, STATE_ATTRIBUTES);
    const items = new Map<StateKey, StateItem>();
    for (const { key, at } of places) {
      const item = found.get(keyText(at));
      if (item !== undefined) items.set(key, stateItemOf(item));
    }
    const head = found.get(keyText(headAt));
    return { head: head && headOf(head), items };
  }

  async head(registryId: RegistryId): Promise<Head | undefined> {
    const item = await this.#table.get(headKey(registryId));
    return item === undefined ? undefined : headOf(item);
  }

  commit(write: CommitWrite): Promise<CommitOutcome> {
    return writeCommit(this.#table, write);
  }

  async entries(registryId: RegistryId, copy: number, range: EntryRange): Promise<StoredEntry[]> {
    const count = Math.max(0, Math.min(range.count, limits.pageMax));
    const sequences = Array.from({ length: count }, (_, index) => range.from + index);
    const found = await this.#entryItems(registryId, copy, sequences);
    const end = found.indexOf(undefined);
    return this.#withTransactions(registryId, copy, end === -1 ? found : found.slice(0, end));
  }

  async entriesAt(
    registryId: RegistryId,
    copy: number,
    sequences: readonly number[],
  ): Promise<StoredEntry[]> {
    if (sequences.length > limits.pageMax) throw new Error(tooManyEntries(sequences));
    const found = await this.#entryItems(registryId, copy, sequences);
    return this.#withTransactions(registryId, copy, found);
  }

  /** Transactions are read after the entries that name them, so each must be there. */
  async #withTransactions(
    registryId: RegistryId,
    copy: number,
    found: readonly (Item | undefined)[],
  ): Promise<StoredEntry[]> {
    const entries = found.filter((entry) => entry !== undefined);
    const keys = entries.map((entry) =>
      transactionItemKey(registryId, copy, textOf(entry, 'transactionId')),
    );
    const transactions = await this.#table.batchGet(keys);
    return entries.map((entry, index) => {
      const transaction = transactions.get(keyText(keys[index] ?? {}));
      if (transaction === undefined)
        throw new StoredDamage(
          `registry ${registryId}: the transaction of entry ${numberOf(entry, 'sequence')} is ` +
            `gone from copy ${copy}; whoever can write to the table removed it`,
        );
      return storedEntryOf(entry, transaction);
    });
  }

  /** An item, or that there is none, for each of the sequences. */
  async #entryItems(
    registryId: RegistryId,
    copy: number,
    sequences: readonly number[],
  ): Promise<(Item | undefined)[]> {
    const keys = sequences.map((sequence) => entryKey(registryId, copy, sequence));
    const found = await this.#table.batchGet(keys);
    return keys.map((key) => found.get(keyText(key)));
  }

  async list(
    list: ListName,
    after: ListPosition | undefined,
    count: number,
  ): Promise<ListedItem[]> {
    const items = await this.#table.query({
      partition: list,
      lists: true,
      count,
      ...(after === undefined ? {} : { after }),
    });
    return items.map(listedItemOf);
  }

  redactDetails(
    registryId: RegistryId,
    copy: number,
    { transactionId }: StoredEntry,
    redaction: SignedRedaction,
  ): Promise<'redacted' | 'held'> {
    return writeRedaction(this.#table, { registryId, copy, transactionId }, redaction);
  }

  async registries(after: RegistryId | undefined, count: number): Promise<RegistryId[]> {
    const items = await this.#table.query({
      partition: REGISTRIES_PARTITION,
      count,
      ...(after === undefined ? {} : { after }),
    });
    return items.map((item) => textOf(item, tableKey.sort) as RegistryId);
  }

  putConfirmation(
    registryId: RegistryId,
    confirmation: Confirmation,
    origin: Origin,
  ): Promise<PutConfirmationOutcome> {
    return origin === 'own'
      ? putOwnConfirmation(this.#table, registryId, confirmation)
      : putReceivedConfirmation(this.#table, registryId, confirmation);
  }

  async firstConfirmationCovering(
    registryId: RegistryId,
    signer: CertificateId,
    sequence: number,
  ): Promise<Confirmation | undefined> {
    const partition = confirmationsPartition(registryId, signer);
    const from = sortableNumber(sequence);
    const [item] = await this.#table.query({ partition, from, count: 1 });
    return item && confirmationOf(item);
  }

  async confirmations(
    registryId: RegistryId,
    signer: CertificateId,
    from: number,
    count: number,
  ): Promise<Confirmation[]> {
    const items = await this.#table.query({
      partition: confirmationsPartition(registryId, signer),
      from: sortableNumber(from),
      count: Math.min(count, limits.pageMax),
    });
    return items.map(confirmationOf);
  }

  async newestConfirmation(
    registryId: RegistryId,
    signer: CertificateId,
  ): Promise<Confirmation | undefined> {
    const partition = confirmationsPartition(registryId, signer);
    const [item] = await this.#table.query({ partition, count: 1, newestFirst: true });
    return item && confirmationOf(item);
  }

  async statementsAfter(
    registryId: RegistryId,
    after: number,
    count: number,
  ): Promise<LoggedStatement[]> {
    const partition = logPartition(registryId);
    const items = await this.#table.query({ partition, after: sortableNumber(after), count });
    return items.map((item) => recordOf<LoggedStatement>(item));
  }

  async statementsHead(registryId: RegistryId): Promise<number> {
    return indexOf(await this.#table.get(logHeadKey(registryId)));
  }

  async cursors(registryId: RegistryId): Promise<Cursor[]> {
    const items = await this.#table.query({ partition: cursorsPartition(registryId) });
    return items.map((item) => recordOf<Cursor>(item));
  }

  async cursor(registryId: RegistryId, peer: CertificateId): Promise<Cursor | undefined> {
    const item = await this.#table.get(cursorKey(registryId, peer));
    return item && recordOf<Cursor>(item);
  }

  putCursor(cursor: Cursor): Promise<void> {
    return this.#table.put(recordItem(cursorKey(cursor.registryId, cursor.peer), cursor));
  }

  async progress(registryId: RegistryId): Promise<Progress | undefined> {
    const item = await this.#table.get(progressKey(registryId));
    return item && recordOf<Progress>(item);
  }

  putProgress(progress: Progress): Promise<void> {
    return this.#table.put(recordItem(progressKey(progress.registryId), progress));
  }

  async auditProgress(registryId: RegistryId): Promise<AuditProgressItem | undefined> {
    const item = await this.#table.get(auditProgressKey(registryId));
    return item && recordOf<AuditProgressItem>(item);
  }

  putAuditProgress(progress: AuditProgressItem): Promise<void> {
    return this.#table.put(recordItem(auditProgressKey(progress.registryId), progress));
  }

  openConflict(
    conflict: OpenedConflict,
    expected: Pick<Head, 'digest' | 'conflictsVersion'>,
    origin: Origin,
  ): Promise<'opened' | 'held' | 'lost-race'> {
    return writeConflict(this.#table, conflict, expected, origin);
  }

  settle(settlement: Settlement): Promise<'settled' | 'held' | 'lost-race'> {
    return writeSettlement(this.#table, settlement);
  }

  async openSetChange(
    registryId: RegistryId,
    conflictsVersion: number,
  ): Promise<OpenSetChange | undefined> {
    const item = await this.#table.get(openSetKey(registryId, conflictsVersion));
    return item && recordOf<OpenSetChange>(item);
  }

  async conflicts(registryId: RegistryId): Promise<OpenedConflict[]> {
    const items = await this.#table.query({ partition: conflictsPartition(registryId) });
    return items.map((item) => recordOf<OpenedConflict>(item));
  }

  keep(registryId: RegistryId, kept: KeptStatement, origin: Origin): Promise<'kept' | 'held'> {
    return keepStatement(this.#table, registryId, kept, origin);
  }

  async kept(registryId: RegistryId): Promise<KeptStatement[]> {
    const items = await this.#table.query({ partition: keptPartition(registryId) });
    return oldestFirst(items.map((item) => recordOf<KeptStatement>(item)));
  }

  putInvitation(invitation: AcceptedInvitation): Promise<void> {
    return this.#table.put(recordItem(invitationKey(invitation.registryId), invitation));
  }

  async invitation(registryId: RegistryId): Promise<AcceptedInvitation | undefined> {
    const item = await this.#table.get(invitationKey(registryId));
    return item && recordOf<AcceptedInvitation>(item);
  }

  async certificate(id: CertificateId): Promise<string | undefined> {
    const item = await this.#table.get(certificateKey(id), 'eventual');
    return item && textOf(item, 'pem');
  }

  putCertificate(id: CertificateId, pem: string): Promise<void> {
    return this.#table.put({ ...certificateKey(id), pem: { S: pem } });
  }

  /** Asked once: a process does not outlive its table. */
  async tableId(): Promise<string> {
    this.#tableId ??= this.#table.tableId();
    try {
      return await this.#tableId;
    } catch (error) {
      this.#tableId = undefined;
      throw error;
    }
  }
}
