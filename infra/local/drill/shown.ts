/** What every drill shows, whatever went wrong: the alarm, what is blocked, the proof, the end. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../../../cli/command.ts';
import { operatorCommands } from '../../../cli/operator-commands.ts';
import { RegistryError } from '../../../shared/client/problem.ts';
import type { RecordedDocument } from '../../../shared/client/upload.ts';
import type { ConflictKind } from '../../../shared/ledger/conflict.ts';
import type { RegistryId } from '../../../shared/ledger/digest.ts';
import { verifyConflictFile } from '../../../shared/ledger/verify-conflict-file.ts';
import type { ConflictAlarm } from '../alarm.ts';
import type { MemberName } from '../members.ts';
import { duration, size } from '../narrator.ts';
import { type Drilled, LEAD } from './drilled.ts';

/** An alarm that every instance has raised, and how long that took from the cause on. */
export interface ShownAlarm extends ConflictAlarm {
  readonly foundAfterMs: number;
  readonly knownAfterMs: number;
}

/** The first alarm of that kind since the cause, once everybody who is online has raised it too. */
export async function showAlarm(
  drilled: Drilled,
  kind: ConflictKind,
  since: number,
): Promise<ShownAlarm> {
  const alarms = await drilled.until(`the alarm ${kind} at ${drilled.online.join(', ')}`, () => {
    const raised = drilled.alarms.filter((alarm) => alarm.kind === kind && alarm.at >= since);
    const everybody = drilled.online.every((name) => raised.some(isOf(name)));
    return everybody ? raised.toSorted((a, b) => a.at - b.at) : undefined;
  });
  const first = alarms.find(({ finder, instance }) => drilled.nameOf(finder) === instance);
  if (first === undefined) throw new Error(`nobody online has found the ${kind}`);
  const last = Math.max(...drilled.online.map((name) => alarms.find(isOf(name))?.at ?? 0));
  const [foundAfterMs, knownAfterMs] = [first.at - since, last - since];
  const { narrator } = drilled.site;
  drilled.at(
    first.instance as MemberName,
    `its function "${first.raisedBy}" finds it ${duration(foundAfterMs)} after the cause, and says`,
  );
  const accused = first.accused === 'open' ? 'nobody yet' : drilled.nameOf(first.accused);
  narrator.alarm(`conflict: ${kind} at entry ${first.sequence}`, [
    `registry ${first.registryId}`,
    `found by ${first.instance}, accused: ${accused}`,
    drilled.named(first.detail),
  ]);
  const [names, know] =
    drilled.online.length === 4
      ? ['every instance', 'knows']
      : [drilled.online.join(', '), drilled.online.length === 1 ? 'knows' : 'know'];
  narrator.at(names, `${know} ${duration(knownAfterMs)} after the cause`);
  return { ...first, foundAfterMs, knownAfterMs };
}

function isOf(name: MemberName): (alarm: ConflictAlarm) => boolean {
  return ({ instance }) => instance === name;
}

/** Nothing is recorded any more; what applications can still do goes on. */
export async function showBlocked(
  drilled: Drilled,
  documentId = 'BRIEF-0001',
): Promise<RegistryError> {
  try {
    await drilled.record(documentId, 'Musterstadt, ein Schreiben');
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'REGISTRY_IN_CONFLICT') throw error;
    const [reason] = error.message.split(';');
    drilled.at(LEAD, `an append is answered ${error.status} ${error.code}: ${reason}`);
    drilled.at(LEAD, `the answer says where to look: ${error.members['address']}`);
    const held = await drilled.application(LEAD).entry(drilled.registryId, 2);
    drilled.at(LEAD, `reading goes on: entry ${held.receipt.sequence} has its receipt`);
    return error;
  }
  throw new Error('an entry was appended although a conflict is open');
}

/** The conflict in one file, verified with nothing but the CA and the registry id. */
export async function showProof(
  drilled: Drilled,
  { instance, conflictId, kind }: ConflictAlarm,
): Promise<readonly string[]> {
  const { narrator, directory } = drilled.site;
  const { registryId } = drilled;
  const name = instance as MemberName;
  const bytes = await drilled.operator(name).evidence(registryId, conflictId);
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${kind}-${conflictId.slice(0, 8)}.json`);
  writeFileSync(file, bytes);
  drilled.at(name, `exports the conflict: ${file}, ${size(bytes.length)}`);
  const { clusterCa: clusterCaPem } = drilled.member(name).instance.settings;
  const trust = { registryId: registryId as RegistryId, clusterCaPem };
  const verified = verifyConflictFile(bytes, trust);
  if (verified.outcome === 'refused')
    throw new Error(`the conflict file is refused: ${verified.code}: ${verified.detail}`);
  const { provenAbout } = verified;
  const whom = provenAbout === undefined ? 'nobody' : drilled.nameOf(provenAbout);
  narrator.at('anybody', `verifies the file without network; proven about: ${whom}`);
  for (const sentence of verified.sentences) narrator.at('', drilled.named(sentence));
  return verified.sentences;
}

/** No conflict is open any more at anybody who is online. */
export async function untilNoConflict(drilled: Drilled): Promise<void> {
  for (const name of drilled.online)
    await drilled.until(`no open conflict at ${name}`, async () => {
      const open = await drilled.openConflicts(name);
      return open.length === 0 ? true : undefined;
    });
}

/** Everybody goes on: an append works, all confirm it, and every ledger verifies as it is stored. */
export async function showRecovery(drilled: Drilled): Promise<RecordedDocument> {
  const recorded = await showAppend(drilled);
  await showSound(drilled);
  return recorded;
}

/** Once no conflict is open any more, an append works again, and all confirm it. */
export async function showAppend(
  drilled: Drilled,
  documentId = 'BRIEF-0002',
): Promise<RecordedDocument> {
  const { narrator } = drilled.site;
  await narrator.during('waiting for the end of the conflict', () => untilNoConflict(drilled));
  const started = performance.now();
  const recorded = await drilled.record(documentId, 'Musterstadt, ein Schreiben danach');
  drilled.at(LEAD, `an append works again: entry ${recorded.sequence}`);
  await narrator.during('waiting for confirmations', () => drilled.untilFinal(recorded.sequence));
  const took = duration(performance.now() - started);
  narrator.at('every instance', `gives a receipt with all confirmations: final after ${took}`);
  return recorded;
}

/** The command `verify` of every operator, on what is stored. */
export async function showSound(drilled: Drilled): Promise<void> {
  for (const name of drilled.online) {
    const environment = join(drilled.member(name).directory, 'environment.json');
    const variables = drilled.site.cluster.environmentOf(name);
    writeFileSync(environment, JSON.stringify(variables), { mode: 0o600 });
    const lines: string[] = [];
    const command = ['verify', '--environment', environment, '--registry', drilled.registryId];
    const code = await runCommand(operatorCommands, command, (line) => lines.push(line));
    const [line = ''] = lines;
    drilled.at(name, `verify: ${line.replace(`${drilled.registryId}: `, '')}`);
    if (code !== 0) throw new Error(`the ledger of ${name} does not verify: ${line}`);
  }
}
