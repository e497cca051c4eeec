import type { Link } from '../ledger/backlinks.ts';
import type { CertificateId, RegistryId } from '../ledger/digest.ts';

/** What proved to a later joiner who leads, before it holds entry 1: protocol section 6. */
export interface AcceptedInvitation {
  readonly registryId: RegistryId;
  /** The peer list that the verified configuration entries put in force; the first leads. */
  readonly peers: readonly CertificateId[];
  /** Of every list up to there. */
  readonly everPeers: readonly CertificateId[];
  readonly through?: number;
  /** The entries of all of these lists, oldest first: an own copy must have the same. */
  readonly lists?: readonly Link[];
  readonly acceptedAt: string;
}
