import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import {
  type ConflictStatement,
  conflictIdOf,
  conflictKindSchema,
  conflictOf,
  conflictSchema,
} from '../../shared/ledger/conflict.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import { readStatement } from '../../shared/ledger/jws.ts';
import { testPeer, timeAfter } from '../builders.ts';

const finder = testPeer();
const digests = [digestOf('2'), digestOf('1')].sort().reverse();
const statement = conflictOf({
  accused: testPeer().certificateId,
  detectedAt: timeAfter(0),
  digests,
  evidence: [digestOf('evidence')],
  kind: 'fork',
  registryId: digestOf('registry'),
  sequence: 7 as Sequence,
  signer: finder.certificateId,
});

function codeOf(change: object): string {
  const text = finder.sign({ ...statement, ...change });
  const read = readStatement(text, conflictSchema);
  return read.outcome === 'refused' ? read.code : 'read';
}

describe('a conflict', () => {
  test('is read as it was signed, with its digests sorted', () => {
    expect(statement.digests).toEqual([...digests].sort());
    expect(readStatement(finder.sign(statement), conflictSchema)).toMatchObject({ statement });
  });

  test('is known by the digest of what it is about', () => {
    const { accused, kind, registryId, sequence } = statement;

    expect(conflictIdOf(statement)).toBe(
      digestOf(
        encodeCanonical({ accused, digests: statement.digests, kind, registryId, sequence }),
      ),
    );
  });

  test('is the same whoever found it, when, with what evidence, and in what order', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(digests, { minLength: 2 }), fc.nat(1e6), (order, seconds) => {
        const found = {
          ...statement,
          digests: order,
          detectedAt: timeAfter(seconds),
          evidence: [],
          signer: digestOf(String(seconds)),
        };
        expect(conflictIdOf(found as unknown as ConflictStatement)).toBe(conflictIdOf(statement));
      }),
    );
  });

  test.each<Partial<ConflictStatement>>([
    { kind: 'invalid-transaction' },
    { sequence: 8 as Sequence },
    { accused: 'open' },
    { digests: [] },
    { registryId: digestOf('other') },
  ])('is another one with %j', (change) => {
    expect(conflictIdOf({ ...statement, ...change })).not.toBe(conflictIdOf(statement));
  });

  test.each(conflictKindSchema.options)('may be a %s', (kind) => {
    expect(codeOf({ kind })).toBe('read');
  });

  test.each([
    ['a kind that nobody knows', { kind: 'quarrel' }],
    ['an accused that is nobody', { accused: 'me' }],
    ['five digests', { digests: Array(5).fill(digests[0]) }],
    ['17 pieces of evidence', { evidence: Array(17).fill(digests[0]) }],
    ['sequence 0', { sequence: 0 }],
    ['a later format', { format: 'registry/conflict/v2' }],
    ['an unknown member', { extra: true }],
  ])('with %s is malformed', (_rule, change) => {
    expect(codeOf(change)).toBe('STATEMENT_MALFORMED');
  });
});
