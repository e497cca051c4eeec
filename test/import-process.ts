/**
 * Imports a module in a process of its own and prints what that took, as JSON. The argument is the
 * module's file.
 */
import { pathToFileURL } from 'node:url';

export interface Imported {
  readonly wallMs: number;
  /** Of all threads of the process: what else the machine does counts for nothing. */
  readonly processorMs: number;
  /** Names of functions that the module exports. */
  readonly functions: readonly string[];
}

const url = pathToFileURL(process.argv[2] ?? '').href;
const cpu = process.cpuUsage();
const begun = performance.now();
const module: Readonly<Record<string, unknown>> = await import(url);
const wallMs = performance.now() - begun;
const { user, system } = process.cpuUsage(cpu);
const functions = Object.keys(module).filter((name) => typeof module[name] === 'function');
const imported = { wallMs, processorMs: (user + system) / 1000, functions };
process.stdout.write(JSON.stringify(imported satisfies Imported));
