/**
 * A small S3 on this machine: PutObject, GetObject and HeadObject, path style, signed in the header
 * or presigned. It refuses what S3 refuses and streams to disk, so memory does not grow with size.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { AccessRequest } from './iam/evaluate.ts';
import { s3Access, s3ListAccess } from './iam/service-access.ts';
import type { FunctionIdentity, Identities } from './identity.ts';
import { errorDocument, S3Error } from './s3-error.ts';
import { answerFor } from './s3-get.ts';
import { ObjectDirectory, type OpenObject, readPart } from './s3-object-directory.ts';
import { operationOf } from './s3-operation.ts';
import { type PutBody, putObject } from './s3-put.ts';
import { readRequest, type S3Request } from './s3-request.ts';
import { checkEmptyPayload, type Signed, verifySignature } from './s3-signature.ts';

export interface S3ServerOptions {
  /** Holds everything; made when it is not there. One server at a time may use it. */
  readonly directory: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly region: string;
  readonly secretOf: (accessKeyId: string) => string | undefined;
  /** Functions, which are held to their rights; to a bucket they are their instance. */
  readonly identities?: Identities;
  /** How long an upload may stand still, 20 seconds unless given. */
  readonly idleTimeoutMs?: number;
}

export interface S3Server {
  readonly port: number;
  /** For `AWS_ENDPOINT_URL_S3`. */
  readonly endpoint: string;
  /** Only that access key may use the bucket. Idempotent; refuses a bucket of another key. */
  createBucket(name: string, accessKeyId: string): Promise<void>;
  /** Ends running requests; uploads that are not complete leave nothing behind. */
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
const IDLE_TIMEOUT_MS = 20_000;

interface Context {
  readonly options: S3ServerOptions;
  readonly objects: ObjectDirectory;
}

/**
 * Serves on 127.0.0.1. Rejects when the port is taken or the directory cannot be used. The port comes
 * first: a second server that is started by mistake must not clear the uploads of the first.
 */
export async function startS3Server(options: S3ServerOptions): Promise<S3Server> {
  const opened = Promise.withResolvers<ObjectDirectory>();
  const running = new Set<Promise<void>>();
  const handle = (message: IncomingMessage, response: ServerResponse): void => {
    const exchange = opened.promise
      .then((objects) => answer({ options, objects }, message, response))
      .finally(() => running.delete(exchange));
    running.add(exchange);
  };
  // Uploads may take long as long as they move: the idle time-out replaces the total one.
  const server = createServer({ requestTimeout: 0 }, handle).on('checkContinue', handle);
  await listen(server, options.port);
  const objects = await openOrStop(server, options.directory);
  opened.resolve(objects);
  const port = portOf(server);
  let closing: Promise<void> | undefined;
  return {
    port,
    endpoint: `http://${HOST}:${port}`,
    createBucket: (name, accessKeyId) => objects.createBucket(name, accessKeyId),
    close: () => {
      closing ??= shutDown(server, running);
      return closing;
    },
  };
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, HOST);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new Error(
      `the local S3 server cannot listen on ${HOST}:${port}: free that port or choose another one`,
      { cause },
    );
  }
}

async function openOrStop(server: Server, directory: string): Promise<ObjectDirectory> {
  try {
    return await ObjectDirectory.open(directory);
  } catch (cause) {
    server.close();
    server.closeAllConnections();
    throw new Error(
      `the local S3 server cannot use the directory ${directory}: choose one that it may write to`,
      { cause },
    );
  }
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new Error('the local S3 server has no port: it must listen on 127.0.0.1');
  return address.port;
}

async function shutDown(server: Server, running: ReadonlySet<Promise<void>>): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
  await Promise.all(running);
}

/** Never rejects: whatever goes wrong becomes an answer, or the end of the connection. */
async function answer(
  context: Context,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('server', 'AmazonS3');
  response.setHeader('x-amz-request-id', randomUUID());
  try {
    const request = readRequest(message);
    const { region, secretOf } = context.options;
    const signed = verifySignature(request, { region, secretOf, now: Date.now() });
    const operation = operationOf(request);
    const caller = context.options.identities?.functionOf(signed.accessKeyId);
    const { bucket, key, headers } = request;
    checkRights(caller, () => s3Access(operation, bucket, key, headers));
    checkOwner(context.objects, request, caller?.instanceKeyId ?? signed.accessKeyId);
    if (operation === 'PutObject') await receive(context, request, signed, { message, response });
    else await send(context, request, { ...signed, caller }, response);
  } catch (error) {
    refuse(message, response, error);
  }
}

function checkRights(
  caller: FunctionIdentity | undefined,
  read: () => readonly AccessRequest[],
): void {
  const refusal = caller?.refusal(read);
  if (refusal !== undefined) throw new S3Error('AccessDenied', refusal);
}

function checkOwner(objects: ObjectDirectory, request: S3Request, accessKeyId: string): void {
  const owner = objects.ownerOf(request.bucket);
  if (owner === undefined)
    throw new S3Error('NoSuchBucket', 'The specified bucket does not exist.');
  if (owner !== accessKeyId)
    throw new S3Error('AccessDenied', 'Access Denied: the bucket belongs to another access key.');
}

async function receive(
  { options, objects }: Context,
  request: S3Request,
  signed: Signed,
  exchange: { readonly message: IncomingMessage; readonly response: ServerResponse },
): Promise<void> {
  const { message, response } = exchange;
  const body: PutBody = {
    accept: () => {
      if (request.headers.get('expect')?.toLowerCase() === '100-continue') response.writeContinue();
    },
    bytes: message,
  };
  message.setTimeout(options.idleTimeoutMs ?? IDLE_TIMEOUT_MS, () => {
    refuse(
      message,
      response,
      new S3Error('RequestTimeout', 'The upload stood still for too long.'),
    );
    // The answer goes out first; then the body, which never ends, is given up.
    response.once('finish', () => message.destroy());
  });
  message.once('end', () => message.setTimeout(0));
  const { etag, checksum } = await putObject(objects, request, signed, body);
  const headers = checksum === undefined ? {} : { 'x-amz-checksum-sha256': checksum };
  response.writeHead(200, { etag, 'content-length': 0, ...headers }).end();
}

async function send(
  { objects }: Context,
  request: S3Request,
  signed: Signed & { readonly caller: FunctionIdentity | undefined },
  response: ServerResponse,
): Promise<void> {
  checkEmptyPayload(signed);
  const object = await objects.find(request);
  if (object === undefined) {
    // Whether an object is missing is told only to whoever may list the bucket.
    checkRights(signed.caller, () => s3ListAccess(request.bucket));
    throw new S3Error('NoSuchKey', 'The specified key does not exist.');
  }
  try {
    await sendObject(object, request, response);
  } finally {
    await object.handle.close();
  }
}

async function sendObject(
  object: OpenObject,
  request: S3Request,
  response: ServerResponse,
): Promise<void> {
  const { status, headers, from, until } = answerFor(object, request);
  response.writeHead(status, headers);
  if (request.method === 'HEAD' || from === until) {
    response.end();
    return;
  }
  await pipeline(readPart(object.handle, from, until), response);
}

function refuse(message: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    // Too late for an answer: a broken connection is how the caller learns that it is incomplete.
    response.destroy();
    return;
  }
  const refusal = error instanceof S3Error ? error : internalError(error);
  const requestId = String(response.getHeader('x-amz-request-id'));
  const resource = (message.url ?? '').replace(/\?.*$/s, '');
  const document = Buffer.from(errorDocument(refusal, resource, requestId));
  if (!bodyWillEnd(message, refusal)) response.setHeader('connection', 'close');
  response.writeHead(refusal.status, {
    'content-type': 'application/xml',
    'content-length': document.length,
  });
  response.end(document);
}

/** Whether the connection can go on with the next request once the body was read past. */
function bodyWillEnd({ headers }: IncomingMessage, { code }: S3Error): boolean {
  const waits = headers.expect !== undefined;
  return !waits && headers['transfer-encoding'] === undefined && code !== 'EntityTooLarge';
}

function internalError(error: unknown): S3Error {
  const cause = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  return new S3Error('InternalError', `The local server failed${cause}: try again.`);
}
