import { type Checkpoint, checkpointSchema } from '../ledger/checkpoint.ts';
import { type CheckpointedConfirmation, readConfirmation } from '../ledger/confirmation.ts';
import type { Digest, RegistryId } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { readStatement } from '../ledger/jws.ts';
import { isBetween } from '../ledger/known-beside.ts';
import { conclude } from './conclude.ts';
import { commitHolding, peersAround } from './configuration-at.ts';
import { forkEvidence, ownChain } from './gather-evidence.ts';
import { allReports, allResolutions, allSetAsides } from './kept-statements.ts';
import { knownHere } from './known-here.ts';
import { flawOfOwnCopy } from './own-copy.ts';
import type { Head, LedgerStore, StoredEntry } from './ports.ts';
import {
  type ConflictPorts,
  type Disagreement,
  ownTampering,
  reportConflict,
  reportRollback,
} from './report-conflict.ts';

/**
 * Every peer keeps every confirmation: protocol section 6.
 *
 * 1. Read both signatures: the mirror's and the lead's checkpoint of the same head.
 * 2. What runs ahead of the own head is sent back for later; if this instance itself signed the
 *    checkpoint there, it was restored to an older state, and stops.
 * 3. Hold the signers against the lists in force there, and the digest against the own copy. What
 *    the lead signed differently opens a conflict; the statement is its evidence.
 * 4. Store it once.  A crash before it: it comes again.
 * 5. Close what a replay has resolved by it.  A crash before it: the sweep does it.
 */

export type ReceivedConfirmation =
  | 'held'
  | 'new'
  | Refused
  | { readonly outcome: 'ahead'; readonly head: number }
  | { readonly outcome: 'in-conflict'; readonly conflicts: readonly Digest[] }
  | { readonly outcome: 'unknown-registry' };

/** One confirmation with its checkpoint, as a mirror sent it or answered it. */
export async function receiveConfirmation(
  ports: ConflictPorts,
  registryId: RegistryId,
  [statement, checkpoint]: readonly [string, string | undefined],
): Promise<ReceivedConfirmation> {
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
  if (own?.digest !== read.confirmation.statement.digest) {
    if (await isSetAside(store, head, commit, read)) return 'held';
    return dispute(ports, head, own, read);
  }
  const kept = await keep(ports, registryId, read);
  if (head.openConflicts.length > 0) await conclude(ports, registryId);
  return kept;
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

/**
 * What its signer has set aside since: that copy is evidence, and nobody's word any more. Only where
 * it lost a fork that people resolved, and no further than they saw: in any other copy, and beyond,
 * the lead signed the same as everywhere. Unless it took back since, and so went on with others.
 */
async function isSetAside(
  store: LedgerStore,
  head: Head,
  commit: readonly StoredEntry[],
  { confirmation, checkpoint }: CheckpointedConfirmation,
): Promise<boolean> {
  const { registryId, signer, sequence, copy } = confirmation.statement;
  const setAsides = (await allSetAsides(store, registryId)).filter(
    (each) => each.signer === signer && each.copy > copy && each.from <= sequence,
  );
  if (setAsides.length === 0) return false;
  const reports = await allReports(store, registryId);
  const forks = reports.filter(({ said }) => said.kind === 'fork' && said.sequence <= sequence);
  const known = await allResolutions(store, registryId);
  const before = await isBeforeTakeBack(store, head, commit, checkpoint.statement);
  return setAsides.some(({ conflicts }) =>
    known.some(
      ({ resolution: { manner, through, conflicts: resolved } }) =>
        manner === 'replay' &&
        (before || sequence <= through.sequence) &&
        forks.some(({ conflictId: id }) => conflicts.includes(id) && resolved.includes(id)),
    ),
  );
}

/** Whether the lead signed it in an older copy than the own commit, and took back between them. */
async function isBeforeTakeBack(
  store: LedgerStore,
  head: Head,
  commit: readonly StoredEntry[],
  { signer, copy }: Checkpoint,
): Promise<boolean> {
  const own = readStatement(commit.at(-1)?.checkpoint ?? '', checkpointSchema);
  if (own.outcome === 'refused' || own.statement.copy <= copy) return false;
  const copies = [copy, own.statement.copy] as const;
  const { takeBacks } = await knownHere(store, head);
  return takeBacks.some((each) => isBetween(each, signer, copies));
}

/** The lead signed another digest for this place than the one that is held: a fork, or worse. */
async function dispute(
  ports: ConflictPorts,
  head: Head,
  own: StoredEntry | undefined,
  { confirmation, checkpoint }: CheckpointedConfirmation,
): Promise<ReceivedConfirmation> {
  const { registryId } = head;
  const { sequence, digest, signer } = confirmation.statement;
  const held = own?.digest ?? head.digest;
  const flaw = await flawOfOwnCopy(ports.store, head, sequence);
  const chain = flaw === undefined ? await ownChain(ports, head, sequence) : undefined;
  const told = { checkpoint: checkpoint.compact, path: [], confirmation: confirmation.compact };
  const disagreement: Disagreement =
    chain === undefined
      ? ownTampering(ports, registryId, sequence, flaw ?? `entry ${sequence} has no checkpoint`)
      : {
          kind: 'fork',
          accused: checkpoint.statement.signer,
          sequence,
          digests: [held, digest],
          evidence: forkEvidence(registryId, sequence, [chain, told]),
          detail: `entry ${sequence} is held with ${held}, ${signer} confirms ${digest}`,
        };
  const conflictId = await reportConflict(ports, registryId, disagreement);
  const now = await ports.store.head(registryId);
  // What people have decided on stays decided, whoever repeats it.
  if (now?.openConflicts.includes(conflictId) !== true) return 'held';
  return { outcome: 'in-conflict', conflicts: [conflictId] };
}

async function keep(
  { store, clock, alarms }: ConflictPorts,
  registryId: RegistryId,
  { confirmation, checkpoint }: CheckpointedConfirmation,
): Promise<ReceivedConfirmation> {
  const { signer, sequence, digest, copy, confirmedAt } = confirmation.statement;
  const kept = {
    signer,
    sequence,
    digest,
    copy,
    confirmedAt,
    statement: confirmation.compact,
    checkpoint: checkpoint.compact,
    receivedAt: new Date(clock.now()).toISOString(),
  };
  const outcome = await store.putConfirmation(registryId, kept, 'received');
  if (outcome === 'stored') {
    alarms.count({ Confirmations: 1 }, { registryId, peer: signer });
    return 'new';
  }
  if (outcome !== 'contradicts') return 'held';
  return refuse(
    'CHECKPOINT_DIFFERS',
    `${signer} has confirmed another digest for entry ${sequence} before`,
  );
}
