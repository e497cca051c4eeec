import { readCertificate } from '../ledger/certificate.ts';
import { verifyIssuer } from '../ledger/certificate-chain.ts';
import { leadOf } from '../ledger/chain.ts';
import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { allConfigurations, commitHolding } from './configuration-at.ts';
import { type JudgedCommit, type JudgedEntry, judgeCommit } from './judge-delivery.ts';
import { carriedCommits, type Invitation } from './messages.ts';
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
  const proved = proveList(invitation);
  if (proved.outcome === 'refused') return proved;
  const { peers, everPeers } = proved;
  const lead = leadOf({ peers });
  // Whoever was removed meanwhile is still to be brought the entry that removes it.
  if (!ports.signer.knownIds.some((id) => everPeers.has(id))) return { outcome: 'not-in-swarm' };
  if (!ports.admits(lead)) return { outcome: 'not-admitted', lead };
  await keepCertificates(ports, invitation.certificates);
  const { registryId } = invitation;
  const acceptedAt = new Date(ports.clock.now()).toISOString();
  const ever = [...everPeers];
  await ports.store.putInvitation({ registryId, peers, everPeers: ever, acceptedAt });
  return { outcome: 'accepted', lead };
}

interface Proved {
  readonly outcome: 'proved';
  readonly peers: readonly CertificateId[];
  /** Of any of the lists. */
  readonly everPeers: ReadonlySet<CertificateId>;
}

/** The list that the chain of configuration entries puts in force at its end. */
function proveList(invitation: Invitation): Proved | Refused {
  const { registryId } = invitation;
  const everPeers = new Set<CertificateId>();
  let newest: Listed | undefined;
  for (const carried of invitation.configurations) {
    const judged = judgeCommit(registryId, carried);
    if (judged.outcome === 'malformed') return judged.refused;
    if (judged.flaw !== undefined) return judged.flaw.refused;
    const continued = continueThrough(registryId, newest, judged);
    if (continued.outcome === 'refused') return continued;
    newest = continued.list;
    for (const peer of judged.entries.flatMap(peersBrought)) everPeers.add(peer);
  }
  if (newest === undefined) return refuse('NOT_FIRST_ENTRY', 'the invitation holds no peer list');
  return { outcome: 'proved', peers: newest.peers, everPeers };
}

function peersBrought({ transaction: { transaction } }: JudgedEntry): readonly CertificateId[] {
  return 'peers' in transaction ? transaction.peers : [];
}

function continueThrough(
  registryId: RegistryId,
  before: Listed | undefined,
  { checkpoint, entries }: JudgedCommit,
): Continued {
  const { signer, sequence } = checkpoint.statement;
  let list = before;
  for (const entry of entries) {
    const next = continueList(registryId, list, entry);
    if (next.outcome === 'refused') return next;
    if (signer !== entry.read.entry.lead)
      return refuse('LEAD_DIFFERS', `the checkpoint of entry ${sequence} is not its lead's`);
    list = next.list;
  }
  return { outcome: 'continued', list };
}

type Continued = { readonly outcome: 'continued'; readonly list: Listed | undefined } | Refused;

interface Listed {
  readonly sequence: number;
  readonly digest: string;
  readonly peers: readonly CertificateId[];
}

/** One entry of the invitation, held against the list that was in force before it. */
function continueList(
  registryId: RegistryId,
  before: Listed | undefined,
  { read, transaction }: JudgedEntry,
): Continued {
  const { entry, digest } = read;
  const { sequence } = entry;
  const brought =
    'peers' in transaction.transaction
      ? { sequence, digest, peers: transaction.transaction.peers }
      : undefined;
  if (before === undefined) {
    if (sequence !== 1 || transaction.digest !== registryId || brought === undefined)
      return refuse('NOT_FIRST_ENTRY', 'the invitation does not begin with the create-registry');
    if (entry.lead !== leadOf(brought))
      return refuse('LEAD_DIFFERS', 'entry 1 is not of its own lead');
    return { outcome: 'continued', list: brought };
  }
  if (entry.registryId !== registryId)
    return refuse('REGISTRY_DIFFERS', `entry ${sequence} is of another registry`);
  if (
    entry.configuration?.digest !== before.digest ||
    entry.configuration.sequence !== before.sequence
  )
    return refuse('CONFIGURATION_LINK_WRONG', `entry ${sequence} skips a peer list`);
  if (entry.lead !== leadOf(before))
    return refuse('LEAD_DIFFERS', `entry ${sequence} is not of the lead in force`);
  return { outcome: 'continued', list: brought ?? before };
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
