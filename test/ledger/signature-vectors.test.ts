/** Vectors of others go through the bare verification unchanged; the own ones are frozen. */
import { createHash, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as jose from 'jose';
import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import {
  checkSigningKey,
  joseSignature,
  type SignatureAlgorithm,
  type SignatureTarget,
  signatureInputDigest,
  signingInput,
  verifyBytes,
  verifySignature,
} from '../../shared/ledger/signature.ts';
import type { SigningKey } from '../../shared/ledger/transaction.ts';

function vectors(name: string) {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'));
}

interface RfcVector {
  readonly source: string;
  readonly algorithm: SignatureAlgorithm;
  readonly publicKey: SigningKey;
  /** The JWS signing input, or the message. */
  readonly input: string;
  readonly signature: string;
}

const rfcs: readonly RfcVector[] = vectors('signature-rfc.json');

describe('the vectors of the standards', () => {
  test.each(rfcs)('$source verifies', ({ algorithm, publicKey, input, signature }) => {
    const bytes = Buffer.from(signature, 'base64url');

    expect(verifyBytes(algorithm, publicKey, Buffer.from(input), bytes)).toBe(true);
    expect(verifyBytes(algorithm, publicKey, Buffer.from(`${input}.`), bytes)).toBe(false);
  });

  test('have keys that are admitted, but for the RSA key of 2048 bits', () => {
    const refused = rfcs.filter(({ publicKey }) => checkSigningKey(publicKey) !== undefined);

    expect(refused.map(({ source }) => source)).toEqual(['RFC 7515 appendix A.2']);
  });
});

interface WycheproofGroup {
  readonly source: string;
  readonly algorithm: SignatureAlgorithm;
  readonly form: 'raw' | 'der';
  readonly publicKey: SigningKey;
  readonly tests: readonly {
    readonly tcId: number;
    /** Both in hex. */
    readonly msg: string;
    readonly sig: string;
    readonly result: 'valid' | 'invalid';
  }[];
}

const groups: readonly WycheproofGroup[] = vectors('signature-wycheproof.json');

/** DER goes through the reader of what programs write; all else as it is. */
function verdictOn({ algorithm, form, publicKey }: WycheproofGroup, msg: Buffer, sig: Buffer) {
  if (form === 'raw') return verifyBytes(algorithm, publicKey, msg, sig);
  const read = joseSignature(algorithm, publicKey, sig);
  if (read.outcome === 'refused') return false;
  return verifyBytes(algorithm, publicKey, msg, Buffer.from(read.signature, 'base64url'));
}

describe('the vectors of Project Wycheproof', () => {
  test('are of every algorithm, and of both outcomes', () => {
    const kinds = groups.flatMap(({ algorithm, form, tests }) =>
      tests.map(({ result }) => `${algorithm} ${form} ${result}`),
    );

    expect([...new Set(kinds)].sort()).toEqual(
      ['ES256 der', 'ES256 raw', 'ES384 raw', 'ES512 raw', 'EdDSA raw', 'PS256 raw', 'RS256 raw']
        .flatMap((kind) => [`${kind} invalid`, `${kind} valid`])
        .sort(),
    );
  });

  test.each(
    groups.flatMap((group) => group.tests.map((one) => ({ ...one, group, source: group.source }))),
  )('$source $tcId is $result', ({ group, msg, sig, result }) => {
    const verdict = verdictOn(group, Buffer.from(msg, 'hex'), Buffer.from(sig, 'hex'));

    expect(verdict ? 'valid' : 'invalid').toBe(result);
  });

  test('in DER that are invalid are no DER at all', () => {
    const refused = groups
      .filter(({ form }) => form === 'der')
      .flatMap(({ algorithm, publicKey, tests }) =>
        tests
          .filter(({ result }) => result === 'invalid')
          .map(({ sig }) => joseSignature(algorithm, publicKey, Buffer.from(sig, 'hex'))),
      );

    expect(refused.length).toBeGreaterThan(50);
    for (const outcome of refused)
      expect(outcome).toMatchObject({ code: 'SIGNATURE_DER_MALFORMED' });
  });
});

interface FrozenSignature {
  readonly algorithm: SignatureAlgorithm;
  readonly iat: number;
  readonly target: SignatureTarget;
  /** DER in base64, the signer's own first. */
  readonly certificates: readonly string[];
  /** The protected header as text, and as it stands in the JWS. */
  readonly header: string;
  readonly protected: string;
  readonly signature: string;
  readonly inputDigest: string;
  readonly signedAt: string;
}

const frozen: readonly FrozenSignature[] = vectors('signature.json');

test('a signature of every algorithm is frozen', () => {
  expect(frozen.map(({ algorithm }) => algorithm)).toEqual([
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
    'PS256',
    'RS256',
  ]);
});

describe.each(frozen)('the frozen signature of $algorithm', (vector) => {
  const { algorithm, iat, target, inputDigest, signedAt } = vector;
  const certificates = vector.certificates.map((text) => Buffer.from(text, 'base64'));
  const jws = { protected: vector.protected, signature: vector.signature };
  const input = Buffer.from(`${vector.protected}.`);

  test('is verified, with what it says', () => {
    expect(verifySignature(jws, target)).toEqual({
      outcome: 'verified',
      algorithm,
      signedAt,
      inputDigest,
      certificates,
      legacy: algorithm === 'RS256',
    });
  });

  test('has the digest of its input', () => {
    expect(createHash('sha256').update(input).digest('hex')).toBe(inputDigest);
    expect(signatureInputDigest(jws)).toBe(inputDigest);
  });

  test('has a canonical header, which is the served one', () => {
    expect(Buffer.from(vector.protected, 'base64url').toString()).toBe(vector.header);
    expect(encodeCanonical(JSON.parse(vector.header)).toString()).toBe(vector.header);
    expect(signingInput(target, { algorithm, iat, certificates })).toEqual({
      outcome: 'built',
      protected: vector.protected,
      bytes: input,
      digest: inputDigest,
    });
  });

  test('names the version, its bytes and the purpose', () => {
    const { registryId, documentId, version, contentDigest, purpose } = target;
    const proof = purpose.replace(/^./, (letter) => letter.toUpperCase());

    expect(JSON.parse(vector.header)).toMatchObject({
      iat,
      sigD: {
        hashM: 'S256',
        hashV: [Buffer.from(contentDigest, 'hex').toString('base64url')],
        mId: 'http://uri.etsi.org/19182/ObjectIdByURIHash',
        pars: [`urn:registry:${registryId}:document:${documentId}:version:${version}`],
      },
      srCms: [{ commId: { id: `http://uri.etsi.org/01903/v1.2.2#ProofOf${proof}` } }],
    });
  });

  test('has an admitted key, and verifies in a general library', async () => {
    const key = createPublicKey({ key: { ...target.publicKey }, format: 'jwk' });
    const options = { crit: { sigD: true } };

    expect(checkSigningKey(target.publicKey)).toBeUndefined();
    await expect(
      jose.flattenedVerify({ ...jws, payload: '' }, key, options),
    ).resolves.toBeDefined();
  });
});
