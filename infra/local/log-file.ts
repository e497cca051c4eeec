import { once } from 'node:events';
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** A file of one JSON object in each line, to which an instance's functions and runner write. */
export class LogFile {
  private readonly stream: WriteStream;
  private readonly heard: (line: string) => void;

  /** `heard` is told every line that is written. */
  constructor(file: string, heard: (line: string) => void = () => undefined) {
    this.heard = heard;
    mkdirSync(dirname(file), { recursive: true });
    this.stream = createWriteStream(file, { flags: 'a' });
  }

  write(line: Readonly<Record<string, unknown>>): void {
    this.put(JSON.stringify({ time: new Date().toISOString(), ...line }));
  }

  /** Takes over the lines of a stream: JSON objects as they are, others as messages. */
  follow(source: Readable): void {
    createInterface({ input: source }).on('line', (line) => {
      if (isJsonObject(line)) this.put(line);
      else if (line !== '') this.write({ message: line });
    });
  }

  async close(): Promise<void> {
    this.stream.end();
    await once(this.stream, 'close');
  }

  private put(line: string): void {
    // A thread may still have something to say after its instance was stopped.
    if (this.stream.writableEnded) return;
    this.stream.write(`${line}\n`);
    this.heard(line);
  }
}

function isJsonObject(line: string): boolean {
  if (!line.startsWith('{')) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}
