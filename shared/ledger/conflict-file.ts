import * as z from 'zod';
import { encodeCanonical, parseCanonical } from './canonical.ts';
import { digestOf, type RegistryId } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import type { Compact } from './jws.ts';
import { limits } from './limits.ts';
import { digestSchema, timestampSchema, validate } from './schema.ts';
import { type CarriedCommit, carriedCommitSchema, compactSchema } from './signed-commit.ts';
import { formatOf } from './transaction.ts';

/**
 * Everything about one conflict in one file, for somebody who has nothing else but the registry id
 * and the cluster's CA: protocol section 7. Building and reading; `verify-conflict-file.ts` judges it.
 */

/** Four times the largest evidence: the file holds that of several reports. */
export const conflictFileBytesMax = 4 * limits.evidenceBytesMax;

const decisionSchema = z.strictObject({
  /** The operator's own signature; a closing has none. */
  decision: compactSchema.exactOptional(),
  kind: z.enum(['resolution', 'acceptance', 'set-aside', 'closing']),
  statement: compactSchema,
});

const conflictFileSchema = z.strictObject({
  /** PEM of everybody who signed something here as an instance. */
  certificates: z
    .array(z.string().max(limits.certificateBytesMax))
    .max(limits.invitationEntriesMax),
  /** Every configuration entry from entry 1 on, oldest first, each as the commit that holds it. */
  configurations: z.array(carriedCommitSchema).min(1).max(limits.invitationEntriesMax),
  /** The first report. */
  conflict: compactSchema,
  decisions: z.array(decisionSchema).max(limits.invitationEntriesMax),
  /** What the reports name, by its digest, as text. */
  evidence: z.record(digestSchema, z.string()),
  exportedAt: timestampSchema,
  format: z.literal('registry/conflict-file/v1'),
  registryId: digestSchema,
  /** The further reports of the same conflict. */
  reports: z.array(compactSchema).max(limits.invitationEntriesMax),
});

export type ConflictFile = z.output<typeof conflictFileSchema>;

/** What people decided, as it was signed. */
export interface FiledDecision {
  readonly kind: ConflictFile['decisions'][number]['kind'];
  readonly statement: Compact;
  readonly decision?: Compact;
}

/** What a file is made of. */
export interface ConflictFileParts {
  readonly registryId: RegistryId;
  /** The first report; the further ones in `reports`. */
  readonly conflict: Compact;
  readonly reports: readonly Compact[];
  /** The bytes of all evidence that these reports name, as `readEvidence` has accepted them. */
  readonly evidence: readonly Uint8Array[];
  readonly decisions: readonly FiledDecision[];
  /** As in an invitation: every list from entry 1 on. */
  readonly configurations: readonly CarriedCommit[];
  /** PEM, of every instance that signed a report, a decision or the end of a list, and the accused. */
  readonly certificates: readonly string[];
  /** RFC 3339. */
  readonly exportedAt: string;
}

/**
 * The canonical bytes of the file. Nothing is checked: `verifyConflictFile` does, and refuses more
 * than `conflictFileBytesMax`.
 */
export function encodeConflictFile(parts: ConflictFileParts): Buffer {
  const evidence = parts.evidence.map((bytes) => [
    digestOf(bytes),
    Buffer.from(bytes).toString('utf8'),
  ]);
  return encodeCanonical({
    ...parts,
    evidence: Object.fromEntries(evidence),
    format: 'registry/conflict-file/v1',
  });
}

/** Reads canonical bytes as a file about a conflict; everything inside is still untrusted. */
export function parseConflictFile(
  untrusted: Uint8Array,
): { readonly outcome: 'parsed'; readonly file: ConflictFile } | Refused {
  const parsed = parseCanonical(untrusted, conflictFileBytesMax);
  if (parsed.outcome === 'refused') return parsed;
  const format = formatOf(parsed.value);
  if (format !== 'registry/conflict-file/v1')
    return refuse('UNKNOWN_FORMAT', `format is ${format}; expected registry/conflict-file/v1`);
  const valid = validate(conflictFileSchema, parsed.value);
  if (valid.outcome === 'refused') return { ...valid, detail: `conflict file: ${valid.detail}` };
  return { outcome: 'parsed', file: valid.value };
}
