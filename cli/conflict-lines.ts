/** Conflicts, what people decided about them, and what a file proves, as lines for people. */
import type {
  ConflictEvent,
  ConflictStory,
  ConflictSummary,
  ReportEvent,
} from '../shared/client/conflicts.ts';
import { quoted } from '../shared/ledger/quoted.ts';
import type { VerifiedConflictFile } from '../shared/ledger/verify-conflict-file.ts';
import { printable, short } from './tables.ts';

/** One conflict in two lines, and a third where others still wait for their operators. */
export function conflictLines(conflict: ConflictSummary): string[] {
  const { conflictId, said, resolution, notAccepted } = conflict;
  const decided = resolution === undefined ? '' : `, resolution ${short(resolution)}`;
  return [
    `${stateOf(conflict).padEnd(9)} ${said.detectedAt}  ${aboutText(conflict)}${decided}`,
    `  ${conflictId}`,
    ...(resolution === undefined || notAccepted.length === 0
      ? []
      : [`  ${blockedText(notAccepted, resolution)}`]),
  ];
}

/** Which mirrors stand still, and until when. */
function blockedText(peers: readonly string[], resolution: string): string {
  const who = `${peers.length === 1 ? 'mirror' : 'mirrors'} ${peers.map(short).join(', ')}`;
  const [are, their] =
    peers.length === 1 ? ['is', 'its operator has'] : ['are', 'their operators have'];
  return `${who} ${are} stopped until ${their} accepted the resolution ${resolution}`;
}

function stateOf({ open, contested, awaitsAcceptance }: ConflictSummary): string {
  if (contested === true) return 'CONTESTED';
  if (!open) return 'resolved';
  return awaitsAcceptance ? 'TO ACCEPT' : 'OPEN';
}

function aboutText({ said }: Pick<ConflictSummary, 'said'>): string {
  const { kind, sequence, accused, signer } = said;
  // A fork and a wrong entry are proven by signatures, also where the accused itself found them.
  const isOwnWord = kind === 'local-tampering' || kind === 'lead-rollback';
  const whom = isOwnWord
    ? `${short(signer)} about itself`
    : `found by ${short(signer)}, accused ${accused === 'open' ? 'nobody' : short(accused)}`;
  return `${kind} at entry ${sequence}, ${whom}`;
}

/** The whole story of a conflict, and what has to happen next. */
export function storyLines(story: ConflictStory): string[] {
  const { conflictId, history, manners, decideAt, resolution, notAccepted, next } = story;
  const { certificateId, endpoint = 'at an unknown address' } = decideAt;
  const reports = history.some(({ kind }) => kind === 'report');
  return [
    `conflict ${conflictId}: ${stateOf(story)}`,
    aboutText(story),
    ...disputeLines(story),
    ...history.flatMap((event) => eventLines(event, story)),
    ...(reports ? [WORD_OF_INSTANCE] : []),
    ...(resolution === undefined || notAccepted.length === 0
      ? []
      : [blockedText(notAccepted, resolution)]),
    ...(manners.length === 0 ? [] : [`can be decided here: ${manners.join(', ')}`]),
    `lead: ${short(certificateId)} ${printable(endpoint)}`,
    `next: ${printable(next)}`,
  ];
}

const WORD_OF_INSTANCE =
  'PROVEN and CLAIMED: as this instance finds; --out and "registry verify-conflict" check it';

/** What exactly disagrees. */
function disputeLines({ said, document, branches }: ConflictStory): string[] {
  const { sequence, digests, kind } = said;
  if (document !== undefined) {
    const { documentId, version, contentDigest } = document;
    return [`bytes of ${documentId} version ${version}, SHA-256 ${contentDigest}`];
  }
  if (kind !== 'fork') return [];
  if (branches === undefined) return digests.map((digest) => `entry ${sequence} with ${digest}`);
  const { stays, givesWay } = branches;
  return [
    `entry ${sequence} with ${stays}: STAYS, by the decision (the lead's own copy)`,
    `entry ${sequence} with ${givesWay}: gives way`,
  ];
}

function eventLines(event: ConflictEvent, { history }: ConflictStory): string[] {
  const arrived = `arrived here ${event.at}`;
  if (event.kind === 'report') {
    const { detectedAt, signer } = event.said;
    return [
      `  ${detectedAt}  reported by ${short(signer)}, by its clock (${arrived})`,
      `    ${findingText(event)}`,
    ];
  }
  const later = history.find(
    (each) => each.kind === 'resolution' && each.said.after === event.digest,
  );
  return [
    `  ${arrived}  ${eventText(event)}`,
    ...(later === undefined ? [] : [`    ENDED by the later resolution ${later.digest}`]),
  ];
}

function findingText({ said, worth, finding = '' }: ReportEvent): string {
  const { signer, accused } = said;
  if (worth === undefined) return 'its evidence is not at this instance, or does not show it';
  const who =
    worth === 'proven'
      ? `PROVEN about ${short(accused)}`
      : `CLAIMED by ${short(signer)}${accused === signer ? ' about itself' : ''}`;
  return `${who}: ${printable(finding)}`;
}

function eventText(event: Exclude<ConflictEvent, ReportEvent>): string {
  const { said } = event;
  const who = 'decidedBy' in said ? `${short(said.decidedBy)} at ${short(said.signer)}` : '';
  switch (event.kind) {
    case 'resolution': {
      const { manner, entries, reason } = event.said;
      const named = [...new Set(entries.map(({ sequence }) => sequence))].join(', ');
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
      return `closed at entry ${event.said.sequence} by ${short(event.said.signer)}`;
  }
}

/** What a file about a conflict proves, from the file alone. */
export function provenLines(found: VerifiedConflictFile): string[] {
  const { conflictId, registryId, registry, kind, sequence, lead, provenAbout } = found;
  return [
    registry === 'checked'
      ? `registry ${registryId}, as given`
      : `registry ${registryId}: NOT compared with any; name the one that you know with --registry`,
    `conflict ${conflictId}: ${kind} at entry ${sequence}, where ${lead} led`,
    provenAbout === undefined
      ? 'nothing is proven about anybody'
      : `proven about: ${provenAbout}; its key signed, and who used the key is not shown`,
    ...found.sentences.map((sentence) => `  ${sentence}`),
    ...certificateLines(found),
    `exported ${found.exportedAt}, by the word of whoever did`,
    'whole statements may be missing: compare with the file of a second instance',
  ];
}

/** Whom the certificates in the file name. */
function certificateLines({ cluster, instances }: VerifiedConflictFile): string[] {
  return [
    cluster === 'checked'
      ? 'certificates: of the cluster whose CA was given; they name'
      : 'certificates: not held against any CA, so ids stand for keys alone, and anybody can have ' +
        'made these names; name a CA with --ca',
    ...instances.map(
      ({ certificateId, subject, endpoint }) =>
        `  ${certificateId}: ${printable(subject)}, ${printable(endpoint)}`,
    ),
  ];
}
