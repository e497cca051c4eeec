import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  digestOf,
  digestOfStream,
  isCertificateId,
  isDigest,
  isSequence,
} from '../../shared/ledger/digest.ts';

async function* chunks(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

describe('digests', () => {
  test.each([
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
  ])('of "%s" is the one of FIPS 180-4', (text, digest) => {
    expect(digestOf(text)).toBe(digest);
    expect(digestOf(Buffer.from(text))).toBe(digest);
  });

  test('of a stream is that of its bytes, however they are cut', async () => {
    const whole = { digest: createHash('sha256').update('abcdef').digest('hex'), size: 6 };

    expect(await digestOfStream(chunks('abcdef'))).toEqual(whole);
    expect(await digestOfStream(chunks('', 'a', 'bcd', 'ef'))).toEqual(whole);
    expect(await digestOfStream(chunks())).toEqual({ digest: digestOf(''), size: 0 });
  });

  test('have 64 digits in lower case, and so have certificate ids', () => {
    const digest = digestOf('x');

    for (const wrong of [digest.slice(1), `${digest}0`, digest.toUpperCase(), `${digest}\n`, '']) {
      expect(isDigest(wrong)).toBe(false);
      expect(isCertificateId(wrong)).toBe(false);
    }
    expect(isDigest(digest)).toBe(true);
    expect(isCertificateId(digest)).toBe(true);
  });

  test('a sequence is a safe integer from 1 on', () => {
    expect([1, 2, Number.MAX_SAFE_INTEGER].every(isSequence)).toBe(true);
    expect([0, -1, 1.5, Number.NaN, 2 ** 53].some(isSequence)).toBe(false);
  });
});
