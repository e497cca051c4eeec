import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  joseSignature,
  type SignatureAlgorithm,
  verifyBytes,
} from '../../shared/ledger/signature.ts';
import { sequence, tlv } from '../certificate-authority.ts';
import { signBytes, type TestSigner, testSigner } from '../signing.ts';

const [p256, p384, p521] = [testSigner('ES256'), testSigner('ES384'), testSigner('ES512')];
const [ed25519, rsa] = [testSigner('EdDSA'), testSigner('PS256')];
const input = Buffer.from('eyJhbGciOiJFUzI1NiJ9.');

/** Written out here and not read from the code under test. */
const ORDER = {
  ES256: BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'),
  ES384: 2n ** 384n - 1388124618062372383947042015309946732620727252194336364173n,
  ES512: BigInt(
    `0x1${'f'.repeat(65)}a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409`,
  ),
};
const curves = [
  { algorithm: 'ES256', signer: p256, size: 32 },
  { algorithm: 'ES384', signer: p384, size: 48 },
  { algorithm: 'ES512', signer: p521, size: 66 },
] as const;

/** A positive INTEGER of DER in its shortest form, by another way than the code under test. */
function integer(value: bigint): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  const sign = bytes.readUInt8(0) >= 0x80 ? [Buffer.alloc(1)] : [];
  return tlv(0x02, ...sign, bytes);
}

function der(r: bigint, s: bigint): Buffer {
  return sequence(integer(r), integer(s));
}

function rawOf(r: bigint, s: bigint, size: number): string {
  const [hexR, hexS] = [r, s].map((value) => value.toString(16).padStart(2 * size, '0'));
  return Buffer.from(`${hexR}${hexS}`, 'hex').toString('base64url');
}

function read(bytes: Uint8Array, signer: TestSigner = p256): unknown {
  const outcome = joseSignature(signer.algorithm, signer.publicKey, bytes);
  return outcome.outcome === 'read' ? outcome.signature : outcome.code;
}

describe('an ECDSA signature in DER', () => {
  test.each(curves)('of $algorithm is r and s of $size bytes each', ({
    algorithm,
    signer,
    size,
  }) => {
    const numbers = fc.bigInt(1n, ORDER[algorithm] - 1n);
    const short = fc.bigInt(1n, 2n ** 130n);
    fc.assert(
      fc.property(fc.oneof(numbers, short), fc.oneof(numbers, short), (r, s) => {
        expect(read(der(r, s), signer)).toBe(rawOf(r, s, size));
      }),
    );
  });

  test.each(curves)('of $algorithm holds 1 and the order less 1', ({ algorithm, signer, size }) => {
    const last = ORDER[algorithm] - 1n;

    expect(read(der(1n, last), signer)).toBe(rawOf(1n, last, size));
    expect(read(der(last, 1n), signer)).toBe(rawOf(last, 1n, size));
  });

  test.each(curves)('of $algorithm is refused out of range', ({ algorithm, signer }) => {
    const order = ORDER[algorithm];
    for (const wrong of [0n, order, order + 1n, 2n ** 521n, 2n ** 600n]) {
      expect(read(der(wrong, 1n), signer)).toBe('SIGNATURE_DER_MALFORMED');
      expect(read(der(1n, wrong), signer)).toBe('SIGNATURE_DER_MALFORMED');
    }
  });

  test.each(curves)('of $algorithm verifies once it is r and s', ({ algorithm, signer }) => {
    const bytes = signBytes(algorithm, signer.key, input);
    const signature = Buffer.from(read(bytes, signer) as string, 'base64url');

    expect(verifyBytes(algorithm, signer.publicKey, input, signature)).toBe(true);
    expect(verifyBytes(algorithm, signer.publicKey, input, bytes)).toBe(false);
  });

  const [one, two] = [integer(2n ** 250n), integer(3n)];
  const good = sequence(one, two);
  const hex = (text: string) => Buffer.from(text, 'hex');

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a tag alone', hex('30')],
    ['a length alone', hex('3081')],
    ['no members', sequence()],
    ['one member', sequence(one)],
    ['three members', sequence(one, two, two)],
    ['a byte after it', Buffer.concat([good, hex('00')])],
    ['a byte after s, inside', sequence(one, two, hex('00'))],
    ['a byte too few', good.subarray(0, -1)],
    ['another tag', tlv(0x31, one, two)],
    ['a string for r', sequence(tlv(0x04, hex('01')), two)],
    ['a string for s', sequence(one, tlv(0x04, hex('01')))],
    ['a length in the long form', Buffer.concat([hex('3081'), good.subarray(1)])],
    ['a length with a leading zero', Buffer.concat([hex('308200'), good.subarray(1)])],
    ['an indefinite length', Buffer.concat([hex('3080'), good.subarray(2), hex('0000')])],
    ['a length of r in the long form', sequence(hex('02810101'), two)],
    ['a length of two bytes', Buffer.concat([hex('30820100'), Buffer.alloc(256, 1)])],
    ['r past the end', sequence(hex('02030102'))],
    ['r without bytes', sequence(hex('0200'), two)],
    ['s without bytes', sequence(one, hex('0200'))],
    ['a negative r', sequence(hex('020181'), two)],
    ['a negative s', sequence(one, hex('0201ff'))],
    ['a padded r', sequence(hex('02020001'), two)],
    ['a padded s', sequence(one, hex('0202007f'))],
    ['r = 0', sequence(hex('020100'), two)],
    ['s = 0', sequence(one, hex('020100'))],
    ['r = 0, padded', sequence(hex('02020000'), two)],
  ])('with %s is refused', (_rule, bytes) => {
    expect(read(bytes)).toBe('SIGNATURE_DER_MALFORMED');
  });

  test('may need a zero before the highest bit', () => {
    expect(read(sequence(hex('02020080'), two))).toBe(rawOf(0x80n, 3n, 32));
  });

  test('that is refused says how long it is and what was expected', () => {
    expect(joseSignature('ES256', p256.publicKey, hex('0201ff'))).toMatchObject({
      detail:
        'the signature has 3 bytes, not 64 for r and s, and is not in DER either: expected one ' +
        'SEQUENCE of two INTEGERs, lengths in their shortest form, nothing after it',
    });
  });
});

describe('a signature in its JOSE form', () => {
  test.each([
    ['ES256', p256, 64],
    ['ES384', p384, 96],
    ['ES512', p521, 132],
    ['EdDSA', ed25519, 64],
    ['PS256', rsa, 384],
  ] as const)('of %s is taken as it is', (_algorithm, signer, size) => {
    const bytes = Buffer.alloc(size, 0x30);

    expect(read(bytes, signer)).toBe(bytes.toString('base64url'));
  });

  test.each([
    ['EdDSA', ed25519, [0, 63, 65, 71]],
    ['PS256', rsa, [0, 383, 385, 256]],
  ] as const)('of %s has one length', (algorithm, signer, sizes) => {
    for (const size of sizes) {
      expect(read(Buffer.alloc(size), signer)).toBe('SIGNATURE_LENGTH_WRONG');
      expect(verifyBytes(algorithm, signer.publicKey, input, Buffer.alloc(size))).toBe(false);
    }
  });

  test.each([
    ['RS256', p256],
    ['ES384', p256],
    ['EdDSA', rsa],
    ['ES256', ed25519],
  ] as const)('of %s is refused for a key without that algorithm', (algorithm, signer) => {
    expect(joseSignature(algorithm, signer.publicKey, Buffer.alloc(64))).toMatchObject({
      code: 'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    });
    expect(verifyBytes(algorithm, signer.publicKey, input, Buffer.alloc(64))).toBe(false);
  });
});

describe('the bare verification', () => {
  const all = [p256, p384, p521, ed25519, rsa, { ...rsa, algorithm: 'RS256' as const }];
  const signatures = new Map<SignatureAlgorithm, Buffer>(
    all.map((signer) => {
      const bytes = signBytes(signer.algorithm, signer.key, input);
      return [signer.algorithm, Buffer.from(read(bytes, signer) as string, 'base64url')];
    }),
  );

  test.each(all)('takes the signature of $algorithm, and no other', ({ algorithm, publicKey }) => {
    for (const [other, signature] of signatures)
      expect(verifyBytes(algorithm, publicKey, input, signature)).toBe(other === algorithm);
  });

  test.each(all)('of $algorithm takes the signature over no other input', (signer) => {
    const { algorithm, publicKey } = signer;
    const signature = signatures.get(algorithm) as Buffer;

    expect(verifyBytes(algorithm, publicKey, Buffer.alloc(0), signature)).toBe(false);
    expect(verifyBytes(algorithm, publicKey, input.subarray(0, -1), signature)).toBe(false);
  });

  test('says no to any bytes, and never throws', () => {
    fc.assert(
      fc.property(fc.constantFrom(...all), fc.uint8Array({ maxLength: 400 }), (signer, bytes) => {
        expect(verifyBytes(signer.algorithm, signer.publicKey, input, bytes)).toBe(false);
      }),
    );
  });
});
