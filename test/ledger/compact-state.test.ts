import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CompactState } from '../../shared/ledger/compact-state.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import {
  documentKey,
  type RuleItem,
  type StateChange,
  type StateItem,
  type StateKey,
  transactionKey,
  versionKey,
} from '../../shared/ledger/state.ts';
import { testUuid } from '../builders.ts';

interface Step {
  readonly sequence: number;
  readonly uuid: number;
  readonly document?: number;
}

/** What the rules make of one upload, or of an entry that is about no document. */
class MapState {
  readonly #items = new Map<StateKey, StateItem>();
  readonly #versions = new Map<string, number>();

  changesAt({ sequence, uuid, document }: Step): StateChange[] {
    const transactionDigest = digestOf(`transaction ${sequence}`);
    const key = transactionKey(testUuid(uuid));
    const changes: StateChange[] = [
      { key, before: undefined, after: { transactionDigest, sequence } },
    ];
    if (document !== undefined) {
      const id = `plan-${document}`;
      const version = (this.#versions.get(id) ?? 0) + 1;
      this.#versions.set(id, version);
      const entry = { sequence: sequence as Sequence, digest: digestOf(`entry ${sequence}`) };
      const item = { entry, contentDigest: transactionDigest, size: 1, mediaType: 'a/b' };
      const before = this.#items.get(documentKey(id));
      changes.push({ key: documentKey(id), before, after: { version, entry } });
      changes.push({ key: versionKey(id, version), before: undefined, after: item });
    }
    for (const change of changes) this.#items.set(change.key, change.after);
    return changes;
  }

  get(key: StateKey): StateItem | undefined {
    return this.#items.get(key);
  }
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
  ];
}

describe('the compact state', () => {
  test('knows nothing at first', () => {
    const { view } = new CompactState();

    expect(view(transactionKey(testUuid(0)))).toBeUndefined();
    expect(view(documentKey('plan-1'))).toBeUndefined();
    expect(view(versionKey('plan-1', 1))).toBeUndefined();
  });

  test('answers as a map of all items does, for what is there and for what is not', () => {
    const steps = fc.array(fc.record({ gap: fc.nat(2), document: fc.option(fc.nat(6)) }), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, (list) => {
        const [compact, map] = [new CompactState(), new MapState()];
        let sequence = 0;
        for (const { gap, document } of list) {
          sequence += 1 + gap;
          const step = { sequence, uuid: sequence * 7, ...(document === null ? {} : { document }) };
          compact.record(map.changesAt(step));
        }
        for (const key of keysUpTo(sequence * 7)) expectSame(compact.view(key), map.get(key));
      }),
    );
  });

  test('holds 40,000 entries in at most 100 bytes each, and finds every one', () => {
    const [compact, map] = [new CompactState(), new MapState()];
    const entries = 40_000;
    for (let sequence = 1; sequence <= entries; sequence += 1)
      compact.record(map.changesAt({ sequence, uuid: sequence, document: sequence % 30_000 }));

    expect(compact.bytes / entries).toBeLessThanOrEqual(100);
    const sequences = Array.from({ length: entries }, (_, index) => index + 1);
    const lost = sequences.filter((n) => compact.view(transactionKey(testUuid(n))) === undefined);
    expect(lost).toEqual([]);
    for (let document = 0; document < 30_000; document += 97) {
      const id = `plan-${document}`;
      expectSame(compact.view(documentKey(id)), map.get(documentKey(id)));
      expectSame(compact.view(versionKey(id, 2)), map.get(versionKey(id, 2)));
    }
  });

  test('stays within 100 bytes an entry at every size from 20,000 on', () => {
    const [compact, map] = [new CompactState(), new MapState()];
    let worst = 0;
    for (let sequence = 1; sequence <= 60_000; sequence += 1) {
      compact.record(map.changesAt({ sequence, uuid: sequence, document: sequence }));
      if (sequence >= 20_000) worst = Math.max(worst, compact.bytes / sequence);
    }

    expect(worst).toBeLessThanOrEqual(100);
  });
});
