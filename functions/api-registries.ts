import { answer, problem } from '../shared/http/problem.ts';
import { type TransactionItem, transactionKey } from '../shared/ledger/state.ts';
import { storedAppendResult } from '../shared/registry/append-result.ts';
import { peerLags } from '../shared/registry/lag.ts';
import * as registries from '../shared/registry/read-registries.ts';
import {
  type AppenderOf,
  appendAnswer,
  appendBody,
  type Handler,
  withHead,
} from './api-answers.ts';

/** Entry 1, and further transactions of the same array. */
export function createRegistry(appenderOf: AppenderOf): Handler<'createRegistry'> {
  return async ({ instance, body }) => {
    const [first] = body;
    if (first?.read.transaction.type !== 'create-registry')
      return problem('NOT_FIRST_ENTRY', 'the first transaction here must be a create-registry');
    return appendAnswer(instance, await appenderOf(instance).append(first.read.digest, body));
  };
}

export function appendTransactions(appenderOf: AppenderOf): Handler<'appendTransactions'> {
  return async ({ instance, parameters, body }) =>
    appendAnswer(instance, await appenderOf(instance).append(parameters.registryId, body));
}

export const listRegistries: Handler<'listRegistries'> = async ({ instance, page, nextAfter }) => {
  const { registries: found, next } = await registries.listRegistries(instance, page);
  return answer(200, { registries: found, ...nextAfter(next) });
};

export const readRegistry: Handler<'readRegistry'> = (request) =>
  withHead(request, async (head) => {
    const { instance } = request;
    const { openConflicts, checkpoint, copy, configuration } = head;
    return answer(200, {
      ...(await registries.registrySummary(instance, head)),
      copy,
      checkpoint,
      configuration: { sequence: configuration.sequence, digest: configuration.digest },
      openConflicts,
      peers: await peerLags(instance, head),
    });
  });

/** The first result again: what became of a request whose answer was lost. */
export const readTransaction: Handler<'readTransaction'> = (request) =>
  withHead(request, async ({ registryId, copy }) => {
    const { store } = request.instance;
    const { transactionId } = request.parameters;
    const key = transactionKey(transactionId);
    const { items } = await store.read(registryId, [key]);
    const item = items.get(key) as TransactionItem | undefined;
    if (item === undefined)
      return problem('TRANSACTION_UNKNOWN', 'no entry has this transaction id here');
    const recorded = { from: item.sequence, transactionIds: new Set([transactionId]) };
    return answer(200, appendBody(await storedAppendResult(store, registryId, copy, recorded)));
  });

export const listConflicts: Handler<'listConflicts'> = (request) =>
  withHead(request, async ({ registryId, openConflicts }) => {
    const conflicts = await request.instance.store.conflicts(registryId);
    const open = new Set(openConflicts);
    return answer(200, {
      conflicts: conflicts.map(({ conflictId, statement, recordedAt }) => ({
        conflictId,
        open: open.has(conflictId),
        recordedAt,
        statement,
      })),
    });
  });
