/** The commands about documents: recording them, finding them, getting their bytes. */
import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { hashContent } from '../shared/client/content-source.ts';
import { RegistryError } from '../shared/client/problem.ts';
import type { RegistryClient } from '../shared/client/registry-client.ts';
import type { DocumentVersion } from '../shared/client/verified-documents.ts';
import { isDigest } from '../shared/ledger/digest.ts';
import { LOOK_BYTES, lookOfContent } from '../shared/registry/look-of-content.ts';
import {
  CommandMistake,
  type Commands,
  codeOf,
  type Given,
  numberOf,
  type Output,
  unreadable,
} from './command.ts';
import {
  NO_FOLLOW,
  supersedesOf,
  tellConfirmed,
  waitingOf,
  withClient,
  withClientAt,
} from './connected.ts';
import { mediaTypeOf } from './media-types.ts';
import { short, versionLine } from './tables.ts';

export const documentCommands: Commands = {
  upload: {
    usage:
      'upload --profile <file> --registry <id> --document <id> --file <path> ' +
      '[--name <text>] [--note <text>] [--media-type <type>] [--version <number>] ' +
      '[--supersedes <sequence>] [--wait <seconds>] [--no-follow]',
    required: ['profile', 'registry', 'document', 'file'],
    optional: ['name', 'note', 'media-type', 'version', 'supersedes', 'wait'],
    flags: [NO_FOLLOW],
    run: upload,
  },
  give: {
    usage: 'give --profile <file> --registry <id> --file <path>',
    required: ['profile', 'registry', 'file'],
    optional: [],
    run: give,
  },
  download: {
    usage:
      'download --profile <file> --registry <id> --document <id> --version <number> --out <path>',
    required: ['profile', 'registry', 'document', 'version', 'out'],
    optional: [],
    run: download,
  },
  documents: {
    usage: 'documents --profile <file> --registry <id>',
    required: ['profile', 'registry'],
    optional: [],
    run: documents,
  },
  document: {
    usage: 'document --profile <file> --registry <id> --document <id>',
    required: ['profile', 'registry', 'document'],
    optional: [],
    run: versions,
  },
  contents: {
    usage: 'contents <file or SHA-256> --profile <file>',
    required: ['profile', 'file'],
    optional: [],
    positional: 'file',
    run: contents,
  },
};

async function upload(given: Given, output: Output): Promise<void> {
  const work = async (client: RegistryClient) => {
    const registryId = given.value('registry');
    const sequence = await recordOnce(client, given, output);
    await tellConfirmed(client, { registryId, sequence, ...waitingOf(given) }, output);
  };
  await withClient(given, work, ({ lead, endpoint }) =>
    output(`recording at ${endpoint}, where the lead ${short(lead)} is, not at the profile's`),
  );
}

/** The entry of the version with these bytes: the newest one if it has them, or a new one. */
async function recordOnce(client: RegistryClient, given: Given, output: Output): Promise<number> {
  const path = given.value('file');
  const registryId = given.value('registry');
  const documentId = given.value('document');
  const version = numberOf(given.optional('version'), 'version');
  const note = given.optional('note');
  const mediaType = given.optional('media-type') ?? mediaTypeOf(path);
  const { warning } = lookOfContent(await beginningOf(path), mediaType);
  if (warning !== undefined) output(`warning: ${path} is ${warning}`);
  const replaced = await supersedesOf(client, given);
  const isNext = version === undefined && replaced.supersedes === undefined;
  const newest = isNext ? await newestOf(client, given) : undefined;
  if (newest !== undefined && (await isContentOf(path, newest))) {
    output(
      `these are the very bytes of version ${newest.version} (entry ${newest.entry.sequence}): ` +
        `nothing recorded; --version ${newest.version + 1} records them again`,
    );
    return newest.entry.sequence;
  }
  const recorded = await client.uploadDocument(registryId, {
    documentId,
    content: path,
    name: given.optional('name') ?? basename(path),
    mediaType,
    ...(note === undefined ? {} : { note }),
    ...(version === undefined ? {} : { version }),
    ...replaced,
  });
  output(`${recorded.documentId} version ${recorded.version}: entry ${recorded.sequence}`);
  output(`entry digest   ${recorded.digest}`);
  output(`content digest ${recorded.contentDigest} (${recorded.size} bytes)`);
  return recorded.sequence;
}

/** The newest version, in the lead's words: a mirror may be behind. */
async function newestOf(
  client: RegistryClient,
  given: Given,
): Promise<DocumentVersion | undefined> {
  const registryId = given.value('registry');
  const documentId = given.value('document');
  try {
    const { role, peers } = await client.unverified.registry(registryId);
    if (role === 'lead') return await client.document(registryId, documentId);
    const lead = peers.find((each) => each.role === 'lead');
    // It is not asked, so that the upload is refused, and says who leads.
    if (lead === undefined || given.flag(NO_FOLLOW)) return undefined;
    const { endpoint } = await client.certificate(lead.peer);
    return await withClientAt(endpoint, given, (at) => at.document(registryId, documentId));
  } catch (error) {
    if (error instanceof RegistryError && ABSENT.has(error.code)) return undefined;
    throw error;
  }
}

const ABSENT: ReadonlySet<string> = new Set(['DOCUMENT_UNKNOWN', 'REGISTRY_UNKNOWN']);

/** A file of another size is not read for it. */
async function isContentOf(path: string, version: DocumentVersion): Promise<boolean> {
  if ((await stat(path)).size !== version.size) return false;
  return (await hashContent(path)).contentDigest === version.contentDigest;
}

/** What the look is taken of. */
async function beginningOf(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(LOOK_BYTES), 0, LOOK_BYTES, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw unreadable(path, codeOf(error));
  }
}

/** Bytes that the instance lacks: nothing is recorded, and nothing that is no version is sent. */
async function give(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const path = given.value('file');
    const registryId = given.value('registry');
    const { contentDigest } = await hashContent(path);
    if (!(await isRegisteredIn(client, registryId, contentDigest)))
      throw new CommandMistake(
        `${path} (SHA-256 ${contentDigest}) is no version of a document in this registry, as ` +
          `${client.endpoint} knows it: \`registry upload\` records a new one`,
      );
    const { outcome, size } = await client.giveContent(registryId, path);
    const done = outcome === 'sent' ? 'has them now' : 'had them before: nothing was sent';
    output(`${size} bytes, SHA-256 ${contentDigest}: ${client.endpoint} ${done}`);
  });
}

async function isRegisteredIn(client: RegistryClient, registryId: string, contentDigest: string) {
  for await (const version of client.contents(contentDigest))
    if (version.registryId === registryId) return true;
  return false;
}

async function download(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const number = numberOf(given.value('version'), 'version') ?? 0;
    const document = given.value('document');
    const version = await client.version(given.value('registry'), document, number);
    const target = given.value('out');
    await client.downloadTo(version, target);
    output(`${target}: ${version.size} bytes, SHA-256 ${version.contentDigest} as recorded`);
  });
}

async function documents(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    let count = 0;
    for await (const document of client.documents(given.value('registry'))) {
      count += 1;
      output(versionLine(document));
    }
    if (count === 0) output('this registry has no documents');
  });
}

async function versions(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    for await (const version of client.versions(given.value('registry'), given.value('document'))) {
      output(versionLine(version));
      output(`  SHA-256 ${version.contentDigest}`);
    }
  });
}

/** Not done where the file is not registered, so that scripts can ask. */
async function contents(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const named = given.value('file');
    const contentDigest = await digestOf(named);
    let count = 0;
    for await (const version of client.contents(contentDigest)) {
      count += 1;
      output(`registry ${version.registryId}  ${versionLine(version)}`);
    }
    if (count === 0)
      throw new CommandMistake(
        `SHA-256 ${contentDigest} is not registered at ${client.endpoint}: other instances may ` +
          'hold other registries',
      );
  });
}

/** Of a file, or as it was given; a file that is named like a digest is a file. */
async function digestOf(named: string): Promise<string> {
  const isFile = await stat(named).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isFile && isDigest(named)) return named;
  return (await hashContent(named)).contentDigest;
}
