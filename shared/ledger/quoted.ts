/** Characters that show as nothing, or make a line of text look like another one. */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * Text that somebody else chose, in quotes and on one line, so that it cannot pass for a sentence of
 * whoever shows it.
 */
export function quoted(text: string): string {
  return JSON.stringify(text).replaceAll(HIDDEN, escaped);
}

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) as number).toString(16)}}`;
}
