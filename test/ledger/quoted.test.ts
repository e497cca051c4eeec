import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quoted } from '../../shared/ledger/quoted.ts';

test('text in quotes stays on its line and hides nothing', () => {
  expect(quoted('Löschung "so"')).toBe('"Löschung \\"so\\""');
  expect(quoted('a\nPROVEN about b')).toBe('"a\\nPROVEN about b"');
  expect(quoted('a\u202eb\u2028c\u{e0041}')).toBe('"a\\u{202e}b\\u{2028}c\\u{e0041}"');
});

test('whatever the text, its quotes hold nothing that does not show', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(quoted(text)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    }),
  );
});
