/** What a benchmark is: figures, each measured in several rounds of one run and held to a goal. */

export interface BenchSize {
  /** True for the small sizes that only show that everything still runs. */
  readonly quick: boolean;
  /** Each figure is the median of so many rounds. */
  readonly rounds: number;
}

export const fullSize: BenchSize = { quick: false, rounds: 5 };
export const quickSize: BenchSize = { quick: true, rounds: 1 };

export interface Figure {
  readonly title: string;
  readonly goal: { readonly at: 'least' | 'most'; readonly value: number };
  /** One value a round. */
  readonly values: readonly number[];
  /** Of the values; a plain ratio unless given. */
  readonly unit?: string;
}

export interface BenchResult {
  readonly figures: readonly Figure[];
  /** What was measured and where the time goes, as sentences with the numbers of this run. */
  readonly notes: readonly string[];
}

export interface Bench {
  readonly name: string;
  /** What it starts: nothing but processes of its own, a database, or whole instances. */
  readonly needs: 'nothing' | 'database' | 'cluster';
  run(size: BenchSize): Promise<BenchResult>;
}

/** The middle value; of an even number of values the lower of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (middle === undefined) throw new Error('a median needs at least one value');
  return middle;
}

/** Whether the median reaches the goal. */
export function isReached({ goal, values }: Figure): boolean {
  const measured = median(values);
  return goal.at === 'least' ? measured >= goal.value : measured <= goal.value;
}

/** Seconds that the work takes. */
export async function secondsOf(work: () => unknown): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}

/**
 * Seconds of processor time that this process spends, its collector and compiler included: what
 * else the machine does counts for nothing.
 */
export function processorSecondsOf(work: () => void): number {
  const begun = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1_000_000;
}

/** Two ways to do the same, each given as the seconds that one turn of it takes. */
export interface Sides {
  readonly one: () => number | Promise<number>;
  readonly other: () => number | Promise<number>;
  /** Of each side in a round, added up; one unless given. */
  readonly turns?: number;
}

export interface Rounds {
  readonly one: readonly number[];
  readonly other: readonly number[];
}

/**
 * Rounds of both sides, turn by turn. The side that begins alternates, so that a machine that
 * becomes slower or faster meanwhile favours neither.
 */
export async function interleaved(rounds: number, sides: Sides): Promise<Rounds> {
  const seconds = { one: [] as number[], other: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    const sum = { one: 0, other: 0 };
    for (let turn = 0; turn < (sides.turns ?? 1); turn += 1) {
      const order = (round + turn) % 2 === 0 ? names : names.toReversed();
      for (const side of order) sum[side] += await sides[side]();
    }
    seconds.one.push(sum.one);
    seconds.other.push(sum.other);
  }
  return seconds;
}

const names = ['one', 'other'] as const;

/** Round by round, how many times as much the first side does a second. */
export function ratesRatio(rounds: Rounds, work: { one: number; other: number }): number[] {
  return rounds.one.map((seconds, round) => {
    const otherSeconds = rounds.other[round] ?? Number.NaN;
    return work.one / seconds / (work.other / otherSeconds);
  });
}
