/** Registries, by the receipts of their first and their newest entry. */
import type { Link } from '../ledger/backlinks.ts';
import type { CertificateId, RegistryId, Sequence } from '../ledger/digest.ts';
import type { RegistryRow } from './answers.ts';
import type { CallOptions } from './calls.ts';
import { requireSame, textsIn } from './proven-facts.ts';
import type { Receipts } from './receipts.ts';

/** A registry by its first and its newest entry, both proven. */
export interface RegistrySummary {
  readonly registryId: RegistryId;
  readonly name?: string;
  readonly description?: string;
  readonly redacted?: true;
  /** Proven to be an entry of the registry; that there is no newer one is the instance's word. */
  readonly head: Link & { readonly timestamp: string };
  /** In force at the head: the first leads. */
  readonly peers: readonly CertificateId[];
  /** The entry that brought that list. */
  readonly configuredBy: Sequence;
  /** Of the instance that was asked, by its word. */
  readonly role: 'lead' | 'mirror' | 'former';
}

/** The registry, after name, description and head were found in receipts. */
export async function provenRegistry(
  receipts: Receipts,
  row: Pick<RegistryRow, 'registryId' | 'name' | 'description' | 'redacted' | 'head' | 'role'>,
  options?: CallOptions,
): Promise<RegistrySummary> {
  const { registryId, head, role } = row;
  const inForce = await receipts.proven(
    { registryId, ...head },
    ({ receipt: { timestamp, configuration } }) => {
      requireSame(head, { timestamp }, ['timestamp']);
      return configuration;
    },
    options,
  );
  const first = await receipts.fetch(registryId, 1, options);
  const texts = textsIn(first);
  requireSame(row, texts, ['name', 'description', 'redacted']);
  const { peers, sequence: configuredBy } = inForce;
  return { registryId, ...texts, head, peers, configuredBy, role };
}
