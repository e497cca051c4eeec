import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { instanceKeys, readInstance } from '../../infra/instance-config.ts';
import { exampleAuthorityPem } from './example-authority.ts';

const ROOT = join(import.meta.dirname, '..', '..');

test('the page about the file tells every key, and no other', () => {
  const page = readFileSync(join(ROOT, 'docs', 'instance-file.md'), 'utf8');
  const [, keys = ''] = /^## Keys\n([\s\S]*?)^## /m.exec(page) ?? [];

  const told = [...keys.matchAll(/^\| `(\w+)` \|/gm)].map(([, key]) => key);
  expect(told.sort()).toEqual([...instanceKeys].sort());
});

test('the file that the guide shows is taken once its placeholders are filled', () => {
  const page = readFileSync(join(ROOT, 'docs', 'self-hosting.md'), 'utf8');
  const [, shown = ''] = /^```json\n(\{\n {2}"name"[\s\S]*?)^```/m.exec(page) ?? [];
  const arn = 'arn:aws:acm:eu-central-1:111122223333:certificate/1';
  const filled = shown
    .replaceAll(/<ARN of [^>]*>/g, arn)
    .replaceAll(/<certificate id of [^>]*>/g, 'ab'.repeat(32));
  const directory = mkdtempSync(join(tmpdir(), 'guide-'));
  writeFileSync(join(directory, 'cluster-ca.pem'), exampleAuthorityPem);
  writeFileSync(join(directory, 'client.json'), filled);

  const instance = readInstance(join(directory, 'client.json'));
  rmSync(directory, { recursive: true });

  expect(instance).toMatchObject({ name: 'client', domain: { name: 'registry.client.example' } });
});
