/**
 * What the functions log while they work and while they fail, by the lines that Lambda would get: each
 * one JSON object, with what it is found by, and with nothing in it that is nobody's business.
 */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createApi } from '../../functions/api.ts';
import { createAudit } from '../../functions/audit.ts';
import { createDeliver } from '../../functions/deliver.ts';
import { createFetchDocuments } from '../../functions/fetch-documents.ts';
import { invocation } from '../../functions/invocation.ts';
import { createPeerApi } from '../../functions/peer-api.ts';
import { EmfAlarms } from '../../shared/adapters/aws/emf-alarms.ts';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import type { RegistryId } from '../../shared/ledger/digest.ts';
import { MemoryCluster, type MemoryInstance, one, salt, uploadDraft } from '../memory-cluster.ts';

const PERSON = 'Dr. Grete Kanarienvogel';
const BYTES = 'the bytes of a confidential document';
const SIGNATURE = 'X-Amz-Signature=feedfacecafebeef';
const CANARIES = [
  'Kanarienvogel',
  'confidential',
  'feedfacecafebeef',
  'X-Amz-',
  'PRIVATE KEY',
  'BEGIN',
  '://',
];

interface Line {
  readonly level?: string;
  readonly message?: string;
  readonly facts: Readonly<Record<string, string | number>>;
  readonly EntriesStored?: number;
  readonly BytesSent?: number;
}

let printed: string[];

beforeEach(() => {
  printed = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    printed.push(String(chunk));
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

/** Every line that was written since the last call, after looking for what must not be in one. */
function linesOf({ certificate }: MemoryInstance): Line[] {
  const all = printed.splice(0);
  const keyBody = certificate.keyPem.split('\n')[1] ?? 'no key';
  for (const line of all) {
    expect(line.endsWith('\n') && !line.slice(0, -1).includes('\n')).toBe(true);
    for (const canary of [...CANARIES, keyBody]) expect(line).not.toContain(canary);
  }
  return all.map((line) => JSON.parse(line));
}

async function swarm() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  for (const instance of [client, architect])
    instance.ports = { ...instance.ports, alarms: new EmfAlarms({ instanceName: instance.name }) };
  const registryId = await client.create([architect]);
  await cluster.settle();
  printed.splice(0);
  return { cluster, client, architect, registryId };
}

const context = { awsRequestId: 'lambda-1', getRemainingTimeInMillis: () => 900_000 } as never;

/** The function as Lambda has it: with the real log. */
function apiOf(instance: MemoryInstance, kind: 'api' | 'peer' = 'api') {
  const open = async () => instance.ports;
  const handler = invocation(kind === 'api' ? createApi(open) : createPeerApi(open));
  return async (method: string, path: string, pem: string, body?: Uint8Array) => {
    const requestId = randomUUID();
    const event = {
      rawPath: path,
      headers: {},
      requestContext: {
        requestId,
        http: { method, path },
        authentication: { clientCert: { clientCertPem: pem } },
      },
      ...(body && { body: Buffer.from(body).toString('base64'), isBase64Encoded: true }),
    };
    const answer = await handler(event as never, context);
    return { requestId, status: answer.statusCode, body: answer.body };
  };
}

function append(registryId: RegistryId, content: { contentDigest: string; size: number }) {
  const draft = uploadDraft('ARC-1', 1, content);
  const body = encodeCanonical(one(draft, { salt, name: PERSON }));
  return { draft, path: `/v1/registries/${registryId}/transactions`, body };
}

test('the line of an append has registry, entry, transaction, caller and request', async () => {
  const { client, registryId } = await swarm();
  const { draft, path, body } = append(registryId, await client.upload(BYTES));
  const { certificatePem, certificateId } = client.application;

  const { requestId, status } = await apiOf(client)('POST', path, certificatePem, body);

  const lines = linesOf(client);
  const found = { registryId, sequence: 2, transactionId: draft.transactionId };
  expect(status).toBe(201);
  expect(lines.find(({ message }) => message === 'request')?.facts).toMatchObject({
    ...found,
    requestId,
    caller: certificateId,
    role: 'application',
    method: 'POST',
    status: 201,
  });
  // The line that counts what was stored is found by the same.
  const usage = lines.find((line) => 'EntriesStored' in line);
  expect(usage).toMatchObject({ EntriesStored: 1, BytesStored: BYTES.length });
  expect(usage?.facts).toMatchObject({ ...found, requestId, caller: certificateId });
});

test('the line of a refused request has the code, and nothing of the body', async () => {
  const { client, registryId } = await swarm();
  const { path } = append(registryId, { contentDigest: 'ab'.repeat(32), size: 1 });
  const body = Buffer.from(JSON.stringify({ [PERSON]: BYTES, url: `https://a/?${SIGNATURE}` }));

  const { status } = await apiOf(client)('POST', path, client.application.certificatePem, body);

  const [line] = linesOf(client).filter(({ message }) => message === 'request');
  expect(status).toBe(400);
  expect(line?.facts).toMatchObject({ registryId, status: 400, code: 'SCHEMA_VIOLATION' });
});

test('a request that fails unexpectedly says who asked for what, and no secret of the error', async () => {
  const { client, registryId } = await swarm();
  const { keyPem } = client.certificate;
  client.known.head = async () => {
    throw new Error(`GET https://bucket/x?${SIGNATURE} ${SIGNATURE} failed ${keyPem}`);
  };
  const { certificatePem, certificateId } = client.auditor;

  const answer = await apiOf(client)('GET', `/v1/registries/${registryId}`, certificatePem);

  const [line] = linesOf(client).filter(({ message }) => message === 'request failed');
  expect(answer.status).toBe(500);
  expect(line).toMatchObject({ level: 'error' });
  expect(line?.facts).toMatchObject({
    requestId: answer.requestId,
    caller: certificateId,
    registryId,
  });
});

test('an address that is handed out is in no line, and its document counts as sent', async () => {
  const { client, registryId } = await swarm();
  await client.append(registryId, uploadDraft('ARC-1', 1, await client.upload(BYTES)), {
    salt,
    name: PERSON,
  });
  printed.splice(0);
  const path = `/v1/registries/${registryId}/documents/ARC-1/versions/1/content`;

  const { body } = await apiOf(client)('GET', path, client.auditor.certificatePem);

  const lines = linesOf(client);
  expect(body).toContain('"url"');
  expect(lines.flatMap(({ BytesSent }) => BytesSent ?? [])).toEqual([
    Buffer.byteLength(body) + BYTES.length,
  ]);
});

test('what a peer sends and what is refused of it is logged without its words', async () => {
  const { client, architect, registryId } = await swarm();
  const path = `/v1/peer/registries/${registryId}/deliveries`;
  const body = Buffer.from(
    JSON.stringify({ format: 'registry/delivery/v1', registryId, commits: [{ details: PERSON }] }),
  );

  const pem = client.certificate.certificatePem;
  const { requestId, status } = await apiOf(architect, 'peer')('POST', path, pem, body);

  const lines = linesOf(architect);
  const refused = lines.find((line) => 'StatementsRefused' in line);
  expect(status).toBe(400);
  expect(refused?.facts).toMatchObject({ registryId, requestId, caller: client.id });
});

test('deliveries, fetches and audits, well and failing, name registry and request and no secret', async () => {
  const { cluster, client, architect, registryId } = await swarm();
  await client.append(registryId, uploadDraft('ARC-1', 1, await client.upload(BYTES)), {
    salt,
    name: PERSON,
  });
  const poke = (peer?: string) => ({
    Records: [{ messageId: 'm-1', body: JSON.stringify({ registryId, ...(peer && { peer }) }) }],
  });
  const open = (of: MemoryInstance) => async () => of.ports;
  cluster.downloads = async (url) => {
    throw new Error(`${url}?${SIGNATURE} broke off`);
  };

  await invocation(createDeliver(open(client)))(poke(architect.id) as never, context);
  await invocation(createFetchDocuments(open(architect)))(poke() as never, context);
  cluster.network = async () => ({ outcome: 'unreachable', reason: `https://a/?${SIGNATURE}` });
  await client.append(registryId, uploadDraft('ARC-2', 1, await client.upload(BYTES)), {
    salt,
    name: PERSON,
  });
  await invocation(createDeliver(open(client)))(poke(architect.id) as never, context);
  const details = encodeCanonical({ format: 'x', name: PERSON, salt: BYTES });
  client.known.damage = {
    entry: (stored) => (stored.sequence === 2 ? { ...stored, details } : stored),
  };
  await invocation(createAudit(open(client)))(undefined, context);
  const broken = async () => {
    throw new Error(`the table: ${SIGNATURE} ${client.certificate.keyPem}`);
  };
  const failing = invocation(createAudit(broken));

  await expect(failing(undefined, context)).rejects.toThrow(/^the table: \[signature\] \[pem\]$/);

  const lines = linesOf(client).filter(({ message }) => message !== 'request');
  const messages = lines.map(({ message }) => message).filter((message) => message !== undefined);
  expect(messages).toEqual(
    expect.arrayContaining(['verified on', 'delivery parked', 'audited', 'function failed']),
  );
  for (const { message, facts } of lines.filter((line) => line.message !== undefined)) {
    expect(facts).toMatchObject({ requestId: 'lambda-1' });
    if (message !== 'function failed' && message !== 'audit round')
      expect(facts).toMatchObject({ registryId });
  }
});
