import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import type { OpenInstance } from '../shared/adapters/aws/instance.ts';
import { logLine } from '../shared/adapters/aws/log-line.ts';
import type { Log } from '../shared/http/http-stack.ts';
import { deliver } from '../shared/registry/deliver.ts';
import { eachPoke } from './poke.ts';

/**
 * A statement often arrives just before the entry that it is about: who is asked to come again so
 * soon waits here, instead of for the next sweep.
 */
const COME_AGAIN_MS_MAX = 2_000;

/** Brings one peer of one registry what it lacks; takes pokes from the delivery queue. */
export function createDeliver(open: OpenInstance, log: Log = logLine) {
  return (event: SQSEvent): Promise<SQSBatchResponse> =>
    eachPoke(
      event,
      async ({ registryId, peer }) => {
        if (peer === undefined) throw new Error('the poke names no peer');
        const instance = await open();
        const outcome = await deliver(instance, registryId, peer);
        switch (outcome.outcome) {
          case 'done':
            return;
          case 'more': {
            const token = `more:${instance.random.uuid()}`;
            return instance.outbox.pokeDelivery(registryId, peer, token);
          }
          case 'parked': {
            const { reason, nextAttemptAt, comeAgain } = outcome;
            log('warn', 'delivery parked', { registryId, peer, reason, nextAttemptAt });
            const waitMs = Date.parse(nextAttemptAt) - instance.clock.now();
            if (!comeAgain || waitMs > COME_AGAIN_MS_MAX) return;
            await instance.clock.wait(Math.max(0, waitMs));
            const token = `again:${instance.random.uuid()}`;
            return instance.outbox.pokeDelivery(registryId, peer, token);
          }
        }
      },
      log,
    );
}
