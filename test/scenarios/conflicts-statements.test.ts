import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { type ConflictStatement, conflictIdOf } from '../../shared/ledger/conflict.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { type Compact, payloadOf } from '../../shared/ledger/jws.ts';
import { keptStatement } from '../../shared/registry/kept-statements.ts';
import { encodeMessage } from '../../shared/registry/messages.ts';
import { uploadDocument } from '../builders.ts';
import { decide, signedByOperator } from '../conflicts.ts';
import { deliveryOf, forgeCommit } from '../forged-commit.ts';
import type { MemoryInstance } from '../memory-cluster.ts';
import { ownWord, type Posted, post, signClaim, signed } from './conflict-claims.ts';
import { findTampering, headOf, raised, rest, setAsideFrom, swarm } from './conflict-swarm.ts';

const OTHER = digestOf('something else');

/** One statement of every kind, rightly made, after the contractor found its own copy edited. */
async function everyKind() {
  const given = await swarm();
  const { cluster, client, contractor, architect, registryId } = given;
  const conflictId = await findTampering(contractor, registryId, 3);
  await rest(cluster);
  const { sequence, digest } = await headOf(client, registryId);
  const common = { registryId, reason: 'Besprechung vom 23. November' };
  const by = (instance: MemoryInstance) => ({
    ...common,
    signer: instance.id,
    decidedBy: instance.operator.certificateId,
  });
  const resolution = {
    ...by(client),
    format: 'registry/resolution/v1',
    conflicts: [conflictId],
    manner: 'replay',
    entries: [],
    through: { sequence, digest },
  };
  const acceptance = {
    ...by(contractor),
    format: 'registry/acceptance/v1',
    resolution: digestOf(encodeCanonical(resolution)),
  };
  const setAside = {
    ...by(contractor),
    format: 'registry/set-aside/v1',
    conflicts: [conflictId],
    copy: 2,
    from: 3,
  };
  const { reason: _reason, ...place } = { ...common, sequence, digest };
  const closing = { ...place, signer: contractor.id, format: 'registry/closing/v1' };
  const claim = ownWord(contractor, registryId, 2, 'another one');
  return {
    ...given,
    conflictId,
    payloads: { resolution, acceptance, setAside, closing },
    all: {
      conflict: { statement: await signClaim(contractor, registryId, claim) },
      resolution: signed(client, resolution),
      acceptance: signed(contractor, acceptance),
      setAside: signed(contractor, setAside),
      closing: signed(contractor, closing),
    },
    receiver: architect,
  };
}

type Given = Awaited<ReturnType<typeof everyKind>>;
type Kind = keyof Given['all'];
const KINDS: readonly Kind[] = ['conflict', 'resolution', 'acceptance', 'setAside', 'closing'];

/** All that the receiver keeps about conflicts, and its head. */
async function keptAt({ receiver: { known }, registryId }: Given) {
  return [
    await known.head(registryId),
    await known.kept(registryId),
    await known.conflicts(registryId),
  ];
}

type Member = readonly [name: string, value: unknown];

/** The payload without one member, with another value for it, or with one more. */
function swapsOf(payload: object): fc.Arbitrary<Member> {
  const values = fc.oneof(
    fc.constantFrom<unknown>(OTHER, '', 'replace', 'open', [], [OTHER], {}, true, null, undefined),
    fc.integer({ min: 0, max: 9 }),
    fc.constant({ sequence: 2, digest: OTHER }),
  );
  const names = fc.constantFrom(...Object.keys(payload), 'after', 'more');
  return fc
    .tuple(names, values)
    .filter(([name, value]) => text(swapped(payload, [name, value])) !== text(payload));
}

function swapped(payload: object, [name, value]: Member): object {
  const { [name]: _swapped, ...rest } = payload as Record<string, unknown>;
  return value === undefined ? rest : { ...rest, [name]: value };
}

function text(payload: object): string {
  return encodeCanonical(payload).toString();
}

/** The same header and signature around another payload. */
function withPayload(compact: string, payload: object): string {
  const [header, , signature] = compact.split('.');
  return `${header}.${encodeCanonical(payload).toString('base64url')}.${signature}`;
}

describe('a statement about conflicts', () => {
  let given: Given;
  beforeAll(async () => {
    given = await everyKind();
  });

  test.each(KINDS)('of the kind %s is refused when any one member was swapped', async (kind) => {
    const { contractor, receiver, registryId, all } = given;
    const posted = all[kind] as Posted;
    const payload = payloadOf(posted.statement as Compact) as object;
    const before = await keptAt(given);

    await fc.assert(
      fc.asyncProperty(swapsOf(payload), fc.boolean(), async (member, both) => {
        const other = swapped(payload, member);
        const decision =
          posted.decision === undefined
            ? {}
            : { decision: both ? withPayload(posted.decision, other) : posted.decision };
        const forged = { statement: withPayload(posted.statement, other), ...decision };
        const { status } = await post([contractor, receiver], registryId, forged);
        expect(status).toBe(400);
      }),
      { numRuns: 40 },
    );

    expect(await keptAt(given)).toEqual(before);
  });

  test.each(KINDS)('of the kind %s is another one when its signer swaps a member', async (kind) => {
    const { all } = given;
    const { statement } = all[kind] as Posted;
    const payload = payloadOf(statement as Compact) as ConflictStatement;
    const digestIn = (said: object) => {
      const compact = withPayload(statement, said) as Compact;
      return keptStatement('report', compact, { recordedAt: '' }).digest;
    };

    fc.assert(
      fc.property(swapsOf(payload), (member) => {
        expect(digestIn(swapped(payload, member))).not.toBe(digestIn(payload));
      }),
    );
  });

  test('that says of another thing who disagrees about what is another conflict', async () => {
    const said = payloadOf(given.all.conflict.statement as Compact) as ConflictStatement;
    const others: readonly Partial<ConflictStatement>[] = [
      { registryId: OTHER },
      { kind: 'digest-mismatch' },
      { sequence: 3 as never },
      { digests: [OTHER] },
      { accused: 'open' },
    ];
    const same = { signer: OTHER as never, detectedAt: '2026-11-25T10:00:00.000Z', evidence: [] };

    const ids = others.map((changes) => conflictIdOf({ ...said, ...changes }));

    expect(new Set([...ids, conflictIdOf(said)]).size).toBe(others.length + 1);
    expect(conflictIdOf({ ...said, ...same })).toBe(conflictIdOf(said));
  });

  test.each(KINDS)('of the kind %s is refused in another registry', async (kind) => {
    const { client, contractor, receiver, all } = given;
    const another = await client.create([receiver, contractor]);
    await given.cluster.settle();

    const answer = await post([contractor, receiver], another, all[kind] as Posted);

    expect([answer.status, answer.body.code]).toEqual([400, 'STATEMENT_REGISTRY_DIFFERS']);
    expect(await receiver.known.kept(another)).toEqual([]);
  });

  test.each<readonly [string, string, (given: Given) => Posted]>([
    [
      'a decision without the word of the instance',
      'STATEMENT_SIGNER_DIFFERS',
      ({ all }) => ({ statement: all.resolution.decision ?? '' }),
    ],
    [
      'a resolution that no operator signed',
      'STATEMENT_MALFORMED',
      ({ all: { resolution } }) => ({ statement: resolution.statement }),
    ],
    [
      'a resolution with the decision about something else',
      'STATEMENT_MALFORMED',
      ({ all: { resolution, setAside } }) => ({
        statement: resolution.statement,
        decision: setAside.decision ?? '',
      }),
    ],
    [
      'a resolution that the instance signed in the place of its operator',
      'STATEMENT_SIGNER_DIFFERS',
      ({ all: { resolution } }) => ({ ...resolution, decision: resolution.statement }),
    ],
    [
      'a resolution whose operator decided for another reason',
      'DECISION_DIFFERS',
      ({ client, payloads: { resolution }, all }) => ({
        statement: all.resolution.statement,
        decision: signedByOperator(client, { ...resolution, reason: 'anders' }),
      }),
    ],
    [
      'a resolution by a mirror',
      'LEAD_DIFFERS',
      ({ contractor, payloads: { resolution } }) =>
        signed(contractor, {
          ...resolution,
          signer: contractor.id,
          decidedBy: contractor.operator.certificateId,
        }),
    ],
    [
      'an acceptance of no peer',
      'SIGNER_NO_PEER',
      (at) => stranger(at, { ...at.payloads.acceptance, resolution: OTHER }),
    ],
    ['a set-aside of no peer', 'SIGNER_NO_PEER', (at) => stranger(at, at.payloads.setAside)],
    ['a closing of no peer', 'SIGNER_NO_PEER', (at) => stranger(at, at.payloads.closing)],
    [
      'a checkpoint',
      'UNKNOWN_FORMAT',
      ({ client, payloads: { closing } }) =>
        signed(client, { ...closing, format: 'registry/checkpoint/v1', signer: client.id }),
    ],
    ['what is no statement', 'UNKNOWN_FORMAT', () => ({ statement: 'a.b.c' })],
  ])('is refused and alarmed where it is %s', async (_what, code, make) => {
    const { contractor, receiver, registryId } = given;
    const before = await keptAt(given);
    const refused = raised(receiver, 'StatementsRefused');

    const answer = await post([contractor, receiver], registryId, make(given));

    expect([answer.status, answer.body.code]).toEqual([400, code]);
    expect(raised(receiver, 'StatementsRefused')).toBe(refused + 1);
    expect(await keptAt(given)).toEqual(before);
  });

  test('is refused where it is a resolution of a manner that does not fit', async () => {
    const { client, contractor, receiver, registryId, payloads } = given;
    const before = await keptAt(given);
    const resolution = signed(client, { ...payloads.resolution, manner: 'take-back' });

    const answer = await post([contractor, receiver], registryId, resolution);

    expect([answer.status, answer.body.code]).toEqual([409, 'MANNER_NOT_ALLOWED']);
    expect(await keptAt(given)).toEqual(before);
  });

  test.each<readonly [string, (given: Given) => Posted]>([
    [
      'a resolution of a conflict that is not here',
      ({ client, payloads: { resolution } }) =>
        signed(client, { ...resolution, conflicts: [OTHER] }),
    ],
    [
      'an acceptance of a resolution that is not here',
      ({ contractor, payloads: { acceptance } }) =>
        signed(contractor, { ...acceptance, resolution: OTHER }),
    ],
    [
      'a set-aside for a conflict that is not here',
      ({ contractor, payloads: { setAside } }) =>
        signed(contractor, { ...setAside, conflicts: [OTHER] }),
    ],
    [
      'a resolution by a mirror, who may lead in what is still to come',
      ({ contractor, payloads: { resolution } }) =>
        signed(contractor, {
          ...resolution,
          signer: contractor.id,
          decidedBy: contractor.operator.certificateId,
          through: { sequence: 1_000_000, digest: OTHER },
        }),
    ],
  ])('waits where it is %s', async (_what, make) => {
    const { contractor, receiver, registryId } = given;
    const before = await keptAt(given);

    const answer = await post([contractor, receiver], registryId, make(given));

    expect([answer.status, answer.body.code]).toEqual([429, 'STATEMENT_AHEAD']);
    expect(await keptAt(given)).toEqual(before);
  });

  test.each<readonly [string, (given: Given) => object]>([
    [
      'an acceptance as a resolution',
      ({ all: { acceptance } }) => ({ resolutions: [acceptance], conflicts: [] }),
    ],
    [
      'a set-aside as a resolution',
      ({ all: { setAside } }) => ({ resolutions: [setAside], conflicts: [] }),
    ],
    [
      'a closing as a conflict',
      ({ all: { resolution, closing } }) => ({
        resolutions: [resolution],
        conflicts: [closing.statement],
      }),
    ],
  ])('is refused in a delivery that brings %s', async (_what, brought) => {
    const { client, receiver, registryId } = given;
    const before = await keptAt(given);
    const head = await headOf(client, registryId);
    const { commit } = forgeCommit(client.ports.signer, head, [uploadDocument('NEXT')]);
    const delivery = { ...deliveryOf(registryId, commit), ...brought(given) };

    const answer = await receiver.answerPeer(client.certificate.certificatePem, {
      operation: 'deliver',
      registryId,
      body: encodeMessage(delivery as never),
    });

    expect(answer).toMatchObject({ status: 400 });
    expect(await keptAt(given)).toEqual(before);
  });

  /** The payload as somebody signs it who was never a peer here. */
  function stranger({ client }: Given, payload: object): Posted {
    const { operator } = client;
    const instance = { ...client, id: operator.certificateId } as unknown as MemoryInstance;
    const said = { ...payload, signer: operator.certificateId };
    const decided = 'decidedBy' in said ? { ...said, decidedBy: operator.certificateId } : said;
    const statement = signedByOperator(instance, decided);
    return 'decidedBy' in decided ? { statement, decision: statement } : { statement };
  }
});

test('every statement about conflicts is taken as it was made, once', async () => {
  const given = await everyKind();
  const { contractor, receiver, registryId, all } = given;
  const { conflict: _claim, ...decisions } = all;
  await post([contractor, receiver], registryId, ...Object.values(decisions));
  const before = await keptAt(given);

  const again = await post([contractor, receiver], registryId, ...Object.values(decisions));

  expect(again).toMatchObject({ status: 200, body: { taken: 4 } });
  const kinds = (await receiver.known.kept(registryId)).map(({ kind }) => kind);
  const expected = ['acceptance', 'closing', 'report', 'resolution', 'set-aside'];
  expect(kinds.toSorted()).toEqual(expected);
  expect(await keptAt(given)).toEqual(before);
});

describe('a lead', () => {
  test('takes no resolution of a mirror, whatever it says of what is still to come', async () => {
    const { cluster, client, contractor, registryId, payloads } = await everyKind();
    const resolution = signed(contractor, {
      ...payloads.resolution,
      signer: contractor.id,
      decidedBy: contractor.operator.certificateId,
      through: { sequence: 1_000_000, digest: OTHER },
    });

    const answer = await post([contractor, client], registryId, resolution);
    await setAsideFrom(contractor, registryId, 3);
    await decide(client, registryId, { manner: 'replay' });
    await rest(cluster);

    expect([answer.status, answer.body.code]).toEqual([400, 'LEAD_DIFFERS']);
    const after = await client.record(registryId, 'AFTER');
    expect(after.body.entries[0].entry.resolves).toHaveLength(1);
  });
});

test('what a peer has judged and refuses does not keep waiting what comes after it', async () => {
  const { cluster, client, architect, contractor, registryId } = await swarm();
  const problem = { code: 'MANNER_NOT_ALLOWED', detail: 'not by this manner', taken: 0 };
  const body = Buffer.from(JSON.stringify(problem));
  cluster.network = ({ from, to, request }, carry) =>
    from === contractor && to === architect && request.operation === 'statements'
      ? { outcome: 'answered', status: 409, body }
      : carry();
  await findTampering(contractor, registryId, 3);
  await rest(cluster);
  cluster.network = (_passing, carry) => carry();
  await setAsideFrom(contractor, registryId, 3);
  await decide(client, registryId, { manner: 'replay' });
  await rest(cluster);

  const cursor = await contractor.known.cursor(registryId, architect.id);

  expect(cursor?.statementsThrough).toBe(await contractor.known.statementsHead(registryId));
  expect(raised(contractor, 'StatementsRefused')).toBeGreaterThan(0);
  expect((await client.record(registryId, 'AFTER')).status).toBe(201);
});
