/** What a building model (IFC) says of itself in the header of its exchange file: ISO 10303-21. */

/** Texts as the file gives them: nobody checked or signed them. */
export interface IfcHeader {
  /** For example `IFC4`. */
  readonly schema?: string;
  /** The name of the project, where it is among the first entities; else absent. */
  readonly project?: string;
  /** The program that wrote the file. */
  readonly application?: string;
  readonly fileName?: string;
  readonly organization?: string;
}

/** No text of a header is shown longer. */
const TEXT_CHARACTERS_MAX = 256;
/** Positions of what is shown in FILE_NAME (ISO 10303-21, 8.2.2) and in IFCPROJECT. */
const FILE_NAME = { name: 0, organization: 3, preprocessor: 4, system: 5 } as const;
const PROJECT = { name: 2, longName: 5 } as const;

/** `text`: the beginning of the file, one character a byte. Undefined: there is no header. */
export function readIfcHeader(text: string): IfcHeader | undefined {
  const schema = firstText(parametersOf(text, 'FILE_SCHEMA')?.[0]);
  const file = parametersOf(text, 'FILE_NAME');
  if (schema === undefined && file === undefined) return undefined;
  const project = parametersOf(text, 'IFCPROJECT');
  const application =
    firstText(file?.[FILE_NAME.system]) ?? firstText(file?.[FILE_NAME.preprocessor]);
  const found = {
    schema,
    project: firstText(project?.[PROJECT.longName]) ?? firstText(project?.[PROJECT.name]),
    application,
    fileName: firstText(file?.[FILE_NAME.name]),
    organization: firstText(file?.[FILE_NAME.organization]),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

/** A parameter of an entity: a text, a list, or what is of no use here. */
type Parameter = string | readonly Parameter[] | undefined;

function firstText(parameter: Parameter): string | undefined {
  const text = typeof parameter === 'object' ? firstText(parameter[0]) : parameter?.trim();
  if (text === undefined || text === '') return undefined;
  // By code points: a cut through a surrogate pair would leave half a character.
  return Array.from(text).slice(0, TEXT_CHARACTERS_MAX).join('');
}

/** The parameters of the first entity of that type; undefined where it is absent or cut off. */
function parametersOf(text: string, type: string): readonly Parameter[] | undefined {
  const match = new RegExp(`\\b${type}\\s*\\(`).exec(text);
  if (match === null) return undefined;
  const read = readList({ text, at: match.index + match[0].length }, 0);
  return read?.value;
}

interface Place {
  readonly text: string;
  readonly at: number;
}

interface ReadParameter<Value extends Parameter = Parameter> {
  readonly value: Value;
  /** Behind it. */
  readonly end: number;
}

/** Headers do not nest deeper than a list of texts. */
const DEPTH_MAX = 8;
const BETWEEN = /[,\s]/;

/** What stands up to the closing parenthesis. Undefined where the text ends before it. */
function readList(
  { text, at }: Place,
  depth: number,
): ReadParameter<readonly Parameter[]> | undefined {
  const value: Parameter[] = [];
  let index = at;
  while (depth <= DEPTH_MAX && index < text.length) {
    const character = text[index] as string;
    if (character === ')') return { value, end: index + 1 };
    if (BETWEEN.test(character)) {
      index += 1;
      continue;
    }
    const read = readParameter({ text, at: index }, depth);
    if (read === undefined) return undefined;
    value.push(read.value);
    index = read.end;
  }
  return undefined;
}

function readParameter(place: Place, depth: number): ReadParameter | undefined {
  const inside = { text: place.text, at: place.at + 1 };
  switch (place.text[place.at]) {
    case "'":
      return readText(inside);
    case '(':
      return readList(inside, depth + 1);
    default:
      return { value: undefined, end: endOfOther(place) };
  }
}

/** Behind a number, a reference, `$`, `*` or an enumeration: the next separator, or the end. */
function endOfOther({ text, at }: Place): number {
  const length = text.slice(at).search(/[,()']/);
  if (length === -1) return text.length;
  // A typed value such as IFCLABEL('x') is read as its type and a list.
  return at + Math.max(1, length);
}

/** A text in quotes; a quote in it is doubled. */
function readText({ text, at }: Place): ReadParameter<string> | undefined {
  let end = at;
  for (;;) {
    end = text.indexOf("'", end);
    if (end === -1) return undefined;
    if (text[end + 1] !== "'") break;
    end += 2;
  }
  return { value: decoded(text.slice(at, end).replaceAll("''", "'")), end: end + 1 };
}

/** ISO 10303-21, 6.4.3: characters beyond ASCII, as their code points or half of ISO 8859-1. */
function decoded(text: string): string {
  return text
    .replaceAll(/\\X2\\((?:[0-9A-F]{4})+)\\X0\\/g, (_, digits: string) =>
      String.fromCharCode(...chunked(digits, 4)),
    )
    .replaceAll(/\\X4\\((?:[0-9A-F]{8})+)\\X0\\/g, (found, digits: string) =>
      chunked(digits, 8).every((code) => code <= 0x10ffff)
        ? String.fromCodePoint(...chunked(digits, 8))
        : found,
    )
    .replaceAll(/\\X\\([0-9A-F]{2})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    )
    .replaceAll(/\\S\\([\x20-\x7e])/g, (_, character: string) =>
      String.fromCharCode(character.charCodeAt(0) + 128),
    )
    .replaceAll('\\\\', '\\')
    .toWellFormed();
}

function chunked(digits: string, size: number): number[] {
  return Array.from({ length: digits.length / size }, (_, index) =>
    Number.parseInt(digits.slice(index * size, (index + 1) * size), 16),
  );
}
