/** The description that an instance serves, and what it makes of real requests and answers. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { operations } from '../../shared/http/operations.ts';
import type { MemoryInstance, RawAnswer } from '../memory-cluster.ts';

export type OperationId = keyof typeof operations;

export const operationIds = Object.keys(operations) as OperationId[];

interface Described {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DescribedOperation>>>>;
}

interface DescribedOperation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, Response | { readonly $ref: string }>>;
}

type Parameter =
  | { readonly $ref: string }
  | {
      readonly name: string;
      readonly in: 'path' | 'query';
      readonly required: boolean;
      /** False: several values in one, separated by commas. */
      readonly explode?: boolean;
    };

interface Header {
  readonly required: boolean;
}

interface Response {
  readonly headers?: Readonly<Record<string, Header | { readonly $ref: string }>>;
  readonly content?: Readonly<Record<string, { readonly schema?: unknown }>>;
}

/** One call of an operation: parameters as text, as they stand in an address. */
export interface Call {
  readonly parameters?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Holds calls and answers against the description; every difference is a sentence. */
export class Description {
  readonly json: Described;
  readonly #ajv = new Ajv2020({ strict: true, allErrors: true, coerceTypes: false });

  constructor(text: string) {
    this.json = JSON.parse(text);
    this.#ajv.addFormat('uri', { type: 'string', validate: (value) => URL.canParse(value) });
    // Around its schemas stands what is none: only these names, and only at the top.
    for (const name of Object.keys(this.json)) this.#ajv.addKeyword(name);
    this.#ajv.addSchema(this.json, 'api', undefined, false);
  }

  static async of(instance: MemoryInstance): Promise<Description> {
    const { bytes } = await instance.exchange('GET', '/v1/openapi.json');
    return new Description(bytes.toString('utf8'));
  }

  /** Where the operation stands in the description. */
  #place(id: OperationId): readonly [path: string, method: string] {
    for (const [path, methods] of Object.entries(this.json.paths))
      for (const [method, { operationId }] of Object.entries(methods))
        if (operationId === id) return [path, method];
    throw new Error(`${id} is not described`);
  }

  #operation(id: OperationId): DescribedOperation {
    const [path, method] = this.#place(id);
    return this.json.paths[path]?.[method] as DescribedOperation;
  }

  /** Method and address of a call. */
  address(id: OperationId, { parameters = {}, query = {} }: Call) {
    const [path, method] = this.#place(id);
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name) =>
      encodeURIComponent(parameters[name] ?? `{${name}}`),
    );
    const search = new URLSearchParams(query).toString();
    return { method: method.toUpperCase(), path: search === '' ? filled : `${filled}?${search}` };
  }

  /** What of a call the description does not allow. */
  flawsOfCall(id: OperationId, { parameters = {}, query = {}, body }: Call): string[] {
    const operation = this.#operation(id);
    const given: Readonly<Record<string, string>> = { ...parameters, ...query };
    const described = (operation.parameters ?? []).flatMap((each, index) =>
      'name' in each ? [{ ...each, index }] : [],
    );
    const names = described.map(({ name }) => name);
    return [
      ...Object.keys(given).flatMap((name) => (names.includes(name) ? [] : [`unknown ${name}`])),
      ...described.flatMap(({ name, required, explode, index }) => {
        const text = given[name];
        if (text === undefined) return required ? [`${name} is missing`] : [];
        const value = explode === false ? text.split(',') : plainest(text);
        return this.#flaws(id, ['parameters', String(index), 'schema'], value);
      }),
      ...(body === undefined
        ? []
        : this.#flaws(id, ['requestBody', 'content', 'application/json', 'schema'], body)),
    ];
  }

  /** What of an answer the description does not say: status, headers, media type, every member. */
  flawsOfAnswer(id: OperationId, { status, headers, bytes }: RawAnswer): string[] {
    const written = this.#operation(id).responses[status];
    if (written === undefined) return [`${id} answers ${status}, which is not described`];
    const described = this.#resolved<Response>(written);
    const missing = Object.entries(described.headers ?? {}).flatMap(([name, header]) => {
      const { required } = this.#resolved<Header>(header);
      return required && headers[name.toLowerCase()] === undefined ? [name] : [];
    });
    const type = headers['content-type'];
    const flaws = missing.map((name) => `${id} ${status} has no header ${name}`);
    if (type === undefined)
      return described.content === undefined && bytes.length === 0
        ? flaws
        : [...flaws, `${id} ${status} should have a body with its type`];
    const content = described.content?.[type];
    if (content === undefined) return [...flaws, `${id} answers ${status} as ${type}`];
    if (content.schema === undefined) return flaws;
    const pointer =
      '$ref' in written
        ? written.$ref.slice(2).split('/')
        : [...this.#pointer(id), 'responses', String(status)];
    const value = JSON.parse(bytes.toString('utf8'));
    return [...flaws, ...this.#flawsAt([...pointer, 'content', type, 'schema'], value)];
  }

  /** What stands where a reference leads to. */
  #resolved<Value>(value: Value | { readonly $ref: string }): Value {
    if (!(typeof value === 'object' && value !== null && '$ref' in value)) return value;
    let found: unknown = this.json;
    for (const name of String(value.$ref).slice(2).split('/'))
      found = (found as Readonly<Record<string, unknown>>)[name];
    return found as Value;
  }

  #pointer(id: OperationId): string[] {
    return ['paths', ...this.#place(id)];
  }

  #flaws(id: OperationId, place: readonly string[], value: unknown): string[] {
    return this.#flawsAt([...this.#pointer(id), ...place], value);
  }

  #flawsAt(pointer: readonly string[], value: unknown): string[] {
    const path = pointer
      .map((name) => encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1')))
      .join('/');
    const validate: ValidateFunction = this.#ajv.compile({ $ref: `api#/${path}` });
    if (validate(value)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) =>
        `${instancePath || 'the body'} ${message} ${JSON.stringify(params)}`,
    );
  }
}

/** Parameters come as text: numbers are described as numbers. */
function plainest(value: string): string | number {
  return /^\d{1,15}$/.test(value) ? Number(value) : value;
}
