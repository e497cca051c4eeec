import type { CallerRole } from './caller.ts';
import { type HttpResponse, problem } from './problem.ts';

/** Routes as data: one table per function, matched here, with 404, 405 and the role in one place. */

export interface Route<Handler> {
  readonly method: 'GET' | 'POST';
  /** Segments in braces are parameters: `/v1/registries/{registryId}`. */
  readonly path: string;
  readonly roles: readonly CallerRole[];
  readonly handler: Handler;
}

export type Parameters = Readonly<Record<string, string>>;

export type Matched<Handler> =
  | { readonly outcome: 'matched'; readonly route: Route<Handler>; readonly parameters: Parameters }
  | { readonly outcome: 'answered'; readonly response: HttpResponse };

/** The route for a request, or the answer that says why there is none. */
export function matchRoute<Handler>(
  routes: readonly Route<Handler>[],
  method: string,
  rawPath: string,
): Matched<Handler> {
  const fitting = routes.flatMap((route) => {
    const parameters = matchPath(route.path, rawPath);
    return parameters === undefined ? [] : [{ route, parameters }];
  });
  if (fitting.length === 0) {
    const detail = 'there is nothing at this path; the paths are listed in docs/api.md';
    return { outcome: 'answered', response: problem('ROUTE_UNKNOWN', detail) };
  }
  const found = fitting.find(({ route }) => route.method === method);
  if (found !== undefined) return { outcome: 'matched', ...found };
  const allow = fitting.map(({ route }) => route.method).join(', ');
  const detail = `${method} is not possible here; allowed: ${allow}`;
  const response = problem('METHOD_NOT_ALLOWED', detail, { headers: { allow } });
  return { outcome: 'answered', response };
}

function matchPath(template: string, rawPath: string): Parameters | undefined {
  const wanted = template.split('/');
  const given = rawPath.split('/');
  if (wanted.length !== given.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const value = decodeSegment(given[index] ?? '');
    if (value === undefined) return undefined;
    if (segment.startsWith('{')) parameters[segment.slice(1, -1)] = value;
    else if (segment !== value) return undefined;
  }
  return parameters;
}

function decodeSegment(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
