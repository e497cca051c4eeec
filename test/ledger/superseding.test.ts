import { describe, expect, test } from 'vitest';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import {
  documentKey,
  requestKey,
  type StateView,
  supersededKey,
  transactionKey,
  versionKey,
} from '../../shared/ledger/state.ts';
import {
  carriedOut,
  changesWithoutEffect,
  stateKeysOfVoided,
  type VoidedEntry,
  voidChanges,
} from '../../shared/ledger/superseding.ts';
import {
  createRegistry,
  readTestTransaction,
  reconfigurePeers,
  TestLedger,
  testPeer,
  testUuid,
  uploadDocument,
} from '../builders.ts';
import { linkAt, resolutionOf } from '../resolving.ts';
import { requestSignature, signDocument, targetOf, testSigner } from '../signing.ts';

const [a, b] = [testPeer(), testPeer()];
const signer = testSigner();
const requestId = testUuid(901);
const by = { entry: { sequence: 9 as Sequence, digest: digestOf('9') }, resolution: digestOf('r') };

/** 2: plan-1 1. 3: a request to sign it. 4: its signature. 5: the same peers again. */
function signedLedger(): TestLedger {
  const ledger = new TestLedger([a, b]);
  ledger.upload('plan-1');
  ledger.commit([requestSignature(signer, 'plan-1', { requestId })]);
  ledger.commit([signDocument(requestId, signer.sign(targetOf(ledger, requestId)))]);
  ledger.reconfigure(a, b);
  return ledger;
}

const ledger = signedLedger();
const view: StateView = (key) => ledger.state.get(key);

function entryAt(sequence: number): VoidedEntry {
  const transaction = Buffer.from(ledger.entryAt(sequence).transaction);
  const read = readTestTransaction({ transaction });
  return { link: linkAt(ledger, sequence), transaction: read.transaction };
}

/** An entry that broke a rule: it stands there, and nothing came of it. */
function withoutEffect(sequence: number, test: Parameters<typeof readTestTransaction>[0]) {
  const link = { sequence: sequence as Sequence, digest: digestOf(`entry ${sequence}`) };
  return { link, transaction: readTestTransaction(test).transaction };
}

describe('voiding', () => {
  test('reads the mark and the item by which the entry had its effect', () => {
    expect(stateKeysOfVoided([2, 3, 4, 5].map(entryAt))).toEqual([
      supersededKey(2),
      versionKey('plan-1', 1),
      supersededKey(3),
      requestKey(requestId),
      supersededKey(4),
      supersededKey(5),
    ]);
  });

  test('a version marks it, and leaves the document with its number', () => {
    const before = view(versionKey('plan-1', 1));

    expect(voidChanges(view, [entryAt(2)], by)).toEqual([
      {
        key: supersededKey(2),
        before: undefined,
        after: { ...by, type: 'upload-document', subject: 'plan-1' },
      },
      { key: versionKey('plan-1', 1), before, after: { ...before, superseded: by.entry } },
    ]);
    expect(view(documentKey('plan-1'))).toMatchObject({ version: 1 });
  });

  test('a request marks it, and leaves its signature visible', () => {
    const before = view(requestKey(requestId));

    expect(voidChanges(view, [entryAt(3)], by)).toEqual([
      {
        key: supersededKey(3),
        before: undefined,
        after: { ...by, type: 'request-signature', subject: 'plan-1' },
      },
      { key: requestKey(requestId), before, after: { ...before, superseded: by.entry } },
    ]);
    expect(before).toHaveProperty('signed', linkAt(ledger, 4));
  });

  test('a signature opens its request again, and marks nothing else', () => {
    const before = view(requestKey(requestId));
    const [mark, request, ...others] = voidChanges(view, [entryAt(4)], by);

    expect(mark).toMatchObject({ after: { type: 'sign-document', subject: requestId } });
    expect(request).toMatchObject({ key: requestKey(requestId), before });
    expect(request?.after).not.toHaveProperty('signed');
    expect(others).toEqual([]);
  });

  test('a peer list marks the entry alone, for the list stays in force', () => {
    expect(voidChanges(view, [entryAt(5)], by)).toEqual([
      { key: supersededKey(5), before: undefined, after: { ...by, type: 'reconfigure-peers' } },
    ]);
  });

  test('a request and its signature changes the request once', () => {
    const before = view(requestKey(requestId));
    const changes = voidChanges(view, [entryAt(4), entryAt(3)], by);
    const ofRequest = changes.filter(({ key }) => key === requestKey(requestId));

    expect(ofRequest).toMatchObject([{ before, after: { superseded: by.entry } }]);
    expect(ofRequest[0]?.after).not.toHaveProperty('signed');
  });

  test.each([
    ['an upload of a version that is there', uploadDocument('plan-1')],
    ['an upload of a version that was not next', uploadDocument('plan-1', { version: 7 })],
    ['a request with an id that is there', requestSignature(signer, 'plan-1', { requestId })],
    ['a request of something else', requestSignature(signer, 'plan-9')],
    ['a second answer', signDocument(requestId, signer.sign(targetOf(ledger, requestId), 60))],
    ['an answer to nothing', signDocument(testUuid(902), signer.sign(targetOf(ledger, requestId)))],
    ['a second create-registry', createRegistry([a])],
  ])('%s, which had no effect, marks the entry alone', (_what, transaction) => {
    const voided = withoutEffect(6, transaction);

    expect(voidChanges(view, [voided], by).map(({ key }) => key)).toEqual([supersededKey(6)]);
  });

  test('what was voided before changes nothing', () => {
    const marked: StateView = (key) =>
      key === supersededKey(2) ? { ...by, type: 'upload-document' } : view(key);

    expect(voidChanges(marked, [entryAt(2)], by)).toEqual([]);
    expect(voidChanges(view, [entryAt(5), entryAt(5)], by)).toHaveLength(1);
  });
});

test('an entry without effect uses its transaction id', () => {
  const { transaction, digest } = readTestTransaction(reconfigurePeers([a]));
  const item = { transactionDigest: digest, sequence: 6 };

  expect(changesWithoutEffect(transaction, item)).toEqual([
    { key: transactionKey(transaction.transactionId), before: undefined, after: item },
  ]);
});

test('a resolution that a later one ends is not carried out', () => {
  const first = resolutionOf(ledger, [2], { finder: b });
  const changes = { after: first.digest };
  const second = resolutionOf(ledger, [3], { finder: b, changes });

  expect(carriedOut([first, second])).toEqual([second]);
  expect(carriedOut([first])).toEqual([first]);
});
