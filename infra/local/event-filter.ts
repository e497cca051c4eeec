/** Whether an event is handed on. */
export type EventFilter = (event: unknown) => boolean;

/**
 * Compiles the filter patterns of an event source mapping: an event passes when any of them
 * matches, or when there is none. Members of a pattern must all match; a list in it holds the
 * alternatives for one value: a literal, `{"prefix": …}` or `{"exists": …}`.
 *
 * Throws on any other operator, so that nothing passes here that AWS would hold back.
 */
export function compileFilters(patterns: readonly unknown[]): EventFilter {
  const filters = patterns.map((pattern) => compileMembers(pattern));
  return (event) => filters.length === 0 || filters.some((matches) => matches(event));
}

function compileMembers(pattern: unknown): EventFilter {
  if (typeof pattern !== 'object' || pattern === null)
    throw new Error(`a filter holds ${JSON.stringify(pattern)}: expected an object or a list`);
  const members = Object.entries(pattern).map(([name, inner]) => {
    const matches = Array.isArray(inner) ? compileAlternatives(inner) : compileMembers(inner);
    return (event: unknown) => matches(memberOf(event, name));
  });
  return (event) => members.every((matches) => matches(event));
}

function compileAlternatives(alternatives: readonly unknown[]): EventFilter {
  const filters = alternatives.map((alternative) => compileAlternative(alternative));
  return (value) => filters.some((matches) => matches(value));
}

function compileAlternative(alternative: unknown): EventFilter {
  if (typeof alternative !== 'object' || alternative === null)
    return (value) => value === alternative;
  const [[operator, operand] = [], ...others] = Object.entries(alternative);
  if (operator === 'prefix' && typeof operand === 'string' && others.length === 0)
    return (value) => typeof value === 'string' && value.startsWith(operand);
  if (operator === 'exists' && typeof operand === 'boolean' && others.length === 0)
    return (value) => (value !== undefined) === operand;
  throw new Error(
    `a filter uses ${JSON.stringify(alternative)}, which the local runner does not know`,
  );
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
