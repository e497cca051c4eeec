/** The description of the API in OpenAPI 3.1, made from the same schemas that read the requests. */
import * as z from 'zod';
import {
  type Answer,
  isKeepable,
  type Operation,
  type Operations,
  type RequestBody,
  tags,
} from './operation.ts';
import { pageQuery } from './operation-route.ts';
import { resolutionSchema } from './operations-conflicts.ts';
import { namesIn, pathDescriptions, pathParameters } from './path-parameters.ts';
import { PROBLEM_TYPE, type ProblemCode, problemCodes, problemStatus } from './problem.ts';
import { CALLER_PROBLEMS } from './problem-groups.ts';
import { described, named, schemaWords } from './schema-names.ts';

type Json = Readonly<Record<string, unknown>>;

const problemSchema = named('Problem', 'RFC 9457, with a closed list of codes.', () =>
  z.strictObject({
    type: z.string().regex(/^urn:registry:problem:[a-z0-9-]+$/),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: described(
      z.string(),
      'One sentence for people: what was wrong, what was expected, what to do.',
    ),
    code: z.enum(problemCodes),
    retryable: described(z.boolean(), 'The same request may succeed later.'),
    requestId: described(z.string(), 'The same as in the header `x-request-id`.'),
    lead: described(
      z.string().exactOptional(),
      'NOT_THE_LEAD: the certificate id of the lead, and where it lives.',
    ),
    leadEndpoint: z.url().exactOptional(),
    conflicts: described(
      z.array(z.string()).exactOptional(),
      'REGISTRY_IN_CONFLICT: the open ones, of which kinds, and the path of the first of them.',
    ),
    kinds: z.array(z.string()).exactOptional(),
    address: z.string().exactOptional(),
    resolution: described(
      resolutionSchema.exactOptional(),
      'RESOLUTION_IN_FORCE: what was decided first.',
    ),
  }),
);

const INFO = {
  title: 'Registry',
  version: '1.0.0',
  description:
    'A replicated, chained registry of documents and signatures. Callers are known by their ' +
    'client certificates. Lists come in pages: `next` is the `cursor` of the following one.',
  license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
};

/** The whole description; the same for every instance of this version. */
export function openApi(operations: Operations): Json {
  const all = Object.entries(operations);
  return {
    openapi: '3.1.1',
    info: INFO,
    servers: [{ url: '/', description: 'The instance that answered this.' }],
    security: [{ clientCertificate: [] }],
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
    paths: pathsOf(all),
    components: {
      securitySchemes: {
        clientCertificate: {
          type: 'mutualTLS',
          description: 'A certificate of the cluster, which the instance gives a role.',
        },
      },
      schemas: componentsOf(all),
      parameters: {
        IfNoneMatch: {
          name: 'If-None-Match',
          in: 'header',
          description: 'An `ETag` that the caller holds the body of.',
          schema: { type: 'string' },
        },
      },
      headers: HEADERS,
      responses: {
        NotModified: {
          description: 'The caller holds this body already.',
          headers: { ETag: reference('headers', 'ETag'), ...ALWAYS },
        },
        Forbidden: problemResponse(CALLER_PROBLEMS),
        Unexpected: problemResponse(['INTERNAL']),
      },
    },
  };
}

const HEADERS = {
  ETag: header('SHA-256 of the body, in quotes.', 'string'),
  CacheControl: header('`private, no-cache` where there is an ETag, else `no-store`.', 'string'),
  RequestId: header('Name it to report a problem.', 'string'),
  RetryAfter: header('Seconds.', 'integer'),
};

function header(description: string, type: 'string' | 'integer') {
  return { description, required: true, schema: { type } };
}

function reference(kind: string, name: string) {
  return { $ref: `#/components/${kind}/${name}` };
}

const ALWAYS = {
  'Cache-Control': reference('headers', 'CacheControl'),
  'x-request-id': reference('headers', 'RequestId'),
};

function pathsOf(all: readonly (readonly [string, Operation])[]): Json {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [id, operation] of all) {
    const { path, method } = operation;
    paths[path] = { ...paths[path], [method.toLowerCase()]: operationOf(id, operation) };
  }
  return paths;
}

function operationOf(operationId: string, operation: Operation): Json {
  const { tag, summary, roles, body } = operation;
  const who = `Roles: ${roles.join(', ')}.`;
  const parameters = parametersOf(operation);
  return {
    operationId,
    tags: [tag],
    summary,
    description: [operation.description, who].filter((text) => text !== undefined).join(' '),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: requestBodyOf(body) }),
    responses: { ...answersOf(operation), ...problemsOf(operation) },
  };
}

function parametersOf(operation: Operation): Json[] {
  const { path, query = {}, list } = operation;
  const inPath = namesIn(path).map((name) => ({
    name,
    in: 'path',
    required: true,
    description: pathDescriptions[name],
    schema: schemaOf(pathParameters[name]),
  }));
  const asked = list === undefined ? query : { ...query, ...pageQuery };
  const inQuery = Object.entries(asked).map(([name, schema]) => {
    const description = schemaWords.get(schema)?.description;
    const words = description === undefined ? {} : { description };
    const json = schemaOf(schema);
    const several = json['type'] === 'array' ? { style: 'form', explode: false } : {};
    return { name, in: 'query', required: false, ...words, ...several, schema: json };
  });
  const conditional = isKeepable(operation) ? [reference('parameters', 'IfNoneMatch')] : [];
  return [...inPath, ...inQuery, ...conditional];
}

function requestBodyOf({ description, schema, example }: RequestBody): Json {
  const content = { schema: schemaOf(schema), ...(example === undefined ? {} : { example }) };
  return { description, required: true, content: { 'application/json': content } };
}

function answersOf(operation: Operation): Json {
  const keepable = isKeepable(operation);
  const etag = keepable ? { ETag: reference('headers', 'ETag') } : {};
  const answers = Object.entries(operation.answers).map(([status, answer]) => [
    status,
    answerOf(answer, { ...etag, ...ALWAYS }),
  ]);
  const unchanged = keepable ? { 304: reference('responses', 'NotModified') } : {};
  return { ...Object.fromEntries(answers), ...unchanged };
}

function answerOf({ description, schema, alternative }: Answer, headers: Json): Json {
  const json = { 'application/json': { schema: schemaOf(schema) } };
  if (alternative === undefined) return { description, headers, content: json };
  const further = Object.entries(alternative.headers).map(([name, words]) => [
    name,
    // Only with that media type, so it cannot be required.
    { description: words, required: false, schema: { type: 'string' } },
  ]);
  return {
    description,
    headers: { ...headers, ...Object.fromEntries(further) },
    content: { ...json, [alternative.mediaType]: {} },
  };
}

/** Every code that the operation can answer with. A query parameter too many is one for each. */
function codesOf({ body, problems }: Operation): ReadonlySet<ProblemCode> {
  return new Set<ProblemCode>([
    ...CALLER_PROBLEMS,
    'PARAMETER_INVALID',
    ...(body?.problems ?? []),
    ...problems,
    'INTERNAL',
  ]);
}

function problemsOf(operation: Operation): Json {
  const byStatus = Map.groupBy(codesOf(operation), problemStatus);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [status, sharedOf(status) ?? problemResponse(codes)]),
  );
}

/** No operation adds a code to these statuses. */
function sharedOf(status: number): Json | undefined {
  if (status === 403) return reference('responses', 'Forbidden');
  return status === 500 ? reference('responses', 'Unexpected') : undefined;
}

function problemResponse(codes: readonly ProblemCode[]): Json {
  const [first] = codes;
  const status = first === undefined ? 0 : problemStatus(first);
  const retry = status === 429 || status === 503;
  const schema = {
    allOf: [
      reference('schemas', 'Problem'),
      { type: 'object', properties: { code: { type: 'string', enum: codes } } },
    ],
  };
  return {
    description: `Refused: ${codes.join(', ')}.`,
    headers: {
      ...ALWAYS,
      ...(retry ? { 'Retry-After': reference('headers', 'RetryAfter') } : {}),
    },
    content: { [PROBLEM_TYPE]: { schema } },
  };
}

/** Where named schemas stand once they are components. */
function uri(id: string): string {
  return `#/components/schemas/${id}`;
}

/** Every named schema that the operations lead to. */
function componentsOf(all: readonly (readonly [string, Operation])[]): Json {
  const roots = all.flatMap(([, { body, answers }]) => [
    ...(body === undefined ? [] : [body.schema]),
    ...Object.values(answers).map(({ schema }) => schema),
  ]);
  const parameters = Object.values(pathParameters);
  return definitionsOf(z.tuple([problemSchema, ...roots, ...parameters]));
}

function definitionsOf(schema: z.ZodType): Json {
  const { $defs = {} } = jsonSchemaOf(schema);
  return $defs as Json;
}

/** The schema where it is used: a reference if it has a name. */
function schemaOf(schema: z.ZodType): Json {
  const { $defs: _defs, $schema: _dialect, ...rest } = jsonSchemaOf(schema);
  return rest;
}

function jsonSchemaOf(schema: z.ZodType): Json {
  const made = z.toJSONSchema(schema, { metadata: schemaWords, io: 'output' });
  return JSON.parse(JSON.stringify(made).replaceAll('"#/$defs/', `"${uri('')}`)) as Json;
}
