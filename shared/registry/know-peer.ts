import { readCertificate } from '../ledger/certificate.ts';
import { verifyIssuer } from '../ledger/certificate-chain.ts';
import type { CertificateId } from '../ledger/digest.ts';
import { readMessage, schemas } from './messages.ts';
import type { PeerTransport } from './peer-transport.ts';
import type { Head, LedgerStore, Signer } from './ports.ts';

/**
 * The certificate introduces an instance: it says where a peer lives. One that is not known here is
 * asked for at the registry's other peers, checked, and kept (protocol section 6).
 */

export interface KnowPeerPorts {
  readonly store: LedgerStore;
  readonly transport: PeerTransport;
  readonly signer: Signer;
  readonly clusterCaPem: string;
}

/** Makes sure that the peer's certificate is known, as far as anybody else can tell. */
export async function knowPeer(
  ports: KnowPeerPorts,
  head: Head,
  peer: CertificateId,
): Promise<boolean> {
  const { store, signer } = ports;
  if ((await store.certificate(peer)) !== undefined) return true;
  // The present list first: those are the most likely to answer.
  const others = new Set([...head.configuration.peers, ...head.everPeers]);
  for (const other of others) {
    if (other === peer || signer.knownIds.includes(other)) continue;
    if ((await store.certificate(other)) === undefined) continue;
    if (await askFor(ports, head, peer, other)) return true;
  }
  return false;
}

async function askFor(
  { store, transport, clusterCaPem }: KnowPeerPorts,
  { registryId }: Head,
  peer: CertificateId,
  other: CertificateId,
): Promise<boolean> {
  const request = { operation: 'certificate', registryId, subject: peer } as const;
  const answer = await transport.call(other, request);
  if (answer.outcome === 'unreachable' || answer.status !== 200) return false;
  const message = readMessage(schemas.certificateAnswer, answer.body);
  if (message.outcome === 'refused') return false;
  const pem = message.value.certificatePem;
  const read = readCertificate(pem);
  if (read.outcome === 'refused' || read.certificate.certificateId !== peer) return false;
  // One that has expired proves what its key signed; nobody connects to it.
  if (verifyIssuer(read.certificate, clusterCaPem).outcome === 'refused') return false;
  await store.putCertificate(peer, pem);
  return true;
}
