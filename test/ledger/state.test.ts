import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Link } from '../../shared/ledger/backlinks.ts';
import { type ChainHead, extendHead, nextEntry } from '../../shared/ledger/chain.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import { linkTo } from '../../shared/ledger/entry.ts';
import { signatureInputDigest } from '../../shared/ledger/signature.ts';
import {
  documentKey,
  mergeChanges,
  type Ruling,
  requestKey,
  rule,
  type StateChange,
  type StateItem,
  type StateKey,
  signatureKey,
  stateKeysOf,
  supersededKey,
  transactionKey,
  versionKey,
  viewAfter,
} from '../../shared/ledger/state.ts';
import {
  createRegistry,
  readTestTransaction,
  reconfigurePeers,
  TestLedger,
  type TestTransaction,
  testPeer,
  testUuid,
  timeAfter,
  uploadDocument,
} from '../builders.ts';
import { linkAt, resolutionOf } from '../resolving.ts';
import { requestSignature, signDocument, targetOf, testSigner } from '../signing.ts';
import { transactions } from './transactions.ts';

const [a, b] = [testPeer(), testPeer()];
const someLink = { digest: digestOf('x'), sequence: 1 as Sequence };

/** The ruling on a transaction after the ledger. */
function rulingOn(
  ledger: TestLedger | undefined,
  test: TestTransaction,
  replaceable?: readonly Link[],
): Ruling {
  const { transaction, digest } = readTestTransaction(test);
  return rule(ledger?.head, (key) => ledger?.state.get(key), transaction, digest, replaceable);
}

function codeOf(ruling: Ruling): string {
  return ruling.outcome === 'refused' ? ruling.code : 'accepted';
}

function ledgerWith(...documentIds: readonly string[]): TestLedger {
  const ledger = new TestLedger([a, b]);
  for (const documentId of documentIds) ledger.upload(documentId);
  return ledger;
}

describe('the rule of create-registry', () => {
  test('accepts it as entry 1, with its transaction id', () => {
    const create = createRegistry([a]);
    const { transaction, digest } = readTestTransaction(create);
    const ruling = rulingOn(undefined, create);

    expect(ruling).not.toHaveProperty('subject');
    expect(ruling.outcome === 'accepted' && ruling.changesAt(someLink)).toEqual([
      {
        key: transactionKey(transaction.transactionId),
        before: undefined,
        after: { transactionDigest: digest, sequence: 1 },
      },
    ]);
  });

  test('refuses it as any other entry', () => {
    expect(codeOf(rulingOn(ledgerWith(), createRegistry([a])))).toBe('NOT_FIRST_ENTRY');
  });

  test('refuses anything else as entry 1', () => {
    expect(codeOf(rulingOn(undefined, uploadDocument()))).toBe('NOT_FIRST_ENTRY');
    expect(codeOf(rulingOn(undefined, reconfigurePeers([a])))).toBe('NOT_FIRST_ENTRY');
  });
});

describe('the rule of transaction ids', () => {
  test('refuses an id that has an entry, whatever the type', () => {
    const ledger = ledgerWith('plan-1');
    const transactionId = ledger.entryAt(2).transactionId;

    expect(codeOf(rulingOn(ledger, uploadDocument('plan-2', { transactionId })))).toBe(
      'TRANSACTION_ID_REUSED',
    );
    expect(codeOf(rulingOn(ledger, reconfigurePeers([a], { transactionId })))).toBe(
      'TRANSACTION_ID_REUSED',
    );
  });
});

describe('the rule of upload-document', () => {
  test('accepts version 1 of a new document, without a subject', () => {
    const upload = uploadDocument('plan-1');
    const ruling = rulingOn(ledgerWith(), upload);
    const { transaction, digest } = readTestTransaction(upload);
    const entry = { ...someLink, sequence: 2 as Sequence };

    expect(ruling).not.toHaveProperty('subject');
    expect(ruling.outcome === 'accepted' && ruling.changesAt(entry)).toEqual([
      {
        key: transactionKey(transaction.transactionId),
        before: undefined,
        after: { transactionDigest: digest, sequence: 2 },
      },
      { key: documentKey('plan-1'), before: undefined, after: { first: 2, version: 1, entry } },
      {
        key: versionKey('plan-1', 1),
        before: undefined,
        after: {
          entry,
          contentDigest: expect.any(String),
          size: upload.content?.length,
          mediaType: 'application/pdf',
        },
      },
    ]);
  });

  test('accepts the next version, with the version before as subject', () => {
    const ledger = ledgerWith('plan-1', 'plan-2');
    const before = { sequence: 2, digest: ledger.entryAt(2).digest };
    const ruling = rulingOn(ledger, uploadDocument('plan-1', { version: 2 }));

    expect(ruling).toMatchObject({ outcome: 'accepted', subject: before });
    expect(ruling.outcome === 'accepted' && ruling.changesAt(someLink)[1]).toEqual({
      key: documentKey('plan-1'),
      before: { first: 2, version: 1, entry: before },
      after: { first: 2, version: 2, entry: someLink },
    });
  });

  test.each([
    ['the version that is there', 1],
    ['a version that leaves one out', 3],
    ['the largest version', Number.MAX_SAFE_INTEGER],
  ])('refuses %s', (_rule, version) => {
    const ruling = rulingOn(ledgerWith('plan-1'), uploadDocument('plan-1', { version }));

    expect(ruling).toMatchObject({
      code: 'VERSION_NOT_NEXT',
      detail: expect.stringContaining('the next version is 2'),
    });
  });

  test('refuses version 2 of a new document', () => {
    expect(codeOf(rulingOn(ledgerWith(), uploadDocument('plan-1', { version: 2 })))).toBe(
      'VERSION_NOT_NEXT',
    );
  });
});

describe('the rule of reconfigure-peers', () => {
  test('accepts any list, with the configuration before as subject', () => {
    const ledger = ledgerWith('plan-1');

    expect(rulingOn(ledger, reconfigurePeers([b]))).toMatchObject({
      outcome: 'accepted',
      subject: { sequence: 1, digest: ledger.entryAt(1).digest },
    });
  });

  test('records the transaction id and nothing else', () => {
    const ledger = ledgerWith();
    ledger.reconfigure(b, a);

    expect([...ledger.state.keys()]).toEqual(
      ledger.entries.map(({ transactionId }) => transactionKey(transactionId)),
    );
  });
});

const [first, second] = [testUuid(901), testUuid(902)];
const signer = testSigner();

/** A ledger of version 1 of plan-1, and a request to sign it. */
function ledgerWithRequest(): TestLedger {
  const ledger = ledgerWith('plan-1');
  ledger.commit([requestSignature(signer, 'plan-1', { requestId: first })]);
  return ledger;
}

describe('the rule of request-signature', () => {
  test('accepts a request about a version, with the version as subject', () => {
    const ledger = ledgerWith('plan-1');
    ledger.upload('plan-1');
    const version = { sequence: 2, digest: ledger.entryAt(2).digest };
    const request = requestSignature(signer, 'plan-1', {
      requestId: first,
      dueAt: '2026-12-24T12:00:00.000Z',
    });
    const ruling = rulingOn(ledger, request);
    const { transaction, digest } = readTestTransaction(request);

    expect(ruling).toMatchObject({ outcome: 'accepted', subject: version });
    expect(ruling.outcome === 'accepted' && ruling.changesAt(someLink)).toEqual([
      {
        key: transactionKey(transaction.transactionId),
        before: undefined,
        after: { transactionDigest: digest, sequence: 4 },
      },
      {
        key: requestKey(first),
        before: undefined,
        after: {
          entry: someLink,
          documentId: 'plan-1',
          version: 1,
          contentDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
          purpose: 'approval',
          publicKey: signer.publicKey,
          dueAt: '2026-12-24T12:00:00.000Z',
        },
      },
    ]);
  });

  test('refuses a request id that has an entry', () => {
    const ledger = ledgerWithRequest();
    const again = requestSignature(testSigner(), 'plan-1', { requestId: first });

    expect(codeOf(rulingOn(ledger, again))).toBe('REQUEST_ID_REUSED');
  });

  test.each([
    ['a document', 'plan-2', 1],
    ['a version', 'plan-1', 2],
  ])('refuses %s that is not there', (_what, documentId, version) => {
    const request = requestSignature(signer, documentId, { version });

    expect(codeOf(rulingOn(ledgerWith('plan-1'), request))).toBe('VERSION_UNKNOWN');
  });

  test('refuses a version that was replaced or voided', () => {
    const ledger = ledgerWith('plan-1');
    voiding(ledger, [2]);
    const request = requestSignature(signer, 'plan-1');

    expect(rulingOn(ledger, request)).toMatchObject({
      code: 'VERSION_SUPERSEDED',
      detail: expect.stringContaining('entry 3'),
    });
  });

  test('refuses a key that is not admitted', () => {
    const publicKey = { crv: 'Ed25519', kty: 'OKP', x: 'AQID' } as const;
    const request = requestSignature({ publicKey }, 'plan-1');

    expect(codeOf(rulingOn(ledgerWith('plan-1'), request))).toBe('KEY_NOT_ALLOWED');
  });
});

describe('the rule of sign-document', () => {
  test('accepts the signature that was requested, with the request as subject', () => {
    const ledger = ledgerWithRequest();
    const signature = signer.sign(targetOf(ledger, first));
    const sign = signDocument(first, signature);
    const ruling = rulingOn(ledger, sign);
    const { transaction } = readTestTransaction(sign);
    const before = ledger.state.get(requestKey(first));
    const request = { sequence: 3, digest: ledger.entryAt(3).digest };

    expect(ruling).toMatchObject({ outcome: 'accepted', subject: request });
    expect(ruling.outcome === 'accepted' && ruling.changesAt(someLink)).toEqual([
      expect.objectContaining({ key: transactionKey(transaction.transactionId) }),
      { key: requestKey(first), before, after: { ...before, signed: someLink } },
      {
        key: signatureKey(signatureInputDigest(signature)),
        before: undefined,
        after: { entry: someLink },
      },
    ]);
  });

  test('accepts the signature of an older version', () => {
    const ledger = ledgerWithRequest();
    ledger.upload('plan-1');

    const sign = signDocument(first, signer.sign(targetOf(ledger, first)));
    expect(codeOf(rulingOn(ledger, sign))).toBe('accepted');
  });

  test('refuses an answer to nothing', () => {
    const ledger = ledgerWithRequest();
    const sign = signDocument(second, signer.sign(targetOf(ledger, first)));

    expect(codeOf(rulingOn(ledger, sign))).toBe('REQUEST_UNKNOWN');
  });

  test('refuses the signature of a request that was replaced or voided', () => {
    const ledger = ledgerWithRequest();
    voiding(ledger, [3]);
    const sign = signDocument(first, signer.sign(targetOf(ledger, first)));

    expect(rulingOn(ledger, sign)).toMatchObject({
      code: 'REQUEST_SUPERSEDED',
      detail: expect.stringContaining('entry 4'),
    });
  });

  test('refuses a second signature of one request', () => {
    const ledger = ledgerWithRequest();
    ledger.commit([signDocument(first, signer.sign(targetOf(ledger, first)))]);
    const again = signDocument(first, signer.sign(targetOf(ledger, first), 60));

    expect(rulingOn(ledger, again)).toMatchObject({
      code: 'REQUEST_ALREADY_SIGNED',
      detail: expect.stringContaining('entry 4'),
    });
  });

  test('refuses the signature of another request, although it asks the same of the same key', () => {
    const ledger = ledgerWithRequest();
    ledger.commit([requestSignature(signer, 'plan-1', { requestId: second })]);
    const signature = signer.sign(targetOf(ledger, first));
    ledger.commit([signDocument(first, signature)]);

    expect(rulingOn(ledger, signDocument(second, signature))).toMatchObject({
      code: 'SIGNATURE_REPLAYED',
      detail: expect.stringContaining('entry 5'),
    });
    const fresh = signer.sign(targetOf(ledger, second), 60);
    expect(codeOf(rulingOn(ledger, signDocument(second, fresh)))).toBe('accepted');
  });

  test.each([
    ['another registry', { registryId: digestOf('other') }, 'SIGNATURE_OBJECT_DIFFERS'],
    ['another document', { documentId: 'plan-2' }, 'SIGNATURE_OBJECT_DIFFERS'],
    ['another version', { version: 2 }, 'SIGNATURE_OBJECT_DIFFERS'],
    ['other bytes', { contentDigest: digestOf('other') }, 'SIGNATURE_CONTENT_DIFFERS'],
    ['another purpose', { purpose: 'receipt' }, 'SIGNATURE_PURPOSE_DIFFERS'],
  ] as const)('refuses a signature over %s', (_what, changes, code) => {
    const ledger = ledgerWithRequest();
    const sign = signDocument(first, signer.sign({ ...targetOf(ledger, first), ...changes }));

    expect(codeOf(rulingOn(ledger, sign))).toBe(code);
  });

  test('refuses the signature of another key', () => {
    const ledger = ledgerWithRequest();
    const sign = signDocument(first, testSigner().sign(targetOf(ledger, first)));

    expect(codeOf(rulingOn(ledger, sign))).toBe('SIGNATURE_WRONG');
  });

  test('asks for a version, its signature and both answers in one commit', () => {
    const ledger = ledgerWithRequest();
    const third = testUuid(903);
    const target = { ...targetOf(ledger, first), version: 2 };
    const contentDigest = digestOf('bytes of plan-1 2');
    ledger.commit([
      uploadDocument('plan-1', { version: 2 }),
      requestSignature(signer, 'plan-1', { requestId: third, version: 2 }),
      signDocument(third, signer.sign({ ...target, contentDigest })),
    ]);

    expect(ledger.state.get(requestKey(third))).toMatchObject({ signed: { sequence: 6 } });
  });
});

/** A ledger of plan-1 twice, plan-2, a request to sign plan-1 1, and its signature. */
function ledgerWithSignature(): TestLedger {
  const ledger = ledgerWith('plan-1', 'plan-1', 'plan-2');
  ledger.commit([requestSignature(signer, 'plan-1', { requestId: first })]);
  ledger.commit([signDocument(first, signer.sign(targetOf(ledger, first)))]);
  return ledger;
}

/** Voids the entries; what may replace them is what the entry before permits. */
function voiding(ledger: TestLedger, sequences: readonly [number, ...number[]]): Link[] {
  const resolution = resolutionOf(ledger, sequences, { finder: b });
  ledger.commit([reconfigurePeers([a, b])], { resolves: [resolution] });
  return [...resolution.statement.entries];
}

describe('the rule of alternatives', () => {
  const supersedes = (ledger: TestLedger, sequence: number) => ({
    supersedes: linkAt(ledger, sequence),
  });

  test('accepts one for an upload as the next version, with what it replaces as subject', () => {
    const ledger = ledgerWithSignature();
    const replaceable = voiding(ledger, [2]);
    const upload = uploadDocument('plan-1', { version: 3, ...supersedes(ledger, 2) });
    const ruling = rulingOn(ledger, upload, replaceable);
    const mark = ledger.state.get(supersededKey(2));

    expect(ruling).toMatchObject({ outcome: 'accepted', subject: linkAt(ledger, 2) });
    expect(ruling.outcome === 'accepted' && ruling.changesAt(someLink).slice(1)).toEqual([
      expect.objectContaining({ key: documentKey('plan-1') }),
      expect.objectContaining({ key: versionKey('plan-1', 3) }),
      { key: supersededKey(2), before: mark, after: { ...mark, replacement: someLink } },
    ]);
  });

  test('accepts one for a request and for a peer list, but no answer to a request that is void', () => {
    const ledger = ledgerWithSignature();
    ledger.reconfigure(a, b);
    const replaceable = voiding(ledger, [5, 6, 7]);
    const signature = signer.sign(targetOf(ledger, first), 60);

    const request = requestSignature(signer, 'plan-1', { version: 2, ...supersedes(ledger, 5) });
    expect(codeOf(rulingOn(ledger, request, replaceable))).toBe('accepted');
    const peers = reconfigurePeers([b, a], supersedes(ledger, 7));
    expect(rulingOn(ledger, peers, replaceable)).toMatchObject({ subject: linkAt(ledger, 7) });
    const sign = signDocument(first, signature, supersedes(ledger, 6));
    expect(codeOf(rulingOn(ledger, sign, replaceable))).toBe('REQUEST_SUPERSEDED');
  });

  test('accepts another signature of the same request', () => {
    const ledger = ledgerWithSignature();
    const replaceable = voiding(ledger, [6]);
    const sign = (seconds: number) =>
      signDocument(first, signer.sign(targetOf(ledger, first), seconds), supersedes(ledger, 6));

    expect(codeOf(rulingOn(ledger, sign(60), replaceable))).toBe('accepted');
    expect(codeOf(rulingOn(ledger, sign(0), replaceable))).toBe('SIGNATURE_REPLAYED');
  });

  test('refuses one where no resolution of the same commit lists what it replaces', () => {
    const ledger = ledgerWithSignature();
    const replaceable = voiding(ledger, [2]);
    const upload = uploadDocument('plan-1', { version: 3, ...supersedes(ledger, 2) });
    const other = { supersedes: { ...linkAt(ledger, 2), digest: digestOf('other') } };
    const unlisted = uploadDocument('plan-2', { version: 2, ...supersedes(ledger, 4) });

    expect(codeOf(rulingOn(ledger, upload))).toBe('SUPERSEDES_WITHOUT_RESOLUTION');
    expect(
      codeOf(rulingOn(ledger, uploadDocument('plan-1', { version: 3, ...other }), replaceable)),
    ).toBe('SUPERSEDES_WITHOUT_RESOLUTION');
    expect(codeOf(rulingOn(ledger, unlisted, [linkAt(ledger, 4)]))).toBe(
      'SUPERSEDES_WITHOUT_RESOLUTION',
    );
  });

  test('refuses one of another type, or about something else', () => {
    const ledger = ledgerWithSignature();
    const replaceable = voiding(ledger, [2, 6]);
    const request = requestSignature(signer, 'plan-1', { version: 2, ...supersedes(ledger, 2) });
    const elsewhere = uploadDocument('plan-2', { version: 2, ...supersedes(ledger, 2) });
    const signature = signer.sign(targetOf(ledger, first), 60);
    const answer = signDocument(second, signature, supersedes(ledger, 6));

    expect(codeOf(rulingOn(ledger, request, replaceable))).toBe('SUPERSEDES_OTHER_TYPE');
    expect(codeOf(rulingOn(ledger, elsewhere, replaceable))).toBe('SUPERSEDES_OTHER_SUBJECT');
    expect(codeOf(rulingOn(ledger, answer, replaceable))).toBe('SUPERSEDES_OTHER_SUBJECT');
  });

  test('refuses a second one for the same entry', () => {
    const ledger = ledgerWithSignature();
    const resolution = resolutionOf(ledger, [2], { finder: b });
    const alternative = (version: number) =>
      uploadDocument('plan-1', { version, ...supersedes(ledger, 2) });
    ledger.commit([alternative(3)], { resolves: [resolution] });
    const ruling = rulingOn(ledger, alternative(4), resolution.statement.entries);

    expect(ruling).toMatchObject({
      code: 'ALREADY_SUPERSEDED',
      detail: expect.stringContaining('entry 7'),
    });
  });

  test('refuses one that breaks the rule of its type', () => {
    const ledger = ledgerWithSignature();
    const replaceable = voiding(ledger, [2]);
    const upload = uploadDocument('plan-1', { version: 1, ...supersedes(ledger, 2) });

    expect(codeOf(rulingOn(ledger, upload, replaceable))).toBe('VERSION_NOT_NEXT');
  });
});

describe('state items', () => {
  test('of an alternative have the mark of what it replaces', () => {
    const upload = uploadDocument('plan-1', { supersedes: someLink, transactionId: testUuid(5) });

    expect(stateKeysOf(readTestTransaction(upload).transaction)).toEqual([
      transactionKey(testUuid(5)),
      documentKey('plan-1'),
      supersededKey(1),
    ]);
    expect(stateKeysOf(readTestTransaction(createRegistry([a])).transaction)).toHaveLength(1);
  });

  test('that the rules read are named by the transaction', () => {
    const upload = readTestTransaction(uploadDocument('plan-1', { transactionId: testUuid(5) }));
    const reconfigure = readTestTransaction(reconfigurePeers([a], { transactionId: testUuid(6) }));

    expect(stateKeysOf(upload.transaction)).toEqual([
      transactionKey(testUuid(5)),
      documentKey('plan-1'),
    ]);
    expect(stateKeysOf(reconfigure.transaction)).toEqual([transactionKey(testUuid(6))]);
    const request = requestSignature(signer, 'plan-1', {
      transactionId: testUuid(7),
      requestId: first,
    });
    expect(stateKeysOf(readTestTransaction(request).transaction)).toEqual([
      transactionKey(testUuid(7)),
      requestKey(first),
      versionKey('plan-1', 1),
    ]);
    const signature = signer.sign(targetOf(ledgerWithRequest(), first));
    const sign = signDocument(first, signature, { transactionId: testUuid(8) });
    expect(stateKeysOf(readTestTransaction(sign).transaction)).toEqual([
      transactionKey(testUuid(8)),
      requestKey(first),
      signatureKey(signatureInputDigest(signature)),
    ]);
  });

  const item = (version: number): StateItem => ({
    first: someLink.sequence,
    version,
    entry: someLink,
  });
  const key = documentKey('plan-1');
  const changes: StateChange[] = [
    { key, before: item(1), after: item(2) },
    { key: documentKey('plan-2'), before: undefined, after: item(1) },
    { key, before: item(2), after: item(3) },
  ];

  test('are seen as they are after changes', () => {
    const view = viewAfter(
      (asked) => (asked === documentKey('plan-3') ? item(9) : undefined),
      changes,
    );

    expect(view(key)).toEqual(item(3));
    expect(view(documentKey('plan-3'))).toEqual(item(9));
    expect(view(documentKey('plan-4'))).toBeUndefined();
  });

  test('changed several times are one change, from the first before to the last after', () => {
    expect(mergeChanges(changes)).toEqual([
      { key, before: item(1), after: item(3) },
      { key: documentKey('plan-2'), before: undefined, after: item(1) },
    ]);
  });
});

/** Folds whatever comes; what the rules refuse changes nothing. */
class Fold {
  readonly state = new Map<StateKey, StateItem>();
  head: ChainHead | undefined;

  add(bytes: Buffer): void {
    const { transaction, digest } = readTestTransaction({ transaction: bytes });
    const ruling = rule(this.head, (key) => this.state.get(key), transaction, digest);
    if (ruling.outcome === 'refused') return;
    const placement = { transaction, transactionDigest: digest, resolves: [] };
    const entry = nextEntry(this.head, placement, timeAfter(0));
    for (const { key, before, after } of ruling.changesAt(linkTo(entry))) {
      expect(this.state.get(key)).toEqual(before);
      this.state.set(key, after);
    }
    this.head = extendHead(this.head, entry, transaction);
  }
}

describe('laws of the rules', () => {
  test('any sequence of valid transactions is ruled on, and the state is a fold of what is accepted', () => {
    fc.assert(
      fc.property(fc.array(transactions, { maxLength: 30 }), (list) => {
        const fold = new Fold();
        for (const bytes of list) fold.add(bytes);
        const ids = [...fold.state.keys()].filter((key) => key.startsWith('transaction#'));
        expect(ids).toHaveLength(fold.head?.sequence ?? 0);
      }),
    );
  });

  test('the transactions of the law reach every outcome', () => {
    const reached = new Set<string>();
    const ledger = ledgerWith('plan-1');
    for (const bytes of fc.sample(transactions, { numRuns: 400, seed: 1 })) {
      reached.add(codeOf(rulingOn(ledger, { transaction: bytes })));
    }

    expect([...reached].sort()).toEqual([
      'KEY_NOT_ALLOWED',
      'NOT_FIRST_ENTRY',
      'REQUEST_UNKNOWN',
      'SUPERSEDES_WITHOUT_RESOLUTION',
      'VERSION_NOT_NEXT',
      'VERSION_UNKNOWN',
      'accepted',
    ]);
  });
});
