/** Confirmations: put once beside the entries, own ones with a place in the log. */
import type { RegistryId } from '../../ledger/digest.ts';
import type { Confirmation } from '../../registry/ports.ts';
import { recordItem, recordOf } from './dynamo-items.ts';
import { confirmationKey, type Item } from './dynamo-keys.ts';
import { logIsBusy, writeLogged } from './dynamo-log.ts';
import type { DynamoTable } from './dynamo-table.ts';

/** Where the confirmation stands in the request, and so in the reasons of a refusal. */
const CONFIRMATION_AT = 0;

export type PutConfirmationOutcome = 'stored' | 'held' | 'contradicts';

/** A confirmation from its item. The first ones were written when every ledger was a first copy. */
export function confirmationOf(item: Item): Confirmation {
  return { copy: 1, ...recordOf<Omit<Confirmation, 'copy'>>(item) };
}

/** Stores a confirmation of another instance, unless there is one. */
export async function putReceivedConfirmation(
  table: DynamoTable,
  registryId: RegistryId,
  confirmation: Confirmation,
): Promise<PutConfirmationOutcome> {
  const { signer, sequence, copy } = confirmation;
  const key = confirmationKey(registryId, signer, sequence, copy);
  const found = await table.putOnce(recordItem(key, confirmation));
  return found === undefined ? 'stored' : comparedWith(found, confirmation);
}

/** Stores an own confirmation, unless there is one, and appends it to the log in one write. */
export async function putOwnConfirmation(
  table: DynamoTable,
  registryId: RegistryId,
  confirmation: Confirmation,
): Promise<PutConfirmationOutcome> {
  const { signer, sequence, copy, statement, checkpoint } = confirmation;
  const key = confirmationKey(registryId, signer, sequence, copy);
  const written = await writeLogged(table, {
    registryId,
    items: [table.putUnlessThere(recordItem(key, confirmation))],
    logged: { statement, checkpoint },
  });
  switch (written.outcome) {
    case 'done':
      return 'stored';
    case 'refused':
      return comparedWith(written.inTheWay.get(CONFIRMATION_AT) ?? key, confirmation);
    case 'busy':
    case 'log-moved':
      throw logIsBusy(registryId, `the confirmation of entry ${sequence}`);
  }
}

function comparedWith(found: Item, { digest }: Confirmation): 'held' | 'contradicts' {
  return confirmationOf(found).digest === digest ? 'held' : 'contradicts';
}
