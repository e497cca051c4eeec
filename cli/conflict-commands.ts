/** The commands about conflicts: seeing them, proving them, and what operators decide. */
import type { Decided } from '../shared/client/deciding.ts';
import { isDigest, type RegistryId } from '../shared/ledger/digest.ts';
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
import { withClient } from './connected.ts';
import { authoritiesIn } from './evidence-commands.ts';
import { resolveCommand } from './resolve-command.ts';
import { printable, short } from './tables.ts';

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
  resolve: resolveCommand,
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

async function accept(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const reason = given.value('reason');
    const registryId = given.value('registry');
    const accepted = await client.accept(registryId, given.value('resolution'), { reason });
    const { said } = accepted;
    output(`resolution ${said.resolution} is accepted at ${short(said.signer)}`);
    tellBefore(accepted, output);
  });
}

async function setAside(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const conflicts = given.all('conflict');
    const from = numberOf(given.optional('from'), 'from');
    if (from === 0) throw new UsageMistake('--from 0: entries are counted from 1');
    const begun = await client.setAside(given.value('registry'), {
      ...(conflicts.length === 0 ? {} : { conflicts }),
      ...(from === undefined ? {} : { from }),
      reason: given.value('reason'),
    });
    const { said } = begun;
    output(`copy ${said.copy} of the ledger at ${short(said.signer)} begins at entry ${said.from}`);
    output('what was there before is kept, as evidence');
    tellBefore(begun, output);
  });
}

/** Whoever decides twice hears of the first time, which alone counts. */
function tellBefore(
  { before, said }: Pick<Decided<{ readonly reason: string }>, 'before' | 'said'>,
  output: Output,
): void {
  if (before === undefined) return;
  output(`that was done before, at ${before}: ${printable(said.reason)}; nothing was done now`);
}

async function close(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const registryId = given.value('registry');
    const { said, before } = await client.closeRegistry(registryId);
    output(`registry ${registryId} is closed at ${short(said.signer)}`);
    output(`its last entry there is ${said.sequence}, digest ${said.digest}`);
    if (before !== undefined) output(`that was done before, at ${before}; nothing was done now`);
    output('"registry create --predecessor" goes on with another one');
  });
}
