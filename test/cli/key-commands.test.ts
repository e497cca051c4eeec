import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runCommand } from '../../cli/command.ts';
import { keyCommands } from '../../cli/key-commands.ts';
import {
  JsonRefusal,
  type JsonServer,
  startJsonServer,
} from '../../infra/local/aws-json-server.ts';
import {
  type TestCertificate,
  testApplication,
  testAuthority,
  testInstance,
} from '../certificate-authority.ts';

const SECRET = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:Key';

let directory: string;
let server: JsonServer;
/** By ARN; undefined as the template makes it: without a value. */
let secrets: Map<string, string | undefined>;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'key-'));
  secrets = new Map([[SECRET, undefined]]);
  server = await startJsonServer(0, {
    'secretsmanager.GetSecretValue': async (input) => {
      const text = secrets.get(idOf(input));
      if (text === undefined) throw new JsonRefusal('ResourceNotFoundException', 'no value');
      return { SecretString: text };
    },
    'secretsmanager.PutSecretValue': async (input) => {
      if (!secrets.has(idOf(input))) throw new JsonRefusal('ResourceNotFoundException', 'none');
      secrets.set(idOf(input), String(Object(input)['SecretString']));
      return {};
    },
  });
  vi.stubEnv('AWS_ENDPOINT_URL_SECRETS_MANAGER', server.endpoint);
  vi.stubEnv('AWS_REGION', 'eu-central-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
});

afterEach(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

function idOf(input: unknown): string {
  return String(Object(input)['SecretId']);
}

function written(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  return file;
}

async function putKey(
  { certificatePem, key }: TestCertificate,
  { secret = SECRET, keyPem = key.pem, more = [] as string[] } = {},
) {
  const lines: string[] = [];
  const code = await runCommand(
    keyCommands,
    [
      'key',
      'put',
      ...['--secret', secret, '--key', written('key.pem', keyPem)],
      ...['--certificate', written('certificate.pem', certificatePem), ...more],
    ],
    (line) => lines.push(line),
  );
  return { code, lines };
}

const authority = testAuthority();

test('a key and its certificate are put into the secret that the template made', async () => {
  const instance = testInstance(authority, 'https://registry.client.example');

  const { code, lines } = await putKey(instance);

  expect(lines).toEqual([
    `certificate id: ${instance.certificateId}`,
    'former ids: none',
    'the functions use it within five minutes',
  ]);
  expect(code).toBe(0);
  expect(JSON.parse(secrets.get(SECRET) ?? '')).toEqual({
    privateKeyPem: instance.key.pem,
    certificatePem: instance.certificatePem,
    formerIds: [],
  });
});

test('another key is put only with the id of the one before, which then stays for ever', async () => {
  const before = testInstance(authority, 'https://registry.client.example');
  const after = testInstance(authority, 'https://registry.client.example');
  await putKey(before);

  const refused = await putKey(after);
  expect(refused).toMatchObject({
    code: 1,
    lines: [/holds the key of .*: give --former/].map((form) => expect.stringMatching(form)),
  });
  expect(secrets.get(SECRET)).toContain(JSON.stringify(before.certificatePem));

  await putKey(after, { more: ['--former', before.certificateId] });
  await putKey(after);
  expect(JSON.parse(secrets.get(SECRET) ?? '')).toMatchObject({
    certificatePem: after.certificatePem,
    formerIds: [before.certificateId],
  });
});

test('what is no key of an instance is refused, and nothing of it is said or stored', async () => {
  const instance = testInstance(authority, 'https://registry.client.example');
  const other = testInstance(authority, 'https://registry.client.example');

  const wrongKey = await putKey(instance, { keyPem: other.key.pem });
  const application = await putKey(testApplication(authority));
  const nowhere = await putKey(instance, { secret: `${SECRET}2` });

  expect(wrongKey.lines).toEqual([
    expect.stringMatching(/private key does not belong to its cert/),
  ]);
  expect(application.lines).toEqual([expect.stringMatching(/is no instance's certificate/)]);
  expect(nowhere.lines).toEqual([
    expect.stringMatching(/there is no secret .*Key2: give the output/),
  ]);
  expect([wrongKey.code, application.code, nowhere.code]).toEqual([1, 1, 1]);
  expect(wrongKey.lines.join()).not.toContain('PRIVATE');
  expect(secrets.get(SECRET)).toBeUndefined();
});
