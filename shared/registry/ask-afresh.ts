import { leadOf } from '../ledger/chain.ts';
import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import type { DigestMismatch } from '../ledger/signed-commit.ts';
import { type JudgedCommit, judgeCommit, type Malformed } from './judge-delivery.ts';
import type { CarriedCommit, Delivery } from './messages.ts';
import { readMessage, schemas } from './messages.ts';
import type { PeerTransport } from './peer-transport.ts';
import { type ConflictPorts, reportConflict } from './report-conflict.ts';
import { readStanding } from './standing.ts';

/**
 * What does not come out to its checkpoint is signed by nobody and accuses nobody. But if the lead
 * itself, asked afresh, goes on delivering it, something there is wrong for good, and the mirror
 * says so: protocol section 6.
 */

export interface AskAfreshPorts extends ConflictPorts {
  readonly transport: PeerTransport;
}

/** So often the lead may deliver what does not come out. */
const TIMES_MAX = 3;

export type JudgedDelivery =
  | { readonly outcome: 'judged'; readonly commits: readonly JudgedCommit[] }
  | (Malformed & { readonly commit?: CarriedCommit });

/** Judges every commit by itself, and that they follow each other. */
export function judgeCommits({ registryId, commits: carried }: Delivery): JudgedDelivery {
  const commits: JudgedCommit[] = [];
  for (const commit of carried) {
    const judged = judgeCommit(registryId, commit);
    if (judged.outcome === 'malformed') return { ...judged, commit };
    const before = commits.at(-1)?.checkpoint.statement.sequence;
    if (before !== undefined && judged.first !== before + 1)
      return { outcome: 'malformed', refused: refuse('SEQUENCE_NOT_NEXT', 'commits have gaps') };
    commits.push(judged);
  }
  return { outcome: 'judged', commits };
}

export type AskedAfresh =
  /** Sound this time. */
  | {
      readonly outcome: 'judged';
      readonly commits: readonly JudgedCommit[];
      readonly delivery: Delivery;
    }
  | { readonly outcome: 'malformed'; readonly refused: Refused }
  | { readonly outcome: 'in-conflict'; readonly conflicts: readonly Digest[] };

/** Asks the lead again for what it delivered, up to three times in all. */
export async function askAfresh(
  ports: AskAfreshPorts,
  caller: CertificateId,
  { registryId }: Delivery,
  first: Extract<JudgedDelivery, { outcome: 'malformed' }>,
): Promise<AskedAfresh> {
  const head = await ports.store.head(registryId);
  const isLead = head !== undefined && leadOf(head.configuration) === caller;
  const { refused } = first;
  if (!isLead || first.mismatch === undefined) return { outcome: 'malformed', refused };
  // Also while a resolution is tried: that it failed is to be told.
  if ((await readStanding(ports, head)).outcome === 'blocked')
    return { outcome: 'malformed', refused };
  const received: CarriedCommit[] = [];
  let { mismatch } = first;
  while (received.length < TIMES_MAX) {
    const delivery = await askEntries(ports.transport, registryId, caller, head.sequence + 1);
    if (delivery === undefined) return { outcome: 'malformed', refused };
    const again = judgeCommits(delivery);
    if (again.outcome === 'judged') return { ...again, delivery };
    if (again.mismatch === undefined || again.commit === undefined)
      return { outcome: 'malformed', refused: again.refused };
    mismatch = again.mismatch;
    received.push(again.commit);
  }
  const conflictId = await reportMismatch(ports, registryId, { mismatch, received, refused });
  return { outcome: 'in-conflict', conflicts: [conflictId] };
}

/** Entries from `from` on, as that peer holds them. Undefined: it gives none now. */
export async function askEntries(
  transport: PeerTransport,
  registryId: RegistryId,
  peer: CertificateId,
  from: number,
): Promise<Delivery | undefined> {
  const request = { operation: 'entries', registryId, subject: String(from) } as const;
  const answer = await transport.call(peer, request);
  if (answer.outcome === 'unreachable' || answer.status !== 200) return undefined;
  const message = readMessage(schemas.delivery, answer.body);
  if (message.outcome === 'refused' || message.value.registryId !== registryId) return undefined;
  return message.value;
}

interface Received {
  readonly mismatch: DigestMismatch;
  readonly received: readonly CarriedCommit[];
  readonly refused: Refused;
}

/** Nobody but this mirror received it: its word, and the bytes for people to look at. */
function reportMismatch(
  ports: AskAfreshPorts,
  registryId: RegistryId,
  { mismatch: { sequence, expected, found }, received, refused }: Received,
): Promise<Digest> {
  return reportConflict(ports, registryId, {
    kind: 'digest-mismatch',
    sequence,
    accused: 'open',
    digests: [expected, found],
    evidence: {
      format: 'registry/evidence/v1',
      kind: 'digest-mismatch',
      registryId,
      sequence,
      deliveries: [...received],
    },
    detail: `${refused.code}: ${refused.detail}`,
  });
}
