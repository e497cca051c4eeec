/** What the commands have in common that call an instance. */
import { RegistryError } from '../shared/client/problem.ts';
import { readProfile } from '../shared/client/profile.ts';
import { RegistryClient } from '../shared/client/registry-client.ts';
import type { VerifiedReceipt } from '../shared/ledger/verify-receipt.ts';
import { CommandMistake, type Given, numberOf, type Output } from './command.ts';
import { receiptLines } from './tables.ts';

/** The flag of commands that record something: without it they go on at the lead. */
export const NO_FOLLOW = 'no-follow';

/** Does the work with a client of the profile's instance, and closes it. */
export async function withClient(
  given: Given,
  work: (client: RegistryClient) => Promise<void>,
): Promise<void> {
  const followLead = !given.flag(NO_FOLLOW);
  const client = new RegistryClient(await readProfile(given.value('profile')), { followLead });
  try {
    await work(client);
  } finally {
    client.close();
  }
}

/** The entry that `--entry` names: by its sequence, or by its transaction id. */
export function entryOf(given: Given): number | string {
  const text = given.value('entry');
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}

/** `--wait` in seconds; undefined where nothing is to be waited for. */
export function waitOf(given: Given, unlessGiven?: number): number | undefined {
  const seconds = numberOf(given.optional('wait'), 'wait') ?? unlessGiven;
  return seconds === 0 ? undefined : seconds;
}

export interface Waiting {
  readonly registryId: string;
  readonly sequence: number;
  /** Undefined: nothing is waited for. */
  readonly seconds: number | undefined;
}

/** Waits until all mirrors have confirmed the entry, and tells who did. */
export async function tellConfirmed(
  client: RegistryClient,
  { registryId, sequence, seconds }: Waiting,
  output: Output,
): Promise<void> {
  if (seconds === undefined) return;
  const timeoutMs = 1000 * seconds;
  const receipt = await client
    .waitUntilConfirmed(registryId, sequence, { timeoutMs })
    .then(({ receipt: found }): VerifiedReceipt => found)
    .catch(async (error: unknown) => {
      if (!(error instanceof RegistryError) || error.code !== 'NOBODY_TO_CONFIRM') throw error;
      return (await client.entry(registryId, sequence)).receipt;
    });
  for (const line of receiptLines(receipt)) output(line);
}

/** One of the values that an option can have. */
export function oneOf<const Value extends string>(
  name: string,
  text: string,
  values: readonly Value[],
): Value {
  const found = values.find((value) => value === text);
  if (found === undefined)
    throw new CommandMistake(`--${name} ${text}: expected ${values.join(', ')}`);
  return found;
}
