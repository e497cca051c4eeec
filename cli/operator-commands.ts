/**
 * The commands of an operator: they work on the instance's own table and bucket, with AWS's own
 * variables and the names that its functions have in their environment.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { S3Client } from '@aws-sdk/client-s3';
import * as z from 'zod';
import { DynamoLedgerStore } from '../shared/adapters/aws/dynamo-ledger-store.ts';
import { S3BlobStore } from '../shared/adapters/aws/s3-blob-store.ts';
import { type Digest, isDigest, type RegistryId } from '../shared/ledger/digest.ts';
import { LedgerVerifier, type Report } from '../shared/ledger/verify.ts';
import { type AuditOutcome, auditRegistry } from '../shared/registry/audit.ts';
import { exportLines } from '../shared/registry/export.ts';
import { exportCopyLines } from '../shared/registry/export-copy.ts';
import type { BlobStore, Head, LedgerStore } from '../shared/registry/ports.ts';
import {
  CommandMistake,
  type Commands,
  codeOf,
  type Given,
  numberOf,
  type Output,
  readText,
  requireAbsent,
  unreadable,
  writeWhole,
} from './command.ts';
import { verifyFile } from './conflict-commands.ts';
import { short } from './tables.ts';

export const operatorCommands: Commands = {
  verify: {
    usage:
      'verify [--environment <file>] [--registry <id>] (all registries unless one is named), ' +
      'or verify <conflict file> [--ca <certificate file>] [--registry <id>]',
    required: [],
    optional: ['environment', 'registry', 'ca', 'file'],
    positional: 'file',
    run: verify,
  },
  export: {
    usage:
      'export [--environment <file>] --registry <id> --out <file> [--copy <number>] ' +
      '(of an older copy, which is evidence)',
    required: ['registry', 'out'],
    optional: ['environment', 'copy'],
    run: exportRegistry,
  },
  'verify-export': {
    usage: 'verify-export <file> [--registry <id>] [--head <digest of the last entry>]',
    required: ['file'],
    optional: ['registry', 'head'],
    positional: 'file',
    run: verifyExport,
  },
};

interface Storage {
  readonly store: LedgerStore;
  readonly blobs: BlobStore;
}

/** The variables of a file over those of the process; all of them are texts. */
async function openStorage(given: Given): Promise<Storage> {
  const file = given.optional('environment');
  const named = file === undefined ? {} : environmentOf(file, await readText(file));
  // The SDK reads endpoints, region and credentials from the process's environment.
  Object.assign(process.env, named);
  const { TABLE_NAME: tableName, BUCKET_NAME: bucketName } = process.env;
  if (tableName === undefined || bucketName === undefined)
    throw new CommandMistake(
      'TABLE_NAME and BUCKET_NAME are not set: set them to the table and the bucket of the ' +
        'instance, or name a file with them as --environment',
    );
  return {
    store: new DynamoLedgerStore({ client: new DynamoDBClient({}), tableName }),
    blobs: new S3BlobStore({ client: new S3Client({}), bucketName }),
  };
}

function environmentOf(file: string, text: string): Record<string, string> {
  try {
    return z.record(z.string(), z.string()).parse(JSON.parse(text));
  } catch {
    throw new CommandMistake(`${file} is no environment: expected a JSON object of texts`);
  }
}

function registryOf(given: Given): RegistryId | undefined {
  const named = given.optional('registry');
  if (named === undefined || isDigest(named)) return named;
  throw new CommandMistake(`--registry ${named}: expected a registry id, 64 hex digits`);
}

async function verify(given: Given, output: Output): Promise<void> {
  const file = given.optional('file');
  if (file !== undefined) {
    await verifyFile(file, given, output);
    return;
  }
  const storage = await openStorage(given);
  const named = registryOf(given);
  const ids = named === undefined ? await allRegistries(storage.store) : [named];
  if (ids.length === 0) output('this instance holds no registry');
  let wrong = 0;
  for (const registryId of ids) {
    const report = await auditRegistry(storage, registryId);
    if (report.outcome !== 'sound') wrong += 1;
    output(`${registryId}: ${reportText(report)}`);
    for (const line of olderCopies(await storage.store.head(registryId))) output(line);
    if (report.outcome === 'wrong') output(nextLine(registryId, report.sequence));
  }
  if (wrong > 0) throw new CommandMistake(`${wrong} of ${ids.length} ledgers are wrong`);
}

/** They are not read: they are evidence, and may well be wrong. */
function olderCopies(head: Head | undefined): string[] {
  if (head === undefined || head.copy === 1) return [];
  const older = Array.from({ length: head.copy - 1 }, (_, index) => index + 1).join(', ');
  return [
    `  that is copy ${head.copy}; older ones are kept as evidence: ${older}; write one with ` +
      '"registry export --copy"',
  ];
}

/** Nothing is recorded by this command: only the instance itself can say it in its own name. */
function nextLine(registryId: RegistryId, sequence: number): string {
  return (
    '  next: change nothing. The audit of this instance records it as its conflict when it comes to ' +
    `entry ${sequence}; to have it do so now, invoke its function Audit with ` +
    `${JSON.stringify({ registryId, entries: [sequence] })} ("An audit at once" in infra/README.md)`
  );
}

function reportText(report: AuditOutcome): string {
  switch (report.outcome) {
    case 'unknown-registry':
      return 'this instance holds no such registry';
    case 'wrong':
      return `WRONG at entry ${report.sequence}: ${report.code}: ${report.detail}`;
    case 'sound': {
      const { entries, documents, documentsPending, bytes, confirmations, headDigest } = report;
      const pending = documentsPending === 0 ? '' : `, ${documentsPending} still to be fetched`;
      return (
        `sound: ${entries} entries, ${documents} documents (${bytes} bytes)${pending}, ` +
        `${confirmations} confirmations; head ${headDigest}`
      );
    }
  }
}

async function allRegistries(store: LedgerStore): Promise<RegistryId[]> {
  const all: RegistryId[] = [];
  for (;;) {
    const page = await store.registries(all.at(-1), 100);
    if (page.length === 0) return all;
    all.push(...page);
  }
}

async function exportRegistry(given: Given, output: Output): Promise<void> {
  const out = given.value('out');
  await requireAbsent(out);
  const { store } = await openStorage(given);
  const registryId = registryOf(given);
  const head = registryId === undefined ? undefined : await store.head(registryId);
  if (registryId === undefined || head === undefined)
    throw new CommandMistake(`${registryId}: this instance holds no such registry`);
  const copy = numberOf(given.optional('copy'), 'copy') ?? head.copy;
  if (copy < 1 || copy > head.copy)
    throw new CommandMistake(`--copy ${copy}: this instance has the copies 1 to ${head.copy}`);
  const older = copy < head.copy;
  let lines = 0;
  const text = async function* () {
    const all = older ? exportCopyLines(store, head, copy) : exportLines(store, registryId);
    for await (const line of all) {
      lines += 1;
      yield line;
      yield Buffer.from('\n');
    }
  };
  await writeWhole(out, text());
  output(`${out}: ${lines} lines`);
  if (older)
    output(
      `copy ${copy} of ${head.copy}: it was set aside or taken back, and counts no more. ` +
        '"registry verify-export" says whether it is a sound chain, or what is wrong where',
    );
}

async function verifyExport(given: Given, output: Output): Promise<void> {
  const file = given.value('file');
  const registryId = registryOf(given);
  const head = headOf(given);
  const verifier = new LedgerVerifier({
    rules: true,
    ...(registryId === undefined ? {} : { registryId: registryId as Digest }),
  });
  const input = await opened(file);
  try {
    await feed(verifier, input, file);
  } finally {
    await input.close();
  }
  const report = verifier.end();
  if ('code' in report) throw new CommandMistake(`${file}: ${report.code}: ${report.detail}`);
  if (head !== undefined && head !== report.headDigest)
    throw new CommandMistake(
      `${file}: WRONG HEAD: its last entry is ${report.entries}, digest ${report.headDigest}: it ` +
        'was cut, or exported at another time than that head',
    );
  output(`${file}: sound: registry ${report.registryId}, ${report.entries} entries`);
  for (const line of [...headLines(report, head), ...historyLines(report)]) output(line);
}

async function feed(verifier: LedgerVerifier, input: FileHandle, file: string): Promise<void> {
  for await (const line of createInterface({ input: input.createReadStream(), crlfDelay: 0 })) {
    const finding = verifier.line(Buffer.from(line));
    if (finding !== undefined)
      throw new CommandMistake(
        `${file}: WRONG at entry ${finding.sequence}: ${finding.code}: ${finding.detail}`,
      );
  }
}

/** The digest that the last entry must have, if one is named. */
function headOf(given: Given): Digest | undefined {
  const named = given.optional('head');
  if (named === undefined || isDigest(named)) return named;
  throw new CommandMistake(`--head ${named}: expected the digest of an entry, 64 hex digits`);
}

/** A pipe will do, a folder will not. */
async function opened(file: string): Promise<FileHandle> {
  const handle = await open(file).catch((error: unknown) => {
    throw unreadable(file, codeOf(error));
  });
  if (!(await handle.stat()).isDirectory()) return handle;
  await handle.close();
  throw unreadable(file, 'EISDIR');
}

/** What a sound file does not say of itself. */
const NOT_SHOWN: readonly string[] = [
  '  ids stand for keys: no certificate is in an export, and no CA was asked',
  '  confirmations and closings may have been left out: compare with the export of a second instance',
];

/** A beginning of a ledger is a ledger: only another source shows that nothing is missing. */
function headLines({ entries, headDigest }: Report, wanted: Digest | undefined): string[] {
  const line = `  head   entry ${entries}, digest ${headDigest}`;
  if (wanted !== undefined) return [`${line}, as given`, ...NOT_SHOWN];
  return [
    line,
    ...NOT_SHOWN,
    '  a file that was cut after a commit looks the same: compare entries and head digest with ' +
      'what an instance or a receipt says',
  ];
}

/** How the entry at which an instance has closed the registry stands to this ledger. */
const CLOSED_AT: Record<Report['closings'][number]['entry'], string> = {
  held: 'it is in this ledger',
  another: 'this ledger has ANOTHER entry there',
  beyond: 'this ledger ends before it',
};

function historyLines(report: Report): string[] {
  const { confirmations, redactions, resolutions, superseded, closings, predecessor } = report;
  return [
    ...(predecessor === undefined
      ? []
      : [
          `  continues the registry ${predecessor.registryId}, closed at entry ` +
            `${predecessor.sequence}, digest ${predecessor.digest}: verify its export, too`,
        ]),
    ...confirmations.map(
      ({ signer, count, newest }) =>
        `  ${short(signer)} has confirmed ${count} times, newest through entry ${newest}`,
    ),
    ...redactions.map(
      ({ sequence, signer, decidedBy }) =>
        `  entry ${sequence}: details redacted at ${short(signer)}, decided by ${short(decidedBy)}`,
    ),
    ...resolutions.map(
      ({ sequence, digest, manner, signer, decidedBy }) =>
        `  entry ${sequence} carries out the resolution ${short(digest)}: ${manner}, decided by ` +
        `${short(decidedBy)} at ${short(signer)}`,
    ),
    ...superseded.map(({ sequence, replacement }) =>
      replacement === undefined
        ? `  entry ${sequence} is void`
        : `  entry ${sequence} is void; entry ${replacement} takes its place`,
    ),
    ...closings.map(
      ({ signer, sequence, digest, entry }) =>
        `  ${short(signer)} has closed the registry at entry ${sequence}, digest ${digest}: ` +
        CLOSED_AT[entry],
    ),
  ];
}
