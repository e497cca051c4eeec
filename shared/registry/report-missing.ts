import { readTransaction, type UploadDocument } from '../ledger/transaction.ts';
import { type AskedSource, allDiffer } from './fetch-content.ts';
import { textOf } from './messages.ts';
import type { Head, Progress, StoredEntry } from './ports.ts';
import { type ConflictPorts, reportConflict } from './report-conflict.ts';

/** Document bytes that a mirror cannot get: protocol section 7, `document-mismatch`. */

/** Bytes that are not here, and who was asked for them. */
export interface MissingBytes {
  readonly sequence: number;
  readonly reason: string;
  readonly sources?: readonly AskedSource[];
}

/** The upload that the stored entry records, if it records one. */
export function uploadIn(stored: StoredEntry): UploadDocument | undefined {
  const read = readTransaction(stored.transaction);
  return read.outcome === 'read' && read.transaction.type === 'upload-document'
    ? read.transaction
    : undefined;
}

/** So long the bytes of a version may be nowhere before people have to look (section 7). */
const NOWHERE_MS = 24 * 60 * 60_000;

/**
 * Bytes that every source has wrong, or that none has had for a day: somebody has to decide, for
 * nothing can be confirmed past them.
 */
export async function reportMissing(
  ports: ConflictPorts,
  head: Head,
  progress: Progress,
  missing: MissingBytes | undefined,
): Promise<void> {
  if (missing?.sources === undefined) return;
  const now = ports.clock.now();
  const since = progress.missingSince ?? new Date(now).toISOString();
  if (!allDiffer(missing.sources) && now - Date.parse(since) < NOWHERE_MS) return;
  const { sequence, reason, sources } = missing;
  const range = { from: sequence, count: 1 };
  const [stored] = await ports.store.entries(head.registryId, head.copy, range);
  const upload = stored === undefined ? undefined : uploadIn(stored);
  if (stored === undefined || upload === undefined) return;
  const { registryId } = head;
  const recorded = { entry: textOf(stored.entry), transaction: textOf(stored.transaction) };
  await reportConflict(ports, registryId, {
    kind: 'document-mismatch',
    sequence,
    accused: 'open',
    digests: [upload.contentDigest],
    isOfRecorded: true,
    evidence: {
      format: 'registry/evidence/v1',
      kind: 'document-mismatch',
      registryId,
      sequence,
      since,
      sources: sources.map(({ peer, found }) => ({ peer, found: found.slice(0, 200) })),
      upload: recorded,
    },
    detail: `the bytes of version ${upload.version} of ${upload.documentId}: ${reason}`,
  });
}
