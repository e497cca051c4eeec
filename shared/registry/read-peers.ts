import type { CertificateId, Digest } from '../ledger/digest.ts';
import { awaitedAcceptances } from './awaited.ts';
import { allClosings } from './kept-statements.ts';
import { type LagPorts, type PeerLag, peerLags } from './lag.ts';
import type { Head } from './ports.ts';

/** A peer of the list in force: how far it is, and what has stopped it, as far as is known here. */
export interface PeerStanding extends PeerLag {
  /** Its last entry: it has closed the registry, for good. */
  readonly closedAt?: number;
  /** The resolution that its operator has to accept before it goes on. */
  readonly awaitsAcceptance?: Digest;
}

/** Every peer of the list in force, in its order. */
export async function readPeers(ports: LagPorts, head: Head): Promise<PeerStanding[]> {
  const [lags, closings, awaited] = await Promise.all([
    peerLags(ports, head),
    allClosings(ports.store, head.registryId),
    awaitedAcceptances(ports.store, head),
  ]);
  const closedAt = new Map<CertificateId, number>();
  for (const { said } of closings) closedAt.set(said.signer, said.sequence);
  return lags.map((lag) => {
    const closed = closedAt.get(lag.peer);
    const stopping = awaited.find(({ peers }) => peers.includes(lag.peer));
    return {
      ...lag,
      ...(closed === undefined ? {} : { closedAt: closed }),
      ...(stopping === undefined ? {} : { awaitsAcceptance: stopping.resolution }),
    };
  });
}
