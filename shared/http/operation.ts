/** What one operation of the API is: said once, for the route, its parsing and its description. */
import type * as z from 'zod';
import type { Validated } from '../ledger/schema.ts';
import type { Page } from '../registry/read-page.ts';
import type { Caller, CallerRole } from './caller.ts';
import type { PathParameters } from './path-parameters.ts';
import type { HttpResponse, ProblemCode } from './problem.ts';

export const tags = {
  instance: 'This instance, its certificates and its documents, whatever the registry.',
  registries: 'Registries, their heads and their peers.',
  transactions: 'Appending, and what became of it.',
  entries: 'Entries, confirmations, checkpoints and receipts.',
  documents: 'Documents and their versions.',
  signatures: 'Signatures that are required, and giving them.',
  conflicts: 'What disagrees, the proof of it, and what operators decide.',
} as const;

/** Query parameters: from text to the handler's value. Unknown ones are refused. */
export type QuerySchemas = Readonly<Record<string, z.ZodType>>;

/** A body: how it is described, and how the bytes become the handler's value. */
export interface RequestBody<Value = unknown> {
  readonly description: string;
  readonly schema: z.ZodType;
  readonly read: (body: Uint8Array) => Validated<Value>;
  /** What `read` can refuse. */
  readonly problems: readonly ProblemCode[];
  readonly example?: unknown;
}

export interface Answer {
  readonly description: string;
  readonly schema: z.ZodType;
  /** Given instead of JSON to callers that accept only this media type: plain bytes. */
  readonly alternative?: {
    readonly mediaType: string;
    /** What each further header says. */
    readonly headers: Readonly<Record<string, string>>;
  };
}

export interface Operation {
  readonly method: 'GET' | 'POST';
  /** Segments in braces are parameters, which `path-parameters.ts` describes. */
  readonly path: string;
  readonly tag: keyof typeof tags;
  readonly summary: string;
  readonly description?: string;
  readonly roles: readonly CallerRole[];
  readonly query?: QuerySchemas;
  /** A list in pages: the position after which a page begins, as its cursors carry it. */
  readonly list?: z.ZodType;
  readonly body?: RequestBody;
  /** By status. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Beside those that every operation, every parameter and every such body has. */
  readonly problems: readonly ProblemCode[];
  /** The answer holds an address that expires: not to be kept. */
  readonly expires?: true;
}

/** Whether an answer can be kept and asked for again with its ETag. */
export function isKeepable({ method, expires }: Operation): boolean {
  return method === 'GET' && expires === undefined;
}

type NamesIn<Path> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | NamesIn<Rest>
  : never;

type PathValues<O extends Operation> = {
  readonly [Name in NamesIn<O['path']> & keyof PathParameters]: z.output<PathParameters[Name]>;
};

type QueryValues<O extends Operation> = O extends { readonly query: infer Query }
  ? {
      readonly [Name in keyof Query]: Query[Name] extends z.ZodType ? z.output<Query[Name]> : never;
    }
  : object;

type BodyValue<O extends Operation> = O extends { readonly body: RequestBody<infer Value> }
  ? { readonly body: Value }
  : object;

type PageOf<O extends Operation> = O extends { readonly list: infer Position extends z.ZodType }
  ? {
      readonly page: Page<z.output<Position>>;
      /** The member `next` of the answer; nothing after the last page. */
      readonly nextAfter: (last: z.output<Position> | undefined) => { readonly next?: string };
    }
  : object;

/** A request for the operation, all of it read. */
export type OperationRequest<Instance, O extends Operation> = {
  readonly instance: Instance;
  readonly caller: Caller;
  readonly parameters: PathValues<O>;
  readonly query: QueryValues<O>;
  readonly headers: Readonly<Record<string, string | undefined>>;
} & BodyValue<O> &
  PageOf<O>;

export type OperationHandler<Instance, O extends Operation> = (
  request: OperationRequest<Instance, O>,
) => Promise<HttpResponse>;

/** Operations by operationId. */
export type Operations = Readonly<Record<string, Operation>>;

/** A handler for each of the operations. */
export type OperationHandlers<Instance, All extends Operations> = {
  readonly [Id in keyof All]: OperationHandler<Instance, All[Id]>;
};

/** Keeps what was written, so that handlers know their parameters by name and type. */
export function defineOperations<const All extends Operations>(all: All): All {
  return all;
}
