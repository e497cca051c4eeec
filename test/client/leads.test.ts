import { describe, expect, test } from 'vitest';
import type { LeadElsewhere } from '../../shared/client/leads.ts';
import type { RawAnswer } from '../memory-cluster.ts';
import { testSigner } from '../signing.ts';
import { expectSound } from '../sound-ledger.ts';
import { clientOf, document, registry } from './clients.ts';

/** A client at the mirror, whose application is known at the lead as well. */
async function atTheMirror(followLead: boolean) {
  const held = await registry();
  const { lead, mirror, atMirror } = held;
  const { config } = lead.ports;
  const applications = new Set([...config.applications, mirror.application.certificateId]);
  lead.ports = { ...lead.ports, config: { ...config, applications } };
  const followed: LeadElsewhere[] = [];
  const onLead = (each: LeadElsewhere) => followed.push(each);
  return { ...held, followed, mirrored: clientOf(atMirror, { followLead, onLead }) };
}

function misdirected(lead: unknown, leadEndpoint: unknown): RawAnswer {
  const problem = { code: 'NOT_THE_LEAD', status: 421, detail: 'only the lead', retryable: false };
  const bytes = Buffer.from(JSON.stringify({ ...problem, lead, leadEndpoint }));
  return { status: 421, headers: {}, bytes };
}

describe('an instance that does not lead', () => {
  test('is followed to the lead where the client is told to', async () => {
    const { mirrored, registryId, lead, atLead, atMirror, followed } = await atTheMirror(true);

    const recorded = await mirrored.uploadDocument(registryId, document('A'));
    const signer = testSigner();
    const { requestId } = await mirrored.requestSignature(registryId, {
      documentId: 'A',
      version: 1,
      publicKey: signer.publicKey,
      purpose: 'approval',
      signer: 'N. N.',
    });
    await mirrored.signWithKey(registryId, requestId, signer.key);

    expect(recorded).toMatchObject({ sequence: 2, lead: lead.id });
    expect(followed).toEqual([{ registryId, lead: lead.id, endpoint: atLead.origin }]);
    expect(atMirror.arrivedAtStore).toEqual([]);
    expect(atLead.arrivedAtStore).toHaveLength(1);
    await expectSound(lead, registryId as never);
  });

  test('is told otherwise, with the lead and its endpoint', async () => {
    const { mirrored, registryId, lead, atLead, followed } = await atTheMirror(false);

    const call = mirrored.reconfigurePeers(registryId, [lead.id]);

    await expect(call).rejects.toMatchObject({
      code: 'NOT_THE_LEAD',
      status: 421,
      members: { lead: lead.id, leadEndpoint: atLead.origin },
    });
    expect(followed).toEqual([]);
  });

  test('is followed again when the lead was handed over meanwhile', async () => {
    const { mirrored, client, registryId, lead, mirror, followed } = await atTheMirror(true);
    await mirrored.uploadDocument(registryId, document('A'));
    await client.waitUntilConfirmed(registryId, 2);
    await client.reconfigurePeers(registryId, [mirror.id, lead.id]);

    const recorded = await mirrored.uploadDocument(registryId, document('B'));

    expect(recorded).toMatchObject({ sequence: 4, lead: mirror.id });
    expect(followed.map(({ lead: each }) => each)).toEqual([lead.id, mirror.id]);
  });
});

describe('who answers in place of the lead gets nothing', () => {
  test('another instance of the same cluster', async () => {
    const { mirrored, registryId, cluster, atLead, atMirror } = await atTheMirror(true);
    const other = await cluster.add('contractor');
    atMirror.intercept = () => misdirected(other.id, atLead.origin);
    const before = atLead.arrived.length;

    const call = mirrored.reconfigurePeers(registryId, [other.id]);

    await expect(call).rejects.toMatchObject({ code: 'TLS_SERVER_ID_DIFFERS', retryable: false });
    expect(atLead.arrived.length).toBe(before);
  });

  test.each([
    ['no lead', undefined, 'https://localhost:1'],
    ['no certificate id', 'lead', 'https://localhost:1'],
    ['no endpoint', 'ab'.repeat(32), undefined],
    ['no address', 'ab'.repeat(32), 'lead'],
    ['an address without TLS', 'ab'.repeat(32), 'http://localhost:1'],
    ['an address with a password', 'ab'.repeat(32), 'https://a:b@localhost:1'],
  ])('%s', async (_what, lead, endpoint) => {
    const { mirrored, registryId, atMirror } = await atTheMirror(true);
    atMirror.intercept = () => misdirected(lead, endpoint);

    const call = mirrored.reconfigurePeers(registryId, ['cd'.repeat(32)]);

    await expect(call).rejects.toMatchObject({ code: 'NOT_THE_LEAD' });
    expect(atMirror.arrived).toHaveLength(1);
  });

  test('instances that send the client back and forth', async () => {
    const { mirrored, registryId, lead, mirror, atLead, atMirror } = await atTheMirror(true);
    atMirror.intercept = () => misdirected(lead.id, atLead.origin);
    atLead.intercept = () => misdirected(mirror.id, atMirror.origin);
    const before = atLead.arrived.length;

    const call = mirrored.reconfigurePeers(registryId, [lead.id]);

    await expect(call).rejects.toMatchObject({ code: 'NOT_THE_LEAD' });
    expect(atLead.arrived.length + atMirror.arrived.length - before).toBe(4);
  });
});
