/**
 * Stands before an emulator that is not of this project, and lets pass what the caller's role
 * allows. What it asks for is judged as AWS would, outside of the function's own process.
 */
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { accessKeyOf } from './aws-json.ts';
import { JsonRefusal, judge, sendRefusal } from './aws-json-server.ts';
import type { Identities } from './identity.ts';
import { stopServer } from './stop-server.ts';

export interface Gateway {
  readonly endpoint: string;
  close(): Promise<void>;
}

export interface GatewayOptions {
  readonly port: number;
  /** The emulator, `http://127.0.0.1:<port>`. */
  readonly target: string;
  readonly identities: Identities;
}

const IDLE_MS = 4000;

/** Serves on 127.0.0.1 what speaks one of AWS's JSON protocols. */
export async function startGateway({ port, target, identities }: GatewayOptions): Promise<Gateway> {
  // The emulators close what is idle for longer, and a request must not meet that.
  const agent = new Agent({ keepAlive: true, timeout: IDLE_MS });
  const { hostname, port: targetPort } = new URL(target);
  const pass = (message: IncomingMessage, response: ServerResponse) =>
    passOn({ host: hostname, port: targetPort, agent }, identities, message, response);
  const server = createServer((message, response) => {
    pass(message, response).catch((error: unknown) => refuse(message, response, error));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${port}`,
    close: async () => {
      await stopServer(server);
      agent.destroy();
    },
  };
}

async function passOn(
  target: { readonly host: string; readonly port: string; readonly agent: Agent },
  identities: Identities,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readWhole(message);
  const authorization = authorized(message, body, identities);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request(
    {
      ...target,
      method: message.method,
      path: message.url,
      headers: { ...message.headers, authorization },
    },
    resolve,
  )
    .on('error', reject)
    .end(body);
  const answer = await promise;
  const answered = await readWhole(answer);
  response.writeHead(answer.statusCode ?? 500, answer.headers).end(answered);
}

/** By events, for it is done in every call of every function: iterating costs half as much again. */
function readWhole(message: IncomingMessage): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  message
    .on('data', (chunk: Buffer) => chunks.push(chunk))
    .on('end', () => resolve(Buffer.concat(chunks)))
    .on('error', reject);
  return promise;
}

/** The header with the key of the instance. The emulators keep data by it and take any signature. */
function authorized({ headers }: IncomingMessage, body: Buffer, identities: Identities): string {
  const { authorization = '' } = headers;
  const accessKeyId = accessKeyOf(authorization);
  if (identities.isAdministrator(accessKeyId)) return authorization;
  const caller = identities.functionOf(accessKeyId);
  if (caller === undefined)
    throw new JsonRefusal(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  judge(caller, String(headers['x-amz-target']), JSON.parse(body.toString() || '{}'));
  return authorization.replace(caller.accessKey.id, caller.instanceKeyId);
}

function refuse(message: IncomingMessage, response: ServerResponse, error: unknown): void {
  // What breaks off between here and the emulator breaks off for the caller as well.
  if (!(error instanceof JsonRefusal) || response.headersSent) response.destroy();
  else sendRefusal(response, error, String(message.headers['x-amz-target']));
}
