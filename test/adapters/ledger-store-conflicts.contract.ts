/** What every ledger store does about conflicts, what people decide of them, and new copies. */
import { describe, expect, test } from 'vitest';
import { type Digest, digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import type { KeptStatement, Settlement } from '../../shared/registry/conflict-record.ts';
import type { LedgerStore } from '../../shared/registry/ports.ts';
import {
  confirmationBy,
  conflictIn,
  ledgerIn,
  mirror,
  put,
  setAsideIn,
  type TestLedger,
} from './ledger-store-builders.ts';

const unknown = digestOf('no such registry');

/** What the own log holds, without the indexes, which count from 1. */
async function logged(store: LedgerStore, ledger: TestLedger) {
  const log = await store.statementsAfter(ledger.registryId, 0, 100);
  expect(log.map(({ index }) => index)).toEqual(log.map((_, at) => at + 1));
  expect(await store.statementsHead(ledger.registryId)).toBe(log.length);
  return log.map(({ index: _, ...statement }) => statement);
}

/** The next head, on which the first open conflict is settled. */
function settlementOf(ledger: TestLedger, kept?: KeptStatement): Settlement {
  const { registryId, head } = ledger;
  return {
    registryId,
    expected: head,
    head: {
      ...head,
      conflictsVersion: head.conflictsVersion + 1,
      openConflicts: head.openConflicts.slice(1),
      resolution: digestOf('resolution'),
      decided: [digestOf('resolution')],
    },
    ...(kept === undefined ? {} : { kept }),
    origin: 'own',
  };
}

/** A ledger of three entries with an open conflict. */
async function blocked(store: LedgerStore): Promise<TestLedger> {
  const ledger = await ledgerIn(store, 2);
  await store.openConflict(conflictIn(ledger.registryId, 2), ledger.head, 'received');
  return ledger.moved(await headOf(store, ledger));
}

async function headOf(store: LedgerStore, { registryId }: TestLedger) {
  const head = await store.head(registryId);
  if (head === undefined) throw new Error(`no head of registry ${registryId}`);
  return head;
}

/** Runs this part of the contract against stores that `newStore` makes, each empty. */
export function conflictsContract(name: string, newStore: () => Promise<LedgerStore>): void {
  describe(`${name}: conflicts`, () => {
    test('a conflict is stored, opens on the head and raises its version, and nothing else', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 2);
      const conflict = conflictIn(ledger.registryId, 2);

      const outcome = await store.openConflict(conflict, ledger.head, 'received');

      expect(outcome).toBe('opened');
      expect(await store.conflicts(ledger.registryId)).toEqual([conflict]);
      const head = await store.head(ledger.registryId);
      expect(head).toEqual({
        ...ledger.head,
        conflictsVersion: 1,
        openConflicts: [conflict.conflictId],
      });
    });

    test('a conflict is put once, by its id', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 2);
      const conflict = conflictIn(ledger.registryId, 2);
      await store.openConflict(conflict, ledger.head, 'received');
      const again = { ...conflict, recordedAt: '2026-11-23T10:00:00.000Z' };
      const head = await store.head(ledger.registryId);

      expect(await store.openConflict(again, head ?? ledger.head, 'received')).toBe('held');
      expect(await store.openConflict(again, ledger.head, 'received')).toBe('held');

      expect(await store.conflicts(ledger.registryId)).toEqual([conflict]);
      expect((await store.head(ledger.registryId))?.conflictsVersion).toBe(1);
    });

    test('a conflict on a head that has moved loses the race and is nowhere', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 1);
      const before = ledger.head;
      await put(store, ledger, ledger.uploads(1));
      const conflict = conflictIn(ledger.registryId, 2);

      expect(await store.openConflict(conflict, before, 'received')).toBe('lost-race');
      expect(await store.conflicts(ledger.registryId)).toEqual([]);
      expect(await store.head(ledger.registryId)).toEqual(ledger.head);
      expect(await store.openConflict(conflict, ledger.head, 'received')).toBe('opened');
    });

    test('of two conflicts on the same head one is opened, the other comes after a new read', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 2);
      const conflicts = [2, 3].map((sequence) => conflictIn(ledger.registryId, sequence));

      const outcomes = await Promise.all(
        conflicts.map((each) => store.openConflict(each, ledger.head, 'received')),
      );

      expect([...outcomes].sort()).toEqual(['lost-race', 'opened']);
      const [loser] = conflicts.filter((_, index) => outcomes[index] === 'lost-race');
      const head = await store.head(ledger.registryId);
      if (loser === undefined || head === undefined) throw new Error('there is no loser');
      expect(await store.openConflict(loser, head, 'received')).toBe('opened');
      const opened = await store.head(ledger.registryId);
      expect([...(opened?.openConflicts ?? [])].sort()).toEqual(
        conflicts.map(({ conflictId }) => conflictId).sort(),
      );
      expect(opened?.conflictsVersion).toBe(2);
    });

    test('an own conflict is appended to the log in the same write, once; a received one is not', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 2);
      const [own, received] = [2, 3].map((sequence) => conflictIn(ledger.registryId, sequence));
      if (own === undefined || received === undefined) throw new Error('no conflicts');

      expect(await store.openConflict(own, ledger.head, 'own')).toBe('opened');
      expect(await store.openConflict(own, ledger.head, 'own')).toBe('held');
      expect(await store.openConflict(received, ledger.head, 'own')).toBe('lost-race');
      ledger.moved(await headOf(store, ledger));
      expect(await store.openConflict(received, ledger.head, 'received')).toBe('opened');
      expect(await store.openConflict(received, ledger.head, 'own')).toBe('held');

      expect(await logged(store, ledger)).toEqual([{ statement: own.statement }]);
    });
  });

  describe(`${name}: settlements`, () => {
    test('a settlement rewrites the head, keeps the statement and logs it in one write', async () => {
      const store = await newStore();
      const ledger = await blocked(store);
      const kept = setAsideIn(ledger.registryId, 1);
      const settlement = settlementOf(ledger, kept);

      const outcome = await store.settle(settlement);

      expect(outcome).toBe('settled');
      expect(await store.head(ledger.registryId)).toEqual(settlement.head);
      expect(await store.kept(ledger.registryId)).toEqual([kept]);
      const { statement, decision } = kept;
      expect(await logged(store, ledger)).toEqual([{ statement, decision }]);
      expect(await store.conflicts(ledger.registryId)).toHaveLength(1);
    });

    test('a received settlement is kept and not logged; one without a statement only moves the head', async () => {
      const store = await newStore();
      const ledger = await blocked(store);
      const kept = setAsideIn(ledger.registryId, 1);
      const received: Settlement = { ...settlementOf(ledger, kept), origin: 'received' };

      expect(await store.settle(received)).toBe('settled');
      ledger.moved(received.head);
      const closing = settlementOf(ledger);
      expect(await store.settle({ ...closing, head: { ...closing.head, closed: true } })).toBe(
        'settled',
      );

      expect(await headOf(store, ledger)).toMatchObject({ conflictsVersion: 3, closed: true });
      expect(await store.kept(ledger.registryId)).toEqual([kept]);
      expect(await logged(store, ledger)).toEqual([]);
    });

    test('what a write changes in the open set is read by the version that it raised to', async () => {
      const store = await newStore();
      const ledger = await blocked(store);
      const { registryId, head } = ledger;
      const [conflictId = unknown] = head.openConflicts;
      const settle = async (openConflicts: readonly Digest[]) => {
        const expected = await headOf(store, ledger);
        const next = {
          ...expected,
          conflictsVersion: expected.conflictsVersion + 1,
          openConflicts,
        };
        await store.settle({ registryId, expected, head: next, origin: 'received' });
      };
      await settle(head.openConflicts);
      await settle([]);
      await settle([conflictId]);
      const write = ledger.moved(await headOf(store, ledger)).uploads(1);
      const ending = { ...write.head, conflictsVersion: 5, openConflicts: [] };
      await put(store, ledger, { ...write, head: ending });
      await put(store, ledger, ledger.uploads(1));

      const changes = [1, 2, 3, 4, 5, 6].map((version) => store.openSetChange(registryId, version));

      const ended = { registryId, reopened: [], ended: [conflictId], openConflicts: 0 };
      expect(await Promise.all(changes)).toEqual([
        undefined,
        undefined,
        { ...ended, conflictsVersion: 3 },
        { ...ended, conflictsVersion: 4, reopened: [conflictId], ended: [], openConflicts: 1 },
        { ...ended, conflictsVersion: 5 },
        undefined,
      ]);
      expect(await store.openSetChange(unknown as RegistryId, 3)).toBeUndefined();
    });

    test('a change of the open set that was not written is nowhere; a closing says what it is', async () => {
      const store = await newStore();
      const ledger = await blocked(store);
      const { registryId } = ledger;
      const settlement = settlementOf(ledger);
      const version = settlement.head.conflictsVersion;
      const stale = { ...settlement.expected, digest: unknown };

      expect(await store.settle({ ...settlement, expected: stale })).toBe('lost-race');
      expect(await store.openSetChange(registryId, version)).toBeUndefined();
      await store.settle({ ...settlement, head: { ...settlement.head, closed: true } });

      expect(await store.openSetChange(registryId, version)).toMatchObject({ closed: true });
    });

    test('a statement that is kept is settled once, whatever has become of the head', async () => {
      const store = await newStore();
      const ledger = await blocked(store);
      const settlement = settlementOf(ledger, setAsideIn(ledger.registryId, 1));
      await store.settle(settlement);
      const after = await headOf(store, ledger);
      const again = settlementOf(ledger.moved(after), settlement.kept);

      expect(await store.settle(settlement)).toBe('held');
      expect(await store.settle(again)).toBe('held');

      expect(await headOf(store, ledger)).toEqual(after);
      expect(await logged(store, ledger)).toHaveLength(1);
    });

    test('a settlement on a head with another digest or version loses the race and is nowhere', async () => {
      const store = await newStore();
      const ledger = await blocked(store);
      const kept = setAsideIn(ledger.registryId, 1);
      const stale = settlementOf(ledger, kept);
      await put(store, ledger, ledger.uploads(1));
      const moved = settlementOf(ledger, kept);
      await store.openConflict(conflictIn(ledger.registryId, 4), ledger.head, 'received');

      expect(await store.settle(stale)).toBe('lost-race');
      expect(await store.settle(moved)).toBe('lost-race');
      expect(
        await store.settle({
          ...moved,
          registryId: unknown,
          head: { ...moved.head, registryId: unknown },
        }),
      ).toBe('lost-race');

      expect(await headOf(store, ledger)).toMatchObject({ sequence: 4, conflictsVersion: 2 });
      expect(await store.kept(ledger.registryId)).toEqual([]);
      expect(await logged(store, ledger)).toEqual([]);
    });

    test('of a settlement and a commit on the same head exactly one is written', async () => {
      const store = await newStore();
      const ledger = await blocked(store);
      const write = ledger.uploads(1);
      const settlement = settlementOf(ledger, setAsideIn(ledger.registryId, 1));

      const [settled, stored] = await Promise.all([store.settle(settlement), store.commit(write)]);

      const head = await headOf(store, ledger);
      const won = settled === 'settled' ? settlement : write;
      expect([settled, stored.outcome]).toEqual(
        won === settlement ? ['settled', 'lost-race'] : ['lost-race', 'stored'],
      );
      expect(head).toEqual(won.head);
      expect(await store.kept(ledger.registryId)).toHaveLength(won === settlement ? 1 : 0);
    });
  });

  describe(`${name}: kept statements`, () => {
    test('a statement is kept once, beside the conflicts; an own one is logged with its decision', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);
      const { registryId } = ledger;
      const { decision: _, ...report } = { ...setAsideIn(registryId, 1), kind: 'report' as const };
      const acceptance = { ...setAsideIn(registryId, 2), kind: 'acceptance' as const };
      const own = setAsideIn(registryId, 3);

      expect(await store.keep(registryId, report, 'own')).toBe('kept');
      expect(await store.keep(registryId, acceptance, 'received')).toBe('kept');
      expect(await store.keep(registryId, own, 'own')).toBe('kept');
      for (const each of [report, acceptance, own])
        for (const origin of ['own', 'received'] as const)
          expect(await store.keep(registryId, each, origin)).toBe('held');

      expect(await store.kept(registryId)).toHaveLength(3);
      expect(await store.conflicts(registryId)).toEqual([]);
      expect(await logged(store, ledger)).toEqual([
        { statement: report.statement },
        { statement: own.statement, decision: own.decision },
      ]);
      expect(await headOf(store, ledger)).toEqual(ledger.head);
    });

    test('the same payload is another statement as another kind, and in another registry', async () => {
      const store = await newStore();
      const [one, other] = [digestOf('one'), digestOf('other')];
      const kept = setAsideIn(one, 1);

      expect(await store.keep(one, kept, 'received')).toBe('kept');
      expect(await store.keep(one, { ...kept, kind: 'closing' }, 'received')).toBe('kept');
      expect(await store.keep(other, kept, 'received')).toBe('kept');

      expect((await store.kept(one)).map(({ kind }) => kind)).toEqual(['closing', 'set-aside']);
      expect(await store.kept(other)).toEqual([kept]);
      expect(await store.kept(unknown)).toEqual([]);
      expect(await store.registries(undefined, 10)).toEqual([]);
    });

    test('what was kept is read oldest first; what came at once by kind and digest', async () => {
      const store = await newStore();
      const registryId = digestOf('registry');
      const at = (from: number, time: string) =>
        setAsideIn(registryId, from, `2026-11-22T${time}.000Z`);
      const together = [1, 2, 3].map((from) => at(from, '10:00:01'));
      const [newest, oldest] = [at(4, '10:00:02'), at(5, '10:00:00')];
      const resolution = { ...at(6, '10:00:01'), kind: 'resolution' as const };
      for (const each of [newest, ...together, resolution, oldest])
        await store.keep(registryId, each, 'received');

      const kept = await store.kept(registryId);

      together.sort((a, b) => (a.digest < b.digest ? -1 : 1));
      expect(kept).toEqual([oldest, resolution, ...together, newest]);
    });

    test('own statements of every sort that come together get consecutive places in the log', async () => {
      const store = await newStore();
      const ledger = await blocked(store);
      const { registryId } = ledger;
      const [one, other] = [setAsideIn(registryId, 1), setAsideIn(registryId, 2)];
      const confirmation = confirmationBy(mirror, registryId, 1);
      const conflict = conflictIn(registryId, 3);

      const outcomes = await Promise.all([
        store.keep(registryId, one, 'own'),
        store.keep(registryId, other, 'own'),
        store.putConfirmation(registryId, confirmation, 'own'),
        store.openConflict(conflict, ledger.head, 'own'),
      ]);

      expect(outcomes).toEqual(['kept', 'kept', 'stored', 'opened']);
      const statements = (await logged(store, ledger)).map(({ statement }) => statement);
      const own = [one, other, confirmation, conflict].map(({ statement }) => statement);
      expect(statements.sort()).toEqual(own.sort());
    });
  });

  describe(`${name}: copies`, () => {
    test('a new copy begins with entry 1, is filled, and goes on; the older one stays', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 26);
      const { registryId } = ledger;
      const older = await store.entries(registryId, 1, { from: 1, count: 100 });

      await put(store, ledger, ledger.beginning());
      await put(store, ledger, ledger.again(1));
      await put(store, ledger, ledger.uploads(2));

      const range = { from: 1, count: 100 };
      const newer = await store.entries(registryId, 2, range);
      expect(newer.slice(0, 25)).toEqual(older.slice(0, 25));
      expect(newer.map(({ sequence }) => sequence)).toEqual(newer.map((_, at) => at + 1));
      expect(newer).toHaveLength(27);
      expect(newer[26]?.digest).not.toBe(older[26]?.digest);
      expect(await store.entries(registryId, 1, range)).toEqual(older);
      expect(await headOf(store, ledger)).toEqual(ledger.head);
    });

    test('state is read of the new copy alone', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);
      const set = ledger.uploads(1);
      await put(store, ledger, set);
      const keys = set.changes.map(({ key }) => key);
      expect((await store.read(ledger.registryId, keys)).items.size).toBe(keys.length);

      await put(store, ledger, ledger.beginning());
      const write = ledger.uploads(2);
      await put(store, ledger, write);

      expect((await store.read(ledger.registryId, keys)).items).toEqual(new Map());
      const read = await store.read(
        ledger.registryId,
        write.changes.map(({ key }) => key),
      );
      expect(read.head).toEqual(write.head);
      expect(read.items).toEqual(new Map(write.changes.map(({ key, after }) => [key, after])));
    });

    test('the statement that begins it is kept and logged in the same write', async () => {
      const store = await newStore();
      const ledger = await blocked(store);
      const kept = setAsideIn(ledger.registryId, 1);

      const outcome = await store.commit(ledger.beginning(kept));

      expect(outcome).toEqual({ outcome: 'stored' });
      expect(await headOf(store, ledger)).toMatchObject({
        ...{ copy: 2, sequence: 1, conflictsVersion: 2 },
        openConflicts: ledger.head.openConflicts,
      });
      expect(await store.kept(ledger.registryId)).toEqual([kept]);
      const { statement, decision } = kept;
      expect(await logged(store, ledger)).toEqual([{ statement, decision }]);
    });

    test('a beginning that loses the race keeps and logs nothing', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 2);
      const [first, second] = [1, 2].map((from) => setAsideIn(ledger.registryId, from));
      const stale = ledger.beginning(first);
      await put(store, ledger, ledger.uploads(1));
      await store.keep(ledger.registryId, second as KeptStatement, 'received');

      expect(await store.commit(stale)).toEqual({ outcome: 'lost-race' });
      expect(await store.commit(ledger.beginning(second))).toEqual({ outcome: 'lost-race' });

      expect(await headOf(store, ledger)).toEqual(ledger.head);
      expect(await store.entries(ledger.registryId, 2, { from: 1, count: 1 })).toEqual([]);
      expect(await store.kept(ledger.registryId)).toEqual([second]);
      expect(await logged(store, ledger)).toEqual([]);
    });

    test('whoever read the older copy loses, though the new one has come to the same digest', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 2);
      const before = ledger.head;
      const stale = { write: ledger.uploads(1), settlement: settlementOf(ledger) };
      await put(store, ledger, ledger.beginning());
      await put(store, ledger, ledger.again(1));
      expect(ledger.head.digest).toBe(before.digest);

      const conflict = conflictIn(ledger.registryId, 2);
      expect(await store.commit(stale.write)).toEqual({ outcome: 'lost-race' });
      expect(await store.settle(stale.settlement)).toBe('lost-race');
      expect(await store.openConflict(conflict, before, 'received')).toBe('lost-race');

      expect(await headOf(store, ledger)).toEqual(ledger.head);
    });

    test('the statement takes three of the 100 items of one write', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);
      const kept = setAsideIn(ledger.registryId, 1);
      const write = { ...ledger.uploads(24), kept };
      const extra = ledger.uploads(1).changes.filter(({ key }) => key.startsWith('document#'));

      const large = store.commit({ ...write, changes: [...write.changes, ...extra] });

      await expect(large).rejects.toThrow('has 101 items; one write takes 100');
      expect(await store.kept(ledger.registryId)).toEqual([]);
      expect(await store.commit(write)).toEqual({ outcome: 'stored' });
    });
  });
}
