import type { Clock, Facts } from '../../registry/ports.ts';
import { systemClock } from '../system.ts';
import { logFacts } from './log-context.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Where lines go: without their line break. */
export type WriteLine = (line: string) => void;

/** Longer values are cut: a log line is for reading. */
const VALUE_CHARACTERS_MAX = 512;

/** What belongs in no log, however it got into a value: URLs carry signatures in their query. */
const SECRETS: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/-----BEGIN[\s\S]*/g, '[pem]'],
  [/\b[a-z][a-z0-9+.-]{1,15}:\/\/\S+/gi, '[url]'],
  [/\beyJ[\w-]+(?:\.[\w-]*)+/g, '[jws]'],
  [/\bX-Amz-(?:Signature|Credential|Security-Token)\b\S*/gi, '[signature]'],
];

/** Writes a line to standard output, which is where Lambda takes logs from. */
export const writeToStdout: WriteLine = (line) => {
  process.stdout.write(`${line}\n`);
};

/**
 * Writes one structured log line: a JSON object of `level`, `time`, `message` and `facts`, among them
 * what is known of the invocation. URLs, PEM and statements inside values are replaced by their
 * kind. Never throws.
 */
export function logLine(
  level: LogLevel,
  message: string,
  facts: Facts = {},
  { clock = systemClock, write = writeToStdout }: LogLineOptions = {},
): void {
  try {
    const time = new Date(clock.now()).toISOString();
    write(JSON.stringify({ level, time, message: tidy(message), facts: tidyFacts(facts) }));
  } catch {
    // Whoever logs is doing something more important.
  }
}

export interface LogLineOptions {
  readonly clock?: Clock;
  readonly write?: WriteLine;
}

/** The facts as they may stand in a log, behind those of the invocation. */
export function tidyFacts(facts: Facts): Facts {
  return Object.fromEntries(
    Object.entries({ ...logFacts(), ...facts }).map(([name, value]) => [
      name,
      typeof value === 'string' ? tidy(value) : value,
    ]),
  );
}

/** A text as it may stand in a log. */
export function tidy(text: string): string {
  const short = text.slice(0, VALUE_CHARACTERS_MAX);
  return SECRETS.reduce((tidied, [pattern, instead]) => tidied.replace(pattern, instead), short);
}
