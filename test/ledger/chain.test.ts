import { describe, expect, test } from 'vitest';
import {
  checkPlace,
  extendHead,
  handsOver,
  leadOf,
  nextEntry,
  sameLink,
} from '../../shared/ledger/chain.ts';
import { type CertificateId, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import { buildEntry, type EntryParts, linkTo } from '../../shared/ledger/entry.ts';
import {
  readTestTransaction,
  reconfigurePeers,
  TestLedger,
  testPeer,
  timeAfter,
  uploadDocument,
} from '../builders.ts';

const [a, b, c] = [testPeer(), testPeer(), testPeer()];

function ledgerOf(entries: number): TestLedger {
  const ledger = new TestLedger([a, b, c]);
  while (ledger.head.sequence < entries) ledger.upload('plan-1');
  return ledger;
}

function placementOf(transaction: ReturnType<typeof readTestTransaction>) {
  const { transaction: read, digest } = transaction;
  return { transaction: read, transactionDigest: digest, resolves: [] };
}

describe('building the next entry', () => {
  const ledger = ledgerOf(7);
  const upload = readTestTransaction(uploadDocument('plan-1', { version: 7 }));

  test('gives it the place, the lead and the links that follow from the head', () => {
    const { entry } = nextEntry(ledger.head, placementOf(upload), timeAfter(99));

    expect(entry).toMatchObject({
      sequence: 8,
      registryId: ledger.registryId,
      lead: a.certificateId,
      configuration: { sequence: 1, digest: ledger.entryAt(1).digest },
      backlinks: [7, 6, 4].map((sequence) => ({
        sequence,
        digest: ledger.entryAt(sequence).digest,
      })),
      timestamp: timeAfter(99),
    });
  });

  test('keeps the time of the entry before where the clock is behind it', () => {
    const { entry } = nextEntry(ledger.head, placementOf(upload), timeAfter(-99));

    expect(entry.timestamp).toBe(ledger.head.timestamp);
  });

  test('fits its own check', () => {
    const subject = linkTo(nextEntry(ledger.head, placementOf(upload), timeAfter(9)));
    const read = nextEntry(ledger.head, { ...placementOf(upload), subject }, timeAfter(9));

    expect(checkPlace(ledger.head, read, upload.transaction, upload.digest)).toBeUndefined();
  });

  test('of a first transaction that is no create-registry names a lead that nobody is', () => {
    const { entry } = nextEntry(undefined, placementOf(upload), timeAfter(0));

    expect(entry).toMatchObject({ sequence: 1, lead: '', registryId: upload.digest });
  });
});

describe('the place of an entry', () => {
  const ledger = ledgerOf(7);
  const upload = readTestTransaction(uploadDocument('plan-1', { version: 7 }));
  const right = nextEntry(ledger.head, placementOf(upload), timeAfter(9)).entry;
  const other = digestOf('other');
  const [first, ...rest] = right.backlinks;

  function codeOf(change: Partial<EntryParts>): string | undefined {
    const entry = buildEntry({ ...right, ...change } as EntryParts);
    return checkPlace(ledger.head, entry, upload.transaction, upload.digest)?.code;
  }

  test('right as it was built', () => {
    expect(codeOf({})).toBeUndefined();
  });

  const links = (sequences: readonly number[]) =>
    sequences.map((sequence) => ({
      sequence: sequence as Sequence,
      digest: ledger.entryAt(sequence).digest,
    }));

  test.each<readonly [string, Partial<EntryParts>, string]>([
    ['the sequence of the head', { sequence: 7 as Sequence }, 'SEQUENCE_NOT_NEXT'],
    ['a sequence further on', { sequence: 9 as Sequence }, 'SEQUENCE_NOT_NEXT'],
    ['another transaction', { transactionDigest: other }, 'TRANSACTION_DIGEST_DIFFERS'],
    ['another registry', { registryId: other }, 'REGISTRY_DIFFERS'],
    ['a mirror as lead', { lead: b.certificateId }, 'LEAD_DIFFERS'],
    ['no backlinks', { backlinks: [] }, 'BACKLINKS_WRONG'],
    ['the nearest backlink alone', { backlinks: links([7]) }, 'BACKLINKS_WRONG'],
    ['one backlink too many', { backlinks: links([7, 6, 4, 1]) }, 'BACKLINKS_WRONG'],
    ['backlinks in another order', { backlinks: links([6, 7, 4]) }, 'BACKLINKS_WRONG'],
    ['a backlink twice', { backlinks: links([7, 7, 4]) }, 'BACKLINKS_WRONG'],
    ['backlinks at other distances', { backlinks: links([7, 5, 4]) }, 'BACKLINKS_WRONG'],
    [
      'another digest at distance 1',
      { backlinks: [{ sequence: 7 as Sequence, digest: other }, ...rest] },
      'BACKLINKS_WRONG',
    ],
    [
      'another digest at distance 4',
      { backlinks: [...right.backlinks.slice(0, 2), { sequence: 4 as Sequence, digest: other }] },
      'BACKLINKS_WRONG',
    ],
    [
      'a configuration that is none',
      { configuration: { sequence: 7 as Sequence, digest: ledger.head.digest } },
      'CONFIGURATION_LINK_WRONG',
    ],
    [
      'the configuration with another digest',
      { configuration: { sequence: 1 as Sequence, digest: other } },
      'CONFIGURATION_LINK_WRONG',
    ],
    ['a time before the last', { timestamp: timeAfter(-1) }, 'TIMESTAMP_BEFORE_PREVIOUS'],
  ])('is wrong with %s', (_rule, change, code) => {
    expect(codeOf(change)).toBe(code);
  });

  test('is wrong without a configuration link', () => {
    const { configuration: _, ...parts } = right;

    const entry = buildEntry(parts as EntryParts);
    expect(checkPlace(ledger.head, entry, upload.transaction, upload.digest)?.code).toBe(
      'CONFIGURATION_LINK_WRONG',
    );
  });

  test('of entry 1 is wrong with a configuration link or with backlinks', () => {
    const { transaction, digest } = readTestTransaction({
      transaction: Buffer.from(ledger.entryAt(1).transaction),
    });
    const { entry } = nextEntry(
      undefined,
      { transaction, transactionDigest: digest, resolves: [] },
      timeAfter(0),
    );
    const codes = [{}, { configuration: first }, { backlinks: [first] }].map((change) => {
      const changed = buildEntry({ ...entry, ...change } as EntryParts);
      return checkPlace(undefined, changed, transaction, digest)?.code;
    });

    expect(codes).toEqual([undefined, 'CONFIGURATION_LINK_WRONG', 'BACKLINKS_WRONG']);
  });
});

describe('the head after an entry', () => {
  test('keeps the configuration that was in force', () => {
    const ledger = ledgerOf(3);

    expect(ledger.head.configuration).toMatchObject({
      sequence: 1,
      digest: ledger.entryAt(1).digest,
    });
    expect(ledger.head.tower.map(({ sequence }) => sequence)).toEqual([3, 2]);
  });

  test('has the configuration that the entry brings', () => {
    const ledger = ledgerOf(3);
    ledger.reconfigure(b, a);

    expect(ledger.head.configuration).toEqual({
      sequence: 4,
      digest: ledger.head.digest,
      peers: [b.certificateId, a.certificateId],
    });
    expect(leadOf(ledger.head.configuration)).toBe(b.certificateId);
  });

  test('is that of the entry, which need not be verified', () => {
    const upload = readTestTransaction(uploadDocument());
    const read = nextEntry(undefined, placementOf(upload), timeAfter(0));

    expect(extendHead(undefined, read, upload.transaction)).toMatchObject({
      sequence: 1,
      digest: read.digest,
      tower: [linkTo(read)],
    });
  });
});

describe('a hand-over', () => {
  const { head } = ledgerOf(2);
  const handed = (first: { readonly certificateId: CertificateId }) =>
    handsOver(head, readTestTransaction(reconfigurePeers([first])).transaction);

  test('is a reconfigure with another first peer, and nothing else', () => {
    expect(handed(b)).toBe(true);
    expect(handed(a)).toBe(false);
    expect(handsOver(head, readTestTransaction(uploadDocument()).transaction)).toBe(false);
  });
});

test('two links are the same if both members are, or both are absent', () => {
  const link = { sequence: 1 as Sequence, digest: digestOf('x') };

  expect(sameLink(link, { ...link })).toBe(true);
  expect(sameLink(undefined, undefined)).toBe(true);
  expect(sameLink(link, undefined)).toBe(false);
  expect(sameLink(link, { ...link, sequence: 2 as Sequence })).toBe(false);
  expect(sameLink(link, { ...link, digest: digestOf('y') })).toBe(false);
});
