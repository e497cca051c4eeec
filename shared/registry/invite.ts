import { readCertificate } from '../ledger/certificate.ts';
import { verifyIssuer } from '../ledger/certificate-chain.ts';
import { leadOf } from '../ledger/chain.ts';
import type { CertificateId } from '../ledger/digest.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { proveLists } from '../ledger/prove-lists.ts';
import { allConfigurations, commitHolding } from './configuration-at.ts';
import { carriedCommits, type Invitation } from './messages.ts';
import { isOfCopy } from './newest-list.ts';
import type { Clock, Head, LedgerStore, Signer } from './ports.ts';

/**
 * How a peer that was not there at entry 1 learns who leads: every configuration entry, each inside
 * its checkpointed commit, verified back to entry 1 (protocol section 6).
 */

/** The invitation to this registry as its head stands. */
export async function buildInvitation(store: LedgerStore, head: Head): Promise<Invitation> {
  const configurations: Invitation['configurations'] = [];
  let newestOfCommit = Number.POSITIVE_INFINITY;
  for (const stored of await allConfigurations(store, head)) {
    // Two lists in one commit are in it once.
    if (stored.sequence >= newestOfCommit) continue;
    const commit = await commitHolding(store, head, stored.sequence);
    newestOfCommit = commit[0]?.sequence ?? stored.sequence;
    configurations.unshift(...carriedCommits(commit));
  }
  const certificates: string[] = [];
  for (const peer of head.everPeers) {
    const pem = await store.certificate(peer);
    if (pem !== undefined) certificates.push(pem);
  }
  return {
    format: 'registry/invitation/v1',
    registryId: head.registryId,
    certificates,
    configurations,
  };
}

export interface InvitedPorts {
  readonly store: LedgerStore;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly admits: (lead: CertificateId) => boolean;
  readonly clusterCaPem: string;
}

export type InvitationOutcome =
  | { readonly outcome: 'accepted'; readonly lead: CertificateId }
  | { readonly outcome: 'not-admitted'; readonly lead: CertificateId }
  | { readonly outcome: 'not-in-swarm' }
  | Refused;

/** Verifies an invitation back to entry 1 and remembers whom it puts in the lead. */
export async function receiveInvitation(
  ports: InvitedPorts,
  invitation: Invitation,
): Promise<InvitationOutcome> {
  const proved = proveLists(invitation);
  if (proved.outcome === 'refused') return proved;
  const { peers, everPeers } = proved;
  const lead = leadOf({ peers });
  // Whoever was removed meanwhile is still to be brought the entry that removes it.
  if (!ports.signer.knownIds.some((id) => everPeers.has(id))) return { outcome: 'not-in-swarm' };
  if (!ports.admits(lead)) return { outcome: 'not-admitted', lead };
  await keepCertificates(ports, invitation.certificates);
  const { registryId } = invitation;
  const acceptedAt = new Date(ports.clock.now()).toISOString();
  const through = proved.lists.at(-1)?.sequence ?? 0;
  const lists = proved.lists.map(({ sequence, digest }) => ({ sequence, digest }));
  const accepted = { registryId, peers, everPeers: [...everPeers], through, lists, acceptedAt };
  const head = await ports.store.head(registryId);
  if (head !== undefined && !isOfCopy(accepted, head))
    return refuse(
      'CONFIGURATION_LINK_WRONG',
      `entry ${head.configuration.sequence} with ${head.configuration.digest} put the list in force ` +
        'that this copy has; the lists of the invitation are others',
    );
  const known = await ports.store.invitation(registryId);
  // An older one, whoever brings it, takes the place of none that is of this copy.
  const isNewer =
    known === undefined ||
    head === undefined ||
    !isOfCopy(known, head) ||
    (known.through ?? 0) <= through;
  if (isNewer) await ports.store.putInvitation(accepted);
  return { outcome: 'accepted', lead };
}

/**
 * Certificates introduce peers; those that do not chain to the cluster CA are left out, and so are
 * those of peers that are known: the inviter's may be older than what a peer itself has shown. One
 * that has expired is kept as well: what its key signed is part of the ledger, and of receipts.
 */
async function keepCertificates(
  { store, clusterCaPem }: InvitedPorts,
  pems: readonly string[],
): Promise<void> {
  for (const pem of pems) {
    const read = readCertificate(pem);
    if (read.outcome === 'refused' || read.certificate.endpoint === undefined) continue;
    if ((await store.certificate(read.certificate.certificateId)) !== undefined) continue;
    if (verifyIssuer(read.certificate, clusterCaPem).outcome === 'trusted')
      await store.putCertificate(read.certificate.certificateId, pem);
  }
}
