/**
 * Where the next page of a list begins, as text that callers hand back unread: base64url of
 * `{"after":…,"list":…}`. It names its list with the filters, so one of another list is refused.
 */
import * as z from 'zod';
import { encodeCanonical, parseCanonical } from '../ledger/canonical.ts';
import { base64urlSchema, validate } from '../ledger/schema.ts';

/** Far above what any list and position make. */
const CURSOR_CHARACTERS_MAX = 1024;

const cursorSchema = z.strictObject({ after: z.string().min(1).max(256), list: z.string() });

/** The cursor behind a position of the list. */
export function encodeCursor(list: string, after: string): string {
  return encodeCanonical({ after, list }).toString('base64url');
}

/** The position in the cursor; undefined where it is none of this list. */
export function readCursor(list: string, untrusted: string): string | undefined {
  if (untrusted.length > CURSOR_CHARACTERS_MAX) return undefined;
  if (!base64urlSchema.safeParse(untrusted).success) return undefined;
  const parsed = parseCanonical(Buffer.from(untrusted, 'base64url'), CURSOR_CHARACTERS_MAX);
  if (parsed.outcome === 'refused') return undefined;
  const read = validate(cursorSchema, parsed.value);
  return read.outcome === 'valid' && read.value.list === list ? read.value.after : undefined;
}
