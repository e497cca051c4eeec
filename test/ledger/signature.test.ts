import { createHash, createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { limits } from '../../shared/ledger/limits.ts';
import {
  joseSignature,
  objectUrn,
  type SignatureAlgorithm,
  type SignatureTarget,
  signatureInputDigest,
  signingInput,
  verifySignature,
} from '../../shared/ledger/signature.ts';
import type { Purpose } from '../../shared/ledger/transaction.ts';
import {
  extension,
  issueTestCertificate,
  pemOf,
  testAuthority,
  testKey,
  tlv,
} from '../certificate-authority.ts';
import { signBytes, type TestSigner, testSigner } from '../signing.ts';

const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'EdDSA', 'PS256', 'RS256'] as const;
const signers = new Map(ALGORITHMS.map((algorithm) => [algorithm, testSigner(algorithm)]));

function signerOf(algorithm: SignatureAlgorithm): TestSigner {
  return signers.get(algorithm) as TestSigner;
}

const [signer, stranger] = [signerOf('ES256'), testSigner('ES256')];
const { publicKey } = signer;
const IAT = 1_795_341_600;
const SIGNED_AT = '2026-11-22T10:00:00.000Z';

const target: SignatureTarget = {
  registryId: digestOf('a registry'),
  documentId: 'plan-1',
  version: 2,
  contentDigest: digestOf('the bytes of the version'),
  purpose: 'approval',
  publicKey,
};

function base64url(bytes: Uint8Array | string): string {
  return Buffer.from(bytes).toString('base64url');
}

/** SHA-256 that is not computed by the code under test. */
function sha256(bytes: Uint8Array | string): Buffer {
  return createHash('sha256').update(bytes).digest();
}

const sigD = {
  hashM: 'S256',
  hashV: [base64url(sha256('the bytes of the version'))],
  mId: 'http://uri.etsi.org/19182/ObjectIdByURIHash',
  pars: [`urn:registry:${sha256('a registry').toString('hex')}:document:plan-1:version:2`],
};

function commitment(name: string) {
  return [{ commId: { id: `http://uri.etsi.org/01903/v1.2.2#ProofOf${name}` } }];
}

/** The header of a signature over the target that is right in everything. */
const right = {
  alg: 'ES256',
  b64: false,
  crit: ['b64', 'sigD'],
  iat: IAT,
  sigD,
  srCms: commitment('Approval'),
};

type Jws = Parameters<typeof verifySignature>[0];

/** A signature over any header, given as its value or as bytes, by the algorithm of the signer. */
function signed(header: unknown, by: TestSigner = signer): Jws {
  const bytes = header instanceof Uint8Array ? header : encodeCanonical(header);
  const protectedText = base64url(bytes);
  const signature = signBytes(by.algorithm, by.key, Buffer.from(`${protectedText}.`));
  const read = joseSignature(by.algorithm, by.publicKey, signature);
  if (read.outcome === 'refused') throw new Error(read.detail);
  return { protected: protectedText, signature: read.signature };
}

/** The right header without one member. */
function without(name: keyof typeof right): object {
  return Object.fromEntries(Object.entries(right).filter(([member]) => member !== name));
}

function codeOf(jws: Jws, over: SignatureTarget = target): string {
  const outcome = verifySignature(jws, over);
  return outcome.outcome === 'refused' ? outcome.code : outcome.outcome;
}

const good = signed(right);

describe('a signature', () => {
  test('over exactly what was requested is verified, with what it says', () => {
    expect(verifySignature(good, target)).toEqual({
      outcome: 'verified',
      algorithm: 'ES256',
      signedAt: SIGNED_AT,
      inputDigest: sha256(`${good.protected}.`).toString('hex'),
      certificates: [],
      legacy: false,
    });
  });

  test.each(ALGORITHMS)('of %s is verified', (algorithm) => {
    const by = signerOf(algorithm);
    const jws = signed({ ...right, alg: algorithm }, by);

    expect(verifySignature(jws, { ...target, publicKey: by.publicKey })).toMatchObject({
      outcome: 'verified',
      algorithm,
      legacy: algorithm === 'RS256',
    });
  });

  test.each([
    ['approval', 'Approval'],
    ['origin', 'Origin'],
    ['receipt', 'Receipt'],
    ['creation', 'Creation'],
  ] as const)('for %s states ProofOf%s', (purpose, name) => {
    const jws = signed({ ...right, srCms: commitment(name) });

    expect(codeOf(jws, { ...target, purpose })).toBe('verified');
  });

  test('given twice over one header has one input digest', () => {
    const [one, two] = [signed(right), signed(right)];

    expect(one.signature).not.toBe(two.signature);
    expect(signatureInputDigest(one)).toBe(signatureInputDigest(two));
    expect(signatureInputDigest(one)).toBe(sha256(`${one.protected}.`).toString('hex'));
  });

  test('may hold the requested key itself', () => {
    expect(codeOf(signed({ ...right, jwk: publicKey }))).toBe('verified');
  });

  test.each([0, 1, 253_402_300_799])('may claim the second %i', (iat) => {
    expect(verifySignature(signed({ ...right, iat }), target)).toMatchObject({
      outcome: 'verified',
      signedAt: new Date(1000 * iat).toISOString(),
    });
  });
});

describe('the form of a signature', () => {
  const { protected: header, signature } = good;

  test.each([
    ['padding after the header', { protected: `${header}=`, signature }],
    ['padding after the signature', { protected: header, signature: `${signature}==` }],
    ['white space before the header', { protected: ` ${header}`, signature }],
    ['a newline after the signature', { protected: header, signature: `${signature}\n` }],
    ['white space in the signature', { protected: header, signature: `A ${signature.slice(2)}` }],
    ['the alphabet of base64', { protected: header, signature: `${signature.slice(0, -4)}+/+A` }],
    ['bits left over', { protected: header, signature: `${signature.slice(0, -1)}B` }],
    ['a letter that is no base64', { protected: `${header}é`, signature }],
    ['a dot', { protected: `${header}.`, signature }],
    ['an empty header', { protected: '', signature }],
    ['a header too long', signed({ ...right, jwk: 'A'.repeat(limits.transactionBytesMax - 9000) })],
    [
      'a signature too long',
      { protected: header, signature: 'A'.repeat(limits.transactionBytesMax + 4) },
    ],
    ['a header that is no JSON', signed(Buffer.from('alg: ES256'))],
    ['a header that is not UTF-8', signed(Buffer.from([0x22, 0xff, 0x22]))],
    ['a space in the header', signed(Buffer.from(`${JSON.stringify(right)} `))],
    [
      'unsorted members',
      signed(Buffer.from(JSON.stringify({ b64: false, alg: 'ES256', ...without('b64') }))),
    ],
    ['a member twice', signed(Buffer.from(JSON.stringify(right).replace('{', '{"alg":"ES256",')))],
    ['a fraction as time', signed(Buffer.from(JSON.stringify({ ...right, iat: 1.5 })))],
  ])('with %s is malformed', (_rule, jws) => {
    expect(codeOf(jws)).toBe('SIGNATURE_MALFORMED');
  });
});

describe('the header of a signature', () => {
  test.each([
    ['no header object', []],
    ['a string', 'ES256'],
    ['null', null],
    ['no algorithm', without('alg')],
    ['none', { ...right, alg: 'none' }],
    ['none alone', { alg: 'none' }],
    ['None', { ...right, alg: 'None' }],
    ['HS256', { ...right, alg: 'HS256' }],
    ['ES256K', { ...right, alg: 'ES256K' }],
    ['es256', { ...right, alg: 'es256' }],
    ['ES384 for a key of P-256', { ...right, alg: 'ES384' }],
    ['EdDSA for a key of P-256', { ...right, alg: 'EdDSA' }],
    ['RS256 for a key of P-256', { ...right, alg: 'RS256' }],
    ['a list of algorithms', { ...right, alg: ['ES256'] }],
  ])('with %s is refused, whatever it says of the algorithm', (_rule, header) => {
    expect(codeOf(signed(header))).toBe('SIGNATURE_ALGORITHM_NOT_ALLOWED');
  });

  test('that names another algorithm is told which the key has', () => {
    const rsa = signerOf('PS256');

    expect(verifySignature(signed({ ...right, alg: 'none' }), target)).toMatchObject({
      detail: 'the algorithm is "none"; the requested key signs with ES256',
    });
    expect(
      verifySignature(signed(without('alg'), rsa), { ...target, publicKey: rsa.publicKey }),
    ).toMatchObject({
      detail: 'the algorithm is missing; the requested key signs with PS256 or RS256',
    });
  });

  test.each([
    ['no crit', without('crit')],
    ['an empty crit', { ...right, crit: [] }],
    ['crit without sigD', { ...right, crit: ['b64'] }],
    ['crit without b64', { ...right, crit: ['sigD'] }],
    ['crit in another order', { ...right, crit: ['sigD', 'b64'] }],
    ['crit with b64 twice', { ...right, crit: ['b64', 'b64', 'sigD'] }],
    ['crit with sigD twice', { ...right, crit: ['b64', 'sigD', 'sigD'] }],
    ['crit of a member that nobody knows', { ...right, crit: ['b64', 'sigD', 'exp'], exp: 1 }],
    ['crit as text', { ...right, crit: 'b64,sigD' }],
  ])('with %s is refused', (_rule, header) => {
    expect(codeOf(signed(header))).toBe('SIGNATURE_CRIT_UNKNOWN');
  });

  test.each([
    ['no b64', without('b64')],
    ['b64 true', { ...right, b64: true }],
    ['b64 as text', { ...right, b64: 'false' }],
    ['no iat', without('iat')],
    ['iat as text', { ...right, iat: SIGNED_AT }],
    ['iat before 1970', { ...right, iat: -1 }],
    ['iat in milliseconds', { ...right, iat: 1000 * IAT }],
    ['iat after the year 9999', { ...right, iat: 253_402_300_800 }],
    ['no srCms', without('srCms')],
    ['no commitment', { ...right, srCms: [] }],
    ['two commitments', { ...right, srCms: [...right.srCms, ...commitment('Origin')] }],
    [
      'a commitment with qualifiers',
      { ...right, srCms: [{ ...right.srCms[0], commQuals: [{ unless: 'it rains' }] }] },
    ],
    [
      'a commitment with a description',
      { ...right, srCms: [{ commId: { ...right.srCms[0]?.commId, desc: 'not really' } }] },
    ],
    ['kid', { ...right, kid: '1' }],
    ['jku', { ...right, jku: 'https://example.com/keys' }],
    ['x5u', { ...right, x5u: 'https://example.com/certificate' }],
    ['x5t', { ...right, x5t: base64url(Buffer.alloc(20)) }],
    ['typ', { ...right, typ: 'JOSE+JSON' }],
    ['cty', { ...right, cty: 'pdf' }],
    ['sigT', { ...right, sigT: '2026-11-22T10:00:00Z' }],
    ['sigPId', { ...right, sigPId: { id: { id: 'urn:oid:1.2.3' } } }],
  ])('with %s is malformed', (_rule, header) => {
    expect(codeOf(signed(header))).toBe('SIGNATURE_MALFORMED');
  });

  test.each([
    ['of another signer', stranger.publicKey],
    ['with a member more', { ...publicKey, kid: '1' }],
    ['with a member less', { crv: 'P-256', kty: 'EC' }],
    ['with its private half', { ...publicKey, d: base64url(Buffer.alloc(32, 1)) }],
    ['of another kind', signerOf('EdDSA').publicKey],
    ['that is none', 'key'],
    ['that is null', null],
  ])('with a key %s is refused', (_rule, jwk) => {
    expect(codeOf(signed({ ...right, jwk }))).toBe('SIGNATURE_KEY_DIFFERS');
  });

  test('is not looked at for the key to verify with', () => {
    const jws = signed({ ...right, jwk: stranger.publicKey }, stranger);

    expect(codeOf(jws)).toBe('SIGNATURE_KEY_DIFFERS');
  });

  test.each([
    ['no sigD', without('sigD')],
    ['sigD null', { ...right, sigD: null }],
    ['sigD as text', { ...right, sigD: 'urn:document' }],
    ['no object', { ...right, sigD: { ...sigD, hashV: [], pars: [] } }],
    ['no object but a hash', { ...right, sigD: { ...sigD, pars: [] } }],
    ['an object without hash', { ...right, sigD: { ...sigD, hashV: [] } }],
    [
      'two objects',
      {
        ...right,
        sigD: {
          ...sigD,
          hashV: [sigD.hashV[0], sigD.hashV[0]],
          pars: [sigD.pars[0], 'urn:registry:another'],
        },
      },
    ],
    ['one object with two hashes', { ...right, sigD: { ...sigD, hashV: ['AA', 'AA'] } }],
    ['the object as text', { ...right, sigD: { ...sigD, pars: sigD.pars[0] } }],
    ['a hash of 31 bytes', { ...right, sigD: { ...sigD, hashV: [base64url(Buffer.alloc(31))] } }],
    ['a hash of 33 bytes', { ...right, sigD: { ...sigD, hashV: [base64url(Buffer.alloc(33))] } }],
    ['a hash with padding', { ...right, sigD: { ...sigD, hashV: [`${sigD.hashV[0]}=`] } }],
    ['a hash in hex', { ...right, sigD: { ...sigD, hashV: [target.contentDigest] } }],
    ['a hash that is a number', { ...right, sigD: { ...sigD, hashV: [1] } }],
    ['another hash algorithm', { ...right, sigD: { ...sigD, hashM: 'S512' } }],
    [
      'no hash algorithm',
      { ...right, sigD: { hashV: sigD.hashV, mId: sigD.mId, pars: sigD.pars } },
    ],
    [
      'the mechanism ObjectIdByURI',
      { ...right, sigD: { ...sigD, mId: 'http://uri.etsi.org/19182/ObjectIdByURI' } },
    ],
    [
      'the mechanism HttpHeaders',
      { ...right, sigD: { ...sigD, mId: 'http://uri.etsi.org/19182/HttpHeaders' } },
    ],
    ['content types', { ...right, sigD: { ...sigD, ctys: ['pdf'] } }],
  ])('with %s is refused', (_rule, header) => {
    expect(codeOf(signed(header))).toBe('SIGNATURE_SIGD_MALFORMED');
  });

  test.each([
    ['ProofOfOrigin', commitment('Origin')],
    ['ProofOfDelivery, which nobody asks for', commitment('Delivery')],
    ['the OID of the same', [{ commId: { id: 'urn:oid:1.2.840.113549.1.9.16.6.5' } }]],
    ['nothing', [{ commId: { id: '' } }]],
  ])('that states %s is refused for approval', (_rule, srCms) => {
    expect(codeOf(signed({ ...right, srCms }))).toBe('SIGNATURE_PURPOSE_DIFFERS');
  });
});

describe('a signature that is good elsewhere', () => {
  const elsewhere: readonly [string, Partial<SignatureTarget>, string][] = [
    ['registry', { registryId: digestOf('another registry') }, 'SIGNATURE_OBJECT_DIFFERS'],
    ['document', { documentId: 'plan-2' }, 'SIGNATURE_OBJECT_DIFFERS'],
    ['version', { version: 3 }, 'SIGNATURE_OBJECT_DIFFERS'],
    ['content', { contentDigest: digestOf('other bytes') }, 'SIGNATURE_CONTENT_DIFFERS'],
    ['purpose', { purpose: 'receipt' }, 'SIGNATURE_PURPOSE_DIFFERS'],
    ['key', { publicKey: stranger.publicKey }, 'SIGNATURE_WRONG'],
    ['kind of key', { publicKey: signerOf('EdDSA').publicKey }, 'SIGNATURE_ALGORITHM_NOT_ALLOWED'],
  ];

  test.each(elsewhere)('is refused for another %s', (_what, changes, code) => {
    expect(codeOf(good, { ...target, ...changes })).toBe(code);
  });

  test('is refused for a document whose id ends like a version', () => {
    const [one, two] = [
      { ...target, documentId: 'a:version:1', version: 2 },
      { ...target, documentId: 'a', version: 1 },
    ];

    expect(objectUrn(one)).not.toBe(objectUrn(two));
    expect(codeOf(signer.sign(one), one)).toBe('verified');
    expect(codeOf(signer.sign(one), two)).toBe('SIGNATURE_OBJECT_DIFFERS');
  });

  test('names each version as nothing else is named', () => {
    const ids = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,30}$/);
    const versions = fc.record({ documentId: ids, version: fc.nat() });
    fc.assert(
      fc.property(versions, versions, (one, two) => {
        const same = one.documentId === two.documentId && one.version === two.version;
        expect(objectUrn({ ...target, ...one }) === objectUrn({ ...target, ...two })).toBe(same);
      }),
    );
  });
});

describe('the algorithm is the key’s', () => {
  const rsa = signerOf('PS256');
  const overRsa = { ...target, publicKey: rsa.publicKey };

  test('HS256 with the public key as the secret is refused', () => {
    const header = base64url(encodeCanonical({ ...right, alg: 'HS256' }));
    const pem = createPublicKey(signer.key).export({ type: 'spki', format: 'pem' });
    const signature = createHmac('sha256', pem).update(`${header}.`).digest('base64url');

    expect(codeOf({ protected: header, signature })).toBe('SIGNATURE_ALGORITHM_NOT_ALLOWED');
  });

  test('none without a signature is refused', () => {
    const header = base64url(encodeCanonical({ ...right, alg: 'none' }));

    expect(codeOf({ protected: header, signature: '' })).toBe('SIGNATURE_ALGORITHM_NOT_ALLOWED');
  });

  test.each([
    ['PS256', 'RS256'],
    ['RS256', 'PS256'],
  ] as const)('a header of %s over the signature bytes of %s is refused', (alg, other) => {
    const jws = signed({ ...right, alg }, signerOf(other));

    expect(codeOf(jws, overRsa)).toBe('SIGNATURE_WRONG');
  });

  test('an RSA signature under the header of an EC key is refused', () => {
    expect(codeOf(signed({ ...right, alg: 'RS256' }, signerOf('RS256')))).toBe(
      'SIGNATURE_ALGORITHM_NOT_ALLOWED',
    );
    expect(codeOf(signed(right, signerOf('RS256')))).toBe('SIGNATURE_LENGTH_WRONG');
  });
});

describe('the bytes of a signature', () => {
  const { protected: header } = good;
  const der = signBytes('ES256', signer.key, Buffer.from(`${header}.`));

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['63 bytes', Buffer.alloc(63, 1)],
    ['65 bytes', Buffer.alloc(65, 1)],
    ['DER', der],
  ])('of %s are of the wrong length', (_rule, bytes) => {
    const jws = { protected: header, signature: base64url(bytes) };

    expect(codeOf(jws)).toBe('SIGNATURE_LENGTH_WRONG');
  });

  const raw = Buffer.from(good.signature, 'base64url');
  const order = Buffer.from(
    'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
    'hex',
  );
  const [r, s] = [raw.subarray(0, 32), raw.subarray(32)];

  test.each([
    ['zeros', Buffer.alloc(64)],
    ['ones', Buffer.alloc(64, 0xff)],
    ['r = 0', Buffer.concat([Buffer.alloc(32), s])],
    ['s = 0', Buffer.concat([r, Buffer.alloc(32)])],
    ['s = the order', Buffer.concat([r, order])],
    ['its halves exchanged', Buffer.concat([s, r])],
  ])('with %s are wrong', (_rule, bytes) => {
    expect(codeOf({ protected: header, signature: base64url(bytes) })).toBe('SIGNATURE_WRONG');
  });

  test('of another signer are wrong', () => {
    expect(codeOf(signed(right, stranger))).toBe('SIGNATURE_WRONG');
  });

  test('over another header are wrong', () => {
    const { signature } = signed({ ...right, iat: IAT + 1 });

    expect(codeOf({ protected: header, signature })).toBe('SIGNATURE_WRONG');
  });

  test('over a payload are wrong: none contributes to what is signed', () => {
    const bytes = signBytes('ES256', signer.key, Buffer.from(`${header}.the bytes of the version`));
    const read = joseSignature('ES256', publicKey, bytes);

    expect(
      codeOf({ protected: header, signature: (read as { signature: string }).signature }),
    ).toBe('SIGNATURE_WRONG');
  });
});

describe('certificates of a signer', () => {
  const authority = testAuthority('Trust Service');
  const ownKey = { privateKey: signer.key, publicKey: createPublicKey(signer.key), pem: '' };
  const { der } = issueTestCertificate(authority, { subject: 'signer', key: ownKey });
  const other = issueTestCertificate(authority, { subject: 'other' }).der;
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

  /** The header with these certificates, DER or text of any kind, and the thumbprint of the first. */
  function certified(...certificates: readonly (Uint8Array | string)[]) {
    const x5c = certificates.map((one) => (typeof one === 'string' ? one : base64(one)));
    const thumbprint = base64url(sha256(Buffer.from(x5c[0] ?? '', 'base64')));
    return { ...right, x5c, 'x5t#S256': thumbprint };
  }

  test('come along, the signer’s own first, and are given back', () => {
    const chain = [der, authority.der];

    expect(verifySignature(signed(certified(...chain)), target)).toMatchObject({
      outcome: 'verified',
      certificates: chain,
    });
  });

  test('are not judged by issuer or time: a ledger outlives them', () => {
    const expired = issueTestCertificate(
      { name: 'Nobody', key: testKey() },
      { key: ownKey, notBefore: new Date(0), notAfter: new Date(1000) },
    );

    expect(codeOf(signed(certified(expired.der)))).toBe('verified');
  });

  test.each([
    ['another key', certified(other)],
    ['another key, with the own one behind it', certified(other, der)],
    [
      'a key of another kind',
      certified(issueTestCertificate(authority, { key: testKey('p384') }).der),
    ],
    [
      'a key that is not admitted',
      certified(
        issueTestCertificate(authority, {
          key: {
            ...generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
            pem: '',
          },
        }).der,
      ),
    ],
    [
      'a key that has no JWK',
      certified(
        issueTestCertificate(authority, {
          key: {
            ...generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' }),
            pem: '',
          },
        }).der,
      ),
    ],
  ])('of %s are refused', (_rule, header) => {
    expect(codeOf(signed(header))).toBe('SIGNATURE_KEY_DIFFERS');
  });

  const whole = certified(der);
  const padding = extension(
    '1.2.3.4',
    tlv(0x04, Buffer.alloc((3 * limits.certificateBytesMax) / 4)),
  );
  const long = issueTestCertificate(authority, { extensions: [padding] }).der;
  const strip = (name: string) =>
    Object.fromEntries(Object.entries(whole).filter(([member]) => member !== name));

  test.each([
    ['no thumbprint', strip('x5t#S256')],
    ['a thumbprint alone', strip('x5c')],
    ['the thumbprint of another', { ...whole, 'x5t#S256': certified(other)['x5t#S256'] }],
    ['a thumbprint with padding', { ...whole, 'x5t#S256': `${whole['x5t#S256']}=` }],
    ['a thumbprint in hex', { ...whole, 'x5t#S256': sha256(der).toString('hex') }],
    ['a thumbprint that is a number', { ...whole, 'x5t#S256': 1 }],
    ['no certificate', { ...whole, x5c: [] }],
    ['five certificates', certified(der, other, other, other, authority.der)],
    ['a certificate as text', { ...whole, x5c: base64(der) }],
    ['a certificate that is null', { ...whole, x5c: [base64(der), null] }],
    ['a certificate in base64url', certified(Buffer.from(der).toString('base64url'))],
    ['white space in a certificate', certified(`${base64(der)}\n`)],
    ['a certificate in PEM', certified(Buffer.from(pemOf(der)))],
    ['bytes after a certificate', certified(Buffer.concat([der, Buffer.alloc(1)]))],
    ['a certificate that ends early', certified(der.subarray(0, -1))],
    ['bytes that are none', certified(Buffer.from('certificate'))],
    ['an empty certificate', certified('')],
    ['bytes that are none behind it', certified(der, Buffer.alloc(10))],
    ['a certificate too long', certified(der, long)],
  ])('with %s are malformed', (_rule, header) => {
    expect(codeOf(signed(header))).toBe('SIGNATURE_CERTIFICATE_MALFORMED');
  });

  test('are part of the served input, and of another key are refused there', () => {
    const input = signingInput(target, {
      algorithm: 'ES256',
      iat: IAT,
      certificates: [der, authority.der],
    });

    expect(input).toMatchObject({
      outcome: 'built',
      protected: base64url(encodeCanonical(certified(der, authority.der))),
    });
    expect(
      signingInput(target, { algorithm: 'ES256', iat: IAT, certificates: [other] }),
    ).toMatchObject({ code: 'SIGNATURE_KEY_DIFFERS' });
    expect(
      signingInput(target, { algorithm: 'ES256', iat: IAT, certificates: [Buffer.from('x')] }),
    ).toMatchObject({ code: 'SIGNATURE_CERTIFICATE_MALFORMED' });
  });
});

describe('the served input', () => {
  test('is the canonical header in base64url, a dot, and nothing of the payload', () => {
    const header = base64url(encodeCanonical(right));

    expect(signingInput(target, { algorithm: 'ES256', iat: IAT })).toEqual({
      outcome: 'built',
      protected: header,
      bytes: Buffer.from(`${header}.`),
      digest: sha256(`${header}.`).toString('hex'),
    });
  });

  test('without certificates is that with none', () => {
    const [one, two] = [{}, { certificates: [] }];

    expect(signingInput(target, { algorithm: 'ES256', iat: IAT, ...one })).toEqual(
      signingInput(target, { algorithm: 'ES256', iat: IAT, ...two }),
    );
  });

  test.each([
    'approval',
    'origin',
    'receipt',
    'creation',
  ] as const)('for %s is verified once it is signed', (purpose: Purpose) => {
    const over = { ...target, purpose };

    expect(codeOf(signer.sign(over), over)).toBe('verified');
  });

  test('is refused for an algorithm that the key does not have', () => {
    expect(signingInput(target, { algorithm: 'PS256', iat: IAT })).toMatchObject({
      code: 'SIGNATURE_ALGORITHM_NOT_ALLOWED',
      detail: 'the algorithm is "PS256"; the requested key signs with ES256',
    });
  });

  test.each([
    -1,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    253_402_300_800,
  ])('is refused for the time %d', (iat) => {
    expect(signingInput(target, { algorithm: 'ES256', iat })).toMatchObject({
      code: 'SIGNATURE_MALFORMED',
    });
  });
});

test('of several flaws the first in the order of the checks is the refusal', () => {
  const fixes: readonly [string, object][] = [
    ['SIGNATURE_ALGORITHM_NOT_ALLOWED', {}],
    ['SIGNATURE_CRIT_UNKNOWN', { alg: 'ES256' }],
    ['SIGNATURE_MALFORMED', { crit: right.crit }],
    ['SIGNATURE_MALFORMED', { b64: false }],
    ['SIGNATURE_KEY_DIFFERS', { kid: undefined }],
    ['SIGNATURE_CERTIFICATE_MALFORMED', { jwk: publicKey }],
    ['SIGNATURE_SIGD_MALFORMED', { x5c: undefined }],
    [
      'SIGNATURE_OBJECT_DIFFERS',
      { sigD: { ...sigD, pars: ['x'], hashV: [sigD.hashV[0]?.replace(/^./, '_')] } },
    ],
    [
      'SIGNATURE_CONTENT_DIFFERS',
      { sigD: { ...sigD, hashV: [sigD.hashV[0]?.replace(/^./, '_')] } },
    ],
    ['SIGNATURE_PURPOSE_DIFFERS', { sigD }],
    ['SIGNATURE_LENGTH_WRONG', { srCms: right.srCms }],
  ];
  let header: Record<string, unknown> = {
    alg: 'none',
    crit: [],
    b64: true,
    iat: IAT,
    kid: '1',
    jwk: {},
    x5c: [],
    sigD: {},
    srCms: commitment('Origin'),
  };
  for (const [code, fix] of fixes) {
    header = JSON.parse(JSON.stringify({ ...header, ...fix }));
    const jws = { protected: base64url(encodeCanonical(header)), signature: 'AA' };

    expect(codeOf(jws)).toBe(code);
  }
  const { protected: last, signature } = signed(header);
  expect(codeOf({ protected: last, signature: base64url(Buffer.alloc(64)) })).toBe(
    'SIGNATURE_WRONG',
  );
  expect(codeOf({ protected: last, signature })).toBe('verified');
});

describe('any one-bit change', () => {
  const samples = ALGORITHMS.map((algorithm) => {
    const by = signerOf(algorithm);
    const over = { ...target, publicKey: by.publicKey };
    return { over, jws: signed({ ...right, alg: algorithm }, by) };
  });
  const change = fc.record({
    sample: fc.constantFrom(...samples),
    part: fc.constantFrom('protected' as const, 'signature' as const),
    bit: fc.nat(1_000_000),
  });

  function flipped(bytes: Buffer, bit: number): Buffer {
    const at = bit % (8 * bytes.length);
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(at >> 3) ^ (1 << (at & 7)), at >> 3);
    return changed;
  }

  test('of the bytes of header or signature is refused', () => {
    fc.assert(
      fc.property(change, ({ sample, part, bit }) => {
        const changed = flipped(Buffer.from(sample.jws[part], 'base64url'), bit);
        const jws = { ...sample.jws, [part]: changed.toString('base64url') };
        expect(verifySignature(jws, sample.over).outcome).toBe('refused');
      }),
      { numRuns: 1000 },
    );
  });

  test('of their text is refused', () => {
    fc.assert(
      fc.property(change, ({ sample, part, bit }) => {
        const changed = flipped(Buffer.from(sample.jws[part]), bit);
        const jws = { ...sample.jws, [part]: changed.toString('latin1') };
        expect(verifySignature(jws, sample.over).outcome).toBe('refused');
      }),
      { numRuns: 1000 },
    );
  });
});

test('whatever is sent, the answer is a refusal and no exception', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.uint8Array({ maxLength: 80 }), (value, signature) => {
      const header = base64url(JSON.stringify(value));
      const jws = { protected: header, signature: base64url(signature) };
      expect(verifySignature(jws, target).outcome).toBe('refused');
    }),
  );
});
