/** Runs one instance's functions inside a worker thread, each in an environment of its own. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import { env } from 'node:process';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';

/** What the thread is started with. */
export interface WorkerSetup {
  readonly functions: readonly FunctionSetup[];
}

export interface FunctionSetup {
  readonly name: string;
  /** Its source, as the template names it. */
  readonly entry: string;
  /** What is loaded: that source, or what was made of it. */
  readonly file: string;
  readonly environment: Readonly<Record<string, string>>;
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
const running = new AsyncLocalStorage<FunctionSetup>();

// On Lambda each function has a process of its own, and in its environment the credentials of its
// role. Here whoever asks sees the environment of the function that is running.
process.env = new Proxy<NodeJS.ProcessEnv>({}, environmentOfRunning(env));
syncBuiltinESMExports();

function environmentOfRunning(ofNobody: NodeJS.ProcessEnv): ProxyHandler<NodeJS.ProcessEnv> {
  const own = new Map(setup.functions.map(({ name, environment }) => [name, { ...environment }]));
  const current = () => own.get(running.getStore()?.name ?? '') ?? ofNobody;
  return {
    get: (_, name) => Reflect.get(current(), name),
    set: (_, name, value) => Reflect.set(current(), name, value),
    has: (_, name) => Reflect.has(current(), name),
    deleteProperty: (_, name) => Reflect.deleteProperty(current(), name),
    ownKeys: () => Reflect.ownKeys(current()),
    getOwnPropertyDescriptor: (_, name) => Reflect.getOwnPropertyDescriptor(current(), name),
  };
}

// Each Lambda function has a log of its own; here the line says whose it is.
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (chunk: string | Uint8Array, ...rest: unknown[]) =>
  Reflect.apply(write, undefined, [withFunction(chunk), ...rest]);

/** A line that is a JSON object, with the member `function`. */
function withFunction(chunk: string | Uint8Array): string | Uint8Array {
  const name = shortName(running.getStore()?.entry);
  if (name === undefined || typeof chunk !== 'string' || !chunk.startsWith('{"')) return chunk;
  return `{"function":${JSON.stringify(name)},${chunk.slice(1)}`;
}

parentPort?.on('message', (request: InvokeRequest) => {
  void run(request).then((reply) => parentPort?.postMessage(reply));
});

async function run(request: InvokeRequest): Promise<InvokeReply> {
  const { id, functionName } = request;
  try {
    const found = setup.functions.find(({ name }) => name === functionName);
    if (found === undefined) throw new Error(`there is no function ${functionName}`);
    // Its module is read in its environment as well: that is when it makes its clients.
    const result = await running.run(found, async () => {
      const handler = await handlerOf(found);
      return await handler(request.event, contextOf(request));
    });
    // As Lambda does it: what is not JSON does not leave the function.
    return { id, outcome: 'answered', result: JSON.parse(JSON.stringify(result ?? null)) };
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { id, outcome: 'failed', reason };
  }
}

function handlerOf(found: FunctionSetup): Promise<Handler> {
  const known = handlers.get(found.name);
  if (known !== undefined) return known;
  const loading = load(found);
  handlers.set(found.name, loading);
  return loading;
}

/** As its source is called: `audit` of functions/audit.lambda.ts. */
function shortName(entry: string | undefined): string | undefined {
  return entry === undefined ? undefined : basename(entry, '.lambda.ts');
}

async function load({ file }: FunctionSetup): Promise<Handler> {
  const { handler } = await import(pathToFileURL(file).href);
  if (typeof handler !== 'function') throw new Error(`${file} exports no function "handler"`);
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
