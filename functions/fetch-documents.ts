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
async function fill(instance: Instance, registryId: RegistryId, log: Log): Promise<void> {
  const outcome = await fillCopy(instance, registryId);
  switch (outcome.outcome) {
    case 'nothing':
      return;
    case 'filled':
      return log('info', 'the new copy is whole', { registryId });
    case 'more':
      return instance.outbox.pokeFetch(registryId, `fill:${instance.random.uuid()}`);
    case 'waiting':
      return log('warn', 'the new copy waits for peers that do not answer', {
        registryId,
        peers: outcome.without.join(' '),
      });
  }
}

/**
 * Fills a new copy, fetches missing bytes, re-reads what was stored, and confirms; takes pokes from the fetch queue.
 * What it signed goes out with the log: the stream wakes the fan-out.
 */
export function createFetchDocuments(open: OpenInstance, log: Log = logLine) {
  return (event: SQSEvent): Promise<SQSBatchResponse> =>
    eachPoke(
      event,
      async ({ registryId }) => {
        const instance = await open();
        await fill(instance, registryId, log);
        await conclude(instance, registryId);
        const before = await instance.store.progress(registryId);
        const outcome = await confirm(instance, registryId, {
          fetch: true,
          entriesMax: ENTRIES_MAX,
        });
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
      },
      log,
    );
}
