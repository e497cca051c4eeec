import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { accessKeyOf } from './aws-json.ts';

export interface SecretsServer {
  readonly endpoint: string;
  /** From now on the holder of the access key reads the file by asking for the ARN. */
  add(secret: LocalSecret): void;
  close(): Promise<void>;
}

export interface LocalSecret {
  readonly accessKeyId: string;
  readonly arn: string;
  /** Read anew at every request, so that a changed key is seen as it would be on AWS. */
  readonly file: string;
}

/** The one operation of Secrets Manager that the functions use: GetSecretValue. */
export async function startSecretsServer(port: number): Promise<SecretsServer> {
  const secrets: LocalSecret[] = [];
  const server = createServer((request, response) => {
    answer(secrets, request, response).catch((error: unknown) => {
      refuse(response, 500, 'InternalServiceError', String(error));
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${port}`,
    add: (secret) => secrets.push(secret),
    close: () => closeServer(server),
  };
}

async function answer(
  secrets: readonly LocalSecret[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const input: unknown = JSON.parse((await text(request)) || '{}');
  if (request.headers['x-amz-target'] !== 'secretsmanager.GetSecretValue')
    return refuse(response, 400, 'UnknownOperationException', 'only GetSecretValue is known');
  const wanted = String(Object(input)['SecretId']);
  const accessKeyId = accessKeyOf(request.headers.authorization);
  const secret = secrets.find((each) => each.arn === wanted && each.accessKeyId === accessKeyId);
  if (secret === undefined)
    return refuse(response, 400, 'ResourceNotFoundException', `there is no secret ${wanted}`);
  send(response, 200, {
    ARN: secret.arn,
    Name: secret.arn.slice(secret.arn.lastIndexOf(':') + 1),
    SecretString: await readFile(secret.file, 'utf8'),
    VersionId: '00000000-0000-4000-8000-000000000000',
    VersionStages: ['AWSCURRENT'],
  });
}

function refuse(response: ServerResponse, status: number, type: string, message: string): void {
  send(response, status, { __type: type, Message: message });
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
  response.end(JSON.stringify(body));
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
