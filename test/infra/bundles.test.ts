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
  const loaded: [name: string, functions: readonly string[]][] = [];
  const times: string[] = [];
  for (const { name, file } of bundles) {
    const { functions, wallMs, processorMs } = await importInProcess(file);
    loaded.push([name, functions]);
    times.push(
      `${name}: imported in ${Math.round(wallMs)} ms, ${Math.round(processorMs)} of a processor`,
    );
  }
  // The goal is measured by the bench: here other tests run beside it.
  console.log(times.join('\n'));

  expect(loaded).toEqual(bundles.map(({ name }) => [name, ['handler']]));
});
