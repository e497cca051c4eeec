import type { Digest, RegistryId } from '../ledger/digest.ts';
import { allReports, allSetAsides, type KnownReport } from './kept-statements.ts';
import type { Clock, Head, LedgerStore, Signer } from './ports.ts';
import { tried } from './resolve.ts';
import { type OpenConflict, readStanding } from './standing.ts';

/**
 * Closing what a resolution has resolved without an entry of its own: a replay, by the mirror's
 * confirmation; a take-back, by the lead's whole copy and each mirror's acceptance (protocol
 * section 7). Looked at whenever a confirmation or a decision arrives, and by the sweep: a crash
 * anywhere leaves the conflict open until the next look.
 */

export interface ConcludePorts {
  readonly store: LedgerStore;
  readonly signer: Signer;
  readonly clock: Clock;
}

const ATTEMPTS_MAX = 8;

/** Closes every open conflict whose resolution has come true. Returns the ids. */
export async function conclude(ports: ConcludePorts, registryId: RegistryId): Promise<Digest[]> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const head = await ports.store.head(registryId);
    if (head === undefined || head.openConflicts.length === 0) return [];
    const concluded = await concludedOf(ports, head);
    if (concluded.length === 0) return [];
    const next = withoutConflicts(head, new Set(concluded));
    const settlement = { registryId, expected: head, head: next, origin: 'received' } as const;
    const written = await tried(() => ports.store.settle(settlement));
    if (written === 'settled') return concluded;
  }
  return [];
}

/** The head without these; a resolution all of whose conflicts are closed is in force no more. */
export function withoutConflicts(head: Head, closed: ReadonlySet<Digest>): Head {
  const openConflicts = head.openConflicts.filter((id) => !closed.has(id));
  const { resolution, ...rest } = head;
  const ends = openConflicts.length === 0;
  return {
    ...rest,
    ...(resolution === undefined || ends ? {} : { resolution }),
    conflictsVersion: head.conflictsVersion + 1,
    openConflicts,
  };
}

async function concludedOf(ports: ConcludePorts, head: Head): Promise<Digest[]> {
  const { open } = await readStanding(ports, head);
  const concluded: Digest[] = [];
  for (const conflict of open)
    if (await isConcluded(ports, head, conflict)) concluded.push(conflict.conflictId);
  return concluded;
}

/** Whether the resolution has come true for this conflict, as far as this instance can see. */
export async function isConcluded(
  ports: ConcludePorts,
  head: Head,
  { conflictId, resolution, awaitsAcceptance }: OpenConflict,
): Promise<boolean> {
  if (resolution === undefined || awaitsAcceptance) return false;
  switch (resolution.resolution.manner) {
    case 'replay':
    case 'set-aside':
      return isReplayed(ports, head, conflictId, resolution.resolution.through.sequence);
    case 'take-back':
      return head.filling === undefined;
    case 'expel':
    case 'replace':
    case 'close':
      return false;
  }
}

/** Every mirror that reported it has confirmed what the lead had when it was decided. */
async function isReplayed(
  { store, signer }: ConcludePorts,
  head: Head,
  conflictId: Digest,
  through: number,
): Promise<boolean> {
  const all = await allReports(store, head.registryId);
  const reports = all.filter((report) => report.conflictId === conflictId);
  const reporters = new Map(reports.map((report) => [report.said.signer, report]));
  const setAsides = await allSetAsides(store, head.registryId);
  for (const [reporter, report] of reporters) {
    // The lead confirms nothing, and who left the list has no say any more.
    if (!head.configuration.peers.slice(1).includes(reporter)) continue;
    const aside = setAsides.filter(
      (each) => each.signer === reporter && each.conflicts.includes(conflictId),
    );
    const copyAtLeast = Math.max(1, ...aside.map(({ copy }) => copy));
    if (isOwnWord(report) && aside.length === 0) return false;
    const self = signer.knownIds.includes(reporter);
    const copy = self ? head.copy : copyAtLeast;
    if (copy < copyAtLeast) return false;
    if (!(await hasConfirmed(store, head.registryId, reporter, { through, copy }))) return false;
  }
  return true;
}

/** Its own copy was wrong: only another copy can be confirmed. */
function isOwnWord({ said }: KnownReport): boolean {
  return said.kind === 'local-tampering';
}

async function hasConfirmed(
  store: LedgerStore,
  registryId: RegistryId,
  peer: KnownReport['said']['signer'],
  { through, copy }: { readonly through: number; readonly copy: number },
): Promise<boolean> {
  const found = await store.confirmations(registryId, peer, through, PAGE);
  return found.some((confirmation) => confirmation.copy >= copy);
}

/** Confirmations at or after the place that are looked at: a new copy's come after the old ones. */
const PAGE = 100;
