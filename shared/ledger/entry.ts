import * as z from 'zod';
import type { Link } from './backlinks.ts';
import { parseCanonical } from './canonical.ts';
import {
  type CertificateId,
  type Digest,
  digestOf,
  type RegistryId,
  type Sequence,
} from './digest.ts';
import type { Refused } from './errors.ts';
import { limits } from './limits.ts';
import {
  certificateIdSchema,
  digestSchema,
  linkSchema,
  sequenceSchema,
  timestampSchema,
  validate,
} from './schema.ts';

/** A transaction in its place: protocol section 4. */

export const entrySchema = z.strictObject({
  /** Nearest first; 53 bits of sequence bound their number. */
  backlinks: z.array(linkSchema).max(53),
  configuration: linkSchema.exactOptional(),
  format: z.literal('registry/entry/v1'),
  lead: certificateIdSchema,
  registryId: digestSchema,
  resolves: z.array(digestSchema).max(limits.pageMax),
  sequence: sequenceSchema,
  subject: linkSchema.exactOptional(),
  timestamp: timestampSchema,
  transactionDigest: digestSchema,
});

export type Entry = z.output<typeof entrySchema>;

/** An entry with its bytes and digest, as received. */
export interface ReadEntry {
  readonly outcome: 'read';
  readonly entry: Entry;
  readonly bytes: Uint8Array;
  readonly digest: Digest;
}

/** Reads canonical bytes as an entry. Says nothing about its place in a ledger. */
export function readEntry(bytes: Uint8Array): ReadEntry | Refused {
  const parsed = parseCanonical(bytes, limits.transactionBytesMax);
  if (parsed.outcome === 'refused') return parsed;
  const valid = validate(entrySchema, parsed.value);
  if (valid.outcome === 'refused') return { ...valid, detail: `entry: ${valid.detail}` };
  return { outcome: 'read', entry: valid.value, bytes, digest: digestOf(bytes) };
}

export interface EntryParts {
  readonly registryId: RegistryId;
  readonly sequence: Sequence;
  readonly lead: CertificateId;
  readonly backlinks: readonly Link[];
  readonly configuration?: Link;
  readonly subject?: Link;
  readonly resolves: readonly Digest[];
  /** RFC 3339 in UTC with milliseconds. */
  readonly timestamp: string;
  readonly transactionDigest: Digest;
}

/** The entry of these parts, with its canonical bytes and digest. */
export function buildEntry(parts: EntryParts): ReadEntry {
  const entry = { ...parts, format: 'registry/entry/v1' } as Entry;
  const bytes = Buffer.from(encode(parts), 'latin1');
  return { outcome: 'read', entry, bytes, digest: digestOf(bytes) };
}

/**
 * The canonical encoding, spelled out: verifying builds every entry once more, and the general
 * encoder takes ten times as long. No part holds a character that JSON would escape.
 */
function encode(parts: EntryParts): string {
  const { configuration, subject } = parts;
  return (
    `{"backlinks":[${parts.backlinks.map(encodeLink).join(',')}],` +
    (configuration === undefined ? '' : `"configuration":${encodeLink(configuration)},`) +
    `"format":"registry/entry/v1","lead":"${parts.lead}","registryId":"${parts.registryId}",` +
    `"resolves":[${parts.resolves.map((digest) => `"${digest}"`).join(',')}],` +
    `"sequence":${parts.sequence},` +
    (subject === undefined ? '' : `"subject":${encodeLink(subject)},`) +
    `"timestamp":"${parts.timestamp}","transactionDigest":"${parts.transactionDigest}"}`
  );
}

function encodeLink({ digest, sequence }: Link): string {
  return `{"digest":"${digest}","sequence":${sequence}}`;
}

/** The entry as others link to it. */
export function linkTo(read: ReadEntry): Link {
  return { digest: read.digest, sequence: read.entry.sequence };
}
