/** Signing requests, held against the receipts of their entries; signatures are verified again. */
import type { Link } from '../ledger/backlinks.ts';
import type { Digest, RegistryId } from '../ledger/digest.ts';
import { type SignatureAlgorithm, verifySignature } from '../ledger/signature.ts';
import type { Purpose, SigningKey } from '../ledger/transaction.ts';
import { type RequestRow, type Superseded, versionAnswer } from './answers.ts';
import type { CallOptions, Calls } from './calls.ts';
import { versionPath } from './paths.ts';
import { notProven } from './problem.ts';
import { requireSame, textsIn, transactionIn } from './proven-facts.ts';
import type { EntryPlace, ProvenEntry, Receipts } from './receipts.ts';
import { type DocumentVersion, provenVersion } from './verified-documents.ts';

/** A signature that was required, and the one that was given; proven, but for what is left out. */
export interface SigningRequest {
  readonly registryId: RegistryId;
  readonly requestId: string;
  /**
   * `signed` is proven. `open` and `overdue` (open, and `dueAt` has passed by this machine's clock)
   * are not: nothing shows that no signature was left out.
   */
  readonly status: 'open' | 'overdue' | 'signed';
  readonly documentId: string;
  readonly version: number;
  /** Of that version: what is to be signed. */
  readonly contentDigest: Digest;
  readonly purpose: Purpose;
  readonly publicKey: SigningKey;
  readonly dueAt?: string;
  readonly signer?: string;
  readonly note?: string;
  readonly redacted?: true;
  readonly requestedBy: Link;
  /** By the lead's clock. */
  readonly requestedAt: string;
  /** The instance's word: people replaced or voided it. It takes no signature any more. */
  readonly superseded?: Superseded;
  readonly signature?: ProvenSignature;
}

/** A signature that was verified here, against exactly what was requested. */
export interface ProvenSignature {
  readonly signedBy: Link;
  /** By the lead's clock. */
  readonly signedAt: string;
  /** By the signer's clock. */
  readonly claimedAt: string;
  readonly algorithm: SignatureAlgorithm;
  /** RS256: accepted for existing cards. */
  readonly legacy: boolean;
  /** DER, the signer's own first; neither their issuers nor their times were judged. */
  readonly certificates: readonly Uint8Array[];
}

const REQUEST_FACTS = [
  'requestId',
  'documentId',
  'version',
  'contentDigest',
  'purpose',
  'dueAt',
  'signer',
  'note',
  'redacted',
  'requestedAt',
] as const;

/** Where receipts come from, and what is not in them. */
export interface RequestSource {
  readonly receipts: Receipts;
  readonly calls: Calls;
}

/** The request, after every fact of the row was found in receipts; its signature is verified. */
export async function provenRequest(
  source: RequestSource,
  registryId: string,
  row: RequestRow,
  options?: CallOptions,
): Promise<SigningRequest> {
  const { receipts } = source;
  const place = { registryId, ...row.requestedBy };
  const { contentDigest, ...asked } = await versionAsked(source, place, options);
  const request = await receipts.proven(
    place,
    (proven) => {
      const found = { ...requestIn(proven, row.requestedBy), contentDigest };
      requireSame(row, found, REQUEST_FACTS);
      requireSame(asked, found, ['documentId', 'version']);
      if (!sameKey(row.publicKey, found.publicKey))
        throw notProven('the answer names another publicKey than the receipt of its entry');
      return row.superseded === undefined ? found : { ...found, superseded: row.superseded };
    },
    options,
  );
  if ((row.status === 'signed') !== (row.signature !== undefined))
    throw notProven(`the answer says ${row.status}, and shows the contrary`);
  if (row.signature === undefined) return { ...request, status: openOrOverdue(request.dueAt) };
  const signature = await provenSignature(receipts, request, row.signature, options);
  return { ...request, status: 'signed', signature };
}

type RequestFacts = Omit<SigningRequest, 'status' | 'signature'>;

function requestIn(proven: ProvenEntry, requestedBy: Link): Omit<RequestFacts, 'contentDigest'> {
  const { receipt } = proven;
  const transaction = transactionIn(proven, 'request-signature');
  const { requestId, documentId, version, purpose, publicKey, dueAt } = transaction;
  return {
    registryId: receipt.registryId,
    requestId,
    documentId,
    version,
    purpose,
    publicKey,
    ...(dueAt === undefined ? {} : { dueAt }),
    ...textsIn(proven),
    requestedBy,
    requestedAt: receipt.timestamp,
  };
}

/**
 * What the request is about: its entry links to the entry of that version. One that replaces another
 * entry links to that; its version is asked for, and proven by its own receipt.
 */
async function versionAsked(
  { receipts, calls }: RequestSource,
  place: EntryPlace,
  options?: CallOptions,
): Promise<Pick<DocumentVersion, 'documentId' | 'version' | 'contentDigest'>> {
  const { registryId } = place;
  const { subject, documentId, version, supersedes } = await receipts.proven(
    place,
    (proven) => ({ subject: proven.subject, ...transactionIn(proven, 'request-signature') }),
    options,
  );
  if (supersedes !== undefined) {
    const path = versionPath(registryId, documentId, version);
    const row = await calls.get(path, versionAnswer, options);
    return provenVersion(receipts, registryId, row, options);
  }
  if (subject === undefined) throw notProven('the entry of the request is about no version');
  return receipts.proven(
    { registryId, ...subject },
    (proven) => transactionIn(proven, 'upload-document'),
    options,
  );
}

function openOrOverdue(dueAt: string | undefined): 'open' | 'overdue' {
  return dueAt !== undefined && dueAt < new Date().toISOString() ? 'overdue' : 'open';
}

function sameKey(one: SigningKey, other: SigningKey): boolean {
  const members = Object.entries(one);
  const expected = new Map<string, string>(Object.entries(other));
  return (
    members.length === expected.size &&
    members.every(([name, value]) => expected.get(name) === value)
  );
}

const SIGNATURE_FACTS = ['signedAt', 'claimedAt', 'algorithm', 'legacy'] as const;

function provenSignature(
  receipts: Receipts,
  request: RequestFacts,
  given: NonNullable<RequestRow['signature']>,
  options?: CallOptions,
): Promise<ProvenSignature> {
  return receipts.proven(
    { registryId: request.registryId, ...given.signedBy },
    (proven) => {
      const { requestId, signature } = transactionIn(proven, 'sign-document');
      if (requestId !== request.requestId)
        throw notProven(`the signature that is shown answers the request ${requestId}`);
      const verified = verifySignature(signature, request);
      if (verified.outcome === 'refused')
        throw notProven(`the signature does not verify (${verified.code}): ${verified.detail}`);
      const { signedAt: claimedAt, algorithm, legacy, certificates } = verified;
      const signedAt = proven.receipt.timestamp;
      const found = { signedBy: given.signedBy, signedAt, claimedAt, algorithm, legacy };
      requireSame(given, found, SIGNATURE_FACTS);
      return { ...found, certificates };
    },
    options,
  );
}
