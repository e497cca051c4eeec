import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import type { Instance, OpenInstance } from '../shared/adapters/aws/instance.ts';
import { logLine } from '../shared/adapters/aws/log-line.ts';
import type { Log } from '../shared/http/http-stack.ts';
import type { RegistryId } from '../shared/ledger/digest.ts';
import { conclude } from '../shared/registry/conclude.ts';
import { confirm } from '../shared/registry/confirm.ts';
import { fillCopy } from '../shared/registry/fill-copy.ts';
import { eachPoke } from './poke.ts';

/** Entries of one turn; a turn ends well before the function's time-out. */
const ENTRIES_MAX = 1000;

/** A copy that was begun anew goes on, until it is whole. */
async function fill(
  instance: Instance,
  registryId: RegistryId,
  log: Log,
): Promise<'done' | 'waiting'> {
  const outcome = await fillCopy(instance, registryId);
  switch (outcome.outcome) {
    case 'nothing':
      return 'done';
    case 'filled':
      log('info', 'the new copy is whole', { registryId });
      return 'done';
    case 'more':
      await instance.outbox.pokeFetch(registryId, `fill:${instance.random.uuid()}`);
      return 'done';
    case 'waiting': {
      const peers = outcome.without.join(' ');
      log('warn', 'the new copy waits for peers that do not answer', { registryId, peers });
      return 'waiting';
    }
  }
}

/** Verifies on, and says what came of it; pokes itself while there is more. */
async function verifyOn(instance: Instance, registryId: RegistryId, log: Log): Promise<void> {
  const before = await instance.store.progress(registryId);
  const outcome = await confirm(instance, registryId, { fetch: true, entriesMax: ENTRIES_MAX });
  const facts = { registryId, outcome: outcome.outcome };
  log(outcome.outcome === 'tampered' ? 'error' : 'info', 'verified on', facts);
  const [after, head] = await Promise.all([
    instance.store.progress(registryId),
    instance.store.head(registryId),
  ]);
  const moved = (after?.verifiedThrough ?? 0) > (before?.verifiedThrough ?? 0);
  const rest = (after?.verifiedThrough ?? 0) < (head?.sequence ?? 0);
  if (moved && rest && outcome.outcome !== 'bytes-missing')
    await instance.outbox.pokeFetch(registryId, `more:${instance.random.uuid()}`);
}

/**
 * Fills a new copy, fetches missing bytes, re-reads what was stored, and confirms; takes pokes from
 * the fetch queue. What it signed goes out with the log: the stream wakes the fan-out.
 */
export function createFetchDocuments(open: OpenInstance, log: Log = logLine) {
  return (event: SQSEvent): Promise<SQSBatchResponse> =>
    eachPoke(
      event,
      async ({ registryId }) => {
        const instance = await open();
        // What a copy lacks is asked for again when its time comes; nothing is confirmed meanwhile.
        if ((await fill(instance, registryId, log)) === 'waiting') return;
        await conclude(instance, registryId);
        await verifyOn(instance, registryId, log);
      },
      log,
    );
}
