import { createHash, createPublicKey, ECDH, generateKeyPairSync, sign } from 'node:crypto';
import * as jose from 'jose';
import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { checkpointSchema } from '../../shared/ledger/checkpoint.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { payloadOf, readStatement } from '../../shared/ledger/jws.ts';
import { limits } from '../../shared/ledger/limits.ts';
import { checkpointFor, TestLedger, testPeer } from '../builders.ts';

const [peer, other] = [testPeer(), testPeer()];
const { head } = new TestLedger([peer]);
const statement = checkpointFor(head, peer);
const compact = peer.sign(statement);
const [headerText = '', payloadText = '', signatureText = ''] = compact.split('.');
const header = { alg: 'ES256', jwk: peer.jwk };

function read(text: string) {
  return readStatement(text, checkpointSchema);
}

function refusalOf(text: string): string {
  const outcome = read(text);
  return outcome.outcome === 'refused' ? outcome.code : 'read';
}

const base64url = (bytes: Uint8Array | string) => Buffer.from(bytes).toString('base64url');

interface Parts {
  readonly header?: unknown;
  readonly payload?: unknown;
  /** How the signature is encoded. */
  readonly dsaEncoding?: 'ieee-p1363' | 'der';
  readonly key?: typeof peer.key;
}

/** A compact JWS of these parts, whether or not it makes sense, signed as it is. */
function signed(parts: Parts): string {
  const part = (value: unknown) =>
    base64url(value instanceof Uint8Array ? value : encodeCanonical(value));
  const input = `${part(parts.header ?? header)}.${part(parts.payload ?? statement)}`;
  const { key = peer.key, dsaEncoding = 'ieee-p1363' } = parts;
  return `${input}.${base64url(sign('sha256', Buffer.from(input), { key, dsaEncoding }))}`;
}

/** A P-256 point that is not on the curve. */
const offCurve = { ...peer.jwk, y: base64url(Buffer.alloc(32, 7)) };

describe('a statement', () => {
  test('is read as it was signed, with the digest of its payload', () => {
    expect(read(compact)).toEqual({
      outcome: 'read',
      statement,
      digest: digestOf(encodeCanonical(statement)),
      compact,
    });
  });

  test('signed twice is the same statement under other bytes', () => {
    const [one, two] = [read(peer.sign(statement)), read(peer.sign(statement))];

    expect(one).toHaveProperty('digest', (two as { digest: string }).digest);
    expect(one).not.toHaveProperty('compact', (two as { compact: string }).compact);
  });

  test('can be looked into once it was verified', () => {
    expect(payloadOf(compact)).toEqual(statement);
  });

  test.each([
    ['padding after the header', `${headerText}=.${payloadText}.${signatureText}`],
    ['padding after the payload', `${headerText}.${payloadText}=.${signatureText}`],
    ['padding after the signature', `${compact}==`],
    ['white space before it', ` ${compact}`],
    ['white space in it', `${headerText}.${payloadText} .${signatureText}`],
    ['a newline after it', `${compact}\n`],
    ['a fourth part', `${compact}.`],
    ['a part before it', `.${compact}`],
    ['two parts', `${headerText}.${payloadText}`],
    ['one part', headerText],
    ['nothing', ''],
    ['an empty header', `.${payloadText}.${signatureText}`],
    ['an empty payload', `${headerText}..${signatureText}`],
    ['an empty signature', `${headerText}.${payloadText}.`],
    ['the alphabet of base64', `${headerText}.${payloadText}.${signatureText.slice(0, -2)}+/`],
    ['bits left over', `${headerText}.${payloadText}.${signatureText.slice(0, -1)}B`],
    ['a letter that is no base64', `${headerText}.${payloadText}.${signatureText.slice(0, -1)}é`],
    ['too many characters', `${compact}${'A'.repeat(2 * limits.statementBytesMax)}`],
    ['a signature of 63 bytes', `${headerText}.${payloadText}.${base64url(Buffer.alloc(63))}`],
    ['a signature of 65 bytes', `${headerText}.${payloadText}.${base64url(Buffer.alloc(65))}`],
    ['a DER signature', signed({ dsaEncoding: 'der' })],
    [
      'a header that is not canonical',
      signed({ header: Buffer.from(JSON.stringify({ jwk: peer.jwk, alg: 'ES256' })) }),
    ],
    ['a header with a space', signed({ header: Buffer.from(`${JSON.stringify(header)} `) })],
    [
      'a header with a name twice',
      signed({ header: Buffer.from(JSON.stringify(header).replace('{', '{"alg":"ES256",')) }),
    ],
    ['a header that is no object', signed({ header: [] })],
    ['no algorithm', signed({ header: { jwk: peer.jwk } })],
    ['the algorithm none', signed({ header: { ...header, alg: 'none' } })],
    ['the algorithm HS256', signed({ header: { ...header, alg: 'HS256' } })],
    ['the algorithm ES384', signed({ header: { ...header, alg: 'ES384' } })],
    ['no key', signed({ header: { alg: 'ES256' } })],
    ['a private key', signed({ header: { ...header, jwk: { ...peer.jwk, d: peer.jwk.x } } })],
    ['jku', signed({ header: { ...header, jku: 'https://example.com/keys' } })],
    ['x5u', signed({ header: { ...header, x5u: 'https://example.com/certificate' } })],
    ['x5c', signed({ header: { ...header, x5c: [] } })],
    ['kid', signed({ header: { ...header, kid: '1' } })],
    ['crit', signed({ header: { ...header, crit: ['exp'], exp: 1 } })],
    ['typ', signed({ header: { ...header, typ: 'JWT' } })],
    ['b64', signed({ header: { ...header, b64: false } })],
    ['a key of P-384', signed({ header: { ...header, jwk: { ...peer.jwk, crv: 'P-384' } } })],
    [
      'a coordinate of 31 bytes',
      signed({ header: { ...header, jwk: { ...peer.jwk, x: base64url(Buffer.alloc(31)) } } }),
    ],
    [
      'a coordinate of 33 bytes',
      signed({ header: { ...header, jwk: { ...peer.jwk, x: base64url(Buffer.alloc(33)) } } }),
    ],
    ['a key off the curve', signed({ header: { ...header, jwk: offCurve } })],
    [
      'a payload that is not canonical',
      signed({ payload: Buffer.from(JSON.stringify(statement, undefined, 1)) }),
    ],
    ['a payload that is no JSON', signed({ payload: Buffer.from('checkpoint') })],
    [
      'a payload above 32 KiB',
      signed({ payload: { ...statement, issuedAt: 'x'.repeat(limits.statementBytesMax) } }),
    ],
    ['an unknown member', signed({ payload: { ...statement, extra: 1 } })],
    [
      'a later version of the format',
      signed({ payload: { ...statement, format: 'registry/checkpoint/v2' } }),
    ],
    ['another kind', signed({ payload: { ...statement, format: 'registry/confirmation/v1' } })],
    ['copy 0', signed({ payload: { ...statement, copy: 0 } })],
  ])('with %s is malformed', (_rule, text) => {
    expect(refusalOf(text)).toBe('STATEMENT_MALFORMED');
  });

  test('that names another signer than its key is refused', () => {
    const named = { ...statement, signer: other.certificateId };

    expect(refusalOf(peer.sign(named))).toBe('STATEMENT_SIGNER_DIFFERS');
  });

  test('with the header of another signer is refused', () => {
    const [, payload, signature] = other.sign(statement).split('.');

    expect(refusalOf(`${headerText}.${payload}.${signature}`)).toBe('STATEMENT_SIGNATURE_WRONG');
  });

  test('signed with another key than that of its header is refused', () => {
    expect(refusalOf(signed({ key: other.key }))).toBe('STATEMENT_SIGNATURE_WRONG');
  });

  test.each([
    ['zeros', Buffer.alloc(64)],
    ['ones', Buffer.alloc(64, 0xff)],
    [
      'its two halves exchanged',
      Buffer.concat([
        Buffer.from(signatureText, 'base64url').subarray(32),
        Buffer.from(signatureText, 'base64url').subarray(0, 32),
      ]),
    ],
  ])('with a signature of %s is refused', (_rule, signature) => {
    expect(refusalOf(`${headerText}.${payloadText}.${base64url(signature)}`)).toBe(
      'STATEMENT_SIGNATURE_WRONG',
    );
  });

  test('with the payload of another statement is refused', () => {
    const later = { ...statement, copy: 2 };
    const [, payload] = peer.sign(later).split('.');

    expect(refusalOf(`${headerText}.${payload}.${signatureText}`)).toBe(
      'STATEMENT_SIGNATURE_WRONG',
    );
  });

  test('is read whoever and however many signed before', () => {
    for (let n = 0; n < 300; n += 1) {
      const stranger = testPeer();
      const text = stranger.sign(checkpointFor(head, stranger));
      expect(read(text)).toMatchObject({ outcome: 'read' });
    }
    expect(refusalOf(compact)).toBe('read');
  });
});

describe('beside a general library', () => {
  test('what is signed here verifies there', async () => {
    const key = await jose.importJWK({ ...peer.jwk }, 'ES256');
    const { payload, protectedHeader } = await jose.compactVerify(compact, key);

    expect(protectedHeader).toEqual(header);
    expect(Buffer.from(payload)).toEqual(encodeCanonical(statement));
  });

  test('what is signed there with a canonical header and payload is read here', async () => {
    const text = await new jose.CompactSign(encodeCanonical(statement))
      .setProtectedHeader({ alg: 'ES256', jwk: { ...peer.jwk } })
      .sign(peer.key);

    expect(read(text)).toMatchObject({ outcome: 'read', statement });
  });

  test('what is signed there with more in the header is accepted there and refused here', async () => {
    const text = await new jose.CompactSign(encodeCanonical(statement))
      .setProtectedHeader({ alg: 'ES256', jwk: { ...peer.jwk }, kid: 'x' })
      .sign(peer.key);

    await expect(jose.compactVerify(text, jose.EmbeddedJWK)).resolves.toBeDefined();
    expect(refusalOf(text)).toBe('STATEMENT_MALFORMED');
  });

  test('a certificate id is the SHA-256 of the key as the platform encodes it', () => {
    const spki = createPublicKey(peer.key).export({ type: 'spki', format: 'der' });

    expect(createHash('sha256').update(spki).digest('hex')).toBe(peer.certificateId);
  });
});

test('a signer in compressed form is nobody: the header holds both coordinates', () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const point = publicKey.export({ type: 'spki', format: 'der' }).subarray(26);
  const short = ECDH.convertKey(point, 'prime256v1', undefined, undefined, 'compressed');
  const jwk = { ...peer.jwk, x: base64url(short as Buffer), y: '' };

  expect(refusalOf(signed({ header: { ...header, jwk } }))).toBe('STATEMENT_MALFORMED');
});
