/** Lists in sequence order, from any entry on. */
import type * as z from 'zod';
import { isSequence } from '../ledger/digest.ts';
import type { CallOptions, Calls } from './calls.ts';
import { listPages } from './pages.ts';
import { invalidArgument } from './problem.ts';

/** A part of a ledger; both ends are included. */
export interface EntryRange extends CallOptions {
  /** 1 unless given. */
  readonly from?: number;
  /** The newest one unless given. */
  readonly to?: number;
}

interface Row {
  readonly sequence: number;
}

interface EntryList<Schema extends z.ZodType, Listed extends Row> {
  readonly path: string;
  readonly schema: Schema;
  readonly rowsOf: (page: z.output<Schema>) => readonly Listed[];
}

/** The rows of the range, page by page, as the instance lists them; pages without any are left out. */
export async function* rowsInRange<
  Schema extends z.ZodType<{ readonly next?: string }>,
  Listed extends Row,
>(
  calls: Calls,
  list: EntryList<Schema, Listed>,
  { from = 1, to = Number.MAX_SAFE_INTEGER, signal }: EntryRange,
): AsyncGenerator<readonly Listed[], void, undefined> {
  if (!isSequence(from) || !isSequence(to))
    throw invalidArgument(`entries from ${from} to ${to}: expected sequences from 1`);
  const query = {
    ...(from === 1 ? {} : { from: String(from) }),
    ...(to === Number.MAX_SAFE_INTEGER ? {} : { to: String(to) }),
  };
  const call = signal === undefined ? {} : { signal };
  for await (const page of listPages(calls, { path: list.path, query }, list.schema, call)) {
    const rows = list.rowsOf(page);
    if (rows.length > 0) yield rows;
  }
}
