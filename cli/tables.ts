/** Answers of an instance as lines for people. */
import type { EntryStatus } from './documents.ts';

/** Enough of a digest or an id to tell it from others. */
export function short(id: string): string {
  return id.slice(0, 8);
}

/** Who confirmed an entry, and when. */
export function confirmationLines({
  sequence,
  digest,
  status,
  confirmations,
}: EntryStatus): string[] {
  return [
    `entry ${sequence}, digest ${digest}: ${statusText(status)}`,
    ...confirmations.map(({ peer, role, confirmed }) => {
      const what =
        confirmed === undefined
          ? role === 'lead'
            ? 'recorded it'
            : 'has not confirmed'
          : `confirmed ${confirmed.confirmedAt} (through entry ${confirmed.sequence})`;
      return `  ${role.padEnd(6)} ${short(peer)}  ${what}`;
    }),
  ];
}

/** A status in words, as protocol section 6 has them. */
export function statusText(status: EntryStatus['status']): string {
  switch (status.status) {
    case 'confirmed':
      return `confirmed by ${status['by']} of ${status['of']}`;
    case 'final-since': {
      const without = status['without'] as readonly string[];
      const names = without.length === 0 ? '' : ` without ${without.map(short).join(', ')}`;
      return `final since ${status['since']}${names}`;
    }
    default:
      return status.status;
  }
}

interface RegistryAnswer {
  readonly registryId: string;
  readonly head: { readonly sequence: number; readonly digest: string; readonly timestamp: string };
  readonly openConflicts: readonly string[];
  readonly peers: readonly {
    readonly peer: string;
    readonly role: string;
    readonly self: boolean;
    readonly confirmedThrough?: number;
    readonly deliveredThrough?: number;
    readonly failures: number;
    readonly lastError?: string;
  }[];
}

/** A registry's head and its peers, as one instance knows them. */
export function registryLines(body: unknown): string[] {
  const { registryId, head, openConflicts, peers } = body as RegistryAnswer;
  return [
    `registry ${registryId}`,
    `head     entry ${head.sequence}, digest ${head.digest}, ${head.timestamp}`,
    openConflicts.length === 0
      ? 'conflicts none'
      : `STOPPED  by ${openConflicts.length} open conflict(s): ${openConflicts.join(', ')}`,
    ...peers.map(({ peer, role, self, confirmedThrough, deliveredThrough, failures, lastError }) =>
      [
        `  ${role.padEnd(6)} ${short(peer)}${self ? ' (this instance)' : ''}`,
        confirmedThrough === undefined ? '' : `confirmed through ${confirmedThrough}`,
        deliveredThrough === undefined ? '' : `delivered through ${deliveredThrough}`,
        failures === 0 ? '' : `failed ${failures} times, last: ${lastError}`,
      ]
        .filter((part) => part !== '')
        .join('  '),
    ),
  ];
}
