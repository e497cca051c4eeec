import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  backlinkPath,
  backlinkSequences,
  backlinksOf,
  grownTower,
  type Link,
  type Tower,
} from '../../shared/ledger/backlinks.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';

function linkAt(sequence: number): Link {
  return { digest: digestOf(`entry ${sequence}`), sequence: sequence as Sequence };
}

describe('backlinks', () => {
  test.each([
    [1, []],
    [2, [1]],
    [3, [2]],
    [4, [3, 2]],
    [6, [5, 4]],
    [8, [7, 6, 4]],
    [12, [11, 10, 8]],
    [96, [95, 94, 92, 88, 80, 64]],
  ])('entry %i links to the entries at the powers of two that divide it', (sequence, targets) => {
    expect(backlinkSequences(sequence)).toEqual(targets);
  });

  test('the tower gives the backlinks of every next entry', () => {
    let tower: Tower = [];
    for (let sequence = 1; sequence <= 600; sequence += 1) {
      expect(backlinksOf(tower, sequence)).toEqual(backlinkSequences(sequence).map(linkAt));
      tower = grownTower(tower, linkAt(sequence));
    }
  });

  test('growing leaves the tower before as it was', () => {
    const tower = grownTower([], linkAt(1));
    grownTower(tower, linkAt(2));

    expect(tower).toEqual([linkAt(1)]);
  });

  test('there are two on average', () => {
    const counts = Array.from({ length: 1024 }, (_, n) => backlinkSequences(n + 1).length);

    expect(counts.reduce((sum, count) => sum + count) / 1024).toBeCloseTo(2, 1);
  });
});

describe('laws of the path of backlinks', () => {
  const sequences = fc.oneof(
    fc.integer({ min: 1, max: 300 }),
    fc.integer({ min: 1, max: 2 ** 40 }),
  );
  const pairs = fc
    .tuple(sequences, sequences)
    .map(([a, b]) => [Math.max(a, b), Math.min(a, b)] as const);

  test('it leads from any entry to any earlier one, over real backlinks only', () => {
    fc.assert(
      fc.property(pairs, ([from, to]) => {
        const path = backlinkPath(from, to);
        expect(path[0]).toBe(from);
        expect(path.at(-1)).toBe(to);
        for (const [index, target] of path.slice(1).entries())
          expect(backlinkSequences(path[index] as number)).toContain(target);
      }),
      { numRuns: 500 },
    );
  });

  test('it takes at most 2·⌊log2 n⌋ steps', () => {
    fc.assert(
      fc.property(pairs, ([from, to]) => {
        const steps = backlinkPath(from, to).length - 1;
        expect(steps).toBeLessThanOrEqual(2 * Math.floor(Math.log2(from)));
      }),
      { numRuns: 1000 },
    );
  });

  test('it takes at most 2·⌊log2 n⌋ steps between all entries of a small ledger', () => {
    for (let from = 1; from <= 130; from += 1)
      for (let to = 1; to <= from; to += 1)
        expect(backlinkPath(from, to).length - 1).toBeLessThanOrEqual(
          2 * Math.floor(Math.log2(from)),
        );
  });
});
