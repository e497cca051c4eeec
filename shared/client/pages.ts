/** Lists in pages: the next one is asked for when the last one was read. */
import type * as z from 'zod';
import type { CallOptions, Calls } from './calls.ts';
import { withQuery } from './paths.ts';
import { malformedAnswer } from './problem.ts';

type Query = Readonly<Record<string, string | undefined>>;

/** All pages of a list, with the filters in `query`. */
export async function* listPages<Schema extends z.ZodType<{ readonly next?: string }>>(
  calls: Calls,
  { path, query = {} }: { readonly path: string; readonly query?: Query },
  schema: Schema,
  options?: CallOptions,
): AsyncGenerator<z.output<Schema>, void, undefined> {
  let cursor: string | undefined;
  do {
    const page: z.output<Schema> = await calls.get(
      withQuery(path, { ...query, cursor }),
      schema,
      options,
    );
    yield page;
    if (page.next !== undefined && page.next === cursor)
      throw malformedAnswer('a page of the list leads back to itself');
    cursor = page.next;
  } while (cursor !== undefined);
}
