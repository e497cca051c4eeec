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

/** The invitation that proves a later list than the own copy has. */
export async function laterInvitation(
  store: LedgerStore,
  head: Head,
): Promise<AcceptedInvitation | undefined> {
  const invitation = await store.invitation(head.registryId);
  // One that ends before the own copy does says nothing about who is a peer now.
  return (invitation?.through ?? 0) > head.configuration.sequence ? invitation : undefined;
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
