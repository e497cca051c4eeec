import { leadOf } from '../ledger/chain.ts';
import { checkpointSchema } from '../ledger/checkpoint.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import { type Compact, readStatement } from '../ledger/jws.ts';
import { askHead } from './ask-head.ts';
import { type AuditFinding, type Findings, findingAt, raiseFinding } from './audit-finding.ts';
import { type KnowPeerPorts, knowPeer } from './know-peer.ts';
import { readMessage, schemas } from './messages.ts';
import type { Head, Random } from './ports.ts';
import { type ConflictPorts, reportRollback } from './report-conflict.ts';
import { SoundEntries } from './sound-entries.ts';

/**
 * Holding what the peers state against one's own copy: every present peer is asked for its head.
 *
 * What a peer states is its own word and no evidence against the lead: a difference is told, and
 * what it comes from has still to be found. Where this instance leads and a peer is ahead of it, the
 * entries that it lacks show whether it signed them itself: then it was restored.
 */

export interface ComparePorts extends ConflictPorts, KnowPeerPorts {
  readonly random: Random;
}

/** A peer that states another digest for an entry than the one that is stored here. */
export interface DifferingPeer {
  readonly peer: CertificateId;
  readonly sequence: number;
  /** As the peer states it, signed. */
  readonly digest: Digest;
  readonly headStatement: Compact;
}

export interface Comparison {
  /** Peers that stated their heads. */
  readonly answered: number;
  readonly differing: readonly DifferingPeer[];
  /** The conflict with itself, where this instance was restored. */
  readonly rolledBack?: Digest;
}

export interface CompareBounds {
  /** By the clock of the ports. */
  readonly deadlineMs: number;
  /** Peers that did not answer before: they are not waited for again. Grows. */
  readonly away: Set<CertificateId>;
}

/** Peers that are asked at a time. */
const PEERS_AT_A_TIME = 4;

/** Compares with every other peer of the present list, as far as there is time. */
export async function compareWithPeers(
  ports: ComparePorts,
  head: Head,
  { deadlineMs, away }: CompareBounds,
  findings: Findings,
): Promise<Comparison> {
  const peers = head.configuration.peers.filter(
    (peer) => !ports.signer.knownIds.includes(peer) && !away.has(peer),
  );
  const compared: Compared[] = [];
  for (let start = 0; start < peers.length; start += PEERS_AT_A_TIME) {
    if (ports.clock.now() >= deadlineMs) break;
    const some = peers.slice(start, start + PEERS_AT_A_TIME);
    compared.push(...(await Promise.all(some.map((peer) => compareWith(ports, head, peer)))));
  }
  for (const each of compared) {
    if (each.outcome === 'away') away.add(each.peer);
    if (each.outcome === 'own-flaw') findings.add(each.finding);
  }
  return comparisonOf(compared);
}

function comparisonOf(compared: readonly Compared[]): Comparison {
  const differing = compared.flatMap((each) =>
    each.outcome === 'differs' ? [each.differing] : [],
  );
  const rolledBack = compared.find((each) => each.outcome === 'rolled-back')?.conflictId;
  const silent = compared.filter(({ outcome }) => outcome === 'away' || outcome === 'no-head');
  return {
    answered: compared.length - silent.length,
    differing,
    ...(rolledBack === undefined ? {} : { rolledBack }),
  };
}

type Compared =
  | { readonly outcome: 'same' }
  /** Not reached, or no head stated: silence is no finding. */
  | { readonly outcome: 'away'; readonly peer: CertificateId }
  | { readonly outcome: 'no-head' }
  | { readonly outcome: 'differs'; readonly differing: DifferingPeer }
  | { readonly outcome: 'own-flaw'; readonly finding: AuditFinding }
  | { readonly outcome: 'rolled-back'; readonly conflictId: Digest };

async function compareWith(
  ports: ComparePorts,
  head: Head,
  peer: CertificateId,
): Promise<Compared> {
  await knowPeer(ports, head, peer);
  const answer = await askHead(ports, head, peer);
  switch (answer.outcome) {
    case 'unreachable':
      return { outcome: 'away', peer };
    case 'malformed':
    case 'refused':
    case 'not-in-swarm':
    case 'unknown-registry':
      return { outcome: 'no-head' };
    case 'stated': {
      const { sequence, digest } = answer.head.statement;
      if (sequence > head.sequence) return compareAhead(ports, head, peer);
      return compareHeld(ports, head, {
        peer,
        sequence,
        digest,
        headStatement: answer.head.compact,
      });
    }
  }
}

async function compareHeld(
  { store, alarms }: ComparePorts,
  head: Head,
  stated: DifferingPeer,
): Promise<Compared> {
  const { peer, sequence, digest } = stated;
  const entries = new SoundEntries(store, head);
  await entries.add([sequence]);
  const looked = entries.at(sequence);
  if (looked?.outcome === 'wrong') return { outcome: 'own-flaw', finding: looked.finding };
  if (looked === undefined || looked.read.digest === digest) return { outcome: 'same' };
  const own = looked.read.digest;
  const detail = `entry ${sequence} is held with ${own}; ${peer} states that it holds ${digest}`;
  const finding = findingAt(sequence, { code: 'PEER_DIFFERS', detail }, [own, digest]);
  raiseFinding(alarms, head.registryId, finding, peer);
  return { outcome: 'differs', differing: stated };
}

/** A mirror is merely behind; a lead that a peer is ahead of has lost what it signed. */
async function compareAhead(
  ports: ComparePorts,
  { registryId }: Head,
  peer: CertificateId,
): Promise<Compared> {
  const { store, transport, signer } = ports;
  // It may have appended since, and the peer have what is new already.
  const before = await store.head(registryId);
  if (before === undefined || !signer.knownIds.includes(leadOf(before.configuration)))
    return { outcome: 'same' };
  const subject = String(before.sequence + 1);
  const answer = await transport.call(peer, { operation: 'entries', registryId, subject });
  if (answer.outcome === 'unreachable') return { outcome: 'away', peer };
  const message = readMessage(schemas.delivery, answer.body);
  if (answer.status !== 200 || message.outcome === 'refused') return { outcome: 'same' };
  const after = await store.head(registryId);
  if (after === undefined) return { outcome: 'same' };
  for (const { checkpoint } of message.value.commits) {
    const read = readStatement(checkpoint, checkpointSchema);
    if (read.outcome === 'refused' || read.statement.registryId !== registryId) continue;
    const conflictId = await reportRollback(ports, after, read);
    if (conflictId !== undefined) return { outcome: 'rolled-back', conflictId };
  }
  return { outcome: 'same' };
}
