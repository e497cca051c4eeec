import { describe, expect, test } from 'vitest';
import { RegistryError } from '../../shared/client/problem.ts';
import { withRetries } from '../../shared/client/retries.ts';
import type { RawAnswer } from '../memory-cluster.ts';
import { expectSound } from '../sound-ledger.ts';
import { clientOf, document, quick, registry, served } from './clients.ts';

function answered(status: number, headers: Record<string, string>, body: object): RawAnswer {
  return { status, headers, bytes: Buffer.from(JSON.stringify(body)) };
}

const busy = () =>
  answered(
    503,
    { 'content-type': 'application/problem+json', 'retry-after': '0' },
    { code: 'BUSY', status: 503, detail: 'not now', retryable: true, requestId: 'r-1' },
  );

const overloaded = () => answered(429, { 'retry-after': '0' }, { message: 'Too Many Requests' });

describe('an append that meets trouble is recorded once', () => {
  test.each([
    ['the connection breaks before the lead has acted', () => 'reset' as const],
    [
      'the answer is lost after the lead has acted',
      async (carry: () => Promise<RawAnswer>) => {
        await carry();
        return 'reset' as const;
      },
    ],
    ['the lead is busy', () => busy()],
    [
      'the lead says busy although it has acted',
      async (carry: () => Promise<RawAnswer>) => {
        await carry();
        return busy();
      },
    ],
    ['the gateway lets nobody through', () => overloaded()],
    ['the gateway fails', () => answered(502, {}, { message: 'Bad Gateway' })],
  ])('%s', async (_what, trouble) => {
    const { client, registryId, atLead, lead } = await registry();
    const posts: Buffer[] = [];
    atLead.intercept = (arrived, carry) => {
      if (!arrived.path.endsWith('/transactions')) return carry();
      posts.push(arrived.body);
      return posts.length < 3 ? trouble(carry) : carry();
    };

    const recorded = await client.reconfigurePeers(registryId, [lead.id]);

    expect(recorded.sequence).toBe(2);
    expect(posts).toHaveLength(3);
    expect(new Set(posts.map(String)).size).toBe(1);
    expect(await lead.head(registryId as never)).toMatchObject({ sequence: 2 });
    await expectSound(lead, registryId as never);
  });
});

test('what is refused for good is not repeated', async () => {
  const { client, registryId, atLead } = await registry();
  const before = atLead.arrived.length;

  const call = client.reconfigurePeers(registryId, []);
  await expect(call).rejects.toMatchObject({ code: 'SCHEMA_VIOLATION' });
  await expect(client.reconfigurePeers('ab'.repeat(32), ['cd'.repeat(32)])).rejects.toMatchObject({
    code: 'REGISTRY_UNKNOWN',
    status: 404,
  });

  // The first was refused here, the second by the instance.
  expect(atLead.arrived.length).toBe(before + 1);
});

test('tries are bounded, and the last answer is told with its request id', async () => {
  const { atLead } = await served();
  atLead.intercept = () => busy();

  const call = clientOf(atLead).instance();

  await expect(call).rejects.toMatchObject({
    code: 'BUSY',
    message: 'not now',
    status: 503,
    retryable: true,
    requestId: 'r-1',
  });
  expect(atLead.arrived).toHaveLength(quick.triesMax);
});

test('tries inside of tries do not multiply', async () => {
  let tries = 0;
  const failing = async () => {
    tries += 1;
    throw new RegistryError('BUSY', 'not now', { retryable: true });
  };

  const call = withRetries(quick, undefined, () => withRetries(quick, undefined, failing));

  await expect(call).rejects.toMatchObject({ code: 'BUSY' });
  expect(tries).toBe(quick.triesMax);
});

test('time is bounded: what asks for more patience than is left is not waited for', async () => {
  const { atLead } = await served();
  atLead.intercept = () => answered(503, { 'retry-after': '3600' }, { code: 'BUSY' });

  await expect(clientOf(atLead).instance()).rejects.toMatchObject({
    code: 'BUSY',
    retryAfterMs: 3_600_000,
  });

  expect(atLead.arrived).toHaveLength(1);
});

test('a date in Retry-After is understood as well', async () => {
  const { atLead } = await served();
  const past = new Date(Date.now() - 60_000).toUTCString();
  atLead.intercept = (_arrived, carry) =>
    atLead.arrived.length < 2 ? answered(429, { 'retry-after': past }, {}) : carry();

  await clientOf(atLead).instance();

  expect(atLead.arrived).toHaveLength(2);
});

test('an instance that does not answer is given up in the end', async () => {
  const { atLead } = await served();
  const never = Promise.withResolvers<RawAnswer>();
  atLead.intercept = () => never.promise;

  const call = clientOf(atLead, { timeoutMs: 100 }).instance();

  await expect(call).rejects.toMatchObject({ code: 'TIMED_OUT', retryable: true });
  never.resolve(answered(200, {}, {}));
});

test('a caller can end a call, and gets its own reason', async () => {
  const { atLead } = await served();
  const never = Promise.withResolvers<RawAnswer>();
  const ended = new AbortController();
  const reason = new Error('the user closed the window');
  atLead.intercept = () => {
    ended.abort(reason);
    return never.promise;
  };

  await expect(clientOf(atLead).instance({ signal: ended.signal })).rejects.toBe(reason);

  expect(atLead.arrived).toHaveLength(1);
  never.resolve(answered(200, {}, {}));
});

test('a caller can end a call while it waits to try again', async () => {
  const ended = new AbortController();
  const reason = new Error('enough');
  const patient = { triesMax: 5, totalMsMax: 600_000, firstWaitMs: 300_000, waitMsMax: 300_000 };

  const call = withRetries(patient, ended.signal, async () => {
    setImmediate(() => ended.abort(reason));
    throw new RegistryError('BUSY', 'not now', { retryable: true });
  });

  await expect(call).rejects.toBe(reason);
});

describe('an answer that is none is told as such, and not repeated', () => {
  test.each([
    ['no JSON', answered(200, {}, {}), 'ANSWER_MALFORMED'],
    ['a redirect', answered(302, { location: 'https://localhost:1' }, {}), 'ANSWER_MALFORMED'],
    [
      'a problem that this client does not know',
      answered(418, {}, { code: 'TEAPOT', detail: 'short and stout', retryable: false }),
      'PROBLEM_UNKNOWN',
    ],
    ['a refusal by the gateway', answered(403, {}, { message: 'Forbidden' }), 'GATEWAY_REFUSED'],
  ] as const)('%s', async (what, answer, code) => {
    const { atLead } = await served();
    atLead.intercept = () =>
      what === 'no JSON' ? { ...answer, bytes: Buffer.from('<html>') } : answer;

    await expect(clientOf(atLead).instance()).rejects.toMatchObject({ code, retryable: false });

    expect(atLead.arrived).toHaveLength(1);
  });

  test('more bytes than an instance can answer', async () => {
    const { atLead } = await served();
    atLead.intercept = () => ({ status: 200, headers: {}, bytes: Buffer.alloc(9 * 1024 * 1024) });

    await expect(clientOf(atLead).instance()).rejects.toMatchObject({ code: 'ANSWER_MALFORMED' });
  });
});

describe('what cannot mean anything is refused before anything is sent', () => {
  const good = 'ab'.repeat(32);
  const uuid = '00000000-0000-4000-8000-000000000000';
  type Client = ReturnType<typeof clientOf>;
  const cases: readonly [string, (client: Client) => Promise<unknown>][] = [
    ['a registry id', (client) => client.entry('R', 1)],
    ['a sequence', (client) => client.entry(good, 0)],
    ['a transaction id', (client) => client.entry(good, '../../instance')],
    ['a document id', (client) => client.document(good, '..')],
    ['a version', (client) => client.version(good, 'A', 1.5)],
    ['a request id', (client) => client.signingRequest(good, 'one')],
    ['a certificate id', (client) => client.certificate('one')],
    ['a content digest', (client) => client.contents('one').next()],
    ['a range', (client) => client.entries(good, { from: -1 }).next()],
    [
      'a transaction id of an upload',
      (client) => client.uploadDocument(good, document('A'), { transactionId: 'one' }),
    ],
    ['no transactions', (client) => client.append(good, [])],
    [
      'a due date',
      (client) =>
        client.requestSignature(good, {
          documentId: 'A',
          version: 1,
          publicKey: {
            crv: 'Ed25519',
            kty: 'OKP',
            x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
          },
          purpose: 'approval',
          signer: 'N. N.',
          requestId: uuid,
          dueAt: new Date(Number.NaN),
        }),
    ],
    [
      'half of a surrogate pair',
      (client) => client.createRegistry({ name: '\ud800', peers: [good] }),
    ],
  ];

  test.each(cases)('%s', async (_what, call) => {
    const { atLead } = await served();

    await expect(call(clientOf(atLead))).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });

    expect(atLead.arrived).toEqual([]);
  });
});
