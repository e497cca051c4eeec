import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { runCommand } from '../../cli/command.ts';
import { keyCommands } from '../../cli/key-commands.ts';
import { freePort } from '../../infra/local/port.ts';
import { type SecretsServer, startSecretsServer } from '../../infra/local/secrets-server.ts';
import {
  type TestCertificate,
  testApplication,
  testAuthority,
  testInstance,
  testKey,
} from '../certificate-authority.ts';

const ENDPOINT = 'https://client.example';
const authority = testAuthority();

let server: SecretsServer;
let folder: string;
let secrets = 0;
let arn: string;
let secretFile: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'registry-key-'));
  server = await startSecretsServer(await freePort(0, 'a test'));
});

beforeEach(() => {
  vi.stubEnv('AWS_ENDPOINT_URL_SECRETS_MANAGER', server.endpoint);
  vi.stubEnv('AWS_REGION', 'eu-central-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'OPERATOR');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'none');
  secrets += 1;
  arn = `arn:aws:secretsmanager:eu-central-1:000000000000:secret:Key-${secrets}`;
  secretFile = join(folder, `secret-${secrets}.json`);
  server.add({ accessKeyId: 'OPERATOR', arn, file: secretFile });
});

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

async function run(...words: string[]) {
  const lines: string[] = [];
  const code = await runCommand(keyCommands, ['key', ...words], (line) => lines.push(line));
  // Whatever happens, nobody reads a key in a terminal or in the log of a pipeline.
  expect(lines.join('\n')).not.toMatch(/PRIVATE|BEGIN|MIG/);
  return { code, lines };
}

interface Putting {
  readonly key?: string;
  readonly ca?: string;
  readonly flags?: readonly string[];
}

function put({ certificatePem, keyPem }: TestCertificate, { key, ca, flags = [] }: Putting = {}) {
  return run(
    ...['put', '--secret', arn, '--certificate', file('certificate.pem', certificatePem)],
    ...['--key', file('key.pem', key ?? keyPem)],
    ...['--ca', file('ca.pem', ca ?? authority.certificatePem), ...flags],
  );
}

function announce({ certificatePem }: TestCertificate) {
  const certificate = file('next.pem', certificatePem);
  const ca = file('ca.pem', authority.certificatePem);
  return run('announce', '--secret', arn, '--certificate', certificate, '--ca', ca);
}

const held = () => JSON.parse(readFileSync(secretFile, 'utf8'));
const instance = () => testInstance(authority, ENDPOINT);

test('an empty secret is filled once; the same again writes nothing', async () => {
  const own = instance();

  const first = await put(own);
  const again = await put(own);
  const shown = await run('show', '--secret', arn);

  expect(held()).toEqual({
    privateKeyPem: own.keyPem,
    certificatePem: own.certificatePem,
    formerIds: [],
  });
  const line = expect.stringMatching(new RegExp(`^${own.certificateId} at ${ENDPOINT}, valid `));
  expect(first.code).toBe(0);
  expect(again.lines[0]).toBe('the secret holds exactly this: nothing was written');
  expect(shown).toEqual({ code: 0, lines: [line] });
});

test('a renewed certificate of the same key keeps every id', async () => {
  const key = testKey();
  const own = testInstance(authority, ENDPOINT, { key });
  await put(own);
  const former = 'a'.repeat(64);
  writeFileSync(secretFile, JSON.stringify({ ...held(), formerIds: [former] }));

  const renewed = testInstance(authority, ENDPOINT, { key });
  const { code, lines } = await put(renewed);

  expect(code).toBe(0);
  expect(lines).toContain(`also known as ${former}`);
  expect(held()).toMatchObject({
    certificatePem: renewed.certificatePem,
    formerIds: [former],
  });
  expect(renewed.certificatePem).not.toBe(own.certificatePem);
});

test('a new key comes in two steps, and the old id stays for ever', async () => {
  const [own, next, third] = [instance(), instance(), instance()];
  await put(own);

  const unannounced = await put(next);
  const announced = await announce(next);
  const between = held();
  const moved = await put(next);
  await announce(third);
  await put(third);

  expect(unannounced).toMatchObject({ code: 1, lines: [expect.stringContaining('announce it')] });
  expect(announced.code).toBe(0);
  expect(between).toMatchObject({ privateKeyPem: own.keyPem, formerIds: [next.certificateId] });
  expect(moved.code).toBe(0);
  expect(moved.lines[0]).toContain(`before: ${own.certificateId}`);
  expect(held()).toMatchObject({ privateKeyPem: third.keyPem });
  expect(held().formerIds.toSorted()).toEqual([own.certificateId, next.certificateId].toSorted());
});

test('a lost key is replaced without having been announced, where one says so', async () => {
  const [own, next] = [instance(), instance()];
  await put(own);

  const { code } = await put(next, { flags: ['--unannounced'] });

  expect(code).toBe(0);
  expect(held()).toMatchObject({ privateKeyPem: next.keyPem, formerIds: [own.certificateId] });
});

test.each([
  [
    'a key of another certificate',
    () => put(instance(), { key: instance().keyPem }),
    /does not belong to its certificate/,
  ],
  ['what is no key', () => put(instance(), { key: 'none' }), /private key cannot be read/],
  [
    'the certificate of an application',
    () => put(testApplication(authority)),
    /expected that of an instance/,
  ],
  [
    'one of another CA',
    () => put(instance(), { ca: testAuthority().certificatePem }),
    /CERTIFICATE_UNTRUSTED/,
  ],
  [
    'one that has expired',
    () => put(testInstance(authority, ENDPOINT, expired)),
    /CERTIFICATE_EXPIRED/,
  ],
] as const)('%s is refused, and nothing is written', async (_, putting, sentence) => {
  const { code, lines } = await putting();

  expect([code, lines]).toEqual([1, [expect.stringMatching(sentence)]]);
  expect(existsSync(secretFile)).toBe(false);
});

const expired = {
  notBefore: new Date('2020-01-01T00:00:00Z'),
  notAfter: new Date('2021-01-01T00:00:00Z'),
};

test('what is no key of an instance is never overwritten, for it may hold ids', async () => {
  writeFileSync(secretFile, '{"something":"else"}');

  const { code, lines } = await put(instance());

  expect([code, lines]).toEqual([1, [expect.stringContaining('holds something that is no key')]]);
  expect(held()).toEqual({ something: 'else' });
});

test('a secret that is not there is an error, with its name', async () => {
  arn = 'arn:aws:secretsmanager:eu-central-1:000000000000:secret:Nothing';

  const { code, lines } = await put(instance());

  expect([code, lines]).toEqual([1, [expect.stringMatching(/Nothing: ResourceNotFoundException/)]]);
});

test('an expired certificate in the secret is shown, with exit code 1', async () => {
  const old = testInstance(authority, ENDPOINT, expired);
  const { certificatePem, keyPem: privateKeyPem } = old;
  writeFileSync(secretFile, JSON.stringify({ privateKeyPem, certificatePem, formerIds: [] }));

  const { code, lines } = await run('show', '--secret', arn);

  expect(code).toBe(1);
  expect(lines.at(-1)).toMatch(/^CERTIFICATE_EXPIRED/);
});

test('the version before stays in the secret as AWSPREVIOUS', async () => {
  const key = testKey();
  const own = testInstance(authority, ENDPOINT, { key });
  await put(own);
  await put(testInstance(authority, ENDPOINT, { key }));

  const client = new SecretsManagerClient({});
  const command = new GetSecretValueCommand({ SecretId: arn, VersionStage: 'AWSPREVIOUS' });
  const { SecretString = '' } = await client.send(command);

  expect(JSON.parse(SecretString)).toMatchObject({ certificatePem: own.certificatePem });
});
