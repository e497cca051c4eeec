import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bundle, bundleBytesMax, bundleFunctions, importInProcess } from '../bundles.ts';
import type { Imported } from '../import-process.ts';
import { type Bench, type BenchResult, median } from './bench.ts';

/** What a cold start of each function has to read, compile and run before its first event. */
export const bundles: Bench = {
  name: 'bundles',
  needs: 'nothing',
  run: async ({ quick, rounds }) => {
    const directory = mkdtempSync(join(tmpdir(), 'registry-bundles-'));
    try {
      const empty = join(directory, 'empty.mjs');
      writeFileSync(empty, '');
      const made = bundleFunctions(join(directory, 'out'), quick ? ['publish'] : undefined);
      const sides: Side[] = [empty, ...made.map(({ file }) => file)].map((file) => ({
        file,
        rounds: [],
      }));
      for (let round = 0; round < rounds; round += 1)
        for (const { file, rounds } of sides) rounds.push(await measure(file));
      const [emptySide, ...others] = sides;
      return resultOf(made, others, emptySide?.rounds ?? []);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

interface Round extends Imported {
  /** From the start of the process until it has ended. */
  readonly processMs: number;
}

interface Side {
  readonly file: string;
  readonly rounds: Round[];
}

async function measure(file: string): Promise<Round> {
  const begun = performance.now();
  const imported = await importInProcess(file);
  return { ...imported, processMs: performance.now() - begun };
}

function resultOf(
  made: readonly Bundle[],
  sides: readonly Side[],
  emptyRounds: readonly Round[],
): BenchResult {
  const sizes = made.map(({ name, bytes }) => ({
    title: `bundle of \`${name}\`, the SDK included`,
    goal: { at: 'most', value: bundleBytesMax / 1000 } as const,
    values: [bytes / 1000],
    unit: 'kB',
  }));
  const roundsOf = (bundle: Bundle) => sides.find(({ file }) => file === bundle.file)?.rounds ?? [];
  const times = made.map((bundle) => ({
    title: `cold import of the bundle of \`${bundle.name}\`, processor time`,
    goal: { at: 'most', value: 150 } as const,
    values: roundsOf(bundle).map(({ processorMs }) => processorMs),
    unit: 'ms',
  }));
  const fastest = made.map(
    (bundle) =>
      `${bundle.name} ${Math.min(...roundsOf(bundle).map(({ wallMs }) => wallMs)).toFixed(0)} ms`,
  );
  const ratios = made.map((bundle) => {
    const ratio = median(
      roundsOf(bundle).map(({ processMs }, round) => {
        return processMs / (emptyRounds[round]?.processMs ?? Number.NaN);
      }),
    );
    return `${bundle.name} ${ratio.toFixed(1)}`;
  });
  return {
    figures: [...sizes, ...times],
    notes: [
      'Bundled by the construct that a deployment uses; a size is the same in every run. Each ' +
        'import is measured from inside a new process, and makes the clients of the SDK and the ' +
        'schemas as well. Processor time is that of all threads, so it is no less than what the ' +
        'import takes on a machine with nothing else to do.',
      `By the clock the fastest took: ${fastest.join(', ')}.`,
      'The whole process, against one that imports an empty module in the same round and ends ' +
        `after ${median(emptyRounds.map(({ processMs }) => processMs)).toFixed(0)} ms: ` +
        `${ratios.join(', ')} times as long.`,
      'Lambda has other processors, and reads the file from elsewhere: how long a cold start takes ' +
        'there is not shown by this.',
    ],
  };
}
