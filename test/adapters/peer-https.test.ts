import { once } from 'node:events';
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { createServer as createTls, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { isRefusedAddress } from '../../shared/adapters/peer-address.ts';
import { PeerHttps, type PeerHttpsOptions } from '../../shared/adapters/peer-https.ts';
import type { CertificateId, Digest } from '../../shared/ledger/digest.ts';
import type { PeerRequest } from '../../shared/registry/peer-transport.ts';
import {
  type CertificateShape,
  compressedSpki,
  type TestCertificate,
  testApplication,
  testAuthority,
  testInstance,
  testKey,
} from '../certificate-authority.ts';

const DAY_MS = 86_400_000;
const registryId = 'a'.repeat(64) as Digest;
const authority = testAuthority();
const own = testInstance(authority, 'https://own.example');

const toStop: Array<() => unknown> = [];
afterEach(async () => {
  for (const stop of toStop.splice(0).toReversed()) await stop();
});

type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

interface RunningPeer {
  readonly port: number;
  readonly certificate: TestCertificate;
  /** Connections accepted so far. */
  readonly connections: TLSSocket[];
}

/** Settings of every server here: mutual TLS as an instance has it. */
function tlsOf(certificate: TestCertificate) {
  return {
    key: certificate.keyPem,
    cert: certificate.certificatePem,
    ca: authority.certificatePem,
    requestCert: true,
    rejectUnauthorized: true,
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** An instance that answers over https. */
async function startPeer(answer: Answer, shape: CertificateShape = {}): Promise<RunningPeer> {
  const certificate = testInstance(authority, 'https://localhost', shape);
  const connections: TLSSocket[] = [];
  const server = createHttps(tlsOf(certificate), async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    answer(request, response, body);
  });
  server.on('secureConnection', (socket) => connections.push(socket));
  toStop.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: await listen(server), certificate, connections };
}

/** A server that notes every byte that arrives after the handshake. */
async function startListener(certificate: TestCertificate) {
  const received: Buffer[] = [];
  const sockets: TLSSocket[] = [];
  const server = createTls(tlsOf(certificate), (socket) => {
    sockets.push(socket);
    socket.on('data', (bytes) => received.push(bytes)).on('error', () => undefined);
  });
  const port = await listen(server);
  toStop.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  /** What came, once every connection is over. */
  const bytesReceived = async () => {
    await Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close')));
    return Buffer.concat(received).length;
  };
  return { port, bytesReceived };
}

/** The certificate that is held of a peer: same key, endpoint with the port. */
function heldOf(certificate: TestCertificate, port: number): TestCertificate {
  return testInstance(authority, `https://localhost:${port}`, { key: certificate.key });
}

function optionsWith(held: TestCertificate | undefined) {
  return {
    keyPem: own.keyPem,
    certificatePem: own.certificatePem,
    clusterCaPem: authority.certificatePem,
    localEndpoints: true,
    timeoutMs: 5000,
    certificateOf: async () => held?.certificatePem,
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
  };
}

function transport(held: TestCertificate | undefined, options: Partial<PeerHttpsOptions> = {}) {
  const peers = new PeerHttps({ ...optionsWith(held), ...options });
  toStop.push(() => peers.close());
  return peers;
}

function idOf(certificate: TestCertificate): CertificateId {
  return certificate.certificateId as CertificateId;
}

const delivery: PeerRequest = {
  operation: 'deliver',
  registryId,
  body: Buffer.from('{"entries":[]}'),
};

/** A running peer, a transport that knows it, and a call to it. */
async function connected(answer: Answer, options: Partial<PeerHttpsOptions> = {}) {
  const peer = await startPeer(answer);
  const peers = transport(heldOf(peer.certificate, peer.port), options);
  const call = (request = delivery) => peers.call(idOf(peer.certificate), request);
  return { peer, peers, call };
}

describe('calls', () => {
  test('a delivery is posted with the own certificate, and the answer comes back', async () => {
    const seen: unknown[] = [];
    const { call } = await connected((request, response, body) => {
      const client = (request.socket as TLSSocket).getPeerX509Certificate();
      seen.push([request.method, request.url, request.headers['content-type'], `${body}`]);
      seen.push(client?.toString());
      response.writeHead(201, { 'retry-after': '7' }).end('{"ok":true}');
    });

    const answer = await call();

    expect(answer).toEqual({
      outcome: 'answered',
      status: 201,
      body: Buffer.from('{"ok":true}'),
    });
    expect(seen).toEqual([
      [
        'POST',
        `/v1/peer/registries/${registryId}/deliveries`,
        'application/json',
        '{"entries":[]}',
      ],
      own.certificatePem,
    ]);
  });

  test.each([
    ['deliver', 'POST', '/deliveries'],
    ['statements', 'POST', '/statements'],
    ['invite', 'POST', '/invitations'],
    ['head', 'GET', '/head?nonce=s%2F%3F'],
    ['content', 'GET', '/contents/s%2F%3F'],
    ['certificate', 'GET', '/certificates/s%2F%3F'],
    ['configuration', 'GET', '/configuration'],
  ] as const)('%s goes to its route: %s %s', async (operation, method, path) => {
    const { call } = await connected((request, response) => {
      response.end(`${request.method} ${request.url}`);
    });

    const answer = await call({ operation, registryId, subject: 's/?' });

    expect(answer).toMatchObject({
      body: Buffer.from(`${method} /v1/peer/registries/${registryId}${path}`),
    });
  });

  test('a request that needs a subject and has none is a mistake of the program', async () => {
    const { call } = await connected((_, response) => response.end());

    await expect(call({ operation: 'content', registryId })).rejects.toThrow(/subject/);
  });

  test.each([429, 503])('the time to wait is read from an answer %i', async (status) => {
    const { call } = await connected((_, response) => {
      response.writeHead(status, { 'retry-after': '7' }).end();
    });

    expect(await call()).toMatchObject({ status, retryAfterSeconds: 7 });
  });

  test('a time to wait that is not in seconds is passed over', async () => {
    const { call } = await connected((_, response) => {
      response.writeHead(429, { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }).end();
    });

    expect(await call()).not.toHaveProperty('retryAfterSeconds');
  });

  test('calls to one peer share a connection', async () => {
    const { peer, call } = await connected((_, response) => response.end('x'));

    for (let count = 0; count < 3; count += 1)
      expect(await call()).toMatchObject({ outcome: 'answered' });

    expect(peer.connections).toHaveLength(1);
  });

  test('a kept connection that the peer has closed costs nothing but a new one', async () => {
    let requests = 0;
    const { peer, call } = await connected((request, response) => {
      requests += 1;
      if (requests === 2) request.socket.destroy();
      else response.end('x');
    });

    expect(await call()).toMatchObject({ outcome: 'answered' });
    expect(await call()).toMatchObject({ outcome: 'answered' });
    expect(peer.connections).toHaveLength(2);
  });

  test('a peer that moved is called at its new endpoint', async () => {
    const old = await startPeer((_, response) => response.end('old'));
    const next = await startListener(old.certificate);
    const held = [heldOf(old.certificate, old.port), heldOf(old.certificate, next.port)];
    const peers = transport(undefined, {
      certificateOf: async () => held.shift()?.certificatePem,
      timeoutMs: 300,
    });

    await peers.call(idOf(old.certificate), delivery);
    await peers.call(idOf(old.certificate), delivery);

    expect(await next.bytesReceived()).toBeGreaterThan(0);
  });
});

describe('proof of the peer', () => {
  const key = testKey();

  function presenting(shape: CertificateShape, issuer = authority): TestCertificate {
    return testInstance(issuer, 'https://localhost', { key, ...shape });
  }

  const yesterday = new Date(Date.now() - DAY_MS);
  const weekAgo = new Date(Date.now() - 7 * DAY_MS);
  const explicit = testKey('p256-explicit');

  test.each<[string, string, TestCertificate]>([
    [
      'of another authority',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      presenting({}, testAuthority('Other CA')),
    ],
    [
      'of an authority of the same name',
      'CERT_SIGNATURE_FAILURE',
      presenting({}, testAuthority(authority.name)),
    ],
    [
      'that signed itself',
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      presenting({ subject: authority.name }, { ...authority, key }),
    ],
    [
      'expired yesterday',
      'CERT_HAS_EXPIRED',
      presenting({ notBefore: weekAgo, notAfter: yesterday }),
    ],
    [
      'valid tomorrow',
      'CERT_NOT_YET_VALID',
      presenting({ notBefore: new Date(Date.now() + DAY_MS / 2) }),
    ],
    ['of another member', 'has the certificate id', testInstance(authority, 'https://localhost')],
    [
      'of another host',
      'ERR_TLS_CERT_ALTNAME_INVALID',
      testInstance(authority, 'https://other.example', { key }),
    ],
    [
      'of an application',
      'INVALID_PURPOSE',
      testApplication(authority, { key, dnsNames: ['localhost'] }),
    ],
    ['of an authority as leaf', 'of an authority', presenting({ authority: {} })],
    ['with a wildcard', 'wildcard', presenting({ dnsNames: ['localhost', '*.example'] })],
    ['with an RSA key', 'not a P-256 key', presenting({ key: testKey('rsa') })],
    ['with explicit parameters', 'UNSPECIFIED', presenting({ key: explicit })],
    ['with a compressed point', 'not a P-256 key', presenting({ spki: compressedSpki(key) })],
  ])('a server with a certificate %s gets not one byte: %s', async (_, reason, certificate) => {
    const server = await startListener(certificate);
    const held = heldOf({ ...certificate, key }, server.port);

    const answer = await transport(held).call(idOf(held), delivery);

    expect(answer).toEqual({ outcome: 'unreachable', reason: expect.stringContaining(reason) });
    expect(await server.bytesReceived()).toBe(0);
  });

  test('the expected certificate gets the request: the listener above sees bytes', async () => {
    const certificate = presenting({});
    const server = await startListener(certificate);
    const held = heldOf(certificate, server.port);

    const answer = await transport(held, { timeoutMs: 300 }).call(idOf(held), delivery);

    expect(answer).toMatchObject({ reason: expect.stringContaining('time-out') });
    expect(await server.bytesReceived()).toBeGreaterThan(0);
  });

  test('a kept connection is not used beyond the validity of its certificate', async () => {
    // Certificates count whole seconds.
    const notAfter = new Date(Math.ceil(Date.now() / 1000) * 1000 + 1000);
    const peer = await startPeer((_, response) => response.end('x'), { notAfter });
    const peers = transport(heldOf(peer.certificate, peer.port));

    const first = await peers.call(idOf(peer.certificate), delivery);
    await setTimeout(notAfter.getTime() - Date.now() + 100);
    const second = await peers.call(idOf(peer.certificate), delivery);

    expect(first).toMatchObject({ outcome: 'answered' });
    expect(second).toEqual({
      outcome: 'unreachable',
      reason: expect.stringMatching(/CERT_HAS_EXPIRED|valid until/),
    });
  });

  test('a server that speaks only TLS 1.1 is not spoken to', async () => {
    const certificate = presenting({});
    const server = createTls({ ...tlsOf(certificate), minVersion: 'TLSv1', maxVersion: 'TLSv1.1' });
    server.on('tlsClientError', () => undefined);
    toStop.push(() => server.close());
    const held = heldOf(certificate, await listen(server));

    expect(await transport(held).call(idOf(held), delivery)).toMatchObject({
      outcome: 'unreachable',
    });
  });

  test('a server that refuses this instance is unreachable', async () => {
    const { peer } = await connected((_, response) => response.end());
    const stranger = testInstance(testAuthority('Other CA'), 'https://own.example');
    const held = heldOf(peer.certificate, peer.port);
    const peers = transport(held, {
      keyPem: stranger.keyPem,
      certificatePem: stranger.certificatePem,
    });

    expect(await peers.call(idOf(held), delivery)).toMatchObject({ outcome: 'unreachable' });
  });

  test('nothing listening is unreachable', async () => {
    const held = heldOf(presenting({}), 1);

    expect(await transport(held).call(idOf(held), delivery)).toEqual({
      outcome: 'unreachable',
      reason: 'not connected: ECONNREFUSED',
    });
  });

  test.each<[string, TestCertificate | undefined]>([
    ['none', undefined],
    ['one that is no certificate', { ...own, certificatePem: 'x' }],
    ['one of another peer', testInstance(authority)],
    ['one without endpoint', testApplication(authority, { key })],
  ])('without a certificate of the peer there is no call: %s', async (_, held) => {
    const answer = await transport(held).call(idOf(presenting({})), delivery);

    expect(answer).toEqual({
      outcome: 'unreachable',
      reason: expect.stringContaining('certificate'),
    });
  });
});

describe('answers', () => {
  test.each([301, 302, 304, 307, 308])('a redirect %i is not followed', async (status) => {
    const target = await startListener(own);
    const { call } = await connected((_, response) => {
      response.writeHead(status, { location: `https://localhost:${target.port}/` }).end();
    });

    expect(await call()).toEqual({
      outcome: 'unreachable',
      reason: expect.stringContaining('redirect'),
    });
    expect(await target.bytesReceived()).toBe(0);
  });

  test('an answer above 6 MB is given up', async () => {
    const { call } = await connected((_, response) => {
      response.on('error', () => undefined).end(Buffer.alloc(6 * 1024 * 1024 + 1));
    });

    expect(await call()).toMatchObject({ reason: expect.stringContaining('more than') });
  });

  test('an answer of 6 MB is taken', async () => {
    const { call } = await connected((_, response) => response.end(Buffer.alloc(6 * 1024 * 1024)));

    expect(await call()).toMatchObject({ outcome: 'answered', status: 200 });
  });

  test('an endless answer ends at the time limit', async () => {
    const { call } = await connected(
      (_, response) => {
        const drip = setInterval(() => response.write('x'), 20);
        response.on('close', () => clearInterval(drip));
      },
      { timeoutMs: 400 },
    );
    const begun = performance.now();

    expect(await call()).toMatchObject({ reason: expect.stringContaining('time-out') });
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  test('an answer that breaks off is no answer', async () => {
    const { call } = await connected((request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('x', () => request.socket.destroy());
    });

    expect(await call()).toMatchObject({ reason: expect.stringContaining('broke') });
  });

  test('a handshake that never ends stops at the time limit', async () => {
    const sockets: Socket[] = [];
    const server = createTcp((socket) => sockets.push(socket));
    const port = await listen(server);
    toStop.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const held = heldOf(own, port);

    const answer = await transport(held, { timeoutMs: 200 }).call(idOf(held), delivery);

    expect(answer).toMatchObject({ reason: expect.stringContaining('time-out') });
  });
});

describe('addresses', () => {
  test.each([
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '169.254.169.254',
    '169.254.170.2',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:a9fe:a9fe',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::a9fe:a9fe',
    '2002:7f00:1::',
    'fd00:ec2::254',
    'fd20:ce::254',
    'fe80::1',
    'fe80::1%eth0',
    'ff02::1',
    'localhost',
    '',
  ])('%s is refused', (address) => {
    expect(isRefusedAddress(address)).toBe(true);
  });

  test.each([
    '93.184.215.14',
    '10.0.0.1',
    '192.168.1.1',
    '2600:1f18::1',
    '::ffff:93.184.215.14',
    '64:ff9b::5db8:d70e',
    'fd12:3456::1',
  ])('%s is connected to', (address) => {
    expect(isRefusedAddress(address)).toBe(false);
  });

  test.each([
    'https://127.0.0.1',
    'https://[::1]',
    'https://[::ffff:7f00:1]',
  ])('the endpoint %s is refused where the instance is not local', async (endpoint) => {
    const held = testInstance(authority, endpoint, { dnsNames: [] });

    const answer = await transport(held, { localEndpoints: false }).call(idOf(held), delivery);

    expect(answer).toMatchObject({ reason: expect.stringContaining('address') });
  });

  test('a name is resolved once, and one refused address among its addresses refuses it', async () => {
    const peer = await startListener(own);
    const held = heldOf(own, peer.port);
    let questions = 0;
    const resolve = async () => {
      questions += 1;
      return [
        { address: '93.184.215.14', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ];
    };

    const answer = await transport(held, { localEndpoints: false, resolve }).call(
      idOf(held),
      delivery,
    );

    expect(answer).toMatchObject({ reason: expect.stringContaining('address') });
    expect(questions).toBe(1);
    expect(await peer.bytesReceived()).toBe(0);
  });

  test('without a resolver the one of the system is asked', async () => {
    const peer = await startPeer((_, response) => response.end('x'));
    const held = heldOf(peer.certificate, peer.port);
    const { resolve: _, ...settings } = optionsWith(held);
    const outcomes: unknown[] = [];
    for (const localEndpoints of [true, false]) {
      const peers = new PeerHttps({ ...settings, localEndpoints });
      toStop.push(() => peers.close());
      outcomes.push(await peers.call(idOf(held), delivery));
    }

    expect(outcomes).toEqual([
      { outcome: 'answered', status: 200, body: Buffer.from('x') },
      { outcome: 'unreachable', reason: expect.stringContaining('address') },
    ]);
  });

  test.each([
    ['has no address', async () => []],
    ['is unknown', () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' }))],
  ])('a name that %s is unreachable', async (_, resolve) => {
    const held = heldOf(own, 443);

    expect(await transport(held, { resolve }).call(idOf(held), delivery)).toMatchObject({
      outcome: 'unreachable',
    });
  });
});

describe('downloads', () => {
  async function startStore(answer: (request: IncomingMessage, response: ServerResponse) => void) {
    const requests: IncomingMessage[] = [];
    const server = createHttp((request, response) => {
      requests.push(request);
      answer(request, response);
    });
    toStop.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const port = await listen(server);
    return { requests, port, url: `http://localhost:${port}/bucket/key?signature=secret` };
  }

  async function bytesOf(bytes: AsyncIterable<Uint8Array> | undefined): Promise<string> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of bytes ?? []) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  test('the bytes behind a URL come as a stream', async () => {
    const store = await startStore((request, response) => {
      response.end(`${request.url} ${request.headers.host}`);
    });

    const bytes = await transport(undefined).download(store.url);

    expect(await bytesOf(bytes)).toBe(`/bucket/key?signature=secret localhost:${store.port}`);
  });

  test.each([206, 301, 302, 403, 404, 500])('an answer %i is no content', async (status) => {
    const store = await startStore((_, response) => {
      response.writeHead(status, { location: '/elsewhere' }).end('x');
    });

    expect(await transport(undefined).download(store.url)).toBeUndefined();
    expect(store.requests).toHaveLength(1);
  });

  test('plain http and addresses of this machine are for local instances only', async () => {
    const store = await startStore((_, response) => response.end('x'));
    const peers = transport(undefined, { localEndpoints: false });

    for (const url of [
      store.url,
      store.url.replace('http:', 'https:'),
      `https://127.0.0.1:${store.port}/`,
      `https://[::ffff:7f00:1]:${store.port}/`,
    ])
      expect(await peers.download(url)).toBeUndefined();
    expect(store.requests).toEqual([]);
  });

  test.each([
    'file:///etc/passwd',
    'ftp://localhost/x',
    'http://user:word@localhost/',
    'x',
    '',
  ])('the URL "%s" is refused', async (url) => {
    expect(await transport(undefined).download(url)).toBeUndefined();
  });

  test('a server over https that no public authority knows is refused', async () => {
    const { peer, peers } = await connected((_, response) => response.end('x'));

    expect(await peers.download(`https://localhost:${peer.port}/`)).toBeUndefined();
  });

  test('a download that breaks off or stalls fails without repeating the URL', async () => {
    const broken = await startStore((request, response) => {
      response.writeHead(200, { 'content-length': '10' });
      response.write('x', () => request.socket.destroy());
    });
    const stalled = await startStore((_, response) => {
      response.writeHead(200).write('x');
    });
    const peers = transport(undefined, { timeoutMs: 200 });

    for (const { url } of [broken, stalled]) {
      const bytes = await peers.download(url);
      const failure = await bytesOf(bytes).catch((error: Error) => error.stack ?? '');
      expect(failure).toContain('broke off');
      expect(failure).not.toContain('secret');
    }
  });

  test('a server that never answers is given up', async () => {
    const store = await startStore(() => undefined);

    expect(await transport(undefined, { timeoutMs: 200 }).download(store.url)).toBeUndefined();
  });

  test('a reader that stops early ends the download', async () => {
    let ended: Promise<unknown> = Promise.resolve();
    const store = await startStore((_, response) => {
      ended = once(response, 'close');
      const more = () => {
        while (response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', more);
      more();
    });

    for await (const chunk of (await transport(undefined).download(store.url)) ?? []) {
      expect(chunk.byteLength).toBeGreaterThan(0);
      break;
    }

    await ended;
  });
});
