import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Claims a folder for this process: two clusters in one folder would write over each other.
 *
 * Gives the function that lets it go. Throws a sentence when a process that still lives holds it;
 * what a dead one left behind is taken over.
 */
export function lockDirectory(directory: string): () => void {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'cluster.pid');
  const holder = holderOf(file);
  if (holder !== undefined)
    throw new Error(
      `${directory} is in use by process ${holder}: stop it first, or use another folder`,
    );
  rmSync(file, { force: true });
  // `wx` refuses where another process was quicker.
  writeFileSync(file, String(process.pid), { flag: 'wx' });
  return () => rmSync(file, { force: true });
}

function holderOf(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}
