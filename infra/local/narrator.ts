/** Tells the story in lines: what happens, where, and how long it took. */

/** Said after one second, and then every five. */
const PROGRESS_MS = 1000;
const PROGRESS_EVERY = 5;
const FRAME = '!'.repeat(78);

export interface Narrator {
  /** A step's heading. */
  step(number: number, text: string): void;
  /** One thing that happened, below a step: where, and what. */
  at(where: string, what: string): void;
  plain(text: string): void;
  /** What nobody is to miss: framed, the first line in capitals. */
  alarm(headline: string, lines: readonly string[]): void;
  /** Work that may take a while: says every second how far it is. */
  during<T>(what: string, work: (report: (progress: string) => void) => Promise<T>): Promise<T>;
}

/** Writes each line through `write`, which adds the line break. */
export function createNarrator(write: (line: string) => void): Narrator {
  return {
    step: (number, text) => write(`\n${number}  ${text}`),
    at: (where, what) => write(`   ${where.padEnd(18)} ${what}`),
    plain: write,
    alarm: (headline, lines) => {
      for (const line of [FRAME, `!! ${headline.toUpperCase()}`]) write(line);
      for (const line of lines) write(`!! ${line}`);
      write(FRAME);
    },
    during: async (what, work) => {
      const started = performance.now();
      let progress = '';
      const timer = setInterval(() => {
        const seconds = Math.round((performance.now() - started) / 1000);
        if (seconds > 1 && seconds % PROGRESS_EVERY !== 0) return;
        write(`   … ${what}, ${seconds} s${progress === '' ? '' : `, ${progress}`}`);
      }, PROGRESS_MS);
      try {
        return await work((text) => {
          progress = text;
        });
      } finally {
        clearInterval(timer);
      }
    },
  };
}

/** A duration for people. */
export function duration(milliseconds: number): string {
  return milliseconds < 10_000
    ? `${Math.round(milliseconds)} ms`
    : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** A size for people. */
export function size(bytes: number): string {
  if (bytes < 10_000) return `${bytes} bytes`;
  return bytes < 10_000_000
    ? `${(bytes / 1000).toFixed(0)} kB`
    : `${(bytes / 1_000_000).toFixed(0)} MB`;
}
