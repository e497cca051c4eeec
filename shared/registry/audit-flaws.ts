import { type ChainHead, sameLink } from '../ledger/chain.ts';
import type { ConfirmationStatement } from '../ledger/confirmation.ts';
import type { Digest } from '../ledger/digest.ts';
import { payloadOf } from '../ledger/jws.ts';
import type { UploadDocument } from '../ledger/transaction.ts';
import type { AuditCode } from './audit.ts';
import { itemThatDiffers, type StoredState } from './audit-state.ts';
import type { Confirmation, Head, StoredEntry } from './ports.ts';

/** What both audits look for, whether they begin at entry 1 or in the middle. */

export interface AuditFlaw {
  readonly code: AuditCode;
  readonly detail: string;
  /** What was signed or recorded, and what is there, as far as these are digests. */
  readonly digests?: readonly Digest[];
}

/** What a confirmation is found by must be what its signer said; the statement is verified. */
export function flawOfStoredConfirmation(confirmation: Confirmation): AuditFlaw | undefined {
  const said = payloadOf(confirmation.statement) as ConfirmationStatement;
  const { signer, digest, copy } = confirmation;
  if (said.signer === signer && said.digest === digest && said.copy === copy) return undefined;
  return {
    code: 'STORED_CONFIRMATION_DIFFERS',
    detail:
      `a confirmation by ${said.signer} of ${said.digest} in copy ${said.copy} is stored as one ` +
      `by ${signer} of ${digest} in copy ${copy}`,
    digests: [said.digest, digest],
  };
}

/** The state items that the entry's transaction made or renewed; the entry is verified. */
export function flawOfState(
  stored: StoredEntry,
  state: StoredState,
  broken = false,
): AuditFlaw | undefined {
  const key = itemThatDiffers(stored, state, broken);
  if (key === undefined) return undefined;
  const detail = `the state item ${key} is not what entry ${stored.sequence} made it`;
  return { code: 'STATE_ITEM_DIFFERS', detail };
}

/** What is wrong about a document of which nothing is held. */
export function bytesMissing(upload: UploadDocument): AuditFlaw {
  const detail = `the bytes of ${nameOf(upload)} are not there`;
  return { code: 'DOCUMENT_MISSING', detail, digests: [upload.contentDigest] };
}

/** Whether what is held of a document is what was recorded; `digest` where the bytes were read. */
export function flawOfBytes(
  upload: UploadDocument,
  { digest = upload.contentDigest, size }: { readonly digest?: Digest; readonly size: number },
): AuditFlaw | undefined {
  const { contentDigest } = upload;
  if (digest === contentDigest && size === upload.size) return undefined;
  return {
    code: 'DOCUMENT_DIFFERS',
    detail:
      `the bytes of ${nameOf(upload)} are ${size} with ${digest}; recorded are ${upload.size} with ` +
      contentDigest,
    digests: digest === contentDigest ? [contentDigest] : [contentDigest, digest],
  };
}

function nameOf({ documentId, version }: UploadDocument): string {
  return `version ${version} of ${documentId}`;
}

/** What the head item says beside the chain that its entries lead to; undefined: the same. */
export function flawOfHeadItem(head: Head, chain: ChainHead): AuditFlaw | undefined {
  const differs = (detail: string, ...digests: Digest[]): AuditFlaw => ({
    code: 'HEAD_DIFFERS',
    detail,
    digests,
  });
  if (head.digest !== chain.digest)
    return differs(
      `the head names the digest ${head.digest}; it comes out to ${chain.digest}`,
      chain.digest,
      head.digest,
    );
  if (head.timestamp !== chain.timestamp)
    return differs(`the head is of ${head.timestamp}; its entry is of ${chain.timestamp}`);
  if (
    head.tower.length !== chain.tower.length ||
    !head.tower.every((link, index) => sameLink(link, chain.tower[index]))
  )
    return differs('the tower of the head is not the one that its entries lead to');
  const { configuration } = chain;
  if (
    !sameLink(head.configuration, configuration) ||
    head.configuration.peers.join() !== configuration.peers.join()
  )
    return differs(
      `the head names another peer list than entry ${configuration.sequence} put in force`,
    );
  return undefined;
}
