import { describe, expect, test } from 'vitest';
import type { ConflictStatement } from '../../shared/ledger/conflict.ts';
import {
  type Digest,
  digestOf,
  type RegistryId,
  type Sequence,
} from '../../shared/ledger/digest.ts';
import { encodeEvidence } from '../../shared/ledger/evidence.ts';
import type { PeerAnswer } from '../../shared/registry/peer-transport.ts';
import { receiveConflict } from '../../shared/registry/receive-conflict.ts';
import { decide, openAt } from '../conflicts.ts';
import { type MemoryInstance, unreachable } from '../memory-cluster.ts';
import {
  type Claim,
  checkpointBy,
  forkAt,
  ownWord,
  signClaim,
} from '../scenarios/conflict-claims.ts';
import {
  expectAllFinal,
  expectBlocked,
  expectSoundCopy,
  findTampering,
  headOf,
  rest,
  type Swarm,
  setAsideFrom,
  swarm,
} from '../scenarios/conflict-swarm.ts';

const OTHER = digestOf('another entry 4');

/** Two chains of the lead for entry 4. */
const forkOf = ({ client, registryId }: Swarm) =>
  forkAt(client, registryId, checkpointBy(client, registryId, OTHER), OTHER);

/** The instance is told, by the contractor. */
function told(
  { ports }: MemoryInstance,
  { contractor, registryId }: Pick<Swarm, 'contractor' | 'registryId'>,
  compact: string,
) {
  return receiveConflict(ports, registryId, contractor.id, compact);
}

async function keptAt({ known }: MemoryInstance, registryId: RegistryId) {
  return [
    await known.head(registryId),
    await known.kept(registryId),
    await known.conflicts(registryId),
  ];
}

describe('a conflict that another instance reports', () => {
  test('is of a registry that is here', async () => {
    const given = await swarm();
    const compact = await signClaim(given.contractor, OTHER as RegistryId, await forkOf(given));

    const elsewhere = { ...given, registryId: OTHER as RegistryId };

    expect(await told(given.architect, elsewhere, compact)).toEqual({
      outcome: 'unknown-registry',
    });
  });

  test.each<readonly [string, Partial<ConflictStatement>, string]>([
    ['of another registry', { registryId: OTHER }, 'STATEMENT_REGISTRY_DIFFERS'],
    ['of an unknown kind', { kind: 'rumour' as never }, 'STATEMENT_MALFORMED'],
    ['with a member too many', { more: 1 } as never, 'STATEMENT_MALFORMED'],
  ])('is refused where it is %s', async (_what, changes, code) => {
    const given = await swarm();
    const { architect, contractor, registryId } = given;
    const compact = await signClaim(contractor, registryId, await forkOf(given), changes);
    const before = await keptAt(architect, registryId);

    expect(await told(architect, given, compact)).toMatchObject({ outcome: 'refused', code });
    expect(await keptAt(architect, registryId)).toEqual(before);
  });

  test('waits where it is about entries that are not here, by somebody who is no peer here', async () => {
    const given = await swarm();
    const { cluster, client, architect, contractor, registryId } = given;
    const engineer = await cluster.add('engineer');
    architect.up = false;
    await client.reconfigure(registryId, [client, architect, contractor, engineer]);
    await cluster.settle();
    const { said, evidence } = await forkOf(given);
    const claim: Claim = { evidence, said: { ...said, sequence: 5 as Sequence } };

    const compact = await signClaim(engineer, registryId, claim);

    expect(await told(architect, given, compact)).toEqual({ outcome: 'ahead', head: 4 });
  });

  test('waits where it accuses who does not lead here yet', async () => {
    const given = await swarm();
    const { architect, contractor, registryId } = given;
    const { said, evidence } = await forkOf(given);
    const later = { ...said, sequence: 5 as Sequence, accused: contractor.id };

    const compact = await signClaim(contractor, registryId, { said: later, evidence });

    expect(await told(architect, given, compact)).toEqual({ outcome: 'ahead', head: 4 });
  });

  test('may be about an entry that is not here yet', async () => {
    const given = await swarm();
    const { client, architect, contractor, registryId } = given;
    architect.up = false;
    await client.record(registryId, 'FIVE');
    const claim = ownWord(contractor, registryId, 5);

    const compact = await signClaim(contractor, registryId, claim);

    expect(await told(architect, given, compact)).toBe('new');
    expect(await openAt(architect, registryId)).toMatchObject([{ said: { sequence: 5 } }]);
  });

  test.each<readonly [string, PeerAnswer]>([
    ['does not answer', unreachable],
    ['has none', { outcome: 'answered', status: 404, body: Buffer.from('{}') }],
    ['gives other bytes', { outcome: 'answered', status: 200, body: Buffer.from('{}') }],
    [
      'gives more than evidence may have',
      { outcome: 'answered', status: 200, body: Buffer.alloc(4 * 1024 * 1024 + 1) },
    ],
  ])('waits for its evidence where its finder %s', async (_what, answer) => {
    const given = await swarm();
    const { cluster, architect, contractor, registryId } = given;
    const compact = await signClaim(contractor, registryId, await forkOf(given));
    cluster.network = () => answer;
    const before = await keptAt(architect, registryId);

    expect(await told(architect, given, compact)).toEqual({ outcome: 'ahead', head: 4 });
    expect(await keptAt(architect, registryId)).toEqual(before);
  });

  test('is opened with evidence that is here already, without asking anybody', async () => {
    const given = await swarm();
    const { cluster, architect, contractor, registryId } = given;
    const claim = await forkOf(given);
    const compact = await signClaim(contractor, registryId, claim);
    await architect.blobs.putEvidence(
      digestOf(encodeEvidence(claim.evidence)),
      encodeEvidence(claim.evidence),
    );
    cluster.network = () => unreachable;

    expect(await told(architect, given, compact)).toBe('new');
  });

  test('is reported by each at most 16 times', async () => {
    const given = await swarm();
    const { architect, contractor, registryId } = given;
    const claim = await forkOf(given);
    const outcomes: unknown[] = [];
    for (let report = 0; report < 17; report += 1) {
      const detectedAt = new Date(Date.parse('2026-11-24') + report * 1000).toISOString();
      const compact = await signClaim(contractor, registryId, claim, { detectedAt });
      outcomes.push(await told(architect, given, compact));
    }

    expect(outcomes.slice(0, 16)).toEqual(Array.from({ length: 16 }, () => 'new'));
    expect(outcomes[16]).toMatchObject({ outcome: 'refused', code: 'STATEMENT_REPEATED' });
    expect(await openAt(architect, registryId)).toHaveLength(1);
  });

  test.each([
    'lost',
    'done-but-lost',
    'lost-race',
  ] as const)('is opened and alarmed once though its write is %s', async (fault) => {
    const given = await swarm();
    const { architect, contractor, registryId } = given;
    const compact = await signClaim(contractor, registryId, await forkOf(given));
    architect.store.plan('openConflict', fault);

    await told(architect, given, compact);

    expect(await openAt(architect, registryId)).toHaveLength(1);
    expect(architect.alarms.signals.filter((each) => each === 'ConflictsOpened')).toEqual([
      'ConflictsOpened',
    ]);
    expect(architect.known.breaches).toEqual([]);
    await expectSoundCopy(architect, registryId);
  });
});

describe('a claim against this instance that does not reproduce', () => {
  /** The contractor accuses the lead of a fork that the lead never signed. */
  async function contested(digest: Digest, given: Swarm) {
    const { client, contractor, registryId } = given;
    const chain = checkpointBy(contractor, registryId, digest);
    const claim = await forkAt(client, registryId, chain, digest);
    const compact = await signClaim(contractor, registryId, claim);
    return told(client, given, compact);
  }

  test('is kept without blocking, so that people can resolve it: one of each signer', async () => {
    const given = await swarm();
    const { client, registryId } = given;

    for (const text of ['one', 'two', 'three'])
      expect(await contested(digestOf(text), given)).toMatchObject({
        outcome: 'refused',
        code: 'EVIDENCE_NOT_REPRODUCED',
      });

    expect(await client.known.kept(registryId)).toHaveLength(1);
    expect((await headOf(client, registryId)).openConflicts).toEqual([]);
    expect((await client.record(registryId, 'GOES-ON')).status).toBe(201);
  });

  test('is not kept by anybody else', async () => {
    const given = await swarm();
    const { client, architect, contractor, registryId } = given;
    const chain = checkpointBy(contractor, registryId, OTHER);
    const claim = await forkAt(client, registryId, chain, OTHER);

    await told(architect, given, await signClaim(contractor, registryId, claim));

    expect(await architect.known.kept(registryId)).toEqual([]);
  });
});

describe('a second bare word of one signer', () => {
  test('does not block beside the first, nor keep what comes after it waiting', async () => {
    const given = await swarm();
    const { architect, contractor, registryId } = given;
    const outcomes: unknown[] = [];
    for (const sequence of [2, 3]) {
      const claim = ownWord(contractor, registryId, sequence);
      const compact = await signClaim(contractor, registryId, claim);
      outcomes.push(await told(architect, given, compact));
    }

    expect(outcomes).toEqual(['new', 'new']);
    expect(await openAt(architect, registryId)).toMatchObject([{ said: { sequence: 2 } }]);
  });

  test('can be resolved together with the first', async () => {
    const { cluster, client, contractor, registryId, all } = await swarm();
    const conflicts = [
      await findTampering(contractor, registryId, 2),
      await findTampering(contractor, registryId, 3),
    ];
    await rest(cluster);
    await expectBlocked(client, registryId);
    await setAsideFrom(contractor, registryId, 2);

    const decided = await decide(client, registryId, { manner: 'replay', conflicts });
    await rest(cluster);

    expect(decided).toMatchObject({ outcome: 'decided' });
    expect((await client.record(registryId, 'AFTER')).status).toBe(201);
    await rest(cluster);
    await expectAllFinal(all, registryId);
  });
});
