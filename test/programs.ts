import { spawnSync } from 'node:child_process';

/**
 * Whether the program is on the PATH of this machine. What people do with it is tested where it is
 * there: nothing but Node and Java is asked of a machine that runs the tests.
 */
export function isOnPath(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;
}
