import type { Checkpoint } from '../ledger/checkpoint.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import { type Compact, payloadOf } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import type { Head } from './ports.ts';
import type { ReadPorts } from './read.ts';
import type { Page } from './read-page.ts';

/** A lead's signed statement of a head, with what it says. */
export interface CheckpointSummary {
  readonly sequence: number;
  readonly digest: Digest;
  /** By the lead's clock. */
  readonly issuedAt: string;
  readonly signer: CertificateId;
  readonly statement: Compact;
}

export interface CheckpointsPage {
  /** In the order of their entries. May be shorter than asked for: 100 entries are read for it. */
  readonly checkpoints: readonly CheckpointSummary[];
  /** The last entry that was looked at. */
  readonly next?: number;
}

/** The stored checkpoints of a registry: one with the last entry of each commit. */
export async function listCheckpoints(
  { store }: Pick<ReadPorts, 'store'>,
  { registryId, copy, sequence: newest }: Head,
  { after = 0, count }: Page<number>,
): Promise<CheckpointsPage> {
  const range = { from: after + 1, count: Math.min(limits.pageMax, newest - after) };
  const entries = range.count < 1 ? [] : await store.entries(registryId, copy, range);
  const found = entries.filter(({ checkpoint }) => checkpoint !== undefined);
  const page = found.slice(0, count);
  const last = found.length > count ? page.at(-1)?.sequence : entries.at(-1)?.sequence;
  return {
    checkpoints: page.flatMap(({ checkpoint }) => checkpoint ?? []).map(summaryOf),
    ...(last !== undefined && last < newest ? { next: last } : {}),
  };
}

/** The statement was verified before it was stored. */
function summaryOf(statement: Compact): CheckpointSummary {
  const { sequence, digest, issuedAt, signer } = payloadOf(statement) as Checkpoint;
  return { sequence, digest, issuedAt, signer, statement };
}
