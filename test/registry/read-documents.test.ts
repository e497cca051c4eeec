import { describe, expect, test } from 'vitest';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { documentKey } from '../../shared/ledger/state.ts';
import type { LedgerStore, StoredEntry } from '../../shared/registry/ports.ts';
import {
  findContent,
  listDocuments,
  listVersions,
  readDocument,
  readVersion,
} from '../../shared/registry/read-documents.ts';
import { SALT, TestLedger, testPeer, timeAfter, uploadDocument } from '../builders.ts';
import { answering, held } from './reading.ts';

const peers = [testPeer(), testPeer()];

/** Entries 2 to 5: A and B, A again, and C. */
function threeDocuments(): TestLedger {
  const ledger = new TestLedger(peers);
  ledger.upload('A', 'B');
  ledger.upload('A', 'C');
  return ledger;
}

function linkTo({ sequence, digest }: StoredEntry) {
  return { sequence, digest };
}

describe('documents', () => {
  test('are listed in the order of their first versions, as their newest ones are', async () => {
    const ledger = threeDocuments();
    const ports = await held(ledger);

    const page = await listDocuments(ports, ports.head, { count: 10 });

    expect(page.documents.map(({ documentId, version }) => [documentId, version])).toEqual([
      ['A', 2],
      ['B', 1],
      ['C', 1],
    ]);
    expect(page.next).toBeUndefined();
    expect(page.documents[0]).toEqual({
      documentId: 'A',
      version: 2,
      versions: 2,
      name: 'Grundriß Erdgeschoß.pdf',
      note: 'zur Freigabe',
      entry: linkTo(ledger.entryAt(4)),
      contentDigest: digestOf('bytes of A 2'),
      size: 12,
      mediaType: 'application/pdf',
      recordedAt: timeAfter(3),
    });
  });

  test('come page by page, each once, and the last page has no next', async () => {
    const ports = await held(threeDocuments());

    const first = await listDocuments(ports, ports.head, { count: 1 });
    const rest = await listDocuments(ports, ports.head, { after: first.next ?? 0, count: 2 });

    expect(first).toMatchObject({ documents: [{ documentId: 'A' }], next: 2 });
    expect(rest.documents.map(({ documentId }) => documentId)).toEqual(['B', 'C']);
    expect(rest.next).toBeUndefined();
  });

  test('are none in a registry without uploads', async () => {
    const ports = await held(new TestLedger(peers));

    expect(await listDocuments(ports, ports.head, { count: 10 })).toEqual({ documents: [] });
  });

  test('one is read by its id; an unknown one is undefined', async () => {
    const ports = await held(threeDocuments());

    const found = await readDocument(ports, ports.head, 'A');

    const [listed] = (await listDocuments(ports, ports.head, { count: 1 })).documents;
    expect(found).toEqual(listed);
    expect(await readDocument(ports, ports.head, 'Z')).toBeUndefined();
  });

  test('whose details were redacted are shown as that, without words', async () => {
    const ledger = threeDocuments();
    const ports = await held(ledger);
    await ports.store.redactDetails(ledger.registryId, 1, ledger.entryAt(3), {} as never);

    const found = await readDocument(ports, ports.head, 'B');

    expect(found).toMatchObject({ documentId: 'B', redacted: true, recordedAt: timeAfter(2) });
    expect(found).not.toHaveProperty('name');
    expect(found).not.toHaveProperty('note');
  });

  test('as the list still has them are answered from the entries that it names', async () => {
    const ledger = threeDocuments();
    const ports = await held(ledger);
    const stale = { first: 2, version: 1, entry: linkTo(ledger.entryAt(2)) };
    const list: LedgerStore['list'] = async (...asked) => {
      const items = await ports.store.list(...asked);
      return items.map((each) =>
        each.key === documentKey('A') ? { ...each, item: stale as never } : each,
      );
    };
    const store = answering(ports.store, { list });

    const { documents } = await listDocuments({ ...ports, store }, ports.head, { count: 1 });

    expect(documents).toMatchObject([{ documentId: 'A', version: 1, versions: 1 }]);
  });
});

describe('versions', () => {
  function fiveVersions(): TestLedger {
    const ledger = new TestLedger(peers);
    ledger.upload('plan', 'other', 'plan', 'plan', 'plan', 'plan');
    return ledger;
  }

  test('are listed by number, page by page', async () => {
    const ports = await held(fiveVersions());
    const numbers = async (after: number, count: number) => {
      const page = await listVersions(ports, ports.head, 'plan', { after, count });
      return [page?.versions.map(({ version }) => version), page?.next];
    };

    expect(await numbers(0, 100)).toEqual([[1, 2, 3, 4, 5], undefined]);
    expect(await numbers(0, 2)).toEqual([[1, 2], 2]);
    expect(await numbers(2, 3)).toEqual([[3, 4, 5], undefined]);
    expect(await numbers(5, 3)).toEqual([[], undefined]);
    expect(await numbers(99, 3)).toEqual([[], undefined]);
  });

  test('each names its own entry, bytes and words', async () => {
    const ledger = fiveVersions();
    const ports = await held(ledger);

    const page = await listVersions(ports, ports.head, 'plan', { count: 2 });

    expect(page?.versions[1]).toEqual({
      documentId: 'plan',
      version: 2,
      name: 'Grundriß Erdgeschoß.pdf',
      note: 'zur Freigabe',
      entry: linkTo(ledger.entryAt(4)),
      contentDigest: digestOf('bytes of plan 2'),
      size: 15,
      mediaType: 'application/pdf',
      recordedAt: timeAfter(3),
    });
    expect(await readVersion(ports, ports.head, 'plan', 2)).toEqual(page?.versions[1]);
  });

  test('of an unknown document, and unknown versions, are undefined', async () => {
    const ports = await held(fiveVersions());

    expect(await listVersions(ports, ports.head, 'none', { count: 5 })).toBeUndefined();
    expect(await readVersion(ports, ports.head, 'plan', 6)).toBeUndefined();
    expect(await readVersion(ports, ports.head, 'none', 1)).toBeUndefined();
  });
});

describe('content', () => {
  const contentDigest = digestOf('the same bytes');

  function upload(documentId: string, version = 1) {
    return uploadDocument(documentId, { version, contentDigest, size: 14 });
  }

  test('is found in every registry and version that holds exactly these bytes', async () => {
    const ledgers = [new TestLedger(peers), new TestLedger(peers)];
    const store = new MemoryLedgerStore();
    for (const ledger of ledgers) {
      ledger.commit([upload('plan'), uploadDocument('other'), upload('copy')]);
      await ledger.fill(store);
    }
    ledgers.sort((a, b) => (a.registryId < b.registryId ? -1 : 1));

    const page = await findContent({ store }, contentDigest, { count: 100 });

    const places = ledgers.flatMap((ledger) => [
      { registryId: ledger.registryId, documentId: 'plan', entry: linkTo(ledger.entryAt(2)) },
      { registryId: ledger.registryId, documentId: 'copy', entry: linkTo(ledger.entryAt(4)) },
    ]);
    expect(page.versions).toMatchObject(places);
    expect(page.next).toBeUndefined();
  });

  test('comes page by page over the borders of registries', async () => {
    const store = new MemoryLedgerStore();
    for (let made = 0; made < 2; made += 1) {
      const ledger = new TestLedger(peers);
      ledger.commit([upload('a'), upload('b')]);
      await ledger.fill(store);
    }
    const all = await findContent({ store }, contentDigest, { count: 4 });

    const first = await findContent({ store }, contentDigest, { count: 3 });
    if (first.next === undefined) throw new Error('there is no second page');
    const rest = await findContent({ store }, contentDigest, { after: first.next, count: 3 });

    expect([...first.versions, ...rest.versions]).toEqual(all.versions);
    expect(rest.versions).toHaveLength(1);
    expect(rest.next).toBeUndefined();
  });

  test('that nobody registered is found nowhere', async () => {
    const ports = await held(threeDocuments());

    const page = await findContent(ports, digestOf('another file'), { count: 10 });

    expect(page).toEqual({ versions: [] });
  });

  test('in a copy that was set aside is not shown', async () => {
    const ledger = new TestLedger(peers);
    ledger.commit([upload('plan')]);
    const ports = await held(ledger);
    const head = async () => ({ ...ports.head, copy: 2 });
    const store = answering(ports.store, { head });

    expect(await findContent({ store }, contentDigest, { count: 10 })).toEqual({ versions: [] });
  });
});

describe('what is damaged', () => {
  /** The ledger with one stored entry changed below the store. */
  async function damaged(change: (stored: StoredEntry) => Partial<StoredEntry>) {
    const ports = await held(threeDocuments());
    const entriesAt: LedgerStore['entriesAt'] = async (...asked) =>
      (await ports.store.entriesAt(...asked)).map((stored) => ({ ...stored, ...change(stored) }));
    return { ...ports, store: answering(ports.store, { entriesAt }) };
  }

  test.each([
    ['transaction', { transaction: Buffer.from('{}') }],
    ['details', { details: Buffer.from(`{"format":"registry/details/v1","salt":"${SALT}"}`) }],
    ['entry', { entry: Buffer.from('[]') }],
  ])('in its %s is an error that names the entry', async (_, change) => {
    const ports = await damaged(() => change);

    const read = readVersion(ports, ports.head, 'B', 1);

    await expect(read).rejects.toThrow('entry 3 was damaged where it is stored');
  });

  test('and missing is an error that names the entry', async () => {
    const ports = await held(threeDocuments());
    const store = answering(ports.store, { entriesAt: async () => [] });

    const read = readVersion({ ...ports, store }, ports.head, 'B', 1);

    await expect(read).rejects.toThrow(/^entry 3 of registry \w{64} is missing from copy 1: audit/);
  });

  test('and of another type than the state says is an error', async () => {
    const ledger = threeDocuments();
    const { transaction, details } = ledger.entryAt(1);
    const ports = await damaged(() => ({ transaction, ...(details && { details }) }));

    const read = readVersion(ports, ports.head, 'B', 1);

    await expect(read).rejects.toThrow('entry 3 records create-registry; expected upload-document');
  });

  test('content of a registry without head is an error', async () => {
    const ports = await held(threeDocuments());
    const store = answering(ports.store, { head: async () => undefined });

    const found = findContent({ store }, digestOf('bytes of B 1'), { count: 10 });

    await expect(found).rejects.toThrow('has versions but no head');
  });
});
