import { expect, test } from 'vitest';
import { type Digest, digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import {
  documentKey,
  requestKey,
  type StateItem,
  type StateKey,
  signatureKey,
  transactionKey,
  versionKey,
} from '../../shared/ledger/state.ts';
import {
  contentList,
  documentsList,
  isContentPosition,
  listPlaceOf,
  positionAt,
  requestsList,
} from '../../shared/registry/lists.ts';

const registryId = digestOf('registry');
const contentDigest = digestOf('bytes');

function linkTo(sequence: number) {
  return { digest: digestOf(`entry ${sequence}`), sequence: sequence as Sequence };
}

function placeOf(key: StateKey, item: object, copy = 1) {
  return listPlaceOf({ registryId, copy, key }, item as StateItem);
}

test('a document stays in its place, whatever version is the newest', () => {
  const item = { first: 3, version: 7, entry: linkTo(90) };

  expect(placeOf(documentKey('plan'), item)).toEqual({
    list: documentsList(registryId, 1),
    position: positionAt(3),
  });
});

test('a request is open or signed, in the place of its own entry', () => {
  const request = { entry: linkTo(5) };

  const open = placeOf(requestKey('id'), request);
  const signed = placeOf(requestKey('id'), { ...request, signed: linkTo(9) });

  expect(open).toEqual({ list: requestsList(registryId, 1, 'open'), position: positionAt(5) });
  expect(signed).toEqual({ list: requestsList(registryId, 1, 'signed'), position: positionAt(5) });
});

test('a version is listed by its bytes, in the order of registries and entries', () => {
  const version = { entry: linkTo(12), contentDigest };

  const place = placeOf(versionKey('plan', 2), version, 3);

  expect(place?.list).toBe(contentList(contentDigest));
  expect(place?.position).toBe(`${registryId}#0000000000000012#3`);
  expect(isContentPosition(place?.position ?? '')).toBe(true);
});

test('other copies have lists of their own', () => {
  const document = { first: 1, version: 1, entry: linkTo(1) };
  const lists = [1, 2].map((copy) => placeOf(documentKey('plan'), document, copy)?.list);

  expect(new Set(lists).size).toBe(2);
});

test('transactions and signatures are in no list', () => {
  const item = { transactionDigest: contentDigest, sequence: 1 };

  expect(placeOf(transactionKey('id'), item)).toBeUndefined();
  expect(placeOf(signatureKey(contentDigest), { entry: linkTo(1) })).toBeUndefined();
});

test('positions sort as text like their numbers', () => {
  const numbers = [1, 9, 10, 11, 99, 100, 2 ** 53 - 1];

  expect(numbers.map(positionAt).sort().map(Number)).toEqual(numbers);
});

test.each([
  '',
  'x',
  `${registryId}`,
  `${registryId}#1#1`,
  `${registryId.toUpperCase()}#0000000000000012#1`,
  `${registryId}#0000000000000012#1#`,
  `${registryId}#0000000000000012#${'1'.repeat(17)}`,
])('"%s" is no position in a list of content', (text) => {
  expect(isContentPosition(text as Digest)).toBe(false);
});
