/** How commands are declared, parsed and told wrong: the same for all of them. */
import { createWriteStream } from 'node:fs';
import { access, link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { RegistryError } from '../shared/client/problem.ts';

export type Output = (line: string) => void;

/** Something that a person can put right; the message says what was wrong and what to do. */
export class CommandMistake extends Error {}

/** Wrong arguments: the message says how the command is called. */
export class UsageMistake extends Error {}

export interface Command {
  /** How it is called, after `registry`. */
  readonly usage: string;
  readonly required: readonly string[];
  readonly optional: readonly string[];
  /** The one that is given without its name, as `<file>`. */
  readonly positional?: string;
  /** Of the options those that may be given more than once. */
  readonly repeatable?: readonly string[];
  /** Further options, which have no value. */
  readonly flags?: readonly string[];
  readonly run: (given: Given, output: Output) => Promise<void>;
}

export type Commands = Readonly<Record<string, Command>>;

export interface Given {
  /** A required argument's value. */
  readonly value: (name: string) => string;
  readonly optional: (name: string) => string | undefined;
  readonly all: (name: string) => readonly string[];
  /** Whether one of the flags was given. */
  readonly flag: (name: string) => boolean;
}

/**
 * Runs one of the commands; `commandLine` are the arguments after `registry`, beginning with the
 * command's name of one or two words. Gives the exit code: 0 done, 1 not done, 2 called wrongly.
 * Errors are told through `output`, one sentence each.
 */
export async function runCommand(
  commands: Commands,
  commandLine: readonly string[],
  output: Output,
): Promise<number> {
  try {
    const { command, rest } = commandIn(commands, commandLine);
    if (rest.includes('--help')) {
      output(`registry ${command.usage}`);
      return 0;
    }
    await command.run(givenTo(command, rest), output);
    return 0;
  } catch (error) {
    output(sentenceOf(error));
    return error instanceof UsageMistake ? 2 : 1;
  }
}

/** What a person can do something about; throws everything else. */
function sentenceOf(error: unknown): string {
  if (error instanceof RegistryError) return `${error.code}: ${error.message}`;
  if (error instanceof UsageMistake || error instanceof CommandMistake) return error.message;
  throw error;
}

/** Whoever reads may have had enough, as `head` has: the work is done all the same. */
export function outliveReader(output: NodeJS.WriteStream): void {
  output.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

function commandIn(
  commands: Commands,
  commandLine: readonly string[],
): { readonly command: Command; readonly rest: string[] } {
  const [words, name] = [1, 2]
    .map((count) => [count, commandLine.slice(0, count).join(' ')] as const)
    .find(([, each]) => Object.hasOwn(commands, each)) ?? [2, commandLine.slice(0, 2).join(' ')];
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  const said = ['registry', ...name.split(' ')].filter((word) => !/^(-|$)/.test(word)).join(' ');
  if (command === undefined)
    throw new UsageMistake(`"${said}" is not known: "registry help" lists all commands`);
  return { command, rest: commandLine.slice(words) };
}

function givenTo(command: Command, rest: string[]): Given {
  const values = valuesOf(command, rest);
  for (const each of command.required) {
    const shown = each === command.positional ? `<${each}>` : `--${each}`;
    if (!values[each]?.[0]?.trim())
      throw new UsageMistake(`${shown} is missing: call registry ${command.usage}`);
  }
  return {
    value: (each) => values[each]?.[0] ?? '',
    optional: (each) => values[each]?.[0],
    all: (each) => values[each] ?? [],
    flag: (each) => values[each] !== undefined,
  };
}

/** Values by name; the positional one has none on the command line. */
function valuesOf(
  { usage, required, optional, positional, repeatable = [], flags = [] }: Command,
  rest: string[],
): Record<string, readonly string[] | undefined> {
  const names = [...required, ...optional].filter((name) => name !== positional);
  const option = { type: 'string' as const, multiple: true as const };
  const flag = { type: 'boolean' as const };
  const options = {
    ...Object.fromEntries(names.map((name) => [name, option])),
    ...Object.fromEntries(flags.map((name) => [name, flag])),
  };
  try {
    const parsed = parseArgs({ args: rest, options, allowPositionals: positional !== undefined });
    if (parsed.positionals.length > 1)
      throw new Error(`one ${positional} at a time, not ${parsed.positionals.length}`);
    const values: Record<string, readonly string[]> = {};
    for (const [name, given] of Object.entries(parsed.values)) {
      // A flag that was given has no values.
      values[name] = Array.isArray(given) ? given.map(String) : [];
      if (values[name].length > 1 && !repeatable.includes(name))
        throw new Error(`--${name} can be given once`);
    }
    return positional === undefined ? values : { ...values, [positional]: parsed.positionals };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('. ')[0] : 'wrong arguments';
    throw new UsageMistake(`${reason}: call registry ${usage}`);
  }
}

/** The text of a file that the person named. */
export async function readText(file: string): Promise<string> {
  return Buffer.from(await readBytes(file)).toString('utf8');
}

/** The bytes of a file that the person named. */
export async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw unreadable(file, codeOf(error));
  }
}

/** A file that the person named and that cannot be read; with the system's code. */
export function unreadable(file: string, code: string): CommandMistake {
  return new CommandMistake(`${file} cannot be read (${code}): name a file that is there`);
}

/** Writes a file that is not there yet. */
export async function writeNew(file: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(file, bytes, { flag: 'wx' });
  } catch (error) {
    throw unwritable(file, codeOf(error));
  }
}

/** Refuses a file that is there, before the work for it begins. */
export async function requireAbsent(file: string): Promise<void> {
  const exists = await access(file).then(
    () => true,
    () => false,
  );
  if (exists) throw unwritable(file, 'EEXIST');
}

/**
 * Writes a file that is not there yet piece by piece: under another name, which ends in `.part`,
 * until all of it is written. Leaves nothing behind where that fails.
 */
export async function writeWhole(file: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const part = `${file}.part`;
  try {
    await pipeline(Readable.from(pieces), createWriteStream(part));
  } catch (error) {
    await rm(part, { force: true });
    if (error instanceof Error && 'syscall' in error) throw unwritable(part, codeOf(error));
    throw error;
  }
  try {
    // A second name cannot replace a file that came meanwhile.
    await link(part, file);
    await rm(part);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') {
      await rm(part, { force: true });
      throw unwritable(file, 'EEXIST');
    }
    // Some file systems know no second names.
    await rename(part, file);
  }
}

function unwritable(file: string, code: string): CommandMistake {
  return new CommandMistake(
    code === 'EEXIST'
      ? `${file} exists and is not overwritten: name another file, or move it away`
      : `${file} cannot be written (${code}): check its folder`,
  );
}

/** The system's code of an error, such as ENOENT. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

export function numberOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw new UsageMistake(`--${name} ${text}: expected a whole number, such as --${name} 10`);
  return Number(text);
}
