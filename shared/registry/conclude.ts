import type { Link } from '../ledger/backlinks.ts';
import { leadOf, sameLink } from '../ledger/chain.ts';
import type { ConflictStatement } from '../ledger/conflict.ts';
import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import { payloadOf } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import type { SetAside } from '../ledger/resolution.ts';
import { allReports } from './kept-statements.ts';
import type { Clock, Head, LedgerStore, Signer } from './ports.ts';
import { tried } from './resolve.ts';
import { isBareWord, type OpenConflict, readStanding } from './standing.ts';

/**
 * Closing what a resolution has resolved without an entry of its own: a replay, by the mirror's
 * confirmation; a take-back, by the lead's whole copy and each mirror's acceptance (protocol
 * section 7). The bare word of a peer ends where that peer has left. Looked at whenever a
 * confirmation, a decision or a delivery arrives, and by the sweep: a crash anywhere leaves the
 * conflict open until the next look.
 */

export interface ConcludePorts {
  readonly store: LedgerStore;
  readonly signer: Signer;
  readonly clock: Clock;
}

type ReplayPorts = Omit<ConcludePorts, 'clock'>;

const ATTEMPTS_MAX = 8;

/** Closes every open conflict that is over. Returns the ids. */
export async function conclude(ports: ConcludePorts, registryId: RegistryId): Promise<Digest[]> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const head = await ports.store.head(registryId);
    if (head === undefined || head.openConflicts.length === 0) return [];
    const { open } = await readStanding(ports, head);
    const closed = await concludedAmong(ports, head, open);
    if (closed.size === 0) return [];
    const next = withoutConflicts(head, open, closed);
    const settlement = { registryId, expected: head, head: next, origin: 'received' } as const;
    const written = await tried(() => ports.store.settle(settlement));
    if (written === 'settled') return [...closed];
  }
  return [];
}

async function concludedAmong(
  ports: ConcludePorts,
  head: Head,
  open: readonly OpenConflict[],
): Promise<Set<Digest>> {
  const concluded = new Set<Digest>();
  for (const conflict of open)
    if (
      isDeserted(ports, conflict.said, head.configuration.peers) ||
      (await isConcluded(ports, head, conflict))
    )
      concluded.add(conflict.conflictId);
  return concluded;
}

/**
 * A bare word whose signer has left, by an entry that is stored here. A lead does not leave what it
 * says about itself.
 */
export function isDeserted(
  { signer }: Pick<ConcludePorts, 'signer'>,
  said: ConflictStatement,
  peers: readonly CertificateId[],
): boolean {
  if (!isBareWord(said.kind) || said.kind === 'lead-rollback') return false;
  return !signer.knownIds.includes(said.signer) && !peers.includes(said.signer);
}

/** The head without these; a resolution none of whose conflicts is left is in force no more. */
function withoutConflicts(
  head: Head,
  open: readonly OpenConflict[],
  closed: ReadonlySet<Digest>,
): Head {
  const left = open.filter(({ conflictId }) => !closed.has(conflictId));
  const { resolution, ...rest } = head;
  const stays = left.some((conflict) => conflict.resolution?.digest === resolution);
  return {
    ...rest,
    ...(resolution !== undefined && stays ? { resolution } : {}),
    conflictsVersion: head.conflictsVersion + 1,
    openConflicts: head.openConflicts.filter((conflictId) => !closed.has(conflictId)),
  };
}

/** Whether the resolution has come true for this conflict, as far as this instance can see. */
export async function isConcluded(
  ports: ConcludePorts,
  head: Head,
  conflict: OpenConflict,
): Promise<boolean> {
  const { resolution, awaitsAcceptance } = conflict;
  if (resolution === undefined || awaitsAcceptance) return false;
  switch (resolution.resolution.manner) {
    case 'replay':
    case 'set-aside':
      return isReplayed(ports, head, conflict, resolution.resolution.through);
    case 'take-back':
      return isTakenBack(ports, head);
    case 'expel':
    case 'replace':
    case 'close':
      return false;
  }
}

/** At the lead: the copy is whole, and every byte of it was read again. A mirror has accepted. */
async function isTakenBack({ store, signer }: ConcludePorts, head: Head): Promise<boolean> {
  if (head.filling !== undefined) return false;
  if (!signer.knownIds.includes(leadOf(head.configuration))) return true;
  const progress = await store.progress(head.registryId);
  if ((progress?.copy ?? 1) !== head.copy) return false;
  return (progress?.verifiedThrough ?? 0) >= head.sequence;
}

/**
 * This instance is where the lead was when it was decided, and so is, by its own signed word, every
 * mirror that reported it; of a fork every mirror, for none is known to be on the right branch.
 */
async function isReplayed(
  ports: ConcludePorts,
  head: Head,
  { conflictId, said }: OpenConflict,
  through: Link,
): Promise<boolean> {
  const range = { from: through.sequence, count: 1 };
  const [own] = await ports.store.entries(head.registryId, head.copy, range);
  if (!sameLink(own, through)) return false;
  return (await missingReplays(ports, head, { conflictId, said, through })).length === 0;
}

/** Whom a replay waits for: those of the mirrors concerned that have not confirmed it as they must. */
export async function missingReplays(
  ports: ReplayPorts,
  head: Head,
  { conflictId, said, through }: Omit<Replaying, 'mirror'>,
): Promise<CertificateId[]> {
  const { store } = ports;
  const mirrors = head.configuration.peers.slice(1);
  const reports = await allReports(store, head.registryId);
  const reporters = new Set(
    reports.filter((report) => report.conflictId === conflictId).map((each) => each.said.signer),
  );
  // The lead confirms nothing, and who has left has no say any more.
  const concerned = said.kind === 'fork' ? mirrors : mirrors.filter((peer) => reporters.has(peer));
  const missing: CertificateId[] = [];
  for (const mirror of concerned)
    if (!(await hasReplayed(ports, head, { conflictId, said, mirror, through })))
      missing.push(mirror);
  return missing;
}

interface Replaying {
  readonly conflictId: Digest;
  readonly said: ConflictStatement;
  readonly mirror: CertificateId;
  readonly through: Link;
}

/** Whether the mirror has confirmed it, in the copy that takes the place of a wrong one. */
async function hasReplayed(
  { store, signer }: ReplayPorts,
  head: Head,
  { conflictId, said, mirror, through }: Replaying,
): Promise<boolean> {
  const { registryId } = head;
  const aside = await setAsidesSince(store, registryId, { conflictId, mirror });
  if (said.kind === 'local-tampering' && said.accused === mirror && aside.length === 0)
    return false;
  const copyAtLeast = Math.max(1, ...aside.map(({ copy }) => copy));
  const copy = signer.knownIds.includes(mirror) ? head.copy : copyAtLeast;
  if (copy < copyAtLeast) return false;
  const found = await store.confirmations(registryId, mirror, through.sequence, limits.pageMax);
  const counted = found.filter((confirmation) => confirmation.copy >= copy);
  const places = [...new Set(counted.map(({ sequence }) => sequence as number))];
  // One of another branch, from before this copy began, says nothing about this one.
  const stored = await store.entriesAt(registryId, head.copy, places);
  return counted.some((confirmation) => stored.some((entry) => sameLink(entry, confirmation)));
}

/** Those of the mirror that name the conflict, since it last reported it: found again is not over. */
export async function setAsidesSince(
  store: LedgerStore,
  registryId: RegistryId,
  { conflictId, mirror }: Pick<Replaying, 'conflictId' | 'mirror'>,
): Promise<SetAside[]> {
  const reports = (await allReports(store, registryId)).filter(
    (report) => report.conflictId === conflictId && report.said.signer === mirror,
  );
  const last = reports.at(-1)?.recordedAt ?? '';
  const kept = await store.kept(registryId);
  return kept
    .filter(({ kind, recordedAt }) => kind === 'set-aside' && recordedAt >= last)
    .map(({ statement }) => payloadOf(statement) as SetAside)
    .filter(({ signer, conflicts }) => signer === mirror && conflicts.includes(conflictId));
}
