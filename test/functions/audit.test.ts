import { describe, expect, test } from 'vitest';
import { createAudit } from '../../functions/audit.ts';
import type { Instance } from '../../shared/adapters/aws/instance.ts';
import { environmentNames, parseConfig } from '../../shared/config.ts';
import type { RegistryId } from '../../shared/ledger/digest.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';
import { overriding } from '../sound-ledger.ts';

const MINUTE_MS = 60_000;

interface Line {
  readonly level: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, string | number>>;
}

/** A client that leads so many registries of two documents each, mirrored by an architect. */
async function auditedCluster(registries: number) {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const ids: RegistryId[] = [];
  for (let n = 0; n < registries; n += 1) {
    const registryId = await client.create([architect], `Los ${n}`);
    await client.record(registryId, 'A');
    await client.record(registryId, 'B');
    ids.push(registryId);
  }
  await cluster.settle();
  return { cluster, client, architect, ids };
}

/** The function of that instance, with what it says; `changes` of the instance's ports. */
function auditOf(instance: MemoryInstance, changes: Partial<Instance> = {}) {
  const lines: Line[] = [];
  const handler = createAudit(
    async () => ({ ...instance.ports, ...changes }),
    (level, message, facts) => lines.push({ level, message, facts }),
  );
  const audited = () =>
    lines.filter(({ message }) => message === 'audited').map(({ facts }) => facts['registryId']);
  return { handler, lines, audited };
}

function within(milliseconds: number) {
  return { getRemainingTimeInMillis: () => milliseconds };
}

describe('the audit', () => {
  test('takes every registry, asks its peers, and says what it read', async () => {
    const { client, architect, ids } = await auditedCluster(3);

    for (const instance of [client, architect]) {
      const { handler, lines, audited } = auditOf(instance);
      await handler({}, within(15 * MINUTE_MS));

      expect(audited().sort()).toEqual([...ids].sort());
      expect(lines[0]).toMatchObject({
        level: 'info',
        facts: {
          outcome: 'audited',
          from: 1,
          through: 3,
          entries: 3,
          documents: 2,
          findings: 0,
          peersAnswered: 1,
          peersDiffering: 0,
          late: 'false',
        },
      });
      expect(lines.at(-1)).toEqual({
        level: 'info',
        message: 'audit round',
        facts: { audited: 3, left: 0 },
      });
      expect(instance.alarms.signals).not.toContain('AuditFindings');
    }
  });

  test('records what is wrong and says it loudly, and takes the other registries as well', async () => {
    const { client, ids } = await auditedCluster(2);
    const [damaged = '' as RegistryId, sound] = ids;
    const store = overriding(client.store, {
      entriesAt: async (registryId, copy, sequences) => {
        const found = await client.store.entriesAt(registryId, copy, sequences);
        return found.filter(({ sequence }) => registryId !== damaged || sequence !== 2);
      },
    });
    const { handler, lines } = auditOf(client, { store });

    await handler({}, within(15 * MINUTE_MS));

    const levels = Object.fromEntries(
      lines.map(({ level, facts }) => [facts['registryId'], level]),
    );
    expect(levels).toMatchObject({ [damaged]: 'error', [sound as string]: 'info' });
    expect(client.alarms.signals).toContain('AuditFindings');
    expect((await client.known.head(damaged))?.openConflicts).toHaveLength(1);
    expect((await client.record(damaged, 'C')).body).toMatchObject({
      code: 'REGISTRY_IN_CONFLICT',
    });
    expect((await client.record(sound as RegistryId, 'C')).status).toBe(201);
  });

  test('says loudly that the table was restored', async () => {
    const { client } = await auditedCluster(1);
    const store = overriding(client.store, { tableId: async () => 'another' });
    const { handler, lines } = auditOf(client, { store });

    await handler({}, within(15 * MINUTE_MS));

    expect(lines[0]).toMatchObject({ level: 'error', facts: { outcome: 'table-changed' } });
  });

  test('goes on where one registry fails, and fails at the end', async () => {
    const { client, ids } = await auditedCluster(3);
    const [, failing] = ids;
    const store = overriding(client.store, {
      head: async (registryId) => {
        if (registryId === failing) throw new Error('the table does not answer');
        return client.store.head(registryId);
      },
    });
    const { handler, audited } = auditOf(client, { store });

    await expect(handler({}, within(15 * MINUTE_MS))).rejects.toThrow(
      '1 of 3 registries could not be audited; the first: the table does not answer',
    );

    expect(audited().sort()).toEqual(ids.filter((id) => id !== failing).sort());
  });
});

describe('an audit that an operator asks for', () => {
  /** Everything was read a while ago; then the bytes of entry 2 of the second registry change. */
  async function changed() {
    const { cluster, client, ids } = await auditedCluster(2);
    const { handler, lines, audited } = auditOf(client);
    await handler({}, within(15 * MINUTE_MS));
    const [, registryId = '' as RegistryId] = ids;
    const [stored] = await client.known.entries(registryId, 1, { from: 2, count: 1 });
    const { contentDigest } = JSON.parse(Buffer.from(stored?.transaction ?? '').toString());
    client.blobs.corrupt(contentDigest, Buffer.from('A VERSION 1'));
    cluster.pass(15 * MINUTE_MS);
    await handler({}, within(15 * MINUTE_MS));
    expect(client.alarms.signals).not.toContain('AuditFindings');
    lines.length = 0;
    return { client, registryId, handler, audited };
  }

  test('reads these entries with their bytes now, and records what is wrong', async () => {
    const { client, registryId, handler, audited } = await changed();

    const answer = await handler({ registryId, entries: [2] }, within(15 * MINUTE_MS));

    expect(answer).toMatchObject({
      outcome: 'audited',
      findings: [{ sequence: 2, code: 'DOCUMENT_DIFFERS' }],
    });
    expect(audited()).toEqual([registryId]);
    expect((await client.record(registryId, 'C')).body).toMatchObject({
      code: 'REGISTRY_IN_CONFLICT',
      kinds: ['local-tampering'],
    });
  });

  test('names entries that are there, and a registry', async () => {
    const { registryId, handler } = await changed();

    for (const wrong of [
      { registryId },
      { registryId, entries: [0] },
      { registryId: 'x', entries: [2] },
    ])
      await expect(handler(wrong)).rejects.toThrow('expected {"registryId": "…", "entries": [2]}');
    expect(await handler({ registryId, entries: [99] })).toEqual({
      outcome: 'audited',
      findings: [],
    });
  });
});

describe('the time of the audit', () => {
  /** An instance on which every registry takes four minutes. */
  async function slow() {
    const { cluster, client, ids } = await auditedCluster(5);
    const store = overriding(client.store, {
      progress: async (registryId) => {
        cluster.nowMs += 4 * MINUTE_MS;
        return client.store.progress(registryId);
      },
    });
    return { ...auditOf(client, { store }), ids };
  }

  test('ends a minute before the function would be stopped', async () => {
    const { handler, lines, audited } = await slow();

    await handler({}, within(9 * MINUTE_MS));

    expect(audited()).toHaveLength(2);
    expect(lines.at(-1)).toMatchObject({ level: 'warn', facts: { audited: 2, left: 3 } });
  });

  test('is ten minutes where nobody says how much there is', async () => {
    const { handler, audited } = await slow();

    await handler();

    expect(audited()).toHaveLength(3);
  });

  test('goes first to the registries that have waited longest', async () => {
    const { handler, audited, ids } = await slow();

    for (let n = 0; n < 5; n += 1) await handler({}, within(9 * MINUTE_MS));

    expect(audited()).toHaveLength(10);
    expect(audited().slice(0, 5).sort()).toEqual([...ids].sort());
    expect(audited().slice(5)).toEqual(audited().slice(0, 5));
  });
});

describe('the period of the audit', () => {
  function environment(days: string) {
    const filled = Object.fromEntries(environmentNames.map((name) => [name, 'x']));
    const lists = { APPLICATIONS: '', OPERATORS: '', AUDITORS: '', DENIED: '' };
    return { ...filled, ...lists, ADMITTED_LEADS: 'any', AUDIT_PERIOD_DAYS: days };
  }

  test.each([1, 30, 365])('may be %i days', (days) => {
    expect(parseConfig(environment(String(days))).auditPeriodDays).toBe(days);
  });

  test.each(['0', '366', '7.5', '-1', '1e2', 'a month', ''])('is refused as "%s"', (days) => {
    expect(() => parseConfig(environment(days))).toThrow(
      `environment variable AUDIT_PERIOD_DAYS is "${days}": expected a whole number from 1 to 365`,
    );
  });
});

test('the audit says first how many days the certificates have left', async () => {
  const { client } = await auditedCluster(0);

  await auditOf(client).handler();

  const measured = client.alarms.measured.map(({ measure }) => measure);
  expect(measured.filter((measure) => !measure.startsWith('PeerLag'))).toEqual([
    'InstanceCertificateDays',
    'ClusterCaDays',
  ]);
});
