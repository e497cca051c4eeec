import { beforeAll, describe, expect, test } from 'vitest';
import { type Digest, digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import { limits } from '../../shared/ledger/limits.ts';
import type { Resolution } from '../../shared/ledger/resolution.ts';
import { close } from '../../shared/registry/close.ts';
import { type Order, resolve } from '../../shared/registry/resolve.ts';
import { acceptAt, decide, openAt, signedByOperator } from '../conflicts.ts';
import { reportMissingBytes, resolutionAt } from '../deciding.ts';
import { type MemoryInstance, salt, uploadDraft } from '../memory-cluster.ts';
import {
  expectSoundCopy,
  findTampering,
  linkAt,
  rest,
  type Swarm,
  swarm,
} from '../scenarios/conflict-swarm.ts';

const OTHER = digestOf('something else');

/** The contractor found entry 3 of its own copy edited. */
async function tampered() {
  const given = await swarm(2);
  const conflictId = await findTampering(given.contractor, given.registryId, 3);
  await rest(given.cluster, 2);
  return { ...given, conflictId };
}

type Given = Swarm & { readonly conflictId: Digest };

/** The contractor gets the bytes of entry 3 from nobody. */
async function bytesMissing(documents = 2): Promise<Given> {
  const given = await swarm(documents);
  const conflictId = await reportMissingBytes(given.contractor, given.registryId, 3);
  await rest(given.cluster, 2);
  return { ...given, conflictId };
}

/** What the operator of the lead signs, and who calls. */
async function orderOf(
  { client, registryId, conflictId }: Given,
  changes: Partial<Resolution> = {},
  operator: MemoryInstance = client,
): Promise<Order> {
  const right = await resolutionAt(client, registryId, {
    conflicts: [conflictId],
    manner: 'replay',
    ...changes,
  });
  return {
    operator: client.operator.certificateId as Order['operator'],
    decision: signedByOperator(operator, right),
  };
}

async function stateOf({ known }: MemoryInstance, registryId: RegistryId) {
  return [await known.head(registryId), await known.kept(registryId)];
}

type Made = Order | Promise<Order>;

describe('a resolution about a copy that was edited', () => {
  let given: Given;
  // Shared: whatever is refused touches nothing.
  beforeAll(async () => {
    given = await tampered();
  });

  test.each<readonly [string, string, (given: Given) => Made]>([
    [
      'that is no signed statement',
      'STATEMENT_MALFORMED',
      async (given) => ({ ...(await orderOf(given)), decision: 'no.such.thing' }),
    ],
    [
      'that is a statement of another kind',
      'STATEMENT_MALFORMED',
      (given) => orderOf(given, { format: 'registry/acceptance/v1' as never }),
    ],
    [
      'whose signature is of somebody else than it names',
      'STATEMENT_SIGNER_DIFFERS',
      (given) => orderOf(given, {}, given.contractor),
    ],
    [
      'of an operator who is not the caller',
      'DECISION_DIFFERS',
      (given) => {
        const decidedBy = given.contractor.operator.certificateId as never;
        return orderOf(given, { decidedBy }, given.contractor);
      },
    ],
    [
      'for another instance',
      'DECISION_DIFFERS',
      (given) => orderOf(given, { signer: given.contractor.id }),
    ],
    [
      'of another registry',
      'STATEMENT_REGISTRY_DIFFERS',
      (given) => orderOf(given, { registryId: OTHER }),
    ],
    [
      'of a conflict that is not here',
      'CONFLICT_UNKNOWN',
      (given) => orderOf(given, { conflicts: [OTHER] }),
    ],
    [
      'that names it twice',
      'RESOLUTION_MALFORMED',
      (given) => orderOf(given, { conflicts: [given.conflictId, given.conflictId] }),
    ],
    [
      'that was decided at an earlier entry',
      'RESOLUTION_OUTDATED',
      async (given) => orderOf(given, { through: await linkAt(given.client, given.registryId, 2) }),
    ],
    [
      'that was decided at another entry in its place',
      'RESOLUTION_OUTDATED',
      async (given) => {
        const { sequence } = await linkAt(given.client, given.registryId, 3);
        return orderOf(given, { through: { sequence, digest: OTHER } });
      },
    ],
    [
      'after one that is not in force',
      'RESOLUTION_OUTDATED',
      (given) => orderOf(given, { after: OTHER }),
    ],
    [
      'by a manner that does not fit',
      'MANNER_NOT_ALLOWED',
      (given) => orderOf(given, { manner: 'take-back' }),
    ],
    [
      'that expels and names entries',
      'RESOLUTION_MALFORMED',
      async (given) => {
        const entries = [await linkAt(given.client, given.registryId, 3)];
        return orderOf(given, { manner: 'expel', entries });
      },
    ],
  ])('%s is refused with %s, and nothing is touched', async (_what, code, make) => {
    const { client, registryId } = given;
    const order = await make(given);
    const before = await stateOf(client, registryId);

    const outcome = await resolve(client.ports, registryId, order);

    expect(outcome).toMatchObject({ outcome: 'refused', code });
    expect(await stateOf(client, registryId)).toEqual(before);
  });

  test('is decided at the lead, and nowhere else', async () => {
    const given = await tampered();
    const { client, architect, registryId } = given;
    const decidedBy = architect.operator.certificateId as Resolution['decidedBy'];
    const changes = { signer: architect.id, decidedBy };
    const { decision } = await orderOf(given, changes, architect);

    const outcome = await resolve(architect.ports, registryId, { operator: decidedBy, decision });

    expect(outcome).toEqual({ outcome: 'not-lead', lead: client.id });
  });

  test('is decided about a registry that is here', async () => {
    const given = await tampered();
    const order = await orderOf(given, { registryId: OTHER });

    const outcome = await resolve(given.client.ports, OTHER as RegistryId, order);

    expect(outcome).toEqual({ outcome: 'unknown-registry' });
  });

  test('is decided once: the same again is held, and its first answer given', async () => {
    const given = await tampered();
    const { client, registryId } = given;
    const order = await orderOf(given);
    const first = await resolve(client.ports, registryId, order);
    const before = await stateOf(client, registryId);

    const again = await resolve(client.ports, registryId, order);

    expect(first).toMatchObject({ outcome: 'decided' });
    expect(again).toMatchObject({
      outcome: 'held',
      resolution: { digest: 'resolution' in first ? first.resolution.digest : '' },
    });
    expect(await stateOf(client, registryId)).toEqual(before);
  });

  test('cannot be decided about what was resolved', async () => {
    const given = await tampered();
    const { cluster, client, architect, registryId } = given;
    await decide(client, registryId, { manner: 'expel' });
    expect((await client.reconfigure(registryId, [client, architect])).status).toBe(201);
    await rest(cluster, 2);

    const outcome = await resolve(client.ports, registryId, await orderOf(given));

    expect(outcome).toMatchObject({ outcome: 'refused', code: 'CONFLICT_NOT_OPEN' });
    for (const instance of [client, architect]) await expectSoundCopy(instance, registryId);
  });

  test('cannot be decided once the registry was closed', async () => {
    const given = await tampered();
    const { client, registryId } = given;
    await close(client.ports, registryId);

    const outcome = await resolve(client.ports, registryId, await orderOf(given));

    expect(outcome).toMatchObject({ outcome: 'refused', code: 'REGISTRY_CLOSED' });
  });
});

describe('a resolution that replaces', () => {
  type Links = Resolution['entries'];

  test.each<readonly [string, string, (given: Given) => Links | Promise<Links>]>([
    [
      'an entry that is not in this ledger',
      'ENTRY_NOT_HELD',
      async ({ client, registryId }) => [
        { ...(await linkAt(client, registryId, 3)), digest: OTHER },
      ],
    ],
    ['nothing', 'RESOLUTION_MALFORMED', () => []],
    [
      'entry 1',
      'RESOLUTION_MALFORMED',
      async ({ client, registryId }) => [
        await linkAt(client, registryId, 3),
        await linkAt(client, registryId, 1),
      ],
    ],
  ])('%s is refused with %s', async (_what, code, entriesOf) => {
    const given = await bytesMissing();
    const { client, registryId } = given;
    const entries = await entriesOf(given);
    const order = await orderOf(given, { manner: 'replace', entries });

    const outcome = await resolve(client.ports, registryId, order);

    expect(outcome).toMatchObject({ outcome: 'refused', code });
  });

  test('more entries than one commit can mark is refused', async () => {
    const given = await bytesMissing(limits.replacedEntriesMax + 1);
    const { client, registryId } = given;
    const places = Array.from({ length: limits.replacedEntriesMax + 1 }, (_, index) => index + 2);
    const entries = await Promise.all(places.map((each) => linkAt(client, registryId, each)));

    const order = await orderOf(given, { manner: 'replace', entries });
    const outcome = await resolve(client.ports, registryId, order);

    expect(outcome).toMatchObject({ outcome: 'refused', code: 'TOO_LARGE' });
  });

  test('an entry that was replaced before is refused', async () => {
    const given = await bytesMissing();
    const { cluster, client, contractor, registryId } = given;
    const link = await linkAt(client, registryId, 3);
    await decide(client, registryId, { manner: 'replace', entries: [link] });
    const content = await client.upload('D-2 again');
    const draft = { ...uploadDraft('D-2', 2, content), supersedes: link };
    expect((await client.append(registryId, draft, { salt, name: 'D-2' })).status).toBe(201);
    await rest(cluster);
    const conflictId = await reportMissingBytes(contractor, registryId, 4);
    await rest(cluster, 2);

    const fourth = await linkAt(client, registryId, 4);
    const order = await orderOf(
      { ...given, conflictId },
      { manner: 'replace', entries: [link, fourth] },
    );
    const outcome = await resolve(client.ports, registryId, order);

    expect(outcome).toMatchObject({ outcome: 'refused', code: 'ALREADY_SUPERSEDED' });
  });
});

describe('a take-back', () => {
  test('needs entry 1, from the own copy or from a peer', async () => {
    const given = await swarm(2);
    const { cluster, client, architect, contractor, registryId, all } = given;
    const conflictId = await findTampering(client, registryId, 1);
    await rest(cluster, 2);
    client.known.damage = { entry: () => undefined };
    for (const mirror of [architect, contractor]) mirror.up = false;
    const order = await orderOf({ ...given, conflictId }, { manner: 'take-back' });

    const alone = await resolve(client.ports, registryId, order);
    architect.up = true;
    const helped = await resolve(client.ports, registryId, order);
    client.known.damage = {};
    contractor.up = true;
    await rest(cluster);
    for (const mirror of [architect, contractor]) await acceptAt(mirror, registryId);
    await rest(cluster);

    expect(alone).toMatchObject({ outcome: 'refused', code: 'ENTRY_NOT_HELD' });
    expect(helped).toMatchObject({ outcome: 'decided' });
    for (const instance of all) {
      expect(await openAt(instance, registryId)).toEqual([]);
      await expectSoundCopy(instance, registryId);
    }
  });
});

describe('the write of a resolution', () => {
  test.each([
    'lost',
    'done-but-lost',
    'lost-race',
  ] as const)('that is %s leads to one decision in force', async (fault) => {
    const given = await tampered();
    const { client, registryId } = given;
    client.store.plan('settle', fault, 2);

    const outcome = await resolve(client.ports, registryId, await orderOf(given));

    expect(['decided', 'held']).toContain(outcome.outcome);
    const head = await client.known.head(registryId);
    expect(head?.decided).toEqual([head?.resolution]);
    expect(client.known.breaches).toEqual([]);
  });

  test('that never succeeds is said to be unknown, and may be repeated', async () => {
    const given = await tampered();
    const { client, registryId } = given;
    const order = await orderOf(given);
    client.store.plan('settle', 'lost', 8);

    expect(await resolve(client.ports, registryId, order)).toEqual({ outcome: 'busy' });
    expect(await resolve(client.ports, registryId, order)).toMatchObject({ outcome: 'decided' });
  });
});
