/** `npm start`: a cluster on this machine, the story, and then it stays up to be used. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { readConflictAlarm } from './alarm.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { lockDirectory } from './directory-lock.ts';
import { type Member, prepareMembers } from './members.ts';
import { createNarrator, duration, type Narrator } from './narrator.ts';
import { RIGHTS_FILE, type RightsReport } from './rights-report.ts';
import { type Told, tellStory } from './story.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const FIRST_PORT = 8441;

interface Options {
  readonly directory: string;
  readonly firstPort: number;
  readonly exit: boolean;
  readonly file?: string;
}

const USAGE =
  'npm start -- [--exit] [--file <path>] [--directory <folder>] [--port <first of four ports>]';

function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      exit: { type: 'boolean', default: false },
      file: { type: 'string' },
      directory: { type: 'string', default: join(ROOT, '.registry') },
      port: { type: 'string', default: String(FIRST_PORT) },
    },
  });
  const firstPort = Number(values.port);
  if (!Number.isInteger(firstPort) || firstPort < 1024 || firstPort > 65_000)
    throw new Error(`--port ${values.port}: expected a number from 1024 to 65000`);
  if (values.file !== undefined && !existsSync(values.file))
    throw new Error(`--file ${values.file}: there is no such file`);
  const { exit, directory, file } = values;
  return {
    directory: resolve(directory),
    firstPort,
    exit,
    ...(file === undefined ? {} : { file: resolve(file) }),
  };
}

const narrator = createNarrator((line) => console.log(line));
let cluster: Cluster | undefined;
let stopping = false;

/** Ctrl-C at any moment: everything ends, and nothing is left behind. */
async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  await cluster?.close();
  process.exit(code);
}

async function main(options: Options): Promise<void> {
  narrator.plain(
    `Starting three instances on this machine; everything they keep is in ${options.directory}`,
  );
  const started = performance.now();
  // Before anything in the folder changes: another start may be running in it.
  const release = lockDirectory(options.directory);
  const members = await prepareMembers(options.directory, options.firstPort);
  cluster = await narrator.during('starting', () =>
    startCluster({
      directory: options.directory,
      instances: members.map(({ instance }) => instance),
      sweepSeconds: 5,
      release,
    }),
  );
  writeEnvironments(cluster, members);
  for (const { name, directory, instance, certificateId } of members)
    if (instance.offline !== true)
      narrator.at(
        name,
        `https://localhost:${instance.port}  certificate id ${certificateId.slice(0, 8)}…  ` +
          `log ${join(directory, 'log.jsonl')}  events ${join(directory, 'events.jsonl')}`,
      );
  narrator.plain(`   up after ${duration(performance.now() - started)}`);
  const told = await tellStory({
    cluster,
    members,
    narrator,
    directory: join(options.directory, 'story'),
    ...(options.file === undefined ? {} : { file: options.file }),
  });
  const sound = await verifyAll(narrator, members);
  const allowed = tellRights(narrator, cluster.rights(), options.directory);
  if (!sound || !allowed) return stop(1);
  if (options.exit) {
    narrator.plain('\nEvery peer has confirmed every entry, and all ledgers verify.');
    return stop(0);
  }
  tellWhatNext(options, members, told);
  soundAlarms(cluster, members);
}

/** While it stays up: whatever conflict any instance opens, in this registry or another one. */
function soundAlarms(running: Cluster, members: readonly Member[]): void {
  const nameOf = (id: string) => members.find((each) => each.certificateId === id)?.name ?? id;
  running.listen((instance, line) => {
    const alarm = readConflictAlarm(instance, line);
    if (alarm === undefined) return;
    const { kind, sequence, registryId, conflictId, accused, finder, detail } = alarm;
    const profile = members.find(({ name }) => name === instance)?.operatorProfile;
    narrator.alarm(`conflict at ${instance}: ${kind} at entry ${sequence}`, [
      `registry ${registryId}`,
      `accused: ${accused === 'open' ? 'nobody yet' : nameOf(accused)}; found by ${nameOf(finder)}`,
      detail.replaceAll(/\b[0-9a-f]{64}\b/g, nameOf),
      'what is proven, what has to happen next, and who has to do it:',
      `npm run -s registry -- conflict ${conflictId} --profile ${profile} --registry ${registryId}`,
    ]);
  });
}

/** What the operator's commands need, for this start: the emulators' ports change. */
function writeEnvironments(running: Cluster, members: readonly Member[]): void {
  for (const { name, directory } of members) {
    const file = join(directory, 'environment.json');
    writeFileSync(file, JSON.stringify(running.environmentOf(name), null, 2), { mode: 0o600 });
  }
}

/** Each instance's whole ledger from its stored bytes, with the command an operator would use. */
async function verifyAll(to: Narrator, members: readonly Member[]): Promise<boolean> {
  to.plain('\nEvery instance verifies its ledgers again from what is stored, documents included:');
  let sound = true;
  for (const { name, directory } of members) {
    const environment = join(directory, 'environment.json');
    const code = await to.during(`verifying ${name}`, () =>
      runCli(['verify', '--environment', environment], (line) => to.at(name, line)),
    );
    sound &&= code === 0;
  }
  return sound;
}

/** Whether the roles of the templates allow all that the functions did. */
function tellRights(to: Narrator, { refused, unused }: RightsReport, directory: string): boolean {
  const count = Object.values(unused).flat().length;
  to.plain(
    `\nRights: ${refused.length} calls were refused by the roles of the templates; ${count} grants ` +
      `were not used, which ${join(directory, RIGHTS_FILE)} lists at the end`,
  );
  for (const { instance, sentence } of refused) to.at(instance, sentence);
  return refused.length === 0;
}

async function runCli(args: readonly string[], onLine: (line: string) => void): Promise<number> {
  const command = [join(ROOT, 'cli', 'registry.ts'), ...args];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', onLine);
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}

function tellWhatNext({ directory }: Options, members: readonly Member[], told: Told): void {
  const [client, , contractor] = members;
  const { registryId, sequence } = told;
  const curl = `--cert ${client?.directory}/application-certificate.pem --key ${client?.directory}/application-key.pem --cacert ${directory}/ca-certificate.pem`;
  const endpoint = `https://localhost:${client?.instance.port}`;
  narrator.plain(`
It stays up. In another terminal, in this folder:

  who confirmed the last entry, as the contractor knows it
    npm run -s registry -- status --profile ${contractor?.profile} --registry ${registryId} --entry ${sequence}
  record a file of your own, and wait until everybody has confirmed it
    npm run -s registry -- upload --profile ${client?.profile} --registry ${registryId} --document DOC-1 --file README.md --wait 60
  verify the contractor's whole ledger from its stored bytes
    npm run -s registry -- verify --environment ${contractor?.directory}/environment.json
  export it, and verify the file without network
    npm run -s registry -- export --environment ${contractor?.directory}/environment.json --registry ${registryId} --out registry.jsonl
    npm run -s registry -- verify-export registry.jsonl --registry ${registryId}
  what the contractor's applications are told, as it happens
    tail -f ${contractor?.directory}/events.jsonl
  the registry as JSON, with curl
    curl ${curl} ${endpoint}/v1/registries/${registryId}

Ctrl-C ends it. Everything is kept in ${directory} and is there at the next start.`);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => void stop(130));

try {
  await main(readOptions(process.argv.slice(2)));
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  console.error(stopping ? 'stopped' : `\n${reason}`);
  if (reason.startsWith('Unknown option')) console.error(USAGE);
  await stop(1);
}
