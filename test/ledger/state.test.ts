import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ChainHead, extendHead, nextEntry } from '../../shared/ledger/chain.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import { linkTo } from '../../shared/ledger/entry.ts';
import {
  documentKey,
  mergeChanges,
  type Ruling,
  rule,
  type StateChange,
  type StateItem,
  type StateKey,
  stateKeysOf,
  transactionKey,
  versionKey,
  viewAfter,
} from '../../shared/ledger/state.ts';
import type { Transaction } from '../../shared/ledger/transaction.ts';
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
import { transactions } from './transactions.ts';

const [a, b] = [testPeer(), testPeer()];
const someLink = { digest: digestOf('x'), sequence: 1 as Sequence };

/** The ruling on a transaction after the ledger. */
function rulingOn(ledger: TestLedger | undefined, test: TestTransaction): Ruling {
  const { transaction, digest } = readTestTransaction(test);
  return rule(ledger?.head, (key) => ledger?.state.get(key), transaction, digest);
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

describe('the rule of supersedes', () => {
  test('refuses an alternative transaction as long as no resolution asks for one', () => {
    const ledger = ledgerWith('plan-1');
    const supersedes = { sequence: 2, digest: ledger.entryAt(2).digest };

    expect(codeOf(rulingOn(ledger, uploadDocument('plan-1', { version: 2, supersedes })))).toBe(
      'SUPERSEDES_WITHOUT_RESOLUTION',
    );
    expect(codeOf(rulingOn(ledger, reconfigurePeers([a], { supersedes })))).toBe(
      'SUPERSEDES_WITHOUT_RESOLUTION',
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
      { key: documentKey('plan-1'), before: undefined, after: { version: 1, entry } },
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
      before: { version: 1, entry: before },
      after: { version: 2, entry: someLink },
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

describe('the rules of types to come', () => {
  const { transaction, digest } = readTestTransaction(uploadDocument());

  test.each(['request-signature', 'sign-document'] as const)('refuse %s', (type) => {
    const later = { ...transaction, type } as unknown as Transaction;

    expect(rule(ledgerWith().head, () => undefined, later, digest)).toMatchObject({
      code: 'TYPE_NOT_SUPPORTED',
    });
  });
});

describe('state items', () => {
  test('that the rules read are named by the transaction', () => {
    const upload = readTestTransaction(uploadDocument('plan-1', { transactionId: testUuid(5) }));
    const reconfigure = readTestTransaction(reconfigurePeers([a], { transactionId: testUuid(6) }));

    expect(stateKeysOf(upload.transaction)).toEqual([
      transactionKey(testUuid(5)),
      documentKey('plan-1'),
    ]);
    expect(stateKeysOf(reconfigure.transaction)).toEqual([transactionKey(testUuid(6))]);
  });

  const item = (version: number): StateItem => ({ version, entry: someLink });
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
      'NOT_FIRST_ENTRY',
      'SUPERSEDES_WITHOUT_RESOLUTION',
      'TYPE_NOT_SUPPORTED',
      'VERSION_NOT_NEXT',
      'accepted',
    ]);
  });
});
