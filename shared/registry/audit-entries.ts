import type { CertificateId } from '../ledger/digest.ts';
import { linkTo } from '../ledger/entry.ts';
import { limits } from '../ledger/limits.ts';
import { auditConfirmations } from './audit-confirmations.ts';
import { type AuditFinding, damageAt, type Findings, findingAt } from './audit-finding.ts';
import { flawOfState } from './audit-flaws.ts';
import {
  flawOfPlace,
  flawOfRecord,
  flawOfSubject,
  readWitnesses,
  sequencesNeeded,
  unendedCommits,
} from './audit-place.ts';
import { readStoredState } from './audit-state.ts';
import { isReplaced, readKeptResolutions } from './audit-superseded.ts';
import { orDamage } from './or-damage.ts';
import type { Head, LedgerStore } from './ports.ts';
import { SoundEntries, type SoundEntry } from './sound-entries.ts';
import { StoredDamage } from './stored-damage.ts';

/**
 * Some consecutive entries, wherever they are in the ledger, held against everything that is stored
 * about them.
 *
 * 1. Read them, those of the commit that they begin in, and all that they link to: no link is
 *    trusted, so the entry behind each is read and digested.
 * 2. Hold each entry against its place, its details, its subject and its checkpoint.
 * 3. Hold the confirmations of it against what their signers said, and who were peers there.
 * 4. Hold the state items against what it made them.
 */

export interface AuditedCopy {
  readonly store: LedgerStore;
  readonly head: Head;
  /** Peers of every list, also of those that are still to come: they may redact. */
  readonly everPeers: ReadonlySet<CertificateId>;
}

export interface AuditRange {
  readonly from: number;
  /** At most the head, and 99 entries later. */
  readonly through: number;
}

export interface AuditedEntries {
  /** Those that are sound by themselves, in order. */
  readonly sound: readonly SoundEntry[];
  readonly confirmations: number;
}

/** Audits a page of entries of a copy; what is wrong goes to `findings`. */
export async function auditEntries(
  copy: AuditedCopy,
  { from, through }: AuditRange,
  findings: Findings,
): Promise<AuditedEntries> {
  const { store, head } = copy;
  const entries = new SoundEntries(store, head);
  const begin = Math.max(1, from - limits.commitEntriesMax);
  const around = sequencesFrom(begin, through);
  await entries.add(around);
  await entries.add(around.flatMap((sequence) => sequencesNeeded(entries, sequence, from)));
  await readWitnesses(
    entries,
    around.flatMap((sequence) => soundAt(entries, sequence)),
  );
  const sound: SoundEntry[] = [];
  for (const sequence of sequencesFrom(from, through)) {
    const looked = entries.at(sequence);
    if (looked?.outcome !== 'sound') {
      findings.add(looked?.finding);
      continue;
    }
    sound.push(looked);
    findings.add(flawOfPlace(entries, copy, looked), flawOfRecord(copy, looked));
  }
  await auditSubjects(copy, entries, sound, findings);
  findings.add(...unendedCommits(entries, head, { begin, from, through }));
  findings.add(...(await unknownResolutions(copy, sound)));
  const confirmations = await auditConfirmations(copy, entries, { begin, from, through }, findings);
  await auditState(copy, sound, findings);
  return { sound, confirmations };
}

/** One that broke this rule stands all the same where a resolution replaces or voids it. */
async function auditSubjects(
  { store, head }: AuditedCopy,
  entries: SoundEntries,
  sound: readonly SoundEntry[],
  findings: Findings,
): Promise<void> {
  const wrong = sound.flatMap((each) => {
    const finding = flawOfSubject(entries, each);
    return finding === undefined ? [] : [{ link: linkTo(each.read), finding }];
  });
  if (wrong.length === 0) return;
  const kept = await readKeptResolutions(store, head);
  for (const { link, finding } of wrong) if (!isReplaced(kept, link)) findings.add(finding);
}

/** Entries that name resolutions which are not kept here. */
async function unknownResolutions(
  { store, head }: AuditedCopy,
  sound: readonly SoundEntry[],
): Promise<AuditFinding[]> {
  const naming = sound.filter(({ read }) => read.entry.resolves.length > 0);
  if (naming.length === 0) return [];
  const kept = await readKeptResolutions(store, head);
  return naming.flatMap(({ read: { entry, digest } }) => {
    const unknown = entry.resolves.find((resolution) => !kept.has(resolution));
    if (unknown === undefined) return [];
    const detail = `entry ${entry.sequence} names the resolution ${unknown}, which is not here`;
    return [findingAt(entry.sequence, { code: 'RESOLVES_UNKNOWN', detail }, [digest])];
  });
}

/** Where an item is damaged, entry by entry: the others are looked at all the same. */
async function auditState(
  copy: AuditedCopy,
  sound: readonly SoundEntry[],
  findings: Findings,
): Promise<void> {
  const { store, head } = copy;
  const page = sound.map(({ stored }) => stored);
  const state = await orDamage(() => readStoredState(store, head, page));
  if (!(state instanceof StoredDamage)) {
    for (const stored of page) {
      const flaw = flawOfState(stored, state);
      if (flaw !== undefined) findings.add(findingAt(stored.sequence, flaw, [stored.digest]));
    }
    return;
  }
  const [first] = sound;
  if (first === undefined) return;
  if (sound.length === 1) findings.add(damageAt(first.stored.sequence, state));
  else for (const each of sound) await auditState(copy, [each], findings);
}

function soundAt(entries: SoundEntries, sequence: number): SoundEntry[] {
  const looked = entries.at(sequence);
  return looked?.outcome === 'sound' ? [looked] : [];
}

function sequencesFrom(from: number, through: number): number[] {
  return Array.from({ length: Math.max(0, through - from + 1) }, (_, index) => from + index);
}
