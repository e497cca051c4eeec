import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { digestOf } from '../../shared/ledger/digest.ts';
import {
  base64urlSchema,
  identifierSchema,
  isTimestamp,
  linkSchema,
  textSchema,
  timestampSchema,
  uuidSchema,
  validate,
} from '../../shared/ledger/schema.ts';

function fits(schema: z.ZodType, value: unknown): boolean {
  return validate(schema, value).outcome === 'valid';
}

describe('times', () => {
  test.each([
    '2026-11-22T10:00:00.000Z',
    '2024-02-29T23:59:59.999Z',
    '2000-02-29T00:00:00.000Z',
    '0000-01-01T00:00:00.000Z',
    '9999-12-31T23:59:59.999Z',
  ])('%s exists', (text) => {
    expect(fits(timestampSchema, text)).toBe(true);
    expect(isTimestamp(text)).toBe(true);
  });

  test.each([
    '2026-02-29T00:00:00.000Z',
    '1900-02-29T00:00:00.000Z',
    '2026-04-31T00:00:00.000Z',
    '2026-00-10T00:00:00.000Z',
    '2026-13-10T00:00:00.000Z',
    '2026-01-00T00:00:00.000Z',
    '2026-01-32T00:00:00.000Z',
    '2026-01-01T24:00:00.000Z',
    '2026-01-01T00:60:00.000Z',
    '2026-01-01T00:00:60.000Z',
    '2026-01-01T00:00:00.00Z',
    '2026-01-01T00:00:00.0000Z',
    '2026-01-01T00:00:00Z',
    '2026-01-01t00:00:00.000z',
    '2026-01-01 00:00:00.000Z',
    '2026-01-01T00:00:00.000+00:00',
    '+002026-01-01T00:00:00.000Z',
    '2026-01-01T00:00:00.000Z\n',
    '',
  ])('%j is no time', (text) => {
    expect(fits(timestampSchema, text)).toBe(false);
    expect(isTimestamp(text)).toBe(false);
  });

  test('a text is a time if and only if the calendar gives it back', () => {
    const two = fc.integer({ min: 0, max: 99 }).map((n) => String(n).padStart(2, '0'));
    const texts = fc
      .tuple(fc.integer({ min: 0, max: 9999 }), two, two, two, two, two)
      .map(
        ([year, month, day, hour, minute, second]) =>
          `${String(year).padStart(4, '0')}-${month}-${day}T${hour}:${minute}:${second}.000Z`,
      );
    const real = fc
      .date({ min: new Date('0000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((date) => date.toISOString());
    fc.assert(
      fc.property(fc.oneof(texts, real), (text) => {
        const time = new Date(text);
        const exists = !Number.isNaN(time.getTime()) && time.toISOString() === text;
        expect(isTimestamp(text)).toBe(exists);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('shared values', () => {
  test('a text has 1 to so many code points', () => {
    const schema = textSchema(3);

    expect(['a', 'ßßß', '😀😀😀'].every((text) => fits(schema, text))).toBe(true);
    expect(['', 'abcd', '😀😀😀😀', 'aaaaaaa', 7, null].some((text) => fits(schema, text))).toBe(
      false,
    );
  });

  test('base64url re-encodes to itself', () => {
    expect(['AQID', 'AQ', '-_8'].every((text) => fits(base64urlSchema, text))).toBe(true);
    expect(
      ['', 'AB', 'AQ==', '+/8', 'A', 'AQ ID'].some((text) => fits(base64urlSchema, text)),
    ).toBe(false);
  });

  test('a UUID of any version is in lower case', () => {
    expect(fits(uuidSchema, '0193e4b0-0000-7000-8000-00000000000f')).toBe(true);
    expect(fits(uuidSchema, '0193E4B0-0000-7000-8000-00000000000F')).toBe(false);
    expect(fits(uuidSchema, '0193e4b000007000800000000000000f')).toBe(false);
  });

  test('an identifier has no separators of keys or paths', () => {
    expect(['a', 'A-1_b.c:2'].every((text) => fits(identifierSchema, text))).toBe(true);
    expect(['', '-a', 'a/b', 'a#b', 'a b', 'ä'].some((text) => fits(identifierSchema, text))).toBe(
      false,
    );
  });

  test('a link has a digest, a sequence and nothing else', () => {
    const digest = digestOf('x');

    expect(fits(linkSchema, { digest, sequence: 1 })).toBe(true);
    for (const wrong of [
      { digest },
      { digest, sequence: 0 },
      { digest, sequence: 1, copy: 1 },
      null,
    ])
      expect(fits(linkSchema, wrong)).toBe(false);
  });
});

describe('refusals by schema', () => {
  const union = z.union([
    z.strictObject({ kind: z.literal('a'), size: z.int(), inner: z.strictObject({ x: z.int() }) }),
    z.strictObject({ kind: z.literal('b'), name: z.string() }),
  ]);

  test('an unknown member is named before anything else', () => {
    expect(validate(linkSchema, { digest: 1, extra: 1 })).toEqual({
      outcome: 'refused',
      code: 'UNKNOWN_MEMBER',
      detail: expect.stringMatching(/^the object: .*"extra".*; remove it$/),
    });
  });

  test('of a union they are those of the member that came closest', () => {
    expect(validate(union, { kind: 'b', name: 7 })).toMatchObject({
      code: 'SCHEMA_VIOLATION',
      detail: expect.stringMatching(/^name: [^;]*$/),
    });
    expect(validate(union, { kind: 'a', size: 1, inner: { x: 1, y: 2 } })).toMatchObject({
      code: 'UNKNOWN_MEMBER',
      detail: expect.stringMatching(/^inner: /),
    });
  });

  test('of a discriminated union without the discriminator there is one', () => {
    const kinds = z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('a') })]);

    expect(validate(kinds, { kind: 'c' })).toMatchObject({
      code: 'SCHEMA_VIOLATION',
      detail: expect.stringMatching(/^kind: /),
    });
  });

  test('at most three are told', () => {
    const many = z.strictObject({ a: z.int(), b: z.int(), c: z.int(), d: z.int() });
    const refusal = validate(many, {});

    expect(refusal.outcome === 'refused' && refusal.detail.split('; ')).toHaveLength(3);
  });
});
