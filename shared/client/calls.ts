/** Calls of one instance: JSON in and out, problems as errors, tried again where that is safe. */
import type * as z from 'zod';
import { encodeCanonical } from '../ledger/canonical.ts';
import { validate } from '../ledger/schema.ts';
import type { Answer, Connection, Request } from './connection.ts';
import { invalidArgument, malformedAnswer, problemError } from './problem.ts';
import { type RetryPolicy, withRetries } from './retries.ts';

/** What every call of this client takes. */
export interface CallOptions {
  /** Ends the call: it rejects with the reason of the signal. */
  readonly signal?: AbortSignal;
}

export interface CallLimits {
  /** Of one try. */
  readonly timeoutMs: number;
  readonly retries: RetryPolicy;
}

export class Calls {
  readonly connection: Connection;
  readonly limits: CallLimits;

  constructor(connection: Connection, limits: CallLimits) {
    this.connection = connection;
    this.limits = limits;
  }

  async get<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    options: CallOptions = {},
  ): Promise<z.output<Schema>> {
    return parsed(schema, await this.send({ method: 'GET', path, ...options }));
  }

  /** Sends the value as canonical JSON. Every POST of this API may be repeated. */
  async post<Schema extends z.ZodType>(
    path: string,
    body: unknown,
    schema: Schema,
    options: CallOptions = {},
  ): Promise<z.output<Schema>> {
    const request = { method: 'POST', path, body: bytesOf(body), ...options };
    return parsed(schema, await this.send(request));
  }

  /** Any request; the same bytes in every try. Rejects for any status but 2xx. */
  send(request: Request): Promise<Answer> {
    const { retries, timeoutMs } = this.limits;
    return withRetries(retries, request.signal, async (msLeft) => {
      const answer = await this.connection.exchange(request, Math.min(timeoutMs, msLeft));
      if (answer.status >= 400) throw problemError(answer);
      if (answer.status < 200 || answer.status >= 300)
        throw malformedAnswer(
          `${this.connection.endpoint} answered ${answer.status}, which is not followed`,
        );
      return answer;
    });
  }
}

/** What is sent: a value that has no canonical encoding is no instance's fault. */
export function bytesOf(value: unknown): Buffer {
  try {
    return encodeCanonical(value);
  } catch (error) {
    throw invalidArgument(error instanceof Error ? error.message : 'cannot be encoded');
  }
}

/** The value of an untrusted answer. */
export function parsed<Schema extends z.ZodType>(
  schema: Schema,
  { bytes }: Pick<Answer, 'bytes'>,
): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw malformedAnswer('the answer is not JSON');
  }
  const valid = validate(schema, value);
  if (valid.outcome === 'refused')
    throw malformedAnswer(`the answer is not as expected: ${valid.detail}`);
  return valid.value;
}
