import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { instanceKeys } from '../../infra/instance-config.ts';

const ROOT = join(import.meta.dirname, '..', '..');

test('the page about the file tells every key, and no other', () => {
  const page = readFileSync(join(ROOT, 'docs', 'instance-file.md'), 'utf8');
  const [, keys = ''] = /^## Keys\n([\s\S]*?)^## /m.exec(page) ?? [];

  const told = [...keys.matchAll(/^\| `(\w+)` \|/gm)].map(([, key]) => key);
  expect(told.sort()).toEqual([...instanceKeys].sort());
});
