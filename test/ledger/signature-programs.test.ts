/** What other programs sign is verified here, and what is signed here verifies there. */
import { spawnSync } from 'node:child_process';
import { createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as jose from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../shared/ledger/digest.ts';
import {
  algorithmsOf,
  joseSignature,
  readSigningKey,
  type SignatureAlgorithm,
  type SignatureTarget,
  signingInput,
  verifySignature,
} from '../../shared/ledger/signature.ts';
import type { SigningKey } from '../../shared/ledger/transaction.ts';
import { isOnPath } from '../programs.ts';
import { signBytes, testSigner } from '../signing.ts';

const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'EdDSA', 'PS256', 'RS256'] as const;
const IAT = 1_795_341_600;

function targetFor(publicKey: SigningKey): SignatureTarget {
  return {
    registryId: digestOf('a registry'),
    documentId: 'plan-1',
    version: 1,
    contentDigest: digestOf('content'),
    purpose: 'approval',
    publicKey,
  };
}

function inputFor(
  publicKey: SigningKey,
  algorithm: SignatureAlgorithm,
  certificates: readonly Uint8Array[] = [],
) {
  const input = signingInput(targetFor(publicKey), { algorithm, iat: IAT, certificates });
  if (input.outcome === 'refused') throw new Error(input.detail);
  return input;
}

/** Puts the bytes that a program wrote behind the served header, and verifies that. */
function outcomeOf(
  publicKey: SigningKey,
  algorithm: SignatureAlgorithm,
  bytes: Uint8Array,
  certificates: readonly Uint8Array[] = [],
) {
  const read = joseSignature(algorithm, publicKey, bytes);
  if (read.outcome === 'refused') return read;
  const { protected: header } = inputFor(publicKey, algorithm, certificates);
  const jws = { protected: header, signature: read.signature };
  return verifySignature(jws, targetFor(publicKey));
}

const EC_HASH = { 'P-256': 'SHA-256', 'P-384': 'SHA-384', 'P-521': 'SHA-512' } as const;

describe('WebCrypto', () => {
  const { subtle } = globalThis.crypto;
  const rsa = {
    modulusLength: 3072,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: 'SHA-256',
  };
  const kinds = [
    ['ES256', { name: 'ECDSA', namedCurve: 'P-256' }, { name: 'ECDSA', hash: EC_HASH['P-256'] }],
    ['ES384', { name: 'ECDSA', namedCurve: 'P-384' }, { name: 'ECDSA', hash: EC_HASH['P-384'] }],
    ['ES512', { name: 'ECDSA', namedCurve: 'P-521' }, { name: 'ECDSA', hash: EC_HASH['P-521'] }],
    ['EdDSA', { name: 'Ed25519' }, { name: 'Ed25519' }],
    ['PS256', { name: 'RSA-PSS', ...rsa }, { name: 'RSA-PSS', saltLength: 32 }],
    ['RS256', { name: 'RSASSA-PKCS1-v1_5', ...rsa }, { name: 'RSASSA-PKCS1-v1_5' }],
  ] as const;

  test.each(kinds)('of a browser signs the served bytes by %s', async (algorithm, kind, by) => {
    const pair = (await subtle.generateKey(kind, true, [
      'sign',
      'verify',
    ])) as webcrypto.CryptoKeyPair;
    const read = readSigningKey({ jwk: await subtle.exportKey('jwk', pair.publicKey) });
    if (read.outcome === 'refused') throw new Error(read.detail);
    const { bytes } = inputFor(read.publicKey, algorithm);
    const signature = await subtle.sign(by, pair.privateKey, Buffer.from(bytes));

    const outcome = outcomeOf(read.publicKey, algorithm, new Uint8Array(signature));

    expect(outcome).toMatchObject({ outcome: 'verified', algorithm });
  });

  test.each(kinds)('verifies what is signed here by %s', async (algorithm, kind, by) => {
    const signer = testSigner(algorithm);
    const jws = signer.sign(targetFor(signer.publicKey));
    const spki = createPublicKey(signer.key).export({ type: 'spki', format: 'der' });
    const key = await subtle.importKey('spki', Buffer.from(spki), kind, true, ['verify']);
    const [signature, input] = [
      Buffer.from(jws.signature, 'base64url'),
      Buffer.from(`${jws.protected}.`),
    ];

    expect(await subtle.verify(by, key, signature, input)).toBe(true);
    expect(await subtle.verify(by, key, signature, Buffer.from(jws.protected))).toBe(false);
  });
});

describe('a general JOSE library', () => {
  const known = { crit: { sigD: true } };

  test.each(ALGORITHMS)('verifies what is signed here by %s', async (algorithm) => {
    const signer = testSigner(algorithm);
    const jws = signer.sign(targetFor(signer.publicKey));
    const key = createPublicKey(signer.key);
    const detached = { ...jws, payload: '' };

    const { protectedHeader } = await jose.flattenedVerify(detached, key, known);

    expect(protectedHeader).toMatchObject({ alg: algorithm, b64: false, crit: ['b64', 'sigD'] });
    await expect(jose.flattenedVerify({ ...jws, payload: 'content' }, key, known)).rejects.toThrow(
      'signature verification failed',
    );
    await expect(jose.flattenedVerify(detached, key)).rejects.toThrow('"sigD" is not recognized');
  });

  test.each(ALGORITHMS)('signs by %s what is verified here', async (algorithm) => {
    const { publicKey, key } = testSigner(algorithm);
    const { protected: served } = inputFor(publicKey, algorithm);
    const header = JSON.parse(Buffer.from(served, 'base64url').toString());

    const jws = await new jose.FlattenedSign(new Uint8Array())
      .setProtectedHeader(header)
      .sign(key, known);

    expect(jws.protected).toBe(served);
    expect(outcomeOf(publicKey, algorithm, Buffer.from(jws.signature, 'base64url'))).toMatchObject({
      outcome: 'verified',
      algorithm,
    });
  });
});

describe.runIf(isOnPath('openssl'))('OpenSSL', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'registry-openssl-'));
  });

  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  const file = (name: string) => join(folder, name);

  function openssl(...parameters: readonly string[]): void {
    const run = spawnSync('openssl', parameters, { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`openssl ${parameters.join(' ')}: ${run.stderr}`);
  }

  const RSA = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072'];
  const ec = (curve: string) => ['-algorithm', 'EC', '-pkeyopt', `ec_paramgen_curve:${curve}`];
  const pss = (salt: string) => [
    '-sigopt',
    'rsa_padding_mode:pss',
    '-sigopt',
    `rsa_pss_saltlen:${salt}`,
  ];

  /** How a key is made, and how the file `input` is signed with it into the file `signature`. */
  const programs = [
    ['ES256', ec('P-256'), ['dgst', '-sha256', '-sign']],
    ['ES384', ec('P-384'), ['dgst', '-sha384', '-sign']],
    ['ES512', ec('P-521'), ['dgst', '-sha512', '-sign']],
    ['EdDSA', ['-algorithm', 'ED25519'], ['pkeyutl', '-sign', '-rawin', '-inkey']],
    ['PS256', RSA, ['dgst', '-sha256', ...pss('32'), '-sign']],
    ['RS256', RSA, ['dgst', '-sha256', '-sign']],
  ] as const;

  interface OpenSslKey {
    readonly publicKey: SigningKey;
    readonly path: string;
  }

  /** Making an RSA key takes seconds: one of a kind is enough. */
  const made = new Map<readonly string[], OpenSslKey>();

  function keyOf(parameters: readonly string[]): OpenSslKey {
    const known = made.get(parameters);
    if (known !== undefined) return known;
    const [path, publicPath] = [file(`key-${made.size}.pem`), file('public.pem')];
    openssl('genpkey', ...parameters, '-out', path);
    openssl('pkey', '-in', path, '-pubout', '-out', publicPath);
    const read = readSigningKey({ pem: readFileSync(publicPath, 'utf8') });
    if (read.outcome === 'refused') throw new Error(read.detail);
    const key = { publicKey: read.publicKey, path };
    made.set(parameters, key);
    return key;
  }

  function signWith(program: readonly string[], path: string, input: Uint8Array): Buffer {
    writeFileSync(file('input'), input);
    const [name = '', ...rest] = program;
    const from = name === 'pkeyutl' ? ['-in', file('input')] : [file('input')];
    openssl(name, ...rest, path, '-out', file('signature'), ...from);
    return readFileSync(file('signature'));
  }

  test.each(programs)('signs the served bytes by %s', (algorithm, parameters, program) => {
    const { publicKey, path } = keyOf(parameters);
    const { bytes } = inputFor(publicKey, algorithm);

    const signature = signWith(program, path, bytes);

    expect(algorithmsOf(publicKey)).toContain(algorithm);
    expect(outcomeOf(publicKey, algorithm, signature)).toMatchObject({
      outcome: 'verified',
      algorithm,
      signedAt: '2026-11-22T10:00:00.000Z',
    });
  });

  test('signs with a certificate that it made', () => {
    const { publicKey, path } = keyOf(ec('P-256'));
    const subject = ['-subj', '/CN=Dr. Weiß', '-utf8', '-days', '1'];
    openssl('req', '-x509', '-new', '-key', path, ...subject, '-out', file('cert.pem'));
    openssl('x509', '-in', file('cert.pem'), '-outform', 'DER', '-out', file('cert.der'));
    const certificate = readFileSync(file('cert.der'));
    const { bytes } = inputFor(publicKey, 'ES256', [certificate]);

    const signature = signWith(['dgst', '-sha256', '-sign'], path, bytes);

    const pem = readFileSync(file('cert.pem'), 'utf8');
    expect(readSigningKey({ pem })).toEqual({ outcome: 'read', publicKey });
    expect(outcomeOf(publicKey, 'ES256', signature, [certificate])).toMatchObject({
      outcome: 'verified',
      certificates: [certificate],
    });
  });

  test('with another length of the salt has signed nothing', () => {
    const { publicKey, path } = keyOf(RSA);
    const { bytes } = inputFor(publicKey, 'PS256');

    for (const salt of ['0', '20', '31', '33', 'max'])
      expect(
        outcomeOf(
          publicKey,
          'PS256',
          signWith(['dgst', '-sha256', ...pss(salt), '-sign'], path, bytes),
        ),
      ).toMatchObject({ code: 'SIGNATURE_WRONG' });
  });

  test('with another mask or hash has signed nothing', () => {
    const { publicKey, path } = keyOf(RSA);
    const { bytes } = inputFor(publicKey, 'PS256');
    const mask = [...pss('32'), '-sigopt', 'rsa_mgf1_md:sha1'];

    expect(
      outcomeOf(publicKey, 'PS256', signWith(['dgst', '-sha256', ...mask, '-sign'], path, bytes)),
    ).toMatchObject({ code: 'SIGNATURE_WRONG' });
    expect(
      outcomeOf(publicKey, 'RS256', signWith(['dgst', '-sha512', '-sign'], path, bytes)),
    ).toMatchObject({ code: 'SIGNATURE_WRONG' });
  });

  test.each(programs)('verifies what is signed here by %s', (algorithm, _parameters, program) => {
    const signer = testSigner(algorithm);
    const { bytes, signature } = signedHere(signer.key, signer.publicKey, algorithm);
    const pem = createPublicKey(signer.key).export({ type: 'spki', format: 'pem' });
    writeFileSync(file('public.pem'), pem);
    writeFileSync(file('input'), bytes);
    writeFileSync(file('signature'), signature);

    const verify =
      program[0] === 'pkeyutl'
        ? ['pkeyutl', '-verify', '-rawin', '-pubin', '-inkey', file('public.pem'), '-sigfile']
        : [...program.slice(0, -1), '-verify', file('public.pem'), '-signature'];
    const from = program[0] === 'pkeyutl' ? ['-in', file('input')] : [file('input')];
    openssl(...verify, file('signature'), ...from);
    writeFileSync(file('input'), Buffer.concat([bytes, Buffer.from('content')]));

    expect(() => openssl(...verify, file('signature'), ...from)).toThrow(/^openssl /);
  });

  /** As OpenSSL wants it: ECDSA in DER. */
  function signedHere(key: KeyObject, publicKey: SigningKey, algorithm: SignatureAlgorithm) {
    const { bytes } = inputFor(publicKey, algorithm);
    return { bytes: Buffer.from(bytes), signature: signBytes(algorithm, key, bytes) };
  }
});
