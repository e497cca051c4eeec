import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { accessKeyOf } from './aws-json.ts';
import { stopServer } from './stop-server.ts';

/** Answers one operation. `accessKeyId` tells the instances apart; its signature is not checked. */
export type JsonOperation = (input: unknown, accessKeyId: string | undefined) => Promise<object>;

/** What the caller did wrong. `code` is the name of the service's own error. */
export class JsonRefusal extends Error {
  override readonly name = 'JsonRefusal';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface JsonServer {
  readonly endpoint: string;
  close(): Promise<void>;
}

/** Operations by target, for example `secretsmanager.GetSecretValue`, over AWS JSON 1.1. */
export async function startJsonServer(
  port: number,
  operations: Readonly<Record<string, JsonOperation>>,
): Promise<JsonServer> {
  const server = createServer((request, response) => {
    answer(operations, request).then(
      (body) => send(response, 200, body),
      (error: unknown) => refuse(response, error),
    );
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const listening = typeof address === 'object' ? (address?.port ?? port) : port;
  return {
    endpoint: `http://127.0.0.1:${listening}`,
    close: () => stopServer(server),
  };
}

async function answer(
  operations: Readonly<Record<string, JsonOperation>>,
  request: IncomingMessage,
): Promise<object> {
  const input: unknown = JSON.parse((await text(request)) || '{}');
  const operation = operations[String(request.headers['x-amz-target'])];
  if (operation === undefined) {
    const known = Object.keys(operations).join(', ');
    throw new JsonRefusal('UnknownOperationException', `only ${known} is known here`);
  }
  return await operation(input, accessKeyOf(request.headers.authorization));
}

function refuse(response: ServerResponse, error: unknown): void {
  if (error instanceof JsonRefusal)
    send(response, 400, { __type: error.code, message: error.message });
  else send(response, 500, { __type: 'InternalServiceError', message: String(error) });
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
  response.end(JSON.stringify(body));
}
