import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Bench, type BenchResult, median } from './bench.ts';
import type { MemoryUse } from './verify-memory-process.ts';

const PROGRAM = join(import.meta.dirname, 'verify-memory-process.ts');

/** Of V8's young generation, which otherwise grows with the time that a process runs. */
const YOUNG_MIB = 4;

/** Whoever verifies a ledger of any length needs no machine of any size. */
export const verifyMemory: Bench = {
  name: 'verify-memory',
  needs: 'nothing',
  run: async ({ quick, rounds }) => {
    const few = quick ? 1000 : 10_000;
    const many = quick ? 5000 : 1_000_000;
    const uses: RoundUse[] = [];
    for (let round = 0; round < rounds; round += 1) uses.push(await measure(few, many));
    return resultOf(uses, { few, many });
  },
};

interface RoundUse {
  readonly fewLinks: MemoryUse;
  readonly manyLinks: MemoryUse;
  readonly fewRules: MemoryUse;
  readonly manyRules: MemoryUse;
}

/** Two processes at a time: what one holds does not depend on the other. */
async function measure(few: number, many: number): Promise<RoundUse> {
  const [fewLinks, fewRules] = await Promise.all([useOf(few, 'links'), useOf(few, 'rules')]);
  const [manyLinks, manyRules] = await Promise.all([useOf(many, 'links'), useOf(many, 'rules')]);
  return { fewLinks, manyLinks, fewRules, manyRules };
}

async function useOf(entries: number, checks: 'links' | 'rules'): Promise<MemoryUse> {
  const flags = ['--expose-gc', `--max-semi-space-size=${YOUNG_MIB}`];
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...flags,
    ...[PROGRAM, String(entries), checks],
  ]);
  return JSON.parse(stdout);
}

function resultOf(
  uses: readonly RoundUse[],
  { few, many }: { readonly few: number; readonly many: number },
): BenchResult {
  const manyText = many.toLocaleString('en');
  const against = `${manyText} generated entries, against ${few.toLocaleString('en')}`;
  const mib = (of: (use: RoundUse) => number) => (median(uses.map(of)) / 2 ** 20).toFixed(1);
  return {
    figures: [
      {
        title: `memory held after verifying ${against}, links and checkpoints only`,
        goal: { at: 'most', value: 1.2 },
        values: uses.map(({ manyLinks, fewLinks }) => manyLinks.heldBytes / fewLinks.heldBytes),
      },
      {
        title: `peak resident memory of verifying ${against}, links and checkpoints only`,
        goal: { at: 'most', value: 1.2 },
        values: uses.map(
          ({ manyLinks, fewLinks }) => manyLinks.peakResidentBytes / fewLinks.peakResidentBytes,
        ),
      },
      {
        title: `memory held in addition for the rules of the state, over ${manyText} entries`,
        goal: { at: 'most', value: 136 },
        values: uses.map(
          ({ manyRules, manyLinks }) => (manyRules.heldBytes - manyLinks.heldBytes) / many,
        ),
        unit: 'bytes an entry',
      },
    ],
    notes: [
      'Each in a process of its own that generates the ledger line by line and keeps none of it; ' +
        'held is used heap and external memory after a collection. Every document has one ' +
        'version, which is the most that the state can hold for an entry. Of these bytes 32 are ' +
        'the SHA-256 of the version, against which later signatures are verified.',
      `V8's young generation is held to semi-spaces of ${YOUNG_MIB} MiB: left to itself it grows ` +
        'with the garbage of a long run up to a limit of its own, whatever is kept.',
      `Held: ${mib((use) => use.fewLinks.heldBytes)} MiB and ` +
        `${mib((use) => use.manyLinks.heldBytes)} MiB with links only, ` +
        `${mib((use) => use.manyRules.heldBytes)} MiB with the rules. Peak resident: ` +
        `${mib((use) => use.fewLinks.peakResidentBytes)}, ` +
        `${mib((use) => use.manyLinks.peakResidentBytes)} and ` +
        `${mib((use) => use.manyRules.peakResidentBytes)} MiB.`,
    ],
  };
}
