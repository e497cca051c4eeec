import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CompactState } from '../../shared/ledger/compact-state.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import {
  type DocumentItem,
  documentKey,
  type RequestItem,
  type RuleItem,
  type RuleView,
  requestKey,
  type StateChange,
  type StateItem,
  type StateKey,
  signatureKey,
  supersededKey,
  transactionKey,
  versionKey,
} from '../../shared/ledger/state.ts';
import { type VoidedEntry, voidChanges } from '../../shared/ledger/superseding.ts';
import type { Transaction } from '../../shared/ledger/transaction.ts';
import { testUuid } from '../builders.ts';

interface Step {
  readonly sequence: number;
  readonly uuid: number;
  readonly document?: number;
  /** A request with this number, or its signature where there is one already. */
  readonly request?: number;
}

/** What the rules make of an upload, a request, a signature, or an entry about none of them. */
class MapState {
  readonly #items = new Map<StateKey, StateItem>();
  /** What the entries were, as far as voiding them reads it. */
  readonly entries = new Map<number, VoidedEntry>();

  /** The same for an entry that voids others: by the view of either state. */
  voidChanges(view: RuleView, sequence: number, voided: readonly number[]): StateChange[] {
    const found = voided.flatMap((each) => this.entries.get(each) ?? []);
    return voidChanges(view, found, { entry: entryAt(sequence), resolution: digestOf('r') });
  }

  record(changes: readonly StateChange[]): void {
    for (const change of changes) this.#items.set(change.key, change.after);
  }

  changesAt({ sequence, uuid, document, request }: Step): StateChange[] {
    const transactionDigest = digestOf(`transaction ${sequence}`);
    const key = transactionKey(testUuid(uuid));
    const own = { key, before: undefined, after: { transactionDigest, sequence } };
    const more = document === undefined ? [] : this.#upload(sequence, document);
    const asked = request === undefined ? [] : this.#requestOrSign(sequence, request);
    const changes = [own, ...more, ...asked];
    this.record(changes);
    return changes;
  }

  #note(sequence: number, transaction: object): void {
    this.entries.set(sequence, {
      link: entryAt(sequence),
      transaction: transaction as Transaction,
    });
  }

  #upload(sequence: number, document: number): StateChange[] {
    const id = `plan-${document}`;
    const before = this.#items.get(documentKey(id)) as DocumentItem | undefined;
    const version = (before?.version ?? 0) + 1;
    const entry = entryAt(sequence);
    const after = { first: entry.sequence, ...before, version, entry };
    const contentDigest = digestOf(`content ${sequence}`);
    const item = { entry, contentDigest, size: 1, mediaType: 'a/b' };
    this.#note(sequence, { type: 'upload-document', documentId: id, version });
    return [
      { key: documentKey(id), before, after },
      { key: versionKey(id, version), before: undefined, after: item },
    ];
  }

  #requestOrSign(sequence: number, request: number): StateChange[] {
    const key = requestKey(testUuid(request));
    const before = this.#items.get(key) as RequestItem | undefined;
    const entry = entryAt(sequence);
    const requestId = testUuid(request);
    if (before === undefined) {
      this.#note(sequence, { type: 'request-signature', documentId: 'plan-1', requestId });
      const publicKey = { crv: 'Ed25519', kty: 'OKP', x: 'AQID' } as const;
      const what = { documentId: 'plan-1', version: 1, contentDigest: digestOf('x') };
      const after = { ...what, entry, purpose: 'approval', publicKey } as const;
      return [{ key, before, after }];
    }
    if (before.signed !== undefined || before.superseded !== undefined) return [];
    this.#note(sequence, { type: 'sign-document', requestId });
    const signature = signatureKey(digestOf(`input ${request} ${sequence}`));
    return [
      { key, before, after: { ...before, signed: entry } },
      { key: signature, before: undefined, after: { entry } },
    ];
  }

  get(key: StateKey): StateItem | undefined {
    return this.#items.get(key);
  }

  keys(): Iterable<StateKey> {
    return this.#items.keys();
  }
}

function entryAt(sequence: number) {
  return { sequence: sequence as Sequence, digest: digestOf(`entry ${sequence}`) };
}

function expectSame(found: RuleItem | undefined, expected: StateItem | undefined): void {
  if (expected === undefined) {
    expect(found).toBeUndefined();
    return;
  }
  expect(expected).toMatchObject(found ?? { nothing: true });
  // Absent members matter here. Of a request that is signed nothing else is asked.
  expect(memberOf(found, 'signed')).toEqual(memberOf(expected, 'signed'));
  if (memberOf(expected, 'signed') === undefined)
    expect(memberOf(found, 'superseded')).toEqual(memberOf(expected, 'superseded'));
}

function memberOf(item: RuleItem | undefined, name: string): unknown {
  return (item as unknown as Record<string, unknown>)[name];
}

/** Keys of so many transactions, and of more documents and versions than there are. */
function keysUpTo(uuids: number): StateKey[] {
  const numbers = Array.from({ length: 9 }, (_, n) => n);
  const ids = numbers.map((document) => `plan-${document}`);
  return [
    ...Array.from({ length: uuids + 1 }, (_, n) => transactionKey(testUuid(n))),
    ...ids.map(documentKey),
    ...ids.flatMap((id) => numbers.map((version) => versionKey(id, version))),
    ...numbers.map((request) => requestKey(testUuid(request))),
    ...numbers.map((request) => signatureKey(digestOf(`input ${request}`))),
    ...Array.from({ length: uuids / 7 + 1 }, (_, sequence) => supersededKey(sequence)),
  ];
}

describe('the compact state', () => {
  test('knows nothing at first', () => {
    const { view } = new CompactState();

    expect(view(transactionKey(testUuid(0)))).toBeUndefined();
    expect(view(documentKey('plan-1'))).toBeUndefined();
    expect(view(versionKey('plan-1', 1))).toBeUndefined();
    expect(view(requestKey(testUuid(0)))).toBeUndefined();
    expect(view(signatureKey(digestOf('input')))).toBeUndefined();
    expect(view(supersededKey(1))).toBeUndefined();
  });

  test('answers as a map of all items does, for what is there and for what is not', () => {
    const upload = fc.record({ gap: fc.nat(2), document: fc.nat(6) });
    const request = fc.record({ gap: fc.nat(2), request: fc.nat(6) });
    const other = fc.record({ gap: fc.nat(2) });
    const step = fc.oneof(
      { arbitrary: upload, weight: 3 },
      { arbitrary: request, weight: 2 },
      other,
    );
    const steps = fc.array(step, { maxLength: 60 });
    fc.assert(
      fc.property(steps, (list) => {
        const [compact, map] = [new CompactState(), new MapState()];
        let sequence = 0;
        for (const { gap, ...what } of list) {
          sequence += 1 + gap;
          compact.record(map.changesAt({ sequence, uuid: sequence * 7, ...what }));
        }
        for (const key of [...keysUpTo(sequence * 7), ...map.keys()])
          expectSame(compact.view(key), map.get(key));
      }),
    );
  });

  test('answers as a map of all items does, whatever of it is voided', () => {
    const upload = fc.record({ document: fc.nat(2) });
    const request = fc.record({ request: fc.nat(2) });
    const voids = fc.record({ voids: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 4 }) });
    const step = fc.oneof(
      { arbitrary: upload, weight: 2 },
      { arbitrary: request, weight: 4 },
      { arbitrary: voids, weight: 1 },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (list) => {
        const named = new Set(list.flatMap((what) => ('voids' in what ? what.voids : [])));
        const compact = new CompactState(({ sequence }) => named.has(sequence));
        const map = new MapState();
        for (const [index, what] of list.entries()) {
          const sequence = index + 1;
          if ('voids' in what) {
            compact.record(map.voidChanges(compact.view, sequence, what.voids));
            map.record(map.voidChanges((key) => map.get(key), sequence, what.voids));
          } else compact.record(map.changesAt({ sequence, uuid: sequence * 7, ...what }));
        }
        for (const key of [...keysUpTo(list.length * 7), ...map.keys()])
          expectSame(compact.view(key), map.get(key));
      }),
      { numRuns: 300 },
    );
  });

  test('finds every version of a document that has thousands', () => {
    const [compact, map] = [new CompactState(), new MapState()];
    const versions = 3000;
    for (let sequence = 1; sequence <= versions; sequence += 1)
      compact.record(map.changesAt({ sequence, uuid: sequence, document: 1 }));

    for (let version = 1; version <= versions; version += 1)
      expectSame(
        compact.view(versionKey('plan-1', version)),
        map.get(versionKey('plan-1', version)),
      );
    expect(compact.view(versionKey('plan-1', versions + 1))).toBeUndefined();
    expect(compact.view(versionKey('plan-1', 0))).toBeUndefined();
  });

  test('holds 40,000 entries in at most 136 bytes each, and finds every one', () => {
    const [compact, map] = [new CompactState(), new MapState()];
    const entries = 40_000;
    for (let sequence = 1; sequence <= entries; sequence += 1)
      compact.record(map.changesAt({ sequence, uuid: sequence, document: sequence % 30_000 }));

    expect(compact.bytes / entries).toBeLessThanOrEqual(136);
    const sequences = Array.from({ length: entries }, (_, index) => index + 1);
    const lost = sequences.filter((n) => compact.view(transactionKey(testUuid(n))) === undefined);
    expect(lost).toEqual([]);
    for (let document = 0; document < 30_000; document += 97) {
      const id = `plan-${document}`;
      expectSame(compact.view(documentKey(id)), map.get(documentKey(id)));
      expectSame(compact.view(versionKey(id, 2)), map.get(versionKey(id, 2)));
    }
  });

  test('stays within 136 bytes an entry at every size from 20,000 on', () => {
    const [compact, map] = [new CompactState(), new MapState()];
    let worst = 0;
    for (let sequence = 1; sequence <= 60_000; sequence += 1) {
      compact.record(map.changesAt({ sequence, uuid: sequence, document: sequence }));
      if (sequence >= 20_000) worst = Math.max(worst, compact.bytes / sequence);
    }

    expect(worst).toBeLessThanOrEqual(136);
  });
});
