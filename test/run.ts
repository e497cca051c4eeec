/**
 * `npm test`: type check, lint, and all tests with the coverage of the ledger. Ends with a line
 * `N passed, N failed`, where a type check or a lint that fails counts as one failure.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);
const scratch = mkdtempSync(join(tmpdir(), 'registry-test-'));
const results = join(scratch, 'results.json');

function step(title: string, command: string, args: readonly string[]): boolean {
  console.log(`\n== ${title}`);
  const started = performance.now();
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`== ${title}: ${status === 0 ? 'done' : 'FAILED'} after ${seconds} s`);
  return status === 0;
}

interface Results {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
}

const checks = [
  step('type check', bin('tsc'), ['--noEmit']),
  step('lint', bin('biome'), ['check', '.']),
];
const green = step('tests', bin('vitest'), [
  'run',
  '--coverage',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${results}`,
  ...process.argv.slice(2),
]);
const tests: Results = existsSync(results)
  ? JSON.parse(readFileSync(results, 'utf8'))
  : { numPassedTests: 0, numFailedTests: 0 };
rmSync(scratch, { recursive: true, force: true });

// A run can fail without a failed test: a file that does not load, coverage below its threshold.
const failedTests = green ? 0 : Math.max(1, tests.numFailedTests);
const failed = failedTests + checks.filter((done) => !done).length;
const passed = tests.numPassedTests + checks.filter((done) => done).length;
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
