import { createPublicKey, X509Certificate } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, importSPKI } from 'jose';
import { describe, expect, test } from 'vitest';
import {
  type Certificate,
  certificateIdOfJwk,
  certificateIdOfSpki,
  readCertificate,
  verifyCertificate,
} from '../../shared/ledger/certificate.ts';
import type { PublicKeyJwk } from '../../shared/ledger/jws.ts';
import {
  basicConstraints,
  type CertificateShape,
  compressedSpki,
  extension,
  keyUsageBits,
  oid,
  pemOf,
  sequence,
  testApplication,
  testAuthority,
  testInstance,
  testKey,
  tlv,
  usages,
} from '../certificate-authority.ts';

const authority = testAuthority();
const now = new Date();
const DAY_MS = 86_400_000;

function inDays(days: number): Date {
  return new Date(now.getTime() + days * DAY_MS);
}

function read(input: string | Uint8Array): Certificate {
  const outcome = readCertificate(input);
  if (outcome.outcome === 'refused') throw new Error(outcome.reason);
  return outcome.certificate;
}

function refusalOf(shape: CertificateShape): string | undefined {
  const outcome = readCertificate(testApplication(authority, shape).der);
  return outcome.outcome === 'refused' ? outcome.code : undefined;
}

/** Replaces one member of the TBSCertificate: 0 version … 6 key, 7 extensions. */
function withMember(index: number, ...members: Buffer[]): CertificateShape {
  return { change: (all) => all.toSpliced(index, 1, ...members) };
}

function publicJwk(spki: Buffer): PublicKeyJwk {
  const { x = '', y = '' } = createPublicKey({
    key: spki,
    format: 'der',
    type: 'spki',
  }).export({ format: 'jwk' });
  return { crv: 'P-256', kty: 'EC', x, y };
}

function spkiOf(key = testKey()): Buffer {
  return key.publicKey.export({ type: 'spki', format: 'der' });
}

describe('certificate id', () => {
  test('the id of a key is the same from its JWK, from its bytes and from its certificate', async () => {
    const instance = testInstance(authority);
    const spki = spkiOf(instance.key);
    const pem = instance.key.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const { x = '', y = '' } = await exportJWK(await importSPKI(pem, 'ES256'));

    const id = certificateIdOfJwk({ crv: 'P-256', kty: 'EC', x, y });

    expect(id).toBe(instance.certificateId);
    expect(certificateIdOfSpki(spki)).toBe(id);
    expect(read(instance.der).certificateId).toBe(id);
    expect(await calculateJwkThumbprint(read(instance.der).publicKeyJwk)).toBe(
      await calculateJwkThumbprint({ crv: 'P-256', kty: 'EC', x, y }),
    );
  });

  test('coordinates of two wrong lengths that join to the bytes of another key have no id', () => {
    const { x, y } = publicJwk(spkiOf());
    const bytes = Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
    const shifted = {
      x: bytes.subarray(0, 31).toString('base64url'),
      y: bytes.subarray(31).toString('base64url'),
    };

    expect(() => certificateIdOfJwk({ crv: 'P-256', kty: 'EC', ...shifted })).toThrow(/32 bytes/);
    expect(() => certificateIdOfJwk({ crv: 'P-256', kty: 'EC', x: `${x}=`, y })).toThrow(/32/);
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['another curve', spkiOf(testKey('p384'))],
    ['explicit parameters', spkiOf(testKey('p256-explicit'))],
    ['an RSA key', spkiOf(testKey('rsa'))],
    ['trailing bytes', Buffer.concat([spkiOf(), Buffer.from([0])])],
  ])('%s instead of the canonical key bytes has no id', (_, spki) => {
    expect(() => certificateIdOfSpki(spki)).toThrow(/P-256/);
  });
});

describe('reading', () => {
  test('an instance has an endpoint, both usages and its certificate in every form', () => {
    const instance = testInstance(authority, 'https://registry.example:8443');

    const certificate = read(instance.certificatePem);

    expect(certificate).toMatchObject({
      endpoint: 'https://registry.example:8443',
      subject: 'CN=instance',
      usages: { client: true, server: true },
      pem: instance.certificatePem,
      publicKeyJwk: publicJwk(spkiOf(instance.key)),
    });
    expect(Buffer.from(certificate.raw)).toEqual(instance.der);
    expect(Date.parse(certificate.notBefore)).toBeLessThan(Date.parse(certificate.notAfter));
  });

  test('an application has no endpoint, whatever other alternative names it has', () => {
    const shape = {
      uris: ['spiffe://site/application'],
      dnsNames: ['application.example'],
      addresses: ['192.0.2.1'],
    };

    const certificate = read(testApplication(authority, shape).der);

    expect(certificate).toMatchObject({ usages: { client: true, server: false } });
    expect(certificate).not.toHaveProperty('endpoint');
    expect(read(testApplication(authority).der).subject).toBe('CN=application');
  });

  test('an origin with its closing slash is the same endpoint', () => {
    const { der } = testInstance(authority, 'https://registry.example/');

    expect(read(der).endpoint).toBe('https://registry.example');
  });

  test('a new certificate for the same key keeps the id, another key has another one', () => {
    const first = testInstance(authority);
    const renewed = testInstance(authority, 'https://moved.example', { key: first.key });
    const twin = testInstance(authority);

    expect(read(renewed.der).certificateId).toBe(read(first.der).certificateId);
    expect(read(twin.der).subject).toBe(read(first.der).subject);
    expect(read(twin.der).certificateId).not.toBe(read(first.der).certificateId);
  });

  test('extensions that are not critical are passed over', () => {
    const extensions = [
      extension('2.5.29.31', sequence()),
      basicConstraints(false),
      extension('1.2.3.4', Buffer.alloc(300)),
    ];

    expect(refusalOf({ extensions })).toBeUndefined();
  });

  const good = testApplication(authority);
  test.each([
    ['nothing', ''],
    ['bytes that are no certificate', Buffer.from('no certificate')],
    ['text that is no PEM', 'no certificate'],
    ['two certificates', good.certificatePem + good.certificatePem],
    ['text before the certificate', `subject=x\n${good.certificatePem}`],
    ['text after the certificate', `${good.certificatePem}x`],
    ['another kind of PEM', good.certificatePem.replaceAll('CERTIFICATE', 'PUBLIC KEY')],
    ['base64 that is not in its one form', good.certificatePem.replace('\nMII', '\nMII=')],
    ['trailing bytes in DER', Buffer.concat([good.der, Buffer.from([0])])],
    ['trailing bytes in PEM', pemOf(Buffer.concat([good.der, Buffer.from([0])]))],
    ['a certificate that is too long', `${good.certificatePem}${'\n'.repeat(8192)}`],
    ['a truncated certificate', good.der.subarray(0, -10)],
  ])('%s is malformed', (_, input) => {
    expect(readCertificate(input)).toMatchObject({
      outcome: 'refused',
      code: 'CERTIFICATE_MALFORMED',
    });
  });

  test('line ends of Windows and a missing one at the end are accepted', () => {
    expect(read(good.certificatePem.replaceAll('\n', '\r\n')).pem).toBe(good.certificatePem);
    expect(read(good.certificatePem.trimEnd()).pem).toBe(good.certificatePem);
  });
});

describe('key', () => {
  const key = testKey();
  const offCurve = Buffer.concat([spkiOf().subarray(0, 27), Buffer.alloc(64, 7)]);

  test.each([
    ['compressed point', compressedSpki(key)],
    ['explicit parameters', spkiOf(testKey('p256-explicit'))],
    ['another curve', spkiOf(testKey('p384'))],
    ['RSA', spkiOf(testKey('rsa'))],
  ])('a key with %s is not canonical', (_, spki) => {
    expect(refusalOf({ spki })).toBe('CERTIFICATE_NOT_CANONICAL_KEY');
  });

  test('the same key with a length in a longer form is refused, though TLS takes it', () => {
    const spki = Buffer.concat([Buffer.from([0x30, 0x81, 0x59]), spkiOf(key).subarray(2)]);
    const { der } = testApplication(authority, { spki });

    expect(new X509Certificate(der).publicKey.equals(key.publicKey)).toBe(true);
    expect(refusalOf({ spki })).toBe('CERTIFICATE_MALFORMED');
  });

  test('a point that is not on the curve is refused', () => {
    expect(refusalOf({ spki: offCurve })).toBe('CERTIFICATE_MALFORMED');
  });
});

describe('profile', () => {
  const digitalSignature = extension('2.5.29.15', tlv(0x03, Buffer.from([0, 0x80])), true);
  const clientAuth = extension('2.5.29.37', sequence(oid(usages.clientAuth)));

  test.each<[string, string, CertificateShape]>([
    ['of version 1', 'CERTIFICATE_NOT_V3', { change: (all) => all.slice(1, 7) }],
    ['of version 2', 'CERTIFICATE_NOT_V3', withMember(0, tlv(0xa0, tlv(0x02, Buffer.from([1]))))],
    ['without extensions', 'CERTIFICATE_MALFORMED', withMember(7)],
    [
      'with the same extension twice',
      'CERTIFICATE_MALFORMED',
      { extensions: [extension('2.5.29.14', tlv(0x04)), extension('2.5.29.14', tlv(0x04))] },
    ],
    [
      'with a truth value that is not DER',
      'CERTIFICATE_MALFORMED',
      { extensions: [sequence(oid('1.2.3.4'), tlv(0x01, Buffer.from([1])), tlv(0x04))] },
    ],
    [
      'with an unknown critical extension',
      'CERTIFICATE_UNKNOWN_CRITICAL_EXTENSION',
      { extensions: [extension('1.2.3.4', tlv(0x05), true)] },
    ],
    ['of an authority', 'CERTIFICATE_IS_CA', { authority: {} }],
    ['of an authority with a path length', 'CERTIFICATE_IS_CA', { authority: { pathLength: 0 } }],
    [
      'without key usage',
      'CERTIFICATE_WRONG_USAGE',
      withMember(7, tlv(0xa3, sequence(clientAuth))),
    ],
    ['for other key usages only', 'CERTIFICATE_WRONG_USAGE', { keyUsage: [2] }],
    [
      'that may sign certificates',
      'CERTIFICATE_WRONG_USAGE',
      { keyUsage: [keyUsageBits.digitalSignature, keyUsageBits.keyCertSign] },
    ],
    [
      'that may sign revocation lists',
      'CERTIFICATE_WRONG_USAGE',
      { keyUsage: [keyUsageBits.digitalSignature, keyUsageBits.cRLSign] },
    ],
    [
      'with an empty key usage',
      'CERTIFICATE_MALFORMED',
      withMember(7, tlv(0xa3, sequence(extension('2.5.29.15', tlv(0x03)), clientAuth))),
    ],
    [
      'without extended key usage',
      'CERTIFICATE_WRONG_USAGE',
      withMember(7, tlv(0xa3, sequence(digitalSignature))),
    ],
    ['for servers only', 'CERTIFICATE_WRONG_USAGE', { extendedKeyUsage: [usages.serverAuth] }],
    [
      'with one usage too many',
      'CERTIFICATE_WRONG_USAGE',
      { extendedKeyUsage: [usages.clientAuth, usages.codeSigning] },
    ],
    [
      'with two usages too many',
      'CERTIFICATE_WRONG_USAGE',
      { extendedKeyUsage: [usages.clientAuth, usages.serverAuth, usages.codeSigning] },
    ],
    [
      'of an instance without endpoint',
      'CERTIFICATE_WITHOUT_ENDPOINT',
      { extendedKeyUsage: [usages.clientAuth, usages.serverAuth] },
    ],
    [
      'with an endpoint that may not serve',
      'CERTIFICATE_WRONG_USAGE',
      { endpoint: 'https://registry.example', extendedKeyUsage: [usages.clientAuth] },
    ],
    ['with a wildcard name', 'CERTIFICATE_WILDCARD', { dnsNames: ['*.example'] }],
    ['with a wildcard endpoint', 'CERTIFICATE_WILDCARD', { endpoint: 'https://*.example' }],
    ['with a NUL in a name', 'CERTIFICATE_MALFORMED', { dnsNames: ['registry.example\0.evil'] }],
    ['with an empty name', 'CERTIFICATE_MALFORMED', { dnsNames: [''] }],
    [
      'with two endpoints',
      'CERTIFICATE_WRONG_ENDPOINT',
      { endpoint: 'https://one.example', uris: ['https://two.example'] },
    ],
    [
      'with a name that ends after the names',
      'CERTIFICATE_MALFORMED',
      { extensions: [extension('2.5.29.17', Buffer.from([0x30, 2, 0x82, 9]))] },
    ],
    // OpenSSL looks into the list of extensions itself, but not into their values.
    ...[
      { form: 'a length of three bytes', length: [0x83, 0, 0, 0] },
      { form: 'an indefinite length', length: [0x80, 0, 0] },
      { form: 'a length of two bytes where one is enough', length: [0x82, 0, 0x90] },
      { form: 'a length of one byte where none is needed', length: [0x81, 0] },
    ].map(({ form, length }): [string, string, CertificateShape] => {
      const value = Buffer.concat([Buffer.from([0x30, ...length]), Buffer.alloc(0x90)]);
      const extensions = [extension('2.5.29.17', value)];
      return [`with ${form}`, 'CERTIFICATE_MALFORMED', { extensions }];
    }),
  ])('a certificate %s is refused: %s', (_, code, shape) => {
    expect(refusalOf(shape)).toBe(code);
  });

  test.each([
    'https://registry.example/path',
    'https://registry.example?query',
    'https://user@registry.example',
    'https://registry.example:443',
    'HTTPS://registry.example',
    'https://Registry.example',
    'https://127.1',
    'https://[',
    'https:registry.example',
  ])('the endpoint %s is refused: not an origin in its one form', (endpoint) => {
    expect(refusalOf({ endpoint })).toBe('CERTIFICATE_WRONG_ENDPOINT');
  });
});

describe('trust', () => {
  function verdictOn(
    der: Uint8Array,
    cas: string | string[] = authority.certificatePem,
    at = now,
  ): string {
    const verdict = verifyCertificate(read(der), cas, at);
    return verdict.outcome === 'trusted' ? 'trusted' : verdict.code;
  }

  test('a certificate of any of the given authorities is trusted', () => {
    const other = testAuthority('Other CA');
    const { der } = testInstance(authority);

    expect(verdictOn(der)).toBe('trusted');
    expect(verdictOn(der, other.certificatePem + authority.certificatePem)).toBe('trusted');
    expect(verdictOn(der, [other.certificatePem, authority.certificatePem])).toBe('trusted');
    expect(verdictOn(der, other.certificatePem)).toBe('CERTIFICATE_UNTRUSTED');
  });

  test.each(['p384', 'rsa'] as const)('an authority may have a key of kind %s', (kind) => {
    const other = testAuthority('Other CA', { key: testKey(kind) });

    expect(verdictOn(testInstance(other).der, other.certificatePem)).toBe('trusted');
  });

  test('an authority of the same name with another key is not trusted', () => {
    const twin = testAuthority(authority.name);

    expect(verdictOn(testInstance(twin).der)).toBe('CERTIFICATE_UNTRUSTED');
  });

  test('a certificate that signed itself under the name of the authority is not trusted', () => {
    const key = testKey();
    const twin = testInstance({ ...authority, key }, 'https://localhost', {
      key,
      subject: authority.name,
    });

    expect(verdictOn(twin.der)).toBe('CERTIFICATE_UNTRUSTED');
    expect(verdictOn(twin.der, twin.certificatePem)).toBe('CERTIFICATE_UNTRUSTED');
  });

  test('an instance cannot issue certificates', () => {
    const instance = testInstance(authority);
    const forged = testInstance({ ...authority, name: 'instance', key: instance.key });

    expect(verdictOn(forged.der, [authority.certificatePem, instance.certificatePem])).toBe(
      'CERTIFICATE_UNTRUSTED',
    );
  });

  test('a certificate is trusted from its first to its last second', () => {
    const notBefore = new Date('2026-01-01T00:00:00.000Z');
    const notAfter = new Date('2026-12-31T23:59:59.000Z');
    const validFor = { notBefore: new Date('2020-01-01'), notAfter: new Date('2051-01-01') };
    const old = testAuthority('Old CA', validFor);
    const { der } = testInstance(old, 'https://localhost', { notBefore, notAfter });
    const at = (time: string) => verdictOn(der, old.certificatePem, new Date(time));

    expect(at('2025-12-31T23:59:59.999Z')).toBe('CERTIFICATE_NOT_YET_VALID');
    expect(at('2026-01-01T00:00:00.000Z')).toBe('trusted');
    expect(at('2026-12-31T23:59:59.000Z')).toBe('trusted');
    expect(at('2026-12-31T23:59:59.001Z')).toBe('CERTIFICATE_EXPIRED');
  });

  test('an authority that has expired or is not valid yet is not trusted', () => {
    const old = testAuthority('Old CA', { notAfter: inDays(-1) });
    const future = testAuthority('Future CA', { notBefore: inDays(1) });

    expect(verdictOn(testInstance(old).der, old.certificatePem)).toBe('CERTIFICATE_UNTRUSTED');
    expect(verdictOn(testInstance(future).der, future.certificatePem)).toBe(
      'CERTIFICATE_UNTRUSTED',
    );
  });

  test('a chain has at most one intermediate, which must be given together with its root', () => {
    const middle = testAuthority('Middle CA', {}, authority);
    const low = testAuthority('Low CA', {}, middle);
    const all = [low, middle, authority].map((each) => each.certificatePem);

    expect(verdictOn(testInstance(middle).der, all)).toBe('trusted');
    expect(verdictOn(testInstance(low).der, all)).toBe('CERTIFICATE_UNTRUSTED');
    expect(verdictOn(testInstance(middle).der, middle.certificatePem)).toBe(
      'CERTIFICATE_UNTRUSTED',
    );
  });

  test('a root that allows no intermediate is taken at its word', () => {
    const root = testAuthority('Root CA', { authority: { pathLength: 0 } });
    const middle = testAuthority('Middle CA', {}, root);
    const cas = [middle.certificatePem, root.certificatePem];

    expect(verdictOn(testInstance(root).der, cas)).toBe('trusted');
    expect(verdictOn(testInstance(middle).der, cas)).toBe('CERTIFICATE_UNTRUSTED');
  });

  test('authorities that cannot be read are a fault of the configuration', () => {
    const strange = testAuthority('Strange CA', {
      extensions: [extension('2.5.29.30', sequence(), true)],
    });

    expect(() => verdictOn(testInstance(authority).der, 'nothing')).toThrow(/cluster CA/);
    expect(() => verdictOn(testInstance(strange).der, strange.certificatePem)).toThrow(/critical/);
  });
});
