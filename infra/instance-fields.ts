/** The members of an instance's file, each read once, by name and form. */
import { readFileSync } from 'node:fs';

/** A sentence that names the key and the file: for the person who wrote the file. */
export class InstanceConfigError extends Error {
  override readonly name = 'InstanceConfigError';
}

/** What a text must look like, and that in words. */
export type Form = readonly [form: RegExp, expected: string];

export interface Bounds {
  readonly least: number;
  readonly most: number;
}

const CERTIFICATE_ID: Form = [/^[0-9a-f]{64}$/, 'certificate ids of 64 lower-case hex digits'];

/**
 * Throws InstanceConfigError from every method: a sentence that names key and file. `Key` is the
 * union of all keys that the file may have; another one is refused at once.
 */
export class InstanceFields<Key extends string> {
  private readonly file: string;
  private readonly values: Readonly<Record<string, unknown>>;

  constructor(file: string, keys: readonly Key[]) {
    this.file = file;
    this.values = readObject(file);
    const unknown = Object.keys(this.values).find((key) => !keys.some((known) => known === key));
    if (unknown !== undefined)
      throw this.mistake(`"${unknown}" is no key of an instance: use only ${keys.join(', ')}`);
  }

  mistake(sentence: string): InstanceConfigError {
    return new InstanceConfigError(`${this.file}: ${sentence}`);
  }

  has(key: Key): boolean {
    return this.values[key] !== undefined;
  }

  raw(key: Key): unknown {
    return this.values[key];
  }

  optionalText(key: Key, [form, expected]: Form): string | undefined {
    const value = this.values[key];
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || !form.test(value)) throw this.wrong(key, expected);
    return value;
  }

  text(key: Key, form: Form): string {
    const value = this.optionalText(key, form);
    if (value === undefined) throw this.mistake(`${key} is missing: give ${form[1]}`);
    return value;
  }

  /** Certificate ids; `choice` is what else may be given, for the message. */
  ids(key: Key, choice = ''): string[] {
    const [, expected] = CERTIFICATE_ID;
    if (!this.has(key))
      throw this.mistake(`${key} is missing: give a list of ${expected}, [] for nobody${choice}`);
    return this.texts(key, CERTIFICATE_ID, choice);
  }

  /** Texts of one form; none when the file does not give them. */
  texts(key: Key, [form, expected]: Form, choice = ''): string[] {
    const value = this.values[key] ?? [];
    if (!Array.isArray(value)) throw this.mistake(`${key} is no list: give ${expected}${choice}`);
    return value.map((each: unknown) => {
      if (typeof each === 'string' && form.test(each)) return each;
      throw this.mistake(`${key} has ${JSON.stringify(each)}: give ${expected}`);
    });
  }

  flag(key: Key): boolean {
    const value = this.values[key] ?? false;
    if (typeof value === 'boolean') return value;
    throw this.wrong(key, 'true or false');
  }

  choice<Choice extends string | number>(
    key: Key,
    choices: readonly Choice[],
    unlessGiven: Choice,
  ): Choice {
    const value = this.values[key] ?? unlessGiven;
    const chosen = choices.find((each) => each === value);
    if (chosen !== undefined) return chosen;
    throw this.wrong(key, `one of ${choices.join(', ')}`);
  }

  optionalNumber(key: Key, { least, most }: Bounds): number | undefined {
    const value = this.values[key];
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most)
      return value;
    throw this.wrong(key, `a whole number from ${least} to ${most}`);
  }

  number(key: Key, bounds: Bounds & { readonly unlessGiven: number }): number {
    return this.optionalNumber(key, bounds) ?? bounds.unlessGiven;
  }

  private wrong(key: Key, expected: string): InstanceConfigError {
    return this.mistake(`${key} is ${JSON.stringify(this.values[key])}: give ${expected}`);
  }
}

function readObject(file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InstanceConfigError(`${file} is not readable as JSON: ${reason}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InstanceConfigError(`${file} is no JSON object: write {"name": …, …}`);
  return { ...value };
}
