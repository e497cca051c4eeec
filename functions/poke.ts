import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import * as z from 'zod';
import type { Log } from '../shared/http/http-stack.ts';
import { certificateIdSchema, digestSchema } from '../shared/ledger/schema.ts';

/** Pokes as they come out of the queues: who is to be served in which registry, and no data. */

const pokeSchema = z.object({ peer: certificateIdSchema.optional(), registryId: digestSchema });

export type Poke = z.output<typeof pokeSchema>;

/**
 * Carries out each poke of a batch, one after the other. What throws is reported as failed, and so
 * is everything behind it in its group, so that a FIFO queue keeps its order.
 */
export async function eachPoke(
  event: SQSEvent,
  carryOut: (poke: Poke) => Promise<void>,
  log: Log,
): Promise<SQSBatchResponse> {
  const failedGroups = new Set<string | undefined>();
  const batchItemFailures: { itemIdentifier: string }[] = [];
  for (const record of event.Records) {
    const group = record.attributes.MessageGroupId;
    if (!failedGroups.has(group) && (await succeeds(record, carryOut, log))) continue;
    failedGroups.add(group);
    batchItemFailures.push({ itemIdentifier: record.messageId });
  }
  return { batchItemFailures };
}

async function succeeds(
  record: SQSRecord,
  carryOut: (poke: Poke) => Promise<void>,
  log: Log,
): Promise<boolean> {
  try {
    await carryOut(pokeSchema.parse(JSON.parse(record.body)));
    return true;
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown';
    log('error', 'poke failed', { messageId: record.messageId, reason });
    return false;
  }
}
