/** The commands about documents: recording them, finding them, getting their bytes. */
import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { hashContent } from '../shared/client/content-source.ts';
import { isDigest } from '../shared/ledger/digest.ts';
import { LOOK_BYTES, lookOfContent } from '../shared/registry/look-of-content.ts';
import {
  CommandMistake,
  type Commands,
  codeOf,
  type Given,
  numberOf,
  type Output,
} from './command.ts';
import { NO_FOLLOW, tellConfirmed, waitOf, withClient } from './connected.ts';
import { mediaTypeOf } from './media-types.ts';
import { versionLine } from './tables.ts';

export const documentCommands: Commands = {
  upload: {
    usage:
      'upload --profile <file> --registry <id> --document <id> --file <path> ' +
      '[--name <text>] [--note <text>] [--media-type <type>] [--version <number>] ' +
      '[--wait <seconds>] [--no-follow]',
    required: ['profile', 'registry', 'document', 'file'],
    optional: ['name', 'note', 'media-type', 'version', 'wait'],
    flags: [NO_FOLLOW],
    run: upload,
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
  await withClient(given, async (client) => {
    const path = given.value('file');
    const registryId = given.value('registry');
    const version = numberOf(given.optional('version'), 'version');
    const note = given.optional('note');
    const mediaType = given.optional('media-type') ?? mediaTypeOf(path);
    const { warning } = lookOfContent(await beginningOf(path), mediaType);
    if (warning !== undefined) output(`warning: ${path} is ${warning}`);
    const recorded = await client.uploadDocument(registryId, {
      documentId: given.value('document'),
      content: path,
      name: given.optional('name') ?? basename(path),
      mediaType,
      ...(note === undefined ? {} : { note }),
      ...(version === undefined ? {} : { version }),
    });
    output(`${recorded.documentId} version ${recorded.version}: entry ${recorded.sequence}`);
    output(`entry digest   ${recorded.digest}`);
    output(`content digest ${recorded.contentDigest} (${recorded.size} bytes)`);
    const { sequence } = recorded;
    await tellConfirmed(client, { registryId, sequence, seconds: waitOf(given) }, output);
  });
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
    throw new CommandMistake(
      `${path} cannot be read (${codeOf(error)}): name a file that is there`,
    );
  }
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
