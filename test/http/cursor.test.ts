import { describe, expect, test } from 'vitest';
import { encodeCursor, readCursor } from '../../shared/http/cursor.ts';

const LIST = '/v1/registries/00/entries';

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}

test('a cursor leads back to the position that it was made of', () => {
  expect(readCursor(LIST, encodeCursor(LIST, '12'))).toBe('12');
});

describe('what is no cursor of the list is none at all', () => {
  test.each([
    ['a cursor of another list', encodeCursor('/v1/registries/11/entries', '12')],
    ['nothing', ''],
    ['a position alone', '12'],
    ['base64 with padding', `${encodeCursor(LIST, '1')}=`],
    ['white space behind it', `${encodeCursor(LIST, '12')} `],
    ['JSON that is not canonical', base64url(`{"list":"${LIST}","after":"12"}`)],
    ['a further member', base64url(`{"after":"12","count":9,"list":"${LIST}"}`)],
    ['a position that is no text', base64url(`{"after":12,"list":"${LIST}"}`)],
    ['no position', base64url(`{"after":"","list":"${LIST}"}`)],
    ['a position longer than any', encodeCursor(LIST, 'x'.repeat(257))],
    ['more text than any cursor has', encodeCursor(LIST.repeat(40), '12')],
    ['bytes that are no UTF-8', Buffer.from([0xff, 0xfe]).toString('base64url')],
  ])('%s', (_name, untrusted) => {
    expect(readCursor(LIST, untrusted)).toBeUndefined();
  });
});
