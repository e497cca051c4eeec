/** People who sign: keys of every admitted kind, requests to them, and their signatures. */
import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { Digest } from '../shared/ledger/digest.ts';
import {
  joseSignature,
  type SignatureAlgorithm,
  type SignatureTarget,
  signingInput,
} from '../shared/ledger/signature.ts';
import { requestKey } from '../shared/ledger/state.ts';
import {
  encodeTransaction,
  type SignDocument,
  type SigningKey,
} from '../shared/ledger/transaction.ts';
import { nextUuid, SALT, type TestLedger, type TestTransaction, timeAfter } from './builders.ts';

export interface TestSigner {
  readonly publicKey: SigningKey;
  readonly algorithm: SignatureAlgorithm;
  readonly key: KeyObject;
  /** A signature over exactly what is given; `seconds` after START. */
  sign(target: Omit<SignatureTarget, 'publicKey'>, seconds?: number): SignDocument['signature'];
}

const RSA_BITS = 3072;
const CURVES = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' } as const;

/** Making an RSA key takes a second: one for all tests of a process. */
let rsa: KeyObject | undefined;

function newKey(algorithm: SignatureAlgorithm): KeyObject {
  switch (algorithm) {
    case 'ES256':
    case 'ES384':
    case 'ES512':
      return generateKeyPairSync('ec', { namedCurve: CURVES[algorithm] }).privateKey;
    case 'EdDSA':
      return generateKeyPairSync('ed25519').privateKey;
    case 'PS256':
    case 'RS256':
      rsa ??= generateKeyPairSync('rsa', { modulusLength: RSA_BITS }).privateKey;
      return rsa;
  }
}

const DIGESTS = { ES256: 'sha256', ES384: 'sha384', ES512: 'sha512' } as const;

/** The bytes as the algorithm's own program writes them: ECDSA in DER. */
export function signBytes(algorithm: SignatureAlgorithm, key: KeyObject, input: Uint8Array) {
  switch (algorithm) {
    case 'ES256':
    case 'ES384':
    case 'ES512':
      return sign(DIGESTS[algorithm], input, key);
    case 'EdDSA':
      return sign(null, input, key);
    case 'RS256':
      return sign('sha256', input, key);
    case 'PS256':
      return sign('sha256', input, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: 32,
      });
  }
}

/** Somebody with a new key. */
export function testSigner(algorithm: SignatureAlgorithm = 'EdDSA'): TestSigner {
  const key = newKey(algorithm);
  const jwk = { ...key.export({ format: 'jwk' }) };
  const members = ['crv', 'e', 'kty', 'n', 'x', 'y'].filter((name) => jwk[name] !== undefined);
  const publicKey = Object.fromEntries(members.map((name) => [name, jwk[name]])) as SigningKey;
  return {
    publicKey,
    algorithm,
    key,
    sign: (target, seconds = 0) => {
      const iat = Date.parse(timeAfter(seconds)) / 1000;
      const input = signingInput({ ...target, publicKey }, { algorithm, iat });
      if (input.outcome === 'refused') throw new Error(input.detail);
      const bytes = signBytes(algorithm, key, input.bytes);
      const read = joseSignature(algorithm, publicKey, bytes);
      if (read.outcome === 'refused') throw new Error(read.detail);
      return { protected: input.protected, signature: read.signature };
    },
  };
}

type Changes = Readonly<Record<string, unknown>>;

/** A request to sign version 1 of a document for approval. */
export function requestSignature(
  signer: Pick<TestSigner, 'publicKey'>,
  documentId = 'plan-1',
  changes: Changes = {},
): TestTransaction {
  const draft = {
    type: 'request-signature',
    transactionId: nextUuid(),
    requestId: nextUuid(),
    documentId,
    version: 1,
    purpose: 'approval',
    publicKey: signer.publicKey,
    ...changes,
  } as const;
  return encodeTransaction(draft, { salt: SALT, signer: 'Prüfingenieurin Dr. Weiß' });
}

/** The answer to a request, as an application sends it. */
export function signDocument(
  requestId: string,
  signature: SignDocument['signature'],
  changes: Changes = {},
): TestTransaction {
  const transactionId = nextUuid();
  return encodeTransaction({
    type: 'sign-document',
    transactionId,
    requestId,
    signature,
    ...changes,
  });
}

/** What a request of the ledger asks to be signed. */
export function targetOf(
  ledger: TestLedger,
  requestId: string,
): Omit<SignatureTarget, 'publicKey'> {
  const item = ledger.state.get(requestKey(requestId));
  if (item === undefined || !('purpose' in item)) throw new Error(`no request ${requestId}`);
  const { documentId, version, contentDigest, purpose } = item;
  return { registryId: ledger.registryId as Digest, documentId, version, contentDigest, purpose };
}
