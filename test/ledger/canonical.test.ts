import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Canonical, encodeCanonical, parseCanonical } from '../../shared/ledger/canonical.ts';
import { limits } from '../../shared/ledger/limits.ts';

const MAX = limits.transactionBytesMax;

function parse(text: string | Uint8Array) {
  return parseCanonical(typeof text === 'string' ? Buffer.from(text) : text, MAX);
}

function codeOf(text: string | Uint8Array): string {
  const outcome = parse(text);
  return outcome.outcome === 'refused' ? outcome.code : 'parsed';
}

function nested(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth);
}

const refused: readonly (readonly [rule: string, text: string | Uint8Array, code: string])[] = [
  ['a duplicate name', '{"a":1,"a":1}', 'NOT_CANONICAL'],
  ['a duplicate name in an escape', '{"a":1,"\\u0061":1}', 'NOT_CANONICAL'],
  ['names out of order', '{"b":1,"a":1}', 'NOT_CANONICAL'],
  ['integer-like names in the order of their numbers', '{"9":1,"10":1}', 'NOT_CANONICAL'],
  ['an integer with a fraction', '[1.0]', 'NOT_CANONICAL'],
  ['an integer with an exponent', '[1e6]', 'NOT_CANONICAL'],
  ['minus zero', '[-0]', 'NOT_CANONICAL'],
  ['a space', '{"a": 1}', 'NOT_CANONICAL'],
  ['a newline at the end', '{"a":1}\n', 'NOT_CANONICAL'],
  ['a carriage return between members', '{"a":1,\r"b":1}', 'NOT_CANONICAL'],
  ['a needless escape of a letter', '["\\u0041"]', 'NOT_CANONICAL'],
  ['a needless escape of a slash', '["\\/"]', 'NOT_CANONICAL'],
  ['an escape in upper case', '["\\u001F"]', 'NOT_CANONICAL'],
  ['a long escape where there is a short one', '["\\u000a"]', 'NOT_CANONICAL'],
  ['an escaped pair of surrogates', '["\\ud83d\\ude00"]', 'NOT_CANONICAL'],
  ['a fraction', '[1.5]', 'UNSAFE_NUMBER'],
  ['a number beyond every float', '[1e400]', 'UNSAFE_NUMBER'],
  ['2^53 + 1', '[9007199254740993]', 'UNSAFE_NUMBER'],
  ['-2^53', '[-9007199254740992]', 'UNSAFE_NUMBER'],
  ['a lone high surrogate, escaped', '["\\ud800"]', 'LONE_SURROGATE'],
  ['a lone low surrogate, escaped, in a name', '{"\\udc00":1}', 'LONE_SURROGATE'],
  ['surrogates in the wrong order, escaped', '["\\ude00\\ud83d"]', 'LONE_SURROGATE'],
  ['a lone surrogate, raw', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'NOT_UTF8'],
  ['an overlong encoding', Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 'NOT_UTF8'],
  ['Latin-1', Buffer.from('["ä"]', 'latin1'), 'NOT_UTF8'],
  ['UTF-16, little endian', Buffer.from('{"a":1}', 'utf16le'), 'NOT_JSON'],
  ['UTF-16 with a mark', Buffer.from('\ufeff{"a":1}', 'utf16le'), 'NOT_UTF8'],
  ['a byte order mark', Buffer.from('\ufeff{"a":1}'), 'BYTE_ORDER_MARK'],
  ['U+0000, escaped', '["\\u0000"]', 'NUL_CHARACTER'],
  ['U+0000, escaped, in a name', '{"\\u0000":1}', 'NUL_CHARACTER'],
  ['U+0000, raw', Buffer.from([0x22, 0x00, 0x22]), 'NOT_JSON'],
  ['a decomposed letter', '["a\u0308"]', 'NOT_NFC'],
  ['a decomposed letter, escaped', '["a\\u0308"]', 'NOT_NFC'],
  ['the Kelvin sign', '["\u212a"]', 'NOT_NFC'],
  ['twins under normalization', '{"a\u0308":1,"ä":2}', 'NOT_NFC'],
  ['the name __proto__', '{"__proto__":1}', 'RESERVED_NAME'],
  ['the name __proto__, escaped', '{"\\u005f_proto__":1}', 'RESERVED_NAME'],
  ['the name constructor, deep inside', '[{"a":{"constructor":{}}}]', 'RESERVED_NAME'],
  ['the name prototype', '{"prototype":{}}', 'RESERVED_NAME'],
  ['arrays 17 deep', nested(17), 'TOO_DEEP'],
  ['objects 17 deep', `${'{"a":'.repeat(17)}1${'}'.repeat(17)}`, 'TOO_DEEP'],
  ['arrays that never end', '['.repeat(60_000), 'TOO_DEEP'],
  ['depth behind an escaped quote', `["\\"",${nested(16)}]`, 'TOO_DEEP'],
  ['depth behind an escaped backslash', `["\\\\",${nested(16)}]`, 'TOO_DEEP'],
  ['text after the value', '{"a":1}x', 'NOT_JSON'],
  ['a second value', '{"a":1}{"a":1}', 'NOT_JSON'],
  ['a comma at the end', '[1,]', 'NOT_JSON'],
  ['a string without end', '["a', 'NOT_JSON'],
  ['a string that ends in a backslash', '["a\\', 'NOT_JSON'],
  ['a control character in a string', '["\u0001"]', 'NOT_JSON'],
  ['a plus sign', '[+1]', 'NOT_JSON'],
  ['a leading zero', '[01]', 'NOT_JSON'],
  ['NaN', '[NaN]', 'NOT_JSON'],
  ['a comment', '[1]//', 'NOT_JSON'],
  ['nothing', '', 'NOT_JSON'],
];

describe('canonical bytes', () => {
  test.each(refused)('%s is refused', (_rule, text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  test.each([
    ['depth 16', nested(16)],
    ['brackets in strings, which are not depth', `["${'['.repeat(40)}"]`],
    ['brackets in a string behind an escaped quote', `["\\"${'['.repeat(40)}"]`],
    ['every kind of value', '{"a":[true,false,null,"",0,-1],"b":{}}'],
    ['a value that is no object', '"ä"'],
    ['the largest integers', '[-9007199254740991,9007199254740991]'],
    ['integer-like names in the order of their characters', '{"1":1,"10":1,"9":1}'],
    ['names sorted by UTF-16 units', '{"\u{1f600}":1,"\uff01":1}'],
    ['the escapes that are needed', '["\\u0001\\b\\t\\n\\f\\r\\"\\\\"]'],
    ['characters beyond the basic plane', '["😀"]'],
    ['a composed letter', '["ä"]'],
    ['the control characters that JSON leaves alone', '["\u007f\u0085"]'],
  ])('%s is accepted', (_rule, text) => {
    expect(parse(text)).toEqual({ outcome: 'parsed', value: JSON.parse(text) });
  });

  test('more bytes than allowed are refused before they are looked at', () => {
    expect(parseCanonical(Buffer.from('nonsense'), 7)).toMatchObject({ code: 'TOO_LARGE' });
    expect(parseCanonical(Buffer.from('"1234567"'), 9)).toMatchObject({ outcome: 'parsed' });
  });

  test('what differs from its encoding is shown at the first difference', () => {
    expect(parse('{"a": 1}')).toMatchObject({
      detail: expect.stringContaining('at character 5: expected "1}", found " 1}"'),
    });
  });

  test('bytes in the middle of a larger buffer are read alone', () => {
    const bytes = Buffer.from('xx[1]xx').subarray(2, 5);

    expect(parse(new Uint8Array(bytes.buffer, bytes.byteOffset, 3))).toEqual({
      outcome: 'parsed',
      value: [1],
    });
  });

  test.each([
    ['undefined', undefined],
    ['a function', { a: () => 1 }],
    ['a big integer', [1n]],
    ['a fraction', [0.5]],
    ['a lone surrogate', ['\ud800']],
    ['a decomposed letter', { 'a\u0308': 1 }],
    ['a reserved name', JSON.parse('{"__proto__":1}')],
  ])('%s cannot be encoded', (_rule, value) => {
    expect(() => encodeCanonical(value)).toThrow('cannot be encoded');
  });
});

const strings = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .map((text) => text.replaceAll('\0', '').normalize('NFC'));
const names = strings.filter((name) => !['__proto__', 'constructor', 'prototype'].includes(name));

const values: fc.Arbitrary<Canonical> = fc.letrec<{ value: Canonical }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    strings,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(names, fc.nat(200).map(String)), tie('value'), { maxKeys: 5 }),
  ),
})).value;

describe('laws of canonical bytes', () => {
  test('decoding what was encoded gives the value, and encoding that the same bytes', () => {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = encodeCanonical(value);
        const parsed = parse(bytes);
        expect(parsed).toEqual({ outcome: 'parsed', value: JSON.parse(bytes.toString()) });
        if (parsed.outcome === 'parsed') expect(encodeCanonical(parsed.value)).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });

  test('a text is accepted if and only if it is the RFC 8785 encoding of its value', () => {
    const spaces = fc.constantFrom<undefined | number>(undefined, undefined, undefined, 1);
    const texts = fc
      .tuple(values, spaces, fc.boolean())
      .map(([value, space, sorted]) =>
        sorted ? (canonicalize(value) as string) : JSON.stringify(value, undefined, space),
      );
    fc.assert(
      fc.property(texts, (text) => {
        const isEncoding = canonicalize(JSON.parse(text)) === text;
        expect(codeOf(text)).toBe(isEncoding ? 'parsed' : 'NOT_CANONICAL');
      }),
      { numRuns: 1000 },
    );
  });

  test('every other byte string gives a refusal or is the only encoding of its value', () => {
    const noise = fc.string({
      unit: fc.constantFrom(...'{}[],:"\\u0aé -1.e', '\u0308', 'true'),
      maxLength: 14,
    });
    fc.assert(
      fc.property(noise, (text) => {
        const parsed = parse(text);
        if (parsed.outcome === 'parsed')
          expect(encodeCanonical(parsed.value)).toEqual(Buffer.from(text));
      }),
      { numRuns: 3000 },
    );
  });

  test('every character below U+0300 is in normalization form C, alone and beside any other', () => {
    const all = Array.from({ length: 0x2ff }, (_, index) => String.fromCharCode(index + 1));
    const changed = all.filter((first) => {
      const text = all.map((second) => first + second).join('');
      return text.normalize('NFC') !== text;
    });

    expect(changed).toEqual([]);
  });
});
