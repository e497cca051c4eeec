import { describe, expect, test } from 'vitest';
import type { RegistryId, Sequence } from '../../shared/ledger/digest.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import { redactionOf, type SignedRedaction } from '../../shared/ledger/redaction.ts';
import type { Redaction } from '../../shared/ledger/resolution.ts';
import { LedgerVerifier } from '../../shared/ledger/verify.ts';
import { auditRegistry } from '../../shared/registry/audit.ts';
import { exportLines } from '../../shared/registry/export.ts';
import { carriedCommits, encodeMessage } from '../../shared/registry/messages.ts';
import type { Head, StoredEntry } from '../../shared/registry/ports.ts';
import { redactDetails } from '../../shared/registry/redact.ts';
import { testPeer } from '../builders.ts';
import { testInstance } from '../certificate-authority.ts';
import { deliveryOf } from '../forged-commit.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';
import { expectSound } from '../sound-ledger.ts';

const HOUR_MS = 3_600_000;
const operator = testPeer();

async function swarm() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const registryId = await client.create([architect]);
  await client.record(registryId, 'A');
  await client.record(registryId, 'B');
  await cluster.settle();
  return { cluster, client, architect, registryId };
}

async function heldAt(
  { known }: MemoryInstance,
  registryId: RegistryId,
  sequence: number,
): Promise<{ readonly head: Head; readonly stored: StoredEntry }> {
  const head = await known.head(registryId);
  const [stored] = await known.entries(registryId, 1, { from: sequence, count: 1 });
  if (head === undefined || stored === undefined) throw new Error(`no entry ${sequence}`);
  return { head, stored };
}

async function redact(
  instance: MemoryInstance,
  registryId: RegistryId,
  sequence: number,
  changes: Partial<Redaction> = {},
) {
  const { head, stored } = await heldAt(instance, registryId, sequence);
  const redaction = redactionOf({
    registryId,
    signer: instance.id,
    sequence: sequence as Sequence,
    decidedBy: operator.certificateId,
    reason: 'Löschverlangen',
    ...changes,
  });
  const order = { operator: operator.certificateId, decision: operator.sign(redaction) };
  return redactDetails(instance.ports, head, stored, order);
}

async function expectAllHolds(instance: MemoryInstance, registryId: RegistryId): Promise<void> {
  await expectSound(instance, registryId);
  const verifier = new LedgerVerifier({ registryId, rules: true });
  for await (const line of exportLines(instance.known, registryId))
    expect(verifier.line(line)).toBeUndefined();
  expect(verifier.end()).toMatchObject({ outcome: 'verified' });
  expect(await auditRegistry(instance.ports, registryId)).toMatchObject({ outcome: 'sound' });
}

describe('an operator who redacts the details of an entry', () => {
  test('takes them out of this copy, and leaves both signatures in their place', async () => {
    const { client, architect, registryId } = await swarm();

    const outcome = await redact(client, registryId, 2);

    const { stored } = await heldAt(client, registryId, 2);
    expect(outcome).toEqual({ outcome: 'redacted', redaction: stored.redaction });
    expect(stored).not.toHaveProperty('details');
    expect((await heldAt(architect, registryId, 2)).stored).toHaveProperty('details');
    await expectAllHolds(client, registryId);
  });

  test('is answered with the first redaction ever after', async () => {
    const { client, registryId } = await swarm();
    const first = await redact(client, registryId, 2);

    const again = await redact(client, registryId, 2, { reason: 'noch einmal' });

    expect(again).toEqual({ ...first, outcome: 'held' });
  });

  test('loses the race against another one and is answered with that', async () => {
    const { client, registryId } = await swarm();
    const { head, stored } = await heldAt(client, registryId, 2);
    const first = await redact(client, registryId, 2);
    const statement = { registryId, signer: client.id, sequence: 2 as Sequence };
    const redaction = redactionOf({
      ...statement,
      decidedBy: operator.certificateId,
      reason: 'zugleich',
    });
    const order = { operator: operator.certificateId, decision: operator.sign(redaction) };

    const second = await redactDetails(client.ports, head, stored, order);

    expect(second).toEqual({ ...first, outcome: 'held' });
  });

  test.each([
    ['another entry', { sequence: 3 as Sequence }, 'REDACTION_DIFFERS'],
    [
      'another registry',
      { registryId: 'ab'.repeat(32) as RegistryId },
      'STATEMENT_REGISTRY_DIFFERS',
    ],
    ['another instance', { signer: testPeer().certificateId }, 'REDACTION_DIFFERS'],
  ])('signs for %s: refused, and nothing changes', async (_what, changes, code) => {
    const { client, registryId } = await swarm();

    expect(await redact(client, registryId, 2, changes)).toMatchObject({ code });

    expect((await heldAt(client, registryId, 2)).stored).toHaveProperty('details');
  });

  test('must be the caller, and must sign', async () => {
    const { client, registryId } = await swarm();
    const { head, stored } = await heldAt(client, registryId, 2);
    const redaction = redactionOf({
      registryId,
      signer: client.id,
      sequence: 2 as Sequence,
      decidedBy: operator.certificateId,
      reason: 'x',
    });
    const decision = operator.sign(redaction);

    const caller = testPeer().certificateId;
    expect(
      await redactDetails(client.ports, head, stored, { operator: caller, decision }),
    ).toMatchObject({ code: 'REDACTION_DIFFERS' });
    const unsigned = 'x' as Compact;
    expect(
      await redactDetails(client.ports, head, stored, {
        operator: operator.certificateId,
        decision: unsigned,
      }),
    ).toMatchObject({ code: 'STATEMENT_MALFORMED' });
  });

  test('finds nothing to redact where a transaction has no details', async () => {
    const { cluster, client, architect, registryId } = await swarm();
    await client.reconfigure(registryId, [client, architect]);
    await cluster.settle();

    expect(await redact(client, registryId, 4)).toMatchObject({ code: 'DETAILS_NOT_EXPECTED' });
  });
});

describe('a mirror that joins after a redaction', () => {
  test('is brought the redaction in place of the details, confirms, and shows it', async () => {
    const { cluster, client, architect, registryId } = await swarm();
    await redact(client, registryId, 1);
    await redact(client, registryId, 2);
    const newcomer = await cluster.add('newcomer');

    await client.reconfigure(registryId, [client, architect, newcomer]);
    await cluster.settle();

    const { stored } = await heldAt(newcomer, registryId, 2);
    expect(stored.redaction).toEqual((await heldAt(client, registryId, 2)).stored.redaction);
    expect((await client.status(registryId, 4)).status).toEqual({ status: 'final' });
    for (const instance of [client, architect, newcomer])
      await expectAllHolds(instance, registryId);
  });

  test('refuses, with an alarm, what somebody redacted whom nobody here knows', async () => {
    const { cluster, client, architect, registryId } = await swarm();
    const { head, stored } = await heldAt(client, registryId, 2);
    const stranger = testPeer();
    const redaction = redactionOf({
      registryId,
      signer: stranger.certificateId,
      sequence: 2 as Sequence,
      decidedBy: operator.certificateId,
      reason: 'x',
    });
    const signed = { statement: stranger.sign(redaction), decision: operator.sign(redaction) };
    await client.known.redactDetails(registryId, head.copy, stored, signed);
    const newcomer = await cluster.add('newcomer');

    await client.reconfigure(registryId, [client, architect, newcomer]);
    await cluster.settle();

    expect(await newcomer.head(registryId)).toBeUndefined();
    expect(newcomer.alarms.signals).toContain('StatementsRefused');
    expect(await newcomer.known.conflicts(registryId)).toEqual([]);
  });

  test('refuses one that a stranger to the registry signed, although the cluster knows it', async () => {
    const { cluster, client, architect, contractor, registryId } = await behind();
    const stranger = await cluster.add('stranger');
    const { details: _, ...rest } = (await heldAt(contractor, registryId, 3)).stored;
    const redaction = redactionOf({
      registryId,
      signer: stranger.id,
      sequence: 3 as Sequence,
      decidedBy: operator.certificateId,
      reason: 'x',
    });
    const signed = {
      statement: stranger.ports.signer.sign(redaction),
      decision: operator.sign(redaction),
    };

    const outcome = await bring(contractor, architect, registryId, [
      { ...rest, redaction: signed },
    ]);
    cluster.pass(600_000);
    await cluster.settle();

    expect(outcome).toMatchObject({ status: 404 });
    expect((await heldAt(architect, registryId, 3)).stored).toHaveProperty('details');
    for (const instance of [client, architect]) await expectAllHolds(instance, registryId);
  });

  test('accuses nobody of a redaction that somebody made up beside genuine details', async () => {
    const { cluster, client, architect, contractor, registryId } = await behind();
    const { stored } = await heldAt(contractor, registryId, 3);
    const redaction = { decision: 'a', statement: 'a' } as unknown as SignedRedaction;

    const outcome = await bring(contractor, architect, registryId, [{ ...stored, redaction }]);
    cluster.pass(600_000);
    await cluster.settle();

    expect(outcome).toMatchObject({ status: 400 });
    expect(await architect.known.conflicts(registryId)).toEqual([]);
    expect((await client.status(registryId, 3)).status).toEqual({ status: 'final' });
  });

  test('joins and issues receipts after whoever redacted has left and its certificate expired', async () => {
    const { cluster, client, architect, registryId } = await swarm();
    const short = testInstance(cluster.authority, 'https://architect.example', {
      key: architect.certificate.key,
      notAfter: new Date(Date.now() + 2 * HOUR_MS),
    });
    architect.certificate = short;
    architect.ports = { ...architect.ports, certificatePem: short.certificatePem };
    await client.known.putCertificate(architect.id, short.certificatePem);
    await redact(architect, registryId, 2);
    await client.reconfigure(registryId, [architect, client]);
    await cluster.settle();
    const contractor = await cluster.add('contractor');
    await architect.reconfigure(registryId, [architect, contractor]);
    await cluster.settle();
    await architect.reconfigure(registryId, [contractor, architect]);
    await cluster.settle();
    await contractor.reconfigure(registryId, [contractor]);
    await cluster.settle();
    client.up = false;
    architect.up = false;
    cluster.pass(3 * HOUR_MS);
    const newcomer = await cluster.add('newcomer', { knows: [contractor] });
    await contractor.reconfigure(registryId, [contractor, newcomer]);
    for (let turn = 0; turn < 4; turn += 1) {
      cluster.pass(300_000);
      await cluster.settle();
    }

    expect(await newcomer.head(registryId)).toEqual(await contractor.head(registryId));
    const { sequence: last = 0 } = (await contractor.head(registryId)) ?? {};
    for (let sequence = 1; sequence <= last; sequence += 1) {
      const path = `/v1/registries/${registryId}/entries/${sequence}/receipt`;
      expect((await newcomer.exchange('GET', path)).status).toBe(200);
    }
    await expectAllHolds(newcomer, registryId);
  });
});

/** Three peers, of which the architect lacks the newest entry. */
async function behind() {
  const { cluster, client, architect, registryId } = await swarm();
  const contractor = await cluster.add('contractor');
  const lead = await client.reconfigure(registryId, [client, architect, contractor]);
  expect(lead.status).toBe(201);
  await cluster.settle();
  const next = await client.create([architect, contractor], 'Umbau');
  await client.record(next, 'A');
  await cluster.settle();
  architect.up = false;
  await client.record(next, 'B');
  await cluster.settle();
  architect.up = true;
  return { cluster, client, architect, contractor, registryId: next };
}

/** What the architect answers to a delivery of these entries as one commit. */
function bring(
  from: MemoryInstance,
  to: MemoryInstance,
  registryId: RegistryId,
  entries: readonly StoredEntry[],
) {
  const body = encodeMessage(deliveryOf(registryId, ...carriedCommits(entries)));
  return from.ports.transport.call(to.id, { operation: 'deliver', registryId, body });
}
