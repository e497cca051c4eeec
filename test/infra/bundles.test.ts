import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Bundle, bundleBytesMax, bundleFunctions, importInProcess } from '../bundles.ts';

// Outside the project: what a bundle lacks is not found in the project's packages.
const directory = mkdtempSync(join(tmpdir(), 'registry-bundles-'));
let bundles: readonly Bundle[];

beforeAll(() => {
  bundles = bundleFunctions(directory);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('the bundle of each function, the SDK included, has at most 1 MB', () => {
  console.log(bundles.map(({ name, bytes }) => `${name}: ${bytes} bytes`).join('\n'));

  expect(bundles).toHaveLength(8);
  expect(bundles.filter(({ bytes }) => bytes > bundleBytesMax)).toEqual([]);
});

test('the bundle of each function loads by itself and exports a handler', async () => {
  const loaded = await Promise.all(
    bundles.map(async ({ name, file }) => [name, (await importInProcess(file)).functions]),
  );

  expect(loaded).toEqual(bundles.map(({ name }) => [name, ['handler']]));
});
