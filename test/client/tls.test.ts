import { once } from 'node:events';
import { createServer as createPlainServer } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { RegistryErrorCode } from '../../shared/client/problem.ts';
import type { Profile } from '../../shared/client/profile.ts';
import { RegistryClient } from '../../shared/client/registry-client.ts';
import {
  type TestAuthority,
  type TestCertificate,
  testApplication,
  testAuthority,
  testInstance,
  testKey,
  usages,
} from '../certificate-authority.ts';
import { clientOf, closing, quick, served } from './clients.ts';

const DAY_MS = 86_400_000;
const expired = {
  notBefore: new Date(Date.now() - 2 * DAY_MS),
  notAfter: new Date(Date.now() - DAY_MS),
};
const future = {
  notBefore: new Date(Date.now() + DAY_MS),
  notAfter: new Date(Date.now() + 2 * DAY_MS),
};

function profileOf(
  authority: TestAuthority,
  { certificatePem, keyPem }: Pick<TestCertificate, 'certificatePem' | 'keyPem'>,
): Profile {
  // Nobody listens there: an attempt to connect would be told as such.
  return {
    endpoint: 'https://localhost:1',
    certificatePem,
    keyPem,
    caPem: authority.certificatePem,
  };
}

describe('what is wrong with the own certificate is found before anything is connected', () => {
  const authority = testAuthority();
  const good = testApplication(authority);
  const intermediate = testAuthority('Intermediate CA', {}, authority);
  const cases: readonly [string, Profile, RegistryErrorCode, RegExp][] = [
    [
      'it has expired',
      profileOf(authority, testApplication(authority, expired)),
      'TLS_OWN_CERTIFICATE_EXPIRED',
      /was valid until 20\d\d.*renewed/,
    ],
    [
      'it is not valid yet',
      profileOf(authority, testApplication(authority, future)),
      'TLS_OWN_CERTIFICATE_NOT_YET_VALID',
      /valid from 20\d\d.* clock/,
    ],
    [
      'another CA issued it',
      profileOf(testAuthority(), good),
      'TLS_WRONG_CA',
      /did not issue your certificate/,
    ],
    [
      'another CA issued it, which stands behind it in the same file',
      profileOf(testAuthority(), {
        ...good,
        certificatePem: good.certificatePem + authority.certificatePem,
      }),
      'TLS_WRONG_CA',
      /did not issue your certificate/,
    ],
    [
      'the CA has expired',
      profileOf(testAuthority('Old CA', expired), good),
      'TLS_WRONG_CA',
      /not valid today/,
    ],
    [
      'the CA is no certificate',
      { ...profileOf(authority, good), caPem: 'ca' },
      'TLS_WRONG_CA',
      /cannot be read/,
    ],
    [
      'the key is another one',
      profileOf(authority, { ...good, keyPem: testKey().pem }),
      'TLS_KEY_DOES_NOT_FIT',
      /issued together/,
    ],
    [
      'the key is no key',
      profileOf(authority, { ...good, keyPem: good.certificatePem }),
      'TLS_KEY_DOES_NOT_FIT',
      /without a passphrase/,
    ],
    [
      'it is one for servers alone',
      profileOf(authority, testApplication(authority, { extendedKeyUsage: [usages.serverAuth] })),
      'TLS_WRONG_EXTENDED_KEY_USAGE',
      /clientAuth/,
    ],
    ['it is that of the CA', profileOf(authority, authority), 'TLS_WRONG_EXTENDED_KEY_USAGE', /CA/],
    [
      'it is no certificate',
      profileOf(authority, { ...good, certificatePem: 'certificate' }),
      'TLS_OWN_CERTIFICATE_MALFORMED',
      /PEM/,
    ],
  ];

  test.each(cases)('%s', async (_what, profile, code, sentence) => {
    const client = closing(new RegistryClient(profile, { retries: quick }));

    const call = client.instance();

    await expect(call).rejects.toMatchObject({ code, retryable: false });
    await expect(call).rejects.toThrow(sentence);
  });

  test('one by an authority between it and the CA, in the same file, is good', async () => {
    const own = testApplication(intermediate);
    const certificatePem = own.certificatePem + intermediate.certificatePem;
    const client = closing(
      new RegistryClient(profileOf(authority, { ...own, certificatePem }), { retries: quick }),
    );

    // It went on to connect.
    await expect(client.instance()).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});

describe('nothing is sent to a server that is not proven', () => {
  const cases: readonly [
    string,
    (authority: TestAuthority, origin: string) => TestCertificate,
    RegistryErrorCode,
    RegExp,
  ][] = [
    [
      'of another CA',
      (_, origin) => testInstance(testAuthority(), origin),
      'TLS_SERVER_NOT_TRUSTED',
      /no CA that you name issued/,
    ],
    [
      'for another host name',
      (authority) => testInstance(authority, 'https://registry.example'),
      'TLS_SERVER_NAME_DIFFERS',
      /not for localhost/,
    ],
    [
      'that has expired',
      (authority, origin) => testInstance(authority, origin, expired),
      'TLS_SERVER_CERTIFICATE_EXPIRED',
      /has expired/,
    ],
    [
      'that is not valid yet',
      (authority, origin) => testInstance(authority, origin, future),
      'TLS_SERVER_CERTIFICATE_NOT_YET_VALID',
      /clock/,
    ],
    [
      'of an application',
      (authority) => testApplication(authority, { dnsNames: ['localhost'] }),
      'TLS_SERVER_NOT_TRUSTED',
      /localhost/,
    ],
    [
      'with a wildcard',
      (authority, origin) =>
        testInstance(authority, origin, { dnsNames: ['localhost', '*.example'] }),
      'TLS_SERVER_NOT_TRUSTED',
      /wildcard/,
    ],
    [
      'of a key that is no P-256 key',
      (authority, origin) => testInstance(authority, origin, { key: testKey('p384') }),
      'TLS_SERVER_NOT_TRUSTED',
      /P-256/,
    ],
  ];

  test.each(cases)('a certificate %s', async (_what, certificate, code, sentence) => {
    const { cluster, atLead } = await served();
    atLead.present(certificate(cluster.authority, atLead.origin));

    const call = clientOf(atLead).instance();

    await expect(call).rejects.toMatchObject({ code, retryable: false });
    await expect(call).rejects.toThrow(sentence);
    expect(atLead.arrived).toEqual([]);
  });

  /** The origin of a server of one's own. */
  async function listening(server: Server): Promise<string> {
    server.listen(0, 'localhost');
    await once(server, 'listening');
    closing(server);
    return `https://localhost:${(server.address() as AddressInfo).port}`;
  }

  function secure(settings: ServerOptions, authority: TestAuthority): Server {
    const { certificatePem, keyPem } = testInstance(authority, 'https://localhost');
    return createServer({ cert: certificatePem, key: keyPem, ...settings });
  }

  /** A fatal alert of TLS (RFC 8446 section 6.2) in answer to whatever comes first. */
  function alerting(description: number): Server {
    return createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, description])));
    });
  }

  test.each([
    ['without TLS', () => createPlainServer(), 'TLS_FAILED'],
    [
      'with TLS 1.1',
      (authority) => secure({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' }, authority),
      'TLS_FAILED',
    ],
    ['that finds the certificate bad', () => alerting(42), 'TLS_OWN_CERTIFICATE_REFUSED'],
    ['that does not know the CA', () => alerting(48), 'TLS_OWN_CERTIFICATE_REFUSED'],
    ['that denies access', () => alerting(49), 'TLS_OWN_CERTIFICATE_REFUSED'],
  ] as readonly [
    string,
    (authority: TestAuthority) => Server,
    RegistryErrorCode,
  ][])('a server %s is told in a sentence', async (_what, create, code) => {
    const authority = testAuthority();
    const endpoint = await listening(create(authority));
    const profile = { ...profileOf(authority, testApplication(authority)), endpoint };

    const call = closing(new RegistryClient(profile, { retries: quick })).instance();

    await expect(call).rejects.toMatchObject({ code, retryable: false });
    await expect(call).rejects.toThrow(endpoint);
  });
});

test('what the instance has against a caller passes through with its code', async () => {
  const { cluster, atLead } = await served();
  const stranger = testApplication(cluster.authority);

  const call = clientOf(atLead, {}, atLead.profile(stranger)).instance();

  await expect(call).rejects.toMatchObject({
    code: 'CALLER_NOT_LISTED',
    status: 403,
    retryable: false,
    requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
});

test('one connection serves many requests', async () => {
  const { atLead } = await served();
  const client = clientOf(atLead);
  const ports = new Set<number | undefined>();
  atLead.intercept = (arrived, carry) => {
    ports.add(arrived.port);
    return carry();
  };

  for (let count = 0; count < 5; count += 1) await client.instance();

  expect(ports.size).toBe(1);
});
