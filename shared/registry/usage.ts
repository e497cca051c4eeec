import type { Alarms, CommitWrite } from './ports.ts';

/**
 * What hosting is billed by. Entries are counted where the write is known to have succeeded, leading
 * or mirroring; `BytesStored` are the sizes of the document versions that those entries record;
 * `BytesSent` are bodies of answers and calls, and documents whose address was handed out.
 */

/**
 * Counts what a write has stored, once it is known to have succeeded. One whose answer was lost and
 * that turned out later to be stored is not counted, and neither is what a new copy is filled with.
 */
export function countStored(
  alarms: Alarms,
  { registryId, entries }: Pick<CommitWrite, 'registryId' | 'entries'>,
): void {
  const [first] = entries;
  if (first === undefined) return;
  const bytes = entries.reduce((sum, { transaction }) => sum + bytesRecordedBy(transaction), 0);
  alarms.count(
    { EntriesStored: entries.length, BytesStored: bytes },
    { registryId, sequence: first.sequence, transactionId: first.transactionId },
  );
}

/** Of a document version its size; the bytes were parsed before they were stored. */
function bytesRecordedBy(transaction: Uint8Array): number {
  const { type, size } = JSON.parse(new TextDecoder().decode(transaction));
  return type === 'upload-document' ? size : 0;
}
