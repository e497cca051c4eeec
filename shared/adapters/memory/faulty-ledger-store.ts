import type { CertificateId, RegistryId } from '../../ledger/digest.ts';
import type { SignedRedaction } from '../../ledger/redaction.ts';
import type { StateKey } from '../../ledger/state.ts';
import type { AcceptedInvitation } from '../../registry/accepted-invitation.ts';
import type { AuditProgressItem } from '../../registry/audit-progress.ts';
import type {
  KeptStatement,
  OpenedConflict,
  Origin,
  Settlement,
} from '../../registry/conflict-record.ts';
import type { ListName, ListPosition } from '../../registry/lists.ts';
import type {
  CommitOutcome,
  CommitWrite,
  Confirmation,
  Cursor,
  EntryRange,
  Head,
  LedgerStore,
  Progress,
  StoredEntry,
} from '../../registry/ports.ts';

export type LedgerStoreMethod = keyof LedgerStore;

/** What can go wrong with a method. Both of the first two look the same to the caller. */
export type LedgerStoreFault<Method extends LedgerStoreMethod> =
  /** Rejects before anything happened. */
  | 'lost'
  /** Does it all, and then rejects. */
  | 'done-but-lost'
  /** Answers so, without doing anything. */
  | (Method extends 'commit' ? 'busy' | 'lost-race' : never)
  | (Method extends 'openConflict' | 'settle' ? 'lost-race' : never);

type AnyFault = LedgerStoreFault<'commit'>;

/**
 * A store on which faults happen as scripted: each call of a method takes the next fault from the
 * method's plan; with an empty plan the call goes through.
 */
export class FaultyLedgerStore implements LedgerStore {
  readonly #store: LedgerStore;
  readonly #plans = new Map<LedgerStoreMethod, AnyFault[]>();
  readonly #calls = new Map<LedgerStoreMethod, number>();
  #crash: { callsLeft: number; readonly when: 'before' | 'after' } | undefined;

  constructor(store: LedgerStore) {
    this.#store = store;
  }

  /** Adds the fault, `times` in a row, to the end of the method's plan. */
  plan<Method extends LedgerStoreMethod>(
    method: Method,
    fault: LedgerStoreFault<Method>,
    times = 1,
  ): this {
    const planned = this.#plans.get(method) ?? [];
    this.#plans.set(method, [...planned, ...Array.from({ length: times }, () => fault)]);
    return this;
  }

  /**
   * The process dies at a call: before it does anything, or after it has done it all. Whatever that
   * process calls afterwards rejects, until another one is started.
   */
  crashAt(call: number, when: 'before' | 'after'): void {
    this.#crash = { callsLeft: call, when };
  }

  /** Another process: nothing that was planned is left. */
  restart(): void {
    this.#crash = undefined;
    this.#plans.clear();
  }

  /** How often the method was called, faults included. */
  calls(method: LedgerStoreMethod): number {
    return this.#calls.get(method) ?? 0;
  }

  /** Faults that were planned and have not happened. */
  get pending(): number {
    return [...this.#plans.values()].reduce((sum, plan) => sum + plan.length, 0);
  }

  async #through<T>(
    method: LedgerStoreMethod,
    run: () => Promise<T>,
    answers: { readonly busy?: T; readonly 'lost-race'?: T } = {},
  ): Promise<T> {
    this.#calls.set(method, this.calls(method) + 1);
    if (this.#crash !== undefined) return this.#crashing(this.#crash, run);
    const fault = this.#plans.get(method)?.shift();
    if (fault === undefined) return run();
    if (fault === 'done-but-lost') await run();
    const answer = fault === 'busy' || fault === 'lost-race' ? answers[fault] : undefined;
    if (answer === undefined) throw new Error(`scripted fault: ${method} was ${fault}`);
    return answer;
  }

  async #crashing<T>(
    crash: { callsLeft: number; readonly when: 'before' | 'after' },
    run: () => Promise<T>,
  ): Promise<T> {
    crash.callsLeft -= 1;
    if (crash.callsLeft > 0) return run();
    if (crash.callsLeft === 0 && crash.when === 'after') await run();
    throw new Error('the process has died');
  }

  read(registryId: RegistryId, keys: readonly StateKey[], copy?: number) {
    return this.#through('read', () => this.#store.read(registryId, keys, copy));
  }

  head(registryId: RegistryId) {
    return this.#through('head', () => this.#store.head(registryId));
  }

  commit(write: CommitWrite): Promise<CommitOutcome> {
    return this.#through<CommitOutcome>('commit', () => this.#store.commit(write), {
      busy: { outcome: 'busy' },
      'lost-race': { outcome: 'lost-race' },
    });
  }

  entries(registryId: RegistryId, copy: number, range: EntryRange) {
    return this.#through('entries', () => this.#store.entries(registryId, copy, range));
  }

  entriesAt(registryId: RegistryId, copy: number, sequences: readonly number[]) {
    return this.#through('entriesAt', () => this.#store.entriesAt(registryId, copy, sequences));
  }

  list(list: ListName, after: ListPosition | undefined, count: number) {
    return this.#through('list', () => this.#store.list(list, after, count));
  }

  redactDetails(
    registryId: RegistryId,
    copy: number,
    entry: StoredEntry,
    redaction: SignedRedaction,
  ) {
    return this.#through('redactDetails', () =>
      this.#store.redactDetails(registryId, copy, entry, redaction),
    );
  }

  registries(after: RegistryId | undefined, count: number) {
    return this.#through('registries', () => this.#store.registries(after, count));
  }

  putConfirmation(registryId: RegistryId, confirmation: Confirmation, origin: Origin) {
    return this.#through('putConfirmation', () =>
      this.#store.putConfirmation(registryId, confirmation, origin),
    );
  }

  firstConfirmationCovering(registryId: RegistryId, signer: CertificateId, sequence: number) {
    return this.#through('firstConfirmationCovering', () =>
      this.#store.firstConfirmationCovering(registryId, signer, sequence),
    );
  }

  confirmations(registryId: RegistryId, signer: CertificateId, from: number, count: number) {
    return this.#through('confirmations', () =>
      this.#store.confirmations(registryId, signer, from, count),
    );
  }

  newestConfirmation(registryId: RegistryId, signer: CertificateId) {
    return this.#through('newestConfirmation', () =>
      this.#store.newestConfirmation(registryId, signer),
    );
  }

  statementsAfter(registryId: RegistryId, after: number, count: number) {
    return this.#through('statementsAfter', () =>
      this.#store.statementsAfter(registryId, after, count),
    );
  }

  statementsHead(registryId: RegistryId) {
    return this.#through('statementsHead', () => this.#store.statementsHead(registryId));
  }

  cursors(registryId: RegistryId) {
    return this.#through('cursors', () => this.#store.cursors(registryId));
  }

  cursor(registryId: RegistryId, peer: CertificateId) {
    return this.#through('cursor', () => this.#store.cursor(registryId, peer));
  }

  putCursor(cursor: Cursor) {
    return this.#through('putCursor', () => this.#store.putCursor(cursor));
  }

  progress(registryId: RegistryId) {
    return this.#through('progress', () => this.#store.progress(registryId));
  }

  putProgress(progress: Progress) {
    return this.#through('putProgress', () => this.#store.putProgress(progress));
  }

  auditProgress(registryId: RegistryId) {
    return this.#through('auditProgress', () => this.#store.auditProgress(registryId));
  }

  putAuditProgress(progress: AuditProgressItem) {
    return this.#through('putAuditProgress', () => this.#store.putAuditProgress(progress));
  }

  openConflict(
    conflict: OpenedConflict,
    expected: Pick<Head, 'digest' | 'conflictsVersion'>,
    origin: Origin,
  ): Promise<'opened' | 'held' | 'lost-race'> {
    return this.#through<'opened' | 'held' | 'lost-race'>(
      'openConflict',
      () => this.#store.openConflict(conflict, expected, origin),
      { 'lost-race': 'lost-race' },
    );
  }

  settle(settlement: Settlement): Promise<'settled' | 'held' | 'lost-race'> {
    return this.#through<'settled' | 'held' | 'lost-race'>(
      'settle',
      () => this.#store.settle(settlement),
      { 'lost-race': 'lost-race' },
    );
  }

  openSetChange(registryId: RegistryId, conflictsVersion: number) {
    return this.#through('openSetChange', () =>
      this.#store.openSetChange(registryId, conflictsVersion),
    );
  }

  conflicts(registryId: RegistryId) {
    return this.#through('conflicts', () => this.#store.conflicts(registryId));
  }

  keep(registryId: RegistryId, kept: KeptStatement, origin: Origin) {
    return this.#through('keep', () => this.#store.keep(registryId, kept, origin));
  }

  kept(registryId: RegistryId) {
    return this.#through('kept', () => this.#store.kept(registryId));
  }

  putInvitation(invitation: AcceptedInvitation) {
    return this.#through('putInvitation', () => this.#store.putInvitation(invitation));
  }

  invitation(registryId: RegistryId) {
    return this.#through('invitation', () => this.#store.invitation(registryId));
  }

  certificate(id: CertificateId) {
    return this.#through('certificate', () => this.#store.certificate(id));
  }

  putCertificate(id: CertificateId, pem: string) {
    return this.#through('putCertificate', () => this.#store.putCertificate(id, pem));
  }

  tableId() {
    return this.#through('tableId', () => this.#store.tableId());
  }
}
