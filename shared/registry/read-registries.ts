import { leadOf } from '../ledger/chain.ts';
import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import type { Head, Signer } from './ports.ts';
import type { ReadPorts } from './read.ts';
import type { Page } from './read-page.ts';
import { type Texts, textsOf } from './read-stored.ts';

/** What this instance is in a registry: `former` has been taken off the peer list. */
export type InstanceRole = 'lead' | 'mirror' | 'former';

/** One registry as this instance holds it. */
export interface RegistrySummary extends Pick<Texts, 'name' | 'description' | 'redacted'> {
  readonly registryId: RegistryId;
  readonly head: {
    readonly sequence: number;
    readonly digest: Digest;
    readonly timestamp: string;
  };
  readonly role: InstanceRole;
  /** How many conflicts are open here. */
  readonly openConflicts: number;
}

export interface RegistriesPage {
  /** In the order of their ids. */
  readonly registries: readonly RegistrySummary[];
  readonly next?: RegistryId;
}

/** All registries of this instance, with their names. */
export async function listRegistries(
  ports: ReadPorts,
  { after, count }: Page<RegistryId>,
): Promise<RegistriesPage> {
  const ids = await ports.store.registries(after, count + 1);
  const page = ids.slice(0, count);
  const registries = await Promise.all(page.map((registryId) => summaryOf(ports, registryId)));
  const last = page.at(-1);
  return { registries, ...(last !== undefined && ids.length > count ? { next: last } : {}) };
}

async function summaryOf(ports: ReadPorts, registryId: RegistryId): Promise<RegistrySummary> {
  const head = await ports.store.head(registryId);
  if (head === undefined) throw new Error(`registry ${registryId} is listed but has no head`);
  return registrySummary(ports, head);
}

/** The same of one registry whose head was read. */
export async function registrySummary(
  { store, signer }: ReadPorts,
  head: Head,
): Promise<RegistrySummary> {
  const { registryId, sequence, digest, timestamp } = head;
  const [first] = await store.entries(registryId, head.copy, { from: 1, count: 1 });
  if (first === undefined) throw new Error(`entry 1 of registry ${registryId} is missing`);
  return {
    registryId,
    ...textsOf(first),
    head: { sequence, digest, timestamp },
    role: roleOf(signer, head.configuration.peers),
    openConflicts: head.openConflicts.length,
  };
}

/** The role of this instance under a peer list. */
export function roleOf(
  { knownIds }: Pick<Signer, 'knownIds'>,
  peers: readonly CertificateId[],
): InstanceRole {
  if (knownIds.includes(leadOf({ peers }))) return 'lead';
  return peers.some((peer) => knownIds.includes(peer)) ? 'mirror' : 'former';
}
