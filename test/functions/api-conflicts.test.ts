import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Digest, RegistryId, Sequence } from '../../shared/ledger/digest.ts';
import type { Resolution } from '../../shared/ledger/resolution.ts';
import { verifyConflictFile } from '../../shared/ledger/verify-conflict-file.ts';
import { encodeMessage } from '../../shared/registry/messages.ts';
import { reportConflict } from '../../shared/registry/report-conflict.ts';
import { uploadDocument } from '../builders.ts';
import {
  acceptanceAt,
  asOperator,
  decide,
  reportMissingBytes,
  reportTampering,
  resolutionAt,
  setAsideAt,
  signedBy,
} from '../deciding.ts';
import { deliveryOf, forgeCommit } from '../forged-commit.ts';
import {
  type ApiAnswer,
  MemoryCluster,
  type MemoryInstance,
  one,
  salt,
  uploadDraft,
} from '../memory-cluster.ts';
import { testSigner } from '../signing.ts';
import { expectSound, overriding } from '../sound-ledger.ts';

/** A lead and two mirrors, with entries 1 to 3, which all have confirmed. */
async function swarm() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const engineer = await cluster.add('engineer');
  const registryId = await client.create([architect, engineer]);
  await client.record(registryId, 'A');
  await client.record(registryId, 'B');
  await cluster.settle();
  const path = `/v1/registries/${registryId}`;
  return { cluster, client, architect, engineer, registryId, path };
}

/** The architect says that its own copy of entry 2 was changed; all know it. */
async function tampered() {
  const given = await swarm();
  const conflictId = await reportTampering(given.architect, given.registryId, 2);
  await given.cluster.settle();
  return { ...given, conflictId };
}

/** The architect gets the bytes of entry 2 from nobody; all know it. */
async function bytesMissing() {
  const given = await swarm();
  const conflictId = await reportMissingBytes(given.architect, given.registryId, 2);
  await given.cluster.settle();
  return { ...given, conflictId };
}

/** The lead has signed an entry that breaks the rules; the architect was brought it, all know. */
async function accusedLead() {
  const given = await swarm();
  const { cluster, client, architect, registryId } = given;
  const head = await client.known.head(registryId);
  const { commit } = forgeCommit(client.ports.signer, head, [uploadDocument('X', { version: 7 })]);
  const body = encodeMessage(deliveryOf(registryId, commit));
  await client.ports.transport.call(architect.id, { operation: 'deliver', registryId, body });
  await cluster.settle();
  const [opened] = await architect.known.conflicts(registryId);
  if (opened === undefined) throw new Error('the architect found nothing');
  return { ...given, conflictId: opened.conflictId };
}

function expectProblem(answer: ApiAnswer, status: number, code: string): void {
  expect([answer.status, answer.body.code]).toEqual([status, code]);
  expect(answer.body.detail.length).toBeGreaterThan(15);
}

async function openAt(
  instance: MemoryInstance,
  registryId: RegistryId,
): Promise<readonly Digest[]> {
  return (await instance.known.head(registryId))?.openConflicts ?? [];
}

/** The alternative of entry 2: version 2 of A. */
async function alternative(client: MemoryInstance, registryId: RegistryId) {
  const [replaced] = await client.known.entries(registryId, 1, { from: 2, count: 1 });
  const content = await client.upload('A, once more');
  const supersedes = { sequence: 2, digest: replaced?.digest };
  return one({ ...uploadDraft('A', 2, content), supersedes }, { salt, name: 'A' });
}

describe('an open conflict', () => {
  test('is listed with what it is about, who found it and how it stands', async () => {
    const { client, architect, engineer, path, conflictId } = await tampered();

    const atLead = (await client.call('GET', `${path}/conflicts`)).body;
    const atMirror = (await engineer.call('GET', `${path}/conflicts`)).body;

    const { id } = architect;
    expect(atLead).toMatchObject({
      role: 'lead',
      conflicts: [
        {
          conflictId,
          open: true,
          kind: 'local-tampering',
          sequence: 2,
          accused: id,
          signer: id,
          reports: 1,
          awaitsAcceptance: false,
        },
      ],
    });
    expect(atLead).not.toHaveProperty('resolution');
    expect(atMirror.role).toBe('mirror');
    expect(atMirror.conflicts).toMatchObject([{ conflictId, open: true }]);
  });

  test('says at every instance what has to happen next, and who has to do it', async () => {
    const { client, architect, engineer, path, conflictId } = await tampered();
    const read = async (at: MemoryInstance) =>
      (await at.call('GET', `${path}/conflicts/${conflictId}`)).body;

    const [lead, own, other] = [await read(client), await read(architect), await read(engineer)];

    const decideAt = { certificateId: client.id, endpoint: 'https://client.example' };
    expect(lead).toMatchObject({ manners: ['replay', 'expel', 'close'], decideAt });
    expect(lead).not.toHaveProperty('setAside');
    expect(lead.history).toMatchObject([{ kind: 'report', signer: architect.id }]);
    expect(lead.next).toBe(
      'An operator of this instance, which leads, decides: replay, expel or close. A replay needs ' +
        'more: An operator there sets the copy of https://architect.example aside.',
    );
    expect(own).toMatchObject({ manners: [], setAside: { allowed: true, from: 2, copy: 2 } });
    expect(own.next).toBe(
      'An operator of this instance sets its own copy aside from entry 2 on (copy 2), and an ' +
        'operator of the lead https://client.example decides.',
    );
    expect(other).toMatchObject({ setAside: { allowed: false }, decideAt });
    expect(other.next).toBe(
      'An operator of the lead https://client.example decides; until then nothing is stored here.',
    );
  });

  test('tells an application what it is, where to read on, and what goes on meanwhile', async () => {
    const { client, registryId, path, conflictId } = await tampered();

    const answer = await client.record(registryId, 'C');

    expectProblem(answer, 409, 'REGISTRY_IN_CONFLICT');
    const address = `${path}/conflicts/${conflictId}`;
    expect(answer.body).toMatchObject({
      conflicts: [conflictId],
      kinds: ['local-tampering'],
      address,
    });
    expect(answer.body.detail).toContain('Wait for the operator');
    expect(answer.body.detail).toContain('uploads of bytes go on');
    expect((await client.call('GET', address)).status).toBe(200);
    expect((await client.call('GET', `${path}/entries/2/receipt`)).status).toBe(200);
  });

  test('is given as a file that shows offline what is proven about whom', async () => {
    const { cluster, client, architect, registryId, path, conflictId } = await accusedLead();
    const clusterCaPem = cluster.authority.certificatePem;

    for (const instance of [client, architect]) {
      const { status, bytes } = await instance.exchange(
        'GET',
        `${path}/conflicts/${conflictId}/evidence`,
      );

      expect(status).toBe(200);
      expect(verifyConflictFile(bytes, { registryId, clusterCaPem })).toMatchObject({
        outcome: 'verified',
        conflictId,
        kind: 'invalid-transaction',
        provenAbout: client.id,
      });
    }
  });

  test('that nobody has recorded here is unknown', async () => {
    const { client, path } = await tampered();
    const none = `${path}/conflicts/${'0'.repeat(64)}`;

    expectProblem(await client.call('GET', none), 404, 'CONFLICT_UNKNOWN');
    expectProblem(await client.call('GET', `${none}/evidence`), 404, 'CONFLICT_UNKNOWN');
  });

  test('has no file where the evidence, or the certificate of a signer, is not here', async () => {
    const { client, architect, path, conflictId } = await tampered();
    const evidence = `${path}/conflicts/${conflictId}/evidence`;
    const { blobs, store } = client.ports;
    const without = new Proxy(blobs, {
      get: (target, name) =>
        name === 'evidence' ? async () => undefined : Reflect.get(target, name, target),
    });

    client.ports = { ...client.ports, blobs: without };
    const bare = await client.call('GET', evidence);
    client.ports = {
      ...client.ports,
      blobs,
      store: overriding(store, { certificate: async () => undefined }),
    };
    const unsigned = await client.call('GET', evidence);

    expectProblem(bare, 404, 'EVIDENCE_UNKNOWN');
    expect(bare.body.detail).toContain(architect.id);
    expectProblem(unsigned, 404, 'CERTIFICATE_UNKNOWN');
    expect(unsigned.body.retryable).toBe(true);
  });
});

test('a conflict whose evidence fills no answer is told as such', async () => {
  const { architect, registryId, path } = await swarm();
  const quotes = '"'.repeat(60_000);
  const entries = Array.from({ length: 20 }, () => ({ entry: quotes, transaction: '{}' }));
  const conflictId = await reportConflict(architect.ports, registryId, {
    kind: 'digest-mismatch',
    sequence: 4,
    accused: 'open',
    digests: [],
    evidence: {
      format: 'registry/evidence/v1',
      kind: 'digest-mismatch',
      registryId,
      sequence: 4,
      deliveries: [{ checkpoint: 'a.b.c', entries }],
    },
    detail: 'three times',
  });

  const answer = await architect.call('GET', `${path}/conflicts/${conflictId}/evidence`);

  expectProblem(answer, 413, 'TOO_LARGE');
});

describe('an operator of the lead', () => {
  test('decides once: the same again is answered 200, another decision 409 with the first', async () => {
    const { client, registryId, path, conflictId } = await tampered();
    const conflicts = [conflictId];
    const replay = await resolutionAt(client, registryId, { conflicts, manner: 'replay' });
    const close = await resolutionAt(client, registryId, { conflicts, manner: 'close' });

    const first = await decide(client, registryId, 'resolutions', replay);
    const again = await decide(client, registryId, 'resolutions', replay);
    const other = await decide(client, registryId, 'resolutions', close);

    expect(first.status).toBe(201);
    const { format: _format, registryId: _id, ...said } = replay;
    expect(first.body.resolution).toMatchObject({ kind: 'resolution', ...said });
    expect(again.status).toBe(200);
    expect(again.body).toEqual(first.body);
    expectProblem(other, 409, 'RESOLUTION_IN_FORCE');
    expect(other.body.resolution).toEqual(first.body.resolution);
    const { body } = await client.call('GET', `${path}/conflicts`);
    expect(body.resolution).toEqual(first.body.resolution);
    expect(body.conflicts[0].resolution).toBe(first.body.resolution.digest);
  });

  test('puts another decision in the place of the first by naming it', async () => {
    const { client, registryId, path, conflictId } = await tampered();
    const conflicts = [conflictId];
    const replay = await resolutionAt(client, registryId, { conflicts, manner: 'replay' });
    const first = await decide(client, registryId, 'resolutions', replay);
    const after = first.body.resolution.digest as Digest;
    const expel = await resolutionAt(client, registryId, { conflicts, manner: 'expel', after });

    const second = await decide(client, registryId, 'resolutions', expel);

    expect(second.status).toBe(201);
    const { body } = await client.call('GET', `${path}/conflicts/${conflictId}`);
    expect(body.resolution).toBe(second.body.resolution.digest);
    expect(body.history.map(({ kind }: { kind: string }) => kind)).toEqual([
      'report',
      'resolution',
      'resolution',
    ]);
    expect(body.next).toBe(
      'An operator of this instance appends the peer list without the offender: that carries the ' +
        'resolution out.',
    );
  });

  test('is the only one who decides: neither an application nor an auditor does', async () => {
    const { client, registryId, path, conflictId } = await tampered();
    const conflicts = [conflictId];
    const statement = await resolutionAt(client, registryId, { conflicts, manner: 'replay' });
    const body = Buffer.from(JSON.stringify({ decision: signedBy(client.operator, statement) }));

    for (const route of ['resolutions', 'acceptances', 'set-asides', 'closings'])
      for (const { certificatePem } of [client.application, client.auditor]) {
        const answer = await client.callRaw('POST', `${path}/${route}`, body, certificatePem);

        expectProblem(answer, 403, 'ROLE_NOT_ALLOWED');
      }
    expect((await client.known.kept(registryId)).map(({ kind }) => kind)).not.toContain(
      'resolution',
    );
  });

  test('decides nothing at a mirror, which says where', async () => {
    const { client, architect, registryId, conflictId } = await tampered();
    const conflicts = [conflictId];
    const statement = await resolutionAt(architect, registryId, { conflicts, manner: 'replay' });

    const answer = await decide(architect, registryId, 'resolutions', statement);

    expectProblem(answer, 421, 'NOT_THE_LEAD');
    expect(answer.body).toMatchObject({ lead: client.id, leadEndpoint: 'https://client.example' });
  });

  type Changed = (given: Awaited<ReturnType<typeof tampered>>) => Partial<Resolution>;
  const refusals: readonly (readonly [string, Changed, number, string])[] = [
    [
      'at a head that is not the head any more',
      () => ({ through: { sequence: 2 as Sequence, digest: '0'.repeat(64) as Digest } }),
      409,
      'RESOLUTION_OUTDATED',
    ],
    ['in a manner that does not fit', () => ({ manner: 'take-back' }), 409, 'MANNER_NOT_ALLOWED'],
    [
      'about a conflict that nobody reported',
      () => ({ conflicts: ['0'.repeat(64) as Digest] }),
      404,
      'CONFLICT_UNKNOWN',
    ],
    [
      'about another registry',
      () => ({ registryId: '0'.repeat(64) as Digest }),
      400,
      'STATEMENT_REGISTRY_DIFFERS',
    ],
    [
      'for another instance',
      ({ architect }) => ({ signer: architect.id }),
      400,
      'DECISION_DIFFERS',
    ],
    [
      'with entries that the manner does not take',
      () => ({ entries: [{ sequence: 2 as Sequence, digest: '0'.repeat(64) as Digest }] }),
      400,
      'RESOLUTION_MALFORMED',
    ],
  ];

  test.each(refusals)('is refused a decision %s', async (_what, changes, status, code) => {
    const given = await tampered();
    const { client, registryId, conflictId } = given;
    const statement = await resolutionAt(client, registryId, {
      conflicts: [conflictId],
      manner: 'replay',
      ...changes(given),
    });

    expectProblem(await decide(client, registryId, 'resolutions', statement), status, code);

    expect(await client.known.head(registryId)).not.toHaveProperty('resolution');
  });

  test('is refused what somebody else signed, or nobody', async () => {
    const { client, registryId, path, conflictId } = await tampered();
    const conflicts = [conflictId];
    const statement = await resolutionAt(client, registryId, { conflicts, manner: 'replay' });
    const by = (decision: string) =>
      asOperator(client, 'POST', `${path}/resolutions`, { decision });

    const foreign = await by(signedBy(client.application, statement));
    const other = { ...statement, decidedBy: client.application.certificateId };
    const forSomebody = await by(signedBy(client.application, other));
    const unsigned = await by('x');

    expectProblem(foreign, 400, 'STATEMENT_SIGNER_DIFFERS');
    expectProblem(forSomebody, 400, 'DECISION_DIFFERS');
    expectProblem(unsigned, 400, 'STATEMENT_MALFORMED');
  });

  test('cannot decide about what is resolved', async () => {
    const { cluster, client, engineer, registryId, path } = await swarm();
    const conflictId = await reportMissingBytes(engineer, registryId, 2);
    await cluster.settle();
    const decision = { conflicts: [conflictId], manner: 'replay' as const };
    const first = await resolutionAt(client, registryId, decision);
    await decide(client, registryId, 'resolutions', first);
    await cluster.settle();

    const again = await resolutionAt(client, registryId, { ...decision, reason: 'noch einmal' });

    expect(await openAt(client, registryId)).toEqual([]);
    expectProblem(await decide(client, registryId, 'resolutions', again), 409, 'CONFLICT_NOT_OPEN');
    const { body } = await client.call('GET', `${path}/conflicts/${conflictId}`);
    expect(body).toMatchObject({ open: false, manners: [], next: 'Nothing: it is resolved here.' });
    expect(body).not.toHaveProperty('contested');
  });

  test('is told that this instance has no such registry', async () => {
    const { client, registryId } = await tampered();
    const nowhere = '0'.repeat(64) as RegistryId;
    const conflicts = [nowhere];
    const statements = {
      resolutions: { ...(await resolutionAt(client, registryId, { conflicts, manner: 'close' })) },
      acceptances: acceptanceAt(client, registryId, nowhere),
      'set-asides': setAsideAt(client, registryId, { conflicts, from: 2 as Sequence }),
    };

    for (const [route, statement] of Object.entries(statements)) {
      const given = { ...statement, registryId: nowhere };
      const answer = await decide(client, nowhere, route as keyof typeof statements, given);

      expectProblem(answer, 404, 'REGISTRY_UNKNOWN');
    }
  });

  test('is told to come again while the store does not answer', async () => {
    const { client, registryId, conflictId } = await tampered();
    const conflicts = [conflictId];
    const statement = await resolutionAt(client, registryId, { conflicts, manner: 'replay' });
    const settle = async () => 'lost-race' as const;
    const { store } = client.ports;
    client.ports = { ...client.ports, store: overriding(store, { settle }) };

    const decided = await decide(client, registryId, 'resolutions', statement);
    const closed = await asOperator(client, 'POST', `/v1/registries/${registryId}/closings`, {});

    for (const answer of [decided, closed]) {
      expectProblem(answer, 503, 'BUSY');
      expect(answer.headers['retry-after']).toBe('1');
    }
  });
});

/** A peer list, as it is sent. */
function list(...instances: readonly MemoryInstance[]) {
  return one({
    type: 'reconfigure-peers' as const,
    transactionId: randomUUID(),
    peers: instances.map(({ id }) => id),
  });
}

describe('replacing', () => {
  /** It is decided that entry 2 is replaced. */
  async function toBeReplaced() {
    const given = await bytesMissing();
    const { cluster, client, registryId, conflictId } = given;
    const [stored] = await client.known.entries(registryId, 1, { from: 2, count: 1 });
    const entries = [{ sequence: 2 as Sequence, digest: stored?.digest as Digest }];
    const statement = await resolutionAt(client, registryId, {
      conflicts: [conflictId],
      manner: 'replace',
      entries,
      reason: 'Bytes verloren',
    });
    const decided = await decide(client, registryId, 'resolutions', statement);
    expect(decided.status).toBe(201);
    await cluster.settle();
    return { ...given, resolution: decided.body.resolution.digest as Digest };
  }

  test('is carried out by what supersedes the entry, and by nothing else', async () => {
    const { cluster, client, architect, engineer, registryId, path, conflictId } =
      await toBeReplaced();

    const other = await client.record(registryId, 'C');
    const peers = list(client, architect);
    const wrong = await asOperator(client, 'POST', `${path}/transactions`, peers);
    const right = await client.call(
      'POST',
      `${path}/transactions`,
      await alternative(client, registryId),
    );
    await cluster.settle();

    expectProblem(other, 409, 'REGISTRY_IN_CONFLICT');
    expect(other.body).toMatchObject({
      kinds: ['document-mismatch'],
      address: `${path}/conflicts/${conflictId}`,
    });
    expectProblem(wrong, 409, 'NOT_RESOLVING');
    expect(right.status).toBe(201);
    for (const instance of [client, architect, engineer]) {
      expect(await openAt(instance, registryId)).toEqual([]);
      await expectSound(instance, registryId);
    }
    expect((await client.record(registryId, 'C')).status).toBe(201);
  });

  test('shows at the entry, the version and the request what took their place, and why', async () => {
    const { cluster, client, architect, registryId, path, resolution } = await toBeReplaced();
    const before = await client.exchange('GET', `${path}/entries/2/receipt`);
    await client.call('POST', `${path}/transactions`, await alternative(client, registryId));
    await cluster.settle();
    const superseded = { by: 4, replacement: 4, resolution, reason: 'Bytes verloren' };
    const documents = `${path}/documents/A/versions`;

    for (const instance of [client, architect]) {
      const body = async (each: string) => (await instance.call('GET', each)).body;

      expect((await body(`${path}/entries/2`)).superseded).toEqual(superseded);
      const { entries } = await body(`${path}/entries`);
      expect(entries.map((each: { superseded?: object }) => each.superseded)).toEqual([
        undefined,
        superseded,
        undefined,
        undefined,
      ]);
      expect((await body(`${documents}/1`)).superseded).toEqual(superseded);
      expect((await body(`${documents}/2`)).superseded).toBeUndefined();
      const { versions } = await body(documents);
      expect(versions[0].superseded).toEqual(superseded);
      const { contentDigest } = versions[0];
      const found = await body(`/v1/contents/${contentDigest}`);
      expect(found.versions[0].superseded).toEqual(superseded);
    }
    const after = await client.exchange('GET', `${path}/entries/2/receipt`);
    expect([before.status, after.status]).toEqual([200, 200]);
  });

  test('leaves nothing in the place where the peer list is sent again', async () => {
    const { client, architect, engineer, registryId, path, resolution } = await toBeReplaced();

    const voided = await client.reconfigure(registryId, [client, architect, engineer]);

    expect(voided.status).toBe(201);
    const { body } = await client.call('GET', `${path}/documents`);
    expect(body.documents[0].superseded).toEqual({ by: 4, resolution, reason: 'Bytes verloren' });
    const one = await client.call('GET', `${path}/documents/A`);
    expect(one.body.superseded).toEqual(body.documents[0].superseded);
  });

  test('takes the entry as it is here, and no other one', async () => {
    const { client, registryId, conflictId } = await bytesMissing();
    const entries = [{ sequence: 2 as Sequence, digest: '0'.repeat(64) as Digest }];
    const decision = { conflicts: [conflictId], manner: 'replace' as const, entries };
    const statement = await resolutionAt(client, registryId, decision);

    const answer = await decide(client, registryId, 'resolutions', statement);

    expectProblem(answer, 400, 'ENTRY_NOT_HELD');
  });
});

describe('a signature request that was voided', () => {
  test('takes no signature any more, says why, and is not listed', async () => {
    const { cluster, client, architect, engineer, registryId, path } = await swarm();
    const requestId = randomUUID();
    const { publicKey } = testSigner('ES256');
    const draft = {
      type: 'request-signature' as const,
      transactionId: randomUUID(),
      requestId,
      documentId: 'A',
      version: 1,
      purpose: 'approval',
      publicKey,
    };
    await client.append(registryId, draft, { salt, signer: 'Dr. Weiß' });
    await cluster.settle();
    const conflictId = await reportMissingBytes(architect, registryId, 2);
    await cluster.settle();
    const stored = await client.known.entries(registryId, 1, { from: 1, count: 9 });
    const entries = [2, 4].map((at) => ({
      sequence: at as Sequence,
      digest: stored[at - 1]?.digest as Digest,
    }));
    const statement = await resolutionAt(client, registryId, {
      conflicts: [conflictId],
      manner: 'replace',
      entries,
    });
    await decide(client, registryId, 'resolutions', statement);
    await client.reconfigure(registryId, [client, architect, engineer]);

    const request = `${path}/signature-requests/${requestId}`;
    const read = await client.call('GET', request);
    const listed = await client.call('GET', `${path}/signature-requests`);
    const input = await client.call('GET', `${request}/signing-input`);

    expect(read.body.superseded).toMatchObject({ by: 5, reason: statement.reason });
    expect(listed.body.signatureRequests).toEqual([]);
    expectProblem(input, 409, 'REQUEST_SUPERSEDED');
  });
});

describe('an operator who appends', () => {
  test('may do so only while a resolution is in force', async () => {
    const { client, architect, engineer, path } = await swarm();

    const answer = await asOperator(
      client,
      'POST',
      `${path}/transactions`,
      list(client, architect, engineer),
    );

    expectProblem(answer, 403, 'ROLE_NOT_ALLOWED');
    expect(answer.body.detail).toContain('resolution in force');
  });

  test('carries out an expulsion, and is answered the same again after it', async () => {
    const { cluster, client, engineer, registryId, path, conflictId } = await tampered();
    const conflicts = [conflictId];
    const expel = await resolutionAt(client, registryId, { conflicts, manner: 'expel' });
    await decide(client, registryId, 'resolutions', expel);
    const body = list(client, engineer);

    const first = await asOperator(client, 'POST', `${path}/transactions`, body);
    const again = await asOperator(client, 'POST', `${path}/transactions`, body);
    await cluster.settle();

    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.body).toEqual(first.body);
    for (const instance of [client, engineer])
      expect(await openAt(instance, registryId)).toEqual([]);
    expect((await client.status(registryId, 4)).status).toEqual({ status: 'final' });
  });

  test('is told who leads at a mirror, and 404 where there is no such registry', async () => {
    const { client, architect, engineer, path } = await swarm();
    const body = list(client, architect, engineer);
    const nowhere = `/v1/registries/${'0'.repeat(64)}/transactions`;

    expectProblem(
      await asOperator(architect, 'POST', `${path}/transactions`, body),
      421,
      'NOT_THE_LEAD',
    );
    expectProblem(await asOperator(client, 'POST', nowhere, body), 404, 'REGISTRY_UNKNOWN');
  });
});

describe('where the lead is the accused', () => {
  test('every mirror stays stopped until its own operator has accepted', async () => {
    const { cluster, client, architect, engineer, registryId, path, conflictId } =
      await accusedLead();
    const conflicts = [conflictId];
    const replay = await resolutionAt(client, registryId, { conflicts, manner: 'replay' });
    const decided = await decide(client, registryId, 'resolutions', replay);
    const { digest } = decided.body.resolution;
    await cluster.settle();
    const waiting = await architect.call('GET', `${path}/conflicts/${conflictId}`);
    const acceptance = acceptanceAt(architect, registryId, digest);

    const first = await decide(architect, registryId, 'acceptances', acceptance);
    const again = await decide(architect, registryId, 'acceptances', acceptance);
    await cluster.settle();

    expect(waiting.body).toMatchObject({ awaitsAcceptance: true, resolution: digest });
    expect(waiting.body.next).toBe(
      `An operator of this instance accepts the resolution ${digest} (replay), or closes the ` +
        'registry here: the lead is the accused. An operator of each of these mirrors accepts the ' +
        `resolution ${digest}, or it stays stopped: https://engineer.example. Then it closes as ` +
        'soon as whoever reported it has confirmed entry 3.',
    );
    expect(first.status).toBe(201);
    expect(first.body.acceptance).toMatchObject({
      kind: 'acceptance',
      resolution: digest,
      reason: 'einverstanden',
    });
    expect(again.status).toBe(200);
    expect(again.body).toEqual(first.body);
    expect(await openAt(architect, registryId)).toEqual([]);
    expect(await openAt(engineer, registryId)).toEqual([conflictId]);
  });

  test('nothing else is accepted', async () => {
    const { cluster, client, engineer, registryId, conflictId } = await tampered();
    const unknown = acceptanceAt(engineer, registryId, '0'.repeat(64) as Digest);
    const conflicts = [conflictId];
    const replay = await resolutionAt(client, registryId, { conflicts, manner: 'replay' });
    const { body } = await decide(client, registryId, 'resolutions', replay);
    await cluster.settle();
    const needless = acceptanceAt(engineer, registryId, body.resolution.digest);
    const foreign = { ...needless, registryId: '0'.repeat(64) };

    const at = (statement: object) => decide(engineer, registryId, 'acceptances', statement);
    expectProblem(await at(unknown), 404, 'RESOLUTION_UNKNOWN');
    expectProblem(await at(needless), 409, 'ACCEPTANCE_NOT_NEEDED');
    expectProblem(await at(foreign), 400, 'STATEMENT_REGISTRY_DIFFERS');
  });

  test('a claim that does not reproduce stops its finder, and the lead decides about it', async () => {
    const { cluster, client, architect, engineer, registryId, path } = await swarm();
    const head = await client.known.head(registryId);
    const { commit, chain } = forgeCommit(client.ports.signer, head, [uploadDocument('C')]);
    const conflictId = await reportConflict(architect.ports, registryId, {
      kind: 'invalid-transaction',
      sequence: chain.sequence,
      accused: client.id,
      digests: [chain.digest],
      evidence: {
        format: 'registry/evidence/v1',
        kind: 'invalid-transaction',
        registryId,
        sequence: chain.sequence,
        commit,
        links: [],
        witnesses: [],
      },
      detail: 'the software of the architect is wrong',
    });
    await cluster.settle();

    const { body } = await client.call('GET', `${path}/conflicts/${conflictId}`);
    const conflicts = [conflictId];
    const expel = await resolutionAt(client, registryId, { conflicts, manner: 'expel' });
    const decided = await decide(client, registryId, 'resolutions', expel);

    expect(await openAt(client, registryId)).toEqual([]);
    expect(await openAt(architect, registryId)).toEqual([conflictId]);
    expect(await openAt(engineer, registryId)).toEqual([]);
    const manners = ['replay', 'replace', 'expel', 'close'];
    expect(body).toMatchObject({ open: false, contested: true, manners });
    expect(body.next).toMatch(/^An operator of this instance, which leads, decides: .* stopped/);
    expect(decided.status).toBe(201);
    expect((await client.record(registryId, 'C')).body).toMatchObject({
      code: 'REGISTRY_IN_CONFLICT',
      conflicts,
      kinds: ['invalid-transaction'],
      address: `${path}/conflicts/${conflictId}`,
    });
    const now = (await client.call('GET', `${path}/conflicts/${conflictId}`)).body;
    expect(now).toMatchObject({ contested: true, resolution: decided.body.resolution.digest });
    expect(now.next).toMatch(/appends the peer list without the offender/);
  });
});

describe('setting a copy aside', () => {
  test('begins a new one at the mirror that is wrong, once', async () => {
    const { cluster, client, architect, engineer, registryId, path, conflictId } = await tampered();
    const conflicts = [conflictId];
    const replay = await resolutionAt(client, registryId, { conflicts, manner: 'replay' });
    await decide(client, registryId, 'resolutions', replay);
    await cluster.settle();
    const statement = setAsideAt(architect, registryId, { conflicts, from: 2 as Sequence });

    const first = await decide(architect, registryId, 'set-asides', statement);
    const again = await decide(architect, registryId, 'set-asides', statement);
    await cluster.settle();

    expect(first.status).toBe(201);
    expect(first.body.setAside).toMatchObject({ kind: 'set-aside', from: 2, copy: 2, conflicts });
    expect([again.status, again.body]).toEqual([200, first.body]);
    for (const instance of [client, architect, engineer])
      expect(await openAt(instance, registryId)).toEqual([]);
    expect((await architect.known.head(registryId))?.copy).toBe(2);
    const { body } = await client.call('GET', `${path}/conflicts/${conflictId}`);
    expect(body.history.map(({ kind }: { kind: string }) => kind)).toEqual([
      'report',
      'resolution',
      'set-aside',
    ]);
  });

  test('is refused where nothing of its own is wrong, or too much would be kept', async () => {
    const { client, architect, engineer, registryId, conflictId } = await tampered();
    const from = 2 as Sequence;
    const conflicts = [conflictId];
    const at = (instance: MemoryInstance, changes: object) =>
      decide(
        instance,
        registryId,
        'set-asides',
        setAsideAt(instance, registryId, { conflicts, from, ...changes }),
      );

    expectProblem(await at(client, {}), 409, 'SET_ASIDE_NOT_ALLOWED');
    expectProblem(await at(engineer, {}), 409, 'SET_ASIDE_NOT_ALLOWED');
    expectProblem(await at(architect, { from: 3 }), 409, 'SET_ASIDE_NOT_ALLOWED');
    expectProblem(await at(architect, { copy: 3 }), 409, 'SET_ASIDE_NOT_ALLOWED');
    const none = { conflicts: ['0'.repeat(64) as Digest] };
    expectProblem(await at(architect, none), 409, 'CONFLICT_NOT_OPEN');
  });
});

describe('closing', () => {
  test('ends the registry at this instance, once and for good', async () => {
    const { client, registryId, path, conflictId } = await tampered();
    const head = await client.head(registryId);

    const first = await asOperator(client, 'POST', `${path}/closings`, {});
    const again = await asOperator(client, 'POST', `${path}/closings`, {});
    const after = await client.record(registryId, 'C');

    expect(first.status).toBe(201);
    expect(first.body.closing).toMatchObject({ kind: 'closing', signer: client.id, through: head });
    expect([again.status, again.body.closing.digest]).toEqual([200, first.body.closing.digest]);
    expectProblem(after, 409, 'REGISTRY_CLOSED');
    const { body } = await client.call('GET', `${path}/conflicts/${conflictId}`);
    expect(body.next).toMatch(/^Nothing more happens here: .* closed the registry at entry 3\./);
    expect(body.history.at(-1)).toEqual(first.body.closing);
  });

  test('takes an empty object, and a registry that is here', async () => {
    const { client, path } = await swarm();
    const nowhere = `/v1/registries/${'0'.repeat(64)}`;

    const more = await asOperator(client, 'POST', `${path}/closings`, { why: 'x' });
    const none = await asOperator(client, 'POST', `${nowhere}/closings`, {});

    expectProblem(more, 400, 'UNKNOWN_MEMBER');
    expectProblem(none, 404, 'REGISTRY_UNKNOWN');
  });
});

test('a lead whose table was restored says so, opens the conflict and appends nothing', async () => {
  const { client, registryId, path } = await swarm();
  client.known.tableId = async () => 'restored';

  const first = await client.record(registryId, 'C');
  const second = await client.record(registryId, 'C');

  expectProblem(first, 503, 'LEAD_NOT_RECONCILED');
  expectProblem(second, 409, 'REGISTRY_IN_CONFLICT');
  const { body } = await client.call('GET', `${path}/conflicts`);
  expect(body.conflicts).toMatchObject([{ kind: 'lead-rollback', accused: client.id, open: true }]);
  const one = await client.call('GET', second.body.address);
  expect(one.body.manners).toEqual(['take-back', 'close']);
});
