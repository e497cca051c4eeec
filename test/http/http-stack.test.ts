import { expect, test } from 'vitest';
import { createApi } from '../../functions/api.ts';
import { MemoryCluster } from '../memory-cluster.ts';

/** What the API answers to a body that the gateway hands over as text. */
async function answerTo(body: string) {
  const client = await new MemoryCluster().add('client');
  const api = createApi(
    async () => client.ports,
    () => undefined,
  ) as unknown as (
    event: unknown,
    context: unknown,
  ) => Promise<{ statusCode: number; body: string }>;
  const path = '/v1/uploads';
  const event = {
    version: '2.0',
    rawPath: path,
    headers: {},
    body,
    isBase64Encoded: false,
    requestContext: {
      requestId: 'r-1',
      http: { method: 'POST', path },
      authentication: { clientCert: { clientCertPem: client.application.certificatePem } },
    },
  };
  const answer = await api(event, {});
  return { status: answer.statusCode, body: JSON.parse(answer.body) };
}

test('a text in which a gateway replaced what was no UTF-8 is refused, not recorded changed', async () => {
  const { status, body } = await answerTo('{"name":"Pr\uFFFDfung"}');

  expect([status, body.code]).toEqual([400, 'NOT_UTF8']);
  expect(body.detail).toContain('application/octet-stream');
});

test('any other text is read as it is', async () => {
  const { status } = await answerTo(JSON.stringify({ contentDigest: 'ab'.repeat(32), size: 3 }));

  expect(status).toBe(201);
});
