import { expect, test } from 'vitest';
import { eachPoke, type Poke } from '../../functions/poke.ts';

const registryId = 'ab'.repeat(32);

function event(...bodies: readonly unknown[]) {
  const Records = bodies.map((body, n) => ({
    messageId: `m${n}`,
    body: typeof body === 'string' ? body : JSON.stringify(body),
    attributes: { MessageGroupId: 'g' },
  }));
  return { Records } as never;
}

function peer(n: number): Poke {
  return { registryId, peer: String(n).repeat(64) } as Poke;
}

const silent = () => undefined;

test('pokes that say the same are carried out once', async () => {
  const carried: Poke[] = [];

  const outcome = await eachPoke(
    event(peer(1), peer(2), peer(1), peer(1)),
    async (poke) => {
      carried.push(poke);
    },
    silent,
  );

  expect(outcome).toEqual({ batchItemFailures: [] });
  expect(carried).toEqual([peer(1), peer(2)]);
});

test('one that takes long does not keep the others of its batch from being carried out', async () => {
  const done: string[] = [];
  let answer: () => void = () => undefined;
  const slow = new Promise<void>((resolve) => {
    answer = resolve;
  });

  const whole = eachPoke(
    event(peer(1), peer(2), peer(3)),
    async ({ peer: id = '' }) => {
      if (id.startsWith('1')) await slow;
      done.push(id.charAt(0));
      if (done.length === 2) answer();
    },
    silent,
  );

  await whole;
  expect(done).toEqual(['2', '3', '1']);
});

test('what throws is reported as failed, with all that say the same, and nothing else', async () => {
  const lines: object[] = [];

  const outcome = await eachPoke(
    event(peer(1), peer(2), peer(1)),
    async ({ peer: id = '' }) => {
      if (id.startsWith('1')) throw new Error('the table does not answer');
    },
    (_level, message, facts) => lines.push({ message, ...facts }),
  );

  const failures = ['m0', 'm2'].map((itemIdentifier) => ({ itemIdentifier }));
  expect(outcome).toEqual({ batchItemFailures: failures });
  expect(lines).toEqual([
    {
      message: 'poke failed',
      messageId: 'm0',
      ...peer(1),
      reason: 'the table does not answer',
    },
  ]);
});

test.each(['', '{}', '{"registryId":"x"}', 'null'])('the body %j is no poke', async (body) => {
  const outcome = await eachPoke(event(body), async () => undefined, silent);

  expect(outcome.batchItemFailures).toHaveLength(1);
});
