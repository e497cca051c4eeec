import { describe, expect, test } from 'vitest';
import { checkCarriesOut } from '../../shared/ledger/carry-out.ts';
import type { ConflictStatement } from '../../shared/ledger/conflict.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type { Resolution } from '../../shared/ledger/resolution.ts';
import type { Transaction } from '../../shared/ledger/transaction.ts';
import { readTestTransaction, reconfigurePeers, testPeer, uploadDocument } from '../builders.ts';

const [lead, a, b, c] = [testPeer(), testPeer(), testPeer(), testPeer()];
const peers = [lead, a, b].map(({ certificateId }) => certificateId);

function under(manner: Resolution['manner'], reports: readonly Partial<ConflictStatement>[]) {
  const resolution = { manner, entries: [] } as unknown as Resolution;
  return { resolution, reports: reports as readonly ConflictStatement[], peers };
}

function transactionOf(test: Parameters<typeof readTestTransaction>[0]): Transaction {
  return readTestTransaction(test).transaction;
}

const about = digestOf('registry');
const place = { registryId: about, sequence: 7 as Sequence, digests: [about] };
const found = { ...place, kind: 'local-tampering' as const };

describe('expel', () => {
  const byA = { ...found, accused: lead.certificateId, signer: a.certificateId };
  const openByB = { ...found, accused: 'open', signer: b.certificateId } as const;
  const byBoth = { ...byA, signer: b.certificateId };
  const accusing = { ...found, accused: b.certificateId, signer: lead.certificateId };

  test.each([
    ['the finder, where the lead is accused', [byA], [lead, b]],
    ['the finder, where nobody is', [openByB], [lead, a]],
    ['the accused', [accusing], [lead, a]],
    ['both, where each is about one of them', [byA, openByB], [lead]],
    ['one of the two who found the same', [byA, byBoth], [lead, a]],
    ['whoever of the two is left', [{ ...byA, signer: c.certificateId }, openByB], [lead, a]],
  ])('is carried out by a list without %s', (_name, reports, list) => {
    const outcome = checkCarriesOut(under('expel', reports), [
      transactionOf(reconfigurePeers(list)),
    ]);

    expect(outcome).toBeUndefined();
  });

  test('of a fork is carried out by a list without any mirror, also one that reported nothing', () => {
    const fork = { ...byA, kind: 'fork' as const };

    const outcome = checkCarriesOut(under('expel', [fork]), [
      transactionOf(reconfigurePeers([lead, a])),
    ]);

    expect(outcome).toBeUndefined();
  });

  test.each([
    ['another transaction', [byA], [uploadDocument('X')], 'one reconfigure-peers'],
    ['two of them', [byA], [reconfigurePeers([lead, b]), uploadDocument('X')], 'one reconfigure'],
    ['another lead', [byA], [reconfigurePeers([b, lead])], 'keeps its lead'],
    ['a list with somebody new', [byA], [reconfigurePeers([lead, b, c])], 'adds nobody'],
    ['a list without a bystander', [byA], [reconfigurePeers([lead])], 'neither accused'],
    ['the list as it was', [byA], [reconfigurePeers([lead, a, b])], 'leaves in'],
    ['half of what is to be done', [byA, openByB], [reconfigurePeers([lead, b])], 'leaves in'],
  ])('is not carried out by %s', (_name, reports, tests, said) => {
    const outcome = checkCarriesOut(under('expel', reports), tests.map(transactionOf));

    expect(outcome).toMatchObject({ code: 'NOT_RESOLVING' });
    expect(outcome?.detail).toContain(said);
  });
});

describe('replace', () => {
  const alternative = {
    ...transactionOf(uploadDocument('X')),
    supersedes: { sequence: 5, digest: 'ab'.repeat(32) },
  } as unknown as Transaction;

  test('is carried out by alternatives, and by the present list where there are none', () => {
    const same = transactionOf(reconfigurePeers([lead, a, b]));

    expect(checkCarriesOut(under('replace', []), [alternative, alternative])).toBeUndefined();
    expect(checkCarriesOut(under('replace', []), [same])).toBeUndefined();
  });

  test.each([
    ['a transaction that replaces nothing', uploadDocument('X')],
    ['another list', reconfigurePeers([lead, a])],
  ])('is not carried out by %s', (_name, test) => {
    const outcome = checkCarriesOut(under('replace', []), [alternative, transactionOf(test)]);

    expect(outcome).toMatchObject({ code: 'NOT_RESOLVING' });
  });
});

test.each([
  'replay',
  'set-aside',
  'take-back',
  'close',
] as const)('%s asks nothing of the entry that names it', (manner) => {
  expect(checkCarriesOut(under(manner, []), [transactionOf(uploadDocument('X'))])).toBeUndefined();
});
