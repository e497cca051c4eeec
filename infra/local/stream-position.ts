import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** By shard, the sequence number of the newest record that was dealt with. */
export type Positions = Readonly<Record<string, string>>;

/**
 * How far one function has come in a stream, in a file: AWS remembers it for an event source
 * mapping. Written after the records were dealt with, so what a crash interrupts comes again.
 */
export class StreamPosition {
  private readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  /** Undefined where nothing was ever written, or a crash left half of it. */
  read(): Positions | undefined {
    if (!existsSync(this.file)) return undefined;
    try {
      return JSON.parse(readFileSync(this.file, 'utf8'));
    } catch {
      return undefined;
    }
  }

  write(positions: Positions): void {
    mkdirSync(dirname(this.file), { recursive: true });
    writeFileSync(`${this.file}.new`, JSON.stringify(positions));
    renameSync(`${this.file}.new`, this.file);
  }
}
