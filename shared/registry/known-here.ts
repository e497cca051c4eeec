import { checkpointSchema } from '../ledger/checkpoint.ts';
import { readStatement } from '../ledger/jws.ts';
import type { KnownBeside, KnownTakeBack } from '../ledger/known-beside.ts';
import { NAMED_KEY, namedAt } from '../ledger/superseding.ts';
import { replacedBy } from './carrying.ts';
import { commitHolding } from './configuration-at.ts';
import { allResolutions, type KnownResolution } from './kept-statements.ts';
import type { Head, LedgerStore } from './ports.ts';

/** What the own copy knows that evidence about this registry may rest on: protocol section 7. */
export async function knownHere(store: LedgerStore, head: Head): Promise<KnownBeside> {
  const known = await allResolutions(store, head.registryId);
  return {
    // What people replaced shows nothing of the state.
    voided: known.flatMap(({ resolution }) => replacedBy(resolution)),
    takeBacks: await takeBacksHere(store, head, known),
    everPeers: new Set(head.everPeers),
  };
}

/** Each with the copy of the commit that names it: the first of the copy that it began. */
async function takeBacksHere(
  store: LedgerStore,
  head: Head,
  known: readonly KnownResolution[],
): Promise<KnownTakeBack[]> {
  const takeBacks = known.filter(({ resolution }) => resolution.manner === 'take-back');
  if (takeBacks.length === 0) return [];
  const { items } = await store.read(head.registryId, [NAMED_KEY]);
  const found: KnownTakeBack[] = [];
  for (const { digest, resolution } of takeBacks) {
    const { signer } = resolution;
    const sequence = namedAt((key) => items.get(key), digest);
    const copy = sequence === undefined ? undefined : await copyAt(store, head, sequence);
    found.push(copy === undefined ? { signer } : { signer, copy });
  }
  return found;
}

/** The lead's copy in which that entry was appended, by its checkpoint. */
async function copyAt(
  store: LedgerStore,
  head: Head,
  sequence: number,
): Promise<number | undefined> {
  const commit = await commitHolding(store, head, sequence);
  const read = readStatement(commit.at(-1)?.checkpoint ?? '', checkpointSchema);
  return read.outcome === 'read' ? read.statement.copy : undefined;
}
