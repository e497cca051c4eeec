import { expect, test } from 'vitest';
import { RecordingAlarms } from '../../shared/adapters/memory/recording-alarms.ts';
import { measureCertificates } from '../../shared/registry/certificate-days.ts';
import { testAuthority, testInstance } from '../certificate-authority.ts';

const DAY_MS = 86_400_000;
const NOW = Date.parse('2026-11-29T12:00:00Z');

function inDays(days: number): Date {
  return new Date(NOW + days * DAY_MS);
}

function measured(certificatePem: string, clusterCaPem: string) {
  const alarms = new RecordingAlarms();
  const clock = { now: () => NOW, wait: async () => undefined };
  measureCertificates({ alarms, clock, certificatePem, clusterCaPem });
  return alarms.measured.map(({ measure, value }) => [measure, value]);
}

test('whole days that the certificate and the CA have left are measured', () => {
  const authority = testAuthority('CA', { notAfter: inDays(400.5) });
  const instance = testInstance(authority, 'https://a.example', { notAfter: inDays(29.9) });

  expect(measured(instance.certificatePem, authority.certificatePem)).toEqual([
    ['InstanceCertificateDays', 29],
    ['ClusterCaDays', 400],
  ]);
});

test('of several CAs the first to expire counts, and what has expired is below 0', () => {
  const authority = testAuthority('CA', { notAfter: inDays(400) });
  const former = testAuthority('CA', { notAfter: inDays(-1) });
  const instance = testInstance(authority, 'https://a.example', { notAfter: inDays(-0.5) });

  const cas = `${authority.certificatePem}${former.certificatePem}`;
  expect(measured(instance.certificatePem, cas)).toEqual([
    ['InstanceCertificateDays', -1],
    ['ClusterCaDays', -1],
  ]);
});

test('what is no certificate is not measured, and what is no CA is said', () => {
  const authority = testAuthority('CA', { notAfter: inDays(60) });

  expect(measured('no certificate', authority.certificatePem)).toEqual([['ClusterCaDays', 60]]);
  expect(() => measured('no certificate', 'no CA')).toThrow("the cluster's CA is no certificate");
});
