import { describe, expect, test } from 'vitest';
import { type Digest, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import { flawOfNaming } from '../../shared/ledger/naming.ts';
import type { StateItem } from '../../shared/ledger/state.ts';
import { NAMED_KEY, namedAt, namingChanges } from '../../shared/ledger/superseding.ts';

const [first, second, third] = ['1', '2', '3'].map(digestOf) as [Digest, Digest, Digest];
const entryAt = (sequence: number) => ({
  sequence: sequence as Sequence,
  digest: digestOf(`entry ${sequence}`),
});
const before = { entry: entryAt(4), named: { [first]: 4 } };
const viewOf = (item?: StateItem) => (key: string) => (key === NAMED_KEY ? item : undefined);

describe('what entries name', () => {
  test('is one item, which every entry that names anything adds to', () => {
    const made = namingChanges(viewOf(), { entry: entryAt(4), resolves: [first] });
    const renewed = namingChanges(viewOf(before), {
      entry: entryAt(9),
      resolves: [second, third],
    });

    expect(made).toEqual([{ key: NAMED_KEY, before: undefined, after: before }]);
    expect(renewed).toEqual([
      {
        key: NAMED_KEY,
        before,
        after: { entry: entryAt(9), named: { [first]: 4, [second]: 9, [third]: 9 } },
      },
    ]);
  });

  test('is nothing where an entry names nothing', () => {
    expect(namingChanges(viewOf(before), { entry: entryAt(9), resolves: [] })).toEqual([]);
  });

  test('is known with the entry that named it', () => {
    expect([namedAt(viewOf(before), first), namedAt(viewOf(before), second)]).toEqual([
      4,
      undefined,
    ]);
    expect(namedAt(viewOf(), first)).toBeUndefined();
  });

  test('is new, and stands there once', () => {
    const isNamed = (digest: Digest) => digest === first;
    const refused = (digest: Digest) => ({
      code: 'RESOLVES_AGAIN',
      detail: expect.stringContaining(digest),
    });

    expect(flawOfNaming([second, third], isNamed)).toBeUndefined();
    expect(flawOfNaming([second, first], isNamed)).toMatchObject(refused(first));
    expect(flawOfNaming([second, third, second], isNamed)).toMatchObject(refused(second));
  });
});
