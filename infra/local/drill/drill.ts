/** `npm run drill -- <kind>`: a cluster on this machine, on which something goes wrong for real. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Cluster, startCluster } from '../cluster.ts';
import { prepareMembers } from '../members.ts';
import { createNarrator, duration } from '../narrator.ts';
import { freePorts } from '../port.ts';
import { type Drill, drills, holdDrill } from './drills.ts';

interface Options {
  readonly drill: Drill;
  readonly manner: string;
  /** A new one, which goes away at the end, unless given. */
  readonly directory?: string;
}

const USAGE = 'npm run drill -- <kind> [--resolve <manner>] [--directory <folder>]';

/** Undefined: the kinds are asked for. Throws a sentence for what is none. */
function readOptions(args: string[]): Options | undefined {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { resolve: { type: 'string' }, directory: { type: 'string' } },
  });
  const [kind, ...others] = positionals;
  if (kind === undefined) return undefined;
  const drill = drills.find((each) => each.kind === kind);
  if (drill === undefined || others.length > 0)
    throw new Error(
      `"${positionals.join(' ')}" is no drill: choose one of ${drills.map((each) => each.kind).join(', ')}`,
    );
  const { directory, resolve: manner = drill.manners[0] } = values;
  if (!drill.manners.includes(manner))
    throw new Error(
      `--resolve ${manner}: the drill ${kind} is resolved by ${drill.manners.join(' or ')}`,
    );
  return { drill, manner, ...(directory === undefined ? {} : { directory: resolve(directory) }) };
}

function listKinds(): void {
  console.log(`${USAGE}\n`);
  for (const { kind, cause, manners } of drills)
    console.log(`  ${kind.padEnd(20)} ${cause}; resolved by ${manners.join(' or ')}`);
}

let cluster: Cluster | undefined;
let stopping = false;
/** Made for this drill. */
let scratch: string | undefined;

/** Ctrl-C at any moment: everything ends, and nothing is left behind but what shows a failure. */
async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  await cluster?.close();
  if (scratch !== undefined && code !== 1) rmSync(scratch, { recursive: true, force: true });
  process.exit(code);
}

async function main({ drill, manner, directory: kept }: Options): Promise<void> {
  const narrator = createNarrator((line) => console.log(line));
  if (kept === undefined) scratch = mkdtempSync(join(tmpdir(), 'registry-drill-'));
  const directory = kept ?? scratch ?? '';
  narrator.plain(`Drill ${drill.kind}: ${drill.cause}. Resolved by ${manner}.`);
  narrator.plain(`Starting four instances on this machine; what they keep is in ${directory}`);
  if (kept === undefined)
    narrator.plain(
      '   That goes away at the end, and the conflict file with it: --directory <folder> keeps it.',
    );
  const started = performance.now();
  const members = await prepareMembers(directory, await freePorts(4));
  cluster = await narrator.during('starting', () =>
    startCluster({
      directory,
      instances: members.map(({ instance }) => ({ ...instance, offline: false })),
      inMemory: kept === undefined,
      sweepSeconds: 1,
    }),
  );
  narrator.plain(`   up after ${duration(performance.now() - started)}`);
  const site = { cluster, members, narrator, directory: join(directory, 'drill') };
  await holdDrill(site, drill, manner);
  narrator.plain(`\nThe drill is over after ${duration(performance.now() - started)}.`);
  const { refused } = cluster.rights();
  for (const { instance, sentence } of refused) narrator.at(instance, `refused: ${sentence}`);
  await stop(refused.length === 0 ? 0 : 1);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => void stop(130));

try {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) listKinds();
  else await main(options);
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  console.error(stopping ? 'stopped' : `\n${reason}`);
  if (reason.startsWith('Unknown option')) console.error(USAGE);
  if (scratch !== undefined && !stopping) console.error(`Logs and files are kept in ${scratch}`);
  await stop(1);
}
