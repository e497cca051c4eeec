import type { Digest } from '../ledger/digest.ts';
import { commitHolding, peersAround } from './configuration-at.ts';
import type { KnownResolution } from './kept-statements.ts';
import type { Head, LedgerStore, Signer } from './ports.ts';

/**
 * Whether what accuses a lead was decided on without ever having been shown here, where it should
 * have been: a claim whose evidence showed nothing stops nobody, so a decision about it acquits nobody
 * of what is shown later. Who was no peer when it was decided goes by those who were.
 */
export async function isNeverOpened(
  { store, signer }: { readonly store: LedgerStore; readonly signer: Pick<Signer, 'knownIds'> },
  head: Head,
  conflictId: Digest,
  resolutions: readonly Pick<KnownResolution, 'resolution'>[],
): Promise<boolean> {
  const opened = await store.conflicts(head.registryId);
  if (opened.some((each) => each.conflictId === conflictId)) return false;
  for (const { resolution } of resolutions)
    if (await wasPeerAt({ store, signer }, head, resolution.through.sequence)) return true;
  return false;
}

async function wasPeerAt(
  { store, signer }: Parameters<typeof isNeverOpened>[0],
  head: Head,
  sequence: number,
): Promise<boolean> {
  const peers =
    sequence > head.sequence
      ? new Set(head.configuration.peers)
      : await peersAround(store, head, await commitHolding(store, head, sequence));
  return signer.knownIds.some((id) => peers.has(id));
}
