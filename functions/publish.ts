import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import type { Publication } from '../shared/adapters/aws/instance.ts';
import { logLine } from '../shared/adapters/aws/log-line.ts';
import { publishPrefixes, tableKey } from '../shared/config.ts';
import type { Log } from '../shared/http/http-stack.ts';
import { isCertificateId, isDigest, isSequence } from '../shared/ledger/digest.ts';
import { type EventPlace, publishEvents } from '../shared/registry/publish-events.ts';

/**
 * Tells applications of every entry, confirmation and conflict that was stored. The records say
 * only which item: what an event says is read from the table, so their order does not matter, and a
 * record of keys alone, written by hand, publishes again.
 */
export function createPublish(publication: Publication, log: Log = logLine) {
  return async (event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> => {
    const failed: DynamoDBRecord[] = [];
    const found: (readonly [DynamoDBRecord, EventPlace])[] = [];
    for (const record of event.Records) {
      const place = placeOf(record);
      if (place !== undefined) found.push([record, place]);
      else failed.push(record);
    }
    if (failed.length > 0) log('error', 'records without a place', { count: failed.length });
    const places = found.map(([, place]) => place);
    const outcomes = (await publishEvents(publication, places)).values();
    for (const [record, place] of found) {
      const outcome = outcomes.next().value;
      if (outcome?.outcome === 'published') continue;
      log('error', 'event not published', { ...place, reason: outcome?.reason ?? 'unknown' });
      failed.push(record);
    }
    const numbers = failed.flatMap(({ dynamodb }) => dynamodb?.SequenceNumber ?? []);
    return { batchItemFailures: numbers.map((itemIdentifier) => ({ itemIdentifier })) };
  };
}

const [ENTRY, CONFIRMATION, CONFLICT] = publishPrefixes;

/**
 * Where the record's item is: `ENTRY#<registry>#<copy>#<sequence>`, `CONFIRMATION#<registry>#<signer>`
 * with the sequence as sort key, `CONFLICT#<registry>` with the conflict's id.
 */
function placeOf({ dynamodb }: DynamoDBRecord): EventPlace | undefined {
  const partition = dynamodb?.Keys?.[tableKey.partition]?.S ?? '';
  const sort = dynamodb?.Keys?.[tableKey.sort]?.S ?? '';
  const [kind, registryId = '', third = '', fourth = ''] = partition.split('#');
  if (!isDigest(registryId)) return undefined;
  switch (`${kind}#`) {
    case ENTRY: {
      const copy = Number(third);
      const sequence = Number(fourth);
      if (!isSequence(copy) || !isSequence(sequence)) return undefined;
      return { kind: 'entry', registryId, copy, sequence };
    }
    case CONFIRMATION: {
      const sequence = Number(sort);
      if (!isCertificateId(third) || !isSequence(sequence)) return undefined;
      return { kind: 'confirmation', registryId, signer: third, sequence };
    }
    case CONFLICT:
      return isDigest(sort) ? { kind: 'conflict', registryId, conflictId: sort } : undefined;
    default:
      return undefined;
  }
}
