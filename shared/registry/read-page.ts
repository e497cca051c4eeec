import { limits } from '../ledger/limits.ts';
import type { ListName, ListPosition } from './lists.ts';
import type { LedgerStore, ListedItem } from './ports.ts';

/** Lists page by page: every read is bounded, however long the ledger is. */

/** Which part of a list: what comes after `after`, which is the `next` of the page before. */
export interface Page<After> {
  readonly after?: After;
  /** 1 to 100. */
  readonly count: number;
}

export interface ListedPage {
  readonly found: readonly ListedItem[];
  /** Where the next page begins; absent at the end of the list. */
  readonly next?: ListPosition;
}

/** How many items a filter looks at for one page. */
export const FILTERED_ITEMS_MAX = 10 * limits.pageMax;

/**
 * The page of some lists as if they were one, in order of their positions. What moved from one to
 * the next while they were read is there once, as the last of them has it.
 *
 * With `fits` a page may be shorter than asked for, even empty, and yet have a `next`.
 */
export async function listedPage(
  store: LedgerStore,
  lists: readonly ListName[],
  { after, count }: Page<ListPosition>,
  fits?: (listed: ListedItem) => boolean,
): Promise<ListedPage> {
  if (fits === undefined) {
    // One more than is shown: whether there is a next page.
    const items = await merged(store, lists, after, count + 1);
    return cut(items, count);
  }
  const found: ListedItem[] = [];
  let from = after;
  for (let read = 0; read < FILTERED_ITEMS_MAX; read += limits.pageMax) {
    const items = await merged(store, lists, from, limits.pageMax + 1);
    const looked = cut(items, limits.pageMax);
    found.push(...looked.found.filter(fits));
    if (found.length > count) return cut(found, count);
    if (looked.next === undefined) return { found };
    from = looked.next;
  }
  return { found, ...(from === undefined ? {} : { next: from }) };
}

/** So many of the items, and where to go on if there are more. */
function cut(items: readonly ListedItem[], count: number): ListedPage {
  const found = items.slice(0, count);
  const last = found.at(-1);
  return { found, ...(last !== undefined && items.length > count ? { next: last.position } : {}) };
}

async function merged(
  store: LedgerStore,
  lists: readonly ListName[],
  after: ListPosition | undefined,
  count: number,
): Promise<ListedItem[]> {
  const items = new Map<ListPosition, ListedItem>();
  // One after the other, so that what moves on meanwhile is not missed.
  for (const list of lists)
    for (const listed of await store.list(list, after, count)) items.set(listed.position, listed);
  return [...items.values()].sort((a, b) => (a.position < b.position ? -1 : 1)).slice(0, count);
}
