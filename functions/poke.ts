import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import * as z from 'zod';
import type { Log } from '../shared/http/http-stack.ts';
import { certificateIdSchema, digestSchema } from '../shared/ledger/schema.ts';

/** Pokes as they come out of the queues: who is to be served in which registry, and no data. */

const pokeSchema = z.object({ peer: certificateIdSchema.optional(), registryId: digestSchema });

export type Poke = z.output<typeof pokeSchema>;

/**
 * Carries out the pokes of a batch. Those that say the same are carried out once: a poke carries no
 * data, and what is due is read after all of them were sent. Different ones run side by side, so
 * that a peer that does not answer holds up nobody else. What throws is reported as failed; all
 * pokes of a group say the same, so a FIFO queue keeps its order.
 */
export async function eachPoke(
  event: SQSEvent,
  carryOut: (poke: Poke) => Promise<void>,
  log: Log,
): Promise<SQSBatchResponse> {
  const outcomes = new Map<string, Promise<boolean>>();
  for (const record of event.Records)
    if (!outcomes.has(record.body)) outcomes.set(record.body, succeeds(record, carryOut, log));
  const batchItemFailures: { itemIdentifier: string }[] = [];
  for (const { body, messageId } of event.Records)
    if ((await outcomes.get(body)) !== true) batchItemFailures.push({ itemIdentifier: messageId });
  return { batchItemFailures };
}

async function succeeds(
  record: SQSRecord,
  carryOut: (poke: Poke) => Promise<void>,
  log: Log,
): Promise<boolean> {
  let poke: Poke | undefined;
  try {
    poke = pokeSchema.parse(JSON.parse(record.body));
    await carryOut(poke);
    return true;
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown';
    const { registryId, peer } = poke ?? {};
    log('error', 'poke failed', {
      messageId: record.messageId,
      ...(registryId === undefined ? {} : { registryId }),
      ...(peer === undefined ? {} : { peer }),
      reason,
    });
    return false;
  }
}
