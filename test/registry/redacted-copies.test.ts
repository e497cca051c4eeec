import { describe, expect, test } from 'vitest';
import type { CertificateId, RegistryId, Sequence } from '../../shared/ledger/digest.ts';
import { redactionOf } from '../../shared/ledger/redaction.ts';
import { fillCopy } from '../../shared/registry/fill-copy.ts';
import type { LedgerStore, StoredEntry } from '../../shared/registry/ports.ts';
import { redactDetails } from '../../shared/registry/redact.ts';
import { StoredDamage } from '../../shared/registry/stored-damage.ts';
import { acceptAt, decide, signedByOperator } from '../conflicts.ts';
import { edited } from '../damaged-store.ts';
import { type MemoryInstance, uploadDraft } from '../memory-cluster.ts';
import {
  entryAt,
  expectAllFinal,
  expectSoundCopy,
  findTampering,
  headOf,
  rest,
  setAsideFrom,
  swarm,
} from '../scenarios/conflict-swarm.ts';
import { overriding } from '../sound-ledger.ts';

/** The operator of the instance redacts the details of the entry, as it was read. */
async function redactAt(
  instance: MemoryInstance,
  registryId: RegistryId,
  sequence: number,
  read?: { readonly copy: number; readonly stored: StoredEntry },
) {
  const { copy } = read ?? (await headOf(instance, registryId));
  const stored = read?.stored ?? (await entryAt(instance, registryId, sequence));
  const operator = instance.operator.certificateId as CertificateId;
  const redaction = redactionOf({
    registryId,
    signer: instance.id,
    sequence: sequence as Sequence,
    decidedBy: operator,
    reason: 'Löschverlangen vom 3. November',
  });
  const order = { operator, decision: signedByOperator(instance, redaction) };
  return redactDetails(instance.ports, { registryId, copy }, stored, order);
}

/** In each copy in turn: whether the entry has its details there, or their redaction. */
async function standsIn({ known }: MemoryInstance, registryId: RegistryId, sequence: number) {
  const { copy: last } = (await known.head(registryId)) ?? { copy: 0 };
  const found: string[] = [];
  for (let copy = 1; copy <= last; copy += 1) {
    const [held] = await known.entriesAt(registryId, copy, [sequence]);
    const details = held?.details === undefined ? [] : ['details'];
    const redaction = held?.redaction === undefined ? [] : ['redaction'];
    found.push([...details, ...redaction].join());
  }
  return found;
}

/** A mirror begins its next copy at that entry, and the lead delivers from there on. */
async function beginAgain(
  given: Awaited<ReturnType<typeof swarm>>,
  from: number,
  mirror = given.contractor,
) {
  await findTampering(mirror, given.registryId, from);
  await rest(given.cluster, 2);
  await setAsideFrom(mirror, given.registryId, from);
  await decide(given.client, given.registryId, { manner: 'replay' });
  await rest(given.cluster);
}

describe('details that a mirror redacted', () => {
  test('do not come back when the lead delivers them into its next copy', async () => {
    const given = await swarm();
    const { client, contractor, registryId, all } = given;
    await redactAt(contractor, registryId, 3);

    await beginAgain(given, 2);

    expect(await headOf(contractor, registryId)).toMatchObject({ copy: 2 });
    expect(await standsIn(contractor, registryId, 3)).toEqual(['redaction', 'redaction']);
    expect(await standsIn(contractor, registryId, 4)).toEqual(['details', 'details']);
    expect(await standsIn(client, registryId, 3)).toEqual(['details']);
    await client.record(registryId, 'AFTER');
    await rest(given.cluster);
    await expectAllFinal(all, registryId);
  });

  test('stay redacted through a second new copy, taken over from the first', async () => {
    const given = await swarm();
    const { contractor, registryId } = given;
    await redactAt(contractor, registryId, 3);
    await beginAgain(given, 2);

    await beginAgain(given, 4);

    expect(await standsIn(contractor, registryId, 3)).toEqual(Array(3).fill('redaction'));
    await expectSoundCopy(contractor, registryId);
  });

  test('do not come back with entry 1 from a peer, where the own one was edited', async () => {
    const given = await swarm();
    const { contractor, registryId } = given;
    await redactAt(contractor, registryId, 1);
    contractor.known.damage = {
      entry: (stored, copy) => (copy === 1 && stored.sequence === 1 ? edited(stored) : stored),
    };

    await beginAgain(given, 1);

    expect(await standsIn(contractor, registryId, 1)).toEqual(['redaction', 'redaction']);
  });

  test('do not come back where somebody edited the transaction beside the redaction', async () => {
    const given = await swarm();
    const { contractor, registryId } = given;
    await redactAt(contractor, registryId, 3);
    contractor.known.damage = {
      entry: (stored, copy) => (copy === 1 && stored.sequence === 3 ? edited(stored) : stored),
    };

    await beginAgain(given, 3);

    expect(await standsIn(contractor, registryId, 3)).toEqual(['redaction', 'redaction']);
  });

  test('come again where what stands in the older copy is no redaction of any peer', async () => {
    const given = await swarm();
    const { contractor, registryId } = given;
    const made = { statement: 'a', decision: 'b' } as never;
    contractor.known.damage = {
      entry: (stored, copy) =>
        copy === 1 && stored.sequence === 3 ? { ...stored, redaction: made } : stored,
    };

    await beginAgain(given, 3);

    expect(await entryAt(contractor, registryId, 3)).toHaveProperty('details');
    await expectSoundCopy(contractor, registryId);
  });

  test('stay redacted beside an older entry that cannot be read', async () => {
    const given = await swarm();
    const { contractor, registryId } = given;
    await redactAt(contractor, registryId, 3);
    await redactAt(contractor, registryId, 4);
    contractor.ports = {
      ...contractor.ports,
      store: overriding(contractor.store, {
        entriesAt: async (id, copy, sequences) => {
          if (copy === 1 && sequences.includes(4)) throw new StoredDamage('entry 4 is broken');
          return contractor.store.entriesAt(id, copy, sequences);
        },
      }),
    };

    await beginAgain(given, 2);

    expect(await standsIn(contractor, registryId, 3)).toEqual(['redaction', 'redaction']);
  });
});

test('details that a lead redacted do not come back when it takes back from its peers', async () => {
  const { cluster, client, architect, contractor, registryId, all } = await swarm();
  await redactAt(client, registryId, 3);
  client.known.damage = {
    entry: (stored, copy) => (copy === 1 && stored.sequence === 2 ? edited(stored) : stored),
  };
  await findTampering(client, registryId, 2);
  await rest(cluster);

  await decide(client, registryId, { manner: 'take-back' });
  await rest(cluster);
  for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
  await rest(cluster);

  expect(await standsIn(client, registryId, 3)).toEqual(['redaction', 'redaction']);
  expect((await client.record(registryId, 'AFTER')).status).toBe(201);
  await rest(cluster);
  await expectAllFinal(all, registryId);
});

test('details are taken out of an older copy where the same transaction stands elsewhere', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  for (const mirror of [architect, contractor]) mirror.up = false;
  const again = uploadDraft('AGAIN', 1, await client.upload('AGAIN version 1'));
  const append = () =>
    client.append(registryId, again, { salt: '00'.repeat(16), name: 'Plan of Ms Huber' });
  await client.record(registryId, 'LOST');
  await append();
  // Both stand in the lead's first copy only, which is wrong there: its second one lacks them.
  client.known.damage = {
    entry: (stored, copy) => (copy === 1 && stored.sequence === 5 ? edited(stored) : stored),
  };
  await findTampering(client, registryId, 5);
  for (const mirror of [architect, contractor]) mirror.up = true;
  await rest(cluster);
  await decide(client, registryId, { manner: 'take-back' });
  await rest(cluster);
  for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
  await rest(cluster);
  expect((await append()).status).toBe(201);

  await redactAt(client, registryId, 5);

  expect(await standsIn(client, registryId, 5)).toEqual(['details', 'redaction']);
  expect(await standsIn(client, registryId, 6)).toEqual(['redaction', '']);
  await expectSoundCopy(client, registryId);
});

describe('a redaction in a later copy', () => {
  async function inSecondCopy() {
    const given = await swarm();
    await beginAgain(given, 2);
    return given;
  }

  test('takes the details out of the older copy too', async () => {
    const { contractor, registryId } = await inSecondCopy();

    const outcome = await redactAt(contractor, registryId, 3);

    expect(outcome).toMatchObject({ outcome: 'redacted' });
    expect(await standsIn(contractor, registryId, 3)).toEqual(['redaction', 'redaction']);
    expect(await standsIn(contractor, registryId, 2)).toEqual(['details', 'details']);
    await expectSoundCopy(contractor, registryId);
  });

  test('that stopped between two copies goes on when it is repeated', async () => {
    const { contractor, registryId } = await inSecondCopy();
    contractor.store.plan('entriesAt', 'lost');

    await expect(redactAt(contractor, registryId, 3)).rejects.toThrow('scripted fault');
    expect(await standsIn(contractor, registryId, 3)).toEqual(['details', 'redaction']);

    expect(await redactAt(contractor, registryId, 3)).toMatchObject({ outcome: 'held' });
    expect(await standsIn(contractor, registryId, 3)).toEqual(['redaction', 'redaction']);
  });

  test('takes the details out of an older entry that cannot be read', async () => {
    const { contractor, registryId } = await inSecondCopy();
    contractor.ports = {
      ...contractor.ports,
      store: overriding(contractor.store, {
        entriesAt: async (id, copy, sequences) => {
          if (copy === 1) throw new StoredDamage('it is broken');
          return contractor.store.entriesAt(id, copy, sequences);
        },
      }),
    };

    await redactAt(contractor, registryId, 3);

    expect(await standsIn(contractor, registryId, 3)).toEqual(['redaction', 'redaction']);
  });

  test('leaves another entry of the same place in an older copy as it is', async () => {
    const { contractor, registryId } = await inSecondCopy();
    contractor.known.damage = {
      entry: (stored, copy) =>
        copy === 1 && stored.sequence === 3
          ? { ...edited(stored), digest: 'ab'.repeat(32) as StoredEntry['digest'] }
          : stored,
    };

    await redactAt(contractor, registryId, 3);

    expect(await standsIn(contractor, registryId, 3)).toEqual(['details', 'redaction']);
  });

  test('of which the head moves on for ever is not said to be done', async () => {
    const { contractor, registryId } = await inSecondCopy();
    contractor.store.plan('settle', 'lost-race', 8);

    await expect(redactAt(contractor, registryId, 3)).rejects.toThrow('redact them again');
  });
});

describe('a redaction while a new copy is being filled', () => {
  /** The mirror's new copy holds entry 1 only; who redacts has read the entry in the old one. */
  async function filling() {
    const given = await swarm();
    const { cluster, contractor, registryId } = given;
    const read = { copy: 1, stored: await entryAt(contractor, registryId, 3) };
    await findTampering(contractor, registryId, 4);
    await rest(cluster, 2);
    await setAsideFrom(contractor, registryId, 4);
    expect(await headOf(contractor, registryId)).toMatchObject({ copy: 2, sequence: 1 });
    return { ...given, read };
  }

  /** Fills, and redacts once at the moment when the filling has called that method. */
  async function redactAmidst(
    given: Awaited<ReturnType<typeof filling>>,
    method: 'entriesAt' | 'commit',
  ) {
    const { contractor, registryId, read } = given;
    const { store } = contractor.ports;
    let redacting: Promise<unknown> | undefined;
    const amidst = overriding(store, {
      [method]: async (...parameters: never[]) => {
        const call = store[method] as (...given: never[]) => Promise<unknown>;
        const answer = await call.apply(store, parameters);
        redacting ??= redactAt(contractor, registryId, 3, read);
        await redacting;
        return answer;
      },
    } as Partial<LedgerStore>);
    await fillCopy({ ...contractor.ports, store: amidst }, registryId);
    expect(redacting).toBeDefined();
  }

  test.each([
    'entriesAt',
    'commit',
  ] as const)('counts in the new copy, also right after the %s of the filling', async (method) => {
    const given = await filling();
    const { cluster, client, contractor, registryId, all } = given;

    await redactAmidst(given, method);

    expect(await headOf(contractor, registryId)).toMatchObject({ copy: 2, sequence: 3 });
    expect(await standsIn(contractor, registryId, 3)).toEqual(['redaction', 'redaction']);
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);
    await client.record(registryId, 'AFTER');
    await rest(cluster);
    await expectAllFinal(all, registryId);
  });
});
