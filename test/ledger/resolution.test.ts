import { describe, expect, test } from 'vitest';
import type * as z from 'zod';
import { digestOf } from '../../shared/ledger/digest.ts';
import { readStatement, type Statement } from '../../shared/ledger/jws.ts';
import {
  acceptanceSchema,
  closingSchema,
  redactionSchema,
  resolutionSchema,
  setAsideSchema,
} from '../../shared/ledger/resolution.ts';
import { testPeer } from '../builders.ts';

const signer = testPeer();
const digest = digestOf('x');
const link = { digest, sequence: 7 };
const signed = { registryId: digest, signer: signer.certificateId };
const decided = { ...signed, decidedBy: testPeer().certificateId, reason: 'Nach Rücksprache' };
const conflicts = [digest];

const resolution = {
  ...decided,
  conflicts,
  entries: [link],
  format: 'registry/resolution/v1',
  manner: 'replace',
  through: link,
};

const formats: Record<string, readonly [z.ZodType<Statement>, Statement]> = {
  resolution: [resolutionSchema, resolution],
  acceptance: [
    acceptanceSchema,
    { ...decided, format: 'registry/acceptance/v1', resolution: digest } as Statement,
  ],
  'set-aside': [
    setAsideSchema,
    { ...decided, conflicts, copy: 2, format: 'registry/set-aside/v1', from: 5 } as Statement,
  ],
  redaction: [
    redactionSchema,
    { ...decided, format: 'registry/redaction/v1', sequence: 5, what: 'details' } as Statement,
  ],
  closing: [
    closingSchema,
    { ...signed, digest, format: 'registry/closing/v1', sequence: 5 } as Statement,
  ],
};

function outcomeOf(schema: z.ZodType<Statement>, statement: Statement): string {
  const read = readStatement(signer.sign(statement), schema);
  return read.outcome === 'refused' ? read.code : 'read';
}

describe.each(Object.entries(formats))('the statement %s', (_name, [schema, statement]) => {
  test('is read as it was signed', () => {
    expect(readStatement(signer.sign(statement), schema)).toMatchObject({ statement });
  });

  test('is malformed without any one of its members, and with one more', () => {
    const outcomes = Object.keys(statement).map((name) => {
      const rest = Object.entries(statement).filter(([each]) => each !== name);
      return outcomeOf(schema, Object.fromEntries(rest) as unknown as Statement);
    });

    expect(new Set(outcomes)).toEqual(new Set(['STATEMENT_MALFORMED']));
    expect(outcomeOf(schema, { ...statement, extra: 1 } as Statement)).toBe('STATEMENT_MALFORMED');
  });

  test('is malformed under the format of any other', () => {
    const others = Object.values(formats)
      .map(([, { format }]) => format)
      .filter((format) => format !== statement.format);

    for (const format of others)
      expect(outcomeOf(schema, { ...statement, format })).toBe('STATEMENT_MALFORMED');
  });
});

describe('a resolution', () => {
  const outcomeWith = (change: object) => outcomeOf(resolutionSchema, { ...resolution, ...change });

  test.each([
    'replay',
    'expel',
    'replace',
    'set-aside',
    'take-back',
    'close',
  ])('may be of the manner %s', (manner) => {
    expect(outcomeWith({ manner })).toBe('read');
  });

  test('may end another one, and may name no entries', () => {
    expect(outcomeWith({ after: digest, entries: [] })).toBe('read');
  });

  test.each([
    ['no conflict', { conflicts: [] }],
    ['a manner that nobody knows', { manner: 'forget' }],
    ['an empty reason', { reason: '' }],
    ['a reason of 4097 characters', { reason: 'x'.repeat(4097) }],
    ['101 entries', { entries: Array(101).fill(link) }],
  ])('with %s is malformed', (_rule, change) => {
    expect(outcomeWith(change)).toBe('STATEMENT_MALFORMED');
  });
});
