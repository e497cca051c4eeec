import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { payloadOf, readDecision } from '../ledger/jws.ts';
import { readRedaction, type SignedRedaction } from '../ledger/redaction.ts';
import { type Redaction, redactionSchema } from '../ledger/resolution.ts';
import type { JudgedCommit } from './judge-delivery.ts';
import { laterInvitation } from './newest-list.ts';
import type { Head, LedgerStore, Signer, StoredEntry } from './ports.ts';
import { redactCopies } from './redacted-copies.ts';
import { flawOfReason } from './resolve.ts';

/**
 * An operator takes the details of one entry out of this instance's copies: protocol section 4.
 *
 * 1. Read the operator's signature, and hold it against the entry.  Nothing is touched.
 * 2. Sign the same payload.
 * 3. Replace the details by both signatures in the present copy, in one write.  A crash before it
 *    leaves the details; a repetition after it is answered with what is there.
 * 4. The same in every other copy.  A crash before it leaves them there; a repetition goes on.
 */

export interface RedactPorts {
  readonly store: LedgerStore;
  readonly signer: Signer;
}

export type RedactOutcome =
  | { readonly outcome: 'redacted' | 'held'; readonly redaction: SignedRedaction }
  | Refused;

/** What the operator, who is the caller, decided, signed with their own key. */
export interface RedactionOrder {
  readonly operator: CertificateId;
  /** JWS compact over the redaction's payload. */
  readonly decision: string;
}

export async function redactDetails(
  { store, signer }: RedactPorts,
  { registryId, copy }: Pick<Head, 'registryId' | 'copy'>,
  stored: StoredEntry,
  { operator, decision }: RedactionOrder,
): Promise<RedactOutcome> {
  const { sequence } = stored;
  if (stored.details === undefined && stored.redaction === undefined)
    return refuse(
      'DETAILS_NOT_EXPECTED',
      `entry ${sequence} has no details that could be redacted`,
    );
  const decided = readDecision(decision, redactionSchema);
  if (decided.outcome === 'refused') return decided;
  const { statement } = decided;
  if (statement.decidedBy !== operator || statement.signer !== signer.certificateId)
    return refuse(
      'REDACTION_DIFFERS',
      `is decided by ${statement.decidedBy} for the instance ${statement.signer}; expected ` +
        `decidedBy ${operator}, who calls, and signer ${signer.certificateId}, this instance`,
    );
  const unfounded = flawOfReason(statement);
  if (unfounded !== undefined) return unfounded;
  const redaction = { statement: signer.sign(statement), decision: decided.compact };
  const read = readRedaction(redaction, { registryId, sequence });
  if (read.outcome === 'refused') return read;
  const outcome = await redactPresent(store, { registryId, copy }, stored, redaction);
  await redactCopies(store, registryId, stored, outcome.redaction);
  return outcome;
}

/** In the copy that counts; `held`: another redaction of the same entry came first. */
async function redactPresent(
  store: LedgerStore,
  { registryId, copy }: Pick<Head, 'registryId' | 'copy'>,
  stored: StoredEntry,
  redaction: SignedRedaction,
): Promise<Exclude<RedactOutcome, Refused>> {
  if (stored.redaction !== undefined) return { outcome: 'held', redaction: stored.redaction };
  const outcome = await store.redactDetails(registryId, copy, stored, redaction);
  if (outcome === 'redacted') return { outcome, redaction };
  const { sequence } = stored;
  const [now] = await store.entries(registryId, copy, { from: sequence, count: 1 });
  if (now?.redaction === undefined)
    throw new Error(
      `entry ${sequence} of registry ${registryId} has neither details nor redaction`,
    );
  return { outcome: 'held', redaction: now.redaction };
}

export interface Bringing {
  readonly registryId: RegistryId;
  readonly commits: readonly JudgedCommit[];
}

/**
 * Who redacted something in the delivery and is, as far as is known here, a peer of none of the
 * lists: anybody could have made up that key. An invitation brings all the lists. Undefined: nobody.
 */
export async function redactionByStranger(
  store: LedgerStore,
  head: Head | undefined,
  { registryId, commits }: Bringing,
): Promise<CertificateId | undefined> {
  const entries = commits.flatMap((commit) => commit.entries);
  // Both signatures were checked when the commits were judged.
  const signers = entries.flatMap(({ redaction }) =>
    redaction === undefined ? [] : [(payloadOf(redaction.statement) as Redaction).signer],
  );
  if (signers.length === 0) return undefined;
  const peers = await peersKnown(store, head, { registryId, commits });
  return signers.find((signer) => !peers.has(signer));
}

/** Peers of every list that is known here, or that the delivery brings. */
export async function peersKnown(
  store: LedgerStore,
  head: Head | undefined,
  { registryId, commits }: Bringing,
): Promise<Set<CertificateId>> {
  const invitation =
    head === undefined ? await store.invitation(registryId) : await laterInvitation(store, head);
  const peers = new Set([...(head?.everPeers ?? []), ...(invitation?.everPeers ?? [])]);
  for (const { transaction } of commits.flatMap(({ entries }) => entries))
    if ('peers' in transaction.transaction)
      for (const peer of transaction.transaction.peers) peers.add(peer);
  return peers;
}
