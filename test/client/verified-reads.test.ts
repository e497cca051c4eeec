import { describe, expect, test } from 'vitest';
import { testSigner } from '../signing.ts';
import { all, clientOf, document, registry } from './clients.ts';
import { furnished } from './furnished.ts';

describe('what is read is what was recorded', () => {
  test('an entry, by its sequence and by its transaction id', async () => {
    const { client, registryId, lead, mirror } = await furnished();

    const { receipt, bytes } = await client.entry(registryId, 2);
    const again = await client.entry(registryId, receipt.transaction.transactionId);

    expect(receipt).toMatchObject({
      sequence: 2,
      lead: lead.id,
      transaction: { type: 'upload-document', documentId: 'A', version: 1 },
      details: { name: 'Plan A', note: 'Los 1' },
      configuration: { peers: [lead.id, mirror.id] },
      status: { status: 'final' },
    });
    expect(again.bytes.equals(bytes)).toBe(true);
  });

  test('documents and versions', async () => {
    const { client, registryId } = await furnished();

    const documents = await all(client.documents(registryId));
    const versions = await all(client.versions(registryId, 'A'));

    expect(documents.map(({ documentId, version }) => [documentId, version])).toEqual([
      ['A', 2],
      ['B', 1],
    ]);
    expect(versions.map(({ version, size }) => [version, size])).toEqual([
      [1, 1],
      [2, 9],
    ]);
    expect(await client.document(registryId, 'A')).toEqual(versions[1]);
    expect(await client.version(registryId, 'A', 1)).toEqual(versions[0]);
    expect(versions[0]).toMatchObject({ registryId, name: 'Plan A', note: 'Los 1' });
  });

  test('where a file is registered', async () => {
    const { client, registryId } = await furnished();
    const { contentDigest } = await client.version(registryId, 'B', 1);

    expect(await all(client.contents(contentDigest))).toMatchObject([
      { registryId, documentId: 'B', version: 1 },
    ]);
    expect(await all(client.contents('ab'.repeat(32)))).toEqual([]);
  });

  test('signing requests, with the signature verified again', async () => {
    const { client, registryId, requestId, openId, signer } = await furnished();

    const requests = await all(client.signingRequests(registryId));

    expect(requests).toMatchObject([
      {
        requestId,
        status: 'signed',
        documentId: 'A',
        purpose: 'approval',
        signer: 'Prüfingenieurin Dr. Weiß',
        publicKey: signer.publicKey,
        signature: { signedBy: { sequence: 7 }, algorithm: 'ES256', legacy: false },
      },
      { requestId: openId, status: 'open', documentId: 'B' },
    ]);
    expect(await all(client.signingRequests(registryId, { status: 'open' }))).toHaveLength(1);
    expect(await all(client.signingRequests(registryId, { documentId: 'A' }))).toHaveLength(1);
    expect(await client.signingRequest(registryId, requestId)).toEqual(requests[0]);
  });

  test('a request whose due date has passed is overdue', async () => {
    const { client, registryId } = await registry();
    await client.uploadDocument(registryId, document('A'));
    const { requestId } = await client.requestSignature(registryId, {
      documentId: 'A',
      version: 1,
      publicKey: testSigner().publicKey,
      purpose: 'receipt',
      signer: 'N. N.',
      dueAt: new Date('2020-01-01T00:00:00Z'),
    });

    expect(await client.signingRequest(registryId, requestId)).toMatchObject({ status: 'overdue' });
  });

  test('registries, entries, confirmations and checkpoints', async () => {
    const { client, registryId, lead, mirror } = await furnished();

    const [found] = await all(client.registries());
    const entries = await all(client.entries(registryId));
    const confirmations = await all(client.confirmations(registryId));
    const checkpoints = await all(client.checkpoints(registryId));

    expect(found).toMatchObject({
      registryId,
      name: 'Neubau Grundschule Musterstadt',
      head: { sequence: 7 },
      peers: [lead.id, mirror.id],
      configuredBy: 1,
      role: 'lead',
    });
    expect(await client.registry(registryId)).toEqual(found);
    const sequences = [1, 2, 3, 4, 5, 6, 7];
    expect(entries.map(({ sequence }) => sequence)).toEqual(sequences);
    expect(entries[1]).toMatchObject({ details: { name: 'Plan A' }, lead: lead.id });
    expect(confirmations.map(({ sequence }) => sequence)).toEqual(sequences);
    for (const each of confirmations)
      expect(each).toMatchObject({
        status: { status: 'final' },
        confirmations: [{ peer: mirror.id }],
      });
    expect(checkpoints.map(({ sequence }) => sequence)).toEqual(sequences);
  });

  test('who an instance is', async () => {
    const { client, lead, mirror, atLead, atMirror } = await registry();

    expect(await client.instance()).toMatchObject({
      name: 'client',
      certificateId: lead.id,
      endpoint: atLead.origin,
    });
    expect(await client.certificate(mirror.id)).toMatchObject({ endpoint: atMirror.origin });
  });

  test('as a mirror shows it, without trust in the mirror', async () => {
    const { atMirror, registryId, requestId } = await furnished();

    const client = clientOf(atMirror);

    expect(await all(client.entries(registryId))).toHaveLength(7);
    expect(await client.signingRequest(registryId, requestId)).toMatchObject({ status: 'signed' });
  });

  test('with one receipt for a page of entries, one for each row, kept for the next list', async () => {
    const { atLead, registryId } = await furnished();
    const client = clientOf(atLead);
    const receipts = () => atLead.arrived.filter(({ path }) => path.endsWith('/receipt')).length;

    const before = receipts();
    await all(client.entries(registryId));
    const forEntries = receipts() - before;
    await all(client.documents(registryId));
    await all(client.documents(registryId));

    expect(forEntries).toBe(1);
    expect(receipts() - before).toBe(3);
  });

  test('unverified where it is asked for by name, with what only the instance knows', async () => {
    const { client, registryId, requestId, mirror, lead } = await furnished();
    const { unverified } = client;

    expect(await unverified.instance()).toMatchObject({ certificateId: lead.id });
    expect(await unverified.registry(registryId)).toMatchObject({
      peers: [{ self: true }, { peer: mirror.id, confirmedThrough: 7 }],
    });
    expect(await all(unverified.registries())).toMatchObject([{ openConflicts: 0 }]);
    expect(await unverified.entry(registryId, 2)).toMatchObject({ status: { status: 'final' } });
    expect(await unverified.entryStatus(registryId, 2)).toMatchObject({
      confirmations: [{ peer: lead.id }, { confirmed: { receivedAt: expect.any(String) } }],
    });
    expect(await all(unverified.entries(registryId, { from: 6 }))).toHaveLength(2);
    expect(await unverified.document(registryId, 'A')).toMatchObject({ versions: 2, held: true });
    expect(await unverified.version(registryId, 'A', 1)).toMatchObject({ held: true });
    expect(await all(unverified.documents(registryId))).toHaveLength(2);
    expect(await all(unverified.versions(registryId, 'A'))).toHaveLength(2);
    expect(await all(unverified.contents('ab'.repeat(32)))).toEqual([]);
    expect(await all(unverified.signingRequests(registryId))).toHaveLength(2);
    expect(await unverified.signingRequest(registryId, requestId)).toMatchObject({ requestId });
    expect(await all(unverified.confirmations(registryId, { from: 7 }))).toMatchObject([
      { sequence: 7, cells: [{ peer: lead.id }, { peer: mirror.id, counts: true }] },
    ]);
    expect(await all(unverified.checkpoints(registryId))).toHaveLength(7);
    expect(await all(unverified.conflicts(registryId))).toEqual([]);
    expect(await unverified.call('GET', '/v1/registries')).toMatchObject({ registries: [{}] });
  });
});

test('a redaction that came after a receipt was kept is seen, and names no longer are', async () => {
  const { atLead, client, registryId, lead } = await furnished();
  const operator = clientOf(atLead, {}, atLead.profile(lead.operator));
  await client.document(registryId, 'B');
  await operator.redact(registryId, 4, { reason: 'Löschverlangen vom 3. November' });

  const version = await client.document(registryId, 'B');
  const { receipt } = await client.entry(registryId, 4);
  const [entry] = await all(client.entries(registryId, { from: 4, to: 4 }));

  expect(version).toMatchObject({ redacted: true, documentId: 'B' });
  expect(version).not.toHaveProperty('name');
  expect(receipt.redaction).toMatchObject({
    signer: lead.id,
    decidedBy: lead.operator.certificateId,
    reason: 'Löschverlangen vom 3. November',
  });
  expect(entry).not.toHaveProperty('details');
});

test('whoever is no operator redacts nothing', async () => {
  const { client, registryId } = await furnished();

  const call = client.redact(registryId, 4, { reason: 'because' });

  await expect(call).rejects.toMatchObject({ code: 'ROLE_NOT_ALLOWED' });
  expect((await client.entry(registryId, 4)).receipt.details).toMatchObject({ name: 'Plan B' });
});
