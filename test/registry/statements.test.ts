import { describe, expect, test } from 'vitest';
import { confirmationOf } from '../../shared/ledger/confirmation.ts';
import { readEvidence } from '../../shared/ledger/evidence.ts';
import { type Compact, payloadOf } from '../../shared/ledger/jws.ts';
import type { Head } from '../../shared/registry/ports.ts';
import { receiveStatements } from '../../shared/registry/receive-statements.ts';
import { ownTampering, reportConflict } from '../../shared/registry/report-conflict.ts';
import { testPeer, uploadDocument } from '../builders.ts';
import { forgeCommit } from '../forged-commit.ts';
import { MemoryCluster, type MemoryInstance } from '../memory-cluster.ts';

async function swarm() {
  const cluster = new MemoryCluster();
  const client = await cluster.add('client');
  const architect = await cluster.add('architect');
  const contractor = await cluster.add('contractor');
  const registryId = await client.create([architect, contractor]);
  await client.record(registryId, 'D2');
  await cluster.settle();
  const head = (await client.known.head(registryId)) as Head;
  const receive = (statement: string, checkpoint?: string, at: MemoryInstance = architect) =>
    receiveStatements(at.ports, contractor.id, {
      format: 'registry/statements/v1',
      registryId,
      statements: [{ statement, ...(checkpoint === undefined ? {} : { checkpoint }) }],
    });
  return { cluster, client, architect, contractor, registryId, head, receive };
}

type Signing = Pick<MemoryInstance['ports'], 'signer'>;

function confirmationBy(
  { signer }: Signing,
  head: Pick<Head, 'registryId' | 'sequence' | 'digest'>,
) {
  const { registryId, sequence, digest } = head;
  const confirmedAt = '2026-11-22T10:00:00.000Z';
  const parts = {
    registryId,
    sequence,
    digest,
    signer: signer.certificateId,
    copy: 1,
    confirmedAt,
  };
  return signer.sign(confirmationOf(parts));
}

test('a statement that runs ahead is sent back, and taken once the entry is here', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  // The lead does not reach the architect, whom the contractor tells of an entry it lacks.
  cluster.network = ({ from, to }, carry) =>
    from === client && to === architect ? { outcome: 'unreachable', reason: 'partition' } : carry();
  await client.record(registryId, 'D3');
  await cluster.settle();
  const cursor = await contractor.known.cursor(registryId, architect.id);
  cluster.network = (_passing, carry) => carry();
  cluster.pass(300_000);

  await cluster.settle();

  // Three times it was called again soon; then it waits for the sweep.
  expect(cursor).toMatchObject({
    failures: 4,
    lastError: expect.stringContaining('429 STATEMENT_AHEAD'),
  });
  expect(contractor.alarms.signals).toEqual([]);
  expect((await architect.status(registryId, 3)).status).toEqual({ status: 'final' });
});

describe('a statement that the peer cannot read', () => {
  /** The architect cannot read the contractor's confirmation of entry 3, brought while damaged. */
  async function damagedOnItsWay() {
    const { cluster, client, architect, contractor, registryId } = await swarm();
    const state = { damages: true };
    cluster.network = async ({ from, to, request: { operation } }, carry) => {
      if (from !== contractor || to !== architect || operation !== 'statements' || !state.damages)
        return carry();
      const problem = { taken: 0, code: 'STATEMENT_MALFORMED', detail: 'is cut off' };
      return { outcome: 'answered', status: 422, body: Buffer.from(JSON.stringify(problem)) };
    };
    const record = (id: string) => client.record(registryId, id);
    const cursor = () => contractor.known.cursor(registryId, architect.id);
    return { cluster, architect, contractor, registryId, state, record, cursor };
  }

  test('is brought again, however often the peer was away before', async () => {
    const made = await damagedOnItsWay();
    const { cluster, architect, contractor, registryId, state } = made;
    architect.up = false;
    await made.record('D3');
    for (let n = 0; n < 5; n += 1) {
      await cluster.settle();
      cluster.pass(300_000);
    }
    const failedBefore = (await made.cursor())?.failures;
    architect.up = true;
    await cluster.settle();
    const signals = [...contractor.alarms.signals];
    state.damages = false;
    cluster.pass(300_000);

    await cluster.settle();

    expect(failedBefore).toBeGreaterThan(3);
    expect(signals).not.toContain('StatementsRefused');
    expect((await architect.status(registryId, 3)).status).toEqual({ status: 'final' });
  });

  test('is passed over after three times, and what comes after it is brought', async () => {
    const made = await damagedOnItsWay();
    const { cluster, architect, contractor, registryId, state } = made;
    await made.record('D3');
    const times: unknown[] = [];
    for (let n = 0; n < 3; n += 1) {
      await cluster.settle();
      times.push((await made.cursor())?.unreadable?.times);
      cluster.pass(300_000);
    }
    const before = (await made.cursor())?.statementsThrough ?? 0;
    await cluster.settle();
    const refused = contractor.alarms.signals.filter((each) => each === 'StatementsRefused');
    const passed = await made.cursor();
    state.damages = false;
    await made.record('D4');

    await cluster.settle();

    expect(times).toEqual([1, 2, 3]);
    expect(refused).toHaveLength(1);
    expect(passed).toMatchObject({ statementsThrough: before + 1, failures: 0 });
    expect(passed?.unreadable).toBeUndefined();
    expect((await architect.status(registryId, 4)).status).toEqual({ status: 'final' });
  });
});

describe('a statement is refused, alarmed, and accuses nobody', () => {
  type Case = readonly [
    string,
    string,
    (made: Awaited<ReturnType<typeof swarm>>) => readonly [string, string | undefined],
  ];
  const cases: readonly Case[] = [
    ['that is no statement', 'UNKNOWN_FORMAT', ({ head }) => ['a.b.c', head.checkpoint]],
    [
      'without a checkpoint',
      'CHECKPOINT_MISSING',
      ({ head, contractor }) => [confirmationBy(contractor.ports, head), undefined],
    ],
    [
      'that is a checkpoint itself',
      'UNKNOWN_FORMAT',
      ({ head }) => [head.checkpoint, head.checkpoint],
    ],
    [
      'of another sequence than its checkpoint',
      'CHECKPOINT_DIFFERS',
      ({ head, contractor }) => [
        confirmationBy(contractor.ports, { ...head, sequence: 1 as Head['sequence'] }),
        head.checkpoint,
      ],
    ],
    [
      'of another digest than its checkpoint',
      'CHECKPOINT_DIFFERS',
      ({ head, contractor }) => [
        confirmationBy(contractor.ports, { ...head, digest: 'ab'.repeat(32) as Head['digest'] }),
        head.checkpoint,
      ],
    ],
    [
      'of another registry',
      'STATEMENT_REGISTRY_DIFFERS',
      ({ head, contractor }) => [
        confirmationBy(contractor.ports, {
          ...head,
          registryId: 'ab'.repeat(32) as Head['registryId'],
        }),
        head.checkpoint,
      ],
    ],
    [
      'of a signer that was never a peer',
      'SIGNER_NO_PEER',
      ({ head }) => [confirmationBy({ signer: testPeer() }, head), head.checkpoint],
    ],
    [
      'with a checkpoint that no lead signed',
      'LEAD_DIFFERS',
      ({ head, contractor }) => {
        const { commit, chain } = forgeCommit(
          contractor.ports.signer,
          { ...head, sequence: 1 as Head['sequence'] },
          [uploadDocument('X')],
        );
        return [
          confirmationBy(contractor.ports, { ...chain, sequence: 2 as Head['sequence'] }),
          commit.checkpoint,
        ];
      },
    ],
    [
      'whose signature was changed',
      'STATEMENT_SIGNATURE_WRONG',
      ({ head, contractor }) => [
        confirmationBy(contractor.ports, head).replace(/.{8}$/, 'AAAAAAAA'),
        head.checkpoint,
      ],
    ],
  ];

  test.each(cases)('%s', async (_name, code, made) => {
    const all = await swarm();
    const { architect, registryId, receive } = all;
    const [statement, checkpoint] = made(all);

    const outcome = await receive(statement, checkpoint);

    expect(outcome).toMatchObject({ outcome: 'refused', count: 0, refused: { code } });
    expect(architect.alarms.signals).toEqual(['StatementsRefused']);
    expect(await architect.known.conflicts(registryId)).toEqual([]);
  });
});

test('a statement again, or signed again with another signature, changes nothing', async () => {
  const { architect, contractor, registryId, head, receive } = await swarm();
  const held = await architect.known.newestConfirmation(registryId, contractor.id);

  const same = await receive(held?.statement ?? '', head.checkpoint);
  const fresh = await receive(confirmationBy(contractor.ports, head), head.checkpoint);

  expect([same, fresh]).toEqual([
    { outcome: 'taken', count: 1, fresh: false },
    { outcome: 'taken', count: 1, fresh: false },
  ]);
  expect(await architect.known.newestConfirmation(registryId, contractor.id)).toEqual(held);
});

describe('a confirmation of what the lead signed for another mirror only', () => {
  async function equivocated() {
    const made = await swarm();
    const { client, contractor, head, receive } = made;
    const before = { ...head, sequence: 1 as Head['sequence'] };
    const { commit, chain } = forgeCommit(client.ports.signer, before, [uploadDocument('X')]);
    const other = { ...chain, sequence: 2 as Head['sequence'] };
    const statement = confirmationBy(contractor.ports, other);
    const outcome = await receive(statement, commit.checkpoint);
    return { ...made, outcome, statement, checkpoint: commit.checkpoint, other };
  }

  test('opens a fork with both signed statements as evidence', async () => {
    const { client, architect, registryId, head, outcome, statement, checkpoint, other } =
      await equivocated();

    expect(outcome).toMatchObject({ outcome: 'in-conflict' });
    const [conflict] = await architect.known.conflicts(registryId);
    const said = payloadOf(conflict?.statement as Compact) as { evidence: Head['digest'][] };
    expect(said).toMatchObject({
      kind: 'fork',
      accused: client.id,
      sequence: 2,
      digests: [head.digest, other.digest].sort(),
    });
    const bytes = await architect.blobs.evidence(said.evidence[0] as Head['digest']);
    expect(readEvidence(bytes ?? new Uint8Array())).toMatchObject({
      evidence: {
        kind: 'fork',
        chains: [
          { checkpoint: head.checkpoint, path: [] },
          { checkpoint, path: [], confirmation: statement },
        ],
      },
    });
  });

  test('opens it once, however often it comes', async () => {
    const { architect, registryId, receive, statement, checkpoint, outcome } = await equivocated();

    expect(await receive(statement, checkpoint)).toEqual(outcome);
    expect(await architect.known.conflicts(registryId)).toHaveLength(1);
    expect(architect.alarms.signals.filter((each) => each === 'ConflictsOpened')).toHaveLength(1);
  });
});

test('an own checkpoint above the own head says that this lead was restored: it stops', async () => {
  const { client, contractor, registryId, head, receive } = await swarm();
  const { commit, chain } = forgeCommit(client.ports.signer, head, [uploadDocument('lost')]);

  const outcome = await receive(confirmationBy(contractor.ports, chain), commit.checkpoint, client);

  expect(outcome).toMatchObject({ outcome: 'in-conflict' });
  const [conflict] = await client.known.conflicts(registryId);
  expect(payloadOf(conflict?.statement as Compact)).toMatchObject({
    kind: 'lead-rollback',
    accused: client.id,
    sequence: 3,
  });
  expect((await client.record(registryId, 'D3')).status).toBe(409);
});

test('while a conflict is open confirmations are kept, but nothing becomes final by them', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  contractor.up = false;
  await client.record(registryId, 'D3');
  await cluster.settle();
  const before = (await architect.status(registryId, 3)).status;
  await stop(architect, registryId);
  contractor.up = true;
  cluster.pass(300_000);
  await cluster.settle();

  const { status, confirmations } = await architect.status(registryId, 3);

  expect(before).toEqual({ status: 'confirmed', by: 1, of: 2 });
  const { openConflicts } = (await architect.known.head(registryId)) ?? {};
  expect(status).toEqual({ status: 'in-conflict', conflicts: openConflicts });
  expect(confirmations.map((row: object) => 'confirmed' in row)).toEqual([false, true, true]);
  expect((await architect.status(registryId, 2)).status).toEqual({ status: 'final' });
  expect((await client.status(registryId, 3)).status).toEqual({ status: 'final' });
});

async function stop({ ports }: MemoryInstance, registryId: Head['registryId']): Promise<void> {
  await reportConflict(ports, registryId, ownTampering(ports, registryId, 2, 'seen'));
}

test('confirmations reach a peer that was away, each once', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  contractor.up = false;
  for (const id of ['D3', 'D4', 'D5']) {
    await client.record(registryId, id);
    await cluster.settle();
  }
  contractor.up = true;
  cluster.pass(300_000);

  await cluster.settle();

  for (const sequence of [3, 4, 5]) {
    const covering = await contractor.known.firstConfirmationCovering(
      registryId,
      architect.id,
      sequence,
    );
    expect(covering?.sequence).toBe(sequence);
  }
  expect((await contractor.status(registryId, 5)).status).toEqual({ status: 'final' });
});

test('a peer that is told twice at once stores one', async () => {
  const { architect, contractor, registryId, head, receive } = await swarm();
  const statement = confirmationBy(contractor.ports, head);

  const outcomes = await Promise.all(
    Array.from({ length: 5 }, () => receive(statement, head.checkpoint)),
  );

  expect(outcomes.every(({ outcome }) => outcome === 'taken')).toBe(true);
  expect(architect.known.breaches).toEqual([]);
  expect((await architect.status(registryId, 2)).status).toEqual({ status: 'final' });
});

test('a statement about a registry that is not here is answered so', async () => {
  const { cluster, contractor, head } = await swarm();
  const stranger = await cluster.add('stranger');
  const statement = confirmationBy(contractor.ports, head);

  const outcome = await receiveStatements(stranger.ports, contractor.id, {
    format: 'registry/statements/v1',
    registryId: head.registryId,
    statements: [{ statement, checkpoint: head.checkpoint }],
  });

  expect(outcome).toEqual({ outcome: 'unknown-registry' });
});
