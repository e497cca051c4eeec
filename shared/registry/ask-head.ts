import { type HeadStatement, headSchema } from '../ledger/checkpoint.ts';
import type { CertificateId } from '../ledger/digest.ts';
import { type ReadStatement, readStatement } from '../ledger/jws.ts';
import { readMessage, schemas } from './messages.ts';
import type { PeerAnswer, PeerTransport } from './peer-transport.ts';
import type { Head, Random } from './ports.ts';

/** Asking a peer what it holds: it answers with its head, signed over the asker's own nonce. */

export type HeadAnswer =
  | { readonly outcome: 'stated'; readonly head: ReadStatement<HeadStatement> }
  /** It does not have this registry. */
  | { readonly outcome: 'unknown-registry' }
  /** It knows no list with the asker in it. */
  | { readonly outcome: 'not-in-swarm' }
  | Extract<PeerAnswer, { outcome: 'unreachable' }>
  /** Any other answer than a head. */
  | { readonly outcome: 'refused'; readonly answer: Extract<PeerAnswer, { outcome: 'answered' }> }
  /** What it answered is not its own signed answer to this question. */
  | { readonly outcome: 'malformed'; readonly reason: string };

export async function askHead(
  { transport, random }: { readonly transport: PeerTransport; readonly random: Random },
  { registryId }: Pick<Head, 'registryId'>,
  peer: CertificateId,
): Promise<HeadAnswer> {
  const nonce = random.hex(16);
  const answer = await transport.call(peer, { operation: 'head', registryId, subject: nonce });
  if (answer.outcome === 'unreachable') return answer;
  const problem = readMessage(schemas.problem, answer.body);
  if (problem.outcome === 'valid' && problem.value.code === 'PEER_NOT_IN_SWARM')
    return { outcome: 'not-in-swarm' };
  if (answer.status === 404) return { outcome: 'unknown-registry' };
  if (answer.status !== 200) return { outcome: 'refused', answer };
  const message = readMessage(schemas.headAnswer, answer.body);
  if (message.outcome === 'refused') return { outcome: 'malformed', reason: message.detail };
  const read = readStatement(message.value.head, headSchema);
  if (read.outcome === 'refused') return { outcome: 'malformed', reason: read.detail };
  const { statement } = read;
  if (statement.signer === peer && statement.registryId === registryId && statement.nonce === nonce)
    return { outcome: 'stated', head: read };
  return {
    outcome: 'malformed',
    reason: 'the head it stated is not its own answer to this question',
  };
}
