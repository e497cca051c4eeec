import canonicalize from 'canonicalize';
import { type Refused, refuse } from './errors.ts';
import { limits } from './limits.ts';

/** What can be encoded: RFC 8785 (JCS) narrowed by protocol section 2. Integers only. */
export type Canonical =
  | null
  | boolean
  | number
  | string
  | readonly Canonical[]
  | { readonly [name: string]: Canonical };

/** The one encoding of a value: RFC 8785. Throws on what the protocol cannot encode. */
export function encodeCanonical(value: unknown): Buffer {
  const flaw = flawOf(value);
  if (flaw !== undefined) throw new TypeError(`cannot be encoded: ${flaw.detail}`);
  // Undefined comes out only for an undefined value, which flawOf has refused.
  return Buffer.from(canonicalize(value) as string, 'utf8');
}

export type ParsedCanonical = { readonly outcome: 'parsed'; readonly value: Canonical } | Refused;

/**
 * Reads canonical bytes exactly as received, in the order of protocol section 2; nothing is
 * repaired. The bytes of what was parsed are the only encoding of its value.
 */
export function parseCanonical(bytes: Uint8Array, bytesMax: number): ParsedCanonical {
  if (bytes.length > bytesMax)
    return refuse('TOO_LARGE', `${bytes.length} bytes; at most ${bytesMax} are allowed`);
  return accept(bytes) ?? examine(bytes);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * What JSON.stringify gives back unchanged and with sorted names is canonical, at a fraction of the
 * cost of examining it. Undefined: not plainly canonical, which does not say that it is not.
 */
function accept(bytes: Uint8Array): ParsedCanonical | undefined {
  try {
    const text = utf8.decode(bytes);
    const value = JSON.parse(text) as Canonical;
    // Escapes are the only way that ASCII bytes can hold a character that needs a closer look.
    const ascii = text.length === bytes.length && !text.includes('\\u');
    if (!isPlain(value, ascii, limits.depthMax) || JSON.stringify(value) !== text) return undefined;
    return { outcome: 'parsed', value };
  } catch {
    return undefined;
  }
}

/** Whether the value is without flaw and its names are sorted as JSON.stringify leaves them. */
function isPlain(value: Canonical, ascii: boolean, depthMax: number): boolean {
  if (typeof value === 'string') return ascii || flawOfString(value) === undefined;
  if (typeof value === 'number') return Number.isSafeInteger(value);
  if (typeof value === 'boolean' || value === null) return true;
  if (depthMax === 0) return false;
  return Array.isArray(value)
    ? value.every((item) => isPlain(item, ascii, depthMax - 1))
    : arePlainMembers(value as Members, ascii, depthMax - 1);
}

type Members = { readonly [name: string]: Canonical };

function arePlainMembers(members: Members, ascii: boolean, depthMax: number): boolean {
  let previous = '';
  for (const name of Object.keys(members)) {
    if (name < previous || RESERVED.has(name) || !isPlain(name, ascii, depthMax)) return false;
    if (!isPlain(members[name] as Canonical, ascii, depthMax)) return false;
    previous = name;
  }
  return true;
}

/** Step by step, in the order of section 2: what is wrong, if anything is. */
function examine(bytes: Uint8Array): ParsedCanonical {
  const text = decode(bytes);
  if (typeof text !== 'string') return text;
  if (isTooDeep(bytes))
    return refuse('TOO_DEEP', `nested deeper than ${limits.depthMax}; flatten the object`);
  const parsed = parseJson(text);
  if (parsed.outcome === 'refused') return parsed;
  const flaw = flawOf(parsed.value);
  if (flaw !== undefined) return flaw;
  // A parsed value always has an encoding.
  const expected = canonicalize(parsed.value) as string;
  return expected === text ? parsed : notCanonical(text, expected);
}

function decode(bytes: Uint8Array): string | Refused {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
    return refuse('BYTE_ORDER_MARK', 'begins with a byte order mark; send plain UTF-8');
  try {
    return utf8.decode(bytes);
  } catch {
    return refuse('NOT_UTF8', 'is not valid UTF-8; encode the text as UTF-8');
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What each byte adds to the depth of nesting, outside strings. */
const DEPTH = new Int8Array(256);
DEPTH[0x7b] = DEPTH[0x5b] = 1;
DEPTH[0x7d] = DEPTH[0x5d] = -1;

/** Counts brackets outside strings, before anything that would recurse sees them. */
function isTooDeep(bytes: Uint8Array): boolean {
  let depth = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index] as number;
    if (byte === QUOTE) index = endOfString(bytes, index);
    depth += DEPTH[byte] as number;
    if (depth > limits.depthMax) return true;
  }
  return false;
}

/** Index of the quote that ends the string, or the last index where none does. */
function endOfString(bytes: Uint8Array, start: number): number {
  for (let index = start + 1; ; index += 1) {
    index = bytes.indexOf(QUOTE, index);
    if (index === -1) return bytes.length;
    let backslashes = 0;
    while (bytes[index - 1 - backslashes] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return index;
  }
}

function parseJson(text: string): ParsedCanonical {
  try {
    return { outcome: 'parsed', value: JSON.parse(text) as Canonical };
  } catch (error) {
    return refuse('NOT_JSON', `is not JSON: ${(error as Error).message}`);
  }
}

const RESERVED = new Set(['__proto__', 'constructor', 'prototype']);

/** The first thing in the value that canonical bytes may not hold. */
function flawOf(value: unknown): Refused | undefined {
  switch (typeof value) {
    case 'string':
      return flawOfString(value);
    case 'number':
      return Number.isSafeInteger(value)
        ? undefined
        : refuse('UNSAFE_NUMBER', `${value} is no integer between -(2^53 - 1) and 2^53 - 1`);
    case 'boolean':
      return undefined;
    case 'object':
      if (value === null) return undefined;
      return Array.isArray(value)
        ? firstFlaw(value)
        : flawOfMembers(value as Record<string, unknown>);
    default:
      return refuse('NOT_JSON', `a ${typeof value} cannot be encoded`);
  }
}

function firstFlaw(values: readonly unknown[]): Refused | undefined {
  for (const value of values) {
    const flaw = flawOf(value);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}

function flawOfMembers(object: Record<string, unknown>): Refused | undefined {
  for (const name of Object.keys(object)) {
    if (RESERVED.has(name)) return refuse('RESERVED_NAME', `the name "${name}" is not allowed`);
    const flaw = flawOfString(name) ?? flawOf(object[name]);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}

/** Below U+0300, the first combining mark, every text is in normalization form C. */
const COMBINING = 0x300;

function flawOfString(text: string): Refused | undefined {
  if (isLatin(text)) return undefined;
  if (!text.isWellFormed())
    return refuse(
      'LONE_SURROGATE',
      'a string holds half of a surrogate pair; send whole characters',
    );
  if (text.includes('\0')) return refuse('NUL_CHARACTER', 'a string holds the character U+0000');
  if (text.normalize('NFC') !== text)
    return refuse('NOT_NFC', 'a string is not in Unicode normalization form C; normalize it');
  return undefined;
}

function isLatin(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit === 0 || unit >= COMBINING) return false;
  }
  return true;
}

function notCanonical(text: string, expected: string): Refused {
  let place = 0;
  while (text[place] === expected[place]) place += 1;
  return refuse(
    'NOT_CANONICAL',
    `differs from its RFC 8785 encoding at character ${place}: expected ` +
      `${JSON.stringify(expected.slice(place, place + 24))}, found ` +
      `${JSON.stringify(text.slice(place, place + 24))}; sort members by name, no white space, ` +
      'no duplicate names, no needless escapes',
  );
}
