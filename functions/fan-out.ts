import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import type { Instance, OpenInstance } from '../shared/adapters/aws/instance.ts';
import { logLine } from '../shared/adapters/aws/log-line.ts';
import type { Log } from '../shared/http/http-stack.ts';
import { isDigest, type RegistryId } from '../shared/ledger/digest.ts';
import { wake } from '../shared/registry/wake.ts';

/**
 * Wakes the deliveries of every registry whose head or log of statements has moved. The records say
 * only which registry: what is due is read from the table, so their order does not matter.
 */
export function createFanOut(open: OpenInstance, log: Log = logLine) {
  return async (event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> => {
    const instance = await open();
    const failed = new Set<RegistryId | undefined>();
    for (const registryId of new Set(event.Records.map(registryOf)))
      if (registryId !== undefined && !(await woken(instance, registryId, log)))
        failed.add(registryId);
    const numbers = event.Records.filter((record) => failed.has(registryOf(record))).flatMap(
      ({ dynamodb }) => dynamodb?.SequenceNumber ?? [],
    );
    return { batchItemFailures: numbers.map((itemIdentifier) => ({ itemIdentifier })) };
  };
}

async function woken(instance: Instance, registryId: RegistryId, log: Log): Promise<boolean> {
  try {
    await wake(instance, registryId, 'stream');
    return true;
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown';
    log('error', 'fan-out failed', { registryId, reason });
    return false;
  }
}

/** The registry id is the second part of the partition key: `HEAD#<registry id>`. */
function registryOf(record: DynamoDBRecord): RegistryId | undefined {
  const id = record.dynamodb?.Keys?.['pk']?.S?.split('#')[1];
  return id !== undefined && isDigest(id) ? id : undefined;
}
