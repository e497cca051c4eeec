import { expect, test } from 'vitest';
import { quickSize } from './bench/bench.ts';
import { benches } from './bench/benches.ts';

/** Those that start no whole instances. */
const small = benches.filter(({ needs }) => needs !== 'cluster');

test.for(small)('the benchmark $name runs and measures every figure', {
  timeout: 120_000,
}, async (bench) => {
  const { figures } = await bench.run(quickSize);

  expect(figures.length).toBeGreaterThan(0);
  for (const { values } of figures) {
    expect(values).toHaveLength(1);
    expect(values[0]).toBeGreaterThan(0);
  }
});
