import { sameLink } from '../ledger/chain.ts';
import type { CertificateId } from '../ledger/digest.ts';
import type { AcceptedInvitation } from './accepted-invitation.ts';
import type { Clock, Head, LedgerStore, Signer } from './ports.ts';

/**
 * The newest peer list that is proven here: a mirror that is behind may know a later one than its
 * own copy has, from an invitation (protocol section 6).
 */

export async function newestPeers(
  store: LedgerStore,
  head: Head,
): Promise<readonly CertificateId[]> {
  const later = await laterInvitation(store, head);
  return (later ?? head.configuration).peers;
}

/** Whether this instance has been taken off the list, as far as it knows. */
export async function hasLeft(
  { store, signer }: { readonly store: LedgerStore; readonly signer: Pick<Signer, 'knownIds'> },
  head: Head,
): Promise<boolean> {
  return !(await newestPeers(store, head)).some((peer) => signer.knownIds.includes(peer));
}

/**
 * The invitation that proves a later list than the own copy has, and none beside it: a former lead
 * can sign a list on top of the last one that it led. What this copy holds shows which is of it.
 */
export async function laterInvitation(
  store: LedgerStore,
  head: Head,
): Promise<AcceptedInvitation | undefined> {
  const invitation = await store.invitation(head.registryId);
  if (invitation === undefined || !isOfCopy(invitation, head)) return undefined;
  return (invitation.through ?? 0) > head.sequence ? invitation : undefined;
}

/** Whether the lists up to the own head are those of this copy. */
export function isOfCopy({ lists = [] }: Pick<AcceptedInvitation, 'lists'>, head: Head): boolean {
  return sameLink(
    lists.findLast(({ sequence }) => sequence <= head.sequence),
    head.configuration,
  );
}

/** A peer that cannot go on asks again for the newest list, but not with every delivery. */
const INVITED_MS = 600_000;

/** Whether whoever delivers should first show the newest list again. */
export async function asksForList(
  { store, clock }: { readonly store: LedgerStore; readonly clock: Clock },
  { registryId }: Head,
): Promise<boolean> {
  const invitation = await store.invitation(registryId);
  return clock.now() - Date.parse(invitation?.acceptedAt ?? '1970-01-01') >= INVITED_MS;
}
