import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { limits } from '../../shared/ledger/limits.ts';
import {
  algorithmsOf,
  checkSigningKey,
  readSigningKey,
  verifyBytes,
} from '../../shared/ledger/signature.ts';
import type { SigningKey } from '../../shared/ledger/transaction.ts';
import {
  compressedSpki,
  issueTestCertificate,
  pemOf,
  testAuthority,
  testKey,
} from '../certificate-authority.ts';
import { signBytes, testSigner } from '../signing.ts';

const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'EdDSA', 'PS256'] as const;
const keys = ALGORITHMS.map((algorithm) => ({ kind: algorithm, ...testSigner(algorithm) }));
const p256 = keys[0] as (typeof keys)[number];

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

/** An RSA key with a modulus of so many bits that nobody can factor, least of all here. */
function rsaKey(bits: number, changes: object = {}): object {
  const modulus = randomBytes(Math.ceil(bits / 8));
  const top = (bits - 1) % 8;
  modulus[0] = ((modulus[0] as number) & ((2 << top) - 1)) | (1 << top);
  modulus[modulus.length - 1] = (modulus.at(-1) as number) | 1;
  return { e: 'AQAB', kty: 'RSA', n: base64url(modulus), ...changes };
}

/** What is said of a key that is refused; the key itself if it is not. */
function refusalOf(jwk: unknown): unknown {
  const read = readSigningKey({ jwk });
  if (read.outcome === 'read') return read.publicKey;
  expect(read.code).toBe('KEY_NOT_ALLOWED');
  return read.detail;
}

describe('an admitted key', () => {
  test.each(keys)('of $kind passes, and is read as itself', ({ publicKey }) => {
    expect(checkSigningKey(publicKey)).toBeUndefined();
    expect(readSigningKey({ jwk: publicKey })).toEqual({ outcome: 'read', publicKey });
  });

  test.each([
    ['ES256', ['ES256']],
    ['ES384', ['ES384']],
    ['ES512', ['ES512']],
    ['EdDSA', ['EdDSA']],
    ['PS256', ['PS256', 'RS256']],
  ])('of %s has the algorithms %j', (kind, algorithms) => {
    const { publicKey } = keys.find((key) => key.kind === kind) as (typeof keys)[number];

    expect(algorithmsOf(publicKey)).toEqual(algorithms);
  });

  test.each([3072, 3073, 4096, 8191, 8192])('may be an RSA key of %i bits', (bits) => {
    const jwk = rsaKey(bits);

    expect(refusalOf(jwk)).toEqual(jwk);
  });

  test('is read without what else a JWK may say', () => {
    for (const { publicKey } of keys) {
      const jwk = { ...publicKey, alg: 'x', ext: true, key_ops: [], kid: '1', use: 'sig', x5c: [] };

      expect(readSigningKey({ jwk })).toEqual({ outcome: 'read', publicKey });
    }
  });

  test('is found among however many others', () => {
    const { publicKey, key } = testSigner('EdDSA');
    const signature = signBytes('EdDSA', key, Buffer.from('text'));
    for (let n = 0; n < 300; n += 1) expect(checkSigningKey(generateKey('P-256'))).toBeUndefined();

    expect(verifyBytes('EdDSA', publicKey, Buffer.from('text'), signature)).toBe(true);
  });
});

function generateKey(namedCurve: string): SigningKey {
  return generateKeyPairSync('ec', { namedCurve }).publicKey.export({
    format: 'jwk',
  }) as SigningKey;
}

describe('a JWK', () => {
  test.each([
    ['nothing', undefined],
    ['null', null],
    ['text', 'P-256'],
    ['a number', 1],
    ['a list', [p256.publicKey]],
  ])('that is %s is refused', (_what, jwk) => {
    expect(refusalOf(jwk)).toMatch(/^the key is no JSON Web Key: expected an object with kty; adm/);
  });

  test.each([
    ['no kind', {}, 'missing'],
    ['the kind of a secret', { kty: 'oct' }, '"oct"'],
    ['the kind of ML-DSA', { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AA' }, '"AKP"'],
    ['the name of a member of every object', { kty: 'constructor' }, '"constructor"'],
    ['an object as kind', { kty: { kty: 'EC' } }, '{"kty":"EC"}'],
  ])('with %s is refused by its name', (_what, jwk, name) => {
    expect(refusalOf(jwk)).toMatch(`keys of the kind ${name} are not admitted`);
  });

  test.each(keys)('of $kind with its private half is refused', ({ key }) => {
    expect(refusalOf(key.export({ format: 'jwk' }))).toMatch(
      /^the key holds d: that is a secret, which stays with whoever signs; send the public key/,
    );
  });

  test.each([
    'd',
    'p',
    'q',
    'dp',
    'dq',
    'qi',
    'oth',
    'k',
    'priv',
  ])('with the member %s is refused, empty or not', (name) => {
    expect(refusalOf({ ...p256.publicKey, [name]: '' })).toMatch(`the key holds ${name}: `);
  });

  test('for encryption is refused', () => {
    expect(refusalOf({ ...p256.publicKey, use: 'enc' })).toMatch('for the use "enc", not for');
  });
});

describe('an EC key', () => {
  const publicKey = p256.publicKey as Extract<SigningKey, { kty: 'EC' }>;
  const field = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
  const coordinate = (value: bigint) =>
    base64url(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'));

  test.each([
    ['secp256k1', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey],
    ['P-224', { crv: 'P-224', kty: 'EC', x: 'AA', y: 'AA' }],
    ['P-192', { crv: 'P-192', kty: 'EC', x: 'AA', y: 'AA' }],
    ['toString', { crv: 'toString', kty: 'EC', x: 'AA', y: 'AA' }],
  ] as const)('of the curve %s is refused by its name', (name, key) => {
    const jwk = 'export' in key ? (key as KeyObject).export({ format: 'jwk' }) : key;

    expect(refusalOf(jwk)).toMatch(`the curve "${name}" is not admitted; admitted are EC keys of`);
  });

  test('without a curve is refused', () => {
    expect(refusalOf({ kty: 'EC', x: 'AA', y: 'AA' })).toMatch('the curve missing is not admitted');
    expect(refusalOf({ crv: ['P-256'], kty: 'EC' })).toMatch('the curve ["P-256"] is not admitted');
  });

  test.each([
    ['31 bytes', base64url(Buffer.alloc(31, 1))],
    ['33 bytes', base64url(Buffer.alloc(33, 1))],
    ['a leading zero', base64url(Buffer.concat([Buffer.alloc(1), Buffer.alloc(32, 1)]))],
    ['no bytes', ''],
    ['padding', `${publicKey.x}=`],
    ['nothing', undefined],
    ['a number', 1],
  ])('with %s as coordinate is refused', (_what, wrong) => {
    for (const name of ['x', 'y'])
      expect(refusalOf({ ...publicKey, [name]: wrong })).toMatch(/32 bytes each, in base64url/);
  });

  test.each([
    ['P-384', 48],
    ['P-521', 66],
  ])('of %s has coordinates of %i bytes', (crv, size) => {
    const short = base64url(Buffer.alloc(size - 1, 1));

    expect(refusalOf({ crv, kty: 'EC', x: short, y: short })).toMatch(`are ${size} bytes each`);
  });

  test.each([
    ['x twice', { y: publicKey.x }],
    ['the origin', { x: coordinate(0n), y: coordinate(0n) }],
    ['a coordinate that is the field’s prime', { x: coordinate(field) }],
    ['a coordinate above the field’s prime', { y: coordinate(2n ** 256n - 1n) }],
    ['the coordinates of another curve', { crv: 'P-256', x: secp256k1().x, y: secp256k1().y }],
  ])('with %s is refused: not on the curve', (_what, changes) => {
    expect(refusalOf({ ...publicKey, ...changes })).toMatch('is not on the curve P-256');
  });

  test('off its curve has signed nothing', () => {
    const off = { ...publicKey, y: publicKey.x };

    expect(verifyBytes('ES256', off, Buffer.alloc(1), Buffer.alloc(64, 1))).toBe(false);
  });
});

function secp256k1() {
  return generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' });
}

describe('an Ed25519 key', () => {
  const field = 2n ** 255n - 19n;

  function modulo(value: bigint): bigint {
    return ((value % field) + field) % field;
  }

  function power(base: bigint, exponent: bigint): bigint {
    if (exponent === 0n) return 1n;
    const half = power((base * base) % field, exponent / 2n);
    return exponent % 2n === 1n ? (half * base) % field : half;
  }

  const inverse = (value: bigint) => power(modulo(value), field - 2n);
  const d = modulo(-121665n * inverse(121666n));

  /** The even x of a y on the curve, by RFC 8032 section 5.1.3; undefined where there is none. */
  function xOf(y: bigint): bigint | undefined {
    const squared = modulo((y * y - 1n) * inverse(d * y * y + 1n));
    const root = power(squared, (field + 3n) / 8n);
    const found = [root, modulo(root * power(2n, (field - 1n) / 4n))].find(
      (candidate) => modulo(candidate * candidate) === squared,
    );
    return found === undefined || found % 2n === 0n ? found : field - found;
  }

  type Point = readonly [bigint, bigint];

  function doubled([x, y]: Point): Point {
    const product = d * x * x * y * y;
    return [
      modulo(2n * x * y * inverse(1n + product)),
      modulo((y * y + x * x) * inverse(1n - product)),
    ];
  }

  /** Little-endian, the highest bit for the sign of x (RFC 8032 section 5.1.2). */
  function encoded(y: bigint, sign = 0n): object {
    const hex = (y | (sign << 255n)).toString(16).padStart(64, '0');
    return { crv: 'Ed25519', kty: 'OKP', x: base64url(Buffer.from(hex, 'hex').reverse()) };
  }

  const order8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
  const smallY = [0n, 1n, field - 1n, order8, field - order8];

  test('of small order is one of these: eight times it is nothing', () => {
    for (const y of smallY) {
      const point: Point = [xOf(y) as bigint, y];
      expect(doubled(doubled(doubled(point)))).toEqual([0n, 1n]);
    }
    expect(doubled(doubled([xOf(order8) as bigint, order8]))).toEqual([0n, field - 1n]);
  });

  test.each(
    smallY.flatMap((y) => [0n, 1n].map((sign) => ({ y, sign }))),
  )('of small order is refused: y = $y, sign $sign', ({ y, sign }) => {
    expect(refusalOf(encoded(y, sign))).toMatch('is a point of small order');
  });

  test.each([
    field,
    field + 1n,
    field + 18n,
  ])('in another than its one encoding is refused: y = %i', (y) => {
    for (const sign of [0n, 1n])
      expect(refusalOf(encoded(y, sign))).toMatch('is not in its one encoding');
  });

  test('that is no point of the curve is refused, and only that', () => {
    const outcomes = Array.from({ length: 40 }, (_, n) => BigInt(n + 2)).map((y) => ({
      refused: refusalOf(encoded(y)),
      exists: xOf(y) !== undefined,
    }));

    for (const { refused, exists } of outcomes)
      if (exists) expect(refused).toHaveProperty('kty', 'OKP');
      else expect(refused).toMatch('is no point of the curve');
    expect(new Set(outcomes.map(({ exists }) => exists)).size).toBe(2);
  });

  test('is taken as it is generated', () => {
    for (let n = 0; n < 50; n += 1) {
      const jwk = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
      expect(refusalOf(jwk)).toEqual(jwk);
    }
  });

  test.each([
    ['31 bytes', { x: base64url(Buffer.alloc(31, 9)) }],
    ['33 bytes', { x: base64url(Buffer.alloc(33, 9)) }],
    ['nothing', { x: undefined }],
    ['no text', { x: 9 }],
  ])('of %s is refused', (_what, changes) => {
    expect(refusalOf({ crv: 'Ed25519', kty: 'OKP', ...changes })).toMatch('is 32 bytes');
  });

  test.each(['ed448', 'x25519', 'x448'] as const)('is not a key of %s', (type) => {
    const { publicKey } = generateKeyPairSync(type as 'ed448');
    const jwk = publicKey.export({ format: 'jwk' });

    expect(refusalOf(jwk)).toMatch(`the curve "${jwk.crv}" is not admitted`);
  });

  test('of the wrong length has signed nothing', () => {
    const key = { crv: 'Ed25519', kty: 'OKP', x: 'AQID' } as const;

    expect(verifyBytes('EdDSA', key, Buffer.alloc(1), Buffer.alloc(64))).toBe(false);
  });
});

describe('an RSA key', () => {
  test.each([512, 1024, 2048, 3064, 3071, 8193, 16384])('of %i bits is refused', (bits) => {
    expect(refusalOf(rsaKey(bits))).toMatch(`the RSA key has ${bits} bits; admitted are`);
  });

  test.each([
    ['3', 'Aw'],
    ['1', 'AQ'],
    ['65535', '__8'],
    ['65537 with a leading zero', 'AAEAAQ'],
    ['2^32 + 1', 'AQAAAAE'],
    ['nothing', undefined],
  ])('with the exponent %s is refused', (_what, e) => {
    expect(refusalOf(rsaKey(3072, { e }))).toMatch(/^e of the RSA key is \S+, not AQAB; admitted/);
  });

  test.each([
    ['a leading zero', base64url(Buffer.concat([Buffer.alloc(1), Buffer.alloc(384, 0xff)]))],
    ['no bytes', ''],
    ['no text', 1],
    ['nothing', undefined],
    ['padding', `${base64url(Buffer.alloc(385, 0xff))}=`],
  ])('with %s as modulus is refused', (_what, n) => {
    expect(refusalOf(rsaKey(3072, { n }))).toMatch('n of an RSA key is base64url without padding');
  });

  test('with an even modulus is refused', () => {
    const n = base64url(Buffer.alloc(384, 0xfe));

    expect(refusalOf(rsaKey(3072, { n }))).toMatch('the modulus of the RSA key is even');
  });
});

describe('PEM text', () => {
  const authority = testAuthority('Trust Service');

  function spkiPem(key: KeyObject): string {
    return key.export({ type: 'spki', format: 'pem' }).toString();
  }

  function pemRefusal(pem: string): unknown {
    const read = readSigningKey({ pem });
    if (read.outcome === 'read') return read.publicKey;
    expect(read.code).toBe('KEY_NOT_ALLOWED');
    return read.detail;
  }

  test.each(keys)('of a public key of $kind is read as its JWK', ({ key, publicKey }) => {
    const pem = spkiPem(createPublicKey(key));

    expect(readSigningKey({ pem })).toEqual({ outcome: 'read', publicKey });
    expect(readSigningKey({ pem: pem.replaceAll('\n', '\r\n') })).toMatchObject({ publicKey });
  });

  test.each(keys)('of a certificate of $kind is read as its key', ({ key, publicKey }) => {
    const certified = { privateKey: key, publicKey: createPublicKey(key), pem: '' };
    const { certificatePem } = issueTestCertificate(authority, { key: certified });

    expect(readSigningKey({ pem: certificatePem })).toEqual({ outcome: 'read', publicKey });
    const described = `subject=CN = signer\nissuer=CN = Trust Service\n${certificatePem}\n`;
    expect(readSigningKey({ pem: described })).toMatchObject({ publicKey });
  });

  test('of one key in several encodings is one key', () => {
    const key = testKey();
    const { crv, kty, x, y } = key.publicKey.export({ format: 'jwk' });
    const explicit = testKey('p256-explicit').publicKey;
    const compressed = createPublicKey({ key: compressedSpki(key), format: 'der', type: 'spki' });

    expect(pemRefusal(spkiPem(compressed))).toEqual({ crv, kty, x, y });
    expect(pemRefusal(spkiPem(explicit))).toEqual(explicit.export({ format: 'jwk' }));
  });

  const { privateKey: rsaPrivate, publicKey: rsaPublic } = generateKeyPairSync('rsa', {
    modulusLength: 1024,
  });
  const ecPrivate = p256.key;

  test.each([
    ['PKCS#8', ecPrivate.export({ type: 'pkcs8', format: 'pem' })],
    ['SEC1', ecPrivate.export({ type: 'sec1', format: 'pem' })],
    ['PKCS#1', rsaPrivate.export({ type: 'pkcs1', format: 'pem' })],
    [
      'encrypted PKCS#8',
      ecPrivate.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }),
    ],
    [
      'PKCS#8 behind a public key',
      spkiPem(createPublicKey(ecPrivate)) + ecPrivate.export({ type: 'pkcs8', format: 'pem' }),
    ],
  ])('of a private key in %s is refused', (_what, pem) => {
    expect(pemRefusal(pem.toString())).toMatch(/^the PEM text holds a private key: that is a secr/);
  });

  const spki = spkiPem(createPublicKey(ecPrivate));
  const base64 = spki.split('\n').slice(1, 3).join('\n');

  test.each([
    ['nothing', ''],
    ['the key without its lines', base64],
    ['an end without a beginning', spki.split('\n').slice(1).join('\n')],
    ['a beginning without an end', spki.split('\n').slice(0, 3).join('\n')],
    ['another end', spki.replace('END PUBLIC', 'END PRIVATE')],
    ['letters that are no base64', spki.replace(base64, 'ü')],
    ['two keys', spki + spki],
    ['a chain of certificates', authority.certificatePem + authority.certificatePem],
  ])('that holds %s is refused', (_what, pem) => {
    expect(pemRefusal(pem)).toMatch('expected the PEM text of one public key or one certificate');
  });

  test.each([
    [
      'a public key in PKCS#1',
      rsaPublic.export({ type: 'pkcs1', format: 'pem' }),
      'RSA PUBLIC KEY',
    ],
    ['a request for a certificate', spki.replaceAll('PUBLIC KEY', 'CERTIFICATE REQUEST'), 'CERTIF'],
  ])('of %s is refused by its label', (_what, pem, label) => {
    expect(pemRefusal(pem.toString())).toMatch(`the PEM text is a ${label}`);
  });

  test.each([
    ['is not in base64', spki.replace(base64, 'AAA')],
    ['is not in base64', spki.replace(base64, 'A_A=')],
    ['public key cannot be read', spki.replace(base64, 'AAAA')],
    ['certificate cannot be read', pemOf(Buffer.from('certificate'))],
    ['certificate cannot be read', pemOf(Buffer.concat([authority.der, Buffer.alloc(1)]))],
    ['longer than 32768 characters', spki.padStart(4 * limits.certificateBytesMax + 1)],
  ])('that %s is refused', (reason, pem) => {
    expect(pemRefusal(pem)).toMatch(reason);
  });

  test.each([
    ['ec secp224r1', () => generateKeyPairSync('ec', { namedCurve: 'secp224r1' }).publicKey],
    [
      'ec brainpoolP256r1',
      () => generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' }).publicKey,
    ],
    ['rsa-pss', () => generateKeyPairSync('rsa-pss', { modulusLength: 1024 }).publicKey],
    [
      'dsa',
      () => generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }).publicKey,
    ],
  ])('of a key of the kind %s is refused by its name', (name, generate) => {
    expect(pemRefusal(spkiPem(generate()))).toMatch(`keys of the kind ${name} are not admitted`);
  });

  test.each([
    ['the curve "secp256k1"', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey],
    ['1024 bits', rsaPublic],
    [
      'e of the RSA key is "Aw"',
      generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).publicKey,
    ],
  ])('of a key that is too weak is refused: %s', (reason, key) => {
    expect(pemRefusal(spkiPem(key))).toMatch(reason);
    const certified = {
      privateKey: createPrivateKey(rsaPrivate.export({ type: 'pkcs8', format: 'pem' })),
      publicKey: key,
      pem: '',
    };
    const { certificatePem } = issueTestCertificate(authority, { key: certified });
    expect(pemRefusal(certificatePem)).toMatch(reason);
  });
});
