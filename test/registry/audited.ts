/** An instance's copy that can be damaged below its store, and what auditing it takes. */
import { MemoryBlobStore } from '../../shared/adapters/memory/memory-blob-store.ts';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import { RecordingAlarms } from '../../shared/adapters/memory/recording-alarms.ts';
import { systemRandom } from '../../shared/adapters/system.ts';
import type { RegistryId } from '../../shared/ledger/digest.ts';
import type { StateItem, StateKey } from '../../shared/ledger/state.ts';
import type { AuditPlan } from '../../shared/registry/audit-progress.ts';
import { type AuditRunOutcome, type Away, runAudit } from '../../shared/registry/audit-run.ts';
import type { PeerAnswer, PeerTransport } from '../../shared/registry/peer-transport.ts';
import type { Confirmation, Head, LedgerStore, StoredEntry } from '../../shared/registry/ports.ts';
import { StoredDamage } from '../../shared/registry/stored-damage.ts';
import { START, type TestLedger, type TestPeer } from '../builders.ts';

/** What a store answers, changed on its way out as damage below the store would. */
export interface Damage {
  readonly head?: (head: Head) => Partial<Head>;
  readonly entry?: (stored: StoredEntry) => Partial<StoredEntry>;
  readonly lost?: number;
  /** The entry cannot be read: the store says so. */
  readonly unreadable?: number;
  /** Members that are not there, whatever `entry` says. */
  readonly without?: readonly ['checkpoint' | 'details', from: number, through: number];
  readonly items?: (key: StateKey, item: StateItem) => StateItem | undefined;
  readonly confirmation?: (confirmation: Confirmation) => Partial<Confirmation>;
}

export class DamagedStore extends MemoryLedgerStore {
  damage: Damage = {};
  /** The sequences of all entries that were asked for, in order. */
  readonly asked: number[] = [];

  override async head(registryId: RegistryId) {
    const head = await super.head(registryId);
    return head && { ...head, ...this.damage.head?.(head) };
  }

  /** A conflict is put on the head as it is stored, whatever is wrong with it. */
  override async openConflict(...parameters: Parameters<LedgerStore['openConflict']>) {
    const [conflict, expected, origin] = parameters;
    const [stored, seen] = [
      await super.head(conflict.registryId),
      await this.head(conflict.registryId),
    ];
    const isSeen =
      seen?.digest === expected.digest && seen.conflictsVersion === expected.conflictsVersion;
    return super.openConflict(conflict, isSeen && stored !== undefined ? stored : expected, origin);
  }

  override async entries(...parameters: Parameters<LedgerStore['entries']>) {
    const entries = await super.entries(...parameters);
    const lost = entries.findIndex(({ sequence }) => sequence === this.damage.lost);
    return (lost === -1 ? entries : entries.slice(0, lost)).map((stored) => this.#changed(stored));
  }

  override async entriesAt(...parameters: Parameters<LedgerStore['entriesAt']>) {
    const [registryId, , sequences] = parameters;
    const { lost, unreadable } = this.damage;
    this.asked.push(...sequences);
    if (unreadable !== undefined && sequences.includes(unreadable))
      throw new StoredDamage(`registry ${registryId}: entry ${unreadable} cannot be read`);
    const entries = await super.entriesAt(...parameters);
    return entries
      .filter(({ sequence }) => sequence !== lost)
      .map((stored) => this.#changed(stored));
  }

  #changed(stored: StoredEntry): StoredEntry {
    const changed = { ...stored, ...this.damage.entry?.(stored) };
    const [member, from, through] = this.damage.without ?? [undefined, 1, 0];
    if (member === undefined || stored.sequence < from || stored.sequence > through) return changed;
    const { [member]: _, ...rest } = changed;
    return rest;
  }

  override async read(...parameters: Parameters<LedgerStore['read']>) {
    const { head, items } = await super.read(...parameters);
    const damaged = new Map(items);
    for (const [key, item] of items) {
      const changed = this.damage.items === undefined ? item : this.damage.items(key, item);
      if (changed === undefined) damaged.delete(key);
      else damaged.set(key, changed);
    }
    return { head, items: damaged };
  }

  override async confirmations(...parameters: Parameters<LedgerStore['confirmations']>) {
    const found = await super.confirmations(...parameters);
    return found.map((each) => ({ ...each, ...this.damage.confirmation?.(each) }));
  }
}

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** A run that takes everything there is. */
export const WHOLE: AuditPlan = {
  periodMs: 30 * DAY_MS,
  runEveryMs: 30 * DAY_MS,
  entriesMax: 1_000_000,
  bytesMax: 1_000_000_000,
  deadlineMs: Number.POSITIVE_INFINITY,
};

const SILENT: PeerAnswer = { outcome: 'unreachable', reason: 'connection refused' };

export interface AuditedOptions {
  /** Whose copy it is: the lead's unless given. */
  readonly self?: TestPeer;
  readonly call?: PeerTransport['call'];
  readonly store?: DamagedStore;
}

/** A copy of the ledger, sound until a test damages it, at a day after START. */
export async function audited(ledger: TestLedger, options: AuditedOptions = {}) {
  const store = options.store ?? new DamagedStore();
  const time = { nowMs: START + DAY_MS };
  const clock = { now: () => time.nowMs, wait: async () => undefined };
  const blobs = new MemoryBlobStore({ name: 'audited', clock });
  if (options.store === undefined) await ledger.fill(store);
  await ledger.fillBlobs(blobs);
  const { registryId } = ledger;
  const ports = {
    store: store as LedgerStore,
    blobs,
    clock,
    signer: options.self ?? ledger.lead,
    alarms: new RecordingAlarms(),
    random: systemRandom,
    transport: {
      call: options.call ?? (async () => SILENT),
      download: async () => undefined,
    },
    clusterCaPem: '',
  };
  return {
    ...ports,
    ports,
    store,
    time,
    registryId,
    run: (plan: Partial<AuditPlan> = {}, away?: Away): Promise<AuditRunOutcome> =>
      runAudit(ports, registryId, { ...WHOLE, ...plan }, away),
  };
}

/** What was found, as `sequence code`. */
export function foundIn(outcome: AuditRunOutcome): string[] {
  if (outcome.outcome === 'damaged') return [spelled(outcome.finding)];
  if (outcome.outcome !== 'audited' && outcome.outcome !== 'table-changed')
    return [outcome.outcome];
  return outcome.findings.map(spelled);
}

function spelled({ sequence, code }: { readonly sequence: number; readonly code: string }): string {
  return `${sequence} ${code}`;
}
