import { expect, test } from 'vitest';
import { editedTable, restoredLead, twoStories } from './disputes.ts';
import { type Dispute, World } from './world.ts';

/** `SIMULATION_SEEDS=200 SIMULATION_FIRST=1000` runs others. */
const FIRST = Number(process.env['SIMULATION_FIRST'] ?? 1);
const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 8);
const STEPS = 80;
const TIMEOUT_MS = 20_000 + 10_000 * SEEDS;

/** What happened how often; rejects with the seed whose run broke a rule. */
async function runAll(disputeOf: () => Dispute | undefined): Promise<ReadonlyMap<string, number>> {
  const happened = new Map<string, number>();
  for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
    const ran = await new World(`seed ${seed}`, disputeOf()).run(STEPS).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    });
    for (const [what, times] of ran.happened) happened.set(what, (happened.get(what) ?? 0) + times);
  }
  return happened;
}

test(
  'whatever fails, nothing is lost, doubled, accused or forgotten, and all becomes final',
  async () => {
    const happened = await runAll(() => undefined);

    const wanted = ['recorded', 'repeated', 'crash', 'store fault', 'lost', 'answer-lost', 'late'];
    const missing = wanted.filter((what) => (happened.get(what) ?? 0) === 0);
    expect(missing, 'nothing of this was tried').toEqual([]);
  },
  TIMEOUT_MS,
);

test(
  'whatever fails, an edited table is found, and all becomes final once people have decided',
  async () => {
    await runAll(editedTable);
  },
  TIMEOUT_MS,
);

test(
  'whatever fails, what a mirror holds of a restored lead is taken back, and all becomes final',
  async () => {
    const happened = await runAll(restoredLead);

    expect(happened.get('restored')).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

test(
  'whatever fails, two stories of a lead are found, and all becomes final once people have decided',
  async () => {
    await runAll(twoStories);
  },
  TIMEOUT_MS,
);
