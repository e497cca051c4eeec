/** A ledger as an instance holds it, for tests of what can be asked about it. */
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import { conflictIdOf, conflictOf } from '../../shared/ledger/conflict.ts';
import type { Digest, Sequence } from '../../shared/ledger/digest.ts';
import type { Clock, Confirmation, Head, LedgerStore } from '../../shared/registry/ports.ts';
import type { ReadPorts } from '../../shared/registry/read.ts';
import { START, type TestLedger, type TestPeer, testPeer, timeAfter } from '../builders.ts';

/** A clock that stands still, so many seconds after START. */
export function clockAt(seconds: number): Clock {
  return { now: () => START + 1000 * seconds, wait: async () => undefined };
}

export interface Held extends ReadPorts {
  readonly store: LedgerStore;
  readonly head: Head;
}

/** The ledger in a store of its own, read by its lead a day later unless somebody else does. */
export async function held(ledger: TestLedger, signer: TestPeer = ledger.lead): Promise<Held> {
  const store = new MemoryLedgerStore();
  await ledger.fill(store);
  return { store, signer, clock: clockAt(86_400), head: ledger.head };
}

/** The store, with other answers of some methods: as a stale list or damage below it would give. */
export function answering(store: LedgerStore, answers: Partial<LedgerStore>): LedgerStore {
  return new Proxy(store, {
    get(target, name) {
      const own = answers[name as keyof LedgerStore] ?? target[name as keyof LedgerStore];
      return typeof own === 'function' ? own.bind(target) : own;
    },
  });
}

/** Opens a conflict at the entry, recorded so many seconds after START; the head after it. */
export async function openConflictAt(
  store: LedgerStore,
  head: Head,
  [sequence, seconds]: readonly [number, number],
): Promise<{ readonly head: Head; readonly conflictId: Digest }> {
  const finder = testPeer();
  const conflict = conflictOf({
    registryId: head.registryId,
    kind: 'fork',
    sequence: sequence as Sequence,
    digests: [],
    accused: 'open',
    evidence: [],
    detectedAt: timeAfter(seconds),
    signer: finder.certificateId,
  });
  const opened = {
    registryId: head.registryId,
    conflictId: conflictIdOf(conflict),
    statement: finder.sign(conflict),
    recordedAt: timeAfter(seconds),
  };
  const outcome = await store.openConflict(opened, head, 'received');
  const after = await store.head(head.registryId);
  if (outcome !== 'opened' || after === undefined) throw new Error(`the store answers ${outcome}`);
  return { head: after, conflictId: opened.conflictId };
}

/** Puts a confirmation as if it had come in so many seconds after START. */
export async function receive(
  store: LedgerStore,
  ledger: TestLedger,
  confirmation: Confirmation,
  seconds: number,
): Promise<void> {
  const received = { ...confirmation, receivedAt: timeAfter(seconds) };
  const outcome = await store.putConfirmation(ledger.registryId, received, 'received');
  if (outcome !== 'stored') throw new Error(`the store answers ${outcome}`);
}
