import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { clientCodes, knownInstanceCodes } from '../../shared/client/problem.ts';
import { problemCodes } from '../../shared/http/problem.ts';

test('the client knows every code that an instance answers with', () => {
  expect([...knownInstanceCodes].sort()).toEqual([...problemCodes].sort());
});

test('every code of the client itself is documented, and none is one of an instance', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'client.md'), 'utf8');

  for (const code of clientCodes) {
    expect(page).toContain(`\n| \`${code}\` |`);
    expect(problemCodes).not.toContain(code);
  }
});
