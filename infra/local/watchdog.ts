/**
 * Runs a program for as long as somebody holds the other end of standard input.
 *
 * Usage: `node watchdog.ts <program> <argument>…`. The pipe closes however the process that holds
 * it ends, `kill -9` included, which no signal handler in that process could promise.
 */
import { spawn } from 'node:child_process';

const [program = '', ...programArguments] = process.argv.slice(2);
const child = spawn(program, programArguments, { stdio: ['ignore', 'inherit', 'inherit'] });

child.on('exit', (code) => {
  process.exitCode = code ?? 1;
  process.stdin.destroy();
});
child.on('error', () => {
  process.exitCode = 127;
  process.stdin.destroy();
});
// DynamoDB Local keeps what it has answered also when it is killed, so there is nothing to ask.
process.stdin.on('close', () => child.kill('SIGKILL')).resume();
