/** The commands `registry ca …` and `registry certificate …`. */
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readCertificate } from '../shared/ledger/certificate.ts';
import {
  type CertificateAuthority,
  createCertificateAuthority,
  type IssuedCertificate,
  issueApplicationCertificate,
  issueInstanceCertificate,
} from './certificates.ts';
import {
  CommandMistake,
  type Commands,
  codeOf,
  type Given,
  numberOf,
  type Output,
  readText as read,
  runCommand,
} from './command.ts';

/** Names inside a directory: a CA and a certificate may share one. */
const CA_CERTIFICATE = 'ca-certificate.pem';
const CA_KEY = 'ca-key.pem';
const CERTIFICATE = 'certificate.pem';
const KEY = 'key.pem';

export const certificateCommands: Commands = {
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
    positional: 'file',
    run: show,
  },
};

/** Runs one of these commands alone: see `runCommand`. */
export function runCertificateCommand(
  commandLine: readonly string[],
  output: Output,
): Promise<number> {
  return runCommand(certificateCommands, commandLine, output);
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
    throw new CommandMistake(`${file}: ${outcome.code}: ${outcome.reason}`);
  const { certificateId, subject, endpoint, notBefore, notAfter, usages } = outcome.certificate;
  output(`certificate id: ${certificateId}`);
  output(`subject: ${subject.replaceAll('\n', ', ')}`);
  output(`kind: ${usages.server ? 'instance' : 'application, operator or auditor'}`);
  if (endpoint !== undefined) output(`endpoint: ${endpoint}`);
  output(`valid: ${notBefore} to ${notAfter}`);
  const now = new Date();
  if (now < new Date(notBefore))
    throw new CommandMistake(`${file}: CERTIFICATE_NOT_YET_VALID: its time has not begun`);
  if (now > new Date(notAfter))
    throw new CommandMistake(`${file}: CERTIFICATE_EXPIRED: its time is over: renew it`);
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

/** Asked before anything is made; the writing itself refuses once more. */
async function refuseExisting(files: readonly string[]): Promise<void> {
  for (const file of files) {
    const exists = await access(file).then(
      () => true,
      () => false,
    );
    if (exists) throw new CommandMistake(existing(file));
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
    throw new CommandMistake(
      `${directory} cannot be made (${codeOf(error)}): name another directory`,
    );
  }
  if (files.key !== undefined) await write(files.key, issued.privateKeyPem, 0o600);
  await write(files.certificate, issued.certificatePem, 0o644);
}

async function write(file: string, text: string, mode: number): Promise<void> {
  try {
    await writeFile(file, text, { flag: 'wx', mode });
  } catch (error) {
    const code = codeOf(error);
    throw new CommandMistake(
      code === 'EEXIST'
        ? existing(file)
        : `${file} cannot be written (${code}): check its directory`,
    );
  }
}
