import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';

const COMMAND = join(import.meta.dirname, '../../cli/command.ts');

test('a command whose reader has enough does its work, and ends quietly', async () => {
  const program =
    `import { outliveReader } from ${JSON.stringify(COMMAND)};` +
    'outliveReader(process.stdout);' +
    'for (let line = 0; line < 3; line += 1) {' +
    '  console.log(line);' +
    '  await new Promise((resolve) => setTimeout(resolve, 50));' +
    '}' +
    'console.error("done");';
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  child.stdout.destroy();

  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);

  expect([code, said]).toEqual([0, 'done\n']);
});
