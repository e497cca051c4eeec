import type { CertificateId, Digest } from '../../ledger/digest.ts';
import type {
  KeptStatement,
  LoggedStatement,
  OpenedConflict,
  OpenSetChange,
  Origin,
} from '../../registry/conflict-record.ts';
import type { Confirmation } from '../../registry/ports.ts';
import { keptPlace, loggedOf, oldestFirst } from '../kept-items.ts';
import { frozen } from './frozen.ts';

/** What one registry holds beside its entries, each put once, and the log of the own ones. */
export class HeldStatements {
  /** By signer, in the order of their sequences, and of copies. */
  readonly #confirmations = new Map<CertificateId, Confirmation[]>();
  readonly #conflicts = new Map<Digest, OpenedConflict>();
  readonly #kept = new Map<string, KeptStatement>();
  /** By the version of the open set. */
  readonly #openSetChanges = new Map<number, OpenSetChange>();
  readonly #log: LoggedStatement[] = [];

  get log(): readonly LoggedStatement[] {
    return this.#log;
  }

  #append(origin: Origin, statement: Omit<LoggedStatement, 'index'>): void {
    if (origin === 'own') this.#log.push(frozen({ index: this.#log.length + 1, ...statement }));
  }

  confirmationsBy(signer: CertificateId): readonly Confirmation[] {
    return this.#confirmations.get(signer) ?? [];
  }

  putConfirmation(confirmation: Confirmation, origin: Origin): 'stored' | 'held' | 'contradicts' {
    const { signer, digest, statement, checkpoint } = confirmation;
    const list = this.#confirmations.get(signer) ?? [];
    const at = list.findIndex((each) => places(each, confirmation) >= 0);
    const found = list[at];
    if (found !== undefined && places(found, confirmation) === 0)
      return found.digest === digest ? 'held' : 'contradicts';
    list.splice(at === -1 ? list.length : at, 0, frozen(confirmation));
    this.#confirmations.set(signer, list);
    this.#append(origin, { statement, checkpoint });
    return 'stored';
  }

  hasConflict(conflictId: Digest): boolean {
    return this.#conflicts.has(conflictId);
  }

  putConflict(conflict: OpenedConflict, origin: Origin): void {
    this.#conflicts.set(conflict.conflictId, frozen(conflict));
    this.#append(origin, { statement: conflict.statement });
  }

  /** In the order of their ids. */
  conflicts(): OpenedConflict[] {
    return [...this.#conflicts.values()].sort((a, b) => (a.conflictId < b.conflictId ? -1 : 1));
  }

  openSetChange(conflictsVersion: number): OpenSetChange | undefined {
    return this.#openSetChanges.get(conflictsVersion);
  }

  putOpenSetChange(change: OpenSetChange | undefined): void {
    if (change !== undefined) this.#openSetChanges.set(change.conflictsVersion, frozen(change));
  }

  hasKept(kept: KeptStatement | undefined): boolean {
    return kept !== undefined && this.#kept.has(keptPlace(kept));
  }

  putKept(kept: KeptStatement | undefined, origin: Origin): void {
    if (kept === undefined) return;
    this.#kept.set(keptPlace(kept), frozen(kept));
    this.#append(origin, loggedOf(kept));
  }

  kept(): KeptStatement[] {
    return oldestFirst(this.#kept.values());
  }
}

/** Below, at or above 0 where the first comes before, beside or after the second. */
function places(a: Confirmation, b: Confirmation): number {
  return a.sequence - b.sequence || a.copy - b.copy;
}
