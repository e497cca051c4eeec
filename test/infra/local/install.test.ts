/** `infra/local/install.mjs` in a folder of its own, with a program in npm's place. */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const SCRIPT = join(import.meta.dirname, '../../../infra/local/install.mjs');

/** As npm does, it cannot bear another one beside it; it writes down that it ran. */
const NPM = `
import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
appendFileSync('ran', 'x');
mkdirSync('running');
await new Promise((resolve) => setTimeout(resolve, 600));
mkdirSync('node_modules', { recursive: true });
rmSync('running', { recursive: true });
process.exit(Number(process.env.NPM_STATUS ?? 0));
`;

function folder() {
  const root = mkdtempSync(join(tmpdir(), 'registry-install-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'infra/local'), { recursive: true });
  cpSync(SCRIPT, join(root, 'infra/local/install.mjs'));
  writeFileSync(join(root, 'package-lock.json'), '{}');
  writeFileSync(join(root, 'npm.mjs'), NPM);
  const run = (variables: Record<string, string> = {}) =>
    new Promise<{ readonly code: number | null; readonly output: string }>((resolve) => {
      const env = { ...process.env, npm_execpath: join(root, 'npm.mjs'), ...variables };
      const child = spawn(process.execPath, [join(root, 'infra/local/install.mjs')], { env });
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (text) => {
          output += String(text);
        });
      child.on('close', (code) => resolve({ code, output }));
    });
  const ran = () => readFileSync(join(root, 'ran'), 'utf8').length;
  const turn = join(root, '.installing');
  return { root, run, ran, turn };
}

test('of commands that begin together one installs, and the others wait for it', async () => {
  const { run, ran, turn } = folder();

  const done = await Promise.all([run(), run(), run()]);
  const later = await run();

  expect(done.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(done.filter(({ output }) => output.includes('waiting for it'))).toHaveLength(2);
  expect(ran()).toBe(1);
  expect(later).toEqual({ code: 0, output: '' });
  expect(existsSync(turn)).toBe(false);
});

test('where the first fails, the one that waited tries itself', async () => {
  const { run, ran, turn } = folder();

  const [first, second] = await Promise.all([run({ NPM_STATUS: '1' }), run({ NPM_STATUS: '1' })]);

  expect([first.code, second.code]).toEqual([1, 1]);
  expect(ran()).toBe(2);
  expect(existsSync(turn)).toBe(false);
});

test('what a dead command left behind stops nobody, also not if its process id lives again', async () => {
  const dead = folder();
  const reused = folder();
  writeFileSync(dead.turn, JSON.stringify({ host: hostname(), pids: [2 ** 22 + 1] }));
  writeFileSync(reused.turn, JSON.stringify({ host: hostname(), pids: [process.pid] }));
  const before = new Date(Date.now() - 2 * 3_600_000);
  utimesSync(reused.turn, before, before);

  const [one, other] = await Promise.all([dead.run(), reused.run()]);

  expect([one.code, other.code]).toEqual([0, 0]);
  expect([dead.ran(), reused.ran()]).toEqual([1, 1]);
  expect(existsSync(dead.turn)).toBe(false);
});
