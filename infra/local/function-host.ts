import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { InvokeReply, InvokeRequest, WorkerSetup } from './function-worker.ts';
import type { LogFile } from './log-file.ts';

export interface HostedFunction {
  readonly name: string;
  /** Path of the source from the root of the repository; it exports `handler`. */
  readonly entry: string;
  readonly timeoutMs: number;
  /** All that it sees as `process.env`, its credentials among it. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface FunctionHostOptions {
  /** Root of the repository, from which the functions name their sources. */
  readonly root: string;
  readonly functions: readonly HostedFunction[];
  /** Files to load in place of sources, by source: `functions/api.lambda.ts`. */
  readonly bundles?: ReadonlyMap<string, string>;
  readonly log: LogFile;
}

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * The functions of one instance in one worker thread, each with an environment of its own.
 *
 * Unlike on Lambda they share a process. So an invocation that runs out of time is answered as
 * failed but goes on: the code must bear that anyway. A thread that dies takes its invocations
 * with it, and the next one starts another.
 */
export class FunctionHost {
  private readonly options: FunctionHostOptions;
  private readonly pending = new Map<number, Pending>();
  private worker: Worker | undefined;
  private nextId = 1;
  private stopped = false;

  constructor(options: FunctionHostOptions) {
    this.options = options;
    const entries = options.functions.map(({ entry }) => entry);
    const twice = entries.find((entry, index) => entries.indexOf(entry) !== index);
    if (twice !== undefined)
      throw new Error(
        `two functions have the source ${twice}: in one thread they would share its module, and ` +
          'with it what it keeps of its environment',
      );
  }

  /** Rejects when the function throws, runs out of time, or its thread ends. */
  invoke(functionName: string, event: unknown): Promise<unknown> {
    const plan = this.options.functions.find(({ name }) => name === functionName);
    if (plan === undefined) return Promise.reject(new Error(`no function ${functionName}`));
    if (this.stopped) return Promise.reject(new Error(`${functionName}: the instance is stopped`));
    this.worker ??= this.start();
    const request: InvokeRequest = {
      id: this.nextId++,
      functionName,
      event,
      timeoutMs: plan.timeoutMs,
    };
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => {
      this.pending.delete(request.id);
      reject(new Error(`${functionName}: timed out after ${plan.timeoutMs / 1000} seconds`));
    }, plan.timeoutMs);
    this.pending.set(request.id, { resolve, reject, timer });
    this.worker.postMessage(request);
    return promise;
  }

  /** Ends the thread at once; what runs in it fails, as in a crash. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.worker?.terminate();
  }

  private start(): Worker {
    const { root, functions, bundles, log } = this.options;
    const workerData: WorkerSetup = {
      functions: functions.map((each) => ({
        ...each,
        file: bundles === undefined ? join(root, each.entry) : bundleOf(bundles, each.entry),
      })),
    };
    const worker = new Worker(new URL('./function-worker.ts', import.meta.url), {
      workerData,
      env: {},
      // Not the flags of the process that started this one, which may be a test runner.
      execArgv: [],
      stdout: true,
      stderr: true,
    });
    log.follow(worker.stdout);
    log.follow(worker.stderr);
    worker.on('message', (reply: InvokeReply) => this.settle(reply));
    worker.on('error', (error) => log.write({ level: 'ERROR', message: String(error) }));
    worker.on('exit', () => {
      this.worker = undefined;
      this.failAll();
    });
    return worker;
  }

  private settle(reply: InvokeReply): void {
    const pending = this.pending.get(reply.id);
    if (pending === undefined) return;
    this.pending.delete(reply.id);
    clearTimeout(pending.timer);
    switch (reply.outcome) {
      case 'answered':
        pending.resolve(reply.result);
        return;
      case 'failed':
        pending.reject(new Error(reply.reason));
        return;
    }
  }

  private failAll(): void {
    for (const { reject, timer } of this.pending.values()) {
      clearTimeout(timer);
      reject(new Error('the thread of the functions ended'));
    }
    this.pending.clear();
  }
}

function bundleOf(bundles: ReadonlyMap<string, string>, entry: string): string {
  const file = bundles.get(entry);
  if (file === undefined) throw new Error(`no bundle of ${entry} was given`);
  return file;
}
