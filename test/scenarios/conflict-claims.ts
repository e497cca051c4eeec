/** Conflicts as a peer claims them, rightly or wrongly, and statements as it posts them. */
import { checkpointOf } from '../../shared/ledger/checkpoint.ts';
import { type ConflictStatement, conflictOf } from '../../shared/ledger/conflict.ts';
import {
  type Digest,
  digestOf,
  type RegistryId,
  type Sequence,
} from '../../shared/ledger/digest.ts';
import { type Evidence, encodeEvidence, type ForkChain } from '../../shared/ledger/evidence.ts';
import type { Compact, Statement } from '../../shared/ledger/jws.ts';
import { forkEvidence, tamperingEvidence } from '../../shared/registry/gather-evidence.ts';
import { encodeMessage } from '../../shared/registry/messages.ts';
import { signedByOperator } from '../conflicts.ts';
import type { MemoryInstance } from '../memory-cluster.ts';
import { entryAt } from './conflict-swarm.ts';

export interface Posted {
  readonly statement: string;
  readonly decision?: string;
  readonly checkpoint?: string;
}

/** Signed by the instance, and by its operator where people decide. */
export function signed(instance: MemoryInstance, payload: object): Posted {
  const statement = instance.ports.signer.sign(payload as Statement);
  if (!('decidedBy' in payload)) return { statement };
  return { statement, decision: signedByOperator(instance, payload) };
}

/** What one instance posts to another, and what that answers. */
export async function post(
  [from, to]: readonly [MemoryInstance, MemoryInstance],
  registryId: RegistryId,
  ...statements: readonly Posted[]
) {
  const body = encodeMessage({
    format: 'registry/statements/v1',
    registryId,
    statements: [...statements],
  });
  const request = { operation: 'statements', registryId, body } as const;
  const answer = await to.answerPeer(from.certificate.certificatePem, request);
  if (answer.outcome === 'unreachable') throw new Error(answer.reason);
  return { status: answer.status, body: JSON.parse(Buffer.from(answer.body).toString()) };
}

/** What is claimed, with evidence for it. */
export interface Claim {
  readonly evidence: Evidence;
  readonly said: Pick<ConflictStatement, 'kind' | 'sequence' | 'accused'> & {
    readonly digests: readonly Digest[];
  };
}

/** The instance signs the claim, and keeps the evidence unless that is lost. */
export async function signClaim(
  finder: MemoryInstance,
  registryId: RegistryId,
  { said, evidence }: Claim,
  { kept = true, ...changes }: Partial<ConflictStatement> & { readonly kept?: boolean } = {},
): Promise<Compact> {
  const bytes = encodeEvidence(evidence);
  if (kept) await finder.blobs.putEvidence(digestOf(bytes), bytes);
  const statement = conflictOf({
    ...said,
    digests: [...said.digests],
    registryId,
    signer: finder.id,
    detectedAt: '2026-11-24T10:00:00.000Z',
    evidence: [digestOf(bytes)],
  });
  return finder.ports.signer.sign({ ...statement, ...changes });
}

/** The instance says that its own copy of that entry is not what it was. */
export function ownWord(
  finder: MemoryInstance,
  registryId: RegistryId,
  sequence: number,
  detail = 'edited',
): Claim {
  const evidence = tamperingEvidence(registryId, sequence, detail);
  const digests = [digestOf(encodeEvidence(evidence))];
  const place = { sequence: sequence as Sequence, accused: finder.id, digests };
  return { evidence, said: { kind: 'local-tampering', ...place } };
}

/** A checkpoint of entry 4, or whatever is said in its place. */
export function checkpointBy(
  { ports }: MemoryInstance,
  registryId: RegistryId,
  digest: Digest,
  changes: { readonly sequence?: number } = {},
): ForkChain {
  const { sequence = 4 } = changes;
  const checkpoint = checkpointOf({
    registryId,
    signer: ports.signer.certificateId,
    sequence: sequence as Sequence,
    digest,
    copy: 1,
    issuedAt: '2026-11-24T10:00:00.000Z',
  });
  return { checkpoint: ports.signer.sign(checkpoint), path: [] };
}

/** Two chains for entry 4: the one that the lead recorded, and whatever is given. */
export async function forkAt(
  lead: MemoryInstance,
  registryId: RegistryId,
  other: ForkChain,
  digest: Digest,
): Promise<Claim> {
  const held = await entryAt(lead, registryId, 4);
  const own: ForkChain = { checkpoint: held.checkpoint as Compact, path: [] };
  const evidence = forkEvidence(registryId, 4, [own, other]);
  const digests = [held.digest, digest];
  return { evidence, said: { kind: 'fork', sequence: 4 as Sequence, accused: lead.id, digests } };
}
