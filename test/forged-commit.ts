import { encodeCanonical } from '../shared/ledger/canonical.ts';
import { type ChainHead, extendHead, nextEntry } from '../shared/ledger/chain.ts';
import { checkpointOf } from '../shared/ledger/checkpoint.ts';
import { digestOf, type RegistryId, type Sequence } from '../shared/ledger/digest.ts';
import type { EntryParts, ReadEntry } from '../shared/ledger/entry.ts';
import type { CarriedCommit, CarriedEntry, Delivery } from '../shared/registry/messages.ts';
import type { Signer } from '../shared/registry/ports.ts';
import { readTestTransaction, type TestTransaction } from './builders.ts';

/** What a dishonest lead may sign: whatever it likes, with its own key. */

export interface Forged {
  readonly commit: CarriedCommit;
  /** The chain after it. */
  readonly chain: ChainHead;
}

type Parts = { -readonly [Name in keyof EntryParts]?: EntryParts[Name] | undefined };

/** A commit on top of the chain, no rule asked; `changes` replaces members of its last entry. */
export function forgeCommit(
  signer: Signer,
  before: ChainHead | undefined,
  transactions: readonly TestTransaction[],
  changes: Parts = {},
): Forged {
  let chain = before;
  const entries: CarriedEntry[] = [];
  for (const [index, test] of transactions.entries()) {
    const { transaction, digest } = readTestTransaction(test);
    const now = '2026-11-22T10:00:00.000Z';
    const right = nextEntry(chain, { transaction, transactionDigest: digest, resolves: [] }, now);
    const read = index === transactions.length - 1 ? changed(right, changes) : right;
    entries.push({
      entry: Buffer.from(read.bytes).toString(),
      transaction: test.transaction.toString(),
      ...(test.details === undefined ? {} : { details: test.details.toString() }),
    });
    chain = extendHead(chain, read, transaction);
  }
  if (chain === undefined) throw new Error('a commit holds at least one transaction');
  // The place that the commit claims, whatever its last entry says of itself.
  const registryId = before?.registryId ?? chain.registryId;
  const sequence = ((before?.sequence ?? 0) + transactions.length) as Sequence;
  const { digest } = chain;
  const checkpoint = signer.sign(
    checkpointOf({
      registryId,
      sequence,
      digest,
      signer: signer.certificateId,
      copy: 1,
      issuedAt: '2026-11-22T10:00:00.000Z',
    }),
  );
  return { commit: { checkpoint, entries }, chain };
}

function changed(right: ReadEntry, changes: Parts): ReadEntry {
  const members = Object.entries({ ...right.entry, ...changes });
  const entry = Object.fromEntries(members.filter(([, value]) => value !== undefined));
  const bytes = encodeCanonical(entry);
  return { ...right, entry: entry as ReadEntry['entry'], bytes, digest: digestOf(bytes) };
}

/** A delivery of these commits. */
export function deliveryOf(registryId: RegistryId, ...commits: readonly CarriedCommit[]): Delivery {
  return { format: 'registry/delivery/v1', registryId, commits: [...commits] };
}
