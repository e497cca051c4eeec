/** The command `resolve`: what the operator of the lead decides, and carries out at once if asked to. */
import type { DecidedResolution } from '../shared/client/conflicts.ts';
import type { Decided, NewResolution } from '../shared/client/deciding.ts';
import { namedAmong } from '../shared/client/expelling.ts';
import { RegistryError } from '../shared/client/problem.ts';
import type { RegistryClient } from '../shared/client/registry-client.ts';
import type { Resolution } from '../shared/ledger/resolution.ts';
import type { Manner } from '../shared/ledger/resolution-rules.ts';
import {
  type Command,
  CommandMistake,
  type Given,
  numberOf,
  type Output,
  UsageMistake,
} from './command.ts';
import { NO_FOLLOW, withClient } from './connected.ts';
import { printable, short } from './tables.ts';

const MANNERS: readonly Manner[] = ['replay', 'expel', 'replace', 'take-back', 'close'];

/** The flag for who is sure that a peer which answers is not to be waited for. */
const ALTHOUGH = 'although-it-answers';

export const resolveCommand: Command = {
  usage:
    'resolve --profile <file> --registry <id> --manner <replay, expel, replace, take-back or ' +
    'close> --reason <text> [--conflict <id>]… [--entries <sequence,…>] [--after <digest>] ' +
    `[--without <certificate id>]… [--${ALTHOUGH}] [--expel <certificate id>]… [--void] ` +
    '[--no-follow] (--expel and --void carry it out at once)',
  required: ['profile', 'registry', 'reason'],
  optional: ['manner', 'conflict', 'entries', 'after', 'without', 'expel'],
  repeatable: ['conflict', 'without', 'expel'],
  flags: ['void', ALTHOUGH, NO_FOLLOW],
  run: resolve,
};

async function resolve(given: Given, output: Output): Promise<void> {
  const manner = mannerOf(given);
  const entries = sequencesIn(given.optional('entries'));
  requireFitting(given, manner, entries);
  const registryId = given.value('registry');
  const offenders = given.all('expel');
  const carriesOut = offenders.length > 0 || given.flag('void');
  const work = async (client: RegistryClient) => {
    const before = carriesOut ? await decidedBefore(client, given, [manner, entries]) : undefined;
    const decided: Pick<Decided<Resolution>, 'before' | 'digest' | 'said'> = before ??
    (await decide(client, given, [manner, entries]));
    const { through, conflicts } = decided.said;
    const isNew = before === undefined && decided.before === undefined;
    output(`${isNew ? 'decided' : 'was decided before'}: ${manner}`);
    output(`resolution ${decided.digest}, with the ledger at entry ${through.sequence}`);
    if (carriesOut) {
      const { sequence, digest } = await client.expel(registryId, { peers: offenders });
      output(`carried out: entry ${sequence}, digest ${digest}`);
    }
    const [first = ''] = conflicts;
    output(`next: ${(await client.conflict(registryId, first)).next}`);
  };
  await withClient(given, work, ({ lead, endpoint }) =>
    output(`deciding at ${endpoint}, where the lead ${short(lead)} is, not at the profile's`),
  );
}

/** Whoever names the offender, or that nothing comes in the place, has said the manner. */
function mannerOf(given: Given): Manner {
  const expels = given.all('expel').length > 0;
  const voids = given.flag('void');
  const implied = expels ? 'expel' : voids ? 'replace' : undefined;
  const named = given.optional('manner') ?? implied;
  const manner = MANNERS.find((each) => each === named);
  if (manner === undefined)
    throw new UsageMistake(`--manner ${named ?? 'is missing'}: expected ${MANNERS.join(', ')}`);
  if ((expels && manner !== 'expel') || (voids && manner !== 'replace'))
    throw new UsageMistake(
      `--manner ${manner}: --expel belongs to expel, and --void to replace; leave one of them out`,
    );
  return manner;
}

/** What goes together is known before anybody is called. */
function requireFitting(given: Given, manner: Manner, entries: readonly number[]): void {
  if (manner !== 'take-back' && (given.all('without').length > 0 || given.flag(ALTHOUGH)))
    throw new UsageMistake(
      `--manner ${manner}: --without belongs to take-back, which alone waits for all peers; leave it out`,
    );
  if (manner === 'replace' && entries.length === 0)
    throw new UsageMistake(
      '--entries is missing: a replace lists the entries that do not count any more, such as ' +
        '--entries 3,4; "registry conflict" says which entry the conflict is about',
    );
  if (manner !== 'replace' && entries.length > 0)
    throw new UsageMistake(`--manner ${manner}: --entries belongs to replace; leave it out`);
}

/** What an interrupted call has decided, and not carried out; not what says something else. */
async function decidedBefore(
  client: RegistryClient,
  given: Given,
  [manner, entries]: readonly [Manner, readonly number[]],
): Promise<DecidedResolution | undefined> {
  if (given.optional('after') !== undefined) return undefined;
  const { resolution } = await client.conflicts(given.value('registry'));
  if (resolution?.said.manner !== manner) return undefined;
  const { said } = resolution;
  const conflicts = given.all('conflict');
  const replaced = said.entries.map(({ sequence }) => sequence as number);
  const same =
    isSame(entries, replaced) && (conflicts.length === 0 || isSame(conflicts, said.conflicts));
  return same ? resolution : undefined;
}

function isSame(one: readonly (string | number)[], other: readonly (string | number)[]): boolean {
  return [...one].sort().join() === [...other].sort().join();
}

async function decide(
  client: RegistryClient,
  given: Given,
  [manner, entries]: readonly [Manner, readonly number[]],
): Promise<Decided<Resolution>> {
  const conflicts = given.all('conflict');
  const expels = given.all('expel');
  const after = given.optional('after');
  const reason = given.value('reason');
  const without = await leftOut(client, given);
  const decision: NewResolution = {
    manner,
    ...(conflicts.length === 0 ? {} : { conflicts }),
    entries,
    ...(after === undefined ? {} : { after }),
    ...(expels.length === 0 ? {} : { expels }),
    reason: without.length === 0 ? reason : `${reason} (without ${without.join(', ')})`,
  };
  try {
    return await client.resolve(given.value('registry'), decision);
  } catch (error) {
    throw error instanceof RegistryError ? inOptions(error) : error;
  }
}

/** Whom a take-back is not to wait for, by whole ids: whoever answers would be waited for in vain? */
async function leftOut(client: RegistryClient, given: Given): Promise<readonly string[]> {
  const named = given.all('without');
  if (named.length === 0) return [];
  const { peers } = await client.unverified.registry(given.value('registry'));
  const found = namedAmong(
    peers.map(({ peer }) => peer),
    named,
  );
  const answering = peers.filter(
    ({ peer, state }) => found.includes(peer) && state !== 'unreachable',
  );
  if (answering.length === 0 || given.flag(ALTHOUGH)) return found;
  const names = answering.map(({ peer, state }) => `${peer} (${printable(state)})`).join(', ');
  throw new CommandMistake(
    `--without ${names}: answers, as far as the lead knows, and what nobody else holds would be ` +
      `lost; leave it out, so that the take-back asks it, or add --${ALTHOUGH}; nothing was decided`,
  );
}

/** The same error in the words of the command line. */
function inOptions(error: RegistryError): RegistryError {
  const { code, message, problem } = error;
  const said = message
    .replaceAll('name it in "after"', 'name it with --after')
    .replaceAll(/lacks entry (\d+), which/g, 'lacks entry $1 (--entries $1), which');
  return new RegistryError(code, said, problem === undefined ? {} : { problem });
}

function sequencesIn(text: string | undefined): number[] {
  if (text === undefined) return [];
  return text.split(',').map((each) => {
    const sequence = numberOf(each.trim(), 'entries') ?? 0;
    if (sequence > 0) return sequence;
    throw new UsageMistake(`--entries ${text}: entries are counted from 1`);
  });
}
