import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CompactState } from '../../shared/ledger/compact-state.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import {
  type DocumentItem,
  documentKey,
  type RequestItem,
  type RuleItem,
  requestKey,
  type StateChange,
  type StateItem,
  type StateKey,
  signatureKey,
  transactionKey,
  versionKey,
} from '../../shared/ledger/state.ts';
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

  changesAt({ sequence, uuid, document, request }: Step): StateChange[] {
    const transactionDigest = digestOf(`transaction ${sequence}`);
    const key = transactionKey(testUuid(uuid));
    const own = { key, before: undefined, after: { transactionDigest, sequence } };
    const more = document === undefined ? [] : this.#upload(sequence, document);
    const asked = request === undefined ? [] : this.#requestOrSign(sequence, request);
    const changes = [own, ...more, ...asked];
    for (const change of changes) this.#items.set(change.key, change.after);
    return changes;
  }

  #upload(sequence: number, document: number): StateChange[] {
    const id = `plan-${document}`;
    const before = this.#items.get(documentKey(id)) as DocumentItem | undefined;
    const version = (before?.version ?? 0) + 1;
    const entry = entryAt(sequence);
    const after = { first: entry.sequence, ...before, version, entry };
    const contentDigest = digestOf(`content ${sequence}`);
    const item = { entry, contentDigest, size: 1, mediaType: 'a/b' };
    return [
      { key: documentKey(id), before, after },
      { key: versionKey(id, version), before: undefined, after: item },
    ];
  }

  #requestOrSign(sequence: number, request: number): StateChange[] {
    const key = requestKey(testUuid(request));
    const before = this.#items.get(key) as RequestItem | undefined;
    const entry = entryAt(sequence);
    if (before === undefined) {
      const publicKey = { crv: 'Ed25519', kty: 'OKP', x: 'AQID' } as const;
      const what = { documentId: 'plan-1', version: 1, contentDigest: digestOf('x') };
      const after = { ...what, entry, purpose: 'approval', publicKey } as const;
      return [{ key, before, after }];
    }
    if (before.signed !== undefined) return [];
    const signature = signatureKey(digestOf(`input ${request}`));
    return [
      { key, before, after: { ...before, signed: entry } },
      { key: signature, before: undefined, after: { entry } },
    ];
  }

  get(key: StateKey): StateItem | undefined {
    return this.#items.get(key);
  }
}

function entryAt(sequence: number) {
  return { sequence: sequence as Sequence, digest: digestOf(`entry ${sequence}`) };
}

function expectSame(found: RuleItem | undefined, expected: StateItem | undefined): void {
  if (expected === undefined) expect(found).toBeUndefined();
  else expect(expected).toMatchObject(found ?? { nothing: true });
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
        for (const key of keysUpTo(sequence * 7)) expectSame(compact.view(key), map.get(key));
      }),
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
