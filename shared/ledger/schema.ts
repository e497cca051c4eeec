import * as z from 'zod';
import type { CertificateId, Digest, Sequence } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import { limits } from './limits.ts';

/** Schemas of the values that several formats share. All objects are strict. */

const HEX_64 = /^[0-9a-f]{64}$/;

export const digestSchema = branded<Digest>(
  z.string().regex(HEX_64, 'expected a SHA-256 digest: 64 lower-case hex digits'),
);

export const certificateIdSchema = branded<CertificateId>(
  z.string().regex(HEX_64, 'expected a certificate id: 64 lower-case hex digits'),
);

export const sequenceSchema = branded<Sequence>(z.int().min(1));

/** The schema with its output's brand: a type only, where a transform would cost on every value. */
function branded<T extends string | number>(schema: z.ZodType): z.ZodType<T> {
  return schema as z.ZodType<T>;
}

export const linkSchema = z.strictObject({ digest: digestSchema, sequence: sequenceSchema });

const TIMESTAMP =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3])(?::[0-5]\d){2}\.\d{3}Z$/;

/** RFC 3339 in UTC with milliseconds, and a date that exists. */
export const timestampSchema = z
  .string()
  .regex(TIMESTAMP, 'expected 2026-11-22T10:00:00.000Z')
  .refine(exists, 'expected a date and time that exist');

/** Whether the text fits `timestampSchema`. */
export function isTimestamp(text: string): boolean {
  return TIMESTAMP.test(text) && exists(text);
}

/** Of what fits the pattern, only the end of a month can be missing from the calendar. */
function exists(text: string): boolean {
  if (text.slice(8, 10) <= '28') return true;
  const time = Date.parse(text);
  return !Number.isNaN(time) && new Date(time).toISOString() === text;
}

/** RFC 9562 in its lower-case text form, any version. */
export const uuidSchema = z
  .string()
  .regex(
    /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
    'expected a UUID in lower case',
  );

/** Ids that applications choose: printable, no separators of table keys or paths. */
export const identifierSchema = z
  .string()
  .max(limits.identifierCharactersMax)
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._:-]*$/,
    'expected letters, digits and . _ : - only, beginning with a letter or digit',
  );

/** Text of 1 to `charactersMax` Unicode code points. */
export function textSchema(charactersMax: number) {
  return z.string().refine((text) => {
    if (text.length > 2 * charactersMax) return false;
    const characters = [...text].length;
    return characters >= 1 && characters <= charactersMax;
  }, `expected 1 to ${charactersMax} characters`);
}

/** Base64url without padding that re-encodes to itself (RFC 4648 section 5). */
export const base64urlSchema = z
  .string()
  .refine(
    (text) => Buffer.from(text, 'base64url').toString('base64url') === text && text !== '',
    'expected base64url without padding',
  );

export type Validated<T> = { readonly outcome: 'valid'; readonly value: T } | Refused;

/** Holds a parsed value against a schema; the refusal names the member and what was expected. */
export function validate<S extends z.ZodType>(schema: S, value: unknown): Validated<z.output<S>> {
  const result = schema.safeParse(value);
  if (result.success) return { outcome: 'valid', value: result.data };
  const issues = flatIssues(result.error.issues);
  const unknown = issues.find((issue) => issue.code === 'unrecognized_keys');
  if (unknown !== undefined)
    return refuse('UNKNOWN_MEMBER', `${place(unknown.path)}: ${unknown.message}; remove it`);
  const details = issues.map((issue) => `${place(issue.path)}: ${issue.message}`);
  return refuse('SCHEMA_VIOLATION', details.slice(0, 3).join('; '));
}

type Issue = z.core.$ZodIssue;

/** The issues of the union member that came closest, instead of "no member fits". */
function flatIssues(issues: readonly Issue[]): Issue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
    const closest = [...issue.errors].sort((a, b) => a.length - b.length)[0] as Issue[];
    return flatIssues(
      closest.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }) as Issue),
    );
  });
}

function place(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'the object' : path.map(String).join('.');
}
