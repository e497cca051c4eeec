import { describe, expect, test } from 'vitest';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type { Statement } from '../../shared/ledger/jws.ts';
import { decide, openAt } from '../conflicts.ts';
import type { MemoryInstance } from '../memory-cluster.ts';
import {
  type Claim,
  checkpointBy,
  forkAt,
  ownWord,
  post,
  signClaim,
  signed,
} from './conflict-claims.ts';
import {
  entryAt,
  findTampering,
  headOf,
  raised,
  rest,
  type Swarm,
  setAsideFrom,
  swarm,
} from './conflict-swarm.ts';

const OTHER = digestOf('another entry 4');

/** A fork that the lead did sign, as the contractor claims it, with what is to differ. */
async function forkClaim({ client, registryId }: Swarm): Promise<Claim> {
  return forkAt(client, registryId, checkpointBy(client, registryId, OTHER), OTHER);
}

/** Nothing is open at it, and nothing has changed. */
async function expectUntouched(instance: MemoryInstance, { registryId, client }: Swarm) {
  expect(await openAt(instance, registryId)).toEqual([]);
  expect((await client.record(registryId, 'GOES-ON')).status).toBe(201);
}

type Change = (claim: Claim, given: Swarm) => Claim | Promise<Claim>;

describe('a claim against the lead that does not reproduce', () => {
  const withSaid =
    (changes: Partial<Claim['said']>): Change =>
    ({ said, evidence }) => ({ evidence, said: { ...said, ...changes } });
  const withChain =
    (chainOf: (given: Swarm) => ReturnType<typeof checkpointBy>): Change =>
    (_claim, given) =>
      forkAt(given.client, given.registryId, chainOf(given), OTHER);

  test.each<readonly [string, string, Change]>([
    [
      'was signed by its finder and not by the lead',
      'EVIDENCE_NOT_REPRODUCED',
      withChain(({ contractor, registryId }) => checkpointBy(contractor, registryId, OTHER)),
    ],
    [
      'is about another place',
      'EVIDENCE_NOT_REPRODUCED',
      withChain(({ client, registryId }) =>
        checkpointBy(client, registryId, OTHER, { sequence: 3 }),
      ),
    ],
    [
      'is of another registry',
      'EVIDENCE_NOT_REPRODUCED',
      withChain(({ client }) => checkpointBy(client, OTHER as never, OTHER)),
    ],
    ['names another sequence', 'EVIDENCE_NOT_REPRODUCED', withSaid({ sequence: 3 as Sequence })],
    ['names another digest', 'EVIDENCE_NOT_REPRODUCED', withSaid({ digests: [OTHER, OTHER] })],
    [
      'calls it something else',
      'EVIDENCE_NOT_REPRODUCED',
      withSaid({ kind: 'invalid-transaction' }),
    ],
    ['accuses nobody', 'ACCUSED_DIFFERS', withSaid({ accused: 'open' })],
    [
      'accuses a mirror',
      'ACCUSED_DIFFERS',
      ({ said, evidence }, { architect }) => ({
        evidence,
        said: { ...said, accused: architect.id },
      }),
    ],
  ])('because it %s is refused with %s, alarmed, and blocks nobody', async (_what, code, change) => {
    const given = await swarm();
    const { architect, contractor, registryId } = given;
    const claim = await change(await forkClaim(given), given);
    const statement = await signClaim(contractor, registryId, claim);

    const answer = await post([contractor, architect], registryId, { statement });

    expect([answer.status, answer.body.code]).toEqual([400, code]);
    expect(raised(architect, 'StatementsRefused')).toBe(1);
    await expectUntouched(architect, given);
  });

  test('blocks nobody at the accused lead either, which goes on', async () => {
    const given = await swarm();
    const { client, contractor, registryId } = given;
    const false_ = await forkAt(
      client,
      registryId,
      checkpointBy(contractor, registryId, OTHER),
      OTHER,
    );
    const statement = await signClaim(contractor, registryId, false_);

    const answer = await post([contractor, client], registryId, { statement });

    expect([answer.status, answer.body.code]).toEqual([400, 'EVIDENCE_NOT_REPRODUCED']);
    await expectUntouched(client, given);
  });
});

describe('a claim against the lead that reproduces', () => {
  test('is opened at whoever hears of it, and attributed to its finder', async () => {
    const given = await swarm();
    const { architect, contractor, client, registryId } = given;
    const statement = await signClaim(contractor, registryId, await forkClaim(given));

    for (const to of [architect, client])
      expect(await post([contractor, to], registryId, { statement })).toMatchObject({
        status: 200,
      });

    for (const instance of [architect, client]) {
      expect(await openAt(instance, registryId)).toMatchObject([
        { said: { kind: 'fork', accused: client.id, signer: contractor.id } },
      ]);
      expect(raised(instance, 'ConflictsOpened')).toBe(1);
    }
  });

  test('is attached where it comes again, and alarms nobody twice', async () => {
    const given = await swarm();
    const { architect, contractor, client, registryId } = given;
    const claim = await forkClaim(given);
    const statement = await signClaim(contractor, registryId, claim);
    const other = await signClaim(client, registryId, claim);
    await post([contractor, architect], registryId, { statement });
    const head = await headOf(architect, registryId);

    const again = await post([contractor, architect], registryId, { statement });
    const byAnother = await post([client, architect], registryId, { statement: other });

    expect([again.status, byAnother.status]).toEqual([200, 200]);
    expect(await headOf(architect, registryId)).toEqual(head);
    expect(await architect.known.conflicts(registryId)).toHaveLength(1);
    // The first one as this instance passes it on, and the other one's.
    expect(await architect.known.kept(registryId)).toHaveLength(2);
    expect(raised(architect, 'ConflictsOpened')).toBe(1);
  });

  test('may be posted for ever by a peer that has left, about its own time', async () => {
    const given = await swarm();
    const { cluster, client, architect, contractor, registryId } = given;
    const claim = await forkClaim(given);
    await client.reconfigure(registryId, [client, architect]);
    await client.record(registryId, 'LATER');
    await rest(cluster);
    const statement = await signClaim(contractor, registryId, claim);

    expect(await post([contractor, architect], registryId, { statement })).toMatchObject({
      status: 200,
    });

    expect(await openAt(architect, registryId)).toMatchObject([
      { said: { kind: 'fork', sequence: 4, signer: contractor.id } },
    ]);
  });

  test('about a time in which its signer was no peer is refused', async () => {
    const given = await swarm();
    const { cluster, client, architect, contractor, registryId } = given;
    const claim = await forkClaim(given);
    const engineer = await cluster.add('engineer');
    await client.reconfigure(registryId, [client, architect, contractor, engineer]);
    await rest(cluster);

    const statement = await signClaim(engineer, registryId, claim);
    const answer = await post([engineer, architect], registryId, { statement });

    expect([answer.status, answer.body.code]).toEqual([400, 'SIGNER_NO_PEER']);
    await expectUntouched(architect, given);
  });

  test('is not taken from a stranger to the registry, whoever signed it', async () => {
    const given = await swarm();
    const { cluster, architect, contractor, registryId } = given;
    const stranger = await cluster.add('stranger');
    const claim = await forkClaim(given);
    const statement = await signClaim(contractor, registryId, claim);

    const answer = await post([stranger, architect], registryId, { statement });

    expect([answer.status, answer.body.code]).toEqual([403, 'PEER_NOT_IN_SWARM']);
    await expectUntouched(architect, given);
  });
});

describe('evidence', () => {
  test('that nobody gives makes the statement wait, and it is taken once somebody does', async () => {
    const given = await swarm();
    const { architect, contractor, registryId } = given;
    const claim = await forkClaim(given);
    const statement = await signClaim(contractor, registryId, claim, { kept: false });

    const before = await post([contractor, architect], registryId, { statement });
    expect([before.status, before.body.code]).toEqual([429, 'STATEMENT_AHEAD']);
    expect(await openAt(architect, registryId)).toEqual([]);
    await signClaim(contractor, registryId, claim);
    const after = await post([contractor, architect], registryId, { statement });

    expect(after).toMatchObject({ status: 200 });
    expect(await openAt(architect, registryId)).toHaveLength(1);
    expect(raised(architect, 'StatementsRefused')).toBe(0);
  });

  test('may be had from whoever brings the statement', async () => {
    const given = await swarm();
    const { architect, contractor, client, registryId } = given;
    const claim = await forkClaim(given);
    const statement = await signClaim(contractor, registryId, claim, { kept: false });
    await signClaim(client, registryId, claim);

    const answer = await post([client, architect], registryId, { statement });

    expect(answer).toMatchObject({ status: 200 });
    expect(await openAt(architect, registryId)).toHaveLength(1);
  });

  test.each<readonly [string, Uint8Array, number]>([
    ['that is no JSON', Buffer.from('{'), 400],
    ['of no known kind', Buffer.from('{"kind":"rumour"}'), 400],
    ['that comes out to another digest', Buffer.from('other bytes'), 429],
  ])('%s opens nothing', async (_what, bytes, status) => {
    const given = await swarm();
    const { cluster, architect, contractor, registryId } = given;
    const digest = status === 400 ? digestOf(bytes) : OTHER;
    const claim = await forkClaim(given);
    const statement = await signClaim(contractor, registryId, claim, { evidence: [digest] });
    cluster.network = async ({ request }, carry) =>
      request.operation === 'evidence'
        ? { outcome: 'answered', status: 200, body: bytes }
        : carry();

    const answer = await post([contractor, architect], registryId, { statement });

    expect(answer.status).toBe(status);
    await expectUntouched(architect, given);
  });

  test('that is not named at all makes a claim nobody can check', async () => {
    const given = await swarm();
    const { architect, contractor, registryId } = given;
    const claim = await forkClaim(given);
    const statement = await signClaim(contractor, registryId, claim, { evidence: [] });

    const answer = await post([contractor, architect], registryId, { statement });

    expect([answer.status, answer.body.code]).toEqual([400, 'EVIDENCE_MALFORMED']);
    await expectUntouched(architect, given);
  });
});

describe('what a mirror says of itself', () => {
  test('blocks by its signature alone, and is attributed to it', async () => {
    const given = await swarm();
    const { architect, contractor, registryId } = given;
    const statement = await signClaim(contractor, registryId, ownWord(contractor, registryId, 2));

    expect((await post([contractor, architect], registryId, { statement })).status).toBe(200);

    expect(await openAt(architect, registryId)).toMatchObject([
      { said: { kind: 'local-tampering', accused: contractor.id, signer: contractor.id } },
    ]);
  });

  test('blocks once: a second word of the same signer is not opened beside the first', async () => {
    const given = await swarm();
    const { client, architect, contractor, registryId } = given;
    const [first, second] = [2, 3].map((sequence) => ownWord(contractor, registryId, sequence));
    const statements: { readonly statement: string }[] = [];
    for (const claim of [first, second])
      statements.push({ statement: await signClaim(contractor, registryId, claim as Claim) });

    for (const to of [client, architect])
      for (const statement of statements) await post([contractor, to], registryId, statement);

    for (const instance of [client, architect])
      expect(await openAt(instance, registryId)).toMatchObject([{ said: { sequence: 2 } }]);
  });

  test('of somebody else is refused', async () => {
    const given = await swarm();
    const { architect, contractor, registryId } = given;
    const claim = ownWord(architect, registryId, 2);
    const statement = await signClaim(contractor, registryId, claim);

    const answer = await post([contractor, architect], registryId, { statement });

    expect([answer.status, answer.body.code]).toEqual([400, 'ACCUSED_DIFFERS']);
    await expectUntouched(architect, given);
  });

  test('of whoever is a peer no more blocks nobody', async () => {
    const given = await swarm();
    const { cluster, client, architect, contractor, registryId } = given;
    await client.reconfigure(registryId, [client, architect]);
    await rest(cluster);
    const statement = await signClaim(contractor, registryId, ownWord(contractor, registryId, 2));

    const answer = await post([contractor, client], registryId, { statement });

    expect([answer.status, answer.body.code]).toEqual([400, 'SIGNER_NO_PEER']);
    await expectUntouched(client, given);
  });

  test('opens the same conflict again when it happens again after it was resolved', async () => {
    const { cluster, client, contractor, registryId, all } = await swarm();
    const conflictId = await findTampering(contractor, registryId, 3);
    await rest(cluster);
    await setAsideFrom(contractor, registryId, 3);
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);
    await client.record(registryId, 'BETWEEN');
    await rest(cluster);
    for (const instance of all) expect(await openAt(instance, registryId)).toEqual([]);

    await findTampering(contractor, registryId, 3);
    await rest(cluster);

    for (const instance of all) {
      expect(await openAt(instance, registryId)).toMatchObject([{ conflictId }]);
      expect(raised(instance, 'ConflictsOpened')).toBe(2);
    }
  });
});

describe('a set-aside', () => {
  /** The contractor once set its copy aside, and says now that it set all of it aside. */
  async function covered(): Promise<Swarm> {
    const given = await swarm();
    const { cluster, client, architect, contractor, registryId } = given;
    const conflictId = await findTampering(contractor, registryId, 3);
    await rest(cluster);
    await setAsideFrom(contractor, registryId, 3);
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);
    await client.record(registryId, 'FIVE');
    await rest(cluster);
    const setAside = {
      format: 'registry/set-aside/v1',
      registryId,
      signer: contractor.id,
      decidedBy: contractor.operator.certificateId,
      conflicts: [conflictId],
      copy: 999,
      from: 1,
      reason: 'alles',
    };
    await post([contractor, architect], registryId, signed(contractor, setAside));
    return given;
  }

  test.each([
    ['before', 4],
    ['after', 5],
  ])('of an edited copy hides no fork from %s people decided', async (_when, sequence) => {
    const { client, architect, contractor, registryId } = await covered();
    const held = await entryAt(architect, registryId, sequence);
    const said = { registryId, sequence, digest: OTHER, copy: 1 };
    const checkpoint = client.ports.signer.sign({
      ...said,
      format: 'registry/checkpoint/v1',
      signer: client.id,
      issuedAt: '2026-11-24T10:00:00.000Z',
    } as Statement);
    const statement = contractor.ports.signer.sign({
      ...said,
      format: 'registry/confirmation/v1',
      signer: contractor.id,
      confirmedAt: '2026-11-24T10:00:00.000Z',
    } as Statement);

    await post([contractor, architect], registryId, { statement, checkpoint });

    expect(await openAt(architect, registryId)).toMatchObject([
      { said: { kind: 'fork', accused: client.id, digests: [held.digest, OTHER].sort() } },
    ]);
  });
});
