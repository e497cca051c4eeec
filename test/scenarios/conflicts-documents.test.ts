/** Documents whose bytes a mirror gets from nobody: whose storage was wrong comes out by itself. */
import { describe, expect, test } from 'vitest';
import type { Digest, RegistryId } from '../../shared/ledger/digest.ts';
import { runAudit } from '../../shared/registry/audit-run.ts';
import { acceptAt, decide, openAt } from '../conflicts.ts';
import { reportMissingBytes } from '../deciding.ts';
import { type MemoryInstance, uploadDraft } from '../memory-cluster.ts';
import { foundIn, WHOLE } from '../registry/audited.ts';
import {
  entryAt,
  expectAllFinal,
  linkAt,
  raised,
  rest,
  setAsideFrom,
  swarm,
} from './conflict-swarm.ts';

const RIGHT = Buffer.from('LOST version 1');
const WRONG = Buffer.from('LOST VERSION 1');

/** Long after its documents' bytes were read, and long before they are read again. */
async function audit(instance: MemoryInstance, registryId: RegistryId): Promise<string[]> {
  const periodMs = 3_000 * 86_400_000;
  return foundIn(await runAudit(instance.ports, registryId, { ...WHOLE, periodMs }));
}

/** Entry 5 is recorded while the contractor is away; whoever has its bytes then gets wrong ones. */
async function wrongBytes() {
  const given = await swarm();
  const { cluster, client, architect, contractor, registryId } = given;
  contractor.up = false;
  await client.record(registryId, 'LOST');
  await cluster.settle();
  for (const each of [client, architect]) expect(await audit(each, registryId)).toEqual([]);
  const { transaction } = await entryAt(client, registryId, 5);
  const contentDigest: Digest = JSON.parse(Buffer.from(transaction).toString()).contentDigest;
  for (const holder of [client, architect]) holder.blobs.corrupt(contentDigest, WRONG);
  contractor.up = true;
  await rest(cluster, 2);
  expect(await openAt(client, registryId)).toMatchObject([
    { said: { kind: 'document-mismatch', sequence: 5, signer: contractor.id } },
  ]);
  return { ...given, contentDigest };
}

/** The application of the instance gives it the right bytes. */
async function give(instance: MemoryInstance, registryId: RegistryId, contentDigest: Digest) {
  const content = { contentDigest, size: RIGHT.length, registryId };
  const asked = await instance.call('POST', '/v1/uploads', content);
  expect(asked.body.held).toBe(false);
  await instance.blobs.upload(asked.body.upload, RIGHT);
}

describe('of a document whose bytes were wrong at whoever had them', () => {
  test('the audits there find it at once, also after the bytes were given to the finder', async () => {
    const { cluster, client, architect, contractor, registryId, all, contentDigest } =
      await wrongBytes();
    await decide(client, registryId, { manner: 'replay' });
    await give(contractor, registryId, contentDigest);
    await rest(cluster);
    expect(await openAt(client, registryId)).toEqual([]);

    const found = [await audit(client, registryId), await audit(architect, registryId)];
    await rest(cluster);

    expect(found).toEqual([['5 DOCUMENT_DIFFERS'], ['5 DOCUMENT_DIFFERS']]);
    const accused = (await openAt(client, registryId)).map(({ said }) => said.accused);
    expect(accused.sort()).toEqual([client.id, architect.id].sort());
    const [own, other] = [client.id, architect.id].map(async (id) =>
      (await openAt(client, registryId)).flatMap(({ conflictId, said }) =>
        said.accused === id ? [conflictId] : [],
      ),
    );
    await decide(client, registryId, { manner: 'take-back', conflicts: (await own) ?? [] });
    await rest(cluster);
    for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
    await rest(cluster);
    await setAsideFrom(architect, registryId, 5);
    await decide(client, registryId, { manner: 'replay', conflicts: (await other) ?? [] });
    await rest(cluster);
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
    for (const each of all) expect(await audit(each, registryId)).toEqual([]);
  });

  test('the audits look as long as it is open, once after it, and when it is reported again', async () => {
    const { cluster, client, contractor, registryId, contentDigest } = await wrongBytes();
    client.blobs.corrupt(contentDigest, RIGHT);
    const plan = { ...WHOLE, periodMs: 3_000 * 86_400_000 };
    const read = async () => {
      cluster.pass(900_000);
      const outcome = await runAudit(client.ports, registryId, plan);
      return 'documents' in outcome ? outcome.documents : undefined;
    };
    const whileOpen = [await read(), await read()];
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);
    expect(await openAt(client, registryId)).toEqual([]);
    const resolved = [await read(), await read(), await read()];
    await reportMissingBytes(contractor, registryId, 5);
    await rest(cluster);

    expect([whileOpen, resolved, await read()]).toEqual([[1, 1], [1, 0, 0], 1]);
  });

  test('nobody misses them once the version is replaced, or is about to be', async () => {
    const { cluster, client, registryId, all } = await wrongBytes();
    const link = await linkAt(client, registryId, 5);
    await decide(client, registryId, { manner: 'replace', entries: [link] });
    await rest(cluster);
    const before = await Promise.all(all.map((each) => audit(each, registryId)));
    const draft = {
      ...uploadDraft('LOST', 2, await client.upload('LOST again')),
      supersedes: link,
    };
    await client.append(registryId, draft, { salt: '00'.repeat(16), name: 'LOST' });
    await rest(cluster);

    const after = await Promise.all(all.map((each) => audit(each, registryId)));

    expect([before, after]).toEqual([
      [[], [], []],
      [[], [], []],
    ]);
    await expectAllFinal(all, registryId);
  });

  test('that may be nowhere any more the audits say what they find, and it can be replaced', async () => {
    const { cluster, client, architect, registryId, all } = await wrongBytes();
    for (const each of [client, architect])
      expect(await audit(each, registryId)).toEqual(['5 DOCUMENT_DIFFERS']);
    expect([raised(client, 'AuditFindings'), raised(architect, 'AuditFindings')]).toEqual([1, 1]);
    await rest(cluster);
    const link = await linkAt(client, registryId, 5);

    await decide(client, registryId, { manner: 'replace', entries: [link] });
    const draft = {
      ...uploadDraft('LOST', 2, await client.upload('LOST again')),
      supersedes: link,
    };
    const appended = await client.append(registryId, draft, {
      salt: '00'.repeat(16),
      name: 'LOST',
    });
    await rest(cluster);

    expect(appended.status).toBe(201);
    await expectAllFinal(all, registryId);
    for (const each of all) expect(await audit(each, registryId)).toEqual([]);
  });
});
