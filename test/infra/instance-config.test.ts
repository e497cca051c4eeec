import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readInstance, readInstances } from '../../infra/instance-config.ts';
import { testApplication, testAuthority } from '../certificate-authority.ts';
import { exampleAuthorityPem } from './example-authority.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'instances-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

const ID = 'ab'.repeat(32);

const domain = {
  domainName: 'registry.client.example',
  serverCertificateArn: 'arn:aws:acm:eu-central-1:111122223333:certificate/1',
  ownershipCertificateArn: 'arn:aws:acm:eu-central-1:111122223333:certificate/2',
};

function fields(changes: Record<string, unknown> = {}) {
  return {
    name: 'client',
    clusterCa: exampleAuthorityPem,
    applications: [ID],
    operators: [],
    auditors: [],
    denied: [],
    admittedLeads: 'any',
    ...changes,
  };
}

function write(content: unknown, name = 'client.json'): string {
  const file = join(directory, name);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

test('a complete file is read as it says', () => {
  const file = write(
    fields({ account: '111122223333', region: 'eu-central-1', ...domain, admittedLeads: [ID] }),
  );

  expect(readInstance(file)).toEqual({
    file,
    name: 'client',
    account: '111122223333',
    region: 'eu-central-1',
    domain: {
      name: domain.domainName,
      serverCertificateArn: domain.serverCertificateArn,
      ownershipCertificateArn: domain.ownershipCertificateArn,
    },
    clusterCaPem: exampleAuthorityPem,
    applications: [ID],
    operators: [],
    auditors: [],
    denied: [],
    admittedLeads: [ID],
    localEndpoints: false,
    lagAlarmMinutes: 60,
    auditPeriodDays: 30,
  });
});

test('a path in clusterCa is taken from the folder of the file', () => {
  write(`Bag attributes and other text\n${exampleAuthorityPem}`, 'ca.pem');

  const instance = readInstance(write(fields({ clusterCa: 'ca.pem' })));

  expect(instance.clusterCaPem).toBe(exampleAuthorityPem);
});

test.each([1, 365])('everything is audited within %i days', (auditPeriodDays) => {
  expect(readInstance(write(fields({ auditPeriodDays })))).toMatchObject({ auditPeriodDays });
});

test.each([5, 10_080])('a mirror may be behind for %i minutes', (lagAlarmMinutes) => {
  expect(readInstance(write(fields({ lagAlarmMinutes })))).toMatchObject({ lagAlarmMinutes });
});

test.each([
  ['a name in capitals', { name: 'Client' }, /client\.json: name is "Client": give up to 30/],
  ['no name', { name: undefined }, /client\.json: name is missing: give/],
  ['a short account', { account: '42' }, /account is "42": give the 12 digits/],
  ['an unknown region', { region: 'Frankfurt' }, /region is "Frankfurt": give an AWS region/],
  ['no list of operators', { operators: undefined }, /operators is missing: give a list of cert/],
  ['one id instead of a list', { auditors: ID }, /auditors is no list: give certificate ids/],
  ['a wrong id', { denied: ['ABC'] }, /denied has "ABC": give certificate ids of 64/],
  ['no admitted leads', { admittedLeads: undefined }, /admittedLeads is missing.*or "any"/],
  ['another word for any', { admittedLeads: 'all' }, /admittedLeads is no list.*or "any"/],
  ['a flag as text', { localEndpoints: 'yes' }, /localEndpoints is "yes": give true or false/],
  [
    'a lag of 4 minutes',
    { lagAlarmMinutes: 4 },
    /lagAlarmMinutes is 4: give a whole number from 5/,
  ],
  ['a lag above a week', { lagAlarmMinutes: 10_081 }, /lagAlarmMinutes is 10081: .* to 10080/],
  ['half a minute', { lagAlarmMinutes: 7.5 }, /lagAlarmMinutes is 7\.5: give a whole number/],
  ['minutes as text', { lagAlarmMinutes: '60' }, /lagAlarmMinutes is "60": give a whole number/],
  ['no days', { auditPeriodDays: 0 }, /auditPeriodDays is 0: give a whole number from 1 to 365/],
  ['more than a year', { auditPeriodDays: 366 }, /auditPeriodDays is 366: .* to 365/],
  ['half a day', { auditPeriodDays: 0.5 }, /auditPeriodDays is 0\.5: give a whole number/],
  ['an unknown key', { operator: [] }, /"operator" is no key of an instance: use only name/],
  ['half a domain', { domainName: 'a.example' }, /serverCertificateArn is missing: give the ARN/],
  ['half a zone', { ...domain, hostedZoneId: 'Z1' }, /hostedZoneName is missing/],
  ['no CA', { clusterCa: '' }, /clusterCa is missing: give the cluster CA's certificate/],
  ['a CA that is not there', { clusterCa: 'no.pem' }, /clusterCa names .*no\.pem, which cannot/],
  ['a private key', { clusterCa: privateKeyBlock() }, /clusterCa holds a private key/],
  ['text as CA', { clusterCa: '-----BEGIN X-----' }, /clusterCa holds no certificate in PEM/],
  ['a broken CA', { clusterCa: block('AAAA') }, /clusterCa holds a block that is no X\.509/],
])('%s is refused in a sentence that names key and file', (_, changes, message) => {
  const file = write(fields(changes));

  expect(() => readInstance(file)).toThrow(message);
});

test('a certificate that is no CA is refused by its subject', () => {
  const { certificatePem } = testApplication(testAuthority());
  const file = write(fields({ clusterCa: certificatePem }));

  expect(() => readInstance(file)).toThrow(/clusterCa holds the certificate of .*, which is no CA/);
});

test('what is no JSON object is refused', () => {
  expect(() => readInstance(write('{'))).toThrow(/client\.json is not readable as JSON/);
  expect(() => readInstance(write('[]'))).toThrow(/client\.json is no JSON object/);
});

test('a folder without instances, or with two of one name, is refused', () => {
  expect(() => readInstances(directory)).toThrow(/holds no \*\.json file/);
  expect(() => readInstances(join(directory, 'no'))).toThrow(/is no folder that can be read/);
  write(fields());
  write(fields(), 'other.json');
  expect(() => readInstances(directory)).toThrow(/other\.json: name "client" is taken by .*client/);
});

function block(content: string): string {
  return `-----BEGIN CERTIFICATE-----\n${content}\n-----END CERTIFICATE-----`;
}

function privateKeyBlock(): string {
  return `${exampleAuthorityPem}${block('AAAA').replaceAll('CERTIFICATE', 'PRIVATE KEY')}`;
}
