/**
 * Versions of documents, held against the receipts of the entries that recorded them. Whether bytes
 * are held, which version is the newest, and which were superseded, stays the word of the instance.
 */
import type { Link } from '../ledger/backlinks.ts';
import type { Digest, RegistryId } from '../ledger/digest.ts';
import type { Superseded, VersionRow } from './answers.ts';
import type { CallOptions } from './calls.ts';
import { requireSame, textsIn, transactionIn } from './proven-facts.ts';
import type { ProvenEntry, Receipts } from './receipts.ts';

/** One recorded version of a document, proven. */
export interface DocumentVersion {
  readonly registryId: RegistryId;
  readonly documentId: string;
  readonly version: number;
  readonly contentDigest: Digest;
  /** In bytes. */
  readonly size: number;
  readonly mediaType: string;
  /** Absent where they were redacted. */
  readonly name?: string;
  readonly note?: string;
  /** Name and note are gone, by a decision of people that the receipt proves. */
  readonly redacted?: true;
  /** The entry that recorded it. */
  readonly entry: Link;
  /** By the lead's clock. */
  readonly recordedAt: string;
  /** The instance's word: people replaced or voided it. */
  readonly superseded?: Superseded;
}

/** The version, after every fact of the row was found in the receipt of its entry. */
export function provenVersion(
  receipts: Receipts,
  registryId: string,
  row: VersionRow,
  options?: CallOptions,
): Promise<DocumentVersion> {
  const place = { registryId, ...row.entry };
  return receipts.proven(
    place,
    (proven) => {
      const version = versionIn(proven, row.entry);
      requireSame(row, version, VERSION_FACTS);
      const { superseded } = row;
      return superseded === undefined ? version : { ...version, superseded };
    },
    options,
  );
}

const VERSION_FACTS = [
  'documentId',
  'version',
  'contentDigest',
  'size',
  'mediaType',
  'name',
  'note',
  'redacted',
  'recordedAt',
] as const;

function versionIn(proven: ProvenEntry, entry: Link): DocumentVersion {
  const { receipt } = proven;
  const upload = transactionIn(proven, 'upload-document');
  const { documentId, version, contentDigest, size, mediaType } = upload;
  return {
    registryId: receipt.registryId,
    documentId,
    version,
    contentDigest,
    size,
    mediaType,
    ...textsIn(proven),
    entry,
    recordedAt: receipt.timestamp,
  };
}
