import { describe, expect, test } from 'vitest';
import type { RegistryId, Sequence } from '../../shared/ledger/digest.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import { redactionOf } from '../../shared/ledger/redaction.ts';
import type { Redaction } from '../../shared/ledger/resolution.ts';
import { LedgerVerifier } from '../../shared/ledger/verify.ts';
import { auditRegistry } from '../../shared/registry/audit.ts';
import { exportLines } from '../../shared/registry/export.ts';
import type { Head, StoredEntry } from '../../shared/registry/ports.ts';
import { redactDetails } from '../../shared/registry/redact.ts';
import { testPeer } from '../builders.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';
import { expectSound } from '../sound-ledger.ts';

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
});
