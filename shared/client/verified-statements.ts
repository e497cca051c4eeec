/** Who confirmed which entry, and which heads leads have signed: rows held against receipts. */
import { checkpointSchema } from '../ledger/checkpoint.ts';
import type { CertificateId, Digest, Sequence } from '../ledger/digest.ts';
import { type Compact, readStatement } from '../ledger/jws.ts';
import type { ReceiptConfirmation, ReceiptStatus } from '../ledger/verify-receipt.ts';
import type { CheckpointRow, ConfirmationRow } from './answers.ts';
import type { CallOptions } from './calls.ts';
import { notProven } from './problem.ts';
import type { Receipts } from './receipts.ts';

/** Who has confirmed one entry, by signatures that were verified here. */
export interface EntryConfirmations {
  readonly sequence: Sequence;
  readonly digest: Digest;
  /** As far as the receipt proves it: more may have been confirmed since. */
  readonly status: ReceiptStatus;
  /** In force at the entry: the first is its lead, which does not confirm. */
  readonly peers: readonly CertificateId[];
  /** Of mirrors of that list, in its order; whoever is not here has not confirmed. */
  readonly confirmations: readonly ReceiptConfirmation[];
}

/** The row, from a receipt that shows at least the confirmations that the row counts. */
export async function provenConfirmations(
  receipts: Receipts,
  registryId: string,
  row: ConfirmationRow,
  options?: CallOptions,
): Promise<EntryConfirmations> {
  // Confirmations are what a receipt gains: one that was kept may lack them.
  const { receipt } = await receipts.fetch(registryId, row.sequence, options);
  const { sequence, digest, status, configuration, confirmations } = receipt;
  if (row.digest !== digest)
    throw notProven(`the answer names entry ${sequence} as ${row.digest}; it is ${digest}`);
  const shown = new Set(confirmations.map(({ peer }) => peer));
  const claimed = row.cells.find(
    ({ peer, counts, confirmed }) => counts && confirmed !== undefined && !shown.has(peer),
  );
  // What came after a conflict was opened is known, but does not count until it is resolved.
  if (claimed !== undefined && row.status.status !== 'in-conflict')
    throw notProven(`the answer says that ${claimed.peer} has confirmed entry ${sequence}`);
  return { sequence, digest, status, peers: configuration.peers, confirmations };
}

/** A head that its lead has signed. */
export interface VerifiedCheckpoint {
  readonly sequence: Sequence;
  readonly digest: Digest;
  /** By the lead's clock. */
  readonly issuedAt: string;
  readonly lead: CertificateId;
  readonly statement: Compact;
}

/** The checkpoint, signed by the lead that the entry's receipt proves. */
export async function provenCheckpoint(
  receipts: Receipts,
  registryId: string,
  row: CheckpointRow,
  options?: CallOptions,
): Promise<VerifiedCheckpoint> {
  const read = readStatement(row.statement, checkpointSchema);
  if (read.outcome === 'refused')
    throw notProven(`a checkpoint is refused (${read.code}): ${read.detail}`);
  const { sequence, digest, issuedAt, signer, registryId: about } = read.statement;
  const said = { sequence, digest, issuedAt, signer };
  for (const fact of ['sequence', 'digest', 'issuedAt', 'signer'] as const)
    if (row[fact] !== said[fact])
      throw notProven(`the answer says ${fact}: ${row[fact]}, the checkpoint ${said[fact]}`);
  if (about !== registryId) throw notProven(`the checkpoint is about the registry ${about}`);
  const lead = await receipts.proven(
    { registryId, sequence, digest },
    ({ receipt }) => receipt.lead,
    options,
  );
  if (lead !== signer) throw notProven(`${signer} signed a checkpoint where ${lead} leads`);
  return { sequence, digest, issuedAt, lead, statement: read.compact };
}
