/** Figures as a table, for the terminal and for docs/benchmarks.md. */
import { availableParallelism, loadavg } from 'node:os';
import { type BenchResult, type Figure, isReached, median } from './bench.ts';

export interface Measured extends BenchResult {
  readonly name: string;
  readonly seconds: number;
}

/** Head and one row a figure, as lines. */
export function tableOf(results: readonly Measured[]): string[] {
  return [
    '| what | goal | median | rounds | |',
    '| --- | --- | --- | --- | --- |',
    ...results.flatMap(rowsOf),
  ];
}

export function rowsOf({ figures }: Measured): string[] {
  return figures.map(rowOf);
}

function rowOf(figure: Figure): string {
  const { title, goal, values, unit } = figure;
  const of = unit === undefined ? '' : ` ${unit}`;
  const sorted = values.toSorted((a, b) => a - b);
  const spread = `${digits(sorted[0] ?? 0)} to ${digits(sorted.at(-1) ?? 0)}`;
  const rounds = values.length === 1 ? '' : spread;
  const measured = `${digits(median(values))}${of}`;
  return `| ${title} | at ${goal.at} ${goal.value}${of} | ${measured} | ${rounds} | ${verdictOf(figure)} |`;
}

function verdictOf(figure: Figure): string {
  if (isReached(figure)) return 'reached';
  const percent = Math.abs(median(figure.values) / figure.goal.value - 1) * 100;
  return `**missed by ${Math.ceil(percent)} %**`;
}

/** Three digits that count. */
function digits(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

/** The page of the documentation. */
export function pageOf(results: readonly Measured[], date: Date): string {
  const minutes = Math.round(results.reduce((sum, { seconds }) => sum + seconds, 0) / 60);
  return [
    '# Benchmarks',
    '',
    `Written by \`npm run bench\` on ${date.toISOString().slice(0, 10)}: ` +
      `${availableParallelism()} cores, ${process.platform} ${process.arch}, Node ` +
      `${process.version}; ${minutes} minutes in all, at a load average of ` +
      `${digits(loadavg()[2] ?? 0)}: where that is well above the number of cores, other work ` +
      'shared them, and the rounds lie far apart.',
    '',
    'Every figure compares two ways within one run, on the same machine, turn by turn; it is the ' +
      'median of its rounds. Absolute speeds say something about this machine and these emulators ' +
      'only, ratios something about the software. Nothing is simulated but AWS: the database is ' +
      'DynamoDB Local in memory, and the bytes of documents are held in memory where no cluster runs.',
    '',
    ...tableOf(results),
    '',
    '## How each was measured, and where the time goes',
    '',
    ...results.flatMap(({ name, notes }) => [`**${name}**: ${notes.join(' ')}`, '']),
    '`npm run bench -- <name>` runs one of them, `npm run bench -- --quick` small sizes that only ' +
      'show that they run. Only a whole run in full size writes this page.',
    '',
  ].join('\n');
}
