import { expect, test } from 'vitest';
import { routeKeyOf } from '../../../infra/local/routes.ts';

const routes = [
  '$default',
  'ANY /v1/peer/{proxy+}',
  'GET /v1/peer/{id}',
  'ANY /v1/peer/{id}',
  'ANY /v1/peer/health',
].map((key) => ({ key, functionName: key }));

test.each([
  ['GET', '/', '$default'],
  ['POST', '/v1/registries', '$default'],
  ['GET', '/v1/peer', '$default'],
  ['GET', '/v1/peer/', '$default'],
  ['GET', '/v1/peer/a/b', 'ANY /v1/peer/{proxy+}'],
  ['GET', '/v1/peer/a', 'GET /v1/peer/{id}'],
  ['PUT', '/v1/peer/a', 'ANY /v1/peer/{id}'],
  ['GET', '/v1/peer/health', 'ANY /v1/peer/health'],
])('%s %s takes the most specific route', (method, path, expected) => {
  expect(routeKeyOf(routes, method, path)).toBe(expected);
});

test('without a default a request may have no route', () => {
  expect(routeKeyOf(routes.slice(1), 'GET', '/')).toBe('');
});
