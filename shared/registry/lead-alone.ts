import { leadOf, sameLink } from '../ledger/chain.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { limits } from '../ledger/limits.ts';
import type {
  CreateRegistry,
  ReconfigurePeers,
  Transaction,
  UploadDocument,
} from '../ledger/transaction.ts';
import { generationOf } from './held-content.ts';
import type { BlobStore, Head, LedgerStore, Signer } from './ports.ts';

/** What only the lead can know, and no mirror objects to: protocol section 3, "lead alone". */

export interface LeadAlonePorts {
  readonly store: LedgerStore;
  readonly blobs: BlobStore;
  readonly signer: Signer;
}

/** The refusal, or undefined. Asks the bucket for bytes and the table for peers. */
export async function checkLeadAlone(
  ports: LeadAlonePorts,
  head: Head | undefined,
  transaction: Transaction,
): Promise<Refused | undefined> {
  switch (transaction.type) {
    case 'create-registry':
      return (
        (await checkIntroduced(ports, transaction.peers)) ??
        (await checkPredecessor(ports.store, transaction))
      );
    case 'reconfigure-peers':
      return (
        (await checkIntroduced(ports, transaction.peers)) ??
        (await checkNewLead(ports, head, transaction))
      );
    case 'upload-document':
      return checkUploaded(ports.blobs, head, transaction);
    case 'request-signature':
    case 'sign-document':
      return undefined;
  }
}

/** Only what this instance itself has closed is continued, from where it was closed. */
async function checkPredecessor(
  store: LedgerStore,
  { predecessor }: CreateRegistry,
): Promise<Refused | undefined> {
  if (predecessor === undefined) return undefined;
  const { registryId, sequence, digest } = predecessor;
  const head = await store.head(registryId);
  if (head?.closed === true && sameLink(head, { sequence, digest })) return undefined;
  const found =
    head === undefined
      ? 'is not here'
      : `ends at entry ${head.sequence} with ${head.digest}${head.closed === true ? '' : ' and is not closed'}`;
  return refuse(
    'PREDECESSOR_NOT_CLOSED',
    `predecessor names ${registryId} at entry ${sequence} with ${digest}; it ${found}: close it ` +
      'here first, and name the entry at which it was closed',
  );
}

/** A peer whose certificate is unknown could never be reached: better said now than never. */
async function checkIntroduced(
  { store, signer }: LeadAlonePorts,
  peers: readonly string[],
): Promise<Refused | undefined> {
  for (const peer of peers) {
    const id = peer as typeof signer.certificateId;
    if (signer.knownIds.includes(id) || (await store.certificate(id)) !== undefined) continue;
    return refuse(
      'PEER_CERTIFICATE_UNKNOWN',
      `the certificate of ${peer} is not known here, so nobody knows where it lives; ` +
        'introduce it with POST /v1/certificates first',
    );
  }
  return undefined;
}

/** A new lead that lacks entries could not append: it must be close behind, or be oneself. */
async function checkNewLead(
  { store, signer }: LeadAlonePorts,
  head: Head | undefined,
  transaction: ReconfigurePeers,
): Promise<Refused | undefined> {
  const lead = leadOf(transaction);
  if (signer.knownIds.includes(lead)) return undefined;
  if (head === undefined || !head.configuration.peers.includes(lead))
    return refuse(
      'NEW_LEAD_BEHIND',
      `${lead} is no peer yet: add it as a mirror, wait until it has confirmed, then hand over`,
    );
  const newest = await store.newestConfirmation(head.registryId, lead);
  // One that has never confirmed anything may not even be there.
  if (newest === undefined)
    return refuse(
      'NEW_LEAD_BEHIND',
      `${lead} has confirmed nothing yet: hand over to it once it has confirmed`,
    );
  const { sequence } = newest;
  if (sequence + limits.newLeadBehindMax >= head.sequence) return undefined;
  return refuse(
    'NEW_LEAD_BEHIND',
    `${lead} has confirmed entry ${sequence} of ${head.sequence}; ` +
      `at most ${limits.newLeadBehindMax} may be missing: wait until it has caught up`,
  );
}

async function checkUploaded(
  blobs: BlobStore,
  head: Head | undefined,
  { contentDigest, size }: UploadDocument,
): Promise<Refused | undefined> {
  const held = await blobs.sizeOf(contentDigest, generationOf(head, contentDigest));
  if (held === undefined)
    return refuse(
      'CONTENT_NOT_UPLOADED',
      `no bytes with the SHA-256 ${contentDigest} are here; ` +
        'ask for an upload with POST /v1/uploads and PUT them first',
    );
  if (held === size) return undefined;
  return refuse(
    'CONTENT_SIZE_DIFFERS',
    `the bytes with the SHA-256 ${contentDigest} are ${held} bytes long, not ${size}`,
  );
}
