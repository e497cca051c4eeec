import { beforeAll, describe, expect, test } from 'vitest';
import { type Digest, digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import type { SetAside } from '../../shared/ledger/resolution.ts';
import { close } from '../../shared/registry/close.ts';
import { reportConflict } from '../../shared/registry/report-conflict.ts';
import type { Order } from '../../shared/registry/resolve.ts';
import { setAside } from '../../shared/registry/set-aside.ts';
import { decide, openAt, signedByOperator } from '../conflicts.ts';
import { reportMissingBytes, setAsideAt } from '../deciding.ts';
import type { MemoryInstance } from '../memory-cluster.ts';
import { checkpointBy, forkAt } from '../scenarios/conflict-claims.ts';
import {
  expectAllFinal,
  expectSoundCopy,
  findTampering,
  headOf,
  rest,
  type Swarm,
  swarm,
} from '../scenarios/conflict-swarm.ts';

const OTHER = digestOf('something else');

/** The contractor found entry 3 of its own copy edited. */
async function tampered() {
  const given = await swarm(3);
  const conflictId = await findTampering(given.contractor, given.registryId, 3);
  await rest(given.cluster, 2);
  return { ...given, conflictId };
}

type Given = Swarm & { readonly conflictId: Digest };

/** What an operator of the mirror signs, and who calls. */
function orderOf(
  { contractor, registryId, conflictId }: Given,
  changes: Partial<SetAside> = {},
  [mirror, operator]: readonly [MemoryInstance, MemoryInstance] = [contractor, contractor],
): Order {
  const from = 3 as SetAside['from'];
  const right = setAsideAt(mirror, registryId, { conflicts: [conflictId], from, ...changes });
  return {
    operator: mirror.operator.certificateId as Order['operator'],
    decision: signedByOperator(operator, right),
  };
}

async function stateOf({ known }: MemoryInstance, registryId: RegistryId) {
  return [await known.head(registryId), await known.kept(registryId)];
}

describe('a set-aside', () => {
  let given: Given;
  // Shared: whatever is refused touches nothing.
  beforeAll(async () => {
    given = await tampered();
  });

  test.each<readonly [string, string, (given: Given) => Order]>([
    [
      'that is no signed statement',
      'STATEMENT_MALFORMED',
      (given) => ({ ...orderOf(given), decision: 'no.such.thing' }),
    ],
    [
      'that is a statement of another kind',
      'STATEMENT_MALFORMED',
      (given) => orderOf(given, { format: 'registry/acceptance/v1' as never }),
    ],
    [
      'whose signature is of somebody else than it names',
      'STATEMENT_SIGNER_DIFFERS',
      (given) => orderOf(given, {}, [given.contractor, given.architect]),
    ],
    [
      'for another instance',
      'DECISION_DIFFERS',
      (given) => orderOf(given, { signer: given.architect.id }),
    ],
    [
      'of another registry',
      'STATEMENT_REGISTRY_DIFFERS',
      (given) => orderOf(given, { registryId: OTHER }),
    ],
    [
      'for a conflict that is not open',
      'CONFLICT_NOT_OPEN',
      (given) => orderOf(given, { conflicts: [OTHER] }),
    ],
    [
      'that begins the same copy again',
      'SET_ASIDE_NOT_ALLOWED',
      (given) => orderOf(given, { copy: 1 as SetAside['copy'] }),
    ],
    [
      'that leaves a copy out',
      'SET_ASIDE_NOT_ALLOWED',
      (given) => orderOf(given, { copy: 3 as SetAside['copy'] }),
    ],
    [
      'with a reason of white space only',
      'SCHEMA_VIOLATION',
      (given) => orderOf(given, { reason: ' \t ' }),
    ],
    [
      'that would keep the entry that was edited',
      'SET_ASIDE_NOT_ALLOWED',
      (given) => orderOf(given, { from: 4 as SetAside['from'] }),
    ],
  ])('%s is refused with %s, and nothing is touched', async (_what, code, make) => {
    const { contractor, registryId } = given;
    const before = await stateOf(contractor, registryId);

    const outcome = await setAside(contractor.ports, registryId, make(given));

    expect(outcome).toMatchObject({ outcome: 'refused', code });
    expect(await stateOf(contractor, registryId)).toEqual(before);
  });

  test('is nothing for a lead, which takes back', async () => {
    const given = await swarm(3);
    const { client, registryId } = given;
    const conflictId = await findTampering(client, registryId, 3);

    const order = orderOf({ ...given, conflictId }, {}, [client, client]);
    const outcome = await setAside(client.ports, registryId, order);

    expect(outcome).toMatchObject({ outcome: 'refused', code: 'SET_ASIDE_NOT_ALLOWED' });
  });

  test('is nothing for a mirror whose own copy is not in question', async () => {
    const given = await tampered();
    const { architect, contractor, registryId } = given;
    const missing = await reportMissingBytes(contractor, registryId, 3);

    const others = await setAside(
      architect.ports,
      registryId,
      orderOf(given, {}, [architect, architect]),
    );
    const bytes = await setAside(
      contractor.ports,
      registryId,
      orderOf(given, { conflicts: [missing] }),
    );

    for (const outcome of [others, bytes])
      expect(outcome).toMatchObject({ outcome: 'refused', code: 'SET_ASIDE_NOT_ALLOWED' });
  });

  /** The lead signed two entries 4, and its operator has decided that its own one stays. */
  async function forked() {
    const given = await swarm(2);
    const { cluster, client, architect, registryId } = given;
    await client.record(registryId, 'FOUR');
    await rest(cluster, 2);
    const { said, evidence } = await forkAt(
      client,
      registryId,
      checkpointBy(client, registryId, OTHER),
      OTHER,
    );
    const conflictId = await reportConflict(architect.ports, registryId, {
      ...said,
      evidence,
      detail: 'two entries 4',
    });
    await rest(cluster, 2);
    const open = { ...given, conflictId };
    const setAsideFrom = (from: number) =>
      setAside(
        architect.ports,
        registryId,
        orderOf(open, { from: from as SetAside['from'] }, [architect, architect]),
      );
    const replay = async () => {
      const entries = said.digests.map((digest) => ({ sequence: 4, digest }));
      await decide(client, registryId, { manner: 'replay', entries: entries as never });
      await rest(cluster, 2);
    };
    return { ...open, setAsideFrom, replay };
  }

  test('of a fork begins where nobody else confirms any more what is here', async () => {
    const { architect, setAsideFrom, replay } = await forked();
    await replay();
    architect.known.damage = {
      entry: (stored, copy) =>
        stored.sequence === 4 && copy === 1 ? { ...stored, digest: OTHER } : stored,
    };

    const late = await setAsideFrom(5);
    const right = await setAsideFrom(4);

    expect(late).toMatchObject({
      outcome: 'refused',
      code: 'SET_ASIDE_NOT_ALLOWED',
      detail: expect.stringContaining('begins at entry 4 or before'),
    });
    expect(right).toMatchObject({ outcome: 'set-aside' });
  });

  test('of a fork is nothing before it is decided, nor for the branch that stays', async () => {
    const { architect, registryId, setAsideFrom, replay } = await forked();

    const undecided = await setAsideFrom(4);
    await replay();
    const staying = await setAsideFrom(4);

    expect(undecided).toMatchObject({
      code: 'SET_ASIDE_NOT_ALLOWED',
      detail: expect.stringContaining('is not decided yet: wait for the resolution'),
    });
    expect(staying).toMatchObject({
      code: 'SET_ASIDE_NOT_ALLOWED',
      detail: expect.stringContaining('it is the branch that stays'),
    });
    expect(await headOf(architect, registryId)).toMatchObject({ copy: 1 });
  });

  test('is not made again for what the present copy was begun for, unless from further back', async () => {
    const given = await tampered();
    const { cluster, contractor, registryId, conflictId } = given;
    const again = (from: number, copy: number) =>
      setAside(
        contractor.ports,
        registryId,
        orderOf(given, { from: from as SetAside['from'], copy: copy as SetAside['copy'] }),
      );
    expect(await setAside(contractor.ports, registryId, orderOf(given))).toMatchObject({
      outcome: 'set-aside',
    });
    await rest(cluster, 2);

    const needless = await again(3, 3);
    const deeper = await again(2, 3);

    expect(needless).toMatchObject({
      code: 'SET_ASIDE_NOT_ALLOWED',
      detail: expect.stringContaining(`was begun for the conflict ${conflictId}, at entry 3`),
    });
    expect(deeper).toMatchObject({ outcome: 'set-aside' });
  });

  test('is of a registry that is here and was not closed', async () => {
    const given = await tampered();
    const { contractor, registryId } = given;
    const unknown = orderOf(given, { registryId: OTHER });

    expect(await setAside(contractor.ports, OTHER as RegistryId, unknown)).toEqual({
      outcome: 'unknown-registry',
    });
    await close(contractor.ports, registryId);
    expect(await setAside(contractor.ports, registryId, orderOf(given))).toMatchObject({
      outcome: 'refused',
      code: 'REGISTRY_CLOSED',
    });
  });

  test('is made once: the same again is held, and no copy begins', async () => {
    const given = await tampered();
    const { contractor, registryId } = given;
    await setAside(contractor.ports, registryId, orderOf(given));
    const before = await stateOf(contractor, registryId);

    const again = await setAside(contractor.ports, registryId, orderOf(given));

    expect(again).toMatchObject({ outcome: 'held' });
    expect(await stateOf(contractor, registryId)).toEqual(before);
  });

  test('needs entry 1, from the own copy or from any peer that answers', async () => {
    const given = await tampered();
    const { client, architect, contractor, registryId } = given;
    contractor.known.damage = { entry: () => undefined };
    for (const peer of [client, architect]) peer.up = false;

    const alone = await setAside(contractor.ports, registryId, orderOf(given));
    architect.up = true;
    const helped = await setAside(
      contractor.ports,
      registryId,
      orderOf(given, { from: 1 as SetAside['from'] }),
    );

    expect(alone).toMatchObject({ outcome: 'refused', code: 'SET_ASIDE_NOT_ALLOWED' });
    expect(helped).toMatchObject({ outcome: 'set-aside' });
    contractor.known.damage = {};
    expect(await headOf(contractor, registryId)).toMatchObject({ copy: 2, sequence: 1 });
    await expectSoundCopy(contractor, registryId);
  });

  test('loses races and then succeeds, or says that it is busy', async () => {
    const given = await tampered();
    const { contractor, registryId } = given;
    contractor.store.plan('commit', 'lost-race', 8);

    expect(await setAside(contractor.ports, registryId, orderOf(given))).toEqual({
      outcome: 'busy',
    });
    contractor.store.plan('commit', 'lost-race', 7);
    expect(await setAside(contractor.ports, registryId, orderOf(given))).toMatchObject({
      outcome: 'set-aside',
    });
  });

  test('whose write is done but reported lost is held when repeated, and read again from entry 1', async () => {
    const given = await tampered();
    const { cluster, client, contractor, registryId, all } = given;
    contractor.store.plan('commit', 'done-but-lost');

    await setAside(contractor.ports, registryId, orderOf(given)).catch(() => undefined);
    const again = await setAside(contractor.ports, registryId, orderOf(given));
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);

    expect(again).toMatchObject({ outcome: 'held' });
    for (const instance of all) expect(await openAt(instance, registryId)).toEqual([]);
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
    const confirmed = await contractor.known.newestConfirmation(registryId, contractor.id);
    expect(confirmed).toMatchObject({ copy: 2, sequence: 5 });
  });
});
