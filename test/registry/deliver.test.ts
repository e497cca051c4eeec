import { describe, expect, test } from 'vitest';
import { deliver } from '../../shared/registry/deliver.ts';
import type { PeerAnswer } from '../../shared/registry/peer-transport.ts';
import { ownTampering, reportConflict } from '../../shared/registry/report-conflict.ts';
import { wake, wakeAll } from '../../shared/registry/wake.ts';
import { MemoryCluster, unreachable } from '../memory-cluster.ts';
import { overriding } from '../sound-ledger.ts';

async function swarm() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const contractor = await cluster.add('contractor');
  const registryId = await client.create([architect, contractor]);
  await cluster.settle();
  const cursor = (of = architect) => client.known.cursor(registryId, of.id);
  const bring = () => deliver(client.ports, registryId, architect.id);
  return { cluster, client, architect, contractor, registryId, cursor, bring };
}

function answered(status: number, body: unknown, retryAfterSeconds?: number): PeerAnswer {
  const answer = { outcome: 'answered', status, body: Buffer.from(JSON.stringify(body)) } as const;
  return retryAfterSeconds === undefined ? answer : { ...answer, retryAfterSeconds };
}

describe('a peer that fails', () => {
  test('is parked twice as long each time, at most five minutes', async () => {
    const { cluster, client, architect, registryId, cursor, bring } = await swarm();
    await client.record(registryId, 'A');
    architect.up = false;
    const waits: number[] = [];

    for (let n = 1; n <= 10; n += 1) {
      await bring();
      const { nextAttemptAt = '', failures } = (await cursor()) ?? {};
      expect(failures).toBe(n);
      waits.push(Date.parse(nextAttemptAt) - cluster.nowMs);
      cluster.nowMs = Date.parse(nextAttemptAt);
    }

    expect(waits.slice(0, 4)).toEqual([2000, 4000, 8000, 16_000]);
    expect(waits.at(-1)).toBe(300_000);
  });

  test('is left alone until its time has come, whatever old pokes there are', async () => {
    const { cluster, client, architect, registryId, bring } = await swarm();
    await client.record(registryId, 'A');
    const calledAt: number[] = [];
    cluster.network = ({ from, to }, carry) => {
      if (from !== client || to !== architect) return carry();
      calledAt.push(cluster.nowMs);
      return unreachable;
    };

    await bring();
    await bring();
    expect(calledAt).toHaveLength(1);
    // Others wait for each other meanwhile, so that time passes.
    await cluster.settle();

    const pauses = calledAt.slice(1).map((at, index) => at - (calledAt[index] ?? 0));
    expect(pauses.filter((pause) => pause < 2_000)).toEqual([]);
  });

  test('starts anew after one success', async () => {
    const { cluster, client, architect, registryId, cursor } = await swarm();
    architect.up = false;
    await client.record(registryId, 'A');
    await cluster.settle();
    architect.up = true;
    cluster.pass(2000);

    await cluster.settle();

    expect(await cursor()).toEqual({
      registryId,
      peer: architect.id,
      deliveredThrough: 2,
      statementsThrough: 0,
      failures: 0,
    });
  });

  test.each([
    [7, 7000],
    [999_999, 300_000],
    [0, 0],
  ])('and asks for %i seconds is tried again after %i ms', async (asked, waited) => {
    const { cluster, client, registryId, cursor, bring } = await swarm();
    await client.record(registryId, 'A');
    cluster.network = () => answered(503, { code: 'BUSY', detail: 'later' }, asked);

    await bring();

    expect(Date.parse((await cursor())?.nextAttemptAt ?? '') - cluster.nowMs).toBe(waited);
  });

  test('and says to come again is no alarm at first, but is one when it goes on', async () => {
    const { cluster, client, registryId, bring } = await swarm();
    await client.record(registryId, 'A');
    cluster.network = () => answered(429, { code: 'STATEMENT_AHEAD', detail: 'later' }, 1);

    const counts: number[] = [];
    for (let n = 0; n < 7; n += 1) {
      await bring();
      cluster.pass(1000);
      counts.push(client.alarms.signals.length);
    }

    expect(counts).toEqual([0, 0, 0, 0, 0, 1, 2]);
  });

  test('with a long sentence has only the beginning of it kept', async () => {
    const { cluster, client, registryId, cursor, bring } = await swarm();
    await client.record(registryId, 'A');
    cluster.network = () => answered(400, { code: 'X', detail: 'y'.repeat(1_000_000) });

    await bring();

    expect((await cursor())?.lastError).toHaveLength(500);
    expect(JSON.stringify(client.alarms.raised).length).toBeLessThan(2000);
  });

  test('does not hold up another', async () => {
    const { cluster, client, architect, contractor, registryId } = await swarm();
    architect.up = false;
    for (const id of ['A', 'B', 'C']) {
      await client.record(registryId, id);
      await cluster.settle();
    }

    expect(await contractor.head(registryId)).toMatchObject({ sequence: 4 });
    const states = (await client.call('GET', `/v1/registries/${registryId}`)).body.peers;
    expect(states[1]).toMatchObject({ deliveredThrough: 1, lastError: 'connection refused' });
    expect(states[2]).toMatchObject({ confirmedThrough: 4, deliveredThrough: 4, failures: 0 });
  });
});

describe('a peer that answers what is not so', () => {
  test.each([
    ['no answer of this protocol', answered(200, { ok: true })],
    [
      'something that is no JSON',
      { outcome: 'answered', status: 200, body: Buffer.from('<html>') } as const,
    ],
    [
      'that it holds less than it was sent',
      answered(200, {
        format: 'registry/delivery-answer/v1',
        sequence: 1,
        digest: 'ab'.repeat(32),
      }),
    ],
    ['a redirect', { outcome: 'unreachable', reason: 'a redirect' } as const],
  ])('%s: it is parked', async (_name, answer) => {
    const { cluster, client, registryId, bring, cursor } = await swarm();
    await client.record(registryId, 'A');
    cluster.network = () => answer;

    expect(await bring()).toMatchObject({ outcome: 'parked' });
    expect(await cursor()).toMatchObject({ deliveredThrough: 1, failures: 1 });
  });

  test('that it holds more than there is, gets what comes next all the same', async () => {
    const { cluster, client, architect, registryId, bring, cursor } = await swarm();
    await client.record(registryId, 'A');
    const said = { format: 'registry/delivery-answer/v1', sequence: 900, digest: 'ab'.repeat(32) };
    cluster.network = () => answered(200, said);
    await bring();
    cluster.network = (_passing, carry) => carry();
    await client.record(registryId, 'B');

    await cluster.settle();

    expect(await cursor()).toMatchObject({ deliveredThrough: 3 });
    expect(await architect.head(registryId)).toMatchObject({ sequence: 3 });
  });

  test('that it needs now these and now those entries, is not served on and on', async () => {
    const { cluster, client, registryId, bring, cursor } = await swarm();
    for (const id of ['A', 'B', 'C']) await client.record(registryId, id);
    let calls = 0;
    cluster.network = () => {
      calls += 1;
      return answered(409, { code: 'DELIVERY_GAP', detail: 'x', next: calls % 2 === 0 ? 1 : 3 });
    };

    const outcome = await bring();

    expect(outcome).toMatchObject({ outcome: 'parked' });
    expect(calls).toBeLessThanOrEqual(3);
    expect((await cursor())?.failures).toBe(1);
  });

  test('a head that another signed', async () => {
    const { cluster, client, contractor, registryId } = await swarm();
    const late = await cluster.add('late');
    await client.reconfigure(registryId, [client, contractor, late]);
    cluster.network = async ({ to, request }, carry) =>
      to === late && request.operation === 'head'
        ? contractor.answerPeer(client.certificate.certificatePem, request)
        : carry();

    const outcome = await deliver(client.ports, registryId, late.id);

    expect(outcome).toMatchObject({
      outcome: 'parked',
      reason: expect.stringContaining('not its own'),
    });
  });
});

test('a cursor that was lost is begun at the head that the peer states', async () => {
  const { cluster, client, architect, registryId, bring, cursor } = await swarm();
  for (const id of ['A', 'B']) await client.record(registryId, id);
  await cluster.settle();
  const before = architect.requests.length;
  await client.known.putCursor({
    registryId,
    peer: architect.id,
    statementsThrough: 0,
    failures: 0,
  });

  await bring();

  expect(architect.requests.slice(before).map(({ operation }) => operation)).toEqual(['head']);
  expect(await cursor()).toMatchObject({ deliveredThrough: 3 });
});

test('an older cursor, written by an invocation that was frozen, only repeats a delivery', async () => {
  const { cluster, client, architect, registryId, cursor } = await swarm();
  const old = await cursor();
  for (const id of ['A', 'B']) await client.record(registryId, id);
  await cluster.settle();
  if (old !== undefined) await client.known.putCursor(old);

  await cluster.settle();

  expect(await cursor()).toMatchObject({ deliveredThrough: 3, failures: 0 });
  expect(architect.alarms.signals).toEqual([]);
});

test('a peer that lost its newest entries says so and gets them again', async () => {
  const { client, architect, registryId, bring, cursor, cluster } = await swarm();
  await client.record(registryId, 'A');
  await client.known.putCursor({
    registryId,
    peer: architect.id,
    deliveredThrough: 1,
    statementsThrough: 0,
    failures: 0,
  });
  await client.record(registryId, 'B');
  await client.known.putCursor({
    registryId,
    peer: architect.id,
    deliveredThrough: 2,
    statementsThrough: 0,
    failures: 0,
  });

  expect(await bring()).toEqual({ outcome: 'done' });
  await cluster.settle();

  expect(await cursor()).toMatchObject({ deliveredThrough: 3 });
  expect(await architect.head(registryId)).toMatchObject({ sequence: 3 });
});

test('a turn ends after 20 requests and after 20 seconds: there is more', async () => {
  const { cluster, client, architect, registryId, cursor } = await swarm();
  architect.up = false;
  for (let n = 0; n < 230; n += 1) await client.record(registryId, `D${n}`);
  architect.up = true;
  cluster.pass(300_000);
  cluster.network = (_passing, carry) => {
    cluster.nowMs += 11_000;
    return carry();
  };

  const outcome = await deliver(client.ports, registryId, architect.id);

  expect(outcome).toEqual({ outcome: 'more' });
  expect(await cursor()).toMatchObject({ deliveredThrough: 201, failures: 0 });
});

test('a former peer that was away gets the entry that removes it, and none behind it', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  contractor.up = false;
  await client.record(registryId, 'A');
  await client.reconfigure(registryId, [client, architect]);
  for (const id of ['B', 'C', 'D']) await client.record(registryId, id);
  await cluster.settle();
  contractor.up = true;
  cluster.pass(300_000);

  await cluster.settle();

  expect(await contractor.head(registryId)).toMatchObject({ sequence: 3 });
  expect(await architect.head(registryId)).toMatchObject({ sequence: 6 });
  const sent = contractor.requests.filter(({ operation }) => operation === 'deliver');
  for (const { body } of sent) {
    const { commits } = JSON.parse(Buffer.from(body ?? []).toString());
    const entries = commits.flatMap((commit: { entries: { entry: string }[] }) => commit.entries);
    for (const { entry } of entries) expect(JSON.parse(entry).sequence).toBeLessThanOrEqual(3);
  }
});

test('a former peer that is gone for good costs an attempt now and then, and no alarm', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  contractor.up = false;
  await client.reconfigure(registryId, [client, architect]);
  for (let n = 0; n < 5; n += 1) {
    await cluster.settle();
    cluster.pass(300_000);
  }

  expect(client.alarms.signals).toEqual([]);
  expect((await client.known.cursor(registryId, contractor.id))?.failures).toBe(5);
});

describe('waking', () => {
  test('makes good a poke that was lost', async () => {
    const { cluster, client, architect, registryId } = await swarm();
    await client.record(registryId, 'A');
    await wakeAll(client.ports, 'lost');
    client.outbox.take();

    await cluster.settle();

    expect(await architect.head(registryId)).toMatchObject({ sequence: 2 });
  });

  test('pokes nobody where nothing is due', async () => {
    const { client, architect, registryId } = await swarm();

    await wake(client.ports, registryId, 'test');
    await wake(architect.ports, registryId, 'test');

    expect([...client.outbox.take(), ...architect.outbox.take()]).toEqual([]);
  });

  test('raises the alarm for every open conflict, each time, until it is resolved', async () => {
    const { client, registryId } = await swarm();
    await wakeAll(client.ports, 'before');
    const conflictId = await reportConflict(
      client.ports,
      registryId,
      ownTampering(client.ports, registryId, 1, 'seen'),
    );
    const opened = client.alarms.raised.length;

    await wakeAll(client.ports, 'first');
    await wakeAll(client.ports, 'second');

    const facts = { registryId, open: 1, first: conflictId };
    expect(opened).toBe(2);
    expect(client.alarms.raised.slice(opened)).toEqual([
      { signal: 'OpenConflicts', facts },
      { signal: 'OpenConflicts', facts },
    ]);
  });

  test('goes on with the other registries where one fails, and says so at the end', async () => {
    const { client, architect } = await swarm();
    const others = [await client.create([architect]), await client.create([architect])];
    const all = (await client.known.registries(undefined, 10)).length;
    const [bad] = await client.known.registries(undefined, 1);
    const store = overriding(client.known, {
      head: async (id) => {
        if (id === bad) throw new Error('its head cannot be read');
        return client.known.head(id);
      },
    });
    const swept = wakeAll({ ...client.ports, store }, 'sweep');

    await expect(swept).rejects.toThrow(`1 of ${all} registries could not be woken`);
    const poked = new Set(client.outbox.take().map(({ registryId }) => registryId));
    expect(others.filter((id) => id !== bad).every((id) => poked.has(id))).toBe(true);
  });

  test('counts more registries than one page holds', async () => {
    const { client } = await swarm();
    for (let n = 0; n < 104; n += 1) await client.create([]);

    expect(await wakeAll(client.ports, 'sweep')).toBe(105);
  });
});
