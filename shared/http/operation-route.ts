/** From an operation and its handler to a route: parsing before the handler, ETag behind it. */
import * as z from 'zod';
import { digestOf } from '../ledger/digest.ts';
import { limits } from '../ledger/limits.ts';
import { validate } from '../ledger/schema.ts';
import { encodeCursor, readCursor } from './cursor.ts';
import type { HttpHandler, HttpRequest } from './http-stack.ts';
import {
  isKeepable,
  type Operation,
  type OperationHandler,
  type OperationHandlers,
  type OperationRequest,
  type Operations,
} from './operation.ts';
import { namesIn, pathParameters } from './path-parameters.ts';
import { type HttpResponse, problem } from './problem.ts';
import type { Route } from './routes.ts';
import { described } from './schema-names.ts';

const LIMIT_EXPECTED = `expected 1 to ${limits.pageMax}`;

/** The query parameters that every list has. */
export const pageQuery = {
  limit: described(
    z
      .string()
      .regex(/^[0-9]{1,4}$/, LIMIT_EXPECTED)
      .transform(Number)
      .pipe(z.int().min(1, LIMIT_EXPECTED).max(limits.pageMax, LIMIT_EXPECTED))
      .exactOptional(),
    `How many at most; ${limits.pageMax} unless given.`,
  ),
  cursor: described(
    z.string().exactOptional(),
    'The `next` of the page before, with the same filters; without it the list begins.',
  ),
};

/** The routes of all operations, in their order. */
export function operationRoutes<Instance, All extends Operations>(
  operations: All,
  handlers: OperationHandlers<Instance, All>,
): Route<HttpHandler<Instance>>[] {
  return Object.entries<Operation>(operations).map(([id, operation]) => {
    // Each handler was held against its own operation: here they are all alike.
    const handler = handlers[id] as unknown as OperationHandler<Instance, Operation>;
    const { method, path, roles } = operation;
    return { method, path, roles, handler: operationHandler(operation, handler) };
  });
}

/** Reads what the operation describes, calls the handler, and marks what may be kept. */
function operationHandler<Instance>(
  operation: Operation,
  handler: OperationHandler<Instance, Operation>,
): HttpHandler<Instance> {
  let reader: ReturnType<typeof readerOf> | undefined;
  return async (request) => {
    reader ??= readerOf(operation);
    const read = reader(request);
    if (read.outcome === 'answered') return read.response;
    const response = await handler(read.request as OperationRequest<Instance, Operation>);
    return isKeepable(operation) ? withEtag(response, request.headers['if-none-match']) : response;
  };
}

type Read<Value> =
  | ({ readonly outcome: 'read' } & Value)
  | { readonly outcome: 'answered'; readonly response: HttpResponse };

/** Schemas are put together when a route is first called, once. */
function readerOf({ path, query = {}, list, body }: Operation) {
  const names = namesIn(path);
  const parameterSchema = z.object(
    Object.fromEntries(names.map((name) => [name, pathParameters[name]])),
  );
  const known = list === undefined ? query : { ...query, ...pageQuery };
  const querySchema = z.object(known);
  return (request: HttpRequest<unknown>): Read<{ readonly request: object }> => {
    const parameters = validate(parameterSchema, request.parameters);
    if (parameters.outcome === 'refused') return invalid(parameters.detail);
    const unknown = Object.keys(request.query).find((name) => !Object.hasOwn(known, name));
    if (unknown !== undefined) return invalid(unknownParameter(unknown, Object.keys(known)));
    const asked = validate(querySchema, request.query);
    if (asked.outcome === 'refused') return invalid(asked.detail);
    const { instance, caller, headers } = request;
    const plain = { instance, caller, headers, parameters: parameters.value, query: asked.value };
    if (list !== undefined) return withPage({ path, list }, plain);
    if (body === undefined) return { outcome: 'read', request: plain };
    const read = body.read(request.body);
    if (read.outcome === 'refused')
      return { outcome: 'answered', response: problem(read.code, read.detail) };
    return { outcome: 'read', request: { ...plain, body: read.value } };
  };
}

function invalid(detail: string) {
  return { outcome: 'answered', response: problem('PARAMETER_INVALID', detail) } as const;
}

function unknownParameter(name: string, known: readonly string[]): string {
  const expected = known.length === 0 ? 'none' : known.join(', ');
  return `${name}: there is no such query parameter here; expected: ${expected}`;
}

interface PlainRequest {
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly query: Readonly<Record<string, unknown>>;
}

/** The list that a cursor belongs to: its path with parameters and filters filled in. */
function withPage(
  { path, list }: { readonly path: string; readonly list: z.ZodType },
  plain: PlainRequest,
): Read<{ readonly request: object }> {
  const { cursor, limit, ...filters } = plain.query;
  const place = path.replaceAll(/\{(\w+)\}/g, (_, name) => String(plain.parameters[name]));
  const chosen = Object.entries(filters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${String(value)}`],
  );
  const name = [place, ...chosen.sort()].join('?');
  const count = (limit as number | undefined) ?? limits.pageMax;
  const nextAfter = (last: unknown) =>
    last === undefined ? {} : { next: encodeCursor(name, String(last)) };
  if (cursor === undefined)
    return { outcome: 'read', request: { ...plain, page: { count }, nextAfter } };
  const after = list.safeParse(readCursor(name, String(cursor)));
  if (!after.success)
    return invalid('cursor: expected what this very list answered as next, with the same filters');
  return { outcome: 'read', request: { ...plain, page: { count, after: after.data }, nextAfter } };
}

/**
 * RFC 9110: a strong ETag, the SHA-256 of the body, and 304 to whoever has that body. The answer is
 * for this caller alone, and is asked for again before it is used again.
 */
function withEtag(response: HttpResponse, ifNoneMatch: string | undefined): HttpResponse {
  const { statusCode, headers } = response;
  if (statusCode !== 200) return response;
  const body = bytesOf(response.body);
  const etag = `"${digestOf(body)}"`;
  const kept = { ...headers, etag, 'cache-control': 'private, no-cache' };
  if (!names(ifNoneMatch, etag)) return { statusCode, headers: kept, body };
  const unchanged = Object.entries(kept).filter(([name]) => name !== 'content-type');
  return { statusCode: 304, headers: Object.fromEntries(unchanged) };
}

function bytesOf(body: unknown): Uint8Array {
  return body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
}

/** Weak comparison, as If-None-Match has it: RFC 9110 section 13.1.2. */
function names(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((each) => each.trim().replace(/^W\//, '') === etag);
}
