import { createHash, createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../cli/command.ts';
import { operatorCommands } from '../../cli/operator-commands.ts';
import type { MemberName } from '../../infra/local/members.ts';
import type { UploadTarget } from '../../shared/client/answers.ts';
import { putBytes } from '../../shared/client/object-store.ts';
import { RegistryError } from '../../shared/client/problem.ts';
import {
  type TestAuthority,
  type TestCertificate,
  testApplication,
  testAuthority,
  testInstance,
  usages,
} from '../certificate-authority.ts';
import { type LocalCluster, startLocalCluster } from './local-cluster.ts';

const PATIENCE_MS = 60_000;
const trio = ['client', 'architect', 'contractor'] as const;

let local: LocalCluster;

beforeAll(async () => {
  local = await startLocalCluster({ bundles: true });
  for (const name of ['architect', 'contractor', 'checking-engineer'] as const)
    await local.client('client').introduceInstance(member(name).certificatePem);
  for (const name of ['client', 'contractor'] as const)
    await local.client('architect').introduceInstance(member(name).certificatePem);
});

afterAll(() => local.close());

function member(name: MemberName) {
  const found = local.members.get(name);
  if (found === undefined) throw new Error(name);
  return found;
}

function ids(...names: readonly MemberName[]): string[] {
  return names.map((name) => member(name).certificateId);
}

async function newRegistry(lead: MemberName = 'client', ...mirrors: readonly MemberName[]) {
  const peers = ids(
    lead,
    ...(mirrors.length === 0 ? (['architect', 'contractor'] as const) : mirrors),
  );
  const { registryId } = await local.client(lead).createRegistry({ name: 'Neubau', peers });
  return registryId;
}

function record(registryId: string, documentId: string, bytes = documentId) {
  const content = local.file(`${documentId}.txt`, bytes);
  const document = { documentId, content, name: documentId, mediaType: 'text/plain' };
  return local.client('client').uploadDocument(registryId, document);
}

/** What the member's instance says of the entry, once its receipt proves every confirmation. */
async function whenFinal(name: MemberName, registryId: string, sequence: number) {
  const client = local.client(name);
  await client.waitUntilConfirmed(registryId, sequence, { timeoutMs: PATIENCE_MS });
  const known = await client.unverified.entryStatus(registryId, sequence);
  expect(known.status).toEqual({ status: 'final' });
  return known;
}

async function operator(...command: string[]): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  const code = await runCommand(operatorCommands, command, (line) => lines.push(line));
  return { code, lines };
}

test('a document is recorded, replicated and confirmed, and every copy verifies from its stored bytes', async () => {
  const registryId = await newRegistry();
  const recorded = await record(registryId, 'ARC-0001', 'ISO-10303-21;');

  for (const name of trio) {
    const known = await whenFinal(name, registryId, recorded.sequence);

    expect(known.digest).toBe(recorded.digest);
    expect(known.confirmations.map(({ peer }) => peer)).toEqual(ids(...trio));
    for (const { role, confirmed } of known.confirmations)
      expect(confirmed !== undefined).toBe(role === 'mirror');
    const environment = local.environmentFile(name);
    const verified = await operator(
      'verify',
      '--environment',
      environment,
      '--registry',
      registryId,
    );
    expect(verified.lines.join()).toContain('sound: 2 entries, 1 documents (13 bytes), ');
    expect(verified.code).toBe(0);
    const exported = join(local.directory, `${name}.jsonl`);
    await operator(
      'export',
      '--environment',
      environment,
      '--registry',
      registryId,
      '--out',
      exported,
    );
    expect((await operator('verify-export', exported, '--registry', registryId)).code).toBe(0);
    const broken = readFileSync(exported, 'utf8').replace('ARC-0001', 'ARC-0002');
    writeFileSync(exported, broken);
    const found = await operator('verify-export', exported);
    expect(found.code).toBe(1);
    expect(found.lines[0]).toMatch(/WRONG at entry 2/);
  }
});

test('a mirror that is offline catches up by itself and gets every confirmation', async () => {
  const registryId = await newRegistry();
  await whenFinal('client', registryId, 1);
  await local.cluster.stopInstance('contractor');
  for (const id of ['A', 'B', 'C']) await record(registryId, id);
  await expect
    .poll(async () => (await local.client('client').unverified.entryStatus(registryId, 4)).status, {
      timeout: PATIENCE_MS,
    })
    .toEqual({ status: 'confirmed', by: 1, of: 2 });

  await local.cluster.startInstance('contractor');

  for (const name of trio) await whenFinal(name, registryId, 4);
});

test('the lead is handed over while an application keeps appending: nothing is lost or doubled', async () => {
  const registryId = await newRegistry();
  await whenFinal('client', registryId, 1);
  const refused: RegistryError[] = [];
  const recorded: number[] = [];
  const appending = Array.from({ length: 6 }, async (_, index) => {
    try {
      recorded.push((await record(registryId, `H-${index}`)).sequence);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      refused.push(error);
    }
  });

  const peers = ids('architect', 'client', 'contractor');
  const handOver = await local.client('client').reconfigurePeers(registryId, peers);
  await Promise.all(appending);

  for (const { status, members } of refused)
    expect([status, members['lead']]).toEqual([421, member('architect').certificateId]);
  expect(new Set([...recorded, handOver.sequence]).size).toBe(recorded.length + 1);
  const content = local.file('later.txt', 'later');
  await whenFinal('architect', registryId, handOver.sequence);
  const later = await local.client('architect').uploadDocument(registryId, {
    documentId: 'LATER',
    content,
    name: 'later',
    mediaType: 'text/plain',
  });
  expect(later.sequence).toBe(handOver.sequence + 1);
  for (const name of trio) await whenFinal(name, registryId, later.sequence);
});

test('an upload takes exactly those bytes, once', async () => {
  const content = Buffer.from('exactly these');
  const contentDigest = createHash('sha256').update(content).digest('hex');
  const asked = await local
    .client('client')
    .unverified.call('POST', '/v1/uploads', { contentDigest, size: content.length });
  const { upload } = asked as { upload: UploadTarget };
  const put = (bytes: Buffer) =>
    putBytes(
      { ...upload, headers: { ...upload.headers, 'content-length': String(bytes.length) } },
      (async function* () {
        yield bytes;
      })(),
      { idleMsMax: PATIENCE_MS },
    );

  expect((await put(Buffer.from('exactly other'))).status).toBe(400);
  expect((await put(Buffer.from('exactly these and more'))).status).toBe(403);
  expect((await put(content)).status).toBe(200);
  expect((await put(content)).status).toBe(412);
});

test('what was not uploaded is not recorded, and the ledger stays as it was', async () => {
  const registryId = await newRegistry();
  const members = {
    documentId: 'GHOST',
    version: 1,
    contentDigest: 'ab'.repeat(32),
    size: 3,
    mediaType: 'text/plain',
  };

  const appended = local
    .client('client')
    .append(registryId, [{ type: 'upload-document', members, details: { name: 'x' } }]);

  await expect(appended).rejects.toMatchObject({ code: 'CONTENT_NOT_UPLOADED', status: 409 });
  const known = await local.client('client').unverified.registry(registryId);
  expect(known).toMatchObject({ head: { sequence: 1 } });
});

describe('callers', () => {
  interface Asked {
    readonly status: number | undefined;
    readonly body: { readonly code?: string };
  }

  function ask(client: TestCertificate | undefined, path: string, method = 'GET'): Promise<Asked> {
    const { promise, resolve, reject } = Promise.withResolvers<Asked>();
    const tls = client === undefined ? {} : { cert: client.certificatePem, key: client.keyPem };
    const ca = readFileSync(join(local.directory, 'ca-certificate.pem'));
    const url = new URL(path, local.client('client').endpoint);
    const request = httpsRequest(url, { ...tls, ca, method, agent: false }, (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode, body: JSON.parse(body) }),
        reject,
      );
    });
    request.on('error', reject);
    request.end();
    return promise;
  }

  /** The cluster's own CA, as an issuer of test certificates. */
  function clusterAuthority(): TestAuthority {
    const { certificatePem, privateKeyPem, certificateId } = JSON.parse(
      readFileSync(join(local.directory, 'ca.json'), 'utf8'),
    );
    const privateKey = createPrivateKey(privateKeyPem);
    const key = { privateKey, publicKey: createPublicKey(privateKey), pem: privateKeyPem };
    const der = new X509Certificate(certificatePem).raw;
    const name = 'Musterstadt Cluster CA';
    return { name, key, keyPem: privateKeyPem, certificatePem, certificateId, der };
  }

  const DAY_MS = 86_400_000;
  const cases: readonly [string, () => TestCertificate | undefined, string][] = [
    ['no certificate', () => undefined, 'CLIENT_CERTIFICATE_MISSING'],
    [
      'a certificate of another CA',
      () => testApplication(testAuthority()),
      'CLIENT_CERTIFICATE_UNTRUSTED',
    ],
    [
      'an expired certificate',
      () =>
        testApplication(clusterAuthority(), {
          notBefore: new Date(Date.now() - 2 * DAY_MS),
          notAfter: new Date(Date.now() - DAY_MS),
        }),
      'CLIENT_CERTIFICATE_EXPIRED',
    ],
    [
      'a certificate without clientAuth',
      () => testApplication(clusterAuthority(), { extendedKeyUsage: [usages.serverAuth] }),
      'CLIENT_CERTIFICATE_WRONG_USAGE',
    ],
    [
      'an application that is not listed',
      () => testApplication(clusterAuthority()),
      'CALLER_NOT_LISTED',
    ],
  ];

  test.each(cases)('%s: refused with 403 and its own code', async (_, certificate, code) => {
    const { status, body } = await ask(certificate(), '/v1/registries');

    expect([status, body.code]).toEqual([403, code]);
  });

  test('a peer that is not in the swarm is refused', async () => {
    const registryId = await newRegistry();
    const stranger = testInstance(clusterAuthority(), 'https://localhost:9');

    const { status, body } = await ask(
      stranger,
      `/v1/peer/registries/${registryId}/head?nonce=${'0'.repeat(32)}`,
    );

    expect([status, body.code]).toEqual([403, 'PEER_NOT_IN_SWARM']);
  });

  test('a peer may not act as an application', async () => {
    const { body } = await ask(testInstance(clusterAuthority()), '/v1/registries');

    expect(body.code).toBe('ROLE_NOT_ALLOWED');
  });
});

test('the roles of the templates allowed every call of every function so far', () => {
  expect(local.cluster.rights().refused).toEqual([]);
});
