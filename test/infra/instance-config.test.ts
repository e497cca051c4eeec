import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readInstance, readInstances } from '../../infra/instance-config.ts';
import { testApplication, testAuthority, testKey } from '../certificate-authority.ts';
import { exampleAuthorityPem } from './example-authority.ts';
import { instanceFields } from './instance-file.ts';

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

const OF_ANOTHER = 'arn:aws:acm:eu-central-1:444455556666:certificate/2';

function fields(changes: Record<string, unknown> = {}) {
  return instanceFields({ applications: [ID], ...changes });
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
    alarmEmails: ['operator@client.example'],
    alarmWebhooks: [],
    lagAlarmMinutes: 60,
    auditPeriodDays: 30,
    objectLock: { mode: 'governance', duration: { years: 10 } },
    logRetentionDays: 180,
    backupRetentionDays: 98,
    limits: {
      requestsPerSecond: 500,
      requestsBurst: 1000,
      deliverConcurrency: 50,
      fetchConcurrency: 10,
    },
    tags: {},
  });
});

test('what a file says about costs, limits and retention takes the place of the defaults', () => {
  const file = write(
    fields({
      alarmEmails: undefined,
      alarmWebhooks: ['https://alarms.example/a?b=c'],
      objectLockMode: 'compliance',
      objectLockDays: 30,
      logRetentionDays: 365,
      backupRetentionDays: 35,
      requestsPerSecond: 50,
      requestsBurst: 100,
      apiConcurrency: 20,
      deliverConcurrency: 5,
      fetchConcurrency: 2,
      tags: { 'cost-center': '4711', Bauvorhaben: 'Schule Süd' },
    }),
  );

  expect(readInstance(file)).toMatchObject({
    alarmEmails: [],
    alarmWebhooks: ['https://alarms.example/a?b=c'],
    objectLock: { mode: 'compliance', duration: { days: 30 } },
    logRetentionDays: 365,
    backupRetentionDays: 35,
    limits: {
      requestsPerSecond: 50,
      requestsBurst: 100,
      apiConcurrency: 20,
      deliverConcurrency: 5,
      fetchConcurrency: 2,
    },
    tags: { 'cost-center': '4711', Bauvorhaben: 'Schule Süd' },
  });
});

test('only an instance whose peers are on its own machine may have nobody who hears of alarms', () => {
  const quiet = { alarmEmails: undefined, localEndpoints: true };

  expect(readInstance(write(fields(quiet)))).toMatchObject({ alarmEmails: [], alarmWebhooks: [] });
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
  ['nobody to tell', { alarmEmails: [] }, /alarmEmails is missing: give a list of e-mail/],
  ['no address', { alarmEmails: ['operator'] }, /alarmEmails has "operator": give e-mail add/],
  ['one address', { alarmEmails: 'a@b.example' }, /alarmEmails is no list: give e-mail addresses/],
  ['plain http', { alarmWebhooks: ['http://a.example'] }, /alarmWebhooks has .*: give https add/],
  [
    'a password',
    { alarmWebhooks: ['https://a:b@c.example'] },
    /alarmWebhooks has .*without a user/,
  ],
  [
    'another lock',
    { objectLockMode: 'soft' },
    /objectLockMode is "soft": give one of governance, c/,
  ],
  ['no lock', { objectLockDays: 0 }, /objectLockDays is 0: give a whole number from 1 to 36500/],
  ['101 years', { objectLockYears: 101 }, /objectLockYears is 101: give a whole .* from 1 to 100/],
  [
    'days and years',
    { objectLockDays: 1, objectLockYears: 1 },
    /objectLockDays is given beside objectLockYears/,
  ],
  ['odd days of logs', { logRetentionDays: 181 }, /logRetentionDays is 181: give one of 1, 3, 5/],
  ['short backups', { backupRetentionDays: 13 }, /backupRetentionDays is 13: .* from 14 to 36500/],
  ['no requests', { requestsPerSecond: 0 }, /requestsPerSecond is 0: give a whole number from 1/],
  ['a great burst', { requestsBurst: 5001 }, /requestsBurst is 5001: .* from 1 to 5000/],
  ['no concurrency', { apiConcurrency: 0 }, /apiConcurrency is 0: give a whole number from 1/],
  [
    'one delivery',
    { deliverConcurrency: 1 },
    /deliverConcurrency is 1: give a whole number from 2/,
  ],
  ['text as limit', { fetchConcurrency: '9' }, /fetchConcurrency is "9": give a whole number/],
  ['a list of tags', { tags: ['a'] }, /tags is no object: give \{"<name>": "<value>"/],
  ["a tag of AWS's", { tags: { 'aws:a': 'b' } }, /tags has .*aws:a.*: give names of up to 128/],
  ['a number as tag', { tags: { a: 1 } }, /tags has \{"a":1\}: give names/],
  [
    'too many tags',
    { tags: Object.fromEntries(Array.from({ length: 41 }, (_, n) => [`t${n}`, 'x'])) },
    /tags has 41 members: give at most 40/,
  ],
  ['an unknown key', { operator: [] }, /"operator" is no key of an instance: use only name/],
  ['half a domain', { domainName: 'a.example' }, /serverCertificateArn is missing: give the ARN/],
  [
    'a certificate that is none of Certificate Manager',
    { ...domain, serverCertificateArn: 'arn:aws:acm:eu-central-1:111122223333:x' },
    /serverCertificateArn is .*: give the ARN/,
  ],
  [
    'a certificate in another region',
    { ...domain, region: 'eu-west-1' },
    /serverCertificateArn is of the region eu-central-1, but the file's is eu-west-1/,
  ],
  [
    'a certificate of another account',
    { ...domain, ownershipCertificateArn: OF_ANOTHER, account: '111122223333' },
    /ownershipCertificateArn is of the account 444455556666, but the file's is 111122223333/,
  ],
  [
    'a domain that is not in its zone',
    { ...domain, hostedZoneId: 'Z1', hostedZoneName: 'ient.example' },
    /domainName is registry\.client\.example, which is not in hostedZoneName, ient\.example/,
  ],
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

test.each(['p256', 'p384', 'rsa'] as const)('a CA with a key of %s is taken', (kind) => {
  const { certificatePem } = testAuthority('CA', { key: testKey(kind) });

  expect(readInstance(write(fields({ clusterCa: certificatePem })))).toMatchObject({
    name: 'client',
  });
});

test('a CA with a key that API Gateway does not take is refused by its subject', () => {
  const { certificatePem } = testAuthority('Weak CA', { key: testKey('rsa-1024') });
  const file = write(fields({ clusterCa: certificatePem }));

  expect(() => readInstance(file)).toThrow(/Weak CA, whose key API Gateway does not take/);
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
