import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { expect, test, vi } from 'vitest';
import { freePort } from '../../../infra/local/port.ts';

const SOURCE = new URL('../../../infra/local/dynamodb-local.ts', import.meta.url).href;

/** A process of its own that starts DynamoDB Local and says where; without a PATH, no Java. */
function holder(port: number, env?: NodeJS.ProcessEnv): ChildProcess {
  const program = `
    const { startDynamoDbLocal } = await import('${SOURCE}');
    await startDynamoDbLocal({ port: ${port} }).then(
      ({ endpoint }) => console.log(endpoint),
      ({ message }) => console.log(message),
    );`;
  return spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(env === undefined ? {} : { env }),
  });
}

test('it does not outlive a process that is killed', async () => {
  const process = holder(await freePort(0, 'port'));
  if (process.stdout === null) throw new Error('no output');
  const [endpoint] = await once(createInterface({ input: process.stdout }), 'line');
  expect((await fetch(endpoint)).status).toBe(400);

  process.kill('SIGKILL');

  await vi.waitFor(() => expect(fetch(endpoint)).rejects.toThrow(), {
    timeout: 5000,
    interval: 50,
  });
});

test('without Java it says in one sentence what to install', async () => {
  const process = holder(1, { PATH: '' });
  if (process.stdout === null) throw new Error('no output');

  expect(await text(process.stdout)).toMatch(
    /^DynamoDB Local needs Java, and `java` cannot be run here: install a Java runtime .* again\n$/,
  );
});
