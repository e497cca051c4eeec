/**
 * Runs the benchmarks: all of them, or those that are named. `--quick` takes small sizes. A whole
 * run in full size writes docs/benchmarks.md.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Bench, type BenchSize, fullSize, quickSize } from './bench.ts';
import { benches } from './benches.ts';
import { type Measured, pageOf, rowsOf, tableOf } from './report.ts';

const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'benchmarks.md');

const { values: options, positionals: names } = parseArgs({
  options: { quick: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const unknown = names.find((name) => !benches.some((bench) => bench.name === name));
if (unknown === undefined) await runAll(options.quick ? quickSize : fullSize);
else {
  const known = benches.map(({ name }) => name).join(', ');
  console.error(`there is no benchmark "${unknown}": name some of ${known}, or none for all`);
  process.exitCode = 2;
}

async function runAll(size: BenchSize): Promise<void> {
  const chosen = names.length === 0 ? benches : benches.filter(({ name }) => names.includes(name));
  const results: Measured[] = [];
  for (const bench of chosen) results.push(await runOne(bench, size));
  console.log(`\n${tableOf(results).join('\n')}`);
  if (names.length > 0 || size.quick) return;
  writeFileSync(PAGE, pageOf(results, new Date()));
  console.log(`\nwritten to ${PAGE}`);
}

async function runOne(bench: Bench, size: BenchSize): Promise<Measured> {
  console.log(`${bench.name} …`);
  const begun = performance.now();
  const result = await bench.run(size);
  const seconds = (performance.now() - begun) / 1000;
  const measured = { ...result, name: bench.name, seconds };
  console.log(
    `${rowsOf(measured).join('\n')}\n${seconds.toFixed(0)} s. ${result.notes.join(' ')}\n`,
  );
  return measured;
}
