/** Conflicts, what people decided about them, and what a file proves, as lines for people. */
import type { ConflictEvent, ConflictStory, ConflictSummary } from '../shared/client/conflicts.ts';
import { quoted } from '../shared/ledger/quoted.ts';
import type { VerifiedConflictFile } from '../shared/ledger/verify-conflict-file.ts';
import { printable, short } from './tables.ts';

/** One conflict in two lines. */
export function conflictLines(conflict: ConflictSummary): string[] {
  const { conflictId, recordedAt, resolution } = conflict;
  const decided = resolution === undefined ? '' : `, resolution ${short(resolution)}`;
  return [
    `${stateOf(conflict).padEnd(9)} ${recordedAt}  ${aboutText(conflict)}${decided}`,
    `  ${conflictId}`,
  ];
}

function stateOf({ open, contested, awaitsAcceptance }: ConflictSummary): string {
  if (contested === true) return 'CONTESTED';
  if (!open) return 'resolved';
  return awaitsAcceptance ? 'TO ACCEPT' : 'OPEN';
}

function aboutText({ said }: Pick<ConflictSummary, 'said'>): string {
  const { kind, sequence, accused, signer } = said;
  const whom =
    accused === signer
      ? `${short(signer)} about itself`
      : `found by ${short(signer)}, accused ${accused === 'open' ? 'nobody' : short(accused)}`;
  return `${kind} at entry ${sequence}, ${whom}`;
}

/** The whole story of a conflict, and what has to happen next. */
export function storyLines(story: ConflictStory): string[] {
  const { conflictId, history, manners, decideAt, next } = story;
  const { certificateId, endpoint = 'at an unknown address' } = decideAt;
  return [
    `conflict ${conflictId}: ${stateOf(story)}`,
    aboutText(story),
    ...history.map((event) => `  ${event.at}  ${eventText(event)}`),
    ...(manners.length === 0 ? [] : [`can be decided here: ${manners.join(', ')}`]),
    `lead: ${short(certificateId)} ${printable(endpoint)}`,
    `next: ${printable(next)}`,
  ];
}

function eventText(event: ConflictEvent): string {
  const { said } = event;
  const who = 'decidedBy' in said ? `${short(said.decidedBy)} at ${short(said.signer)}` : '';
  switch (event.kind) {
    case 'report':
      return `reported by ${short(said.signer)}`;
    case 'resolution': {
      const { manner, entries, reason } = event.said;
      const named = entries.map(({ sequence }) => sequence).join(', ');
      const about = named === '' ? '' : ` of entries ${named}`;
      return `decided ${manner}${about} by ${who}: ${quoted(reason)}, resolution ${event.digest}`;
    }
    case 'acceptance': {
      const { resolution, reason } = event.said;
      return `accepted ${short(resolution)} by ${who}: ${quoted(reason)}`;
    }
    case 'set-aside': {
      const { from, copy, reason } = event.said;
      return `set aside from entry ${from} on (copy ${copy}) by ${who}: ${quoted(reason)}`;
    }
    case 'closing':
      return `closed at entry ${event.said.sequence} by ${short(said.signer)}`;
  }
}

/** What a file about a conflict proves, from the file alone. */
export function provenLines(found: VerifiedConflictFile): string[] {
  const { conflictId, registryId, kind, sequence, lead, guilty, cluster, exportedAt } = found;
  return [
    `registry ${registryId}`,
    `conflict ${conflictId}: ${kind} at entry ${sequence}, where ${lead} led`,
    guilty === undefined ? 'nobody is proven guilty' : `proven guilty: ${guilty}`,
    ...found.sentences.map((sentence) => `  ${sentence}`),
    cluster === 'checked'
      ? 'certificates: of the cluster whose CA was given'
      : 'certificates: not held against any CA, so ids stand for keys alone; name one with --ca',
    `exported ${exportedAt}, by the word of whoever did`,
  ];
}
