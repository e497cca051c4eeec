import { describe, expect, test } from 'vitest';
import type { Link } from '../../shared/ledger/backlinks.ts';
import type { Digest, RegistryId } from '../../shared/ledger/digest.ts';
import { readEntry } from '../../shared/ledger/entry.ts';
import { readEvidence } from '../../shared/ledger/evidence.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import { recheckEvidence } from '../../shared/ledger/recheck-evidence.ts';
import {
  type DocumentItem,
  documentKey,
  type StateChange,
  type VersionItem,
  versionKey,
} from '../../shared/ledger/state.ts';
import { changesWithoutEffect } from '../../shared/ledger/superseding.ts';
import { auditRegistry } from '../../shared/registry/audit.ts';
import { runAudit } from '../../shared/registry/audit-run.ts';
import { commitWrite } from '../../shared/registry/commit.ts';
import { encodeMessage } from '../../shared/registry/messages.ts';
import type { Head } from '../../shared/registry/ports.ts';
import {
  readTestTransaction,
  type TestTransaction,
  testUuid,
  uploadDocument,
} from '../builders.ts';
import { acceptAt, decide, openAt } from '../conflicts.ts';
import { reportMissingBytes } from '../deciding.ts';
import { deliveryOf, type Forged, forgeCommit } from '../forged-commit.ts';
import { type ApiAnswer, type MemoryInstance, salt, uploadDraft } from '../memory-cluster.ts';
import { foundIn, WHOLE } from '../registry/audited.ts';
import { requestSignature, signDocument, testSigner } from '../signing.ts';
import {
  entryAt,
  expectAllFinal,
  expectBlocked,
  expectSoundCopy,
  findTampering,
  headOf,
  linkAt,
  rest,
  type Swarm,
  setAsideFrom,
  swarm,
  verifiedExport,
} from './conflict-swarm.ts';

const person = testSigner('ES256');
const requestId = testUuid(0xc01);

/** What that person is asked to sign: D-1, which is entry 2. */
async function targetIn({ client, registryId }: Swarm) {
  const { body } = await client.call('GET', `/v1/registries/${registryId}/entries/2`);
  const contentDigest = body.transaction.contentDigest as Digest;
  return { registryId, documentId: 'D-1', version: 1, contentDigest, purpose: 'approval' } as const;
}

function post(
  { client, registryId }: Swarm,
  ...transactions: readonly TestTransaction[]
): Promise<ApiAnswer> {
  const body = transactions.map(({ transaction, details }) => ({
    transaction: JSON.parse(transaction.toString()),
    ...(details === undefined ? {} : { details: JSON.parse(details.toString()) }),
  }));
  return client.call('POST', `/v1/registries/${registryId}/transactions`, { transactions: body });
}

/** The contractor gets the bytes of that entry from nobody; the lead's operator decides. */
async function decideToReplace(
  { cluster, client, contractor, registryId }: Swarm,
  [first, ...others]: readonly [number, ...number[]],
): Promise<readonly Link[]> {
  await reportMissingBytes(contractor, registryId, first);
  await rest(cluster);
  const entries: Link[] = [];
  for (const each of [first, ...others]) entries.push(await linkAt(client, registryId, each));
  const decided = await decide(client, registryId, {
    manner: 'replace',
    entries: entries as never,
  });
  expect(decided.outcome).toBe('decided');
  await rest(cluster);
  return entries;
}

/** The next version of D-1 in place of that entry. */
async function alternative({ client }: Swarm, supersedes: Link | undefined) {
  const content = await client.upload('D-1, once more');
  return { ...uploadDraft('D-1', 2, content), supersedes: supersedes as Link };
}

describe('a version that is replaced together with the request to sign it', () => {
  /** 2: D-1. 4: a request to sign it. 5: D-1 version 2 in place of 2. */
  async function replaced() {
    const given = await swarm(2);
    const { cluster, client, registryId } = given;
    await post(given, requestSignature(person, 'D-1', { requestId }));
    await cluster.settle();
    const [link] = await decideToReplace(given, [2, 4]);
    await expectBlocked(client, registryId);
    const draft = await alternative(given, link);
    expect((await client.append(registryId, draft, { salt, name: 'D-1' })).status).toBe(201);
    await rest(cluster);
    return given;
  }

  test('is final everywhere in its new version, and the old one stays in the chain', async () => {
    const given = await replaced();

    await expectAllFinal(given.all, given.registryId);
    const { superseded } = await verifiedExport(given.contractor, given.registryId);
    expect(superseded).toMatchObject([{ sequence: 2 }, { sequence: 4 }]);
    expect(await linkAt(given.contractor, given.registryId, 2)).toMatchObject({ sequence: 2 });
  });

  test('takes no signature any more, and can be asked for anew', async () => {
    const given = await replaced();
    const target = await targetIn(given);

    const late = await post(given, signDocument(requestId, person.sign(target)));
    const about = await post(given, requestSignature(person, 'D-1', { version: 1 }));
    const anew = await post(given, requestSignature(person, 'D-1', { version: 2 }));
    await rest(given.cluster);

    expect([late.status, late.body.code]).toEqual([409, 'REQUEST_SUPERSEDED']);
    expect([about.status, about.body.code]).toEqual([409, 'VERSION_SUPERSEDED']);
    expect(anew.status).toBe(201);
    await expectAllFinal(given.all, given.registryId);
  });
});

describe('a signature that is void', () => {
  /** 4: a request to sign D-1. 5: the signature. 6 voids it, and 3. */
  async function voided() {
    const given = await swarm(2);
    const target = await targetIn(given);
    const signature = person.sign(target);
    await post(given, requestSignature(person, 'D-1', { requestId }));
    await post(given, signDocument(requestId, signature));
    await given.cluster.settle();
    await decideToReplace(given, [3, 5]);
    expect((await given.client.reconfigure(given.registryId, given.all)).status).toBe(201);
    await rest(given.cluster);
    return { ...given, target, signature };
  }

  test('leaves nothing in its place where the present list is sent again', async () => {
    const { client, registryId, all } = await voided();

    await expectAllFinal(all, registryId);
    const { body } = await client.call(
      'GET',
      `/v1/registries/${registryId}/signature-requests/${requestId}`,
    );
    expect(body).toMatchObject({ status: 'open' });
  });

  test('cannot be used again, but the same person can sign anew', async () => {
    const given = await voided();

    const again = await post(given, signDocument(requestId, given.signature));
    const anew = await post(given, signDocument(requestId, person.sign(given.target, 60)));
    await rest(given.cluster);

    expect([again.status, again.body.code]).toEqual([409, 'SIGNATURE_REPLAYED']);
    expect(anew.status).toBe(201);
    await expectAllFinal(given.all, given.registryId);
  });
});

describe('a lead whose software is broken records a version too many', () => {
  /** Writes the forged commit of one entry into the lead's own store, as its software would. */
  async function record(
    lead: MemoryInstance,
    registryId: RegistryId,
    { commit }: Forged,
    [test, effect]: readonly [TestTransaction, readonly StateChange[]],
  ): Promise<void> {
    const before = await headOf(lead, registryId);
    const read = readEntry(Buffer.from(commit.entries[0]?.entry ?? ''));
    if (read.outcome === 'refused') throw new Error(read.detail);
    const transaction = readTestTransaction(test);
    const item = { transactionDigest: transaction.digest, sequence: read.entry.sequence };
    const changes = [...changesWithoutEffect(transaction.transaction, item), ...effect];
    const details = test.details === undefined ? {} : { details: test.details };
    const context = { registryId, before, self: lead.ports.signer.knownIds, tableId: 'memory' };
    const staged = [{ read, transaction, changes, ...details }];
    const write = commitWrite(context, staged, commit.checkpoint as Compact);
    expect(await lead.known.commit(write)).toEqual({ outcome: 'stored' });
  }

  /** Entry 5 is version 5 of D-1; what the lead's state says of it is `effectAt` of its link. */
  async function broken(
    effectAt: (link: Link, given: Swarm) => Promise<StateChange[]> = async () => [],
  ) {
    const given = await swarm();
    const { cluster, client, registryId } = given;
    const content = await client.upload('a version too many');
    const test = uploadDocument('D-1', { version: 5, ...content } as never);
    const head: Head = await headOf(client, registryId);
    const link = await linkAt(client, registryId, 2);
    const forged = forgeCommit(client.ports.signer, head, [test], { subject: link as never });
    const { sequence, digest } = forged.chain;
    const effect = await effectAt({ sequence, digest }, given);
    await record(client, registryId, forged, [test, effect]);
    await rest(cluster);
    return given;
  }

  /** As if its rules had accepted it. */
  async function takesEffect(entry: Link, { client, registryId }: Swarm): Promise<StateChange[]> {
    const key = documentKey('D-1');
    const { items } = await client.known.read(registryId, [key]);
    const before = items.get(key) as DocumentItem;
    const content = await client.upload('a version too many');
    const item = { entry, mediaType: 'application/pdf', ...content } as VersionItem;
    return [
      { key, before, after: { ...before, version: 5, entry } },
      { key: versionKey('D-1', 5), before: undefined, after: item },
    ];
  }

  test('no mirror stores it, all accuse the lead with proof, and the lead stops', async () => {
    const { client, architect, contractor, registryId, all } = await broken();

    for (const instance of all)
      expect(await openAt(instance, registryId)).toMatchObject([
        { said: { kind: 'invalid-transaction', accused: client.id, sequence: 5 } },
      ]);
    for (const mirror of [architect, contractor])
      expect(await mirror.head(registryId)).toMatchObject({ sequence: 4 });
    await expectBlocked(client, registryId);
  });

  test('it is replaced once each mirror has accepted, and all is final', async () => {
    const given = await broken();
    const { cluster, client, architect, contractor, registryId, all } = given;
    const link = await linkAt(client, registryId, 5);
    await decide(client, registryId, { manner: 'replace', entries: [link] as never });
    await rest(cluster);
    const draft = await alternative(given, link);
    expect((await client.append(registryId, draft, { salt, name: 'D-1' })).status).toBe(201);
    await rest(cluster);
    for (const mirror of [architect, contractor])
      expect(await mirror.head(registryId)).toMatchObject({ sequence: 4 });

    for (const mirror of [architect, contractor])
      expect(await acceptAt(mirror, registryId)).toMatchObject({ outcome: 'accepted' });
    await rest(cluster);

    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
    const { superseded } = await verifiedExport(architect, registryId);
    expect(superseded).toMatchObject([{ sequence: 5, replacement: 6 }]);
  });

  test('it is voided where nothing is to take its place', async () => {
    const { cluster, client, architect, contractor, registryId, all } = await broken();
    const link = await linkAt(client, registryId, 5);
    await decide(client, registryId, { manner: 'replace', entries: [link] as never });
    await rest(cluster);

    expect((await client.reconfigure(registryId, all)).status).toBe(201);
    for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
    await rest(cluster);

    expect((await client.record(registryId, 'D-1', 2)).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
  });

  test('whose own state it changed: its audit finds that, and a take-back makes it right', async () => {
    const given = await broken(takesEffect);
    const { cluster, client, architect, contractor, registryId, all } = given;
    const link = await linkAt(client, registryId, 5);
    await decide(client, registryId, { manner: 'replace', entries: [link] as never });
    await rest(cluster);
    expect((await client.reconfigure(registryId, all)).status).toBe(201);
    for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
    await rest(cluster);
    const next = await client.record(registryId, 'D-1', 2);
    expect([next.status, next.body.code]).toEqual([409, 'VERSION_NOT_NEXT']);

    expect(await auditRegistry(client.ports, registryId)).toMatchObject({
      sequence: 5,
      code: 'STATE_ITEM_DIFFERS',
    });
    expect(foundIn(await runAudit(client.ports, registryId, WHOLE))).toEqual([
      '5 STATE_ITEM_DIFFERS',
    ]);
    await rest(cluster);
    for (const instance of all)
      expect(await openAt(instance, registryId)).toMatchObject([
        { said: { kind: 'local-tampering', accused: client.id, sequence: 5 } },
      ]);
    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);
    for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
    await rest(cluster);

    expect((await client.record(registryId, 'D-1', 2)).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
    expect(foundIn(await runAudit(client.ports, registryId, WHOLE))).toEqual([]);
  });

  test('what its mirrors do not accept never becomes final', async () => {
    const { cluster, client, architect, registryId, all } = await broken();
    const link = await linkAt(client, registryId, 5);
    await decide(client, registryId, { manner: 'replace', entries: [link] as never });
    await rest(cluster);
    await client.reconfigure(registryId, all);
    await acceptAt(architect, registryId);
    await client.record(registryId, 'AFTER');
    await rest(cluster);

    for (const sequence of [5, 6, 7])
      expect((await client.status(registryId, sequence)).status).toMatchObject({
        status: 'confirmed',
        by: 1,
        of: 2,
      });
  });

  test('a mirror that is then told of a version after the void one accuses the lead, not itself', async () => {
    const { cluster, client, architect, contractor, registryId, all } = await broken();
    const link = await linkAt(client, registryId, 5);
    await decide(client, registryId, { manner: 'replace', entries: [link] as never });
    await rest(cluster);
    await client.reconfigure(registryId, all);
    for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
    await rest(cluster);
    const content = await client.upload('after what is void');
    const next = uploadDocument('D-1', { version: 6, ...content } as never);
    const head = await headOf(client, registryId);
    const forged = forgeCommit(client.ports.signer, head, [next], { subject: link as never });

    await architect.answerPeer(client.certificate.certificatePem, {
      operation: 'deliver',
      registryId,
      body: encodeMessage(deliveryOf(registryId, forged.commit)),
    });

    expect(await openAt(architect, registryId)).toMatchObject([
      { said: { kind: 'invalid-transaction', accused: client.id, sequence: 7 } },
    ]);
  });
});

describe('a resolution that was carried out', () => {
  /** 3 is void, and 5 says so. */
  async function carriedOut() {
    const given = await swarm();
    const { cluster, client, registryId, all } = given;
    await decideToReplace(given, [3]);
    expect((await client.reconfigure(registryId, all)).status).toBe(201);
    await rest(cluster);
    const read = readEntry((await entryAt(client, registryId, 5)).entry);
    if (read.outcome === 'refused') throw new Error(read.detail);
    return { ...given, resolves: read.entry.resolves };
  }

  test('is named once: a lead that names it again is accused by everybody, with proof', async () => {
    const { cluster, client, architect, registryId, all, resolves } = await carriedOut();
    const head = await headOf(client, registryId);
    const again = forgeCommit(client.ports.signer, head, [uploadDocument('D-4')], { resolves });

    await architect.answerPeer(client.certificate.certificatePem, {
      operation: 'deliver',
      registryId,
      body: encodeMessage(deliveryOf(registryId, again.commit)),
    });
    await rest(cluster);

    for (const instance of all) {
      const [open] = await openAt(instance, registryId);
      const { said } = open as NonNullable<typeof open>;
      expect(said).toMatchObject({ kind: 'invalid-transaction', accused: client.id, sequence: 6 });
      const bytes = await instance.blobs.evidence(said.evidence[0] as Digest);
      const read = readEvidence(bytes ?? new Uint8Array());
      expect(read.outcome === 'read' && recheckEvidence(said, read.evidence)).toMatchObject({
        finding: expect.stringContaining('(RESOLVES_AGAIN: '),
      });
    }
  });

  test('is not named again by a lead whose head was made to say that it is to be', async () => {
    const { client, registryId, all, resolves } = await carriedOut();
    client.known.damage = { head: (head) => ({ ...head, decided: [...resolves] }) };

    const refused = await client.reconfigure(registryId, all);

    expect([refused.status, refused.body.code]).toEqual([400, 'RESOLVES_AGAIN']);
  });

  test('is taken over by a new copy and by a joiner, who accuse nobody', async () => {
    const { cluster, client, contractor, registryId, all } = await carriedOut();
    await findTampering(contractor, registryId, 4);
    await rest(cluster);
    await setAsideFrom(contractor, registryId, 4);
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);

    const joiner = await cluster.add('engineer');
    await client.reconfigure(registryId, [...all, joiner]);
    await rest(cluster);

    expect(await headOf(contractor, registryId)).toMatchObject({ copy: 2, openConflicts: [] });
    await expectAllFinal([...all, joiner], registryId);
  });
});

test('many void entries, and the one that says so, fit the writes of a joiner', async () => {
  const given = await swarm(22);
  const { cluster, client, registryId, all } = given;
  await decideToReplace(given, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  expect((await client.reconfigure(registryId, all)).status).toBe(201);
  await rest(cluster);

  const joiner = await cluster.add('engineer');
  await client.reconfigure(registryId, [...all, joiner]);
  await rest(cluster);

  expect(await headOf(joiner, registryId)).toMatchObject({ sequence: 25, openConflicts: [] });
  await expectSoundCopy(joiner, registryId);
});
