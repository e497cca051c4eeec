import { expect, test } from 'vitest';
import { compileFilters } from '../../../infra/local/event-filter.ts';

const head = { dynamodb: { Keys: { pk: { S: 'HEAD#1' } } } };
const entry = { dynamodb: { Keys: { pk: { S: 'ENTRY#1' } } } };

const prefixed = (...prefixes: string[]) =>
  prefixes.map((prefix) => ({ dynamodb: { Keys: { pk: { S: [{ prefix }] } } } }));

test('without patterns everything passes', () => {
  expect(compileFilters([])(entry)).toBe(true);
});

test('one matching pattern is enough', () => {
  const passes = compileFilters(prefixed('HEAD#', 'LOGHEAD#'));

  expect([head, entry, {}, 'text'].map(passes)).toEqual([true, false, false, false]);
});

test('all members of a pattern must match, one alternative of a list is enough', () => {
  const passes = compileFilters([{ a: ['x', 1, null], b: { c: [{ exists: true }] } }]);

  expect(passes({ a: 'x', b: { c: 0 } })).toBe(true);
  expect(passes({ a: null, b: { c: 0 } })).toBe(true);
  expect(passes({ a: 'y', b: { c: 0 } })).toBe(false);
  expect(passes({ a: 1, b: {} })).toBe(false);
});

test('an operator that is not known is an error', () => {
  expect(() => compileFilters([{ a: [{ suffix: 'x' }] }])).toThrow(
    'a filter uses {"suffix":"x"}, which the local runner does not know',
  );
  expect(() => compileFilters([{ a: 'x' }])).toThrow('a filter holds "x": expected an object');
});
