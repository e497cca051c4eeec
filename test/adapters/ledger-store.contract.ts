/** What every ledger store does, in memory or in a database. */
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type CertificateId, digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import { documentKey, transactionKey, versionKey } from '../../shared/ledger/state.ts';
import type { CommitWrite, Cursor, LedgerStore, StoredEntry } from '../../shared/registry/ports.ts';
import {
  confirmationBy,
  conflictIn,
  lead,
  mirror,
  NOW,
  TestLedger,
  testPeer,
  uploadDraft,
} from './ledger-store-builders.ts';

const unknown = digestOf('no such registry');

/** Stores the commit, which must succeed. */
async function put(store: LedgerStore, ledger: TestLedger, write: CommitWrite): Promise<void> {
  expect(await store.commit(write)).toEqual({ outcome: 'stored' });
  ledger.stored(write);
}

/** A ledger of entry 1 and as many uploads. */
export async function ledgerIn(store: LedgerStore, uploads = 0): Promise<TestLedger> {
  const ledger = new TestLedger();
  await put(store, ledger, ledger.creation());
  for (let left = uploads; left > 0; left -= 24)
    await put(store, ledger, ledger.uploads(Math.min(left, 24)));
  return ledger;
}

function plain(entries: readonly StoredEntry[]) {
  const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
  return entries.map((each) => ({
    ...each,
    entry: hex(each.entry),
    transaction: hex(each.transaction),
    details: hex(each.details),
  }));
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
      await store.openConflict(conflictIn(ledger.registryId, 2), ledger.head);

      const outcome = await store.commit(write);

      expect(outcome).toEqual({ outcome: 'lost-race' });
      await expectNothingOf(store, write);
    });

    test('a commit on a head with an open conflict keeps the open set', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 1);
      const conflict = conflictIn(ledger.registryId, 2);
      await store.openConflict(conflict, ledger.head);
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

    test('a set-aside begins a copy of its own; the older one stays', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 3);
      const [second] = await store.entries(ledger.registryId, 1, { from: 2, count: 1 });
      const write = ledger.uploads(1);
      const next = { ...write, head: { ...write.head, copy: 2 } };
      await store.read(ledger.registryId, []);

      const outcome = await store.commit(next);

      expect(outcome).toEqual({ outcome: 'stored' });
      const keys = next.changes.map(({ key }) => key);
      const read = await store.read(ledger.registryId, keys);
      expect(read.items).toEqual(new Map(next.changes.map(({ key, after }) => [key, after])));
      const older = await store.entries(ledger.registryId, 1, { from: 2, count: 100 });
      expect(older).toHaveLength(3);
      expect(older[0]).toEqual(second);
      expect(await store.entries(ledger.registryId, 2, { from: 5, count: 1 })).toHaveLength(1);
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

  describe(`${name}: confirmations and the log`, () => {
    test('a confirmation is put once; another digest contradicts it and is not stored', async () => {
      const store = await newStore();
      const { registryId } = await ledgerIn(store);
      const first = confirmationBy(mirror, registryId, 1);
      const other = confirmationBy(mirror, registryId, 1, digestOf('another story'));

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

  describe(`${name}: conflicts`, () => {
    test('a conflict is stored, opens on the head and raises its version, and nothing else', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 2);
      const conflict = conflictIn(ledger.registryId, 2);

      const outcome = await store.openConflict(conflict, ledger.head);

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
      await store.openConflict(conflict, ledger.head);
      const again = { ...conflict, recordedAt: '2026-11-23T10:00:00.000Z' };
      const head = await store.head(ledger.registryId);

      expect(await store.openConflict(again, head ?? ledger.head)).toBe('held');
      expect(await store.openConflict(again, ledger.head)).toBe('held');

      expect(await store.conflicts(ledger.registryId)).toEqual([conflict]);
      expect((await store.head(ledger.registryId))?.conflictsVersion).toBe(1);
    });

    test('a conflict on a head that has moved loses the race and is nowhere', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 1);
      const before = ledger.head;
      await put(store, ledger, ledger.uploads(1));
      const conflict = conflictIn(ledger.registryId, 2);

      expect(await store.openConflict(conflict, before)).toBe('lost-race');
      expect(await store.conflicts(ledger.registryId)).toEqual([]);
      expect(await store.head(ledger.registryId)).toEqual(ledger.head);
      expect(await store.openConflict(conflict, ledger.head)).toBe('opened');
    });

    test('of two conflicts on the same head one is opened, the other comes after a new read', async () => {
      const store = await newStore();
      const ledger = await ledgerIn(store, 2);
      const conflicts = [2, 3].map((sequence) => conflictIn(ledger.registryId, sequence));

      const outcomes = await Promise.all(
        conflicts.map((each) => store.openConflict(each, ledger.head)),
      );

      expect([...outcomes].sort()).toEqual(['lost-race', 'opened']);
      const [loser] = conflicts.filter((_, index) => outcomes[index] === 'lost-race');
      const head = await store.head(ledger.registryId);
      if (loser === undefined || head === undefined) throw new Error('there is no loser');
      expect(await store.openConflict(loser, head)).toBe('opened');
      const opened = await store.head(ledger.registryId);
      expect([...(opened?.openConflicts ?? [])].sort()).toEqual(
        conflicts.map(({ conflictId }) => conflictId).sort(),
      );
      expect(opened?.conflictsVersion).toBe(2);
    });
  });

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
      const invitation = { registryId, peers: [lead.id], acceptedAt: NOW };
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
  });
}
