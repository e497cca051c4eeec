import type { CertificateId } from '../ledger/digest.ts';
import type { Manner } from '../ledger/resolution-rules.ts';
import type { KnownResolution } from './kept-statements.ts';
import type { ConflictSummary, SetAsideChoice } from './read-conflicts.ts';

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
}

export function nextStep(standpoint: Standpoint): string {
  const { summary, inForce, closedAt, formerSince } = standpoint;
  if (closedAt !== undefined)
    return (
      `Nothing more happens here: this instance has closed the registry at entry ${closedAt}. ` +
      'A new registry names that entry as its predecessor.'
    );
  if (formerSince !== undefined) return asFormer(standpoint, formerSince);
  if (!summary.open && summary.contested !== true) return 'Nothing: it is resolved here.';
  if (inForce === undefined) return undecided(standpoint);
  if (summary.awaitsAcceptance)
    return (
      `An operator of this instance accepts the resolution ${inForce.digest} ` +
      `(${inForce.resolution.manner}), or closes the registry here: the lead is the accused.`
    );
  return carryingOut(standpoint, inForce);
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
  if (leads) return `An operator of this instance, which leads, decides: ${choice}.`;
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
  return `the lead ${lead.endpoint ?? lead.certificateId}`;
}

/** By the manner that was decided. */
function carryingOut(standpoint: Standpoint, { resolution }: KnownResolution): string {
  const { leads } = standpoint;
  const who = leads ? 'An operator of this instance' : `The operator of ${leadName(standpoint)}`;
  const { manner, entries, through } = resolution;
  switch (manner) {
    case 'expel':
      return `${who} appends the peer list without the offender: that carries the resolution out.`;
    case 'replace':
      return (
        `${who}, or an application of it, appends what replaces ${entriesText(entries)}, or the ` +
        'present peer list to put nothing in the place: that carries the resolution out.'
      );
    case 'replay':
    case 'set-aside':
      return replaying(standpoint, through.sequence);
    case 'take-back':
      return standpoint.isFilling && leads
        ? 'Nothing, as long as all peers answer: this instance fetches what they hold. Whom it is ' +
            'not to wait for, the reason of another take-back names by certificate id.'
        : 'Nothing: it closes as soon as the lead has fetched what its peers hold.';
    case 'close':
      return (
        'An operator of every instance closes the registry there; a new registry names its last ' +
        'entry as predecessor.'
      );
  }
}

function replaying({ isOwnWrong, setAside, summary }: Standpoint, through: number): string {
  if (setAside?.allowed === true && isOwnWrong)
    return (
      'An operator of this instance sets its own copy aside from entry ' +
      `${setAside.from} on (copy ${setAside.copy}); then the lead delivers again.`
    );
  const who = summary.kind === 'fork' ? 'every mirror' : 'whoever reported it';
  const waits = `it closes as soon as ${who} has confirmed entry ${through}.`;
  if (setAside?.allowed === true && summary.kind === 'fork')
    return (
      'Nothing, if this copy is the branch that stays; otherwise an operator of this instance sets ' +
      `it aside from entry ${setAside.from} on (copy ${setAside.copy}). Then ${waits}`
    );
  return `Nothing: ${waits}`;
}

function entriesText(entries: readonly { readonly sequence: number }[]): string {
  const names = entries.map(({ sequence }) => sequence).join(', ');
  return entries.length === 1 ? `entry ${names}` : `the entries ${names}`;
}
