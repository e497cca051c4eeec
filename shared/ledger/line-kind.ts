/** What a line of an export seems to be. */

const FORMAT = Buffer.from('"format":"registry/');
const COUNTERSIGNED = Buffer.from('countersigned/');
const ENTRY_INITIAL_AT = '{"'.length;
const ENTRY_INITIAL = 'b'.charCodeAt(0);

export type LineKind =
  | 'transaction'
  | 'details'
  | 'redacted'
  | 'entry'
  | 'signed'
  | 'countersigned';

/** By the first byte of their names. */
const kinds: ReadonlyMap<number, LineKind> = new Map([
  ['t'.charCodeAt(0), 'transaction'],
  ['d'.charCodeAt(0), 'details'],
  ['r'.charCodeAt(0), 'redacted'],
  ['e'.charCodeAt(0), 'entry'],
  ['s'.charCodeAt(0), 'signed'],
  ['c'.charCodeAt(0), 'countersigned'],
]);

/**
 * What a line seems to be, to choose its reader, which holds every byte against its format: the
 * quotes around the name stand in canonical bytes only where a name is.
 */
export function kindOf(line: Buffer): LineKind | undefined {
  // No other line begins with "backlinks", and entries are the longest to search.
  if (line[ENTRY_INITIAL_AT] === ENTRY_INITIAL) return 'entry';
  const at = line.indexOf(FORMAT);
  if (at === -1) return undefined;
  const name = at + FORMAT.length;
  const kind = kinds.get(line[name] as number);
  // Other objects of the protocol begin with the same letter, and stand in no export by themselves.
  if (kind === 'countersigned' && line.indexOf(COUNTERSIGNED, name) !== name) return undefined;
  return kind;
}
