/** The commands about registries and their peers. */
import type { RegistryClient } from '../shared/client/registry-client.ts';
import { readCertificate } from '../shared/ledger/certificate.ts';
import { isCertificateId } from '../shared/ledger/digest.ts';
import {
  CommandMistake,
  type Commands,
  type Given,
  numberOf,
  type Output,
  readText,
} from './command.ts';
import { NO_FOLLOW, withClient } from './connected.ts';
import { printable, receiptLines, registryLines } from './tables.ts';

export const registryCommands: Commands = {
  create: {
    usage:
      'create --profile <file> --name <text> [--mirror <certificate file or id>]… ' +
      '[--predecessor <id of a registry that is closed there>]',
    required: ['profile', 'name'],
    optional: ['description', 'mirror', 'predecessor'],
    repeatable: ['mirror'],
    run: create,
  },
  peers: {
    usage:
      'peers --profile <file> --registry <id> --peer <certificate file or id>… [--no-follow] ' +
      '(the whole new list; the first leads)',
    required: ['profile', 'registry', 'peer'],
    optional: [],
    repeatable: ['peer'],
    flags: [NO_FOLLOW],
    run: reconfigure,
  },
  status: {
    usage: 'status --profile <file> [--registry <id>] [--entry <sequence>]',
    required: ['profile'],
    optional: ['registry', 'entry'],
    run: status,
  },
};

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
    ids.push(await client.introduceInstance(pem));
  }
  return ids;
}

async function create(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const { certificateId } = await client.instance();
    const mirrors = await peersOf(client, given.all('mirror'));
    const description = given.optional('description');
    const recorded = await client.createRegistry({
      name: given.value('name'),
      peers: [certificateId, ...mirrors],
      ...(description === undefined ? {} : { description }),
      ...(await predecessorOf(client, given)),
    });
    output(`registry ${recorded.registryId}`);
    output(`entry 1, digest ${recorded.digest}`);
  });
}

/** Where the registry that `--predecessor` names ends at the instance. */
async function predecessorOf({ unverified }: RegistryClient, given: Given) {
  const registryId = given.optional('predecessor');
  if (registryId === undefined) return {};
  const { head } = await unverified.registry(registryId);
  return { predecessor: { registryId, sequence: head.sequence, digest: head.digest } };
}

async function reconfigure(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const peers = await peersOf(client, given.all('peer'));
    const recorded = await client.reconfigurePeers(given.value('registry'), peers);
    output(`entry ${recorded.sequence}, digest ${recorded.digest}`);
  });
}

async function status(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const registryId = given.optional('registry');
    const entry = numberOf(given.optional('entry'), 'entry');
    const lines =
      registryId === undefined
        ? await allRegistries(client)
        : entry === undefined
          ? registryLines(await client.unverified.registry(registryId))
          : await entryLines(client, registryId, entry);
    for (const line of lines) output(line);
  });
}

async function allRegistries({ unverified }: RegistryClient): Promise<string[]> {
  const lines: string[] = [];
  for await (const { registryId, name, redacted } of unverified.registries()) {
    const shown = redacted === true ? '(name redacted)' : printable(name ?? '');
    lines.push(`${registryId}  ${shown}`.trimEnd());
  }
  return lines.length === 0 ? ['this instance holds no registry'] : lines;
}

/** What the receipt proves; and where a conflict holds it up, what the instance says of that. */
async function entryLines(
  client: RegistryClient,
  registryId: string,
  sequence: number,
): Promise<string[]> {
  const { receipt } = await client.entry(registryId, sequence);
  const known = await client.unverified.entryStatus(registryId, sequence);
  const conflicts = known.status['conflicts'];
  return [
    ...receiptLines(receipt),
    ...(known.status.status === 'in-conflict' && Array.isArray(conflicts)
      ? [`STOPPED  by ${conflicts.length} open conflict(s): ${conflicts.join(', ')}`]
      : []),
  ];
}
