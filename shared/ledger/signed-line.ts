import * as z from 'zod';
import { encodeCanonical, parseCanonical } from './canonical.ts';
import type { Refused } from './errors.ts';
import type { Compact } from './jws.ts';
import { limits } from './limits.ts';
import { validate } from './schema.ts';

/** A signed statement as a line of an export: a canonical object like every other line. */

const signedSchema = z.strictObject({
  format: z.literal('registry/signed/v1'),
  statement: z.string().max(2 * limits.statementBytesMax),
});

/** Twice a statement, for base64url in it, and what stands around it. */
const LINE_BYTES_MAX = 2 * limits.statementBytesMax + 1024;

/** The bytes of the line, without a newline. */
export function encodeSignedLine(statement: Compact): Buffer {
  return encodeCanonical({ format: 'registry/signed/v1', statement });
}

export interface SignedLine {
  readonly outcome: 'read';
  readonly compact: string;
  /** What it seems to be, to choose its reader: nothing of the statement is checked here. */
  readonly kind: 'checkpoint' | 'confirmation' | 'conflict' | 'closing';
}

/** Reads the line; the statement in it is still untrusted. */
export function readSignedLine(line: Uint8Array): SignedLine | Refused {
  const parsed = parseCanonical(line, LINE_BYTES_MAX);
  if (parsed.outcome === 'refused') return parsed;
  const valid = validate(signedSchema, parsed.value);
  if (valid.outcome === 'refused') return valid;
  const compact = valid.value.statement;
  const payload = Buffer.from(compact.split('.', 2)[1] ?? '', 'base64url');
  return { outcome: 'read', compact, kind: kindOfPayload(payload) };
}

/** Canonical: where such a name stands with its quotes, it is the format. */
function kindOfPayload(payload: Buffer): SignedLine['kind'] {
  if (payload.includes('"format":"registry/confirmation/v1"')) return 'confirmation';
  if (payload.includes('"format":"registry/conflict/v1"')) return 'conflict';
  return payload.includes('"format":"registry/closing/v1"') ? 'closing' : 'checkpoint';
}
