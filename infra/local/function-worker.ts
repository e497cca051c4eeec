/** Runs one instance's functions inside a worker thread, each in the environment of the instance. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';

/** What the thread is started with. */
export interface WorkerSetup {
  readonly functions: readonly WorkerFunction[];
}

export interface WorkerFunction {
  readonly name: string;
  /** Its source, as the template names it. */
  readonly entry: string;
  /** What is loaded: that source, or what was made of it. */
  readonly file: string;
}

export interface InvokeRequest {
  readonly id: number;
  readonly functionName: string;
  readonly event: unknown;
  readonly timeoutMs: number;
}

export type InvokeReply =
  | { readonly id: number; readonly outcome: 'answered'; readonly result: unknown }
  | { readonly id: number; readonly outcome: 'failed'; readonly reason: string };

type Handler = (event: unknown, context: object) => unknown;

const setup: WorkerSetup = workerData;
const handlers = new Map<string, Promise<Handler>>();
const running = new AsyncLocalStorage<string>();

// Each Lambda function has a log of its own; here the line says whose it is.
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (chunk: string | Uint8Array, ...rest: unknown[]) =>
  Reflect.apply(write, undefined, [withFunction(chunk), ...rest]);

/** A line that is a JSON object, with the member `function`. */
function withFunction(chunk: string | Uint8Array): string | Uint8Array {
  const name = running.getStore();
  if (name === undefined || typeof chunk !== 'string' || !chunk.startsWith('{"')) return chunk;
  return `{"function":${JSON.stringify(name)},${chunk.slice(1)}`;
}

parentPort?.on('message', (request: InvokeRequest) => {
  void run(request).then((reply) => parentPort?.postMessage(reply));
});

async function run(request: InvokeRequest): Promise<InvokeReply> {
  const { id } = request;
  try {
    const handler = await handlerOf(request.functionName);
    const result = await running.run(shortName(request.functionName), () =>
      handler(request.event, contextOf(request)),
    );
    // As Lambda does it: what is not JSON does not leave the function.
    return { id, outcome: 'answered', result: JSON.parse(JSON.stringify(result ?? null)) };
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { id, outcome: 'failed', reason };
  }
}

function handlerOf(name: string): Promise<Handler> {
  const known = handlers.get(name);
  if (known !== undefined) return known;
  const loading = load(name);
  handlers.set(name, loading);
  return loading;
}

function functionOf(name: string): WorkerFunction | undefined {
  return setup.functions.find((each) => each.name === name);
}

/** As its source is called: `audit` of functions/audit.lambda.ts. */
function shortName(name: string): string {
  return basename(functionOf(name)?.entry ?? name, '.lambda.ts');
}

async function load(name: string): Promise<Handler> {
  const found = functionOf(name);
  if (found === undefined) throw new Error(`there is no function ${name}`);
  const { handler } = await import(pathToFileURL(found.file).href);
  if (typeof handler !== 'function') throw new Error(`${found.file} exports no function "handler"`);
  return handler;
}

/** The members of Lambda's context object that code of the project may ask for. */
function contextOf({ functionName, timeoutMs }: InvokeRequest): object {
  const until = Date.now() + timeoutMs;
  return {
    functionName,
    awsRequestId: randomUUID(),
    getRemainingTimeInMillis: () => Math.max(0, until - Date.now()),
  };
}
