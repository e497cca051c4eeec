/** What a line of an export seems to be. */

const FORMAT = Buffer.from('"format":"registry/');
const ENTRY_INITIAL_AT = '{"'.length;
const ENTRY_INITIAL = 'b'.charCodeAt(0);

export type LineKind = 'transaction' | 'details' | 'redacted' | 'entry' | 'signed';

/** By the first byte of their names. */
const kinds: ReadonlyMap<number, LineKind> = new Map([
  ['t'.charCodeAt(0), 'transaction'],
  ['d'.charCodeAt(0), 'details'],
  ['r'.charCodeAt(0), 'redacted'],
  ['e'.charCodeAt(0), 'entry'],
  ['s'.charCodeAt(0), 'signed'],
]);

/**
 * What a line seems to be, to choose its reader, which holds every byte against its format: the
 * quotes around the name stand in canonical bytes only where a name is.
 */
export function kindOf(line: Buffer): LineKind | undefined {
  // No other line begins with "backlinks", and entries are the longest to search.
  if (line[ENTRY_INITIAL_AT] === ENTRY_INITIAL) return 'entry';
  const at = line.indexOf(FORMAT);
  return at === -1 ? undefined : kinds.get(line[at + FORMAT.length] as number);
}
