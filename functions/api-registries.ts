import { setTimeout } from 'node:timers/promises';
import type { Instance } from '../shared/adapters/aws/instance.ts';
import { answer, problem } from '../shared/http/problem.ts';
import { leadOf } from '../shared/ledger/chain.ts';
import type { CertificateId, RegistryId } from '../shared/ledger/digest.ts';
import { type TransactionItem, transactionKey } from '../shared/ledger/state.ts';
import { storedAppendResult } from '../shared/registry/append-result.ts';
import type { Proposal } from '../shared/registry/commit-plan.ts';
import { type HeldElsewhere, heldElsewhere } from '../shared/registry/held-elsewhere.ts';
import { readPeers } from '../shared/registry/read-peers.ts';
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
    const registryId = first.read.digest;
    const { peers } = first.read.transaction;
    const held = await heldSoon(instance, registryId, peers);
    if (held !== undefined)
      return problem(
        'LEAD_NOT_RECONCILED',
        `${held.peer} holds this registry through entry ${held.sequence}, and this instance lacks it: ` +
          'its table was restored from before the registry was created. Its peers close it, and a ' +
          'new registry names it as predecessor',
      );
    const outcome = await appenderOf(instance).append(registryId, body);
    return appendAnswer(instance, registryId, outcome);
  };
}

/** A peer that does not answer keeps nobody from creating a registry. */
const PATIENCE_MS = 5_000;

async function heldSoon(
  instance: Instance,
  registryId: RegistryId,
  peers: readonly CertificateId[],
): Promise<HeldElsewhere | undefined> {
  const ended = new AbortController();
  const { signal } = ended;
  const patience = setTimeout(PATIENCE_MS, undefined, { signal }).catch(() => undefined);
  try {
    return await Promise.race([heldElsewhere(instance, registryId, peers), patience]);
  } finally {
    ended.abort();
  }
}

export function appendTransactions(appenderOf: AppenderOf): Handler<'appendTransactions'> {
  return async ({ instance, caller, parameters, body }) => {
    const { registryId } = parameters;
    if (caller.role === 'operator' && !(await mayOperatorAppend(instance, registryId, body)))
      return problem(
        'ROLE_NOT_ALLOWED',
        'an operator appends only what carries out the resolution in force, and none is in force ' +
          'here; everything else is appended by an application',
      );
    const outcome = await appenderOf(instance).append(registryId, body);
    return appendAnswer(instance, registryId, outcome);
  };
}

/**
 * While a resolution is in force. What was recorded before may be asked for again, by whoever has
 * not got the answer; and only the lead knows what is in force.
 */
async function mayOperatorAppend(
  { store, signer }: Instance,
  registryId: RegistryId,
  proposals: readonly Proposal[],
): Promise<boolean> {
  const keys = proposals.map(({ read }) => transactionKey(read.transaction.transactionId));
  const { head, items } = await store.read(registryId, keys);
  if (head === undefined || head.resolution !== undefined || items.size > 0) return true;
  return !signer.knownIds.includes(leadOf(head.configuration));
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
      ...(head.closed === true ? { closed: true } : {}),
      peers: await readPeers(instance, head),
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
