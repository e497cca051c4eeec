/** What the commands have in common that call an instance. */
import type { LeadElsewhere } from '../shared/client/leads.ts';
import { RegistryError } from '../shared/client/problem.ts';
import { readProfile } from '../shared/client/profile.ts';
import { RegistryClient } from '../shared/client/registry-client.ts';
import type { Link } from '../shared/ledger/backlinks.ts';
import { CommandMistake, type Given, numberOf, type Output } from './command.ts';
import { receiptLines } from './tables.ts';

/** The flag of commands that record something: without it they go on at the lead. */
export const NO_FOLLOW = 'no-follow';

/**
 * Does the work with a client of the profile's instance, and closes it. `onLead` is told where the
 * work goes on at another instance.
 */
export async function withClient(
  given: Given,
  work: (client: RegistryClient) => Promise<void>,
  onLead?: (lead: LeadElsewhere) => void,
): Promise<void> {
  const client = new RegistryClient(await readProfile(given.value('profile')), {
    followLead: !given.flag(NO_FOLLOW),
    ...(onLead === undefined ? {} : { onLead }),
  });
  try {
    await work(client);
  } finally {
    client.close();
  }
}

/** Reads at another instance than the profile's. */
export async function withClientAt<Found>(
  endpoint: string,
  given: Given,
  read: (client: RegistryClient) => Promise<Found>,
): Promise<Found> {
  const profile = await readProfile(given.value('profile'));
  const client = new RegistryClient({ ...profile, endpoint });
  try {
    return await read(client);
  } finally {
    client.close();
  }
}

/** The entry that `--entry` names: by its sequence, or by its transaction id. */
export function entryOf(given: Given): number | string {
  const text = given.value('entry');
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}

export interface Waiting {
  readonly registryId: string;
  readonly sequence: number;
  /** Undefined: nothing is waited for. */
  readonly seconds: number | undefined;
  /** Whether the person asked for it: then it is not done where there is nobody to wait for. */
  readonly asked: boolean;
}

/** Whether and how long to wait, as `--wait` says, or in seconds unless it was given. */
export function waitingOf(given: Given, unlessGiven?: number): Pick<Waiting, 'seconds' | 'asked'> {
  const seconds = numberOf(given.optional('wait'), 'wait') ?? unlessGiven;
  return {
    seconds: seconds === 0 ? undefined : seconds,
    asked: given.optional('wait') !== undefined,
  };
}

/** Waits until all mirrors have confirmed the entry, and tells who did. */
export async function tellConfirmed(
  client: RegistryClient,
  { registryId, sequence, seconds, asked }: Waiting,
  output: Output,
): Promise<void> {
  if (seconds === undefined) return;
  const timeoutMs = 1000 * seconds;
  const { receipt } = await client
    .waitUntilConfirmed(registryId, sequence, { timeoutMs })
    .catch((error: unknown) => {
      const nobody = error instanceof RegistryError && error.code === 'NOBODY_TO_CONFIRM';
      if (asked || !nobody) throw error;
      return client.entry(registryId, sequence);
    });
  for (const line of receiptLines(receipt)) output(line);
}

/** The entry that `--supersedes` names, as the instance has it: nothing where it was not given. */
export async function supersedesOf(
  client: RegistryClient,
  given: Given,
): Promise<{ readonly supersedes?: Link }> {
  const at = numberOf(given.optional('supersedes'), 'supersedes');
  if (at === undefined) return {};
  const { sequence, digest } = await client.unverified.entryStatus(given.value('registry'), at);
  return { supersedes: { sequence, digest } };
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
