import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Digest, RegistryId } from '../../shared/ledger/digest.ts';
import { verifyConflictFile } from '../../shared/ledger/verify-conflict-file.ts';
import { encodeMessage } from '../../shared/registry/messages.ts';
import { uploadDocument } from '../builders.ts';
import { reportMissingBytes, reportTampering } from '../deciding.ts';
import { deliveryOf, forgeCommit } from '../forged-commit.ts';
import { testSigner } from '../signing.ts';
import { all, clientOf, document, registry } from './clients.ts';
import { at, type Change, lie } from './lying.ts';

/** A registry with versions 1 of A and B, and clients of the operators of both instances. */
async function operated() {
  const held = await registry();
  const { client, lead, mirror, atLead, atMirror } = held;
  const registryId = held.registryId as RegistryId;
  await client.uploadDocument(registryId, document('A'));
  await client.uploadDocument(registryId, document('B'));
  const operator = clientOf(atLead, {}, atLead.profile(lead.operator));
  const atOther = clientOf(atMirror, {}, atMirror.profile(mirror.operator));
  return { ...held, registryId, operator, mirrorOperator: atOther };
}

/** The mirror says that its own copy of entry 2 was changed. */
async function tampered() {
  const held = await operated();
  const conflictId = await reportTampering(held.mirror, held.registryId, 2);
  await held.cluster.settle();
  return { ...held, conflictId };
}

/** The mirror gets the bytes of entry 2 from nobody. */
async function bytesMissing() {
  const held = await operated();
  const conflictId = await reportMissingBytes(held.mirror, held.registryId, 2);
  await held.cluster.settle();
  return { ...held, conflictId };
}

/** The mirror was brought an entry of the lead that breaks the rules. */
async function accusedLead() {
  const held = await operated();
  const { cluster, lead, mirror, registryId } = held;
  const head = await lead.known.head(registryId);
  const { commit } = forgeCommit(lead.ports.signer, head, [uploadDocument('X', { version: 7 })]);
  const body = encodeMessage(deliveryOf(registryId, commit));
  await lead.ports.transport.call(mirror.id, { operation: 'deliver', registryId, body });
  await cluster.settle();
  const [opened] = await mirror.known.conflicts(registryId);
  return { ...held, conflictId: opened?.conflictId as Digest };
}

describe('reading conflicts', () => {
  test('gives what the finder signed, and what has to happen next', async () => {
    const { client, registryId, conflictId, lead, mirror, atLead, atMirror } = await tampered();

    const { conflicts, role } = await client.conflicts(registryId);
    const story = await client.conflict(registryId, conflictId);
    const rows = await all(client.unverified.conflicts(registryId));
    const plain = await client.unverified.conflict(registryId, conflictId);

    expect(role).toBe('lead');
    expect(conflicts).toMatchObject([{ conflictId, open: true, reports: 1 }]);
    expect(conflicts[0]?.said).toMatchObject({ kind: 'local-tampering', signer: mirror.id });
    expect(story.history).toMatchObject([{ kind: 'report', said: conflicts[0]?.said }]);
    expect(story).toMatchObject({
      manners: ['replay', 'expel', 'close'],
      decideAt: { certificateId: lead.id, endpoint: atLead.origin },
      next:
        'An operator of this instance, which leads, decides: replay, expel or close. A replay needs ' +
        `more: An operator there sets the copy of ${atMirror.origin} aside.`,
    });
    expect(rows).toMatchObject([{ conflictId, open: true }]);
    expect(plain.next).toBe(story.next);
  });

  test('gives a file that proves offline whose fault it is', async () => {
    const { client, registryId, conflictId, lead, cluster } = await accusedLead();

    const bytes = await client.evidence(registryId, conflictId);

    const clusterCaPem = cluster.authority.certificatePem;
    expect(verifyConflictFile(bytes, { registryId, clusterCaPem })).toMatchObject({
      outcome: 'verified',
      conflictId,
      provenAbout: lead.id,
    });
  });

  const digest = 'ab'.repeat(32);
  const lies: readonly (readonly [string, string, Change])[] = [
    ['another id', '/conflicts', at('conflicts.0.conflictId', digest)],
    ['no signature', '/conflicts', at('conflicts.0.statement', 'a.b.c')],
    ['a resolution that nobody signed', '/conflicts', at('resolution.decision', 'a.b.c')],
    ['a resolution without its operator', '/conflicts', at('resolution.decision', undefined)],
  ];

  test.each(lies)('refuses a list with %s', async (_what, path, change) => {
    const { client, operator, registryId, atLead } = await tampered();
    await operator.resolve(registryId, { manner: 'replay', reason: 'geprüft' });
    expect((await client.conflicts(registryId)).resolution?.said.reason).toBe('geprüft');
    lie(atLead, path, change);

    await expect(client.conflicts(registryId)).rejects.toMatchObject({ code: 'ANSWER_NOT_PROVEN' });
  });

  test('refuses a story, or a file, of another conflict or registry', async () => {
    const { client, registryId, conflictId, atLead, cluster, lead, mirror } = await tampered();
    const other = await client.createRegistry({ name: 'other', peers: [lead.id, mirror.id] });
    const otherRegistry = other.registryId as RegistryId;
    const otherId = await reportTampering(mirror, otherRegistry, 1);
    await cluster.settle();
    const story = await client.unverified.conflict(otherRegistry, otherId);
    const file = JSON.parse((await client.evidence(otherRegistry, otherId)).toString());

    const stop = lie(atLead, `/conflicts/${conflictId}`, () => story);
    const read = client.conflict(registryId, conflictId);
    await expect(read).rejects.toMatchObject({ code: 'ANSWER_NOT_PROVEN' });
    stop();
    lie(atLead, '/evidence', () => file);

    const fetched = client.evidence(registryId, conflictId);
    await expect(fetched).rejects.toMatchObject({ code: 'ANSWER_NOT_PROVEN' });
  });

  test('names a conflict that is none', async () => {
    const { client, registryId } = await tampered();
    const unknown = { code: 'CONFLICT_UNKNOWN', status: 404 };

    await expect(client.conflict(registryId, digest)).rejects.toMatchObject(unknown);
    await expect(client.evidence(registryId, digest)).rejects.toMatchObject(unknown);
    await expect(client.conflict(registryId, 'x')).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    });
  });
});

describe('an operator', () => {
  test('has the lead deliver again, sets the wrong copy aside, and all of it is told', async () => {
    const { client, operator, mirrorOperator, registryId, conflictId, mirror } = await tampered();

    const decided = await operator.resolve(registryId, { manner: 'replay', reason: 'geprüft' });
    const aside = await mirrorOperator.setAside(registryId, { reason: 'Platte defekt' });

    expect(decided.said).toMatchObject({
      manner: 'replay',
      conflicts: [conflictId],
      through: { sequence: 3 },
      reason: 'geprüft',
    });
    // Nobody but the two holds anything, and the lead confirms nothing: all is delivered again.
    expect(aside.said).toMatchObject({ from: 1, copy: 2, signer: mirror.id });
    const story = await client.conflict(registryId, conflictId);
    expect(story).toMatchObject({ open: false, resolution: decided.digest });
    expect(story.history.map(({ kind }) => kind)).toEqual(['report', 'resolution', 'set-aside']);
    expect((await client.uploadDocument(registryId, document('C'))).sequence).toBe(4);
  });

  test('decides in one way only: the first decision comes with the refusal', async () => {
    const { client, operator, registryId, conflictId } = await tampered();
    const conflicts = [conflictId];
    const replay = { manner: 'replay', conflicts, reason: 'geprüft' } as const;
    const first = await operator.resolve(registryId, replay);

    const again = await operator.resolve(registryId, replay);
    const other = operator.resolve(registryId, { ...replay, reason: 'anders' });

    expect(again).toMatchObject(first);
    expect([first.before, again.before]).toEqual([undefined, expect.stringMatching(/^20/)]);
    await expect(other).rejects.toMatchObject({
      code: 'RESOLUTION_IN_FORCE',
      status: 409,
      members: { resolution: { digest: first.digest } },
    });
    const nothing = operator.resolve(registryId, { manner: 'replay', reason: 'x' });
    await expect(nothing).rejects.toMatchObject({ code: 'RESOLUTION_IN_FORCE', status: 409 });
    const after = first.digest;
    const second = await operator.resolve(registryId, { manner: 'expel', after, reason: 'doch' });
    expect((await client.conflicts(registryId)).resolution?.digest).toBe(second.digest);
  });

  test('expels whose copy is wrong', async () => {
    const { client, operator, registryId, lead, mirror } = await tampered();
    await operator.resolve(registryId, { manner: 'expel', reason: 'insolvent' });
    const stranger = operator.expel(registryId, { peers: ['ab'.repeat(32)] });
    await expect(stranger).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    const transactionId = randomUUID();

    const expelled = await operator.expel(registryId, { peers: [mirror.id] }, { transactionId });
    const again = await operator.expel(registryId, { peers: [] }, { transactionId });

    expect(expelled.sequence).toBe(4);
    expect(again).toEqual(expelled);
    expect((await client.conflicts(registryId)).conflicts).toMatchObject([{ open: false }]);
    const { peers } = await client.unverified.registry(registryId);
    expect(peers.map(({ peer }) => peer)).toEqual([lead.id]);
  });

  test('expels nobody whom the conflict is not about', async () => {
    const { operator, registryId, lead, mirror, cluster, client } = await tampered();
    const third = await cluster.add('engineer');
    const list = await lead.known.head(registryId);
    const peers = [...(list?.configuration.peers ?? []), third.id];
    const head = { ...list, configuration: { ...list?.configuration, peers } };
    lead.known.damage = { head: () => head as never };
    const expelling = { manner: 'expel', reason: 'insolvent' } as const;

    const innocent = operator.resolve(registryId, { ...expelling, expels: [third.id] });
    const both = operator.resolve(registryId, { ...expelling, expels: [mirror.id, third.id] });

    for (const each of [innocent, both])
      await expect(each).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
        message: expect.stringMatching(
          /^[0-9a-f]{64} is neither accused nor a finder.*nothing was/,
        ),
      });
    expect((await client.conflicts(registryId)).resolution).toBeUndefined();
  });

  test('has an entry replaced, by what an application records for it', async () => {
    const { client, operator, registryId } = await bytesMissing();
    await operator.resolve(registryId, { manner: 'replace', entries: [2], reason: 'verloren' });
    const { digest } = (await client.entry(registryId, 2)).receipt;

    const wrong = client.uploadDocument(registryId, document('C'));
    await expect(wrong).rejects.toMatchObject({ code: 'REGISTRY_IN_CONFLICT', status: 409 });
    const recorded = await client.uploadDocument(registryId, {
      ...document('A', Buffer.from('A, once more')),
      supersedes: { sequence: 2 as never, digest },
    });

    expect(recorded).toMatchObject({ version: 2, sequence: 4 });
    const superseded = { by: 4, replacement: 4, reason: 'verloren' };
    expect(await client.version(registryId, 'A', 1)).toMatchObject({ superseded });
    expect(await client.document(registryId, 'A')).not.toHaveProperty('superseded');
    const entries = await all(client.entries(registryId));
    expect(entries[1]).toMatchObject({ superseded });
    expect(entries[3]).not.toHaveProperty('superseded');
  });

  test('voids a request, which nobody can sign after it', async () => {
    const held = await operated();
    const { client, operator, cluster, mirror, registryId } = held;
    const { publicKey, key } = testSigner('ES256');
    const asked = { documentId: 'A', version: 1, publicKey, purpose: 'approval' as const };
    const { requestId } = await client.requestSignature(registryId, { ...asked, signer: 'Weiß' });
    await reportMissingBytes(mirror, registryId, 2);
    await cluster.settle();
    const entries = [2, 4];
    await operator.resolve(registryId, { manner: 'replace', entries, reason: 'verloren' });

    await operator.expel(registryId, { peers: [] });

    const request = await client.signingRequest(registryId, requestId);
    expect(request).toMatchObject({ superseded: { by: 5, reason: 'verloren' } });
    const signed = client.signWithKey(registryId, requestId, key);
    await expect(signed).rejects.toMatchObject({ code: 'REQUEST_SUPERSEDED' });
  });

  test('records another request in the place of the voided one', async () => {
    const { client, operator, registryId, cluster, mirror } = await operated();
    const { publicKey, key } = testSigner('ES256');
    const asked = { documentId: 'B', version: 1, publicKey, purpose: 'approval' as const };
    const first = await client.requestSignature(registryId, { ...asked, signer: 'Weiß' });
    await reportMissingBytes(mirror, registryId, 2);
    await cluster.settle();
    const entries = [2, 4];
    await operator.resolve(registryId, { manner: 'replace', entries, reason: 'falsch' });
    const supersedes = { sequence: first.sequence, digest: first.digest };

    const second = await client.requestSignature(registryId, {
      ...asked,
      signer: 'Schwarz',
      supersedes,
    });

    const old = await client.signingRequest(registryId, first.requestId);
    expect(old.superseded).toMatchObject({ by: 5, replacement: second.sequence });
    await client.signWithKey(registryId, second.requestId, key);
    const requests = await all(client.signingRequests(registryId));
    expect(requests).toMatchObject([{ requestId: second.requestId, status: 'signed' }]);
  });

  test('of a mirror accepts what the accused lead decided, once', async () => {
    const { client, operator, mirrorOperator, registryId, conflictId } = await accusedLead();
    const { digest } = await operator.resolve(registryId, { manner: 'replay', reason: 'Fehler' });

    const first = await mirrorOperator.accept(registryId, digest, { reason: 'einverstanden' });
    const again = await mirrorOperator.accept(registryId, digest, { reason: 'wie gesagt' });

    expect(first.said).toMatchObject({ resolution: digest, reason: 'einverstanden' });
    expect(again).toMatchObject(first);
    const { history } = await client.conflict(registryId, conflictId);
    expect(history.map(({ kind }) => kind)).toEqual(['report', 'resolution', 'acceptance']);
    expect((await mirrorOperator.conflicts(registryId)).conflicts[0]?.open).toBe(false);
  });

  test('of a mirror is told who leads, or goes there', async () => {
    const { registryId, conflictId, atMirror, mirror, lead } = await tampered();
    const profile = atMirror.profile(mirror.operator);
    const given = { manner: 'replay', conflicts: [conflictId], reason: 'x' } as const;

    const stays = clientOf(atMirror, {}, profile).resolve(registryId, given);
    await expect(stays).rejects.toMatchObject({ code: 'NOT_THE_LEAD', members: { lead: lead.id } });

    const goes = clientOf(atMirror, { followLead: true }, profile).resolve(registryId, given);
    await expect(goes).rejects.toMatchObject({ code: 'CALLER_NOT_LISTED' });
  });

  test('closes the registry at both instances, with the last entry that they hold', async () => {
    const { client, operator, mirrorOperator, registryId, lead, mirror, conflictId } =
      await tampered();

    const closed = await operator.closeRegistry(registryId);
    const again = await operator.closeRegistry(registryId);
    const other = await mirrorOperator.closeRegistry(registryId);

    expect(closed.said).toMatchObject({ signer: lead.id, sequence: 3 });
    expect(again.said).toEqual(closed.said);
    expect([closed.before, again.before]).toEqual([undefined, expect.stringMatching(/^20/)]);
    expect(other.said).toMatchObject({ signer: mirror.id, digest: closed.said.digest });
    const { history } = await client.conflict(registryId, conflictId);
    expect(history.map(({ kind }) => kind)).toEqual(['report', 'closing', 'closing']);
    const more = client.uploadDocument(registryId, document('C'));
    await expect(more).rejects.toMatchObject({ code: 'REGISTRY_CLOSED' });
  });

  test('is nobody who has no such role', async () => {
    const { client, registryId, conflictId } = await tampered();
    const forbidden = { code: 'ROLE_NOT_ALLOWED', status: 403 };
    const reason = 'x';

    const replay = { manner: 'replay', conflicts: [conflictId], reason } as const;
    await expect(client.resolve(registryId, replay)).rejects.toMatchObject(forbidden);
    await expect(client.accept(registryId, conflictId, { reason })).rejects.toMatchObject(
      forbidden,
    );
    await expect(client.closeRegistry(registryId)).rejects.toMatchObject(forbidden);
  });

  test('sets nothing aside where no copy is wrong, and sends no decision without a reason', async () => {
    const { operator, mirrorOperator, registryId, conflictId } = await bytesMissing();
    const invalid = { code: 'ARGUMENT_INVALID' };

    const aside = mirrorOperator.setAside(registryId, { reason: 'x' });
    await expect(aside).rejects.toMatchObject(invalid);
    const named = mirrorOperator.setAside(registryId, { conflicts: [conflictId], reason: 'x' });
    await expect(named).rejects.toMatchObject(invalid);
    for (const reason of ['', ' \n\t']) {
      const silent = operator.resolve(registryId, { manner: 'replay', reason });
      await expect(silent).rejects.toMatchObject(invalid);
    }
  });

  test('refuses an answer with another decision than the own one', async () => {
    const { operator, mirrorOperator, registryId, conflictId, atLead, atMirror } = await tampered();
    const conflicts = [conflictId];
    const first = await operator.resolve(registryId, { manner: 'replay', conflicts, reason: 'a' });
    const after = first.digest;
    lie(atLead, '/resolutions', () => ({ resolution: first }));
    lie(atMirror, '/set-asides', () => ({ setAside: first }));
    lie(atLead, '/closings', at('closing.statement', first.statement));

    const unproven = { code: 'ANSWER_NOT_PROVEN' };
    const other = operator.resolve(registryId, { manner: 'expel', conflicts, after, reason: 'b' });
    await expect(other).rejects.toMatchObject(unproven);
    await expect(mirrorOperator.setAside(registryId, { reason: 'c' })).rejects.toMatchObject(
      unproven,
    );
    await expect(operator.closeRegistry(registryId)).rejects.toMatchObject(unproven);
  });
});
