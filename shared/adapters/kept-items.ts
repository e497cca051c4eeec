/** What is kept beside the conflicts, by the same rules in every store. */
import type { KeptStatement, LoggedStatement } from '../registry/conflict-record.ts';

/** Where a statement is kept in its registry: what says the same is kept once. */
export function keptPlace({ kind, digest }: Pick<KeptStatement, 'kind' | 'digest'>): string {
  return `${kind}#${digest}`;
}

/** What of a kept statement goes to the peers. */
export function loggedOf({ statement, decision }: KeptStatement): Omit<LoggedStatement, 'index'> {
  return { statement, ...(decision === undefined ? {} : { decision }) };
}

/** By the time of recording; what has the same time by its place. */
export function oldestFirst(kept: Iterable<KeptStatement>): KeptStatement[] {
  const order = (each: KeptStatement) => `${each.recordedAt} ${keptPlace(each)}`;
  return [...kept].sort((a, b) => (order(a) < order(b) ? -1 : 1));
}
