import { type ConflictStatement, conflictIdOf } from './conflict.ts';
import type { CertificateId } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import type { Resolution } from './resolution.ts';
import type { Transaction } from './transaction.ts';

/** What may carry a resolution out, although the registry is blocked: protocol section 7. */

/** What the entries that are to carry it out are held against. */
export interface CarryingOut {
  readonly resolution: Pick<Resolution, 'manner'>;
  /** Every report that is known of the conflicts it names. */
  readonly reports: readonly ConflictStatement[];
  /** The list in force before; the first leads. */
  readonly peers: readonly CertificateId[];
}

/**
 * Whether the transactions of one commit carry the resolution out; anything else is refused. Who
 * knows more reports accepts no less, so a mirror that knows all that the lead knows agrees with it.
 */
export function checkCarriesOut(
  given: CarryingOut,
  transactions: readonly Transaction[],
): Refused | undefined {
  switch (given.resolution.manner) {
    case 'expel':
      return checkExpels(given, transactions);
    case 'replace':
      return checkReplaces(given, transactions);
    case 'replay':
    case 'set-aside':
    case 'take-back':
    case 'close':
      return undefined;
  }
}

function checkExpels(
  { reports, peers }: CarryingOut,
  transactions: readonly Transaction[],
): Refused | undefined {
  const [transaction] = transactions;
  if (transactions.length !== 1 || transaction?.type !== 'reconfigure-peers')
    return unfit('expel is carried out by one reconfigure-peers without the offender');
  const kept = new Set<CertificateId>(transaction.peers);
  const removed = peers.filter((peer) => !kept.has(peer));
  const added = transaction.peers.filter((peer) => !peers.includes(peer));
  if (transaction.peers[0] !== peers[0] || added.length > 0)
    return unfit('a peer list that expels keeps its lead and adds nobody: expel first, add later');
  const offenders = new Set(reports.flatMap((report) => offendersOf(report, peers)));
  const innocent = removed.find((peer) => !offenders.has(peer));
  if (innocent !== undefined)
    return unfit(`${innocent} is neither accused nor a finder of what is resolved: leave it in`);
  for (const about of byConflict(reports)) {
    const possible = [...new Set(about.flatMap((report) => offendersOf(report, peers)))];
    if (possible.length === 0 || possible.some((peer) => removed.includes(peer))) continue;
    const { kind, sequence } = about[0] as ConflictStatement;
    return unfit(
      `the new list leaves in whoever the ${kind} at entry ${sequence} is about: ` +
        possible.join(' or '),
    );
  }
  return undefined;
}

/** Several may have reported the same: one of them gone is enough. */
function byConflict(reports: readonly ConflictStatement[]): Iterable<ConflictStatement[]> {
  const groups = new Map<string, ConflictStatement[]>();
  for (const report of reports) {
    const conflictId = conflictIdOf(report);
    groups.set(conflictId, [...(groups.get(conflictId) ?? []), report]);
  }
  return groups.values();
}

/**
 * Who of the list the conflict can be ended by expelling: the accused, or who reported it. Of a fork
 * it may be any mirror: who holds the other branch need not have reported anything, or answer.
 */
function offendersOf(
  { kind, accused, signer }: ConflictStatement,
  [lead, ...mirrors]: readonly CertificateId[],
): readonly CertificateId[] {
  if (kind === 'fork') return mirrors;
  const possible = new Set<string>([accused, signer]);
  return mirrors.filter((peer) => peer !== lead && possible.has(peer));
}

function checkReplaces(
  { peers }: CarryingOut,
  transactions: readonly Transaction[],
): Refused | undefined {
  const foreign = transactions.find((transaction) => {
    if ('supersedes' in transaction && transaction.supersedes !== undefined) return false;
    const same =
      transaction.type === 'reconfigure-peers' && transaction.peers.join() === peers.join();
    return !same;
  });
  if (foreign === undefined) return undefined;
  return unfit(
    `replace is carried out by transactions that say which entry each supersedes; ${foreign.type} ` +
      'does not. To void without an alternative send a reconfigure-peers with the present list',
  );
}

function unfit(detail: string): Refused {
  return refuse('NOT_RESOLVING', detail);
}
