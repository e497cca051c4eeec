import { describe, expect, test } from 'vitest';
import { digestOf, type RegistryId } from '../../shared/ledger/digest.ts';
import { type AskAfreshPorts, askAfresh, judgeCommits } from '../../shared/registry/ask-afresh.ts';
import { carriedCommits, type Delivery, encodeMessage } from '../../shared/registry/messages.ts';
import type { PeerAnswer } from '../../shared/registry/peer-transport.ts';
import { openAt } from '../conflicts.ts';
import { deliveryOf } from '../forged-commit.ts';
import { unreachable } from '../memory-cluster.ts';
import {
  expectSoundCopy,
  findTampering,
  headOf,
  type Swarm,
  swarm,
} from '../scenarios/conflict-swarm.ts';

/** Entry 3 is at the lead only. */
async function behind() {
  const given = await swarm(1);
  const { client, registryId } = given;
  await client.record(registryId, 'THREE');
  const entries = await client.known.entries(registryId, 1, { from: 3, count: 1 });
  return { ...given, sound: deliveryOf(registryId, ...carriedCommits(entries)) };
}

/** The delivery with another text in place of one of its entries' members. */
function garbled(delivery: Delivery, from: string, to: string): Delivery {
  return JSON.parse(JSON.stringify(delivery).replaceAll(from, to));
}

/** The transaction no longer is what its entry names. */
const mismatched = (delivery: Delivery) => garbled(delivery, 'x-step', 'x-stop');
/** Nobody's word at all. */
const unsigned = ({ commits, ...delivery }: Delivery): Delivery => ({
  ...delivery,
  commits: commits.map((commit) => ({ ...commit, checkpoint: 'a.b.c' })),
});

function answer(body: Uint8Array, status = 200): PeerAnswer {
  return { outcome: 'answered', status, body };
}

/** The architect's ports; the lead answers in this order, and then no more. */
function answering({ architect }: Swarm, ...answers: readonly PeerAnswer[]) {
  const left = [...answers];
  const asked: string[] = [];
  const ports: AskAfreshPorts = {
    ...architect.ports,
    transport: {
      ...architect.ports.transport,
      call: async (peer, { operation, subject }) => {
        asked.push(`${operation} ${subject} of ${peer}`);
        return left.shift() ?? unreachable;
      },
    },
  };
  return { ports, asked };
}

function judgedWrong(delivery: Delivery) {
  const judged = judgeCommits(delivery);
  if (judged.outcome !== 'malformed') throw new Error('it comes out');
  return judged;
}

describe('what does not come out to its checkpoint', () => {
  test('is asked for afresh, from the head on, and what is sound then is given', async () => {
    const given = await behind();
    const { client, registryId, sound } = given;
    const wrong = mismatched(sound);
    const answers = [wrong, sound].map((each) => answer(encodeMessage(each)));
    const { ports, asked } = answering(given, ...answers);

    const outcome = await askAfresh(ports, client.id, wrong, judgedWrong(wrong));

    expect(outcome).toMatchObject({ outcome: 'judged', delivery: sound });
    expect(asked).toEqual([`entries 3 of ${client.id}`, `entries 3 of ${client.id}`]);
    expect(await openAt(given.architect, registryId)).toEqual([]);
  });

  test('three times is a conflict, with all three as evidence', async () => {
    const given = await behind();
    const { client, architect, registryId, sound } = given;
    const wrong = mismatched(sound);
    const bytes = encodeMessage(wrong);
    const { ports, asked } = answering(given, answer(bytes), answer(bytes), answer(bytes));

    const outcome = await askAfresh(ports, client.id, wrong, judgedWrong(wrong));

    const [open] = await openAt(architect, registryId);
    expect(outcome).toEqual({ outcome: 'in-conflict', conflicts: [open?.conflictId] });
    expect(open?.said).toMatchObject({ kind: 'digest-mismatch', accused: 'open', sequence: 3 });
    expect(asked).toHaveLength(3);
    const evidence = await architect.blobs.evidence(open?.said.evidence[0] as never);
    expect(JSON.parse(Buffer.from(evidence ?? '').toString()).deliveries).toEqual([
      wrong.commits[0],
      wrong.commits[0],
      wrong.commits[0],
    ]);
    await expectSoundCopy(architect, registryId);
  });

  test.each<readonly [string, (sound: Delivery) => readonly PeerAnswer[]]>([
    ['does not answer', () => [unreachable]],
    ['does not answer the third time', (sound) => [...twice(sound), unreachable]],
    ['has nothing there', () => [answer(Buffer.from('{}'), 404)]],
    ['answers what is no delivery', () => [answer(Buffer.from('no JSON'))]],
    [
      'answers about another registry',
      (sound) => [answer(encodeMessage({ ...sound, registryId: digestOf('another') }))],
    ],
    [
      'answers what nobody signed',
      (sound) => [...twice(sound), answer(encodeMessage(unsigned(sound)))],
    ],
  ])('accuses nobody where the lead %s', async (_what, answersOf) => {
    const given = await behind();
    const { client, architect, registryId, sound } = given;
    const wrong = mismatched(sound);
    const before = await headOf(architect, registryId);
    const { ports } = answering(given, ...answersOf(sound));

    const outcome = await askAfresh(ports, client.id, wrong, judgedWrong(wrong));

    expect(outcome).toMatchObject({ outcome: 'malformed' });
    expect(await headOf(architect, registryId)).toEqual(before);
  });

  test('is not asked for where no checkpoint reaches it at all', async () => {
    const given = await behind();
    const wrong = unsigned(given.sound);
    const { ports, asked } = answering(given);

    const outcome = await askAfresh(ports, given.client.id, wrong, judgedWrong(wrong));

    expect(outcome).toMatchObject({ outcome: 'malformed', refused: judgedWrong(wrong).refused });
    expect(asked).toEqual([]);
  });

  test('is not asked for where somebody else than the lead brought it', async () => {
    const given = await behind();
    const wrong = mismatched(given.sound);
    const { ports, asked } = answering(given);

    const outcome = await askAfresh(ports, given.contractor.id, wrong, judgedWrong(wrong));

    expect(outcome).toMatchObject({ outcome: 'malformed' });
    expect(asked).toEqual([]);
  });

  test('is not asked for of a registry that is not here', async () => {
    const given = await behind();
    const wrong = { ...mismatched(given.sound), registryId: digestOf('another') as RegistryId };
    const { ports, asked } = answering(given);

    const outcome = await askAfresh(ports, given.client.id, wrong, {
      ...judgedWrong(mismatched(given.sound)),
    });

    expect(outcome).toMatchObject({ outcome: 'malformed' });
    expect(asked).toEqual([]);
  });

  test('is not asked for while a conflict is open that nobody has decided on', async () => {
    const given = await behind();
    const { client, architect, registryId, sound } = given;
    await findTampering(architect, registryId, 2);
    const wrong = mismatched(sound);
    const { ports, asked } = answering(given);

    const outcome = await askAfresh(ports, client.id, wrong, judgedWrong(wrong));

    expect(outcome).toMatchObject({ outcome: 'malformed' });
    expect(asked).toEqual([]);
  });
});

/** Twice what does not come out. */
function twice(sound: Delivery): PeerAnswer[] {
  const bytes = encodeMessage(mismatched(sound));
  return [answer(bytes), answer(bytes)];
}

describe('commits of one delivery', () => {
  test('follow each other without gaps', async () => {
    const { client, registryId } = await behind();
    const entries = await client.known.entries(registryId, 1, { from: 1, count: 3 });
    const [first, second, third] = carriedCommits(entries);
    if (first === undefined || second === undefined || third === undefined)
      throw new Error('three commits are stored');

    expect(judgeCommits(deliveryOf(registryId, first, second, third)).outcome).toBe('judged');
    for (const commits of [
      [first, third],
      [second, first],
      [first, first],
    ])
      expect(judgeCommits(deliveryOf(registryId, ...commits))).toMatchObject({
        outcome: 'malformed',
        refused: { code: 'SEQUENCE_NOT_NEXT' },
      });
  });
});
