import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { askHead } from './ask-head.ts';
import type { PeerTransport } from './peer-transport.ts';
import type { LedgerStore, Random, Signer } from './ports.ts';

/**
 * Whether a registry that is to be created is there already: a lead whose table was restored from
 * before its creation lacks all of it, and another entry 1 would be a second story (protocol
 * section 5). Its mirrors know it.
 */

export interface HeldElsewhere {
  readonly peer: CertificateId;
  /** Through which entry. */
  readonly sequence: number;
}

/** The first of the peers that says, signed, that it holds the registry. Who is silent is not waited for. */
export async function heldElsewhere(
  ports: {
    readonly store: LedgerStore;
    readonly signer: Signer;
    readonly transport: PeerTransport;
    readonly random: Random;
  },
  registryId: RegistryId,
  peers: readonly CertificateId[],
): Promise<HeldElsewhere | undefined> {
  if ((await ports.store.head(registryId)) !== undefined) return undefined;
  const others = peers.filter((peer) => !ports.signer.knownIds.includes(peer));
  const asked = others.map(async (peer): Promise<HeldElsewhere | undefined> => {
    const answer = await askHead(ports, { registryId }, peer);
    if (answer.outcome !== 'stated') return undefined;
    return { peer, sequence: answer.head.statement.sequence };
  });
  const found = (await Promise.all(asked)).find((each) => each !== undefined);
  // Another request may have created it here meanwhile, and a mirror have it from there.
  const isHere = found !== undefined && (await ports.store.head(registryId)) !== undefined;
  return isHere ? undefined : found;
}
