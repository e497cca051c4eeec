import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCertificateCommand } from '../../cli/certificate-commands.ts';
import {
  createCertificateAuthority,
  issueApplicationCertificate,
  issueInstanceCertificate,
} from '../../cli/certificates.ts';
import { readCertificate, verifyCertificate } from '../../shared/ledger/certificate.ts';
import { testAuthority, testInstance, testKey } from '../certificate-authority.ts';

const DAY_MS = 86_400_000;
const endpoint = 'https://registry.example:8443';

describe('issuing', () => {
  test('a CA signs itself, may sign certificates and nothing else, and has no CAs below it', async () => {
    const authority = await createCertificateAuthority({ name: 'Project CA', years: 2 });

    const x509 = new X509Certificate(authority.certificatePem);
    expect(x509).toMatchObject({ subject: 'CN=Project CA', issuer: 'CN=Project CA', ca: true });
    expect(x509.verify(x509.publicKey)).toBe(true);
    expect(x509.checkPrivateKey(createPrivateKey(authority.privateKeyPem))).toBe(true);
    expect(authority.privateKeyPem).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    expect(authority.certificateId).toMatch(/^[0-9a-f]{64}$/);
    const days = (x509.validToDate.getTime() - Date.now()) / DAY_MS;
    expect(Math.round(days)).toBe(730);
    expect(readCertificate(authority.certificatePem)).toMatchObject({ code: 'CERTIFICATE_IS_CA' });
  });

  test('an instance has its endpoint as URI, its host as DNS name, and both usages', async () => {
    const authority = await createCertificateAuthority({ name: 'Project CA' });

    const issued = await issueInstanceCertificate({ authority, name: 'client', endpoint });

    const x509 = new X509Certificate(issued.certificatePem);
    expect(x509).toMatchObject({
      subject: 'CN=client',
      subjectAltName: 'URI:https://registry.example:8443, DNS:registry.example',
      keyUsage: ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1'],
      ca: false,
    });
    expect(x509.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
    const read = readCertificate(issued.certificatePem);
    expect(read).toMatchObject({
      outcome: 'read',
      certificate: { certificateId: issued.certificateId, endpoint, pem: issued.certificatePem },
    });
  });

  test('an instance at an address has the address as name', async () => {
    const authority = await createCertificateAuthority({ name: 'Project CA' });
    const wanted = { authority, name: 'local' };

    const four = await issueInstanceCertificate({ ...wanted, endpoint: 'https://127.0.0.1:1' });
    const six = await issueInstanceCertificate({ ...wanted, endpoint: 'https://[::1]:1/' });

    expect(new X509Certificate(four.certificatePem).checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(new X509Certificate(six.certificatePem).checkIP('::1')).toBe('::1');
  });

  test('an application has clientAuth alone and no endpoint', async () => {
    const authority = await createCertificateAuthority({ name: 'Project CA' });

    const issued = await issueApplicationCertificate({ authority, name: 'planner', days: 30 });

    expect(readCertificate(issued.certificatePem)).toMatchObject({
      certificate: { usages: { client: true, server: false }, subject: 'CN=planner' },
    });
    const { validToDate } = new X509Certificate(issued.certificatePem);
    expect(Math.round((validToDate.getTime() - Date.now()) / DAY_MS)).toBe(30);
  });

  test('a renewal with the same key keeps the id and has another serial number', async () => {
    const authority = await createCertificateAuthority({ name: 'Project CA' });
    const wanted = { authority, name: 'client', endpoint };

    const first = await issueInstanceCertificate(wanted);
    const renewed = await issueInstanceCertificate({ ...wanted, keyPem: first.privateKeyPem });
    const other = await issueInstanceCertificate(wanted);

    expect(renewed.certificateId).toBe(first.certificateId);
    expect(renewed.privateKeyPem).toBe(first.privateKeyPem);
    expect(other.certificateId).not.toBe(first.certificateId);
    expect(new X509Certificate(renewed.certificatePem).serialNumber).not.toBe(
      new X509Certificate(first.certificatePem).serialNumber,
    );
  });

  test.each([
    'p256',
    'p384',
    'rsa',
  ] as const)('an existing CA of kind %s can issue', async (kind) => {
    const company = testAuthority('Company CA', { key: testKey(kind) });
    const authority = { certificatePem: company.certificatePem, privateKeyPem: company.keyPem };

    const issued = await issueInstanceCertificate({ authority, name: 'x', endpoint, days: 30 });

    const read = readCertificate(issued.certificatePem);
    if (read.outcome === 'refused') throw new Error(read.reason);
    expect(verifyCertificate(read.certificate, company.certificatePem, new Date())).toEqual({
      outcome: 'trusted',
    });
  });

  test('an intermediate CA issues where its root follows in the same file', async () => {
    const root = testAuthority('Root CA');
    const middle = testAuthority('Middle CA', {}, root);
    const wanted = { name: 'x', endpoint, days: 30 };
    const issueWith = (certificatePem: string) =>
      issueInstanceCertificate({
        ...wanted,
        authority: { certificatePem, privateKeyPem: middle.keyPem },
      });

    await expect(issueWith(middle.certificatePem + root.certificatePem)).resolves.toBeDefined();
    await expect(issueWith(middle.certificatePem)).rejects.toThrow(/with its root/);
  });

  test('the certificates serve mutual TLS', async () => {
    const authority = await createCertificateAuthority({ name: 'Project CA' });
    const wanted = { authority, endpoint: 'https://localhost' };
    const server = await issueInstanceCertificate({ ...wanted, name: 'server' });
    const client = await issueApplicationCertificate({ authority, name: 'client' });
    const ca = authority.certificatePem;
    const settings = { requestCert: true, rejectUnauthorized: true, ca };
    const listening = createServer(
      { ...settings, key: server.privateKeyPem, cert: server.certificatePem },
      (incoming, response) => {
        response.end((incoming.socket as TLSSocket).getPeerX509Certificate()?.subject);
      },
    ).listen(0, 'localhost');
    await once(listening, 'listening');

    const { port } = listening.address() as AddressInfo;
    const outgoing = request({
      host: 'localhost',
      port,
      ca,
      key: client.privateKeyPem,
      cert: client.certificatePem,
      agent: false,
    });
    const [response] = await once(outgoing.end(), 'response');

    expect(Buffer.concat(await response.toArray()).toString()).toBe('CN=client');
    listening.close();
  });

  test.each([
    'http://registry.example',
    'https://registry.example/path',
    'https://registry.example?x',
    'https://user@registry.example',
    'https://*.example',
    'registry.example',
  ])('the endpoint %s is refused', async (wrong) => {
    const authority = await createCertificateAuthority({ name: 'Project CA' });

    await expect(
      issueInstanceCertificate({ authority, name: 'x', endpoint: wrong }),
    ).rejects.toThrow(/such as https:\/\/registry\.example/);
  });

  test('a name cannot smuggle in another attribute', async () => {
    const authority = await createCertificateAuthority({ name: 'Project CA, O=Bank + OU="x"' });

    const { subject } = new X509Certificate(authority.certificatePem);
    expect(subject.split('\n')).toHaveLength(1);
  });

  test.each([
    ['no name', { name: '' }, /name/],
    ['a name that is too long', { name: 'x'.repeat(65) }, /65 characters/],
    ['a name of two lines', { name: 'a\nb' }, /control/],
    ['no days', { days: 0 }, /whole number/],
    ['half a day', { days: 0.5 }, /whole number/],
    ['more days than the CA has', { days: 3650 }, /outlive its CA/],
    ['a key of another curve', { keyPem: testKey('p384').pem }, /P-256/],
    ['a key that is none', { keyPem: 'x' }, /P-256/],
  ])('%s is refused with what to do', async (_, wrong, sentence) => {
    const authority = await createCertificateAuthority({ name: 'Project CA', years: 5 });

    await expect(issueApplicationCertificate({ authority, name: 'x', ...wrong })).rejects.toThrow(
      sentence,
    );
  });

  const company = testAuthority('Company CA');
  const weak = testAuthority('Weak CA', { key: testKey('rsa-1024') });
  const old = testAuthority('Old CA', { notAfter: new Date(Date.now() - DAY_MS) });
  test.each([
    ['a CA that is no certificate', 'x', company.keyPem, /not that of a CA/],
    ['a leaf as CA', testInstance(company).certificatePem, company.keyPem, /not that of a CA/],
    ['a key that is none', company.certificatePem, 'x', /CA key cannot be used/],
    ['a weak key', weak.certificatePem, weak.keyPem, /at least 2048 bits/],
    ['a key of another CA', company.certificatePem, testKey().pem, /does not belong/],
    ['a CA that has expired', old.certificatePem, old.keyPem, /outlive its CA/],
  ])('%s is refused with what to do', async (_, certificatePem, privateKeyPem, sentence) => {
    const authority = { certificatePem, privateKeyPem };

    await expect(issueApplicationCertificate({ authority, name: 'x', days: 1 })).rejects.toThrow(
      sentence,
    );
  });
});

describe('commands', () => {
  let directory = '';
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'certificates-'));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  async function run(...commandLine: string[]) {
    const lines: string[] = [];
    const code = await runCertificateCommand(commandLine, (line) => lines.push(line));
    return { code, lines, text: lines.join('\n') };
  }

  async function withAuthority(): Promise<string> {
    const ca = join(directory, 'ca');
    expect(await run('ca', 'create', '--out', ca)).toMatchObject({ code: 0 });
    return ca;
  }

  const instanceOf = (ca: string, out: string) => [
    'ca',
    'issue-instance',
    '--ca',
    ca,
    '--name',
    'client',
    '--endpoint',
    endpoint,
    '--out',
    out,
  ];

  test('a CA is created, its key readable by its owner alone', async () => {
    const ca = join(directory, 'new', 'ca');

    const { code, lines } = await run('ca', 'create', '--out', ca, '--name', 'X', '--years', '3');

    expect(code).toBe(0);
    expect(lines).toEqual([
      `CA certificate, for all instances: ${ca}/ca-certificate.pem`,
      `CA private key, for nobody else: ${ca}/ca-key.pem`,
      expect.stringMatching(/^certificate id: [0-9a-f]{64}$/),
    ]);
    expect((await stat(join(ca, 'ca-key.pem'))).mode & 0o777).toBe(0o600);
    const pem = await readFile(join(ca, 'ca-certificate.pem'), 'utf8');
    expect(new X509Certificate(pem).subject).toBe('CN=X');
  });

  test('an instance is issued and shown', async () => {
    const ca = await withAuthority();
    const out = join(directory, 'client');

    const issued = await run(...instanceOf(ca, out), '--days', '10');
    const shown = await run('certificate', 'show', join(out, 'certificate.pem'));

    expect(issued).toMatchObject({ code: 0 });
    const id = issued.lines.at(-1);
    expect(issued.lines).toEqual([
      `certificate: ${out}/certificate.pem`,
      `private key: ${out}/key.pem`,
      expect.stringMatching(/^certificate id: [0-9a-f]{64}$/),
    ]);
    expect((await stat(join(out, 'key.pem'))).mode & 0o777).toBe(0o600);
    expect(shown.lines).toEqual([
      id,
      'subject: CN=client',
      'kind: instance',
      `endpoint: ${endpoint}`,
      expect.stringMatching(/^valid: \d{4}-.*Z to \d{4}-.*Z$/),
    ]);
  });

  test('an application is issued and shown', async () => {
    const ca = await withAuthority();

    const issued = await run(
      ...['ca', 'issue-application', '--ca', ca, '--name', 'planner', '--out', directory],
    );
    const shown = await run('certificate', 'show', join(directory, 'certificate.pem'));

    expect(issued.code).toBe(0);
    expect(shown.lines[0]).toBe(issued.lines.at(-1));
    expect(shown.lines[2]).toBe('kind: application, operator or auditor');
    expect(shown.lines).toHaveLength(4);
  });

  test.each([
    ['over', -2, -1, /CERTIFICATE_EXPIRED: its time is over/],
    ['not begun', 1, 2, /CERTIFICATE_NOT_YET_VALID: its time has not begun/],
  ])('a certificate whose time is %s is shown, and told as such', async (_what, from, to, sentence) => {
    const at = (days: number) => new Date(Date.now() + days * DAY_MS);
    const shape = { notBefore: at(from), notAfter: at(to) };
    const file = join(directory, 'certificate.pem');
    await writeFile(file, testInstance(testAuthority(), endpoint, shape).certificatePem);

    const shown = await run('certificate', 'show', file);

    expect(shown.code).toBe(1);
    expect(shown.lines[2]).toBe('kind: instance');
    expect(shown.lines.at(-1)).toMatch(sentence);
  });

  test('a renewal takes an existing key, keeps the id and writes no key', async () => {
    const ca = await withAuthority();
    const first = await run(...instanceOf(ca, join(directory, 'first')));
    const key = join(directory, 'first', 'key.pem');

    const renewed = await run(...instanceOf(ca, join(directory, 'second')), '--key', key);

    expect(renewed.lines.at(-1)).toBe(first.lines.at(-1));
    expect(await readdir(join(directory, 'second'))).toEqual(['certificate.pem']);
  });

  test('an existing file is never overwritten', async () => {
    const ca = await withAuthority();
    const before = await readFile(join(ca, 'ca-key.pem'), 'utf8');
    const out = join(directory, 'client');
    await mkdir(out);
    await writeFile(join(out, 'key.pem'), 'precious');

    const again = await run('ca', 'create', '--out', ca);
    const issued = await run(...instanceOf(ca, out));

    expect(again.code).toBe(1);
    expect(again.text).toMatch(/ca-certificate\.pem exists and is not overwritten/);
    expect(issued.code).toBe(1);
    expect(issued.text).toMatch(/key\.pem exists and is not overwritten: name another directory/);
    expect(await readFile(join(ca, 'ca-key.pem'), 'utf8')).toBe(before);
    expect(await readdir(out)).toEqual(['key.pem']);
  });

  test('what cannot be read or written is named', async () => {
    const ca = await withAuthority();
    const file = join(directory, 'file');
    await writeFile(file, 'x');

    const missing = await run(...instanceOf(join(directory, 'none'), join(directory, 'out')));
    const blocked = await run(...instanceOf(ca, join(file, 'out')));
    const shown = await run('certificate', 'show', file);

    expect(missing).toMatchObject({ code: 1, text: expect.stringContaining('ENOENT') });
    expect(blocked).toMatchObject({ code: 1, text: expect.stringContaining('ENOTDIR') });
    expect(shown).toMatchObject({
      code: 1,
      text: expect.stringMatching(/file: CERTIFICATE_MALFORMED: /),
    });
  });

  test('a mistake in the wish is told in one line', async () => {
    const ca = await withAuthority();

    const outcome = await run(...instanceOf(ca, join(directory, 'x')), '--days', '3651');

    expect(outcome.code).toBe(1);
    expect(outcome.lines).toEqual(['3651 days: expected a whole number from 1 to 3650']);
    expect(await readdir(directory)).toEqual(['ca']);
  });

  test.each([
    [[], /^"registry" is not known: "registry help" lists/],
    [['ca', 'destroy'], /"registry ca destroy" is not known/],
    [['ca', 'create'], /^--out is missing: call registry ca create --out <directory>/],
    [['ca', 'create', '--out', ''], /^--out is missing/],
    [['ca', 'create', '--out', 'x', '--wrong'], /'--wrong'.*: call registry ca create/],
    [['ca', 'create', '--out', 'x', 'extra'], /'extra'.*: call registry ca create/],
    [['ca', 'create', '--out', 'x', '--years', 'ten'], /--years ten: expected a whole number/],
    [['ca', 'issue-instance', '--ca', 'x', '--name', 'x', '--out', 'x'], /^--endpoint is missing/],
    [['ca', 'issue-application', '--ca', 'x', '--out', 'x'], /^--name is missing/],
    [['certificate', 'show'], /^<file> is missing: call registry certificate show <file>/],
    [['certificate', 'show', 'a', 'b'], /one file at a time/],
  ])('wrong arguments %j are answered with what to do and exit code 2', async (wrong, sentence) => {
    const { code, lines } = await run(...wrong);

    expect(code).toBe(2);
    expect(lines).toEqual([expect.stringMatching(sentence)]);
  });
});
