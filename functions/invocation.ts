import type { Context } from 'aws-lambda';
import { inLogContext } from '../shared/adapters/aws/log-context.ts';
import { logLine, tidy } from '../shared/adapters/aws/log-line.ts';
import type { Log } from '../shared/http/http-stack.ts';

/** As far as an event is asked for the id that the gateway gave the request. */
interface MaybeRequest {
  readonly requestContext?: { readonly requestId?: string };
}

/**
 * What Lambda calls, around a handler: every line of the invocation carries its request id, the
 * gateway's where there is one. What the handler did not expect becomes one line and fails the
 * invocation with the same tidy words, for Lambda logs what it is thrown.
 */
export function invocation<Event, Result>(
  handler: (event: Event, context: Context) => Promise<Result>,
  log: Log = logLine,
): (event: Event, context: Context) => Promise<Result> {
  return (event, context) =>
    inLogContext({ requestId: requestIdOf(event) ?? context.awsRequestId }, async () => {
      try {
        return await handler(event, context);
      } catch (error) {
        const reason = tidy(error instanceof Error ? error.message : 'unknown');
        log('error', 'function failed', { reason });
        throw new FunctionFailed(reason);
      }
    });
}

/** Without the stack and the cause of what went wrong, which nobody has tidied. */
class FunctionFailed extends Error {
  override readonly name = 'FunctionFailed';

  constructor(reason: string) {
    super(reason);
    this.stack = `${this.name}: ${reason}`;
  }
}

function requestIdOf(event: unknown): string | undefined {
  return (event as MaybeRequest | undefined)?.requestContext?.requestId;
}
