import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { accessKeyOf } from './aws-json.ts';
import { jsonAccess } from './iam/service-access.ts';
import type { FunctionIdentity, Identities } from './identity.ts';
import { stopServer } from './stop-server.ts';

/** Answers one operation. `accessKeyId` tells the instances apart; signatures are not checked. */
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

/**
 * Operations by target, for example `secretsmanager.GetSecretValue`, over AWS JSON 1.1. Functions
 * are held to their rights; to an operation they are the instance that they belong to.
 */
export async function startJsonServer(
  port: number,
  operations: Readonly<Record<string, JsonOperation>>,
  identities?: Identities,
): Promise<JsonServer> {
  const server = createServer((request, response) => {
    answer(operations, request, identities).then(
      (body) => send(response, 200, body),
      (error: unknown) => refuse(response, error, targetOf(request)),
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
  identities: Identities | undefined,
): Promise<object> {
  const input: unknown = JSON.parse((await text(request)) || '{}');
  const operation = operations[targetOf(request)];
  if (operation === undefined) {
    const known = Object.keys(operations).join(', ');
    throw new JsonRefusal('UnknownOperationException', `only ${known} is known here`);
  }
  const accessKeyId = accessKeyOf(request.headers.authorization);
  const caller = identities?.functionOf(accessKeyId);
  if (caller === undefined) return await operation(input, accessKeyId);
  judge(caller, targetOf(request), input);
  return await operation(input, caller.instanceKeyId);
}

function targetOf({ headers }: IncomingMessage): string {
  return String(headers['x-amz-target']);
}

/** Throws what AWS answers with where the caller's role does not allow the request. */
export function judge(caller: FunctionIdentity, target: string, input: unknown): void {
  const refusal = caller.refusal(() => jsonAccess(target, input, caller.place));
  if (refusal !== undefined) throw new JsonRefusal('AccessDeniedException', refusal);
}

/** As the service of that target writes it. SQS alone also names the code of its older protocol. */
export function sendRefusal(response: ServerResponse, error: JsonRefusal, target: string): void {
  const denied = error.code === 'AccessDeniedException';
  if (denied && target.startsWith('AmazonSQS.')) {
    response.setHeader('x-amzn-query-error', 'AccessDenied;Sender');
    send(response, 403, { __type: error.code, message: error.message });
    return;
  }
  send(response, 400, { __type: error.code, message: error.message });
}

function refuse(response: ServerResponse, error: unknown, target: string): void {
  if (error instanceof JsonRefusal) sendRefusal(response, error, target);
  else send(response, 500, { __type: 'InternalServiceError', message: String(error) });
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
  response.end(JSON.stringify(body));
}
