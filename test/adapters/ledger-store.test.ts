import { describe, expect, test } from 'vitest';
import { FaultyLedgerStore } from '../../shared/adapters/memory/faulty-ledger-store.ts';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type { CommitWrite } from '../../shared/registry/ports.ts';
import { ledgerIn, ledgerStoreContract } from './ledger-store.contract.ts';
import { conflictIn } from './ledger-store-builders.ts';

ledgerStoreContract('memory', async () => new MemoryLedgerStore());

describe('the memory store refuses what breaks the contract', () => {
  const broken: readonly (readonly [
    string,
    (write: CommitWrite) => Partial<CommitWrite>,
    string,
  ])[] = [
    ['no entries', () => ({ entries: [] }), 'has 0 entries'],
    [
      'a hole between entries',
      ({ entries }) => ({ entries: entries.filter((_, at) => at !== 1) }),
      'not consecutive',
    ],
    [
      'entries that do not come after the head',
      ({ entries, head }) => ({
        entries: entries.map((each) => ({ ...each, sequence: (each.sequence + 1) as Sequence })),
        head: { ...head, sequence: (head.sequence + 1) as Sequence },
        changes: [],
      }),
      'begins with entry 4 on top of entry 2',
    ],
    [
      'a head that is not the last entry',
      ({ head }) => ({ head: { ...head, digest: digestOf('another') } }),
      'not its last entry',
    ],
    [
      'a last entry without checkpoint',
      ({ entries }) => ({ entries: entries.map(({ checkpoint: _, ...each }) => each) }),
      'checkpoint of its head',
    ],
    [
      'bytes with another digest',
      ({ entries }) => ({
        entries: entries.map((each) => ({ ...each, entry: new Uint8Array(3) })),
      }),
      'do not come out to its digest',
    ],
    [
      'a transaction twice',
      ({ entries }) => ({
        entries: entries.map((each) => ({
          ...each,
          transactionId: entries[0]?.transactionId ?? '',
        })),
      }),
      'a transaction id twice',
    ],
    [
      'the head of another registry',
      () => ({ registryId: digestOf('another registry') }),
      'has the head of registry',
    ],
    [
      'no expectation though it is not entry 1',
      ({ entries }) => ({ entries, expected: undefined as never }),
      'nothing is expected',
    ],
    [
      'another open set under the same version',
      ({ head }) => ({ head: { ...head, openConflicts: [digestOf('conflict')] } }),
      'without raising their version',
    ],
    [
      'a lower version of the open set',
      ({ head }) => ({ head: { ...head, conflictsVersion: -1 } }),
      'lowers the version',
    ],
    ['an older copy', ({ head }) => ({ head: { ...head, copy: 0 } }), 'goes back from copy 1'],
  ];

  test.each(broken)('%s', async (_, change, sentence) => {
    const store = new MemoryLedgerStore();
    const ledger = await ledgerIn(store, 1);
    const write = ledger.uploads(3);

    const commit = store.commit({ ...write, ...change(write) });

    await expect(commit).rejects.toThrow(sentence);
    expect(store.breaches).toHaveLength(1);
    expect(await store.head(ledger.registryId)).toEqual(ledger.head);
  });

  test('bytes that are changed after they were handed over are noticed by reading them', async () => {
    const store = new MemoryLedgerStore();
    const ledger = await ledgerIn(store);
    const write = ledger.uploads(2);
    await store.commit(write);
    store.verifyUntouched();
    const handed = write.entries[1]?.transaction;

    handed?.fill(0, 0, 1);

    const range = { from: 1, count: 10 };
    await expect(store.entries(ledger.registryId, 1, range)).rejects.toThrow('were changed after');
    expect(() => store.verifyUntouched()).toThrow('bytes of entry 3');
  });

  test('what it hands out cannot be changed', async () => {
    const store = new MemoryLedgerStore();
    const ledger = await ledgerIn(store);

    const head = (await store.head(ledger.registryId)) as unknown as { openConflicts: unknown[] };

    expect(() => head.openConflicts.push('x')).toThrow(TypeError);
  });
});

describe('the faulty store', () => {
  test('a call that is lost did nothing; a call that is done but lost did everything', async () => {
    const store = new FaultyLedgerStore(new MemoryLedgerStore());
    const ledger = await ledgerIn(store);
    const write = ledger.uploads(1);
    store.plan('commit', 'lost').plan('commit', 'done-but-lost');

    await expect(store.commit(write)).rejects.toThrow('scripted fault: commit was lost');
    expect((await store.head(ledger.registryId))?.sequence).toBe(1);
    await expect(store.commit(write)).rejects.toThrow('scripted fault: commit was done-but-lost');
    expect((await store.head(ledger.registryId))?.sequence).toBe(2);
    expect(store.calls('commit')).toBe(3);
    expect(store.pending).toBe(0);
  });

  test('a commit is busy or loses the race as often as planned, without doing anything', async () => {
    const store = new FaultyLedgerStore(new MemoryLedgerStore());
    const ledger = await ledgerIn(store);
    const write = ledger.uploads(1);
    store.plan('commit', 'busy', 2).plan('commit', 'lost-race');

    const outcomes = [];
    for (let call = 0; call < 4; call += 1) outcomes.push((await store.commit(write)).outcome);

    expect(outcomes).toEqual(['busy', 'busy', 'lost-race', 'stored']);
  });

  test('a conflict loses the race as planned, and every other method can be lost', async () => {
    const store = new FaultyLedgerStore(new MemoryLedgerStore());
    const ledger = await ledgerIn(store);
    const conflict = conflictIn(ledger.registryId, 1);
    store.plan('openConflict', 'lost-race').plan('head', 'lost').plan('conflicts', 'done-but-lost');

    expect(await store.openConflict(conflict, ledger.head)).toBe('lost-race');
    expect(await store.openConflict(conflict, ledger.head)).toBe('opened');
    await expect(store.head(ledger.registryId)).rejects.toThrow('head was lost');
    await expect(store.conflicts(ledger.registryId)).rejects.toThrow('conflicts was done-but-lost');
    expect(store.calls('openConflict')).toBe(2);
    expect(store.calls('cursors')).toBe(0);
  });
});

ledgerStoreContract('memory behind an empty fault plan', async () => {
  return new FaultyLedgerStore(new MemoryLedgerStore());
});
