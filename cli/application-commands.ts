/** The commands of an application: what it can do at its instance, over mutual TLS. */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { readCertificate } from '../shared/ledger/certificate.ts';
import { isCertificateId } from '../shared/ledger/digest.ts';
import { RegistryClient, readProfile } from './client.ts';
import {
  CommandMistake,
  type Commands,
  type Given,
  numberOf,
  type Output,
  readText,
} from './command.ts';
import {
  createRegistry,
  digestFile,
  entryStatus,
  introduce,
  reconfigurePeers,
  uploadDocument,
  waitUntilFinal,
} from './documents.ts';
import { confirmationLines, registryLines } from './tables.ts';

export const applicationCommands: Commands = {
  create: {
    usage: 'create --profile <file> --name <text> [--mirror <certificate file or id>]…',
    required: ['profile', 'name'],
    optional: ['description', 'mirror'],
    repeatable: ['mirror'],
    run: create,
  },
  peers: {
    usage:
      'peers --profile <file> --registry <id> --peer <certificate file or id>… ' +
      '(the whole new list; the first leads)',
    required: ['profile', 'registry', 'peer'],
    optional: [],
    repeatable: ['peer'],
    run: reconfigure,
  },
  upload: {
    usage:
      'upload --profile <file> --registry <id> --document <id> --file <path> ' +
      '[--name <text>] [--note <text>] [--media-type <type>] [--version <number>] [--wait <seconds>]',
    required: ['profile', 'registry', 'document', 'file'],
    optional: ['name', 'note', 'media-type', 'version', 'wait'],
    run: upload,
  },
  status: {
    usage: 'status --profile <file> [--registry <id>] [--entry <sequence>]',
    required: ['profile'],
    optional: ['registry', 'entry'],
    run: status,
  },
  download: {
    usage:
      'download --profile <file> --registry <id> --document <id> --version <number> --out <path>',
    required: ['profile', 'registry', 'document', 'version', 'out'],
    optional: [],
    run: download,
  },
};

async function withClient(given: Given, work: (client: RegistryClient) => Promise<void>) {
  const client = new RegistryClient(await readProfile(given.value('profile')));
  try {
    await work(client);
  } finally {
    client.close();
  }
}

/** Certificate ids; a certificate given as a file is introduced to the instance on the way. */
async function peersOf(client: RegistryClient, named: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const name of named) {
    if (isCertificateId(name)) {
      ids.push(name);
      continue;
    }
    if (/^[0-9a-fA-F]+$/.test(name))
      throw new CommandMistake(
        `${name} is no certificate id: expected 64 lower-case hex digits, or a certificate file`,
      );
    const pem = await readText(name);
    const read = readCertificate(pem);
    if (read.outcome === 'refused')
      throw new CommandMistake(`${name}: ${read.code}: ${read.reason}`);
    ids.push(await introduce(client, pem));
  }
  return ids;
}

interface InstanceAnswer {
  readonly certificateId: string;
  readonly name: string;
}

async function create(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const { body } = await client.call('GET', '/v1/instance');
    const { certificateId } = body as InstanceAnswer;
    const mirrors = await peersOf(client, given.all('mirror'));
    const description = given.optional('description');
    const recorded = await createRegistry(client, {
      name: given.value('name'),
      peers: [certificateId, ...mirrors],
      ...(description === undefined ? {} : { description }),
    });
    output(`registry ${recorded.registryId}`);
    output(`entry 1, digest ${recorded.digest}`);
  });
}

async function reconfigure(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const peers = await peersOf(client, given.all('peer'));
    const recorded = await reconfigurePeers(client, given.value('registry'), peers);
    output(`entry ${recorded.sequence}, digest ${recorded.digest}`);
  });
}

async function upload(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const path = given.value('file');
    const registryId = given.value('registry');
    const version = numberOf(given.optional('version'), 'version');
    const note = given.optional('note');
    const mediaType = given.optional('media-type');
    const recorded = await uploadDocument(client, {
      registryId,
      documentId: given.value('document'),
      path,
      name: given.optional('name') ?? basename(path),
      ...(note === undefined ? {} : { note }),
      ...(version === undefined ? {} : { version }),
      ...(mediaType === undefined ? {} : { mediaType }),
    });
    output(`${recorded.documentId} version ${recorded.version}: entry ${recorded.sequence}`);
    output(`entry digest   ${recorded.digest}`);
    output(`content digest ${recorded.contentDigest} (${recorded.size} bytes)`);
    const wait = numberOf(given.optional('wait'), 'wait');
    if (wait === undefined) return;
    const known = await waitUntilFinal(client, registryId, recorded.sequence, wait * 1000);
    for (const line of confirmationLines(known)) output(line);
  });
}

async function status(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const registryId = given.optional('registry');
    const entry = numberOf(given.optional('entry'), 'entry');
    if (registryId === undefined) {
      const { body } = await client.call('GET', '/v1/registries');
      const { registries } = body as { registries: readonly { readonly registryId: string }[] };
      if (registries.length === 0) output('this instance holds no registry');
      for (const each of registries) output(each.registryId);
      return;
    }
    const lines =
      entry === undefined
        ? registryLines((await client.call('GET', `/v1/registries/${registryId}`)).body)
        : confirmationLines(await entryStatus(client, registryId, entry));
    for (const line of lines) output(line);
  });
}

interface ContentAnswer {
  readonly url: string;
  readonly contentDigest: string;
  readonly size: number;
}

/** Streams to a file beside the target, checks the SHA-256, and only then gives it its name. */
async function download(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const documentId = encodeURIComponent(given.value('document'));
    const version = numberOf(given.value('version'), 'version');
    const { body } = await client.call(
      'GET',
      `/v1/registries/${given.value('registry')}/documents/${documentId}/versions/${version}/content`,
    );
    const { url, contentDigest, size } = body as ContentAnswer;
    const target = given.value('out');
    const partial = `${target}.partial`;
    await fetchTo(url, partial);
    const digest = await digestFile(partial);
    if (digest !== contentDigest) {
      await rm(partial, { force: true });
      throw new CommandMistake(
        `the bytes come out to ${digest}, recorded is ${contentDigest}: nothing was kept; ` +
          'tell the operator of the instance',
      );
    }
    await rename(partial, target);
    output(`${target}: ${size} bytes, SHA-256 ${contentDigest} as recorded`);
  });
}

async function fetchTo(url: string, path: string): Promise<void> {
  const get = url.startsWith('https:') ? httpsGet : httpGet;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  get(url, (response) => {
    if (response.statusCode === 200)
      pipeline(response, createWriteStream(path)).then(resolve, reject);
    else reject(new CommandMistake(`the store answered ${response.statusCode}: call this again`));
  }).on('error', reject);
  await promise;
}
