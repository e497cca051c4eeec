import { describe, expect, test } from 'vitest';
import { FaultyLedgerStore } from '../../shared/adapters/memory/faulty-ledger-store.ts';
import { RecordingAlarms } from '../../shared/adapters/memory/recording-alarms.ts';
import { measureLags, type PeerLag, peerLags } from '../../shared/registry/lag.ts';
import type { Cursor } from '../../shared/registry/ports.ts';
import { wakeAll } from '../../shared/registry/wake.ts';
import { TestLedger, type TestPeer, testPeers, timeAfter } from '../builders.ts';
import { MemoryCluster } from '../memory-cluster.ts';
import { overriding } from '../sound-ledger.ts';
import { answering, clockAt, type Held, held, receive } from './reading.ts';

const HOUR = 3600;

/** Lead a, mirrors b and c; b has confirmed entry 2, c nothing; entries 3 and 4 follow. */
function ledgerOfThree() {
  const [a, b, c] = testPeers(3) as [TestPeer, TestPeer, TestPeer];
  const ledger = new TestLedger([a, b, c]);
  ledger.upload('A');
  ledger.confirm(b);
  ledger.upload('B');
  ledger.upload('C');
  return { ledger, a, b, c };
}

/** As it is so many seconds after the first entry was made. */
function at(ports: Held, seconds: number): Held {
  return { ...ports, clock: clockAt(seconds) };
}

async function rowOf(ports: Held, peer: TestPeer): Promise<PeerLag | undefined> {
  const rows = await peerLags(ports, ports.head);
  return rows.find((row) => row.peer === peer.certificateId);
}

/** Notes a delivery that failed so. */
function failing(ports: Held, peer: TestPeer, lastFailure: NonNullable<Cursor['lastFailure']>) {
  return ports.store.putCursor({
    registryId: ports.head.registryId,
    peer: peer.certificateId,
    deliveredThrough: 2,
    statementsThrough: 0,
    failures: 3,
    nextAttemptAt: timeAfter(8),
    lastError: 'as it was said',
    lastFailure,
  });
}

describe('how far a peer is behind', () => {
  test('has a row for every peer of the list, also for one that was never heard of', async () => {
    const { ledger, a, b, c } = ledgerOfThree();

    const rows = await peerLags(at(await held(ledger), 600), ledger.head);

    const none = { failures: 0, self: false };
    expect(rows).toEqual([
      {
        ...none,
        peer: a.certificateId,
        role: 'lead',
        self: true,
        state: 'in-step',
        lagEntries: 0,
        lagSeconds: 0,
      },
      {
        ...none,
        peer: b.certificateId,
        role: 'mirror',
        state: 'catching-up',
        confirmedThrough: 2,
        lagEntries: 2,
        lagSeconds: 598,
      },
      {
        ...none,
        peer: c.certificateId,
        role: 'mirror',
        state: 'catching-up',
        lagEntries: 4,
        lagSeconds: 600,
      },
    ]);
  });

  test('is nothing once it has confirmed the head, however long ago', async () => {
    const { ledger, b } = ledgerOfThree();
    ledger.confirm(b);

    const row = await rowOf(await held(ledger), b);

    expect(row).toMatchObject({ state: 'in-step', lagEntries: 0, lagSeconds: 0 });
  });

  test('of a new mirror is all entries, since it was added', async () => {
    const [a, b, c] = testPeers(3) as [TestPeer, TestPeer, TestPeer];
    const ledger = new TestLedger([a, b, c], [a, b]);
    for (const id of ['A', 'B', 'C']) ledger.upload(id);
    ledger.reconfigure(a, b, c);
    ledger.upload('D');

    const row = await rowOf(at(await held(ledger), 104), c);

    expect(row).toMatchObject({ lagEntries: 6, lagSeconds: 100 });
  });

  test('is not shortened by later peer lists', async () => {
    const [a, b, c, d] = testPeers(4) as [TestPeer, TestPeer, TestPeer, TestPeer];
    const ledger = new TestLedger([a, b, c, d], [a, b]);
    ledger.upload('A');
    ledger.reconfigure(a, b, c);
    ledger.reconfigure(a, c, b, d);
    ledger.reconfigure(a, b, c);
    const ports = at(await held(ledger), 102);

    expect(await rowOf(ports, b)).toMatchObject({ lagEntries: 5, lagSeconds: 102 });
    expect(await rowOf(ports, c)).toMatchObject({ lagEntries: 5, lagSeconds: 100 });
  });

  test('of a mirror that was removed and added again begins when it was added again', async () => {
    const { ledger, a, b, c } = ledgerOfThree();
    ledger.reconfigure(a, c);
    ledger.upload('D');
    ledger.reconfigure(a, b, c);

    const row = await rowOf(at(await held(ledger), 106), b);

    expect(row).toMatchObject({ confirmedThrough: 2, lagEntries: 5, lagSeconds: 100 });
  });

  test('of a lead that handed over leaves out what it appended itself', async () => {
    const { ledger, a, b, c } = ledgerOfThree();
    ledger.reconfigure(b, a, c);
    ledger.upload('D');

    const row = await rowOf(at(await held(ledger), 104), a);

    expect(row).toMatchObject({ role: 'mirror', lagEntries: 2, lagSeconds: 100 });
  });

  test('is never negative where the clock here is behind that of the lead', async () => {
    const { ledger, c } = ledgerOfThree();

    const row = await rowOf(at(await held(ledger), -HOUR), c);

    expect(row).toMatchObject({ state: 'in-step', lagEntries: 4, lagSeconds: 0 });
  });

  test.each([
    ['the entry', 3],
    ['the peer list', 4],
    ['the list before it', 1],
  ])('keeps its row where %s cannot be read', async (_what, damaged) => {
    const [a, b, c] = testPeers(3) as [TestPeer, TestPeer, TestPeer];
    const ledger = new TestLedger([a, b, c], [a, b]);
    ledger.upload('A');
    ledger.confirm(b);
    ledger.upload('B');
    ledger.reconfigure(a, b, c);
    ledger.upload('C');
    const ports = await held(ledger);
    const store = answering(ports.store, {
      entriesAt: async (registryId, copy, sequences) =>
        sequences.includes(damaged)
          ? [{ ...ledger.entryAt(damaged), entry: Buffer.from('x') }]
          : ports.store.entriesAt(registryId, copy, sequences),
    });

    const row = await rowOf({ ...ports, store }, b);

    expect(row).toMatchObject({ state: 'stalled', lagEntries: 3 });
    expect(row?.lagSeconds).toBeGreaterThan(86_000);
  });
});

describe('the state of a mirror', () => {
  test.each([
    ['in-step', 61],
    ['catching-up', 62],
    // Its confirmation came in at 3.
    ['catching-up', 1803],
    ['stalled', 1804],
  ])('is %s at %i seconds, where it has confirmed nothing since', async (state, seconds) => {
    const { ledger, b } = ledgerOfThree();

    const row = await rowOf(at(await held(ledger), seconds), b);

    expect(row).toMatchObject({ state, lagSeconds: seconds - 2 });
  });

  test('is catching-up as long as confirmations come in', async () => {
    const { ledger, b } = ledgerOfThree();
    const ports = await held(ledger);
    const late = ledger.confirm(b);
    await receive(ports.store, ledger, late, HOUR);
    ledger.upload('D');
    const [write] = ledger.commits.slice(-1).map((commit) => commit.write);
    if (write !== undefined) await ports.store.commit(write);
    const grown = { ...ports, head: ledger.head };

    expect(await rowOf(at(grown, HOUR + 1700), b)).toMatchObject({ state: 'catching-up' });
    expect(await rowOf(at(grown, HOUR + 1900), b)).toMatchObject({ state: 'stalled' });
  });

  test.each([
    ['unreachable', 'unreachable'],
    ['in-conflict', 'stalled'],
    ['other', 'catching-up'],
  ] as const)('after a delivery that ended %s is %s', async (lastFailure, state) => {
    const { ledger, b } = ledgerOfThree();
    const ports = at(await held(ledger), 120);
    await failing(ports, b, lastFailure);

    const row = await rowOf(ports, b);

    expect(row).toMatchObject({
      state,
      failures: 3,
      deliveredThrough: 2,
      nextAttemptAt: timeAfter(8),
      lastError: 'as it was said',
    });
  });

  test('is in-step for a minute also where it does not answer', async () => {
    const { ledger, c } = ledgerOfThree();
    const ports = at(await held(ledger), 59);
    await failing(ports, c, 'unreachable');

    expect(await rowOf(ports, c)).toMatchObject({ state: 'in-step', failures: 3 });
  });

  test('is not stalled for a mirror that has not long come so far itself', async () => {
    const { ledger, b, c } = ledgerOfThree();
    const ports = await held(ledger, c);
    const before = await rowOf(ports, b);
    await receive(ports.store, ledger, ledger.confirm(c), 86_400);

    expect(before).toMatchObject({ state: 'catching-up', lagSeconds: 86_398 });
    expect(await rowOf(at(ports, 86_400 + 1800), b)).toMatchObject({ state: 'catching-up' });
    expect(await rowOf(at(ports, 86_400 + 1801), b)).toMatchObject({ state: 'stalled' });
  });

  test('of the lead is only whether it could be reached', async () => {
    const { ledger, a, b } = ledgerOfThree();
    const ports = await held(ledger, b);
    const before = await rowOf(ports, a);
    await failing(ports, a, 'unreachable');

    expect(before).toMatchObject({ state: 'in-step', lagEntries: 0, lagSeconds: 0 });
    expect(await rowOf(ports, a)).toMatchObject({ state: 'unreachable', lagEntries: 0 });
  });
});

describe('measuring', () => {
  async function measured(ports: Held, seconds: number) {
    const alarms = new RecordingAlarms();
    const cursors = await ports.store.cursors(ports.head.registryId);
    const outcome = await measureLags({ ...at(ports, seconds), alarms }, ports.head, cursors);
    return { outcome, measured: alarms.measured };
  }

  test('is one value of each kind for every mirror that is not in step', async () => {
    const { ledger, b, c } = ledgerOfThree();
    ledger.confirm(c);
    const ports = await held(ledger);
    await failing(ports, b, 'unreachable');

    const { outcome, measured: values } = await measured(ports, 600);

    const facts = {
      registryId: ledger.registryId,
      sequence: 4,
      peer: b.certificateId,
      state: 'unreachable',
    };
    expect(outcome).toBe('behind');
    expect(values).toEqual([
      { measure: 'PeerLagEntries', value: 2, facts },
      { measure: 'PeerLagSeconds', value: 598, facts },
    ]);
  });

  test('is nothing where all are in step', async () => {
    const { ledger } = ledgerOfThree();

    expect(await measured(await held(ledger), 59)).toEqual({ outcome: 'in-step', measured: [] });
  });

  test('is a mirror about itself only', async () => {
    const { ledger, b } = ledgerOfThree();

    const { measured: values } = await measured(await held(ledger, b), 600);

    expect(new Set(values.map(({ facts }) => facts['peer']))).toEqual(new Set([b.certificateId]));
  });

  test('is nothing for an instance that was taken off the list', async () => {
    const { ledger, a, b, c } = ledgerOfThree();
    ledger.reconfigure(a, b);

    const outcome = await measured(await held(ledger, c), 86_400);

    expect(outcome).toEqual({ outcome: 'in-step', measured: [] });
  });

  test('reads one confirmation for each mirror and nothing else, where all are in step', async () => {
    const { ledger, b, c } = ledgerOfThree();
    ledger.confirm(b);
    ledger.confirm(c);
    const ports = await held(ledger);
    const store = new FaultyLedgerStore(ports.store);
    const reads = ['head', 'entries', 'entriesAt', 'cursors', 'firstConfirmationCovering'] as const;

    await measureLags({ ...ports, store, alarms: new RecordingAlarms() }, ledger.head, []);

    expect(store.calls('newestConfirmation')).toBe(2);
    expect(reads.map((method) => store.calls(method))).toEqual(reads.map(() => 0));
  });
});

describe('the sweep', () => {
  async function swarm() {
    const cluster = new MemoryCluster();
    const client = await cluster.add('client');
    const architect = await cluster.add('architect');
    const registryId = await client.create([architect]);
    await cluster.settle();
    /** What the next sweep of the lead measures. */
    const sweep = async () => {
      const before = client.alarms.measured.length;
      await wakeAll(client.ports, 'sweep');
      client.outbox.take();
      return client.alarms.measured.slice(before);
    };
    const stateShown = async (): Promise<PeerLag> =>
      (await client.call('GET', `/v1/registries/${registryId}`)).body.peers[1];
    return { cluster, client, architect, registryId, sweep, stateShown };
  }

  test('measures a dead mirror, and once 0 for the instance when it is back', async () => {
    const { cluster, client, architect, registryId, sweep, stateShown } = await swarm();
    architect.up = false;
    await client.record(registryId, 'A');
    await cluster.settle();
    cluster.pass(2 * HOUR * 1000);
    await cluster.settle();

    const dead = await sweep();
    const shown = await stateShown();
    architect.up = true;
    cluster.pass(300_000);
    await cluster.settle();
    const alive = await sweep();

    const facts = { registryId, sequence: 2, peer: architect.id, state: 'unreachable' };
    expect(dead).toEqual([
      { measure: 'PeerLagEntries', value: 1, facts },
      { measure: 'PeerLagSeconds', value: shown.lagSeconds, facts },
    ]);
    expect(shown).toMatchObject({ state: 'unreachable', confirmedThrough: 1, lagEntries: 1 });
    expect(shown.lagSeconds).toBeGreaterThanOrEqual(2 * HOUR);
    expect(alive).toEqual([{ measure: 'PeerLagSeconds', value: 0, facts: { registries: 1 } }]);
    expect(await stateShown()).toMatchObject({ state: 'in-step', lagEntries: 0, failures: 0 });
  });

  test('measures a mirror that was never seen', async () => {
    const { cluster, client, architect, registryId, sweep } = await swarm();
    const unseen = await cluster.add('unseen');
    unseen.up = false;
    await client.reconfigure(registryId, [client, architect, unseen]);
    await cluster.settle();
    cluster.pass(HOUR * 1000);
    await cluster.settle();

    const [entries, seconds] = await sweep();

    expect(entries).toMatchObject({ value: 2, facts: { peer: unseen.id, state: 'unreachable' } });
    expect(seconds?.value).toBeGreaterThanOrEqual(HOUR);
  });

  test('shows a mirror that a conflict has stopped as stalled, with the reason', async () => {
    const { cluster, client, registryId, stateShown } = await swarm();
    const problem = { code: 'REGISTRY_IN_CONFLICT', detail: 'a fork is open' };
    const body = Buffer.from(JSON.stringify(problem));
    cluster.network = () => ({ outcome: 'answered', status: 409, body });
    await client.record(registryId, 'A');
    await client.serve();
    cluster.pass(61_000);

    expect(await stateShown()).toMatchObject({
      state: 'stalled',
      lastError: expect.stringContaining('REGISTRY_IN_CONFLICT'),
    });
  });

  test('does not say 0 where a registry could not be read', async () => {
    const { client, registryId, sweep } = await swarm();
    await client.create([]);
    const store = overriding(client.known, {
      head: async (id) => {
        if (id === registryId) throw new Error('its head cannot be read');
        return client.known.head(id);
      },
    });
    client.ports = { ...client.ports, store };

    await expect(sweep()).rejects.toThrow('1 of 2 registries could not be woken');

    expect(client.alarms.measured.filter(({ facts }) => facts['registries'] === 2)).toEqual([]);
  });

  test('says 0 also for an instance without any registry', async () => {
    const alone = await new MemoryCluster().add('alone');

    await wakeAll(alone.ports, 'sweep');

    expect(alone.alarms.measured).toEqual([
      { measure: 'PeerLagSeconds', value: 0, facts: { registries: 0 } },
    ]);
  });
});
