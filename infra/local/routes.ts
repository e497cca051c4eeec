import type { Route } from './plan.ts';

/**
 * The key of the route that API Gateway would choose: the more specific path first, then the
 * named method before ANY, and `$default` when nothing else fits. Empty: no route at all.
 */
export function routeKeyOf(routes: readonly Route[], method: string, path: string): string {
  const fitting = routes
    .map(({ key }) => key)
    .filter((key) => key === '$default' || fits(key, method, path))
    .sort((a, b) => weight(b) - weight(a));
  return fitting[0] ?? '';
}

function fits(key: string, method: string, path: string): boolean {
  const [routeMethod = '', routePath = ''] = key.split(' ');
  if (routeMethod !== 'ANY' && routeMethod !== method) return false;
  const wanted = routePath.split('/');
  const given = path.split('/');
  const greedy = wanted.at(-1)?.endsWith('+}') === true;
  if (greedy ? given.length < wanted.length : given.length !== wanted.length) return false;
  return wanted.every(
    (segment, index) =>
      (segment.startsWith('{') && given[index] !== '') || segment === given[index],
  );
}

function weight(key: string): number {
  if (key === '$default') return 0;
  const greedy = key.endsWith('+}') ? 0 : 1000;
  const literal = key.split('/').filter((segment) => !segment.startsWith('{')).length * 10;
  return 1 + greedy + literal + (key.startsWith('ANY ') ? 0 : 1);
}
