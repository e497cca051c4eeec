/** The commands about conflicts: seeing them, proving them, and what operators decide. */
import type { DecidedResolution } from '../shared/client/conflicts.ts';
import type { Decided } from '../shared/client/deciding.ts';
import type { RegistryClient } from '../shared/client/registry-client.ts';
import { isDigest, type RegistryId } from '../shared/ledger/digest.ts';
import type { Resolution } from '../shared/ledger/resolution.ts';
import type { Manner } from '../shared/ledger/resolution-rules.ts';
import { verifyConflictFile } from '../shared/ledger/verify-conflict-file.ts';
import {
  CommandMistake,
  type Commands,
  type Given,
  numberOf,
  type Output,
  readBytes,
  requireAbsent,
  UsageMistake,
  writeNew,
} from './command.ts';
import { conflictLines, provenLines, storyLines } from './conflict-lines.ts';
import { NO_FOLLOW, oneOf, withClient } from './connected.ts';
import { authoritiesIn } from './evidence-commands.ts';
import { short } from './tables.ts';

const MANNERS: readonly Manner[] = ['replay', 'expel', 'replace', 'take-back', 'close'];

export const conflictCommands: Commands = {
  conflicts: {
    usage: 'conflicts --profile <file> --registry <id>',
    required: ['profile', 'registry'],
    optional: [],
    run: list,
  },
  conflict: {
    usage: 'conflict <id> --profile <file> --registry <id> [--out <file>]',
    required: ['id', 'profile', 'registry'],
    optional: ['out'],
    positional: 'id',
    run: show,
  },
  'verify-conflict': {
    usage: 'verify-conflict <file> [--ca <certificate file>] [--registry <id>]',
    required: ['file'],
    optional: ['ca', 'registry'],
    positional: 'file',
    run: (given, output) => verifyFile(given.value('file'), given, output),
  },
  resolve: {
    usage:
      'resolve --profile <file> --registry <id> --manner <replay, expel, replace, take-back or ' +
      'close> --reason <text> [--conflict <id>]… [--entries <sequence,…>] [--after <digest>] ' +
      '[--without <certificate id>]… [--expel <certificate id>]… [--void] [--no-follow] ' +
      '(--expel and --void carry it out at once)',
    required: ['profile', 'registry', 'reason'],
    optional: ['manner', 'conflict', 'entries', 'after', 'without', 'expel'],
    repeatable: ['conflict', 'without', 'expel'],
    flags: ['void', NO_FOLLOW],
    run: resolve,
  },
  accept: {
    usage: 'accept --profile <file> --registry <id> --resolution <digest> --reason <text>',
    required: ['profile', 'registry', 'resolution', 'reason'],
    optional: [],
    run: accept,
  },
  'set-aside': {
    usage:
      'set-aside --profile <file> --registry <id> --reason <text> [--conflict <id>]… ' +
      '[--from <sequence>]',
    required: ['profile', 'registry', 'reason'],
    optional: ['conflict', 'from'],
    repeatable: ['conflict'],
    run: setAside,
  },
  close: {
    usage: 'close --profile <file> --registry <id> (for good)',
    required: ['profile', 'registry'],
    optional: [],
    run: close,
  },
};

async function list(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const { conflicts, resolution } = await client.conflicts(given.value('registry'));
    if (conflicts.length === 0) output('this registry has no conflicts');
    for (const conflict of conflicts) for (const line of conflictLines(conflict)) output(line);
    if (resolution !== undefined)
      output(`in force: ${resolution.said.manner}, resolution ${resolution.digest}`);
  });
}

async function show(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const registryId = given.value('registry');
    const conflictId = given.value('id');
    const out = given.optional('out');
    if (out !== undefined) await requireAbsent(out);
    for (const line of storyLines(await client.conflict(registryId, conflictId))) output(line);
    if (out === undefined) return;
    const bytes = await client.evidence(registryId, conflictId);
    await writeNew(out, bytes);
    output(`${out}: ${bytes.length} bytes; "registry verify-conflict" says what they prove`);
  });
}

/** What other files are refused with. */
const NO_CONFLICT_FILE: ReadonlySet<string> = new Set([
  'NOT_JSON',
  'NOT_CANONICAL',
  'UNKNOWN_FORMAT',
]);

/** Offline: nothing is asked of anybody. */
export async function verifyFile(file: string, given: Given, output: Output): Promise<void> {
  const ca = given.optional('ca');
  const registryId = given.optional('registry');
  if (registryId !== undefined && !isDigest(registryId))
    throw new CommandMistake(`--registry ${registryId}: expected a registry id, 64 hex digits`);
  const found = verifyConflictFile(await readBytes(file), {
    ...(ca === undefined ? {} : { clusterCaPem: await authoritiesIn(ca) }),
    ...(registryId === undefined ? {} : { registryId: registryId as RegistryId }),
  });
  if (found.outcome === 'refused') {
    const other = NO_CONFLICT_FILE.has(found.code)
      ? '; a conflict file was expected: "verify-export" is for exports, "verify-receipt" for receipts'
      : '';
    throw new CommandMistake(`${file}: WRONG: ${found.code}: ${found.detail}${other}`);
  }
  output(`${file}: sound`);
  for (const line of provenLines(found)) output(line);
}

async function resolve(given: Given, output: Output): Promise<void> {
  const manner = mannerOf(given);
  const registryId = given.value('registry');
  const offenders = given.all('expel');
  const carriesOut = offenders.length > 0 || given.flag('void');
  const work = async (client: RegistryClient) => {
    const before = carriesOut ? await decidedBefore(client, given, manner) : undefined;
    const decided = before ?? (await decide(client, given, manner));
    const { through, conflicts } = decided.said;
    output(`${before === undefined ? 'decided' : 'was decided before'}: ${manner}`);
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
  const manner = oneOf('manner', given.optional('manner') ?? implied ?? '', MANNERS);
  if ((expels && manner !== 'expel') || (voids && manner !== 'replace'))
    throw new UsageMistake(
      `--manner ${manner}: --expel belongs to expel, and --void to replace; leave one of them out`,
    );
  return manner;
}

/** What an interrupted call has decided, and not carried out. */
async function decidedBefore(
  client: RegistryClient,
  given: Given,
  manner: Manner,
): Promise<DecidedResolution | undefined> {
  if (given.optional('after') !== undefined) return undefined;
  const { resolution } = await client.conflicts(given.value('registry'));
  return resolution?.said.manner === manner ? resolution : undefined;
}

function decide(
  client: RegistryClient,
  given: Given,
  manner: Manner,
): Promise<Decided<Resolution>> {
  const conflicts = given.all('conflict');
  const after = given.optional('after');
  const without = given.all('without');
  const reason = given.value('reason');
  return client.resolve(given.value('registry'), {
    manner,
    ...(conflicts.length === 0 ? {} : { conflicts }),
    entries: sequencesIn(given.optional('entries')),
    ...(after === undefined ? {} : { after }),
    reason: without.length === 0 ? reason : `${reason} (without ${without.join(', ')})`,
  });
}

function sequencesIn(text: string | undefined): number[] {
  if (text === undefined) return [];
  return text.split(',').map((each) => numberOf(each.trim(), 'entries') ?? 0);
}

async function accept(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const reason = given.value('reason');
    const registryId = given.value('registry');
    const { said } = await client.accept(registryId, given.value('resolution'), { reason });
    output(`resolution ${said.resolution} is accepted at ${short(said.signer)}`);
  });
}

async function setAside(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const conflicts = given.all('conflict');
    const from = numberOf(given.optional('from'), 'from');
    const { said } = await client.setAside(given.value('registry'), {
      ...(conflicts.length === 0 ? {} : { conflicts }),
      ...(from === undefined ? {} : { from }),
      reason: given.value('reason'),
    });
    output(`copy ${said.copy} of the ledger at ${short(said.signer)} begins at entry ${said.from}`);
    output('what was there before is kept, as evidence');
  });
}

async function close(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const registryId = given.value('registry');
    const { said } = await client.closeRegistry(registryId);
    output(`registry ${registryId} is closed at ${short(said.signer)}`);
    output(`its last entry there is ${said.sequence}, digest ${said.digest}`);
    output('"registry create --predecessor" goes on with another one');
  });
}
