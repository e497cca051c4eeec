import { randomUUID } from 'node:crypto';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { beforeAll, describe, expect, test } from 'vitest';
import type { CallerRole } from '../../shared/http/caller.ts';
import { openApi } from '../../shared/http/open-api.ts';
import { operations } from '../../shared/http/operations.ts';
import { PROBLEM_TYPE } from '../../shared/http/problem.ts';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import {
  type Digest,
  digestOf,
  type RegistryId,
  type Sequence,
} from '../../shared/ledger/digest.ts';
import type { Resolution } from '../../shared/ledger/resolution.ts';
import { testApplication, testInstance } from '../certificate-authority.ts';
import { acceptanceAt, reportTampering, resolutionAt, setAsideAt, signedBy } from '../deciding.ts';
import {
  MemoryCluster,
  type MemoryInstance,
  one,
  type RawAnswer,
  salt,
  uploadDraft,
} from '../memory-cluster.ts';
import { signBytes, type TestSigner, testSigner } from '../signing.ts';
import { type Call, Description, type OperationId, operationIds } from './description.ts';

/** A lead with a mirror, two versions of a document, and requests: open, overdue and signed. */
interface World {
  readonly cluster: MemoryCluster;
  readonly client: MemoryInstance;
  readonly architect: MemoryInstance;
  readonly registryId: RegistryId;
  /** Of version 1. */
  readonly contentDigest: string;
  readonly transactionId: string;
  readonly signer: TestSigner;
  readonly open: string;
  readonly signed: string;
  /** Stopped by a conflict about the lead's own copy. */
  readonly blocked: RegistryId;
  readonly conflictId: Digest;
  /** Stopped by a conflict about the mirror's own copy. */
  readonly wrong: RegistryId;
  readonly wrongId: Digest;
  /** To be closed. */
  readonly ending: RegistryId;
  readonly description: Description;
}

let world: World;

beforeAll(async () => {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const registryId = await client.create([architect]);
  const first = await client.record(registryId, 'plan-1');
  await client.record(registryId, 'plan-1', 2);
  const signer = testSigner('ES256');
  const open = await request(client, registryId, signer);
  await request(client, registryId, testSigner(), { dueAt: '2020-01-01T00:00:00.000Z' });
  const signed = await request(client, registryId, signer);
  const blocked = await client.create([architect], 'Umbau');
  const wrong = await client.create([architect], 'Anbau');
  const ending = await client.create([], 'Abbruch');
  await cluster.settle();
  const conflictId = await reportTampering(client, blocked, 1);
  const wrongId = await reportTampering(architect, wrong, 1);
  await cluster.settle();
  const description = await Description.of(client);
  const [{ transactionId }] = first.body.entries;
  world = {
    cluster,
    client,
    architect,
    registryId,
    contentDigest: digestOf('plan-1 version 1'),
    transactionId,
    signer,
    open,
    signed,
    blocked,
    conflictId,
    wrong,
    wrongId,
    ending,
    description,
  };
  const given = await ask('giveSignature', await signatureFor(world, signed));
  if (given.status !== 201) throw new Error(given.bytes.toString());
});

/** Requests a signature over version 1 of plan-1; its request id. */
async function request(
  client: MemoryInstance,
  registryId: RegistryId,
  { publicKey }: TestSigner,
  changes: object = {},
): Promise<string> {
  const requestId = randomUUID();
  const draft = {
    type: 'request-signature' as const,
    transactionId: randomUUID(),
    requestId,
    documentId: 'plan-1',
    version: 1,
    purpose: 'approval',
    publicKey,
    ...changes,
  };
  const answer = await client.append(registryId, draft, { salt, signer: 'Dr. Weiß' });
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
  return requestId;
}

/** What the signer sends after it has signed the served bytes. */
async function signatureFor(
  { cluster, registryId, signer }: World,
  requestId: string,
): Promise<Call> {
  const parameters = { registryId, requestId };
  // Two signatures over the same version in the same second would be the same one.
  cluster.pass(1000);
  const input = JSON.parse((await ask('readSigningInput', { parameters })).bytes.toString());
  const bytes = Buffer.from(input.signingInput, 'base64');
  const signature = signBytes(signer.algorithm, signer.key, bytes).toString('base64');
  const body = { transactionId: randomUUID(), protected: input.protected, signature };
  return { parameters, body };
}

/** An operator's order to redact the details of an entry of plan-1. */
function redactionOf({ client, registryId }: World, entry: number, changes: object = {}): Call {
  const operator = client.operator;
  const statement = {
    registryId,
    format: 'registry/redaction/v1',
    what: 'details',
    signer: client.id,
    decidedBy: operator.certificateId,
    sequence: entry,
    reason: 'Löschverlangen',
    ...changes,
  };
  const decision = signedBy(operator, statement);
  return { parameters: { registryId, entryId: String(entry) }, body: { decision } };
}

/** The lead's operator ends the stopped registry: the first time decided, then held. */
async function resolutionOf(given: World, changes: Partial<Resolution> = {}): Promise<Call> {
  const { client, blocked: registryId, conflictId } = given;
  const decision = { conflicts: [conflictId], manner: 'close' as const };
  const statement = await resolutionAt(client, registryId, { ...decision, ...changes });
  return orderBy(client, registryId, statement);
}

/** The mirror's operator accepts it. */
async function acceptanceOf(given: World, resolution?: Digest): Promise<Call> {
  const { architect, blocked: registryId, cluster } = given;
  await cluster.settle();
  const head = await architect.known.head(registryId);
  const accepted = resolution ?? head?.resolution ?? digestOf('');
  return orderBy(architect, registryId, acceptanceAt(architect, registryId, accepted));
}

function setAsideOf({ architect, wrong: registryId, wrongId }: World, copy: number): Call {
  const conflicts = [wrongId];
  const changes = { conflicts, from: 1 as Sequence, copy: copy as never };
  return orderBy(architect, registryId, setAsideAt(architect, registryId, changes));
}

function orderBy({ operator }: MemoryInstance, registryId: RegistryId, statement: object): Call {
  return { parameters: { registryId }, body: { decision: signedBy(operator, statement) } };
}

/** What may be done by operators alone is asked by one. */
function pemFor(id: OperationId, { operator }: MemoryInstance): { readonly pem?: string } {
  const roles: readonly CallerRole[] = operations[id].roles;
  return roles.includes('application') ? {} : { pem: operator.certificatePem };
}

interface Asking {
  readonly at?: MemoryInstance;
  readonly pem?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function ask(id: OperationId, call: Call, asking: Asking = {}): Promise<RawAnswer> {
  const { at = world.client, ...given } = asking;
  const { method, path } = world.description.address(id, call);
  const body = call.body === undefined ? {} : { body: encodeCanonical(call.body) };
  return at.exchange(method, path, { ...given, ...body });
}

type CallOf = (world: World) => Call | Promise<Call>;

type Row = readonly [
  id: OperationId,
  status: number,
  callOf: CallOf,
  at?: (world: World) => MemoryInstance,
];

const atMirror = ({ architect }: World) => architect;
const inRegistry = ({ registryId }: World) => ({ parameters: { registryId } });
const unknownRegistry = () => ({ parameters: { registryId: '0'.repeat(64) } });
const nobody = '00000000-0000-4000-8000-000000000000';

function about(registryId: RegistryId, conflictId: Digest): Call {
  return { parameters: { registryId, conflictId } };
}

/** In the registry, with these further parameters. */
function within(more: (world: World) => Readonly<Record<string, string>>) {
  return (given: World) => ({ parameters: { registryId: given.registryId, ...more(given) } });
}

async function newDocument({ client, registryId }: World, documentId: string) {
  const content = await client.upload(documentId);
  return {
    parameters: { registryId },
    body: one(uploadDraft(documentId, 1, content), { salt, name: documentId }),
  };
}

/** What comes after a hand-over belongs to the new lead. */
async function handOverAndMore(given: World) {
  const { parameters, body } = await newDocument(given, 'plan-9');
  const peers = [given.architect.id, given.client.id];
  const draft = { type: 'reconfigure-peers' as const, transactionId: randomUUID(), peers };
  const transactions = [...one(draft).transactions, ...body.transactions];
  return { parameters, body: { transactions } };
}

function newRegistry(peers: readonly string[]) {
  const draft = { type: 'create-registry' as const, transactionId: randomUUID(), peers };
  return { body: one(draft, { salt, name: 'Anbau', description: 'Los 2' }) };
}

/** Every operation is answered well and refused; each way of being refused has its row. */
const rows: readonly Row[] = [
  ['readDescription', 200, () => ({})],
  ['readDescription', 400, () => ({ query: { colour: 'red' } })],
  ['readInstance', 200, () => ({})],
  ['readInstance', 400, () => ({ query: { colour: 'red' } })],
  ['requestUpload', 201, () => ({ body: { contentDigest: digestOf('new'), size: 3 } })],
  ['requestUpload', 200, ({ contentDigest }) => ({ body: { contentDigest, size: 16 } })],
  [
    'requestUpload',
    200,
    ({ contentDigest, registryId }) => ({ body: { contentDigest, registryId, size: 16 } }),
  ],
  [
    'requestUpload',
    404,
    () => ({ body: { contentDigest: digestOf('new'), registryId: digestOf('no'), size: 3 } }),
  ],
  ['requestUpload', 409, ({ contentDigest }) => ({ body: { contentDigest, size: 17 } })],
  ['requestUpload', 400, () => ({ body: { contentDigest: 'abc', size: 3 } })],
  ['requestUpload', 413, () => ({ body: 'x'.repeat(70_000) })],
  ['findContent', 200, ({ contentDigest }) => ({ parameters: { contentDigest } })],
  ['findContent', 200, () => ({ parameters: { contentDigest: '0'.repeat(64) } })],
  ['findContent', 400, () => ({ parameters: { contentDigest: 'abc' } })],
  [
    'introduceInstance',
    200,
    ({ cluster }) => ({
      body: {
        certificatePem: testInstance(cluster.authority, 'https://new.example').certificatePem,
      },
    }),
  ],
  ['introduceInstance', 400, () => ({ body: { certificatePem: 'none' } })],
  ['readCertificate', 200, ({ architect }) => ({ parameters: { certificateId: architect.id } })],
  ['readCertificate', 404, () => ({ parameters: { certificateId: '0'.repeat(64) } })],
  ['changeDenied', 200, () => ({ body: { certificateId: '0'.repeat(64), denied: true } })],
  ['changeDenied', 409, ({ client }) => ({ body: { certificateId: client.id, denied: true } })],
  ['changeDenied', 400, () => ({ body: { certificateId: '0'.repeat(64) } })],
  ['listDenied', 200, () => ({})],
  ['listDenied', 400, () => ({ query: { colour: 'red' } })],
  ['createRegistry', 201, ({ client }) => newRegistry([client.id])],
  ['createRegistry', 400, ({ architect }) => newRegistry([architect.id])],
  ['createRegistry', 409, ({ client }) => newRegistry([client.id, '0'.repeat(64)])],
  ['listRegistries', 200, () => ({ query: { limit: '1' } })],
  ['listRegistries', 400, () => ({ query: { limit: '0' } })],
  ['readRegistry', 200, inRegistry],
  ['readRegistry', 200, inRegistry, ({ architect }) => architect],
  ['readRegistry', 404, unknownRegistry],
  ['appendTransactions', 201, (given) => newDocument(given, 'plan-2')],
  ['appendTransactions', 400, (given) => ({ ...inRegistry(given), body: { transactions: [] } })],
  ['appendTransactions', 400, handOverAndMore],
  ['appendTransactions', 409, (given) => newDocument(given, 'plan-1')],
  [
    'appendTransactions',
    409,
    async (given) => ({
      ...(await newDocument(given, 'plan-3')),
      parameters: { registryId: given.blocked },
    }),
  ],
  [
    'appendTransactions',
    421,
    (given) => newDocument(given, 'plan-4'),
    ({ architect }) => architect,
  ],
  ['readTransaction', 200, within(({ transactionId }) => ({ transactionId }))],
  ['readTransaction', 404, within(() => ({ transactionId: nobody }))],
  ['listEntries', 200, inRegistry],
  ['listEntries', 200, (given) => ({ ...inRegistry(given), query: { limit: '2' } })],
  ['listEntries', 200, (given) => ({ ...inRegistry(given), query: { from: '2', to: '3' } })],
  ['listEntries', 400, (given) => ({ ...inRegistry(given), query: { from: '0' } })],
  ['listEntries', 404, unknownRegistry],
  ['listEntries', 400, (given) => ({ ...inRegistry(given), query: { cursor: 'e30' } })],
  ['readEntry', 200, within(() => ({ entryId: '2' }))],
  ['readEntry', 200, within(({ transactionId }) => ({ entryId: transactionId }))],
  ['readEntry', 404, within(() => ({ entryId: '999' }))],
  ['readConfirmations', 200, within(() => ({ entryId: '2' }))],
  ['readConfirmations', 404, within(() => ({ entryId: nobody }))],
  ['readReceipt', 200, within(() => ({ entryId: '2' }))],
  ['readReceipt', 200, within(() => ({ entryId: '1' })), ({ architect }) => architect],
  ['readReceipt', 404, within(() => ({ entryId: '999' }))],
  ['redactDetails', 201, (given) => redactionOf(given, 2), (given) => given.client],
  ['redactDetails', 200, (given) => redactionOf(given, 2), (given) => given.client],
  ['redactDetails', 400, (given) => redactionOf(given, 3, { sequence: 2 })],
  ['redactDetails', 404, (given) => redactionOf(given, 999)],
  ['readEntry', 200, within(() => ({ entryId: '2' }))],
  ['listConfirmations', 200, inRegistry],
  ['listConfirmations', 200, ({ blocked }) => ({ parameters: { registryId: blocked } })],
  ['listConfirmations', 200, (given) => ({ ...inRegistry(given), query: { from: '2', to: '3' } })],
  ['listConfirmations', 200, (given) => ({ ...inRegistry(given), query: { from: '999' } })],
  ['listConfirmations', 404, unknownRegistry],
  ['listCheckpoints', 200, inRegistry],
  ['listCheckpoints', 200, (given) => ({ ...inRegistry(given), query: { from: '3' } })],
  ['listCheckpoints', 404, unknownRegistry],
  ['listDocuments', 200, inRegistry],
  ['listDocuments', 404, unknownRegistry],
  ['readDocument', 200, within(() => ({ documentId: 'plan-1' }))],
  ['readDocument', 404, within(() => ({ documentId: 'none' }))],
  ['listVersions', 200, within(() => ({ documentId: 'plan-1' }))],
  ['listVersions', 404, within(() => ({ documentId: 'none' }))],
  ['readVersion', 200, within(() => ({ documentId: 'plan-1', version: '1' }))],
  ['readVersion', 404, within(() => ({ documentId: 'plan-1', version: '9' }))],
  ['readContent', 200, within(() => ({ documentId: 'plan-1', version: '1' }))],
  ['readContent', 404, within(() => ({ documentId: 'plan-1', version: '9' }))],
  ['listSignatureRequests', 200, inRegistry],
  [
    'listSignatureRequests',
    200,
    (given) => ({ ...inRegistry(given), query: { status: 'overdue', documentId: 'plan-1' } }),
  ],
  ['listSignatureRequests', 400, (given) => ({ ...inRegistry(given), query: { status: 'late' } })],
  ['readSignatureRequest', 200, within(({ open }) => ({ requestId: open }))],
  ['readSignatureRequest', 200, within(({ signed }) => ({ requestId: signed }))],
  ['readSignatureRequest', 404, within(() => ({ requestId: nobody }))],
  ['readSigningInput', 200, within(({ open }) => ({ requestId: open }))],
  ['readSigningInput', 409, within(({ signed }) => ({ requestId: signed }))],
  [
    'readSigningInput',
    400,
    (given) => ({
      parameters: { registryId: given.registryId, requestId: given.open },
      query: { algorithm: 'PS256' },
    }),
  ],
  [
    'giveSignature',
    201,
    async (given) => {
      const { client, registryId, signer } = given;
      return signatureFor(given, await request(client, registryId, signer));
    },
  ],
  [
    'giveSignature',
    409,
    ({ registryId, signed }) => ({
      parameters: { registryId, requestId: signed },
      body: { transactionId: randomUUID(), jws: { protected: 'e30', signature: 'AAAA' } },
    }),
  ],
  [
    'giveSignature',
    404,
    ({ registryId }) => ({
      parameters: { registryId, requestId: nobody },
      body: { transactionId: randomUUID(), protected: 'e30', signature: 'AAAA' },
    }),
  ],
  ['listConflicts', 200, ({ blocked }) => ({ parameters: { registryId: blocked } })],
  ['listConflicts', 404, unknownRegistry],
  ['readConflict', 200, ({ blocked, conflictId }) => about(blocked, conflictId)],
  ['readConflict', 200, ({ wrong, wrongId }) => about(wrong, wrongId), atMirror],
  ['readConflict', 404, ({ blocked }) => about(blocked, digestOf(''))],
  ['readEvidence', 200, ({ blocked, conflictId }) => about(blocked, conflictId)],
  ['readEvidence', 404, ({ blocked }) => about(blocked, digestOf(''))],
  ['resolveConflicts', 201, (given) => resolutionOf(given)],
  ['resolveConflicts', 200, (given) => resolutionOf(given)],
  ['resolveConflicts', 409, (given) => resolutionOf(given, { reason: 'anders' })],
  [
    'resolveConflicts',
    400,
    (given) => resolutionOf(given, { signer: given.architect.ports.signer.certificateId }),
  ],
  ['listConflicts', 200, ({ blocked }) => ({ parameters: { registryId: blocked } })],
  ['readConflict', 200, ({ blocked, conflictId }) => about(blocked, conflictId), atMirror],
  ['acceptResolution', 201, (given) => acceptanceOf(given), atMirror],
  ['acceptResolution', 200, (given) => acceptanceOf(given), atMirror],
  ['acceptResolution', 404, (given) => acceptanceOf(given, digestOf('none')), atMirror],
  ['setAside', 201, (given) => setAsideOf(given, 2), atMirror],
  ['setAside', 200, (given) => setAsideOf(given, 2), atMirror],
  ['setAside', 409, (given) => setAsideOf(given, 9), atMirror],
  ['closeRegistry', 201, ({ ending }) => ({ parameters: { registryId: ending }, body: {} })],
  ['closeRegistry', 200, ({ ending }) => ({ parameters: { registryId: ending }, body: {} })],
  ['closeRegistry', 404, () => ({ ...unknownRegistry(), body: {} })],
  ['readConflict', 200, ({ wrong, wrongId }) => about(wrong, wrongId), atMirror],
];

/** What a caller did wrong on purpose is no flaw of the description. */
const MALFORMED = new Set([400, 413]);

const cases = rows.map(([id, status, callOf, at]) => ({ id, status, callOf, at }));

test.each(cases)('$id answers $status as described', async ({ id, status, callOf, at }) => {
  const call = await callOf(world);

  const instance = at?.(world) ?? world.client;
  const answer = await ask(id, call, { at: instance, ...pemFor(id, instance) });

  expect([answer.status, answer.bytes.toString()]).toEqual([status, expect.any(String)]);
  expect(world.description.flawsOfAnswer(id, answer)).toEqual([]);
  if (!MALFORMED.has(status)) expect(world.description.flawsOfCall(id, call)).toEqual([]);
});

describe('every operation', () => {
  test('is called here, with an answer and a refusal', () => {
    const answered = new Set(rows.flatMap(([id, status]) => (status < 300 ? [id] : [])));
    const refused = new Set(rows.flatMap(([id, status]) => (status >= 400 ? [id] : [])));

    expect([...answered].sort()).toEqual([...operationIds].sort());
    expect([...refused].sort()).toEqual([...operationIds].sort());
  });

  test.each(operationIds)('%s refuses a caller without a role as described', async (id) => {
    const callOf = cases.find((each) => each.id === id && each.status < 300)?.callOf as CallOf;
    const pem = testApplication(world.cluster.authority).certificatePem;

    const answer = await ask(id, await callOf(world), { pem });

    expect(answer.status).toBe(403);
    expect(world.description.flawsOfAnswer(id, answer)).toEqual([]);
  });

  const kept = cases.filter(
    ({ id, status }) => status === 200 && operations[id].method === 'GET' && id !== 'readContent',
  );

  test.each(kept)('$id is answered 304 to whoever has the body', async ({ id, callOf }) => {
    const call = await callOf(world);
    const first = await ask(id, call, pemFor(id, world.client));

    const headers = { 'if-none-match': first.headers['etag'] ?? '' };
    const again = await ask(id, call, { headers, ...pemFor(id, world.client) });

    expect(again.status).toBe(304);
    expect(again.bytes).toHaveLength(0);
    expect(world.description.flawsOfAnswer(id, again)).toEqual([]);
  });
});

describe('problems that any operation can have are described', () => {
  test('a busy store is 503 with Retry-After', async () => {
    const call = await newDocument(world, 'plan-5');
    world.client.store.plan('commit', 'busy', 8);

    const answer = await ask('appendTransactions', call);

    expect(answer.status).toBe(503);
    expect(answer.headers['retry-after']).toBe('1');
    expect(world.description.flawsOfAnswer('appendTransactions', answer)).toEqual([]);
  });

  test('what nobody expected is 500', async () => {
    world.client.store.plan('head', 'lost');

    const answer = await ask('readRegistry', inRegistry(world));

    expect(answer.status).toBe(500);
    expect(world.description.flawsOfAnswer('readRegistry', answer)).toEqual([]);
  });
});

describe('the description', () => {
  async function lint(json: unknown) {
    const config = await createConfig({ extends: ['recommended'] });
    return lintFromString({
      source: JSON.stringify(json),
      absoluteRef: '/openapi.json',
      config,
    });
  }

  test('passes the recommended rules of OpenAPI, none switched off', async () => {
    const found = await lint(world.description.json);

    expect(found.map(({ ruleId, message }) => `${ruleId}: ${message}`)).toEqual([]);
  });

  test('would not pass them with an operation that lacks its summary', async () => {
    const json = structuredClone(openApi(operations)) as { paths: object };
    Reflect.deleteProperty(Object(json.paths)['/v1/instance'].get, 'summary');

    expect((await lint(json)).map(({ ruleId }) => ruleId)).toContain('operation-summary');
  });

  test('asks for a client certificate', () => {
    expect(world.description.json).toMatchObject({
      openapi: '3.1.1',
      security: [{ clientCertificate: [] }],
      components: { securitySchemes: { clientCertificate: { type: 'mutualTLS' } } },
    });
  });

  test('says what an answer may not hold', async () => {
    const { status, headers } = await ask('readInstance', {});
    const bytes = Buffer.from('{"name":"client","colour":"red"}');

    const flaws = world.description.flawsOfAnswer('readInstance', { status, headers, bytes });

    expect(flaws.join()).toContain('colour');
    expect(flaws.join()).toContain('certificateId');
  });

  test('says which codes an operation can answer with', async () => {
    const answer = await ask('readRegistry', unknownRegistry());
    const bytes = Buffer.from(
      answer.bytes.toString().replace('REGISTRY_UNKNOWN', 'DOCUMENT_UNKNOWN'),
    );

    expect(answer.headers['content-type']).toBe(PROBLEM_TYPE);
    expect(world.description.flawsOfAnswer('readRegistry', { ...answer, bytes })).not.toEqual([]);
  });
});
