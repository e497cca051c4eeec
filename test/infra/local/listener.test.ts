import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import { createServer } from 'node:net';
import { connect } from 'node:tls';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type Listener,
  type ListenerOptions,
  startListener,
} from '../../../infra/local/listener.ts';
import { identifyCaller } from '../../../shared/http/caller.ts';
import {
  type CertificateShape,
  compressedSpki,
  type TestCertificate,
  testApplication,
  testAuthority,
  testInstance,
  testKey,
  usages,
} from '../../certificate-authority.ts';

const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;
const authority = testAuthority();
const instance = testInstance(authority, 'https://localhost');
const application = testApplication(authority);

const toStop: Array<() => unknown> = [];
afterEach(async () => {
  for (const stop of toStop.splice(0).toReversed()) await stop();
});

async function started(
  invoke: ListenerOptions['invoke'],
  options: Partial<ListenerOptions> = {},
): Promise<Listener> {
  const listener = await startListener({
    port: 0,
    keyPem: instance.keyPem,
    certificatePem: instance.certificatePem,
    clusterCaPem: authority.certificatePem,
    invoke,
    ...options,
  });
  toStop.push(listener.close);
  return listener;
}

interface Sent extends RequestOptions {
  readonly client?: TestCertificate | undefined;
  readonly body?: string | Uint8Array;
}

interface Came {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly bytes: Buffer;
}

/** One request over a connection of its own, with the application's certificate unless told. */
async function send(listener: Listener, sent: Sent = {}): Promise<Came> {
  const { client = application, body, ...options } = sent;
  const outgoing = request({
    host: 'localhost',
    port: listener.port,
    ca: authority.certificatePem,
    key: client.keyPem,
    cert: client.certificatePem,
    agent: false,
    method: body === undefined ? 'GET' : 'POST',
    ...options,
  });
  return receive(outgoing.end(body));
}

async function receive(outgoing: ReturnType<typeof request>): Promise<Came> {
  const [response]: IncomingMessage[] = await once(outgoing, 'response');
  if (response === undefined) throw new Error('no response');
  const bytes = Buffer.concat(await response.toArray());
  const { statusCode: status, headers } = response;
  return { status, headers, body: bytes.toString(), bytes };
}

/** A listener that keeps the events it makes. */
async function recording(options: Partial<ListenerOptions> = {}) {
  const events: APIGatewayProxyEventV2[] = [];
  const listener = await started(async (event) => {
    events.push(event);
    return { statusCode: 204 };
  }, options);
  return { listener, events };
}

describe('event', () => {
  test('a request becomes an event of payload format 2.0', async () => {
    const { listener, events } = await recording({
      routeKeyOf: (method, path) => `${method} ${path.replace(/[^/]+$/, '{id}')}`,
    });

    await send(listener, {
      path: '/v1/registries/a%20b?after=1&kind=x&kind=y%2C&empty',
      headers: { 'User-Agent': 'vitest', 'X-Twice': ['1', '2'], Cookie: 'a=1; b=2' },
    });

    const [event] = events;
    expect(event).toEqual({
      version: '2.0',
      routeKey: 'GET /v1/registries/{id}',
      rawPath: '/v1/registries/a%20b',
      rawQueryString: 'after=1&kind=x&kind=y%2C&empty',
      cookies: ['a=1', 'b=2'],
      headers: {
        host: `localhost:${listener.port}`,
        'user-agent': 'vitest',
        'x-twice': '1,2',
        'x-forwarded-for': expect.stringMatching(/^(127\.0\.0\.1|::1)$/),
        'x-forwarded-port': String(listener.port),
        'x-forwarded-proto': 'https',
      },
      queryStringParameters: { after: '1', kind: 'x,y,', empty: '' },
      requestContext: {
        accountId: '000000000000',
        apiId: 'local',
        authentication: {
          clientCert: {
            clientCertPem: application.certificatePem,
            subjectDN: 'CN=application',
            issuerDN: 'CN=Test Cluster CA',
            serialNumber: expect.stringMatching(/^([0-9a-f]{2}:){15}[0-9a-f]{2}$/),
            validity: {
              notBefore: expect.stringMatching(/ GMT$/),
              notAfter: expect.stringMatching(/ GMT$/),
            },
          },
        },
        domainName: 'localhost',
        domainPrefix: 'localhost',
        http: {
          method: 'GET',
          path: '/v1/registries/a%20b',
          protocol: 'HTTP/1.1',
          sourceIp: expect.stringMatching(/^(127\.0\.0\.1|::1)$/),
          userAgent: 'vitest',
        },
        requestId: expect.stringMatching(/^[\w-]{16}$/),
        routeKey: 'GET /v1/registries/{id}',
        stage: '$default',
        time: expect.stringMatching(/^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/),
        timeEpoch: expect.any(Number),
      },
      isBase64Encoded: false,
    });
  });

  test('without a query and cookies the event names neither, and the route is the default', async () => {
    const { listener, events } = await recording();

    await send(listener, { path: '/' });

    expect(events[0]).toMatchObject({ routeKey: '$default', rawPath: '/', rawQueryString: '' });
    for (const member of ['queryStringParameters', 'cookies', 'body'])
      expect(events[0]).not.toHaveProperty(member);
  });

  test.each([
    ['application/json', false],
    ['application/json; charset=utf-8', false],
    ['application/problem+json', false],
    ['application/xml', false],
    ['application/javascript', false],
    ['text/plain', false],
    ['application/octet-stream', true],
    ['application/x-www-form-urlencoded', true],
    ['image/png', true],
    [undefined, true],
  ])('a body of type %s comes base64 encoded: %s', async (contentType, encoded) => {
    const { listener, events } = await recording();
    const headers = contentType === undefined ? {} : { 'content-type': contentType };

    await send(listener, { body: '{"ä":1}', headers });

    expect(events[0]).toMatchObject({
      body: encoded ? Buffer.from('{"ä":1}').toString('base64') : '{"ä":1}',
      isBase64Encoded: encoded,
    });
  });

  test('a compressed body comes base64 encoded, whatever its type', async () => {
    const { listener, events } = await recording();

    await send(listener, {
      body: 'x',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    });

    expect(events[0]).toMatchObject({ body: 'eA==', isBase64Encoded: true });
  });
});

describe('answer', () => {
  test('status, headers, cookies and body of a result are sent', async () => {
    const listener = await started(async () => ({
      statusCode: 201,
      headers: { 'Content-Type': 'application/json', 'x-count': 3, 'content-length': 99 },
      cookies: ['a=1', 'b=2'],
      body: '{"ä":1}',
    }));

    const came = await send(listener);

    expect(came).toMatchObject({ status: 201, body: '{"ä":1}' });
    expect(came.headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': '8',
      'x-count': '3',
      'set-cookie': ['a=1', 'b=2'],
      'apigw-requestid': expect.any(String),
    });
  });

  test('a body in base64 is sent as bytes', async () => {
    const listener = await started(async () => ({
      statusCode: 200,
      body: Buffer.from([0, 255, 1]).toString('base64'),
      isBase64Encoded: true,
    }));

    const came = await send(listener);

    expect(came.bytes).toEqual(Buffer.from([0, 255, 1]));
    expect(came.headers['content-type']).toBe('text/plain; charset=UTF-8');
  });

  test.each([
    ['a text', 'hello', 'hello'],
    ['an object', { ok: true }, '{"ok":true}'],
    ['nothing', undefined, 'null'],
  ])('a result that is %s is the body of a success', async (_, result, body) => {
    const came = await send(await started(async () => result));

    expect(came).toMatchObject({ status: 200, body });
    expect(came.headers['content-type']).toBe('application/json');
  });

  test.each([
    ['a rejection', () => Promise.reject(new Error('secret'))],
    ['a status that is none', async () => ({ statusCode: 'x' })],
    ['a body that is no text', async () => ({ statusCode: 200, body: { secret: 1 } })],
    ['a header that is none', async () => ({ statusCode: 200, headers: { x: 'a\r\nb: c' } })],
    ['an answer above 6 MB', async () => ({ statusCode: 200, body: 'x'.repeat(6 * MIB) })],
  ])('%s is an internal error', async (_, invoke) => {
    expect(await send(await started(invoke))).toMatchObject({
      status: 500,
      body: '{"message":"Internal Server Error"}',
    });
  });
});

describe('limits', () => {
  const json = { 'content-type': 'application/json' };

  test('a body above 10 MB is refused before it is read, whether its length is announced or not', async () => {
    const { listener, events } = await recording();
    const body = Buffer.alloc(10 * MIB + 1);

    const announced = await send(listener, { body });
    const chunked = await send(listener, { body, headers: { 'transfer-encoding': 'chunked' } });

    for (const came of [announced, chunked])
      expect(came).toMatchObject({ status: 413, body: '{"message":"Request Entity Too Large"}' });
    expect(events).toEqual([]);
  });

  test('an event above 6 MB is refused, as base64 makes bytes longer', async () => {
    const { listener, events } = await recording();

    const text = await send(listener, { body: 'x'.repeat(5 * MIB), headers: json });
    const bytes = await send(listener, { body: Buffer.alloc(5 * MIB) });

    expect(text.status).toBe(204);
    expect(bytes.status).toBe(413);
    expect(events).toHaveLength(1);
  });

  test('a request that does not end in time is refused with 408', async () => {
    const { listener, events } = await recording({ timeoutMs: 200 });
    const outgoing = request({
      host: 'localhost',
      port: listener.port,
      ca: authority.certificatePem,
      key: application.keyPem,
      cert: application.certificatePem,
      agent: false,
      method: 'POST',
      headers: { 'content-length': '10' },
    });
    outgoing.on('error', () => undefined).write('x');

    expect(await receive(outgoing)).toMatchObject({
      status: 408,
      body: '{"message":"Request Timeout"}',
    });
    expect(events).toEqual([]);
  });

  test('a function that does not answer in time is unavailable', async () => {
    const listener = await started(() => new Promise(() => undefined), { timeoutMs: 200 });

    expect(await send(listener)).toMatchObject({
      status: 503,
      body: '{"message":"Service Unavailable"}',
    });
  });

  test('headers above 10 KB are refused', async () => {
    const { listener, events } = await recording();

    expect(await send(listener, { headers: { 'x-long': 'x'.repeat(11_000) } })).toMatchObject({
      status: 431,
    });
    expect(events).toEqual([]);
  });

  test('a request target that is no path is refused', async () => {
    const { listener } = await recording();

    expect(await send(listener, { method: 'OPTIONS', path: '*' })).toMatchObject({ status: 400 });
  });

  test('a client that leaves in the middle of its request does no harm', async () => {
    const { listener, events } = await recording();
    const outgoing = request({
      host: 'localhost',
      port: listener.port,
      ca: authority.certificatePem,
      key: application.keyPem,
      cert: application.certificatePem,
      agent: false,
      method: 'POST',
      headers: { 'content-length': '10' },
    });
    outgoing.on('error', () => undefined).write('x');
    const [socket] = await once(outgoing, 'socket');
    await once(socket, 'secureConnect');
    outgoing.destroy();

    expect(await send(listener)).toMatchObject({ status: 204 });
    expect(events).toHaveLength(1);
  });
});

describe('connections', () => {
  test('a connection serves many requests', async () => {
    const { listener } = await recording();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    toStop.push(() => agent.destroy());

    await send(listener, { agent });
    const again = request({
      host: 'localhost',
      port: listener.port,
      ca: authority.certificatePem,
      key: application.keyPem,
      cert: application.certificatePem,
      agent,
    });

    expect(await receive(again.end())).toMatchObject({ status: 204 });
    expect(again.reusedSocket).toBe(true);
  });

  test('a resumed session shows the certificate of its first handshake', async () => {
    const { listener, events } = await recording();
    const agent = new Agent({ keepAlive: false });

    for (let count = 0; count < 2; count += 1)
      expect(await send(listener, { agent })).toMatchObject({ status: 204 });

    for (const event of events)
      expect(event.requestContext.authentication?.clientCert.clientCertPem).toBe(
        application.certificatePem,
      );
  });

  test('TLS below 1.2 is refused', async () => {
    const { listener } = await recording();
    const socket = connect({
      host: 'localhost',
      port: listener.port,
      rejectUnauthorized: false,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
    });

    await expect(once(socket, 'secureConnect')).rejects.toThrow();
  });

  test('a port that is taken is named', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    toStop.push(() => other.close());
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;

    await expect(recording({ port })).rejects.toThrow(`port ${port} of 127.0.0.1 is taken`);
  });

  test('a closed listener answers nobody', async () => {
    const { listener } = await recording();
    await listener.close();
    toStop.length = 0;

    await expect(send(listener)).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe('certificates', () => {
  const key = testKey();
  const inDays = (days: number) => new Date(Date.now() + days * DAY_MS);

  function shaped(shape: CertificateShape, issuer = authority): TestCertificate {
    return testApplication(issuer, { key, notBefore: inDays(-7), notAfter: inDays(7), ...shape });
  }

  /** As a function does it: the listener in front, then the caller's identity. */
  async function startedWithIdentity() {
    let invocations = 0;
    const config = {
      clusterCaPem: authority.certificatePem,
      applications: new Set([shaped({}).certificateId]),
      operators: new Set<string>(),
      auditors: new Set<string>(),
      denied: new Set<string>(),
    };
    const listener = await started(async (event) => {
      invocations += 1;
      const pem = event.requestContext.authentication?.clientCert.clientCertPem;
      const outcome = identifyCaller(pem, config, Date.now());
      if (outcome.outcome === 'identified') return { statusCode: 200, body: outcome.caller.role };
      return { statusCode: outcome.status, body: JSON.stringify(outcome) };
    });
    return { listener, invoked: () => invocations };
  }

  async function verdictOn(client: Sent): Promise<string> {
    const { listener, invoked } = await startedWithIdentity();
    const { status, body } = await send(listener, client);
    const code = status === 200 ? body : JSON.parse(body).code;
    return `${status} ${code}, ${invoked() > 0 ? 'function' : 'listener'}`;
  }

  test.each<[string, string, TestCertificate]>([
    ['that is right', '200 application, function', shaped({})],
    ['renewed with the same key', '200 application, function', shaped({ subject: 'renewed' })],
    ['of a peer', '200 peer, function', testInstance(authority)],
    [
      'of the same subject with another key',
      '403 CALLER_NOT_LISTED, function',
      shaped({ key: testKey() }),
    ],
    [
      'that signed itself under the name of the authority',
      '403 CLIENT_CERTIFICATE_UNTRUSTED, listener',
      shaped({ subject: authority.name }, { ...authority, key }),
    ],
    [
      'of another authority',
      '403 CLIENT_CERTIFICATE_UNTRUSTED, listener',
      shaped({}, testAuthority('Other CA')),
    ],
    [
      'of an authority of the same name',
      '403 CLIENT_CERTIFICATE_UNTRUSTED, listener',
      shaped({}, testAuthority(authority.name)),
    ],
    [
      'expired yesterday',
      '403 CLIENT_CERTIFICATE_EXPIRED, listener',
      shaped({ notAfter: inDays(-1) }),
    ],
    [
      'valid tomorrow',
      '403 CLIENT_CERTIFICATE_NOT_YET_VALID, listener',
      shaped({ notBefore: inDays(1) }),
    ],
    [
      'without clientAuth',
      '403 CLIENT_CERTIFICATE_WRONG_USAGE, listener',
      shaped({ extendedKeyUsage: [usages.serverAuth] }),
    ],
    [
      'without any extended usage',
      '403 CLIENT_CERTIFICATE_WRONG_USAGE, listener',
      shaped({ extendedKeyUsage: [] }),
    ],
    ['of an authority', '403 CLIENT_CERTIFICATE_WRONG_USAGE, function', shaped({ authority: {} })],
    [
      'with a wildcard',
      '403 CLIENT_CERTIFICATE_MALFORMED, function',
      shaped({ dnsNames: ['*.example'] }),
    ],
    [
      'with an RSA key',
      '403 CLIENT_CERTIFICATE_MALFORMED, function',
      shaped({ key: testKey('rsa') }),
    ],
    [
      'with a compressed point',
      '403 CLIENT_CERTIFICATE_MALFORMED, function',
      shaped({ spki: compressedSpki(key) }),
    ],
  ])('a certificate %s: %s', async (_, verdict, client) => {
    expect(await verdictOn({ client })).toBe(verdict);
  });

  test('a request without certificate is refused before the function, as a problem', async () => {
    const { listener, invoked } = await startedWithIdentity();

    const came = await send(listener, { key: '', cert: '' });

    expect(came.status).toBe(403);
    expect(came.headers['content-type']).toBe('application/problem+json');
    expect(JSON.parse(came.body)).toEqual({
      type: expect.stringMatching(/^urn:registry:problem:[a-z-]+$/),
      title: 'Forbidden',
      status: 403,
      code: 'CLIENT_CERTIFICATE_MISSING',
      detail: expect.stringContaining('cluster CA'),
    });
    expect(invoked()).toBe(0);
  });
});
