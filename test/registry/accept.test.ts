import { beforeAll, describe, expect, test } from 'vitest';
import { digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import type { Acceptance } from '../../shared/ledger/resolution.ts';
import { accept } from '../../shared/registry/accept.ts';
import type { Order } from '../../shared/registry/resolve.ts';
import { acceptAt, decide, inForceAt, openAt, setAsideAt, signedByOperator } from '../conflicts.ts';
import { acceptanceAt } from '../deciding.ts';
import type { MemoryInstance } from '../memory-cluster.ts';
import {
  expectAllFinal,
  findTampering,
  rest,
  type Swarm,
  swarm,
} from '../scenarios/conflict-swarm.ts';

const OTHER = digestOf('something else');

/** The lead found its own copy edited, and takes it back. */
async function takingBack() {
  const given = await swarm(2);
  const { cluster, client, registryId } = given;
  await findTampering(client, registryId, 3);
  await rest(cluster, 2);
  const decided = await decide(client, registryId, { manner: 'take-back' });
  expect(decided.outcome).toBe('decided');
  await rest(cluster, 2);
  return given;
}

/** What the operator of the architect signs, and who calls. */
async function orderOf(
  { architect, registryId }: Swarm,
  changes: Partial<Acceptance> = {},
  operator: MemoryInstance = architect,
): Promise<Order> {
  const resolution = await inForceAt(architect, registryId);
  const right = { ...acceptanceAt(architect, registryId, resolution), ...changes };
  return {
    operator: architect.operator.certificateId as Order['operator'],
    decision: signedByOperator(operator, right),
  };
}

async function stateOf({ known }: MemoryInstance, registryId: RegistryId) {
  return [await known.head(registryId), await known.kept(registryId)];
}

describe('an acceptance', () => {
  let given: Swarm;
  // Shared: whatever is refused touches nothing.
  beforeAll(async () => {
    given = await takingBack();
  });

  test.each<readonly [string, string, (given: Swarm) => Promise<Order>]>([
    [
      'that is no signed statement',
      'STATEMENT_MALFORMED',
      async (given) => ({ ...(await orderOf(given)), decision: 'no.such.thing' }),
    ],
    [
      'that is a statement of another kind',
      'STATEMENT_MALFORMED',
      (given) => orderOf(given, { format: 'registry/set-aside/v1' as never }),
    ],
    [
      'whose signature is of somebody else than it names',
      'STATEMENT_SIGNER_DIFFERS',
      (given) => orderOf(given, {}, given.contractor),
    ],
    [
      'of an operator who is not the caller',
      'DECISION_DIFFERS',
      ({ contractor, ...given }) => {
        const decidedBy = contractor.operator.certificateId as never;
        return orderOf({ ...given, contractor }, { decidedBy }, contractor);
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
      'of a resolution that is not here',
      'RESOLUTION_UNKNOWN',
      (given) => orderOf(given, { resolution: OTHER }),
    ],
  ])('%s is refused with %s, and nothing is touched', async (_what, code, make) => {
    const { architect, registryId } = given;
    const order = await make(given);
    const before = await stateOf(architect, registryId);

    const outcome = await accept(architect.ports, registryId, order);

    expect(outcome).toMatchObject({ outcome: 'refused', code });
    expect(await stateOf(architect, registryId)).toEqual(before);
  });

  test('is of a registry that is here', async () => {
    const given = await takingBack();
    const order = await orderOf(given, { registryId: OTHER });

    expect(await accept(given.architect.ports, OTHER as RegistryId, order)).toEqual({
      outcome: 'unknown-registry',
    });
  });

  test('is made once: the same again, and another reason, get the first', async () => {
    const given = await takingBack();
    const { architect, registryId } = given;
    const order = await orderOf(given);
    const other = await orderOf(given, { reason: 'noch einmal' });

    const first = await accept(architect.ports, registryId, order);
    const before = await stateOf(architect, registryId);
    const again = await accept(architect.ports, registryId, order);
    const anew = await accept(architect.ports, registryId, other);

    if (first.outcome !== 'accepted') throw new Error(first.outcome);
    for (const outcome of [again, anew])
      expect(outcome).toMatchObject({ outcome: 'held', kept: { digest: first.kept.digest } });
    expect(await stateOf(architect, registryId)).toEqual(before);
  });

  test('is not needed where the lead is not the accused', async () => {
    const { cluster, client, architect, contractor, registryId } = await swarm(2);
    await findTampering(contractor, registryId, 3);
    await rest(cluster, 2);
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster, 2);

    expect(await acceptAt(architect, registryId)).toMatchObject({
      outcome: 'refused',
      code: 'ACCEPTANCE_NOT_NEEDED',
    });
    expect(await setAsideAt(contractor, registryId, { from: 3 })).toMatchObject({
      outcome: 'set-aside',
    });
  });

  test('is not needed at the lead, which decided', async () => {
    const { client, registryId } = await takingBack();
    const resolution = (await client.known.kept(registryId)).find(
      ({ kind }) => kind === 'resolution',
    );
    const payload = acceptanceAt(client, registryId, resolution?.digest ?? OTHER);
    const order: Order = {
      operator: client.operator.certificateId as Order['operator'],
      decision: signedByOperator(client, payload),
    };

    expect(await accept(client.ports, registryId, order)).toMatchObject({
      outcome: 'refused',
      code: 'ACCEPTANCE_NOT_NEEDED',
    });
  });

  test.each([
    'lost',
    'done-but-lost',
  ] as const)('whose write is %s succeeds when it is repeated', async (fault) => {
    const given = await takingBack();
    const { cluster, client, architect, contractor, registryId, all } = given;
    const order = await orderOf(given);
    architect.store.plan('keep', fault);

    await accept(architect.ports, registryId, order).catch(() => undefined);
    const again = await accept(architect.ports, registryId, order);
    await rest(cluster, 2);
    await acceptAt(contractor, registryId);
    await rest(cluster, 2);

    expect(again.outcome).toBe(fault === 'lost' ? 'accepted' : 'held');
    expect(await openAt(architect, registryId)).toEqual([]);
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
  });
});
