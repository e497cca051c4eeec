import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import type { UploadDocument } from '../ledger/transaction.ts';
import { generationOf } from './held-content.ts';
import { type KnowPeerPorts, knowPeer } from './know-peer.ts';
import { readMessage, schemas } from './messages.ts';
import type { BlobStore, Head, PutBytesOutcome } from './ports.ts';

/**
 * A mirror gets the bytes of a version: first from the entry's lead, then from every peer that
 * confirmed it. The bytes stream into the own bucket while they are hashed; what does not come out
 * to the digest is not kept, and the next source is tried.
 */

export interface FetchPorts extends KnowPeerPorts {
  readonly blobs: BlobStore;
}

export interface WantedContent {
  readonly registryId: RegistryId;
  /** The lead that appended the entry. */
  readonly lead: CertificateId;
  readonly upload: Pick<UploadDocument, 'contentDigest' | 'size'>;
}

export type FetchOutcome =
  | { readonly outcome: 'held' }
  /** No source had them; what each one answered. */
  | {
      readonly outcome: 'unavailable';
      readonly reason: string;
      readonly sources: readonly AskedSource[];
    };

/** A peer that was asked for the bytes, and why it did not do. */
export interface AskedSource {
  readonly peer: CertificateId;
  readonly found: string;
}

/** What a source sent that is not what was recorded. */
const DIFFERING: ReadonlySet<string> = new Set(['digest-differs', 'size-differs']);
/** A peer that has none is no source; one that does not answer may be. */
const NOT_HELD = 'not-held';

/** Whether whoever has bytes sent wrong ones, and nobody else is left to be asked. */
export function allDiffer(sources: readonly AskedSource[]): boolean {
  return (
    sources.some(({ found }) => DIFFERING.has(found)) &&
    sources.every(({ found }) => DIFFERING.has(found) || found === NOT_HELD)
  );
}

export async function fetchContent(
  ports: FetchPorts,
  wanted: WantedContent,
  sequence: number,
): Promise<FetchOutcome> {
  const head = await ports.store.head(wanted.registryId);
  if (head === undefined)
    return { outcome: 'unavailable', reason: 'the registry is not here', sources: [] };
  const asked: AskedSource[] = [];
  for (const peer of await sources(ports, head, wanted, sequence)) {
    await knowPeer(ports, head, peer);
    const found = await fetchFrom(ports, wanted, { head, peer });
    if (found === undefined) return { outcome: 'held' };
    asked.push({ peer, found });
  }
  const reasons = asked.map(({ peer, found }) => `${peer.slice(0, 8)}: ${wordsOf(found)}`);
  const reason = reasons.join('; ') || 'nobody else holds them';
  return { outcome: 'unavailable', reason, sources: asked };
}

function wordsOf(found: string): string {
  switch (found) {
    case 'digest-differs':
      return 'sent bytes with another SHA-256';
    case 'size-differs':
      return 'sent more or fewer bytes than recorded';
    case NOT_HELD:
      return 'does not hold them';
    default:
      return found;
  }
}

async function sources(
  { store, signer }: FetchPorts,
  head: Head,
  { registryId, lead }: WantedContent,
  sequence: number,
): Promise<CertificateId[]> {
  const confirmed: CertificateId[] = [];
  for (const peer of head.everPeers) {
    const covering = await store.firstConfirmationCovering(registryId, peer, sequence);
    if (covering !== undefined) confirmed.push(peer);
  }
  // The present lead may have the bytes even where the former one is gone, and who has not
  // confirmed yet may be just about to.
  const all = [lead, ...head.configuration.peers.slice(0, 1), ...confirmed];
  for (const peer of head.configuration.peers) all.push(peer);
  return [...new Set(all)].filter((peer) => !signer.knownIds.includes(peer));
}

/** Why this source did not do; undefined once the bytes are held. */
async function fetchFrom(
  { blobs, transport }: FetchPorts,
  { registryId, upload }: WantedContent,
  { head, peer }: { readonly head: Head; readonly peer: CertificateId },
): Promise<string | undefined> {
  const { contentDigest, size } = upload;
  const generation = generationOf(head, contentDigest);
  const request = { operation: 'content', registryId, subject: contentDigest } as const;
  const answer = await transport.call(peer, request);
  if (answer.outcome === 'unreachable') return answer.reason;
  if (answer.status === 404) return NOT_HELD;
  if (answer.status !== 200) return `answered ${answer.status}`;
  const message = readMessage(schemas.contentAnswer, answer.body);
  if (message.outcome === 'refused') return `answered what is no address: ${message.detail}`;
  return take({ blobs, transport }, { contentDigest, size, generation }, message.value.url);
}

/** Downloads into the own bucket; a transfer that breaks is this source's failure and no more. */
async function take(
  { blobs, transport }: Pick<FetchPorts, 'blobs' | 'transport'>,
  content: WantedContent['upload'] & { readonly generation: number },
  url: string,
): Promise<string | undefined> {
  let outcome: PutBytesOutcome;
  try {
    const bytes = await transport.download(url);
    if (bytes === undefined) return 'the address it gave has no bytes';
    outcome = await blobs.put(content, bytes);
  } catch {
    // The error's own words may hold the address, which gives access.
    return 'the transfer of the bytes broke off';
  }
  switch (outcome) {
    case 'stored':
    case 'held':
      return undefined;
    case 'digest-differs':
    case 'size-differs':
      return outcome;
  }
}
