import { expect, test } from 'vitest';
import { World } from './world.ts';

/** `SIMULATION_SEEDS=200 SIMULATION_FIRST=1000` runs others. */
const FIRST = Number(process.env['SIMULATION_FIRST'] ?? 1);
const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 12);
const STEPS = 80;

test('whatever fails, nothing is lost, doubled, accused or forgotten, and all becomes final', async () => {
  const happened = new Map<string, number>();
  for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
    const ran = await new World(`seed ${seed}`).run(STEPS).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    });
    for (const [what, times] of ran.happened) happened.set(what, (happened.get(what) ?? 0) + times);
  }

  console.log(
    [...happened]
      .sort()
      .map(([what, times]) => `${what}: ${times}`)
      .join('\n'),
  );
  for (const what of ['recorded', 'lost', 'answer-lost', 'late', 'crash', 'store fault'])
    expect([what, happened.get(what) ?? 0]).toEqual([what, expect.any(Number)]);
});
