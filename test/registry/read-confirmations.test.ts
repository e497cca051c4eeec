import { describe, expect, test } from 'vitest';
import type { Sequence } from '../../shared/ledger/digest.ts';
import type { Confirmation, Head, LedgerStore } from '../../shared/registry/ports.ts';
import { entryByTransactionId, entryConfirmations } from '../../shared/registry/read.ts';
import { listConfirmations } from '../../shared/registry/read-confirmations.ts';
import type { EntryStatus } from '../../shared/registry/read-status.ts';
import { TestLedger, type TestPeer, testPeer, timeAfter } from '../builders.ts';
import { answering, type Held, held, openConflictAt, receive } from './reading.ts';

const [a, b, c, d] = [testPeer(), testPeer(), testPeer(), testPeer()];

/** Entry 1, then so many commits of one entry, each confirmed as told. */
function confirmed(uploads: number, by: Readonly<Record<number, readonly TestPeer[]>>): TestLedger {
  const ledger = new TestLedger([a, b, c, d], [a, b, c]);
  for (let sequence = 2; sequence <= uploads + 1; sequence += 1) {
    ledger.upload(`D${sequence}`);
    for (const peer of by[sequence] ?? []) ledger.confirm(peer);
  }
  return ledger;
}

/** The statuses of all entries as one table, which must be those that each is asked for alone. */
async function statusesOf(ports: Held, head: Head = ports.head): Promise<EntryStatus[]> {
  const { entries } = await listConfirmations(ports, head, { count: 100 });
  const statuses = entries.map(({ status }) => status);
  const stored = await ports.store.entries(head.registryId, 1, { from: 1, count: 100 });
  const alone = stored.map((each) => entryConfirmations(ports, head, each));
  expect((await Promise.all(alone)).map(({ status }) => status)).toEqual(statuses);
  return statuses;
}

const final = { status: 'final' } as const;
const byOne = { status: 'confirmed', by: 1, of: 2 } as const;
const recorded = { status: 'recorded' } as const;

describe('the table of confirmations', () => {
  test('has a row an entry and a column a peer, each with the first that covers', async () => {
    const ledger = confirmed(4, { 2: [b], 4: [b, c] });
    const ports = await held(ledger);

    const page = await listConfirmations(ports, ports.head, { count: 100 });

    expect(page.peers).toEqual([a, b, c].map(({ certificateId }) => certificateId));
    expect(page.entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
    expect(page.entries.map(({ digest }) => digest)).toEqual(
      ledger.entries.map(({ digest }) => digest),
    );
    const covering = page.entries.map(({ cells }) => cells.map((cell) => cell.confirmed?.sequence));
    expect(covering).toEqual([
      [undefined, 2, 4],
      [undefined, 2, 4],
      [undefined, 4, 4],
      [undefined, 4, 4],
      [undefined, undefined, undefined],
    ]);
    expect(page.entries[0]?.cells).toEqual([
      { role: 'lead', counts: false },
      {
        role: 'mirror',
        counts: true,
        confirmed: { sequence: 2, confirmedAt: timeAfter(2), receivedAt: timeAfter(3) },
      },
      {
        role: 'mirror',
        counts: true,
        confirmed: { sequence: 4, confirmedAt: timeAfter(4), receivedAt: timeAfter(5) },
      },
    ]);
    expect(page.next).toBeUndefined();
  });

  test('tells the statuses that each entry has alone', async () => {
    const ports = await held(confirmed(4, { 2: [b], 3: [c], 4: [b] }));

    expect(await statusesOf(ports)).toEqual([final, final, final, byOne, recorded]);
  });

  test('has a column for the peers of every list, and tells whom each row counts', async () => {
    const ledger = new TestLedger([a, b, c, d], [a, b]);
    ledger.upload('A');
    ledger.reconfigure(a, b, c);
    ledger.upload('B');
    ledger.reconfigure(c, d, a);
    ledger.upload('C');
    for (const peer of [b, c]) ledger.confirm(peer);
    const ports = await held(ledger);

    const page = await listConfirmations(ports, ports.head, { count: 100 });

    expect(page.peers).toEqual([a, b, c, d].map(({ certificateId }) => certificateId));
    const roles = page.entries.map(({ cells }) =>
      cells.map(({ role, counts }) => (role === 'mirror') === counts && (role ?? '-')).join(' '),
    );
    expect(roles).toEqual([
      'lead mirror - -',
      'lead mirror - -',
      'lead mirror mirror -',
      'lead mirror mirror -',
      'mirror - lead mirror',
      'mirror - lead mirror',
    ]);
    // Known, though it does not count.
    expect(page.entries[5]?.cells[1]).toMatchObject({ counts: false, confirmed: { sequence: 6 } });
  });

  test('comes page by page, with the lists in force there', async () => {
    const ledger = new TestLedger([a, b, c], [a, b]);
    ledger.upload('A');
    ledger.reconfigure(a, c);
    ledger.upload('B');
    const ports = await held(ledger);
    const pageAt = (after: number, count: number) =>
      listConfirmations(ports, ports.head, { after, count });

    const pages = [await pageAt(0, 2), await pageAt(2, 1), await pageAt(3, 2), await pageAt(4, 2)];

    expect(pages.map(({ entries }) => entries.map(({ sequence }) => sequence))).toEqual([
      [1, 2],
      [3],
      [4],
      [],
    ]);
    expect(pages.map(({ next }) => next)).toEqual([2, 3, undefined, undefined]);
    const columns = pages.map(({ peers }) => peers);
    const [ab, ac] = [
      [a, b],
      [a, c],
    ].map((list) => list.map((peer) => peer.certificateId));
    expect(columns).toEqual([ab, ac, ac, []]);
  });

  test('reads the confirmations of a peer once for a page, not once a row', async () => {
    const ledger = confirmed(30, { 10: [b], 20: [b, c], 31: [b] });
    const ports = await held(ledger);
    let reads = 0;
    const confirmations: LedgerStore['confirmations'] = (...asked) => {
      reads += 1;
      return ports.store.confirmations(...asked);
    };
    const store = answering(ports.store, { confirmations });

    const page = await listConfirmations({ store }, ports.head, { count: 31 });

    expect(page.entries).toHaveLength(31);
    expect(reads).toBe(3);
  });
});

describe('statuses', () => {
  test('without mirrors an entry is recorded', async () => {
    const ports = await held(new TestLedger([a]));

    expect(await statusesOf(ports)).toEqual([recorded]);
  });

  test('where a mirror was removed before it confirmed, a later list makes an entry final', async () => {
    const ledger = confirmed(2, { 3: [b] });
    ledger.reconfigure(a, b, d);
    const ports = await held(ledger);
    expect(await statusesOf(ports)).toEqual([byOne, byOne, byOne, recorded]);
    for (const peer of [b, d]) await receive(ports.store, ledger, ledger.confirm(peer), 50);

    const since = { status: 'final-since', since: 4, without: [c.certificateId] };
    expect(await statusesOf(ports)).toEqual([since, since, since, final]);
  });

  test('the first of several later lists that confirmed counts, and lists without mirrors do not', async () => {
    const ledger = new TestLedger([a, b, c, d]);
    ledger.reconfigure(a);
    ledger.reconfigure(a, b, c);
    ledger.reconfigure(a, b);
    ledger.confirm(b);
    const ports = await held(ledger);

    const without = [c.certificateId, d.certificateId];
    expect(await statusesOf(ports)).toEqual([
      { status: 'final-since', since: 4, without },
      { status: 'final-since', since: 4, without: [] },
      { status: 'final-since', since: 4, without: [c.certificateId] },
      final,
    ]);
  });

  test('of several later lists that are final, the first is named', async () => {
    const ledger = confirmed(1, {});
    ledger.reconfigure(a, b);
    ledger.reconfigure(a, b, d);
    for (const peer of [b, d]) ledger.confirm(peer);
    const ports = await held(ledger);

    const [first] = await statusesOf(ports);

    expect(first).toEqual({ status: 'final-since', since: 3, without: [c.certificateId] });
  });

  test('a configuration entry that brings no list is an error', async () => {
    const ledger = new TestLedger([a, b, c]);
    ledger.reconfigure(a, b);
    const ports = await held(ledger);
    const damagedHead = {
      ...ports.head,
      configuration: { ...ports.head.configuration, sequence: 99 as Sequence },
    };
    const [first] = await ports.store.entries(ledger.registryId, 1, { from: 1, count: 1 });
    if (first === undefined) throw new Error('entry 1 is missing');

    const asked = entryConfirmations(ports, damagedHead, first);

    await expect(asked).rejects.toThrow(/entry 99 of registry \w{64} brings no peer list/);
  });
});

describe('while a conflict is open', () => {
  test('entries from its place on that are not final are in conflict, the others as they were', async () => {
    const ledger = confirmed(4, { 3: [b, c], 4: [b] });
    const ports = await held(ledger);
    const opened = await openConflictAt(ports.store, ports.head, [5, 100]);

    const inConflict = { status: 'in-conflict', conflicts: [opened.conflictId] };
    expect(await statusesOf(ports, opened.head)).toEqual([final, final, final, byOne, inConflict]);
  });

  test('an entry names every open conflict at or before it', async () => {
    const ports = await held(confirmed(3, {}));
    const late = await openConflictAt(ports.store, ports.head, [4, 100]);
    const early = await openConflictAt(ports.store, late.head, [2, 101]);

    const [, second, third, fourth] = await statusesOf(ports, early.head);

    expect(second).toEqual({ status: 'in-conflict', conflicts: [early.conflictId] });
    expect(third).toEqual(second);
    const both = [early.conflictId, late.conflictId].sort();
    expect(fourth).toEqual({ status: 'in-conflict', conflicts: both });
  });

  test('a confirmation that comes later is shown, but makes nothing final', async () => {
    const ledger = confirmed(2, { 2: [b, c], 3: [b] });
    const ports = await held(ledger);
    const { head, conflictId } = await openConflictAt(ports.store, ports.head, [3, 100]);

    await receive(ports.store, ledger, ledger.confirm(c), 101);

    const disputed = { status: 'in-conflict', conflicts: [conflictId] };
    expect(await statusesOf(ports, head)).toEqual([final, final, disputed]);
    const { entries } = await listConfirmations(ports, head, { after: 2, count: 1 });
    expect(entries[0]?.cells[1]).toMatchObject({ counts: true, confirmed: { sequence: 3 } });
    expect(entries[0]?.cells[2]).toMatchObject({ counts: false, confirmed: { sequence: 3 } });
  });

  test('a mirror counts by what came before it, also where it said less later on', async () => {
    const { ledger, late } = outOfOrder();
    const ports = await held(ledger);
    const { head } = await openConflictAt(ports.store, ports.head, [3, 100]);
    for (const confirmation of late) await receive(ports.store, ledger, confirmation, 101);

    const { entries } = await listConfirmations(ports, head, { count: 3 });

    expect(entries.map(({ status }) => status)).toEqual([final, final, final]);
    for (const { cells } of entries)
      expect(cells.filter(({ role }) => role === 'mirror').every(({ counts }) => counts)).toBe(
        true,
      );
  });

  test('what came after the first of several open conflicts makes nothing final', async () => {
    const ledger = confirmed(2, { 3: [b] });
    const ports = await held(ledger);
    // Both orders: conflicts are kept by their ids.
    const first = await openConflictAt(ports.store, ports.head, [2, 100]);
    const second = await openConflictAt(ports.store, first.head, [3, 300]);
    const third = await openConflictAt(ports.store, second.head, [1, 200]);

    await receive(ports.store, ledger, ledger.confirm(c), 150);

    const statuses = await statusesOf(ports, third.head);
    expect(statuses.map(({ status }) => status)).toEqual(Array(3).fill('in-conflict'));
  });

  test('what is final stays so at and after the place of the conflict', async () => {
    const ledger = confirmed(3, { 4: [b, c] });
    const ports = await held(ledger);
    const { head } = await openConflictAt(ports.store, ports.head, [2, 100]);

    expect(await statusesOf(ports, head)).toEqual([final, final, final, final]);
  });

  test('what is final since a later list stays so', async () => {
    const ledger = confirmed(1, {});
    ledger.reconfigure(a, b);
    ledger.confirm(b);
    const ports = await held(ledger);
    const { head } = await openConflictAt(ports.store, ports.head, [1, 100]);

    const since = { status: 'final-since', since: 3, without: [c.certificateId] };
    expect(await statusesOf(ports, head)).toEqual([since, since, final]);
  });

  test('a final entry stays final when an older confirmation comes in late', async () => {
    const { ledger, late } = outOfOrder();
    const ports = await held(ledger);
    const before = await statusesOf(ports);
    const { head } = await openConflictAt(ports.store, ports.head, [3, 100]);

    for (const confirmation of late) await receive(ports.store, ledger, confirmation, 101);

    expect(before.slice(0, 3)).toEqual([final, final, final]);
    expect((await statusesOf(ports, head)).slice(0, 3)).toEqual([final, final, final]);
  });

  test('a final entry stays final when older and newer confirmations come in late', async () => {
    const { ledger, late, newest } = outOfOrder();
    const ports = await held(ledger);
    const { head } = await openConflictAt(ports.store, ports.head, [3, 100]);

    for (const confirmation of [...late, newest])
      await receive(ports.store, ledger, confirmation, 101);

    expect((await statusesOf(ports, head)).slice(0, 3)).toEqual([final, final, final]);
  });

  test('one of many confirmations that came before it is found behind those that came late', async () => {
    const ledger = confirmed(1, { 2: [b, c] });
    const ports = await held(ledger);
    const { head } = await openConflictAt(ports.store, ports.head, [1, 100]);
    const stamp = async (from: number, through: number, seconds: number) => {
      const [template] = ledger.confirmations;
      for (let sequence = from; sequence <= through; sequence += 1) {
        const confirmation = { ...(template as Confirmation), sequence: sequence as Sequence };
        for (const signer of [b, c])
          await receive(
            ports.store,
            ledger,
            { ...confirmation, signer: signer.certificateId },
            seconds,
          );
      }
    };
    await stamp(3, 250, 101);
    await stamp(251, 251, 99);
    await stamp(252, 252, 101);
    const stored = { ...ledger.entryAt(2), sequence: 120 as Sequence };

    const { status } = await entryConfirmations(ports, head, stored);

    expect(status).toEqual(final);
  });
});

describe('the search for a confirmation that came before a conflict', () => {
  /** Every page that is asked for is full of confirmations that came late. */
  async function flooded(newestAt: number) {
    const ledger = confirmed(1, { 2: [b, c] });
    const ports = await held(ledger);
    const { head } = await openConflictAt(ports.store, ports.head, [1, 100]);
    const [template] = ledger.confirmations;
    if (template === undefined) throw new Error('nobody has confirmed');
    const at = (sequence: number, seconds: number): Confirmation => ({
      ...template,
      sequence: sequence as Sequence,
      receivedAt: timeAfter(seconds),
    });
    let pages = 0;
    const store = answering(ports.store, {
      newestConfirmation: async () => at(1_000_000, newestAt),
      confirmations: async (_registry, _signer, from, count) => {
        pages += 1;
        return Array.from({ length: count }, (_, index) => at(from + index, 101));
      },
    });
    const { status } = await entryConfirmations({ store }, head, ledger.entryAt(2));
    return { status, pages };
  }

  test('ends after 1,000 for each mirror', async () => {
    const { status, pages } = await flooded(101);

    expect(status.status).toBe('in-conflict');
    expect(pages).toBe(20);
  });

  test('is not needed where the newest came before it', async () => {
    expect(await flooded(99)).toEqual({ status: final, pages: 0 });
  });
});

/** Entry 4 was confirmed by `c` in an answer, before its older confirmations came through its log. */
function outOfOrder() {
  const ledger = confirmed(4, { 4: [b] });
  const complete = confirmedBy(ledger, c);
  const [, second, third, fourth, fifth] = complete;
  if (fourth === undefined || fifth === undefined) throw new Error('not confirmed');
  ledger.confirmations.push({ ...fourth, receivedAt: timeAfter(50) });
  const late = [second, third].filter((each) => each !== undefined);
  return { ledger, late, newest: fifth };
}

/** Confirmations of every entry, none of them in the ledger. */
function confirmedBy(ledger: TestLedger, peer: TestPeer): Confirmation[] {
  const confirmation = ledger.confirm(peer);
  ledger.confirmations.pop();
  return ledger.entries.map(({ sequence, digest }) => ({ ...confirmation, sequence, digest }));
}

describe('a transaction', () => {
  test('is found by its id; one that is not recorded is not', async () => {
    const ledger = confirmed(3, {});
    const ports = await held(ledger);

    const found = await entryByTransactionId(ports, ports.head, ledger.entryAt(3).transactionId);

    expect(found).toBe(3);
    expect(await entryByTransactionId(ports, ports.head, 'none')).toBeUndefined();
  });
});
