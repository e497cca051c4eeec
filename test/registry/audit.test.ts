import { describe, expect, test } from 'vitest';
import { MemoryBlobStore } from '../../shared/adapters/memory/memory-blob-store.ts';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import {
  type Digest,
  digestOf,
  type RegistryId,
  type Sequence,
} from '../../shared/ledger/digest.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import {
  documentKey,
  type StateItem,
  type StateKey,
  versionKey,
} from '../../shared/ledger/state.ts';
import {
  type AuditOutcome,
  type AuditProgress,
  auditRegistry,
} from '../../shared/registry/audit.ts';
import type { Confirmation, Head, LedgerStore, StoredEntry } from '../../shared/registry/ports.ts';
import { confirmationFor, START, TestLedger, testPeer, timeAfter } from '../builders.ts';

const [a, b, c] = [testPeer(), testPeer(), testPeer()];
const other = digestOf('other');

/** What a store answers, changed on its way out as damage below the store would. */
interface Damage {
  readonly head?: (head: Head) => Partial<Head>;
  readonly entry?: (stored: StoredEntry) => Partial<StoredEntry>;
  readonly lost?: number;
  readonly items?: (key: StateKey, item: StateItem) => StateItem | undefined;
  readonly confirmation?: (confirmation: Confirmation) => Partial<Confirmation>;
}

class DamagedStore extends MemoryLedgerStore {
  damage: Damage = {};

  override async head(registryId: RegistryId) {
    const head = await super.head(registryId);
    return head && { ...head, ...this.damage.head?.(head) };
  }

  override async entries(...parameters: Parameters<LedgerStore['entries']>) {
    const entries = await super.entries(...parameters);
    const lost = entries.findIndex(({ sequence }) => sequence === this.damage.lost);
    const kept = lost === -1 ? entries : entries.slice(0, lost);
    return kept.map((stored) => ({ ...stored, ...this.damage.entry?.(stored) }));
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

  override async firstConfirmationCovering(
    ...parameters: Parameters<LedgerStore['firstConfirmationCovering']>
  ) {
    const found = await super.firstConfirmationCovering(...parameters);
    return found && { ...found, ...this.damage.confirmation?.(found) };
  }
}

async function holding(ledger: TestLedger) {
  const store = new DamagedStore();
  const blobs = new MemoryBlobStore({ name: 'audited', clock: { now: () => START } });
  await ledger.fill(store);
  await ledger.fillBlobs(blobs);
  return { store, blobs };
}

function eventfulLedger(): TestLedger {
  const ledger = new TestLedger([a, b, c]);
  ledger.upload('plan-1', 'plan-2', 'plan-1');
  ledger.confirm(b);
  ledger.confirm(c);
  ledger.reconfigure(b, a);
  ledger.confirm(c);
  ledger.upload('plan-2');
  ledger.confirm(a);
  ledger.upload('plan-1');
  return ledger;
}

const ledger = eventfulLedger();

/** What the audit says about a copy of the ledger with that damage. */
async function auditOf(damage: Damage): Promise<AuditOutcome> {
  const ports = await holding(ledger);
  ports.store.damage = damage;
  return auditRegistry(ports, ledger.registryId);
}

async function findingOf(damage: Damage): Promise<string> {
  const outcome = await auditOf(damage);
  return outcome.outcome === 'wrong' ? `${outcome.sequence} ${outcome.code}` : outcome.outcome;
}

/** Damage of one entry only. */
function ofEntry(sequence: number, change: (stored: StoredEntry) => Partial<StoredEntry>): Damage {
  return { entry: (stored) => (stored.sequence === sequence ? change(stored) : {}) };
}

/** The bytes with one letter exchanged. */
function altered(bytes: Uint8Array, from: string, to: string): Buffer {
  return Buffer.from(Buffer.from(bytes).toString().replace(from, to));
}

function withNewDigest(stored: StoredEntry, entry: Buffer): Partial<StoredEntry> {
  return { ...stored, entry, digest: digestOf(entry) };
}

describe('an audit', () => {
  test('of an intact copy says what it read', async () => {
    const ports = await holding(ledger);

    expect(await auditRegistry(ports, ledger.registryId)).toEqual({
      outcome: 'sound',
      entries: 7,
      documents: 5,
      documentsPending: 0,
      bytes: [...ledger.documents.values()].reduce((sum, { length }) => sum + length, 0),
      confirmations: 4,
      headDigest: ledger.head.digest,
    });
  });

  test('writes nothing', async () => {
    const ports = await holding(ledger);
    await auditRegistry(ports, ledger.registryId);

    ports.store.verifyUntouched();
    expect(ports.store.breaches).toEqual([]);
    expect(await ports.store.conflicts(ledger.registryId)).toEqual([]);
  });

  test('of a registry that nobody knows says so', async () => {
    const ports = await holding(ledger);

    expect(await auditRegistry(ports, other)).toEqual({ outcome: 'unknown-registry' });
  });

  test('goes page by page, and tells how far it is', async () => {
    const long = new TestLedger([a, b]);
    while (long.head.sequence < 205)
      long.upload(...Array.from({ length: 12 }, (_, n) => `plan-${n}`));
    const seen: AuditProgress[] = [];
    const ports = await holding(long);
    const outcome = await auditRegistry(ports, long.registryId, (progress) => seen.push(progress));

    expect(outcome).toMatchObject({ outcome: 'sound', entries: 205, documents: 204 });
    expect(seen.map(({ entries }) => entries)).toEqual([100, 200, 205]);
    expect(seen[1]).toMatchObject({ entriesTotal: 205, documents: 199, bytes: expect.any(Number) });
  });
});

describe('an audit finds', () => {
  test.each<readonly [string, Damage, string]>([
    ['an entry that is missing', { lost: 4 }, '4 ENTRY_MISSING'],
    [
      'an entry that is no longer canonical',
      ofEntry(3, ({ entry }) => ({ entry: altered(entry, ',', ' ,') })),
      '3 NOT_CANONICAL',
    ],
    [
      'an entry of another time',
      ofEntry(3, ({ entry }) => ({ entry: altered(entry, '10:00:02', '10:00:03') })),
      '3 STORED_ENTRY_DIFFERS',
    ],
    [
      'an entry of another time with the digest that follows, by its state item',
      ofEntry(3, (stored) => withNewDigest(stored, altered(stored.entry, '10:00:02', '10:00:03'))),
      '3 STATE_ITEM_DIFFERS',
    ],
    [
      'a last entry of another time with the digest that follows, by its checkpoint',
      ofEntry(7, (stored) => withNewDigest(stored, altered(stored.entry, '10:00:06', '10:00:07'))),
      '7 CHECKPOINT_DIFFERS',
    ],
    [
      'another digest beside an entry',
      ofEntry(3, () => ({ digest: other })),
      '3 STORED_ENTRY_DIFFERS',
    ],
    [
      'another sequence beside an entry',
      ofEntry(3, () => ({ sequence: 9 as Sequence })),
      '3 STORED_ENTRY_DIFFERS',
    ],
    [
      'another transaction id beside an entry',
      ofEntry(3, () => ({ transactionId: 'x' })),
      '3 STORED_ENTRY_DIFFERS',
    ],
    [
      'another transaction',
      ofEntry(3, ({ transaction }) => ({ transaction: altered(transaction, 'plan-2', 'plan-3') })),
      '3 TRANSACTION_DIGEST_DIFFERS',
    ],
    [
      'a transaction that is none',
      ofEntry(3, () => ({ transaction: Buffer.from('{}') })),
      '3 UNKNOWN_FORMAT',
    ],
    [
      'other details',
      ofEntry(3, ({ details = Buffer.alloc(0) }) => ({
        details: altered(details, 'Freigabe', 'Ansicht'),
      })),
      '3 DETAILS_DIGEST_DIFFERS',
    ],
    [
      'a checkpoint that is none',
      ofEntry(4, () => ({ checkpoint: 'x' as Compact })),
      '4 STATEMENT_MALFORMED',
    ],
    [
      'the checkpoint of another entry',
      ofEntry(4, () => ({ checkpoint: ledger.commits[0]?.write.head.checkpoint as Compact })),
      '4 CHECKPOINT_DIFFERS',
    ],
  ])('%s', async (_what, damage, finding) => {
    expect(await findingOf(damage)).toBe(finding);
  });

  test('an entry rewritten with its digest and its state items, by the next link', async () => {
    const changed = altered(ledger.entryAt(3).entry, '10:00:02', '10:00:03');
    const link = { sequence: 3 as Sequence, digest: digestOf(changed) };
    const finding = await findingOf({
      ...ofEntry(3, (stored) => withNewDigest(stored, changed)),
      items: (_key, item) =>
        'entry' in item && item.entry.sequence === 3 ? { ...item, entry: link } : item,
    });

    expect(finding).toBe('4 BACKLINKS_WRONG');
  });

  test('that no checkpoint is stored with the last entry', async () => {
    const store = await holding(ledger);
    const entries = store.store.entries.bind(store.store);
    store.store.entries = async (...parameters) =>
      (await entries(...parameters)).map(({ checkpoint, ...stored }) => ({
        ...stored,
        ...(checkpoint === undefined || stored.sequence === 7 ? {} : { checkpoint }),
      }));

    expect(await auditRegistry(store, ledger.registryId)).toMatchObject({
      sequence: 7,
      code: 'CHECKPOINT_MISSING',
    });
  });

  test.each<readonly [string, (head: Head) => Partial<Head>]>([
    ['another digest', () => ({ digest: other })],
    ['another time', () => ({ timestamp: timeAfter(99) })],
    ['a tower with a level less', ({ tower }) => ({ tower: tower.slice(0, -1) })],
    [
      'a tower with another digest',
      ({ tower }) => ({ tower: tower.map((link) => ({ ...link, digest: other })) }),
    ],
    [
      'another peer list',
      ({ configuration }) => ({ configuration: { ...configuration, peers: [a.certificateId] } }),
    ],
    [
      'another configuration entry',
      ({ configuration }) => ({ configuration: { ...configuration, digest: other } }),
    ],
  ])('a head with %s', async (_what, head) => {
    expect(await findingOf({ head })).toBe('7 HEAD_DIFFERS');
  });

  test('a head with another checkpoint', async () => {
    const checkpoint = ledger.commits[3]?.write.head.checkpoint as Compact;

    expect(await findingOf({ head: () => ({ checkpoint }) })).toBe('7 CHECKPOINT_DIFFERS');
  });

  test('a head that names more entries than there are', async () => {
    expect(await findingOf({ head: () => ({ sequence: 8 as Sequence }) })).toBe('8 ENTRY_MISSING');
  });

  test('a head that names fewer entries than there are', async () => {
    expect(await findingOf({ head: () => ({ sequence: 6 as Sequence }) })).toBe('6 HEAD_DIFFERS');
  });
});

/** Damage of one state item. */
function ofItem(wanted: StateKey, change: object | undefined): Damage {
  return {
    items: (key, item) =>
      key !== wanted
        ? item
        : change === undefined
          ? undefined
          : ({ ...item, ...change } as StateItem),
  };
}

describe('an audit of the state finds', () => {
  const entry = { sequence: 2 as Sequence, digest: other };

  test.each<readonly [string, Damage, string]>([
    [
      'a version that is missing',
      ofItem(versionKey('plan-1', 1), undefined),
      '2 STATE_ITEM_DIFFERS',
    ],
    [
      'a version of another entry',
      ofItem(versionKey('plan-1', 1), { entry }),
      '2 STATE_ITEM_DIFFERS',
    ],
    [
      'a version of other content',
      ofItem(versionKey('plan-1', 2), { contentDigest: other }),
      '4 STATE_ITEM_DIFFERS',
    ],
    [
      'a version of another size',
      ofItem(versionKey('plan-1', 2), { size: 1 }),
      '4 STATE_ITEM_DIFFERS',
    ],
    [
      'a version of another media type',
      ofItem(versionKey('plan-1', 2), { mediaType: 'a/b' }),
      '4 STATE_ITEM_DIFFERS',
    ],
    [
      'a document that is missing',
      ofItem(documentKey('plan-1'), undefined),
      '2 STATE_ITEM_DIFFERS',
    ],
    [
      'a document of an older version',
      ofItem(documentKey('plan-1'), { version: 2 }),
      '2 STATE_ITEM_DIFFERS',
    ],
    [
      'a document of another entry',
      ofItem(documentKey('plan-2'), { entry }),
      '3 STATE_ITEM_DIFFERS',
    ],
  ])('%s', async (_what, damage, finding) => {
    expect(await findingOf(damage)).toBe(finding);
  });

  test('a transaction at another sequence, or of another digest, or none', async () => {
    const key = `transaction#${ledger.entryAt(5).transactionId}` as StateKey;

    for (const change of [{ sequence: 4 }, { transactionDigest: other }, undefined])
      expect(await findingOf(ofItem(key, change))).toBe('5 STATE_ITEM_DIFFERS');
  });
});

describe('an audit of confirmations', () => {
  const damaged = (sequence: number, change: Partial<Confirmation>): Damage => ({
    confirmation: (found) => (found.sequence === sequence ? change : {}),
  });

  test.each<readonly [string, Damage, string]>([
    ['one that is none', damaged(4, { statement: 'x' as Compact }), '4 STATEMENT_MALFORMED'],
    [
      'another checkpoint with it',
      damaged(6, { checkpoint: ledger.head.checkpoint }),
      '6 CHECKPOINT_DIFFERS',
    ],
    [
      'one of another entry',
      damaged(6, { statement: a.sign(confirmationFor(ledger.head, a)) }),
      '6 CHECKPOINT_DIFFERS',
    ],
    ['another digest beside it', damaged(6, { digest: other }), '6 STORED_CONFIRMATION_DIFFERS'],
  ])('finds %s', async (_what, damage, finding) => {
    expect(await findingOf(damage)).toBe(finding);
  });

  test("finds one that is stored as somebody else's", async () => {
    const statement = ledger.confirmations[0]?.statement as Compact;
    const found = await auditOf({
      confirmation: (each) =>
        each.signer === c.certificateId && each.sequence === 4 ? { statement } : {},
    });

    expect(found).toMatchObject({ sequence: 4, code: 'STORED_CONFIRMATION_DIFFERS' });
  });

  test('does not count what a joiner said about entries before its time', async () => {
    const joined = new TestLedger([a, b, c], [a, b]);
    joined.upload('plan-1');
    joined.confirm(c);
    joined.reconfigure(a, b, c);
    joined.confirm(c);

    expect(await auditRegistry(await holding(joined), joined.registryId)).toMatchObject({
      outcome: 'sound',
      confirmations: 1,
    });
  });
});

describe('an audit of documents', () => {
  const contentOf = (sequence: number): Digest =>
    JSON.parse(Buffer.from(ledger.entryAt(sequence).transaction).toString()).contentDigest;

  test('finds bytes that are missing', async () => {
    const ports = await holding(ledger);
    ports.blobs.lose(contentOf(6));

    expect(await auditRegistry(ports, ledger.registryId)).toMatchObject({
      sequence: 6,
      code: 'DOCUMENT_MISSING',
      detail: 'the bytes of version 2 of plan-2 are not there',
    });
  });

  test.each([
    [
      'one byte changed',
      (bytes: Buffer) => Buffer.from(bytes.map((byte, index) => (index === 3 ? byte ^ 1 : byte))),
    ],
    ['fewer bytes', (bytes: Buffer) => bytes.subarray(1)],
    ['more bytes', (bytes: Buffer) => Buffer.concat([bytes, bytes])],
    ['no bytes', () => Buffer.alloc(0)],
  ])('finds a document with %s', async (_what, change) => {
    const ports = await holding(ledger);
    const contentDigest = contentOf(3);
    ports.blobs.corrupt(contentDigest, change(ledger.documents.get(contentDigest) as Buffer));

    expect(await auditRegistry(ports, ledger.registryId)).toMatchObject({
      sequence: 3,
      code: 'DOCUMENT_DIFFERS',
    });
  });

  test('leaves open what a mirror has not fetched yet, and says how many', async () => {
    const ports = await holding(ledger);
    const progress = { registryId: ledger.registryId, confirmedThrough: 5, failures: 0 };
    await ports.store.putProgress({ ...progress, verifiedThrough: 5 });
    ports.blobs.lose(contentOf(6));

    expect(await auditRegistry(ports, ledger.registryId)).toMatchObject({
      outcome: 'sound',
      documents: 4,
      documentsPending: 1,
    });
  });

  test('finds missing what a mirror had confirmed', async () => {
    const ports = await holding(ledger);
    const progress = { registryId: ledger.registryId, confirmedThrough: 6, failures: 0 };
    await ports.store.putProgress({ ...progress, verifiedThrough: 6 });
    ports.blobs.lose(contentOf(6));

    expect(await auditRegistry(ports, ledger.registryId)).toMatchObject({
      code: 'DOCUMENT_MISSING',
    });
  });
});
