/**
 * Signatures by people: asking for one, the bytes to sign, making one with a key, and giving it. The
 * bytes are built here, from the request as its receipt proves it: no instance can have anybody sign
 * something else.
 */
import {
  constants,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomUUID,
  sign,
} from 'node:crypto';
import type { Link } from '../ledger/backlinks.ts';
import type { Refused } from '../ledger/errors.ts';
import {
  algorithmsOf,
  joseSignature,
  objectUrn,
  readSigningKey,
  type SignatureAlgorithm,
  signingInput,
  verifySignature,
} from '../ledger/signature.ts';
import type { Purpose, SignDocument, SigningKey } from '../ledger/transaction.ts';
import type { NewTransaction, Repeatable } from './appending.ts';
import { invalidArgument, RegistryError } from './problem.ts';
import type { SigningRequest } from './verified-requests.ts';

/** The public key of whoever is to sign: a JWK, or PEM of the key or of a certificate with it. */
export type PublicKeySource = string | Readonly<Record<string, unknown>>;

export interface NewSigningRequest {
  readonly documentId: string;
  readonly version: number;
  readonly publicKey: PublicKeySource;
  readonly purpose: Purpose;
  /** Who is to sign, for people. */
  readonly signer: string;
  readonly note?: string;
  readonly dueAt?: Date;
  /** A new one unless given. */
  readonly requestId?: string;
  /** The entry that it replaces, under a resolution of the manner replace. */
  readonly supersedes?: Link;
}

export interface PreparedRequest {
  readonly requestId: string;
  readonly transaction: NewTransaction;
}

/** The request-signature transaction. Throws `KEY_NOT_ALLOWED` for keys that nobody may sign with. */
export function newSigningRequest(
  asked: NewSigningRequest,
  repeatable: Repeatable,
): PreparedRequest {
  const { documentId, version, purpose, signer, note, dueAt, supersedes } = asked;
  const requestId = asked.requestId ?? randomUUID();
  const publicKey = publicKeyIn(asked.publicKey);
  const due = dueAt === undefined ? {} : { dueAt: timestampOf(dueAt) };
  const replaced = supersedes === undefined ? {} : { supersedes };
  const transaction = {
    type: 'request-signature' as const,
    ...repeatable,
    members: { requestId, documentId, version, publicKey, purpose, ...due, ...replaced },
    details: { signer, ...(note === undefined ? {} : { note }) },
  };
  return { requestId, transaction };
}

function publicKeyIn(source: PublicKeySource): SigningKey {
  const read = readSigningKey(typeof source === 'string' ? { pem: source } : { jwk: source });
  if (read.outcome === 'refused') throw refusedLocally(read);
  return read.publicKey;
}

function timestampOf(date: Date): string {
  if (Number.isNaN(date.getTime())) throw invalidArgument('dueAt is no date');
  return date.toISOString();
}

/** The same code that an instance would answer with, before anything is sent. */
function refusedLocally({ code, detail }: Refused): RegistryError {
  return new RegistryError(code, detail);
}

export interface SigningOptions {
  /** The first of the requested key unless given: PS256 for RSA. */
  readonly algorithm?: SignatureAlgorithm;
  /** When the signer says to sign; now unless given. Whole seconds count. */
  readonly issuedAt?: Date;
  /** DER, the signer's own first, each issued by the next: they become part of what is signed. */
  readonly certificates?: readonly Uint8Array[];
}

/** What a program, a card or a browser is to sign. */
export interface SigningInput {
  readonly algorithm: SignatureAlgorithm;
  /** To be given back with the signature. */
  readonly protected: string;
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes, to be compared by people. */
  readonly digest: string;
  /** The version by its URN, as it stands in what is signed. */
  readonly objectUrn: string;
}

/** The signing input of a proven request. */
export function signingInputOf(
  request: SigningRequest,
  { algorithm, issuedAt, certificates }: SigningOptions = {},
): SigningInput {
  requireOpen(request);
  const chosen = algorithm ?? (algorithmsOf(request.publicKey)[0] as SignatureAlgorithm);
  const iat = Math.floor((issuedAt ?? new Date()).getTime() / 1000);
  const built = signingInput(request, {
    algorithm: chosen,
    iat,
    ...(certificates === undefined ? {} : { certificates }),
  });
  if (built.outcome === 'refused') throw refusedLocally(built);
  const { bytes, digest } = built;
  return {
    algorithm: chosen,
    protected: built.protected,
    bytes,
    digest,
    objectUrn: objectUrn(request),
  };
}

function requireOpen({ requestId, signature, superseded }: SigningRequest): void {
  if (superseded !== undefined)
    throw new RegistryError(
      'REQUEST_SUPERSEDED',
      `request ${requestId} was replaced or voided with entry ${superseded.by}: it takes no ` +
        'signature any more',
    );
  if (signature !== undefined)
    throw new RegistryError(
      'REQUEST_ALREADY_SIGNED',
      `request ${requestId} was signed with entry ${signature.signedBy.sequence}; request another ` +
        'signature if one more is required',
    );
}

/** A signature as programs write it: raw or DER bytes, or as a JWS has it. */
export interface GivenSignature {
  /** As the signing input gave it. */
  readonly protected: string;
  readonly signature: Uint8Array | string;
}

/** The sign-document transaction. Throws where lead and mirrors would refuse the signature. */
export function newSignature(
  request: SigningRequest,
  given: GivenSignature,
  { transactionId }: Repeatable,
): NewTransaction {
  requireOpen(request);
  const signature = jwsOf(request, given);
  const verified = verifySignature(signature, request);
  if (verified.outcome === 'refused') throw refusedLocally(verified);
  return {
    type: 'sign-document',
    ...(transactionId === undefined ? {} : { transactionId }),
    members: { requestId: request.requestId, signature },
  };
}

function jwsOf(
  { publicKey }: SigningRequest,
  { protected: header, signature }: GivenSignature,
): SignDocument['signature'] {
  if (typeof signature === 'string') return { protected: header, signature };
  const named = algorithmIn(header);
  const admitted = algorithmsOf(publicKey);
  const algorithm = admitted.find((each) => each === named);
  if (algorithm === undefined)
    throw new RegistryError(
      'SIGNATURE_ALGORITHM_NOT_ALLOWED',
      `the protected header names ${JSON.stringify(named)}; expected of the requested key: ` +
        admitted.join(' or '),
    );
  const read = joseSignature(algorithm, publicKey, signature);
  if (read.outcome === 'refused') throw refusedLocally(read);
  return { protected: header, signature: read.signature };
}

/** The `alg` of a header that nobody has checked yet. */
function algorithmIn(untrustedHeader: string): unknown {
  try {
    return JSON.parse(Buffer.from(untrustedHeader, 'base64url').toString('utf8'))?.alg;
  } catch {
    return undefined;
  }
}

/** A private key as Node has it, or in PEM without a passphrase. */
export type PrivateKeySource = KeyObject | string;

/** Signs the request's signing input with a key that is at hand. */
export function signWith(
  request: SigningRequest,
  source: PrivateKeySource,
  options: SigningOptions,
): GivenSignature {
  const key = privateKeyIn(source);
  if (!isKeyOf(key, request.publicKey))
    throw new RegistryError(
      'SIGNATURE_KEY_DIFFERS',
      'the private key is not the one whose signature is requested: nothing was signed',
    );
  const input = signingInputOf(request, options);
  return { protected: input.protected, signature: signatureOf(input.algorithm, key, input.bytes) };
}

function privateKeyIn(source: PrivateKeySource): KeyObject {
  if (typeof source !== 'string') return source;
  try {
    return createPrivateKey(source);
  } catch {
    throw invalidArgument('the private key cannot be read: expected PEM without a passphrase');
  }
}

function isKeyOf(key: KeyObject, publicKey: SigningKey): boolean {
  if (key.type !== 'private') return false;
  const pem = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
  const read = readSigningKey({ pem });
  return read.outcome === 'read' && JSON.stringify(read.publicKey) === JSON.stringify(publicKey);
}

function signatureOf(algorithm: SignatureAlgorithm, key: KeyObject, input: Uint8Array): Buffer {
  const dsaEncoding = 'ieee-p1363';
  switch (algorithm) {
    case 'ES256':
      return sign('sha256', input, { key, dsaEncoding });
    case 'ES384':
      return sign('sha384', input, { key, dsaEncoding });
    case 'ES512':
      return sign('sha512', input, { key, dsaEncoding });
    case 'EdDSA':
      return sign(null, input, key);
    case 'PS256':
      return sign('sha256', input, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      });
    case 'RS256':
      return sign('sha256', input, { key, padding: constants.RSA_PKCS1_PADDING });
  }
}
