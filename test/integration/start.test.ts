import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { RIGHTS_FILE, type RightsReport } from '../../infra/local/rights-report.ts';
import { consecutiveFreePorts } from './local-cluster.ts';
import { unargued } from './unused-grants.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const directories: string[] = [];

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'registry-start-'));
  directories.push(directory);
  return directory;
}

interface Started {
  readonly process: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
}

/** What `npm start -- …` runs, without npm around it. */
function start(args: readonly string[], path = process.env['PATH'] ?? ''): Started {
  const child = spawn(process.execPath, [join(ROOT, 'infra', 'local', 'start.ts'), ...args], {
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { process: child, output: () => output, ended };
}

/** Command lines of processes that name the folder; how Linux shows them. */
function processesNaming(directory: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(join('/proc', pid, 'cmdline'), 'utf8');
        return command.includes(directory) ? [command] : [];
      } catch {
        return [];
      }
    });
}

test('the story ends with every entry confirmed and all ledgers sound, no right missing or to spare, and survives a restart', async () => {
  const directory = newDirectory();
  const port = String(await consecutiveFreePorts(4));
  const options = ['--exit', '--directory', directory, '--port', port];
  // The second time with a file of one's own in place of the model.
  for (const more of [[], ['--file', join(ROOT, 'LICENSE')]]) {
    const { output, ended } = start([...options, ...more]);

    expect(await ended, output()).toBe(0);

    for (let step = 1; step <= 10; step += 1) expect(output()).toContain(`\n${step}  `);
    expect(output()).toContain(
      `records ${more.length === 0 ? 'the model' : 'LICENSE'} as ARC-0001`,
    );
    expect(output()).toMatch(/Every peer has confirmed every entry, and all ledgers verify\.\n$/);
    expect(output()).toContain('!! CONFLICT: LOCAL-TAMPERING AT ENTRY 2');
    const sound = output().match(/: sound: 22 entries, 17 documents/g) ?? [];
    expect(sound).toHaveLength(more.length === 0 ? 4 : 8);
    expect(processesNaming(directory)).toEqual([]);
    const rights: RightsReport = JSON.parse(readFileSync(join(directory, RIGHTS_FILE), 'utf8'));
    expect(rights.refused).toEqual([]);
    expect(unargued(rights)).toEqual({ grants: [], reasons: [] });
  }
}, 300_000);

test('an interrupt at any moment leaves no process behind', async () => {
  const port = String(await consecutiveFreePorts(4));
  for (const moment of ['Starting', 'entry 1, digest']) {
    const directory = newDirectory();
    const started = start(['--directory', directory, '--port', port]);
    while (!started.output().includes(moment)) await setTimeout(20);
    started.process.kill('SIGINT');

    expect(await started.ended, started.output()).toBe(130);

    expect(processesNaming(directory)).toEqual([]);
  }
}, 200_000);

test('a taken port is told in one line that says what to do', async () => {
  const port = await consecutiveFreePorts(4);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');

  const { output, ended } = start(['--directory', newDirectory(), '--port', String(port)]);

  expect(await ended).toBe(1);
  server.close();
  expect(output().trim().split('\n').at(-1)).toMatch(
    new RegExp(`^port ${port} cannot be used \\(EADDRINUSE\\): end the program`),
  );
}, 60_000);

test('a folder in use is told in one line, and nothing in it changes', async () => {
  const directory = newDirectory();
  writeFileSync(join(directory, 'cluster.pid'), String(process.pid));

  const { output, ended } = start(['--directory', directory, '--port', '9999']);

  expect(await ended).toBe(1);
  expect(output().trim().split('\n').at(-1)).toContain(`is in use by process ${process.pid}`);
  expect(readdirSync(directory)).toEqual(['cluster.pid']);
});

test('missing Java is told in one line that says what to do', async () => {
  const port = String(await consecutiveFreePorts(4));
  const onlyNode = dirname(process.execPath);

  const { output, ended } = start(['--directory', newDirectory(), '--port', port], onlyNode);

  expect(await ended).toBe(1);
  expect(output().trim().split('\n').at(-1)).toMatch(/Java.*17/);
}, 60_000);

test.each([
  [['--file', '/nowhere/model.ifc'], /^--file \/nowhere\/model\.ifc: there is no such file/],
  [['--port', 'http'], /^--port http: expected a number from 1024 to 65000/],
  [['--exti'], /npm start -- \[--exit\]/],
])('%j is told in one line that says what to do', async (args, expected) => {
  const { output, ended } = start(args);

  expect(await ended).toBe(1);
  expect(output().trim().split('\n').at(-1)).toMatch(expected);
});
