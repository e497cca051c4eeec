import { type Digest, digestOfStream, type RegistryId } from '../ledger/digest.ts';
import type { BlobStore, Head, LedgerStore } from './ports.ts';
import { tried } from './resolve.ts';

/**
 * Which object of the bucket counts as a document's bytes. The first one does, unless it was found
 * to be something else in a copy that was set aside: it stays, as evidence, and the next one takes
 * its place (protocol section 7).
 */

/** A recorded version's bytes. */
export interface Content {
  readonly contentDigest: Digest;
  readonly size: number;
}

/** The object that counts for this registry. */
export function generationOf(
  head: Pick<Head, 'contents'> | undefined,
  contentDigest: Digest,
): number {
  return head?.contents?.[contentDigest] ?? 1;
}

/** Whether the bytes are in the bucket, as far as the store says without reading them. */
export async function isHeld(
  blobs: BlobStore,
  head: Pick<Head, 'contents'> | undefined,
  { contentDigest, size }: Content,
): Promise<boolean> {
  return (await blobs.sizeOf(contentDigest, generationOf(head, contentDigest))) === size;
}

/** The same, by reading them: nothing is believed in a copy that replaces a wrong one. */
export async function isSound(
  blobs: BlobStore,
  head: Head,
  { contentDigest, size }: Content,
): Promise<boolean> {
  const bytes = await blobs.get(contentDigest, generationOf(head, contentDigest));
  if (bytes === undefined) return false;
  const found = await digestOfStream(bytes);
  return found.digest === contentDigest && found.size === size;
}

const ATTEMPTS_MAX = 8;

/**
 * Leaves the object that was found wrong as it is, and lets the next one count, unless somebody has
 * done so before. The head then.
 */
export async function setContentAside(
  store: LedgerStore,
  registryId: RegistryId,
  { contentDigest, wrong }: { readonly contentDigest: Digest; readonly wrong: number },
): Promise<Head> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const head = await store.head(registryId);
    if (head === undefined) throw new Error(`the registry ${registryId} is not here`);
    if (generationOf(head, contentDigest) > wrong) return head;
    const next: Head = {
      ...head,
      conflictsVersion: head.conflictsVersion + 1,
      contents: { ...head.contents, [contentDigest]: wrong + 1 },
    };
    const settlement = { registryId, expected: head, head: next, origin: 'received' } as const;
    if ((await tried(() => store.settle(settlement))) === 'settled') return next;
  }
  throw new Error(`the head of registry ${registryId} keeps moving: try again`);
}
