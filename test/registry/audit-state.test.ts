import { describe, expect, test } from 'vitest';
import { MemoryBlobStore } from '../../shared/adapters/memory/memory-blob-store.ts';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import { signatureInputDigest } from '../../shared/ledger/signature.ts';
import {
  documentKey,
  requestKey,
  type StateItem,
  type StateKey,
  signatureKey,
} from '../../shared/ledger/state.ts';
import { auditRegistry } from '../../shared/registry/audit.ts';
import type { LedgerStore } from '../../shared/registry/ports.ts';
import { START, TestLedger, testPeer, testUuid, timeAfter } from '../builders.ts';
import { requestSignature, signDocument, targetOf, testSigner } from '../signing.ts';
import { answering } from './reading.ts';

const signer = testSigner();
const other = digestOf('other');
const [open, signed, due] = [testUuid(0xa01), testUuid(0xa02), testUuid(0xa03)];

/** Entries 2 to 4: A 1, B 1, A 2. 5 to 7: the requests. 8: the second is signed. 9: A 3. */
function signingLedger(): TestLedger {
  const ledger = new TestLedger([testPeer()]);
  ledger.upload('A', 'B', 'A');
  const dueAt = timeAfter(90);
  ledger.commit([requestSignature(signer, 'A', { requestId: open })]);
  ledger.commit([requestSignature(signer, 'B', { requestId: signed })]);
  ledger.commit([requestSignature(signer, 'A', { requestId: due, version: 2, dueAt })]);
  ledger.commit([signDocument(signed, signer.sign(targetOf(ledger, signed)))]);
  ledger.upload('A');
  return ledger;
}

const ledger = signingLedger();
const recorded = JSON.parse(Buffer.from(ledger.entryAt(8).transaction).toString());
const givenKey = signatureKey(signatureInputDigest(recorded.signature));

type Change = (item: StateItem) => object | undefined;

/** What an audit says where the table holds another item under the key. */
async function findingOf(of: TestLedger, key?: StateKey, change?: Change): Promise<string> {
  const held = new MemoryLedgerStore();
  const blobs = new MemoryBlobStore({ name: 'audited', clock: { now: () => START } });
  await of.fill(held);
  await of.fillBlobs(blobs);
  const read: LedgerStore['read'] = async (...asked) => {
    const found = await held.read(...asked);
    const items = new Map(found.items);
    const item = key && items.get(key);
    if (key === undefined || item === undefined) return found;
    const changed = change?.(item);
    if (changed === undefined) items.delete(key);
    else items.set(key, changed as StateItem);
    return { ...found, items };
  };
  const outcome = await auditRegistry({ store: answering(held, { read }), blobs }, of.registryId);
  return outcome.outcome === 'wrong'
    ? `${outcome.sequence} ${outcome.code}: ${outcome.detail}`
    : outcome.outcome;
}

function linkTo(sequence: number) {
  const { digest } = ledger.entryAt(sequence);
  return { sequence: sequence as Sequence, digest };
}

function without(item: StateItem, name: string): object {
  return Object.fromEntries(Object.entries(item).filter(([each]) => each !== name));
}

function differsAt(sequence: number, key: StateKey): string {
  return `${sequence} STATE_ITEM_DIFFERS: the state item ${key} is not what entry ${sequence} made it`;
}

describe('an audit of signing requests', () => {
  test('finds the state of an intact ledger sound', async () => {
    expect(await findingOf(ledger)).toBe('sound');
  });

  test('of more requests than a page has entries, signed pages later, is sound', async () => {
    const long = new TestLedger([testPeer()]);
    long.upload('A');
    const ids = Array.from({ length: 120 }, (_, n) => testUuid(0xb000 + n));
    for (let from = 0; from < ids.length; from += 24)
      long.commit(
        ids.slice(from, from + 24).map((requestId) => requestSignature(signer, 'A', { requestId })),
      );
    for (const [n, requestId] of [...ids.entries()].reverse().slice(0, 110))
      long.commit([signDocument(requestId, signer.sign(targetOf(long, requestId), n))]);

    expect(await findingOf(long)).toBe('sound');
  });

  test.each<readonly [string, Change]>([
    ['is missing', () => undefined],
    ['names another entry', (item) => ({ ...item, entry: linkTo(6) })],
    ['names another document', (item) => ({ ...item, documentId: 'B' })],
    ['names another version', (item) => ({ ...item, version: 2 })],
    ['names other content', (item) => ({ ...item, contentDigest: other })],
    ['names another purpose', (item) => ({ ...item, purpose: 'origin' })],
    ['names another key', (item) => ({ ...item, publicKey: testSigner().publicKey })],
    ['has a due date', (item) => ({ ...item, dueAt: timeAfter(90) })],
    ['has a member too many', (item) => ({ ...item, extra: true })],
    ['is signed by an entry that answers another', (item) => ({ ...item, signed: linkTo(8) })],
    ['is signed by an entry that is no signature', (item) => ({ ...item, signed: linkTo(3) })],
    [
      'is signed by an entry that is not there',
      (item) => ({ ...item, signed: { sequence: 99, digest: other } }),
    ],
    ['is signed by what is no link', (item) => ({ ...item, signed: null })],
  ])('finds an open one that %s', async (_what, change) => {
    const key = requestKey(open);

    expect(await findingOf(ledger, key, change)).toBe(differsAt(5, key));
  });

  test('finds one with another due date, or without', async () => {
    const key = requestKey(due);

    for (const change of [
      (item: StateItem) => ({ ...item, dueAt: timeAfter(91) }),
      (item: StateItem) => without(item, 'dueAt'),
    ])
      expect(await findingOf(ledger, key, change)).toBe(differsAt(7, key));
  });

  test('finds one that was signed and is open in the state', async () => {
    const key = requestKey(signed);

    const finding = await findingOf(ledger, key, (item) => without(item, 'signed'));

    expect(finding).toBe(differsAt(8, key));
  });

  test('finds one that was signed and names another digest of the signature', async () => {
    const key = requestKey(signed);
    const change: Change = (item) => ({ ...item, signed: { ...linkTo(8), digest: other } });

    expect(await findingOf(ledger, key, change)).toBe(differsAt(8, key));
  });

  test('finds a signature that is missing, or names another entry', async () => {
    for (const change of [() => undefined, () => ({ entry: linkTo(5) }), () => ({})])
      expect(await findingOf(ledger, givenKey, change)).toBe(differsAt(8, givenKey));
  });
});

describe('an audit of documents in the state', () => {
  const key = documentKey('A');

  test.each<readonly [string, Change]>([
    ['that begins at another entry', (item) => ({ ...item, first: 3 })],
    ['that begins nowhere', (item) => without(item, 'first')],
    ['of a version that there never was', (item) => ({ ...item, version: 4 })],
    ['of a version of another document', (item) => ({ ...item, entry: linkTo(3) })],
    ['of no entry', (item) => without(item, 'entry')],
  ])('finds one %s', async (_what, change) => {
    expect(await findingOf(ledger, key, change)).toBe(differsAt(2, key));
  });

  test('finds one whose newest version is not the last', async () => {
    const change: Change = (item) => ({ ...item, version: 2, entry: linkTo(4) });

    expect(await findingOf(ledger, key, change)).toBe(differsAt(9, key));
  });
});
