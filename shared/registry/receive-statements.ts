import { type CheckpointedConfirmation, readConfirmation } from '../ledger/confirmation.ts';
import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { commitHolding, peersAround } from './configuration-at.ts';
import type { Statements } from './messages.ts';
import { flawOfOwnCopy } from './own-copy.ts';
import type { Head, LedgerStore, StoredEntry } from './ports.ts';
import { type ConflictPorts, reportConflict, reportRollback } from './report-conflict.ts';

/**
 * Every peer keeps every confirmation: protocol section 6.
 *
 * 1. Read both signatures: the mirror's and the lead's checkpoint of the same head.
 * 2. What runs ahead of the own head is sent back for later; if this instance itself signed the
 *    checkpoint there, it was restored to an older state, and stops.
 * 3. Hold the signers against the lists in force there, and the digest against the own copy. What
 *    the lead signed differently opens a conflict; the statement is its evidence.
 * 4. Store it once.  A crash before it: it comes again.
 */

export type StatementsOutcome =
  | { readonly outcome: 'taken'; readonly count: number }
  /** The first `count` are taken; the next is about an entry that is not here yet. */
  | { readonly outcome: 'ahead'; readonly count: number; readonly head: number }
  | { readonly outcome: 'refused'; readonly count: number; readonly refused: Refused }
  | { readonly outcome: 'in-conflict'; readonly conflicts: readonly Digest[] }
  | { readonly outcome: 'unknown-registry' };

export async function receiveStatements(
  ports: ConflictPorts,
  caller: CertificateId,
  message: Statements,
): Promise<StatementsOutcome> {
  let count = 0;
  for (const { statement, checkpoint } of message.statements) {
    const outcome = await receiveOne(ports, message.registryId, [statement, checkpoint]);
    if (outcome === 'held') {
      count += 1;
      continue;
    }
    if (outcome.outcome === 'refused') {
      const { code, detail } = outcome;
      const { registryId } = message;
      ports.alarms.raise('StatementsRefused', { registryId, peer: caller, code, detail });
      return { outcome: 'refused', count, refused: outcome };
    }
    return outcome.outcome === 'ahead' ? { ...outcome, count } : outcome;
  }
  return { outcome: 'taken', count };
}

type OneOutcome =
  | 'held'
  | Refused
  | { readonly outcome: 'ahead'; readonly head: number }
  | { readonly outcome: 'in-conflict'; readonly conflicts: readonly Digest[] }
  | { readonly outcome: 'unknown-registry' };

/** One confirmation with its checkpoint, as a mirror sent it or answered it. */
export async function receiveOne(
  ports: ConflictPorts,
  registryId: RegistryId,
  [statement, checkpoint]: readonly [string, string | undefined],
): Promise<OneOutcome> {
  if (checkpoint === undefined)
    return refuse('CHECKPOINT_MISSING', 'a confirmation travels with the checkpoint it confirms');
  const read = readConfirmation(registryId, statement, checkpoint);
  if (read.outcome === 'refused') return read;
  const { store } = ports;
  const head = await store.head(registryId);
  if (head === undefined) return { outcome: 'unknown-registry' };
  const { sequence } = read.confirmation.statement;
  if (sequence > head.sequence) {
    const rolledBack = await reportRollback(ports, head, read.checkpoint);
    if (rolledBack !== undefined) return { outcome: 'in-conflict', conflicts: [rolledBack] };
    return { outcome: 'ahead', head: head.sequence };
  }
  const commit = await commitHolding(store, head, sequence);
  const foreign = await signerFlaw(store, head, commit, read);
  if (foreign !== undefined) return foreign;
  const own = commit.find((stored) => stored.sequence === sequence);
  if (own?.digest !== read.confirmation.statement.digest) return dispute(ports, head, own, read);
  return keep(ports, registryId, read);
}

async function signerFlaw(
  store: LedgerStore,
  head: Head,
  commit: readonly StoredEntry[],
  { confirmation, checkpoint }: CheckpointedConfirmation,
): Promise<Refused | undefined> {
  const { sequence, signer } = confirmation.statement;
  const own = commit.find((stored) => stored.sequence === sequence);
  const entry = own === undefined ? undefined : readEntry(own.entry);
  const lead = entry?.outcome === 'read' ? entry.entry.lead : undefined;
  if (checkpoint.statement.signer !== lead)
    return refuse(
      'LEAD_DIFFERS',
      `the checkpoint is signed by ${checkpoint.statement.signer}; at entry ${sequence} leads ${lead}`,
    );
  if ((await peersAround(store, head, commit)).has(signer)) return undefined;
  return refuse('SIGNER_NO_PEER', `${signer} was no peer at entry ${sequence}`);
}

/** The lead signed another digest for this place than the one that is held: a fork, or worse. */
async function dispute(
  ports: ConflictPorts,
  head: Head,
  own: StoredEntry | undefined,
  { confirmation, checkpoint }: CheckpointedConfirmation,
): Promise<OneOutcome> {
  const { sequence, digest } = confirmation.statement;
  const flaw = await flawOfOwnCopy(ports.store, head, sequence);
  const held = own?.digest ?? head.digest;
  const detail = `entry ${sequence} is held with ${held}, ${confirmation.statement.signer} confirms ${digest}`;
  const conflictId = await reportConflict(ports, head.registryId, {
    ...(flaw === undefined
      ? { kind: 'fork', accused: checkpoint.statement.signer, detail }
      : { kind: 'local-tampering', accused: ports.signer.certificateId, detail: flaw }),
    sequence,
    digests: [held, digest],
    evidence: Buffer.from(
      JSON.stringify({
        confirmation: confirmation.compact,
        checkpoint: checkpoint.compact,
        ownCheckpoint: own?.checkpoint ?? head.checkpoint,
      }),
    ),
  });
  return { outcome: 'in-conflict', conflicts: [conflictId] };
}

async function keep(
  { store, clock }: ConflictPorts,
  registryId: RegistryId,
  { confirmation, checkpoint }: CheckpointedConfirmation,
): Promise<OneOutcome> {
  const { signer, sequence, digest, confirmedAt } = confirmation.statement;
  const kept = {
    signer,
    sequence,
    digest,
    confirmedAt,
    statement: confirmation.compact,
    checkpoint: checkpoint.compact,
    receivedAt: new Date(clock.now()).toISOString(),
  };
  const outcome = await store.putConfirmation(registryId, kept, 'received');
  if (outcome !== 'contradicts') return 'held';
  return refuse(
    'CHECKPOINT_DIFFERS',
    `${signer} has confirmed another digest for entry ${sequence} before`,
  );
}
