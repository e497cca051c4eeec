import type { CertificateId, Digest } from '../ledger/digest.ts';
import type { Manner } from '../ledger/resolution-rules.ts';
import type { KnownResolution } from './kept-statements.ts';
import type { ConflictSummary } from './read-conflicts.ts';
import type { SetAsideChoice } from './read-story.ts';
import type { DisputedDocument } from './report-findings.ts';

/**
 * What has to happen next about a conflict, and who has to do it, in one sentence for people:
 * protocol section 7. It decides nothing.
 */

/** How a conflict stands here. */
export interface Standpoint {
  readonly summary: ConflictSummary;
  /** Decided and not yet carried out. */
  readonly inForce?: KnownResolution;
  readonly manners: readonly Manner[];
  readonly setAside?: SetAsideChoice;
  /** The conflict is about this instance's own copy, which it has not set aside. */
  readonly isOwnWrong: boolean;
  readonly leads: boolean;
  /** The lead, and where it lives if that is known. */
  readonly lead: { readonly certificateId: CertificateId; readonly endpoint?: string };
  /** The newest entry here, where this instance has closed the registry. */
  readonly closedAt?: number;
  /** The entry since which this instance is no peer of the registry any more. */
  readonly formerSince?: number;
  readonly isFilling: boolean;
  readonly awaited?: Awaited;
}

/** Whom the decision still waits for; each by its address where that is known, else by its id. */
export interface Awaited {
  /** Mirrors whose operators have not accepted that resolution. */
  readonly acceptances: readonly string[];
  readonly resolution?: Digest;
  /** Whose own copy is the wrong one, and was not set aside. */
  readonly setAsides: readonly string[];
  readonly confirmations: readonly string[];
  /** Of a fork those that held what gives way, and have not set it aside. */
  readonly givingWay: readonly string[];
  /** What the copy here has there. */
  readonly ownBranch?: 'stays' | 'gives-way';
  readonly document?: DisputedDocument;
}

export function nextStep(standpoint: Standpoint): string {
  const { summary, inForce, closedAt, formerSince } = standpoint;
  if (closedAt !== undefined)
    return (
      `Nothing more happens here: this instance has closed the registry at entry ${closedAt}. ` +
      'A new registry names that entry as its predecessor.'
    );
  if (formerSince !== undefined) return asFormer(standpoint, formerSince);
  if (!summary.open && summary.contested !== true) return resolvedHere(standpoint);
  if (inForce === undefined) return undecided(standpoint);
  const steps = carryingOut(standpoint, inForce);
  const others = acceptanceStep(standpoint);
  // Whom a new peer list leaves out, it shows only when it is there.
  const first = inForce.resolution.manner === 'expel' ? steps : others;
  const second = first === steps ? others : steps;
  if (!summary.awaitsAcceptance) return [...first, ...second].join(' ');
  const own =
    `An operator of this instance accepts the resolution ${inForce.digest} ` +
    `(${inForce.resolution.manner}), or closes the registry here: the lead is the accused.`;
  return [own, ...others, ...steps.filter((step) => !step.startsWith('Nothing'))].join(' ');
}

/** A lead has done its part at once; its mirrors stand still until their operators have signed. */
function resolvedHere(standpoint: Standpoint): string {
  const [step] = acceptanceStep(standpoint);
  return step === undefined
    ? 'Nothing: it is resolved here.'
    : `It is resolved here, and not everywhere. ${step}`;
}

function acceptanceStep({ awaited }: Standpoint): string[] {
  const { acceptances = [], resolution = '' } = awaited ?? {};
  if (acceptances.length === 0) return [];
  return [
    `An operator of each of these mirrors accepts the resolution ${resolution}, or it stays ` +
      `stopped: ${acceptances.join(', ')}.`,
  ];
}

/** Whoever was taken off the list has nothing more to do, and nothing to hope for. */
function asFormer({ isOwnWrong, summary }: Standpoint, since: number): string {
  const copy = isOwnWrong
    ? `its copy stays as it is, as evidence, and is wrong from entry ${summary.sequence} on`
    : 'its copy stays as it is, as evidence';
  return (
    `Nothing more happens here: since entry ${since} this instance is no peer of this registry any ` +
    `more. Nobody delivers to it; ${copy}.`
  );
}

function undecided({ summary, manners, setAside, ...standpoint }: Standpoint): string {
  const { leads, isOwnWrong } = standpoint;
  const choice = orText(manners);
  if (summary.contested === true)
    return (
      `An operator of this instance, which leads, decides: ${choice}. The evidence does not ` +
      'reproduce here, but whoever reported it is stopped until then.'
    );
  const aside = setAsideSteps({ ...standpoint, summary });
  const replays = manners.includes('replay') && aside.length > 0;
  if (leads)
    return [
      `An operator of this instance, which leads, decides: ${choice}.`,
      ...(replays ? ['A replay needs more:', ...aside] : []),
    ].join(' ');
  const decides = `an operator of ${leadName(standpoint)} decides`;
  if (isOwnWrong && setAside?.allowed === true)
    return (
      'An operator of this instance sets its own copy aside from entry ' +
      `${setAside.from} on (copy ${setAside.copy}), and ${decides}.`
    );
  return `${decides.charAt(0).toUpperCase()}${decides.slice(1)}; until then nothing is stored here.`;
}

function orText(choices: readonly string[]): string {
  const last = choices.at(-1) ?? '';
  return choices.length < 2 ? last : `${choices.slice(0, -1).join(', ')} or ${last}`;
}

function leadName({ lead }: Pick<Standpoint, 'lead'>): string {
  return `the lead ${addressOf(lead)}`;
}

/** An instance as people know it. */
export function addressOf({ endpoint, certificateId }: Standpoint['lead']): string {
  return endpoint ?? certificateId;
}

/** By the manner that was decided. */
function carryingOut(standpoint: Standpoint, { resolution }: KnownResolution): string[] {
  const { leads } = standpoint;
  const who = leads ? 'An operator of this instance' : `The operator of ${leadName(standpoint)}`;
  const { manner, entries, through } = resolution;
  switch (manner) {
    case 'expel':
      return [
        `${who} appends the peer list without the offender: that carries the resolution out.`,
      ];
    case 'replace':
      return [
        `${who}, or an application of it, appends what replaces ${entriesText(entries)}, or the ` +
          'present peer list to put nothing in the place: that carries the resolution out.',
      ];
    case 'replay':
    case 'set-aside':
      return replaying(standpoint, through.sequence);
    case 'take-back':
      return [takingBack(standpoint)];
    case 'close':
      return [
        'An operator of every instance closes the registry there; a new registry names its last ' +
          'entry as predecessor.',
      ];
  }
}

function takingBack({ isFilling, leads, awaited }: Standpoint): string {
  if ((awaited?.acceptances ?? []).length > 0)
    return 'The lead fetches what its peers hold, and all read it again.';
  return isFilling && leads
    ? 'Nothing, as long as all peers answer: this instance fetches what they hold. Whom it is ' +
        'not to wait for, the reason of another take-back names by certificate id.'
    : 'Nothing: it closes as soon as the lead has fetched what its peers hold.';
}

function replaying(standpoint: Standpoint, through: number): string[] {
  const { summary, awaited } = standpoint;
  const { confirmations = [], acceptances = [] } = awaited ?? {};
  const who = summary.kind === 'fork' ? 'every mirror' : 'whoever reported it';
  const missing = confirmations.length === 0 ? '' : ` Missing: ${confirmations.join(', ')}.`;
  const closes = `closes as soon as ${who} has confirmed entry ${through}.${missing}`;
  const steps = [...setAsideSteps(standpoint), ...givingBytes(standpoint)];
  if (steps.length === 0 && acceptances.length === 0) return [`Nothing: it ${closes}`];
  return [...steps, `Then it ${closes}`];
}

/** Here, and where others have to do it. */
function setAsideSteps({
  isOwnWrong,
  setAside,
  summary,
  awaited,
}: Omit<Standpoint, 'manners'>): string[] {
  const { setAsides = [], givingWay = [], ownBranch } = awaited ?? {};
  const steps: string[] = [];
  const own = setAside?.allowed === true ? setAside : undefined;
  const from = own === undefined ? '' : `from entry ${own.from} on (copy ${own.copy})`;
  const isFork = summary.kind === 'fork';
  if (own !== undefined && (isOwnWrong || (isFork && ownBranch === 'gives-way')))
    steps.push(
      `An operator of this instance sets its own copy aside ${from}; then the lead delivers again.`,
    );
  else if (own !== undefined && isFork && ownBranch === undefined)
    steps.push(
      'If this copy is not the branch that stays, an operator of this instance sets it aside ' +
        `${from}.`,
    );
  if (setAsides.length > 0)
    steps.push(`An operator there sets the copy of ${setAsides.join(', ')} aside.`);
  if (givingWay.length > 0)
    steps.push(
      `An operator there sets the copy of ${givingWay.join(', ')} aside: it held the branch that ` +
        'gives way.',
    );
  return steps;
}

function givingBytes({ summary, awaited }: Standpoint): string[] {
  const { confirmations = [], document } = awaited ?? {};
  if (summary.kind !== 'document-mismatch' || confirmations.length === 0) return [];
  const what =
    document === undefined
      ? 'the bytes'
      : `the bytes of ${document.documentId} version ${document.version} (SHA-256 ` +
        `${document.contentDigest})`;
  return [
    `Somebody gives ${what} to the instance that lacks them, with "registry give" and a profile ` +
      `of that instance: ${confirmations.join(', ')}.`,
  ];
}

function entriesText(entries: readonly { readonly sequence: number }[]): string {
  const names = entries.map(({ sequence }) => sequence).join(', ');
  return entries.length === 1 ? `entry ${names}` : `the entries ${names}`;
}
