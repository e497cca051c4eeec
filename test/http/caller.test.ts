import { describe, expect, test } from 'vitest';
import { identifyCaller } from '../../shared/http/caller.ts';
import {
  type CertificateShape,
  testApplication,
  testAuthority,
  testInstance,
  testKey,
  usages,
} from '../certificate-authority.ts';

const authority = testAuthority();
const now = Date.now();
const DAY_MS = 86_400_000;

function configWith(lists: Partial<Record<Role, string[]>> = {}) {
  const set = (role: Role) => new Set(lists[role] ?? []);
  return {
    clusterCaPem: authority.certificatePem,
    applications: set('applications'),
    operators: set('operators'),
    auditors: set('auditors'),
    denied: set('denied'),
  };
}

type Role = 'applications' | 'operators' | 'auditors' | 'denied';

describe('roles', () => {
  const application = testApplication(authority);
  const id = application.certificateId;

  test.each([
    ['application', { applications: [id] }],
    ['auditor', { auditors: [id] }],
    ['operator', { operators: [id] }],
    ['operator', { operators: [id], applications: [id], auditors: [id] }],
    ['application', { applications: [id], auditors: [id] }],
  ])('a certificate without endpoint acts as the %s that the configuration says', (role, lists) => {
    const outcome = identifyCaller(application.certificatePem, configWith(lists), now);

    expect(outcome).toEqual({
      outcome: 'identified',
      caller: { certificateId: id, role, pem: application.certificatePem },
    });
  });

  test('a certificate of the cluster that is in no list is refused', () => {
    expect(identifyCaller(application.certificatePem, configWith(), now)).toMatchObject({
      outcome: 'refused',
      status: 403,
      code: 'CALLER_NOT_LISTED',
      detail: expect.stringContaining(id),
    });
  });

  test('a certificate with an endpoint is a peer, even if it is listed as something else', () => {
    const instance = testInstance(authority, 'https://registry.example');
    const listed = [instance.certificateId];

    const outcomes = [
      identifyCaller(instance.certificatePem, configWith(), now),
      identifyCaller(
        instance.certificatePem,
        configWith({ operators: listed, applications: listed, auditors: listed }),
        now,
      ),
    ];

    for (const outcome of outcomes)
      expect(outcome).toEqual({
        outcome: 'identified',
        caller: {
          certificateId: instance.certificateId,
          role: 'peer',
          endpoint: 'https://registry.example',
          pem: instance.certificatePem,
        },
      });
  });

  test('the same key in a new certificate keeps its role, another key of that name has none', () => {
    const renewed = testApplication(authority, { key: application.key });
    const twin = testApplication(authority);
    const config = configWith({ applications: [id] });

    expect(identifyCaller(renewed.certificatePem, config, now)).toMatchObject({
      caller: { certificateId: id, role: 'application' },
    });
    expect(identifyCaller(twin.certificatePem, config, now)).toMatchObject({
      code: 'CALLER_NOT_LISTED',
    });
  });

  test('the deny list overrides every role', () => {
    const instance = testInstance(authority);
    const config = configWith({
      operators: [id],
      denied: [id, instance.certificateId],
    });

    for (const { certificatePem } of [application, instance])
      expect(identifyCaller(certificatePem, config, now)).toMatchObject({
        status: 403,
        code: 'CALLER_DENIED',
      });
  });
});

describe('refusals', () => {
  function refusalOf(pem: string | undefined): unknown {
    return identifyCaller(pem, configWith(), now);
  }

  test.each([
    ['no certificate', undefined],
    ['an empty certificate', ''],
  ])('%s is missing', (_, pem) => {
    expect(refusalOf(pem)).toMatchObject({ status: 403, code: 'CLIENT_CERTIFICATE_MISSING' });
  });

  test.each<[string, string, CertificateShape]>([
    ['expired yesterday', 'EXPIRED', { notAfter: new Date(now - DAY_MS) }],
    ['valid tomorrow', 'NOT_YET_VALID', { notBefore: new Date(now + DAY_MS) }],
    ['for servers only', 'WRONG_USAGE', { extendedKeyUsage: [usages.serverAuth] }],
    ['of an authority', 'WRONG_USAGE', { authority: {} }],
    ['with a wildcard', 'MALFORMED', { dnsNames: ['*.example'] }],
    ['with an RSA key', 'MALFORMED', { key: testKey('rsa') }],
  ])('a certificate %s is refused: %s', (_, code, shape) => {
    const shapeWithPast = { notBefore: new Date(now - 2 * DAY_MS), ...shape };

    expect(refusalOf(testApplication(authority, shapeWithPast).certificatePem)).toMatchObject({
      outcome: 'refused',
      status: 403,
      code: `CLIENT_CERTIFICATE_${code}`,
    });
  });

  test('a certificate of another authority is refused, even one of the same name', () => {
    for (const other of [testAuthority('Other CA'), testAuthority(authority.name)])
      expect(refusalOf(testApplication(other).certificatePem)).toMatchObject({
        code: 'CLIENT_CERTIFICATE_UNTRUSTED',
      });
  });

  test('a certificate that signed itself with a listed name is refused', () => {
    const key = testKey();
    const self = testInstance({ ...authority, key }, 'https://localhost', {
      key,
      subject: authority.name,
    });

    expect(refusalOf(self.certificatePem)).toMatchObject({ code: 'CLIENT_CERTIFICATE_UNTRUSTED' });
  });

  test('text that is no certificate is malformed', () => {
    expect(refusalOf('-----BEGIN CERTIFICATE-----')).toMatchObject({
      code: 'CLIENT_CERTIFICATE_MALFORMED',
    });
  });
});
