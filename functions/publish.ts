import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { EmfAlarms } from '../shared/adapters/aws/emf-alarms.ts';
import type { Publication } from '../shared/adapters/aws/instance.ts';
import { logLine } from '../shared/adapters/aws/log-line.ts';
import { publishPrefixes, tableKey } from '../shared/config.ts';
import type { Log } from '../shared/http/http-stack.ts';
import { isCertificateId, isDigest, isSequence } from '../shared/ledger/digest.ts';
import type { Alarms } from '../shared/registry/ports.ts';
import { type EventPlace, publishEvents } from '../shared/registry/publish-events.ts';

/**
 * Tells applications of every entry, confirmation and conflict that was stored. The records say
 * only which item: what an event says is read from the table, so their order does not matter, and a
 * record of keys alone, written by hand, publishes again.
 *
 * Only what may succeed later is reported as failed, for the stream repeats a shard from there. What
 * never can is logged and raises an alarm, and holds up nothing.
 */
export function createPublish(
  publication: Publication,
  log: Log = logLine,
  alarms: Alarms = new EmfAlarms({ instanceName: publication.instanceName }),
) {
  const giveUp = (facts: Readonly<Record<string, string | number>>) => {
    log('error', 'event can never be published', facts);
    alarms.raise('EventsHopeless', facts);
  };
  return async (event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> => {
    const found: (readonly [DynamoDBRecord, EventPlace])[] = [];
    for (const record of event.Records) {
      const place = placeOf(record);
      if (place !== undefined) found.push([record, place]);
      else giveUp({ ...keysOf(record), reason: 'its key names no place of an event' });
    }
    const failed: DynamoDBRecord[] = [];
    const places = found.map(([, place]) => place);
    const outcomes = await publishEvents(publication, places);
    for (const [index, [record, place]] of found.entries()) {
      const outcome = outcomes[index];
      if (outcome?.outcome === 'published') continue;
      const facts = { ...place, reason: outcome?.reason ?? 'unknown' };
      if (outcome?.outcome === 'hopeless') {
        giveUp(facts);
        continue;
      }
      log('error', 'event not published', facts);
      failed.push(record);
    }
    const numbers = failed.flatMap(({ dynamodb }) => dynamodb?.SequenceNumber ?? []);
    return { batchItemFailures: numbers.map((itemIdentifier) => ({ itemIdentifier })) };
  };
}

/** What a record without a place is found by. */
function keysOf({ dynamodb }: DynamoDBRecord) {
  return {
    partition: dynamodb?.Keys?.[tableKey.partition]?.S ?? '',
    sort: dynamodb?.Keys?.[tableKey.sort]?.S ?? '',
  };
}

const [ENTRY, CONFIRMATION, CONFLICT, OPEN_SET] = publishPrefixes;

const CONFIRMED = /^(\d+)(?:#(\d{8}))?$/;

/** The confirmed sequence and, where it is above the first, the copy of the signer. */
function confirmedAt(sort: string) {
  const [, confirmed, ofCopy = '1'] = CONFIRMED.exec(sort) ?? [];
  const sequence = Number(confirmed);
  const copy = Number(ofCopy);
  return isSequence(sequence) && isSequence(copy) ? { sequence, copy } : undefined;
}

/**
 * Where the record's item is: `ENTRY#<registry>#<copy>#<sequence>`, `CONFIRMATION#<registry>#<signer>`
 * with the sequence as sort key (and a copy above the first behind it), `CONFLICT#<registry>` with
 * the conflict's id, `OPENSET#<registry>` with the version of the open set.
 */
function placeOf(record: DynamoDBRecord): EventPlace | undefined {
  const { partition, sort } = keysOf(record);
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
      const confirmed = confirmedAt(sort);
      if (!isCertificateId(third) || confirmed === undefined) return undefined;
      return { kind: 'confirmation', registryId, signer: third, ...confirmed };
    }
    case CONFLICT:
      return isDigest(sort) ? { kind: 'conflict', registryId, conflictId: sort } : undefined;
    case OPEN_SET: {
      const conflictsVersion = Number(sort);
      if (!isSequence(conflictsVersion)) return undefined;
      return { kind: 'open-set', registryId, conflictsVersion };
    }
    default:
      return undefined;
  }
}
