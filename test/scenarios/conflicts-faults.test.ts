import { describe, expect, test } from 'vitest';
import { digestOf } from '../../shared/ledger/digest.ts';
import type { LedgerStore } from '../../shared/registry/ports.ts';
import { acceptAt, decide, setAsideAt } from '../conflicts.ts';
import { reportMissingBytes } from '../deciding.ts';
import { type MemoryInstance, salt, uploadDraft } from '../memory-cluster.ts';
import { overriding } from '../sound-ledger.ts';
import {
  expectAllFinal,
  findTampering,
  headOf,
  linkAt,
  type Swarm,
  swarm,
  WHILE_MS,
} from './conflict-swarm.ts';

/** Both look the same to the caller. */
type Fault = 'lost' | 'done-but-lost';

const WRITES = ['openConflict', 'settle', 'keep', 'commit'] as const;

/** Which calls of a method fail: the first one, and then as a digest draws, about one in two. */
function fails(method: string, call: number): boolean {
  return call === 1 || digestOf(`${method} ${call}`) < '7';
}

/** From now on writes of each kind fail at the instance again and again; how often, so far. */
function failAgainAndAgain(instance: MemoryInstance, fault: Fault): () => number {
  let failed = 0;
  const store = instance.ports.store;
  const failing = (method: (typeof WRITES)[number]) => {
    let calls = 0;
    return async (...parameters: never[]): Promise<unknown> => {
      calls += 1;
      const write = () => (store[method] as (...given: never[]) => Promise<unknown>)(...parameters);
      if (!fails(`${instance.name} ${method}`, calls)) return write();
      failed += 1;
      if (fault === 'done-but-lost') await write();
      throw new Error(`${method} was ${fault}`);
    };
  };
  const methods = Object.fromEntries(WRITES.map((method) => [method, failing(method)]));
  instance.ports = { ...instance.ports, store: overriding(store, methods as Partial<LedgerStore>) };
  return () => failed;
}

/** A poke that fails is lost: the next sweep makes it good. */
async function rest({ cluster }: Swarm, rounds = 30): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    cluster.pass(WHILE_MS);
    await cluster.settle().catch(() => undefined);
  }
}

/** Whoever is told that something failed does the same again. */
async function repeated<T>(act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; attempt < 5; attempt += 1) {
    try {
      return await act();
    } catch {
      // What failed is unknown.
    }
  }
  return act();
}

/** How a conflict comes about and is resolved, each step repeated until it succeeds. */
const stories: Readonly<Record<string, (given: Swarm) => Promise<readonly MemoryInstance[]>>> = {
  replay: async (given) => {
    const { client, contractor, registryId, all } = given;
    await repeated(() => findTampering(contractor, registryId, 3));
    await rest(given, 6);
    await repeated(() => setAsideAt(contractor, registryId, { from: 3 }));
    await repeated(() => decide(client, registryId, { manner: 'replay' }));
    await rest(given);
    return all;
  },
  expel: async (given) => {
    const { client, architect, contractor, registryId } = given;
    await repeated(() => findTampering(contractor, registryId, 3));
    await rest(given, 6);
    await repeated(() => decide(client, registryId, { manner: 'expel' }));
    await rest(given, 6);
    const answer = await client.reconfigure(registryId, [client, architect]);
    expect(answer.status).toBe(201);
    await rest(given);
    return [client, architect];
  },
  replace: async (given) => {
    const { client, contractor, registryId, all } = given;
    await repeated(() => reportMissingBytes(contractor, registryId, 3));
    await rest(given, 6);
    const supersedes = await linkAt(client, registryId, 3);
    const entries = [supersedes] as never;
    await repeated(() => decide(client, registryId, { manner: 'replace', entries }));
    await rest(given, 6);
    const content = await client.upload('D-2, once more');
    const draft = { ...uploadDraft('D-2', 2, content), supersedes };
    expect((await client.append(registryId, draft, { salt, name: 'D-2' })).status).toBe(201);
    await rest(given);
    return all;
  },
  'take-back': async (given) => {
    const { client, architect, contractor, registryId, all } = given;
    await repeated(() => findTampering(client, registryId, 3));
    await rest(given, 6);
    await repeated(() => decide(client, registryId, { manner: 'take-back' }));
    await rest(given, 6);
    for (const mirror of [architect, contractor])
      await repeated(() => acceptAt(mirror, registryId));
    await rest(given);
    return all;
  },
};

describe.each(['lost', 'done-but-lost'] as const)('writes are %s again and again', (fault) => {
  test.each(
    Object.keys(stories),
  )('and a conflict still ends in %s, once repeated', async (name) => {
    const given = await swarm();
    const { client, registryId, all } = given;
    const failures = all.map((instance) => failAgainAndAgain(instance, fault));

    const left = (await stories[name]?.(given)) ?? [];
    const after = await client.record(registryId, 'AFTER');
    await rest(given);

    expect(after.status).toBe(201);
    for (const failed of failures) expect(failed()).toBeGreaterThan(0);
    await expectAllFinal(left, registryId);
    const kept = await client.known.kept(registryId);
    expect(kept.filter(({ kind }) => kind === 'resolution')).toHaveLength(1);
    expect((await headOf(client, registryId)).decided ?? []).toEqual([]);
    for (const { alarms } of left)
      expect(alarms.signals.filter((each) => each === 'ConflictsOpened')).toHaveLength(1);
  });
});
