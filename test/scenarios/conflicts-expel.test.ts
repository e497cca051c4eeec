import { describe, expect, test } from 'vitest';
import type { Digest } from '../../shared/ledger/digest.ts';
import { verifyReceipt } from '../../shared/ledger/verify-receipt.ts';
import { runAudit } from '../../shared/registry/audit-run.ts';
import { readConflict } from '../../shared/registry/read-story.ts';
import { StoredDamage } from '../../shared/registry/stored-damage.ts';
import { acceptAt, decide, openAt, peersWithout, setAsideAt } from '../conflicts.ts';
import { edited } from '../damaged-store.ts';
import { reportMissingBytes } from '../deciding.ts';
import { type MemoryInstance, salt, uploadDraft } from '../memory-cluster.ts';
import { foundIn, WHOLE } from '../registry/audited.ts';
import { overriding } from '../sound-ledger.ts';
import {
  expectAllFinal,
  expectBlocked,
  expectSoundCopy,
  findTampering,
  headOf,
  linkAt,
  raised,
  rest,
  type Swarm,
  setAsideFrom,
  swarm,
  verifiedExport,
} from './conflict-swarm.ts';

/** The lead's operator decides to expel, and the entry without that mirror is recorded. */
async function expel(given: Swarm, offender: MemoryInstance): Promise<void> {
  const { cluster, client, registryId } = given;
  const decided = await decide(client, registryId, { manner: 'expel' });
  expect(decided.outcome).toBe('decided');
  await rest(cluster);
  const peers = await peersWithout(client, registryId, offender);
  const draft = { type: 'reconfigure-peers', transactionId: crypto.randomUUID(), peers } as const;
  expect((await client.append(registryId, draft)).status).toBe(201);
}

describe('a mirror is expelled while another one is 50 entries behind', () => {
  async function expelled() {
    const given = await swarm(1, 'engineer');
    const { cluster, client, contractor, registryId, all } = given;
    const engineer = all[3] as MemoryInstance;
    engineer.up = false;
    for (let index = 0; index < 50; index += 1) await client.record(registryId, `L-${index}`);
    await rest(cluster);
    await findTampering(contractor, registryId, 2);
    await rest(cluster);
    await expectBlocked(client, registryId);
    await expel(given, contractor);
    await rest(cluster);
    return { ...given, engineer };
  }

  test('that one comes back, catches up over the conflict, and confirms', async () => {
    const { cluster, client, architect, registryId, engineer } = await expelled();
    expect(await engineer.head(registryId)).toMatchObject({ sequence: 2 });

    engineer.up = true;
    await rest(cluster);

    expect(raised(engineer, 'ConflictsOpened')).toBeLessThanOrEqual(1);
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal([client, architect, engineer], registryId);
    expect(await engineer.head(registryId)).toMatchObject({ sequence: 54 });
  });

  test('the expelled one keeps a copy that verifies, and hears no more', async () => {
    const { cluster, client, contractor, registryId } = await expelled();
    const heard = contractor.requests.length;

    await client.record(registryId, 'AFTER');
    await rest(cluster);

    expect(await contractor.head(registryId)).toMatchObject({ sequence: 53 });
    expect(await openAt(contractor, registryId)).toEqual([]);
    expect(contractor.requests.length).toBe(heard);
    await expectSoundCopy(contractor, registryId);
  });
});

describe('a mirror is expelled whose own copy is wrong', () => {
  async function wrongAndExpelled() {
    const given = await swarm();
    const { cluster, contractor, registryId } = given;
    contractor.known.damage = {
      entry: (stored) => (stored.sequence === 3 ? edited(stored) : stored),
    };
    const audit = async () => {
      cluster.pass(900_000);
      const outcome = await runAudit(contractor.ports, registryId, WHOLE);
      await rest(cluster, 2);
      return foundIn(outcome);
    };
    await audit();
    await expel(given, contractor);
    await rest(cluster);
    const before = contractor.alarms.signals.length;
    const signals = () => contractor.alarms.signals.slice(before);
    return { ...given, audit, signals };
  }

  test('its audit says each finding once, and stops nobody any more', async () => {
    const { client, contractor, registryId, audit, signals } = await wrongAndExpelled();

    const found = [await audit(), await audit(), await audit()];

    expect(found).toEqual([['3 SCHEMA_VIOLATION'], ['3 SCHEMA_VIOLATION'], ['3 SCHEMA_VIOLATION']]);
    expect(signals()).toEqual(['AuditFindings']);
    expect(await openAt(contractor, registryId)).toEqual([]);
    expect(await contractor.known.auditProgress(registryId)).toMatchObject({
      lastFinding: { sequence: 3, code: 'SCHEMA_VIOLATION' },
      saidAsFormer: ['3 SCHEMA_VIOLATION'],
    });
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
  });

  test('its audit says once, too, that what it is to read first cannot be read', async () => {
    const { contractor, registryId, audit, signals } = await wrongAndExpelled();
    await audit();
    const before = signals().length;
    const progress = () => Promise.reject(new StoredDamage('the progress was damaged'));
    const store = overriding(contractor.ports.store, { progress });
    const auditDamaged = async () =>
      foundIn(await runAudit({ ...contractor.ports, store }, registryId, WHOLE));

    const found = [await auditDamaged(), await auditDamaged(), await auditDamaged()];

    expect(found).toEqual(Array(3).fill(['5 STORED_DAMAGE']));
    expect(signals().slice(before)).toEqual(['AuditFindings']);
    expect(await audit()).toEqual(['3 SCHEMA_VIOLATION']);
    expect(signals().slice(before)).toEqual(['AuditFindings']);
  });

  test('it is stopped by nothing that it finds before it confirms', async () => {
    const given = await swarm(1);
    const { cluster, client, contractor, registryId } = given;
    contractor.known.damage = {
      entry: (stored) => (stored.sequence === 3 ? edited(stored) : stored),
    };
    await client.record(registryId, 'D-2');
    await rest(cluster);
    expect(await openAt(contractor, registryId)).toMatchObject([
      { said: { kind: 'local-tampering', sequence: 3 } },
    ]);
    await expel(given, contractor);
    await rest(cluster);

    await rest(cluster);

    expect(await contractor.head(registryId)).toMatchObject({ sequence: 4 });
    expect(await openAt(contractor, registryId)).toEqual([]);
    expect(await contractor.known.progress(registryId)).toMatchObject({
      lastError: expect.stringMatching(/^the own copy is wrong: /),
    });
  });

  test('it says that it is no peer any more, and that its copy stays as it is', async () => {
    const { contractor, registryId } = await wrongAndExpelled();
    const [opened] = await contractor.known.conflicts(registryId);
    const conflictId = opened?.conflictId as Digest;
    const head = await headOf(contractor, registryId);

    const told = await readConflict(contractor.ports, head, conflictId);
    const aside = await setAsideAt(contractor, registryId, { from: 3, conflicts: [conflictId] });

    expect(told?.next).toBe(
      'Nothing more happens here: since entry 5 this instance is no peer of this registry any more. ' +
        'Nobody delivers to it; its copy stays as it is, as evidence, and is wrong from entry 3 on.',
    );
    expect(aside).toMatchObject({
      code: 'SET_ASIDE_NOT_ALLOWED',
      detail: expect.stringContaining('no peer of this registry any more'),
    });
  });

  test('it stops everybody again with what its audit finds where it was taken back', async () => {
    const { cluster, client, architect, contractor, registryId, all, audit } =
      await wrongAndExpelled();
    await audit();
    await client.reconfigure(registryId, all);
    await rest(cluster);

    await audit();

    for (const each of [client, architect, contractor])
      expect(await openAt(each, registryId)).toMatchObject([{ said: { accused: contractor.id } }]);
  });
});

describe('a joiner to a ledger with a resolved conflict of each manner', () => {
  /**
   * 5 comes after a replay. 6 replaces 4. 7 expels the contractor. 8 comes after the lead took its
   * copy back. 9 lists the newcomer.
   */
  async function joined() {
    const given = await swarm(3);
    const { cluster, client, architect, contractor, registryId } = given;
    await findTampering(contractor, registryId, 3);
    await rest(cluster);
    await setAsideFrom(contractor, registryId, 3);
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);
    await client.record(registryId, 'REPLAYED');
    await replace(given, 4);
    await findTampering(contractor, registryId, 5);
    await rest(cluster);
    await expel(given, contractor);
    await rest(cluster);
    await findTampering(client, registryId, 2);
    await decide(client, registryId, { manner: 'take-back' });
    await rest(cluster);
    await acceptAt(architect, registryId);
    await rest(cluster);
    await client.record(registryId, 'TAKEN-BACK');
    const engineer = await cluster.add('engineer');
    await client.reconfigure(registryId, [client, architect, engineer]);
    await client.record(registryId, 'LAST');
    await rest(cluster);
    return { ...given, engineer };
  }

  /** The contractor gets the bytes of that entry from nobody; another version takes its place. */
  async function replace({ cluster, client, contractor, registryId }: Swarm, sequence: number) {
    await reportMissingBytes(contractor, registryId, sequence);
    await rest(cluster);
    const supersedes = await linkAt(client, registryId, sequence);
    await decide(client, registryId, { manner: 'replace', entries: [supersedes] as never });
    await rest(cluster);
    const content = await client.upload('D-3 version 2');
    const draft = { ...uploadDraft('D-3', 2, content), supersedes };
    expect((await client.append(registryId, draft, { salt, name: 'D-3' })).status).toBe(201);
    await rest(cluster);
  }

  test('is brought what people decided, confirms, and audits sound', async () => {
    const { client, architect, registryId, engineer } = await joined();

    await expectAllFinal([client, architect, engineer], registryId);
    const { superseded, resolutions } = await verifiedExport(engineer, registryId);
    expect(resolutions.map(({ manner }) => manner)).toEqual([
      'replay',
      'replace',
      'expel',
      'take-back',
    ]);
    expect(superseded).toMatchObject([{ sequence: 4 }]);
    expect(engineer.alarms.signals).toEqual([]);
  });

  test('issues receipts of entries before, at and after each of them', async () => {
    const { cluster, registryId, engineer } = await joined();
    const trust = { clusterCaPem: cluster.authority.certificatePem, registryId };

    for (let sequence = 1; sequence <= 10; sequence += 1) {
      const path = `/v1/registries/${registryId}/entries/${sequence}/receipt`;
      const { status, bytes } = await engineer.exchange('GET', path);
      expect([sequence, status]).toEqual([sequence, 200]);
      expect(verifyReceipt(bytes, trust)).toMatchObject({
        outcome: 'verified',
        sequence,
        status: { status: expect.stringMatching(/^final/) },
      });
    }
  });
});
