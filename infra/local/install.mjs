// Installs what is missing, before anything else runs: plain JavaScript for any Node from 20 on.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..', '..');
const stamp = join(root, 'node_modules', '.installed-lock');
/** Whoever has it installs; the others wait. Not in node_modules, which npm empties. */
const turn = join(root, '.installing');

/** The holder touches the file so often. */
const BEAT_MS = 1000;
/** A holder that does not is gone: its process id may be somebody else's by now. */
const SILENT_MS = 20_000;
const OLD_MS = 3_600_000;

const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  console.error(`Node ${process.versions.node} is too old: install Node 20 or newer.`);
  process.exit(1);
}

const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');

if (!isInstalled()) {
  await takeTurn();
  // Another command may have installed it meanwhile.
  const status = isInstalled() ? 0 : await install();
  rmSync(turn, { force: true });
  if (status !== 0) {
    console.error('The installation failed: see above; then run the same command again.');
    process.exit(1);
  }
}

function isInstalled() {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === lock;
}

async function install() {
  console.log('Installing what is missing (once, about half a minute) …');
  const npm = process.env.npm_execpath;
  const options = ['ci', '--loglevel=error', '--no-audit', '--no-fund'];
  const [command, words] =
    npm === undefined ? ['npm', options] : [process.execPath, [npm, ...options]];
  const child = spawn(command, words, { cwd: root, stdio: 'inherit' });
  writeFileSync(turn, said(child.pid));
  const beat = setInterval(touch, BEAT_MS);
  // The turn is over when npm is, not before.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => child.kill(signal));
  const status = await new Promise((resolve) => {
    child.on('error', (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.on('exit', (code) => resolve(code ?? 1));
  });
  clearInterval(beat);
  if (status === 0) writeFileSync(stamp, lock);
  return status;
}

function touch() {
  if (existsSync(turn)) utimesSync(turn, new Date(), new Date());
}

function said(npm) {
  return JSON.stringify({ host: hostname(), pids: [process.pid, npm].filter(Boolean) });
}

/** Resolves when this process alone installs. */
async function takeTurn() {
  let told = false;
  const watched = { state: '', since: 0 };
  while (!isTaken()) {
    const held = look();
    if (held === undefined) continue;
    if (isDead(held) || isSilent(held, watched)) {
      takeAway(held.text);
      continue;
    }
    if (!told) console.log('Another command is installing what is missing: waiting for it …');
    told = true;
    await setTimeout(BEAT_MS / 4);
  }
}

function isTaken() {
  try {
    writeFileSync(turn, said(), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
}

/** By this process's own clock, so that a machine that slept counts for nothing. */
function isSilent({ text, touched }, watched) {
  const state = `${text} ${touched}`;
  if (state !== watched.state) Object.assign(watched, { state, since: performance.now() });
  return performance.now() - watched.since > SILENT_MS;
}

/** Undefined: it has just been given back. */
function look() {
  try {
    return { text: readFileSync(turn, 'utf8'), touched: statSync(turn).mtimeMs };
  } catch {
    return undefined;
  }
}

function isDead({ text, touched }) {
  if (Date.now() - touched > OLD_MS) return true;
  try {
    const { host, pids } = JSON.parse(text);
    return host === hostname() && !pids.some(isAlive);
  } catch {
    // It is being written.
    return false;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** What a dead holder left. Where somebody was quicker, theirs is put back. */
function takeAway(text) {
  const aside = `${turn}.${process.pid}`;
  try {
    renameSync(turn, aside);
    if (readFileSync(aside, 'utf8') !== text) linkSync(aside, turn);
  } catch {
    // Somebody else took it away.
  }
  rmSync(aside, { force: true });
}
