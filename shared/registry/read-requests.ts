import type { Link } from '../ledger/backlinks.ts';
import type { Digest } from '../ledger/digest.ts';
import type { RefusalCode } from '../ledger/errors.ts';
import { type SignatureAlgorithm, verifySignature } from '../ledger/signature.ts';
import { type RequestItem, requestKey } from '../ledger/state.ts';
import type { Purpose, SigningKey } from '../ledger/transaction.ts';
import { positionAt, requestsList } from './lists.ts';
import type { Clock, Head, ListedItem, StoredEntry } from './ports.ts';
import type { ReadPorts } from './read.ts';
import { listedPage, type Page } from './read-page.ts';
import {
  linkOf,
  storedEntries,
  type Texts,
  textsOf,
  timestampOf,
  transactionOf,
} from './read-stored.ts';

/** Signing requests, and the signatures that answered them. */

export type RequestStatus =
  | 'open'
  /** Open, and its due date has passed. The ledger's rules know nothing of it. */
  | 'overdue'
  | 'signed';

/** One required signature, with the words of the request. */
export interface RequestSummary extends Pick<Texts, 'signer' | 'note' | 'redacted'> {
  readonly requestId: string;
  readonly status: RequestStatus;
  readonly documentId: string;
  readonly version: number;
  /** Of that version: what is to be signed. */
  readonly contentDigest: Digest;
  readonly purpose: Purpose;
  readonly publicKey: SigningKey;
  /** RFC 3339. */
  readonly dueAt?: string;
  /** The entry that asked, and its timestamp: by the lead's clock. */
  readonly requestedBy: Link;
  readonly requestedAt: string;
  readonly signature?: GivenSignature;
}

/** A signature that was recorded. With a `flaw` it shows nothing that the signature says. */
export type GivenSignature = RecordedSignature &
  (VerifiedSignature | { readonly flaw: RefusalCode });

interface RecordedSignature {
  /** The entry that recorded the signature, and its timestamp: by the lead's clock. */
  readonly signedBy: Link;
  readonly signedAt: string;
}

interface VerifiedSignature {
  /** What the signature itself says: by the signer's clock. */
  readonly claimedAt: string;
  readonly algorithm: SignatureAlgorithm;
  /** RS256: accepted for existing cards. */
  readonly legacy: boolean;
}

export interface RequestFilter {
  readonly status?: RequestStatus;
  readonly documentId?: string;
}

export interface RequestsPage {
  /** In the order of their entries. With a filter the page may be shorter than asked for. */
  readonly requests: readonly RequestSummary[];
  /** The entry of the last request that was looked at. */
  readonly next?: number;
}

/** The signing requests of a registry. Eventually consistent: see `list` of the port. */
export async function listRequests(
  ports: ReadPorts,
  head: Head,
  filter: RequestFilter,
  { after, count }: Page<number>,
): Promise<RequestsPage> {
  const { status } = filter;
  const listOf = (state: 'open' | 'signed') => requestsList(head.registryId, head.copy, state);
  const lists = [
    ...(status === 'signed' ? [] : [listOf('open')]),
    ...(status === undefined || status === 'signed' ? [listOf('signed')] : []),
  ];
  const from = after === undefined ? {} : { after: positionAt(after) };
  const fits = fitting(filter, ports.clock);
  const { found, next } = await listedPage(ports.store, lists, { ...from, count }, fits);
  const items = found.map(({ item }) => item as RequestItem);
  const requests = await summariesOf(ports, head, items);
  return { requests, ...(next === undefined ? {} : { next: Number(next) }) };
}

/** Undefined where every item of the lists fits. */
function fitting(
  { status, documentId }: RequestFilter,
  clock: Clock,
): ((listed: ListedItem) => boolean) | undefined {
  const isExact = status === undefined || status === 'signed';
  if (documentId === undefined && isExact) return undefined;
  return ({ item }) => {
    const request = item as RequestItem;
    if (documentId !== undefined && request.documentId !== documentId) return false;
    return status === undefined || statusOf(request, clock) === status;
  };
}

/** One request; undefined: this registry has none with this id. */
export async function readRequest(
  ports: ReadPorts,
  head: Head,
  requestId: string,
): Promise<RequestSummary | undefined> {
  const key = requestKey(requestId);
  const { items } = await ports.store.read(head.registryId, [key]);
  const item = items.get(key) as RequestItem | undefined;
  if (item === undefined) return undefined;
  const [summary] = await summariesOf(ports, head, [item]);
  return summary;
}

async function summariesOf(
  { store, clock }: ReadPorts,
  head: Head,
  requests: readonly RequestItem[],
): Promise<RequestSummary[]> {
  const links = requests.flatMap(({ entry, signed }) => [entry, ...(signed ? [signed] : [])]);
  const entryAt = await storedEntries(
    store,
    head,
    links.map(({ sequence }) => sequence),
  );
  return requests.map((item) => {
    const { contentDigest, signed } = item;
    const asked = entryAt(item.entry.sequence);
    const request = transactionOf(asked, 'request-signature');
    const { requestId, documentId, version, purpose, publicKey, dueAt } = request;
    return {
      requestId,
      status: statusOf(item, clock),
      documentId,
      version,
      contentDigest,
      purpose,
      publicKey,
      ...(dueAt === undefined ? {} : { dueAt }),
      ...textsOf(asked),
      requestedBy: linkOf(asked),
      requestedAt: timestampOf(asked),
      ...(signed && { signature: signatureOf(head, item, entryAt(signed.sequence)) }),
    };
  });
}

function statusOf({ signed, dueAt }: RequestItem, clock: Clock): RequestStatus {
  if (signed !== undefined) return 'signed';
  return dueAt !== undefined && dueAt < new Date(clock.now()).toISOString() ? 'overdue' : 'open';
}

/**
 * Verified again: what an application shows to a person should not rest on a state item. One that
 * does not verify any more is shown as that, and keeps no other request from being read.
 */
function signatureOf(head: Head, request: RequestItem, stored: StoredEntry): GivenSignature {
  const { signature } = transactionOf(stored, 'sign-document');
  const target = { ...request, registryId: head.registryId };
  const verified = verifySignature(signature, target);
  const recorded = { signedBy: linkOf(stored), signedAt: timestampOf(stored) };
  if (verified.outcome === 'refused') return { ...recorded, flaw: verified.code };
  return {
    ...recorded,
    claimedAt: verified.signedAt,
    algorithm: verified.algorithm,
    legacy: verified.legacy,
  };
}
