/** The commands `registry ca …` and `registry certificate …`. */
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readCertificate } from '../shared/ledger/certificate.ts';
import {
  type CertificateAuthority,
  CertificateMistake,
  createCertificateAuthority,
  type IssuedCertificate,
  issueApplicationCertificate,
  issueInstanceCertificate,
} from './certificates.ts';

type Output = (line: string) => void;

/** Wrong arguments: the message says what to do. */
class UsageMistake extends Error {}

/** A file that cannot be read or written; the message names it. */
class FileMistake extends Error {}

/** Names inside a directory: a CA and a certificate may share one. */
const CA_CERTIFICATE = 'ca-certificate.pem';
const CA_KEY = 'ca-key.pem';
const CERTIFICATE = 'certificate.pem';
const KEY = 'key.pem';

interface Command {
  /** How it is called, after `registry`. */
  readonly usage: string;
  readonly required: readonly string[];
  readonly optional: readonly string[];
  readonly run: (given: Given, output: Output) => Promise<void>;
}

interface Given {
  /** A required argument's value. */
  readonly value: (name: string) => string;
  readonly optional: (name: string) => string | undefined;
}

const commands: Readonly<Record<string, Command>> = {
  'ca create': {
    usage: 'ca create --out <directory> [--name <name>] [--years <number>]',
    required: ['out'],
    optional: ['name', 'years'],
    run: createAuthority,
  },
  'ca issue-instance': {
    usage:
      'ca issue-instance --ca <directory> --name <name> --endpoint <https origin> ' +
      '--out <directory> [--key <existing key file>] [--days <number>]',
    required: ['ca', 'name', 'endpoint', 'out'],
    optional: ['key', 'days'],
    run: issueInstance,
  },
  'ca issue-application': {
    usage:
      'ca issue-application --ca <directory> --name <name> --out <directory> ' +
      '[--key <existing key file>] [--days <number>]',
    required: ['ca', 'name', 'out'],
    optional: ['key', 'days'],
    run: issueApplication,
  },
  'certificate show': {
    usage: 'certificate show <file>',
    required: ['file'],
    optional: [],
    run: show,
  },
};

/**
 * Runs one of the commands; `commandLine` are those after `registry`. Gives the exit code: 0 done,
 * 1 not done, 2 called wrongly. Errors are told through `output`, one sentence each.
 */
export async function runCertificateCommand(
  commandLine: readonly string[],
  output: Output,
): Promise<number> {
  try {
    const { command, given } = parse(commandLine);
    await command.run(given, output);
    return 0;
  } catch (error) {
    if (error instanceof UsageMistake) {
      output(error.message);
      return 2;
    }
    if (error instanceof CertificateMistake || error instanceof FileMistake) {
      output(error.message);
      return 1;
    }
    throw error;
  }
}

function parse(commandLine: readonly string[]): {
  readonly command: Command;
  readonly given: Given;
} {
  const name = commandLine.slice(0, 2).join(' ');
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    const known = Object.keys(commands).map((each) => `"registry ${each}"`);
    throw new UsageMistake(`"registry ${name}" is not known: use ${known.join(', ')}`);
  }
  const values = valuesOf(command, commandLine.slice(2));
  for (const each of command.required)
    if (!values[each]) throw new UsageMistake(`${each} is missing: call registry ${command.usage}`);
  return {
    command,
    given: { value: (each) => values[each] ?? '', optional: (each) => values[each] },
  };
}

/** Options by name; the one argument that is no option is `file`. */
function valuesOf(command: Command, rest: string[]): Record<string, string | undefined> {
  const takesFile = command.required.includes('file');
  const names = [...command.required, ...command.optional].filter((name) => name !== 'file');
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  try {
    const { values, positionals } = parseArgs({
      args: rest,
      options,
      allowPositionals: takesFile,
    });
    if (positionals.length > 1) throw new Error(`one file at a time, not ${positionals.length}`);
    const [file] = positionals;
    return { ...values, file };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('. ')[0] : 'wrong arguments';
    throw new UsageMistake(`${reason}: call registry ${command.usage}`);
  }
}

async function createAuthority(given: Given, output: Output): Promise<void> {
  const files = filesIn(given.value('out'), CA_CERTIFICATE, CA_KEY);
  await refuseExisting([files.certificate, files.key]);
  const years = numberOf(given.optional('years'), 'years');
  const authority = await createCertificateAuthority({
    name: given.optional('name') ?? 'Registry Cluster CA',
    ...(years === undefined ? {} : { years }),
  });
  await writeAll(given.value('out'), authority, files);
  output(`CA certificate, for all instances: ${files.certificate}`);
  output(`CA private key, for nobody else: ${files.key}`);
  output(`certificate id: ${authority.certificateId}`);
}

async function issueInstance(given: Given, output: Output): Promise<void> {
  const endpoint = given.value('endpoint');
  await issueInto(given, output, (wanted) => issueInstanceCertificate({ ...wanted, endpoint }));
}

async function issueApplication(given: Given, output: Output): Promise<void> {
  await issueInto(given, output, issueApplicationCertificate);
}

interface Wanted {
  readonly authority: CertificateAuthority;
  readonly name: string;
  readonly days?: number;
  readonly keyPem?: string;
}

async function issueInto(
  given: Given,
  output: Output,
  issue: (wanted: Wanted) => Promise<IssuedCertificate>,
): Promise<void> {
  const existingKey = given.optional('key');
  const { certificate, key } = filesIn(given.value('out'), CERTIFICATE, KEY);
  const files = existingKey === undefined ? { certificate, key } : { certificate };
  await refuseExisting(Object.values(files));
  const days = numberOf(given.optional('days'), 'days');
  const issued = await issue({
    authority: await readAuthority(given.value('ca')),
    name: given.value('name'),
    ...(days === undefined ? {} : { days }),
    ...(existingKey === undefined ? {} : { keyPem: await read(existingKey) }),
  });
  await writeAll(given.value('out'), issued, files);
  output(`certificate: ${certificate}`);
  output(`private key: ${existingKey ?? key}`);
  output(`certificate id: ${issued.certificateId}`);
}

async function show(given: Given, output: Output): Promise<void> {
  const file = given.value('file');
  const outcome = readCertificate(await read(file));
  if (outcome.outcome === 'refused')
    throw new CertificateMistake(`${file}: ${outcome.code}: ${outcome.reason}`);
  const { certificateId, subject, endpoint, notBefore, notAfter, usages } = outcome.certificate;
  output(`certificate id: ${certificateId}`);
  output(`subject: ${subject.replaceAll('\n', ', ')}`);
  output(`kind: ${usages.server ? 'instance' : 'application, operator or auditor'}`);
  if (endpoint !== undefined) output(`endpoint: ${endpoint}`);
  output(`valid: ${notBefore} to ${notAfter}`);
}

interface Files {
  readonly certificate: string;
  /** Absent where the key exists already. */
  readonly key?: string;
}

function filesIn(directory: string, certificate: string, key: string): Required<Files> {
  return { certificate: join(directory, certificate), key: join(directory, key) };
}

async function readAuthority(directory: string): Promise<CertificateAuthority> {
  const files = filesIn(directory, CA_CERTIFICATE, CA_KEY);
  return { certificatePem: await read(files.certificate), privateKeyPem: await read(files.key) };
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new FileMistake(`${file} cannot be read (${codeOf(error)}): name a file that is there`);
  }
}

/** Asked before anything is made; the writing itself refuses once more. */
async function refuseExisting(files: readonly string[]): Promise<void> {
  for (const file of files) {
    const exists = await access(file).then(
      () => true,
      () => false,
    );
    if (exists) throw new FileMistake(existing(file));
  }
}

function existing(file: string): string {
  return `${file} exists and is not overwritten: name another directory, or move the file away`;
}

/** The key first: a certificate without its key is of no use. */
async function writeAll(directory: string, issued: IssuedCertificate, files: Files): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new FileMistake(`${directory} cannot be made (${codeOf(error)}): name another directory`);
  }
  if (files.key !== undefined) await write(files.key, issued.privateKeyPem, 0o600);
  await write(files.certificate, issued.certificatePem, 0o644);
}

async function write(file: string, text: string, mode: number): Promise<void> {
  try {
    await writeFile(file, text, { flag: 'wx', mode });
  } catch (error) {
    const code = codeOf(error);
    throw new FileMistake(
      code === 'EEXIST'
        ? existing(file)
        : `${file} cannot be written (${code}): check its directory`,
    );
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

function numberOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,5}$/.test(text))
    throw new UsageMistake(`--${name} ${text}: expected a whole number, such as --${name} 10`);
  return Number(text);
}
