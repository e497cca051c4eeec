import { describe, expect, test } from 'vitest';
import { FaultyLedgerStore } from '../../shared/adapters/memory/faulty-ledger-store.ts';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type { CommitWrite, Head } from '../../shared/registry/ports.ts';
import { ledgerStoreContract } from './ledger-store.contract.ts';
import { conflictIn, ledgerIn, setAsideIn } from './ledger-store-builders.ts';

ledgerStoreContract('memory', async () => new MemoryLedgerStore());

function nextCopy(changes: Partial<Head>) {
  return ({ head }: CommitWrite) => ({
    head: { ...head, conflictsVersion: head.conflictsVersion + 1, ...changes },
  });
}

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
    ['a copy that begins later', nextCopy({ copy: 2 }), 'begins copy 2 with entry 3'],
    ['a copy that skips one', nextCopy({ copy: 3 }), 'begins copy 3 after copy 1'],
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

  test('a new copy under the version of the open set that the older one had', async () => {
    const store = new MemoryLedgerStore();
    const ledger = await ledgerIn(store, 1);
    const write = ledger.beginning();
    const { conflictsVersion } = ledger.head;

    const commit = store.commit({ ...write, head: { ...write.head, conflictsVersion } });

    await expect(commit).rejects.toThrow('begins copy 2 without raising the version');
    expect(store.breaches).toHaveLength(1);
    expect(await store.head(ledger.registryId)).toEqual(ledger.head);
  });

  test.each<readonly [string, (head: Head) => Partial<Head>, string]>([
    ['the version as it was', () => ({}), 'has version 0 of the open conflicts after 0'],
    ['a version too high', () => ({ conflictsVersion: 2 }), 'has version 2 of the open conflicts'],
    [
      'the head of another registry',
      () => ({ conflictsVersion: 1, registryId: digestOf('another registry') }),
      'has the head of registry',
    ],
  ])('a settlement with %s', async (_, change, sentence) => {
    const store = new MemoryLedgerStore();
    const ledger = await ledgerIn(store, 1);
    const { registryId, head } = ledger;
    const kept = setAsideIn(registryId, 1);

    const settled = store.settle({
      ...{ registryId, expected: head, kept, origin: 'own' },
      head: { ...head, ...change(head) },
    });

    await expect(settled).rejects.toThrow(sentence);
    expect(store.breaches).toHaveLength(1);
    expect(await store.head(registryId)).toEqual(head);
    expect(await store.kept(registryId)).toEqual([]);
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

    expect(await store.openConflict(conflict, ledger.head, 'own')).toBe('lost-race');
    expect(await store.openConflict(conflict, ledger.head, 'own')).toBe('opened');
    await expect(store.head(ledger.registryId)).rejects.toThrow('head was lost');
    await expect(store.conflicts(ledger.registryId)).rejects.toThrow('conflicts was done-but-lost');
    expect(store.calls('openConflict')).toBe(2);
    expect(store.calls('cursors')).toBe(0);
  });

  test('what opens, settles or keeps can be lost, and done but reported lost', async () => {
    const store = new FaultyLedgerStore(new MemoryLedgerStore());
    const { registryId, head } = await ledgerIn(store);
    const [kept, settled] = [setAsideIn(registryId, 1), setAsideIn(registryId, 2)];
    const conflict = conflictIn(registryId, 1);
    const expected = { ...head, conflictsVersion: 1 };
    const next = { ...head, conflictsVersion: 2 };
    const settlement = { registryId, expected, head: next, kept: settled, origin: 'own' } as const;
    for (const method of ['openConflict', 'settle', 'keep'] as const)
      store.plan(method, 'lost').plan(method, 'done-but-lost');
    const statements = () => store.statementsHead(registryId);

    await expect(store.openConflict(conflict, head, 'own')).rejects.toThrow('was lost');
    await expect(store.keep(registryId, kept, 'own')).rejects.toThrow('keep was lost');
    expect(await statements()).toBe(0);
    await expect(store.openConflict(conflict, head, 'own')).rejects.toThrow('done-but-lost');
    await expect(store.keep(registryId, kept, 'own')).rejects.toThrow('keep was done-but-lost');
    expect(await statements()).toBe(2);
    await expect(store.settle(settlement)).rejects.toThrow('settle was lost');
    expect(await store.kept(registryId)).toEqual([kept]);
    await expect(store.settle(settlement)).rejects.toThrow('settle was done-but-lost');
    expect(await store.head(registryId)).toEqual(next);
    expect(await store.settle(settlement)).toBe('held');
    expect(await store.keep(registryId, kept, 'own')).toBe('held');
    expect(await store.openConflict(conflict, next, 'own')).toBe('held');
    expect(await statements()).toBe(3);
  });

  test('a settlement loses the race as planned, without doing anything', async () => {
    const store = new FaultyLedgerStore(new MemoryLedgerStore());
    const { registryId, head } = await ledgerIn(store);
    const next = { ...head, conflictsVersion: 1 };
    const settlement = { registryId, expected: head, head: next, origin: 'own' } as const;
    store.plan('settle', 'lost-race');

    expect(await store.settle(settlement)).toBe('lost-race');
    expect(await store.head(registryId)).toEqual(head);
    expect(await store.settle(settlement)).toBe('settled');
  });
});

ledgerStoreContract('memory behind an empty fault plan', async () => {
  return new FaultyLedgerStore(new MemoryLedgerStore());
});
