import { type CertificateId, digestOfStream } from '../ledger/digest.ts';
import { supersededKey } from '../ledger/state.ts';
import type { UploadDocument } from '../ledger/transaction.ts';
import { type Findings, findingAt } from './audit-finding.ts';
import { type AuditFlaw, bytesMissing, flawOfBytes } from './audit-flaws.ts';
import type { AuditPlan } from './audit-progress.ts';
import { isIn, readKeptResolutions, replacedThrough } from './audit-superseded.ts';
import { generationOf } from './held-content.ts';
import type { BlobStore, Clock, Head, LedgerStore, Signer } from './ports.ts';
import type { SoundEntry } from './sound-entries.ts';

/** The documents of audited entries: their sizes in every pass, their bytes within the period. */

/** What of a run is used up. */
export class AuditBudget {
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  #bytesMax: number;
  #documents = 0;
  #bytes = 0;

  constructor(clock: Clock, { bytesMax, deadlineMs }: Pick<AuditPlan, 'bytesMax' | 'deadlineMs'>) {
    this.#clock = clock;
    this.#bytesMax = bytesMax;
    this.#deadlineMs = deadlineMs;
  }

  /** A budget of its own, over half of what is left here of bytes and of time. */
  half(): AuditBudget {
    const now = this.#clock.now();
    const bytesMax = Math.max(0, this.#bytesMax - this.#bytes) / 2;
    const deadlineMs = now + (this.#deadlineMs - now) / 2;
    return new AuditBudget(this.#clock, { bytesMax, deadlineMs });
  }

  /** What the half has used is not there any more; more than half it never takes. */
  charge(half: AuditBudget): void {
    this.#bytesMax -= Math.min(half.#bytes, half.#bytesMax);
  }

  /** Documents whose bytes were read. */
  get documents(): number {
    return this.#documents;
  }

  /** Of those documents. */
  get bytes(): number {
    return this.#bytes;
  }

  get isOver(): boolean {
    return this.#clock.now() >= this.#deadlineMs;
  }

  /** One document fits always: otherwise a large one would never be read. */
  fits(size: number): boolean {
    if (this.isOver) return false;
    return this.#documents === 0 || this.#bytes + size <= this.#bytesMax;
  }

  spend(bytes: number): void {
    this.#documents += 1;
    this.#bytes += bytes;
  }
}

/** Which documents this instance must hold: what it recorded as lead, and what it once held. */
export interface Holding {
  readonly store: LedgerStore;
  readonly head: Head;
  readonly self: readonly CertificateId[];
  /** Everything through this entry was fetched. */
  readonly through: number;
}

/** What this instance has verified of its present copy, or confirmed with its signature. */
export async function readHolding(
  { store, signer }: { readonly store: LedgerStore; readonly signer: Signer },
  head: Head,
): Promise<Holding> {
  const { registryId, copy } = head;
  const self = signer.knownIds;
  const progress = await store.progress(registryId);
  const newest = await Promise.all(self.map((id) => store.newestConfirmation(registryId, id)));
  const confirmed = newest.map((each) => (each?.copy === copy ? each.sequence : 0));
  return { store, head, self, through: Math.max(progress?.verifiedThrough ?? 0, ...confirmed) };
}

/** Asked for together. */
const SIZES_AT_A_TIME = 8;

/** Whether the documents of the entries are there, with their sizes. */
export async function auditSizes(
  blobs: BlobStore,
  holding: Holding,
  entries: readonly SoundEntry[],
  findings: Findings,
): Promise<void> {
  const uploads = entries.filter((entry) => uploadIn(entry) !== undefined);
  for (let start = 0; start < uploads.length; start += SIZES_AT_A_TIME)
    await Promise.all(
      uploads.slice(start, start + SIZES_AT_A_TIME).map(async (entry) => {
        const upload = uploadIn(entry) as UploadDocument;
        const { contentDigest } = upload;
        const size = await blobs.sizeOf(contentDigest, generationOf(holding.head, contentDigest));
        const flaw = size === undefined ? missingIn(holding, entry) : flawOfBytes(upload, { size });
        await put(findings, [holding, entry], flaw);
      }),
    );
}

/**
 * Reads the documents' bytes again as far as the budget goes. The sequence of the first entry whose
 * document was not read, or undefined: all were.
 */
export async function auditBytes(
  blobs: BlobStore,
  [holding, budget]: readonly [Holding, AuditBudget],
  entries: readonly SoundEntry[],
  findings: Findings,
): Promise<number | undefined> {
  for (const entry of entries) {
    const upload = uploadIn(entry);
    if (upload === undefined) continue;
    if (!budget.fits(upload.size)) return entry.stored.sequence;
    const { contentDigest } = upload;
    const bytes = await blobs.get(contentDigest, generationOf(holding.head, contentDigest));
    if (bytes === undefined) {
      await put(findings, [holding, entry], missingIn(holding, entry));
      continue;
    }
    const read = { isCut: false };
    const found = await digestOfStream(until(() => budget.isOver, bytes, read));
    if (read.isCut) return entry.stored.sequence;
    budget.spend(found.size);
    await put(findings, [holding, entry], flawOfBytes(upload, found));
  }
  return undefined;
}

/** Ends early when the time is over. */
async function* until(
  isOver: () => boolean,
  bytes: AsyncIterable<Uint8Array>,
  read: { isCut: boolean },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    read.isCut = isOver();
    if (read.isCut) return;
    yield chunk;
  }
}

/** What was not fetched yet, or is to be fetched again in place of wrong bytes, is not missing. */
function missingIn({ head, self, through }: Holding, entry: SoundEntry): AuditFlaw | undefined {
  const { lead, sequence } = entry.read.entry;
  const upload = uploadIn(entry);
  if (upload === undefined) return undefined;
  const isFirst = head.copy === 1 && generationOf(head, upload.contentDigest) === 1;
  const recorded = self.includes(lead) && isFirst;
  return recorded || sequence <= through ? bytesMissing(upload) : undefined;
}

async function put(
  findings: Findings,
  [holding, entry]: readonly [Holding, SoundEntry],
  flaw: AuditFlaw | undefined,
): Promise<void> {
  if (flaw === undefined || (await isReplaced(holding, entry))) return;
  findings.add(findingAt(entry.stored.sequence, flaw, flaw.digests));
}

/** The bytes of a version that people replaced, or are about to, are required of nobody. */
async function isReplaced({ store, head }: Holding, { stored }: SoundEntry): Promise<boolean> {
  const { registryId, decided = [] } = head;
  const mark = supersededKey(stored.sequence);
  const { items } = await store.read(registryId, [mark]);
  if (items.has(mark)) return true;
  if (decided.length === 0) return false;
  const kept = await readKeptResolutions(store, head);
  return replacedThrough(kept, decided).some(({ replaced }) => isIn(replaced, stored));
}

function uploadIn({ transaction: { transaction } }: SoundEntry): UploadDocument | undefined {
  return transaction.type === 'upload-document' ? transaction : undefined;
}
