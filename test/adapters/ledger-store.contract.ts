/** What every ledger store does, in memory or in a database. */
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  type CertificateId,
  type Digest,
  digestOf,
  type RegistryId,
} from '../../shared/ledger/digest.ts';
import type { SignedRedaction } from '../../shared/ledger/redaction.ts';
import {
  documentKey,
  requestKey,
  type StateChange,
  transactionKey,
  versionKey,
} from '../../shared/ledger/state.ts';
import {
  contentList,
  documentsList,
  type ListName,
  positionAt,
  requestsList,
} from '../../shared/registry/lists.ts';
import type { CommitWrite, Cursor, LedgerStore, StoredEntry } from '../../shared/registry/ports.ts';
import {
  confirmationBy,
  conflictIn,
  lead,
  ledgerIn,
  mirror,
  NOW,
  put,
  requestItem,
  TestLedger,
  testPeer,
  uploadDraft,
} from './ledger-store-builders.ts';
import { conflictsContract } from './ledger-store-conflicts.contract.ts';

const unknown = digestOf('no such registry');

function plain(entries: readonly StoredEntry[]) {
  const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
  return entries.map((each) => ({
    ...each,
    entry: hex(each.entry),
    transaction: hex(each.transaction),
    details: hex(each.details),
  }));
}

/** Stores a commit of one upload that also makes these changes, as the rules would. */
async function putChanges(store: LedgerStore, ledger: TestLedger, changes: StateChange[]) {
  const write = ledger.uploads(1);
  await put(store, ledger, { ...write, changes: [...write.changes, ...changes] });
}

/** What a list holds, and where: read in pages of that many, until one is empty. */
async function listed(store: LedgerStore, list: ListName, count = 100) {
  const found: string[] = [];
  let page = await store.list(list, undefined, count);
  while (page.length > 0) {
    found.push(...page.map(({ key, position }) => `${key} ${Number(position)}`));
    page = await store.list(list, page.at(-1)?.position, count);
  }
  return found;
}

async function expectNothingOf(store: LedgerStore, write: CommitWrite): Promise<void> {
  const { registryId, head, entries, changes } = write;
  const from = entries[0]?.sequence ?? 1;
  const held = await store.entries(registryId, head.copy, { from, count: entries.length });
  const digests = entries.map(({ digest }) => digest);
  expect(held.filter(({ digest }) => digests.includes(digest))).toEqual([]);
  const read = await store.read(
    registryId,
    changes.map(({ key }) => key),
  );
  for (const { key, after } of changes) expect(read.items.get(key)).not.toEqual(after);
  expect(read.head?.checkpoint).not.toBe(head.checkpoint);
}

/** Runs the contract against stores that `newStore` makes, each empty. */
export function ledgerStoreContract(name: string, newStore: () => Promise<LedgerStore>): void {
  describe(`${name}: commits`, () => {
    test('an unknown registry has no head, no entries, no items', async () => {
      const store = await newStore();

      const read = await store.read(unknown, [documentKey('d')]);

      expect(read).toEqual({ head: undefined, items: new Map() });
      expect(await store.head(unknown)).toBeUndefined();
      expect(await store.entries(unknown, 1, { from: 1, count: 10 })).toEqual([]);
    });

    test('a stored commit is read back byte for byte, with its head and state', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);
      const write = ledger.commit([
        uploadDraft('plan'),
        uploadDraft('plan', 2),
        { type: 'reconfigure-peers', transactionId: randomUUID(), peers: [lead.id] },
      ]);

      const outcome = await store.commit(write);

      expect(outcome).toEqual({ outcome: 'stored' });
      expect(await store.head(write.registryId)).toEqual(write.head);
      const keys = write.changes.map(({ key }) => key);
      const read = await store.read(write.registryId, [...keys, documentKey('none')]);
      expect(read.head).toEqual(write.head);
      expect(read.items).toEqual(new Map(write.changes.map(({ key, after }) => [key, after])));
      const entries = await store.entries(write.registryId, 1, { from: 2, count: 5 });
      expect(plain(entries)).toEqual(plain(write.entries));
      expect(Object.keys(entries[2] ?? {})).not.toContain('details');
    });

    test('a commit of 24 uploads fits', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);

      const outcome = await store.commit(ledger.uploads(24));

      expect(outcome).toEqual({ outcome: 'stored' });
      const head = await store.head(ledger.registryId);
      expect(head?.sequence).toBe(25);
    });

    test('a commit of more than 100 items is an error that says so', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);
      const write = ledger.uploads(24);
      const extra = ledger.uploads(2).changes.filter(({ key }) => !key.startsWith('transaction#'));

      const large = store.commit({ ...write, changes: [...write.changes, ...extra] });

      await expect(large).rejects.toThrow('has 101 items; one write takes 100');
      await expectNothingOf(store, write);
    });

    test('of two writers with the same head exactly one stores, and nothing of the other', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 1);
      const writes = [ledger.uploads(2), ledger.uploads(3)];

      const outcomes = await Promise.all(writes.map((write) => store.commit(write)));

      expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['lost-race', 'stored']);
      const refused = writes.filter((_, index) => outcomes[index]?.outcome === 'lost-race');
      for (const write of refused) await expectNothingOf(store, write);
    });

    test('a registry is created once', async () => {
      const store = await newStore();
      const ledger = new TestLedger();
      const write = ledger.creation();
      await put(store, ledger, write);

      const again = await store.commit(write);

      expect(again).toEqual({ outcome: 'lost-race' });
      expect(await store.head(write.registryId)).toEqual(write.head);
    });

    test('a commit that expects a head where there is none loses the race', async () => {
      const store = await newStore();
      const elsewhere = await newStore();
      const ledger = await ledgerIn(elsewhere, 1);

      const outcome = await store.commit(ledger.uploads(1));

      expect(outcome).toEqual({ outcome: 'lost-race' });
      expect(await store.registries(undefined, 10)).toEqual([]);
    });

    test('a conflict that is opened between read and commit stops the commit', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 1);
      const write = ledger.uploads(1);
      await store.openConflict(conflictIn(ledger.registryId, 2), ledger.head, 'received');

      const outcome = await store.commit(write);

      expect(outcome).toEqual({ outcome: 'lost-race' });
      await expectNothingOf(store, write);
    });

    test('a commit on a head with an open conflict keeps the open set', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 1);
      const conflict = conflictIn(ledger.registryId, 2);
      await store.openConflict(conflict, ledger.head, 'received');
      const { head } = await store.read(ledger.registryId, []);
      if (head !== undefined) ledger.moved(head);

      const outcome = await store.commit(ledger.uploads(1));

      expect(outcome).toEqual({ outcome: 'stored' });
      const after = await store.head(ledger.registryId);
      expect(after).toMatchObject({ sequence: 3, conflictsVersion: 1 });
      expect(after?.openConflicts).toEqual([conflict.conflictId]);
    });

    test('a commit that replaces a state item which is another loses the race', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);
      await put(store, ledger, ledger.commit([uploadDraft('plan')]));
      const write = ledger.commit([uploadDraft('plan', 2)]);
      const changes = write.changes.map((change) =>
        change.key === documentKey('plan') && change.before !== undefined
          ? { ...change, before: { ...change.before, version: 7 } }
          : change,
      );

      const stale = await store.commit({ ...write, changes });

      expect(stale).toEqual({ outcome: 'lost-race' });
      await expectNothingOf(store, write);
      expect(await store.commit(write)).toEqual({ outcome: 'stored' });
    });

    test('a commit that creates a state item which is there loses the race', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);
      await put(store, ledger, ledger.commit([uploadDraft('plan')]));
      const write = ledger.commit([uploadDraft('plan', 2)]);
      const changes = write.changes.map((change) => ({ ...change, before: undefined }));

      const outcome = await store.commit({ ...write, changes });

      expect(outcome).toEqual({ outcome: 'lost-race' });
      await expectNothingOf(store, write);
    });

    test('a transaction id that has an entry is not recorded again', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);
      const first = uploadDraft('one');
      await put(store, ledger, ledger.commit([first]));
      const forgetful = new TestLedger().moved(ledger.head);
      const write = forgetful.commit([
        { ...uploadDraft('two'), transactionId: first.transactionId },
      ]);

      const outcome = await store.commit(write);

      expect(outcome).toEqual({ outcome: 'lost-race' });
      const key = transactionKey(first.transactionId);
      const { items } = await store.read(ledger.registryId, [key]);
      expect(items.get(key)).toMatchObject({ sequence: 2 });
    });

    test('a change of a transaction key must fit a transaction of the same commit', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);
      const write = ledger.uploads(1);
      const stray = {
        key: transactionKey(randomUUID()),
        before: undefined,
        after: { transactionDigest: digestOf('another'), sequence: 2 },
      };

      const outcome = store.commit({ ...write, changes: [...write.changes, stray] });

      await expect(outcome).rejects.toThrow('does not fit an entry of the same commit');
    });
  });

  describe(`${name}: entries and registries`, () => {
    test('entries are read in pages of at most 100, to the first one missing', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store, 120);
      const sequences = async (from: number, count: number) =>
        (await store.entries(registryId, 1, { from, count })).map(({ sequence }) => sequence);

      expect(await sequences(1, 1000)).toEqual(Array.from({ length: 100 }, (_, at) => at + 1));
      expect(await sequences(101, 100)).toEqual(Array.from({ length: 21 }, (_, at) => at + 101));
      expect(await sequences(7, 2)).toEqual([7, 8]);
      expect(await sequences(122, 10)).toEqual([]);
      expect(await sequences(1, 0)).toEqual([]);
    });

    test('more state items than one batch holds are read together', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);
      const documents = Array.from({ length: 72 }, () => randomUUID());
      for (let start = 0; start < documents.length; start += 24)
        await put(
          store,
          ledger,
          ledger.commit(documents.slice(start, start + 24).map((id) => uploadDraft(id))),
        );
      const keys = documents.flatMap((id) => [documentKey(id), versionKey(id, 1)]);

      const { items } = await store.read(ledger.registryId, [...keys, ...keys]);

      expect([...items.keys()].sort()).toEqual([...keys].sort());
    });

    test('entries anywhere are read in the order asked for, without those that are missing', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store, 30);
      const sequences = async (...asked: number[]) =>
        (await store.entriesAt(registryId, 1, asked)).map(({ sequence }) => sequence);

      expect(await sequences(29, 3, 31, 1)).toEqual([29, 3, 31, 1]);
      expect(await sequences(32, 5, 999, 5)).toEqual([5, 5]);
      expect(await sequences()).toEqual([]);
      expect(await store.entriesAt(registryId, 2, [1])).toEqual([]);
      expect(await store.entriesAt(unknown, 1, [1])).toEqual([]);
      const [first, second] = await store.entriesAt(registryId, 1, [7, 2]);
      const run = await store.entries(registryId, 1, { from: 2, count: 6 });
      expect([second, first]).toEqual([run[0], run[5]]);
    });

    test('more than 100 entries anywhere are an error that says so', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store);
      const asked = Array.from({ length: 101 }, (_, at) => at + 1);

      const read = store.entriesAt(registryId, 1, asked);

      await expect(read).rejects.toThrow('101 entries were asked for at once; at most 100');
    });

    test('details are redacted once, in the copy that is named and in no other', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 1);
      await put(store, ledger, ledger.beginning());
      const { registryId } = ledger;
      const [stored] = await store.entriesAt(registryId, 1, [1]);
      if (stored === undefined) throw new Error('entry 1 is not there');
      const redaction = { statement: 'a', decision: 'b' } as unknown as SignedRedaction;
      const other = { statement: 'c', decision: 'd' } as unknown as SignedRedaction;

      expect(await store.redactDetails(registryId, 1, stored, redaction)).toBe('redacted');
      expect(await store.redactDetails(registryId, 1, stored, other)).toBe('held');
      expect(await store.redactDetails(registryId, 3, stored, other)).toBe('held');

      const { details, ...rest } = stored;
      expect(details).toBeDefined();
      expect(await store.entriesAt(registryId, 1, [1])).toEqual([{ ...rest, redaction }]);
      expect(await store.entriesAt(registryId, 2, [1])).toEqual([stored]);
      expect(await store.entriesAt(registryId, 3, [1])).toEqual([]);
    });

    test('registries are listed in id order, page by page', async () => {
      const store = await newStore();
      const ids: RegistryId[] = [];
      for (let made = 0; made < 5; made += 1) ids.push((await ledgerIn(store)).registryId);
      ids.sort();

      expect(await store.registries(undefined, 10)).toEqual(ids);
      expect(await store.registries(undefined, 2)).toEqual(ids.slice(0, 2));
      expect(await store.registries(ids[1], 2)).toEqual(ids.slice(2, 4));
      expect(await store.registries(ids[4], 2)).toEqual([]);
    });

    test('the table has one identity', async () => {
      const store = await newStore();

      const [first, second] = [await store.tableId(), await store.tableId()];

      expect(first).toMatch(/./);
      expect(second).toBe(first);
    });
  });

  describe(`${name}: lists`, () => {
    test('documents are listed by their first versions, page by page, as they are now', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);
      await put(store, ledger, ledger.commit(['c', 'a', 'b'].map((id) => uploadDraft(id))));
      await put(store, ledger, ledger.commit([uploadDraft('a', 2), uploadDraft('d')]));
      const list = documentsList(ledger.registryId, 1);

      const inOrder = ['document#c 2', 'document#a 3', 'document#b 4', 'document#d 6'];
      expect(await listed(store, list)).toEqual(inOrder);
      expect(await listed(store, list, 1)).toEqual(inOrder);
      expect(await listed(store, list, 3)).toEqual(inOrder);
      const [second] = await store.list(list, positionAt(2), 1);
      expect(second).toEqual({
        registryId: ledger.registryId,
        copy: 1,
        key: documentKey('a'),
        item: expect.objectContaining({ first: 3, version: 2 }),
        position: positionAt(3),
      });
    });

    test('positions are in the order of numbers, not of their digits', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 12);

      const page = await store.list(documentsList(ledger.registryId, 1), positionAt(8), 3);

      expect(page.map(({ position }) => Number(position))).toEqual([9, 10, 11]);
    });

    test('a request that is signed moves from the open ones to the signed ones', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store);
      const [first, second] = [requestItem(2), requestItem(3)];
      const keys = [requestKey('first'), requestKey('second')] as const;
      await putChanges(store, ledger, [{ key: keys[0], before: undefined, after: first }]);
      await putChanges(store, ledger, [{ key: keys[1], before: undefined, after: second }]);
      const lists = (['open', 'signed'] as const).map((status) =>
        requestsList(ledger.registryId, 1, status),
      ) as [ListName, ListName];
      expect(await listed(store, lists[0])).toEqual(['request#first 2', 'request#second 3']);
      expect(await listed(store, lists[1])).toEqual([]);
      const signed = { ...first, signed: requestItem(4).entry };

      await putChanges(store, ledger, [{ key: keys[0], before: first, after: signed }]);

      expect(await listed(store, lists[0])).toEqual(['request#second 3']);
      expect(await listed(store, lists[1])).toEqual(['request#first 2']);
    });

    test('versions with the same bytes are listed together, whatever registry they are in', async () => {
      const store = await newStore();
      const ledgers = [await ledgerIn(store), await ledgerIn(store)];
      ledgers.sort((a, b) => (a.registryId < b.registryId ? -1 : 1));
      const contentDigest: Digest = digestOf('plan 1');
      for (const ledger of ledgers)
        await put(
          store,
          ledger,
          ledger.commit([
            uploadDraft('plan'),
            { ...uploadDraft('renamed'), contentDigest },
            uploadDraft('other'),
          ]),
        );

      const list = contentList(contentDigest);
      const found = await store.list(list, undefined, 10);
      const rest = await store.list(list, found[0]?.position, 2);

      const places = ledgers.flatMap(({ registryId }) =>
        ['plan', 'renamed'].map((id) => ({ registryId, copy: 1, key: versionKey(id, 1) })),
      );
      expect(found).toMatchObject(places);
      expect(rest).toEqual(found.slice(1, 3));
      expect(await store.list(contentList(digestOf('nothing')), undefined, 10)).toEqual([]);
    });

    test('state is that of the copy that is named, and of the present one unless one is', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 2);
      await put(store, ledger, ledger.beginning());
      const { registryId } = ledger;
      const [, second] = await store.entriesAt(registryId, 1, [1, 2]);
      const key = transactionKey(second?.transactionId ?? '');

      const [older, present] = [
        await store.read(registryId, [key], 1),
        await store.read(registryId, [key]),
      ];

      expect(older.items.get(key)).toMatchObject({ sequence: 2 });
      expect([older.head?.copy, present.head?.copy]).toEqual([2, 2]);
      expect(present.items.size).toBe(0);
      expect((await store.read(registryId, [key], 2)).items.size).toBe(0);
    });

    test('what is set aside is in lists of its own copy', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 2);

      await put(store, ledger, ledger.beginning());
      await put(store, ledger, ledger.uploads(1));

      const { registryId } = ledger;
      expect(await store.list(documentsList(registryId, 1), undefined, 10)).toHaveLength(2);
      const [listedItem, ...more] = await store.list(documentsList(registryId, 2), undefined, 10);
      expect(listedItem).toMatchObject({ registryId, copy: 2, position: positionAt(2) });
      expect(more).toEqual([]);
    });

    test('nothing of a commit that was not stored is listed', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 1);
      const stale = ledger.uploads(1);
      await put(store, ledger, ledger.uploads(1));

      expect(await store.commit(stale)).toEqual({ outcome: 'lost-race' });

      const positions = await store.list(documentsList(ledger.registryId, 1), undefined, 10);
      expect(positions.map(({ position }) => Number(position))).toEqual([2, 3]);
      const keys = stale.changes.map(({ key }) => key);
      expect(positions.filter(({ key }) => keys.includes(key))).toEqual([]);
    });
  });

  describe(`${name}: confirmations and the log`, () => {
    test('a confirmation is put once; another digest contradicts it and is not stored', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store);
      const first = confirmationBy(mirror, registryId, 1);
      const other = confirmationBy(mirror, registryId, 1, { digest: digestOf('another story') });

      expect(await store.putConfirmation(registryId, first, 'received')).toBe('stored');
      expect(await store.putConfirmation(registryId, first, 'received')).toBe('held');
      expect(await store.putConfirmation(registryId, other, 'received')).toBe('contradicts');
      expect(await store.putConfirmation(registryId, other, 'own')).toBe('contradicts');

      expect(await store.newestConfirmation(registryId, mirror.id)).toEqual(first);
      expect(await store.statementsHead(registryId)).toBe(0);
    });

    test('confirmations are found by the sequence that they cover, signer by signer', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store);
      const [ninth, eleventh] = [9, 11].map((at) => confirmationBy(mirror, registryId, at));
      for (const confirmation of [eleventh, ninth, confirmationBy(lead, registryId, 100)])
        if (confirmation !== undefined)
          await store.putConfirmation(registryId, confirmation, 'received');
      const covering = (at: number) => store.firstConfirmationCovering(registryId, mirror.id, at);

      expect(await covering(1)).toEqual(ninth);
      expect(await covering(9)).toEqual(ninth);
      expect(await covering(10)).toEqual(eleventh);
      expect(await covering(12)).toBeUndefined();
      expect(await store.newestConfirmation(registryId, mirror.id)).toEqual(eleventh);
      expect(await store.newestConfirmation(registryId, testPeer().id)).toBeUndefined();
    });

    test('confirmations of one signer are read in sequence order, from anywhere on', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store);
      for (const at of [11, 2, 100, 9])
        await store.putConfirmation(registryId, confirmationBy(mirror, registryId, at), 'received');
      await store.putConfirmation(registryId, confirmationBy(lead, registryId, 10), 'received');
      const sequences = async (from: number, count: number) =>
        (await store.confirmations(registryId, mirror.id, from, count)).map(
          ({ sequence }) => sequence,
        );

      expect(await sequences(1, 1000)).toEqual([2, 9, 11, 100]);
      expect(await sequences(9, 2)).toEqual([9, 11]);
      expect(await sequences(10, 1)).toEqual([11]);
      expect(await sequences(101, 5)).toEqual([]);
      expect(await sequences(1, 0)).toEqual([]);
      const [eleventh] = await store.confirmations(registryId, mirror.id, 11, 1);
      expect(eleventh).toEqual(await store.firstConfirmationCovering(registryId, mirror.id, 10));
    });

    test('a signer confirms the same sequence once in every copy of its own', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store);
      const digest = digestOf('the other branch');
      const [first, second, third] = [
        confirmationBy(mirror, registryId, 7),
        confirmationBy(mirror, registryId, 7, { digest, copy: 2 }),
        confirmationBy(mirror, registryId, 7, { copy: 10 }),
      ];
      const later = confirmationBy(mirror, registryId, 8);

      expect(await store.putConfirmation(registryId, later, 'received')).toBe('stored');
      expect(await store.putConfirmation(registryId, third, 'received')).toBe('stored');
      expect(await store.putConfirmation(registryId, second, 'own')).toBe('stored');
      expect(await store.putConfirmation(registryId, first, 'received')).toBe('stored');
      expect(await store.putConfirmation(registryId, second, 'own')).toBe('held');
      const other = confirmationBy(mirror, registryId, 7, { copy: 2 });
      expect(await store.putConfirmation(registryId, other, 'received')).toBe('contradicts');
      expect(await store.putConfirmation(registryId, other, 'own')).toBe('contradicts');

      const from = (at: number) => store.confirmations(registryId, mirror.id, at, 10);
      expect(await from(7)).toEqual([first, second, third, later]);
      expect(await from(8)).toEqual([later]);
      expect(await store.statementsHead(registryId)).toBe(1);
    });

    test('the newest confirmation is the one of the newest copy; the first of the first', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store);
      const copies = [2, 3].map((copy) => confirmationBy(mirror, registryId, 7, { copy }));
      const first = confirmationBy(mirror, registryId, 6);
      for (const each of [...copies, first])
        await store.putConfirmation(registryId, each, 'received');
      const covering = (at: number) => store.firstConfirmationCovering(registryId, mirror.id, at);

      expect(await covering(7)).toEqual(copies[0]);
      expect(await covering(6)).toEqual(first);
      expect(await store.newestConfirmation(registryId, mirror.id)).toEqual(copies[1]);
    });

    test('a page of confirmations has at most 100', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store);
      const template = confirmationBy(mirror, registryId, 1);
      for (let at = 1; at <= 101; at += 1)
        await store.putConfirmation(registryId, { ...template, sequence: at as never }, 'received');

      const page = await store.confirmations(registryId, mirror.id, 1, 1000);

      expect(page).toHaveLength(100);
    });

    test('an own confirmation is appended to the log in the same write, once', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store);
      const [one, two] = [
        confirmationBy(mirror, registryId, 1),
        confirmationBy(mirror, registryId, 2),
      ];

      expect(await store.statementsHead(registryId)).toBe(0);
      expect(await store.putConfirmation(registryId, one, 'own')).toBe('stored');
      expect(await store.putConfirmation(registryId, one, 'own')).toBe('held');
      expect(await store.putConfirmation(registryId, two, 'own')).toBe('stored');

      expect(await store.statementsHead(registryId)).toBe(2);
      expect(await store.statementsAfter(registryId, 0, 10)).toEqual([
        { index: 1, statement: one.statement, checkpoint: one.checkpoint },
        { index: 2, statement: two.statement, checkpoint: two.checkpoint },
      ]);
    });

    test('own confirmations that come together get consecutive places in the log', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store);
      const own = Array.from({ length: 4 }, (_, at) => confirmationBy(mirror, registryId, at + 1));

      const outcomes = await Promise.all(
        own.map((each) => store.putConfirmation(registryId, each, 'own')),
      );

      expect(outcomes).toEqual(own.map(() => 'stored'));
      const log = await store.statementsAfter(registryId, 0, 10);
      expect(log.map(({ index }) => index)).toEqual([1, 2, 3, 4]);
      const statements = log.map(({ statement }) => statement);
      expect(statements.sort()).toEqual(own.map(({ statement }) => statement).sort());
    });

    test('the log is read page by page', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store);
      for (let at = 1; at <= 11; at += 1)
        await store.putConfirmation(registryId, confirmationBy(mirror, registryId, at), 'own');
      const indexes = async (after: number, count: number) =>
        (await store.statementsAfter(registryId, after, count)).map(({ index }) => index);

      expect(await indexes(0, 3)).toEqual([1, 2, 3]);
      expect(await indexes(3, 3)).toEqual([4, 5, 6]);
      expect(await indexes(8, 100)).toEqual([9, 10, 11]);
      expect(await indexes(11, 3)).toEqual([]);
    });
  });

  conflictsContract(name, newStore);

  describe(`${name}: notes that are overwritten`, () => {
    test('cursors are kept by registry and peer', async () => {
      const store = await newStore();
      const registryId = digestOf('registry');
      const [first, second] = [lead.id, mirror.id].sort() as [CertificateId, CertificateId];
      const failed: Cursor = {
        registryId,
        peer: second,
        deliveredThrough: 4,
        statementsThrough: 2,
        failures: 1,
        nextAttemptAt: NOW,
        lastError: 'the peer is out of reach: cafe\u0301',
        unreadable: { index: 3, times: 1 },
      };
      const healed: Cursor = { registryId, peer: second, statementsThrough: 3, failures: 0 };
      const other: Cursor = { registryId, peer: first, statementsThrough: 0, failures: 0 };

      await store.putCursor(failed);
      expect(await store.cursor(registryId, second)).toEqual(failed);
      await store.putCursor(healed);
      await store.putCursor(other);

      expect(await store.cursor(registryId, second)).toEqual(healed);
      expect(await store.cursors(registryId)).toEqual([other, healed]);
      expect(await store.cursors(unknown)).toEqual([]);
      expect(await store.cursor(unknown, first)).toBeUndefined();
    });

    test('progress, invitations and certificates are replaced by what comes later', async () => {
      const store = await newStore();
      const registryId = digestOf('registry');
      const progress = { registryId, verifiedThrough: 1, confirmedThrough: 1, failures: 0 };
      const invitation = { registryId, peers: [lead.id], everPeers: [lead.id], acceptedAt: NOW };
      expect(await store.progress(registryId)).toBeUndefined();
      expect(await store.invitation(registryId)).toBeUndefined();
      expect(await store.certificate(lead.id)).toBeUndefined();

      await store.putProgress({ ...progress, failures: 3, lastError: 'slow' });
      await store.putProgress(progress);
      await store.putInvitation({ ...invitation, peers: [mirror.id] });
      await store.putInvitation(invitation);
      await store.putCertificate(lead.id, 'old');
      await store.putCertificate(lead.id, 'new');

      expect(await store.progress(registryId)).toEqual(progress);
      expect(await store.invitation(registryId)).toEqual(invitation);
      expect(await store.certificate(lead.id)).toBe('new');
      expect(await store.registries(undefined, 10)).toEqual([]);
    });

    test('how far the audit has come is replaced by what comes later', async () => {
      const store = await newStore();
      const registryId = digestOf('registry');
      const times = { passStartedAt: NOW, bytesPassStartedAt: NOW, lastRunAt: NOW };
      const place = { registryId, copy: 1, nextFrom: 101, readsBytes: true };
      const progress = { ...place, ...times, passes: 0, findings: 0 };
      expect(await store.auditProgress(registryId)).toBeUndefined();

      await store.putAuditProgress(progress);
      await store.putAuditProgress({ ...progress, nextFrom: 1, passes: 1 });

      expect(await store.auditProgress(registryId)).toEqual({
        ...progress,
        nextFrom: 1,
        passes: 1,
      });
      expect(await store.progress(registryId)).toBeUndefined();
    });
  });
}
