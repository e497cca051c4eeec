import * as z from 'zod';
import { encodeCanonical, parseCanonical } from './canonical.ts';
import type { Digest } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import { type Compact, type DecidedStatement, readDecision, readStatement } from './jws.ts';
import { limits } from './limits.ts';
import { validate } from './schema.ts';

/**
 * What an operator decided and the operator's instance vouches for: two signatures over one payload
 * (protocol section 2).
 */

/** The instance's signature and the operator's, over the same payload. */
export interface Countersigned {
  readonly statement: Compact;
  readonly decision: Compact;
}

export interface ReadCountersigned<S extends DecidedStatement> {
  readonly outcome: 'read';
  readonly statement: S;
  /** Of the payload's bytes, which both signed. */
  readonly digest: Digest;
  readonly signed: Countersigned;
}

/**
 * Reads both signatures, each with the key whose id the payload names: `signer` is the instance,
 * `decidedBy` the operator. Whether either may decide this is the caller's question.
 */
export function readCountersigned<Schema extends z.ZodType<DecidedStatement>>(
  signed: { readonly statement: string; readonly decision: string },
  schema: Schema,
): ReadCountersigned<z.output<Schema>> | Refused {
  const read = readStatement(signed.statement, schema);
  if (read.outcome === 'refused') return read;
  const decided = readDecision(signed.decision, schema);
  if (decided.outcome === 'refused') return decided;
  const { statement, digest } = read;
  if (decided.digest !== digest)
    return refuse('DECISION_DIFFERS', 'the operator signed something else than the instance');
  return {
    outcome: 'read',
    statement,
    digest,
    signed: { statement: read.compact, decision: decided.compact },
  };
}

const lineSchema = z.strictObject({
  decision: z.string(),
  format: z.literal('registry/countersigned/v1'),
  statement: z.string(),
});

/** Two statements in base64url, and what stands around them. */
const LINE_BYTES_MAX = 4 * limits.statementBytesMax + 1024;

/** Both signatures as a line of an export, without a newline. */
export function encodeCountersignedLine({ statement, decision }: Countersigned): Buffer {
  return encodeCanonical({ decision, format: 'registry/countersigned/v1', statement });
}

/** Reads the line; what is in it is still untrusted. */
export function readCountersignedLine(
  line: Uint8Array,
):
  | { readonly outcome: 'read'; readonly signed: Record<'statement' | 'decision', string> }
  | Refused {
  const parsed = parseCanonical(line, LINE_BYTES_MAX);
  if (parsed.outcome === 'refused') return parsed;
  const valid = validate(lineSchema, parsed.value);
  if (valid.outcome === 'refused') return valid;
  const { statement, decision } = valid.value;
  return { outcome: 'read', signed: { statement, decision } };
}
