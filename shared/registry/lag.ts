import { leadOf } from '../ledger/chain.ts';
import type { CertificateId } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { listBroughtBy } from './configuration-at.ts';
import type { Alarms, Clock, Confirmation, Cursor, Head, LedgerStore, Signer } from './ports.ts';

/**
 * How far the peers of the list in force are behind, as one instance knows it. Lagging is not a
 * conflict (protocol section 6): nothing is stopped, but nothing becomes final either.
 *
 * What counts is what a mirror has confirmed. It is held against the peer list, so that one that
 * never answered is a row too. Nothing is written here.
 */

export interface LagPorts {
  readonly store: LedgerStore;
  readonly signer: Signer;
  readonly clock: Clock;
}

export type LagState =
  /** Has confirmed all, or all but what is younger than a minute. */
  | 'in-step'
  /** Behind, but not for longer than half an hour without confirming anything. */
  | 'catching-up'
  /** Behind, and has confirmed nothing for half an hour; or a conflict has stopped it. */
  | 'stalled'
  /** Behind, and did not answer when it was called last. */
  | 'unreachable';

/** One peer of the list in force. */
export interface PeerLag {
  readonly peer: CertificateId;
  readonly role: 'lead' | 'mirror';
  readonly self: boolean;
  /** Of the lead only whether it can be reached: it confirms nothing. */
  readonly state: LagState;
  /** Entries up to the head that it has not confirmed; of a new mirror all. 0 for the lead. */
  readonly lagEntries: number;
  /** Whole seconds since the oldest of them was appended; of a new mirror since it was added. */
  readonly lagSeconds: number;
  /** The newest entry that it confirmed; absent: never, or it leads. */
  readonly confirmedThrough?: number;
  readonly deliveredThrough?: number;
  readonly failures: number;
  readonly nextAttemptAt?: string;
  readonly lastError?: string;
}

/** What was recorded a moment ago is on its way: nobody is late yet. */
const IN_STEP_MS_MAX = 60_000;
/** Twice what one turn of fetching documents may take: whoever is at work confirms within it. */
const STILL_MS_MAX = 1_800_000;

/** Every peer of the list in force, in its order; `cursors` are the registry's, read before. */
export async function peerLags(
  ports: LagPorts,
  head: Head,
  cursors?: readonly Cursor[],
): Promise<PeerLag[]> {
  const held = cursors ?? (await ports.store.cursors(head.registryId));
  const { peers } = head.configuration;
  return Promise.all(peers.map((peer) => lagOf(ports, head, peer, cursorOf(held, peer))));
}

/**
 * Measures who is not in step; whether all are.
 *
 * The lead measures every mirror, a mirror only itself. What a mirror holds of the others need not
 * be their fault: whoever catches up has old entries before it has the others' confirmations, and
 * would ring for those that are in step. So the lead's operator hears of each peer, a peer's own
 * operator of that peer, and nobody of a registry that this instance was taken off.
 */
export async function measureLags(
  ports: LagPorts & { readonly alarms: Alarms },
  head: Head,
  cursors: readonly Cursor[],
): Promise<'in-step' | 'behind'> {
  const { registryId, sequence, configuration } = head;
  const [lead, ...mirrors] = configuration.peers;
  const own = new Set<string | undefined>(ports.signer.knownIds);
  const measured = own.has(lead) ? mirrors : mirrors.filter((peer) => own.has(peer));
  const lags = await Promise.all(
    measured.map((peer) => lagOf(ports, head, peer, cursorOf(cursors, peer))),
  );
  const behind = lags.filter(({ state }) => state !== 'in-step');
  for (const { peer, state, lagEntries, lagSeconds } of behind) {
    const facts = { registryId, sequence, peer, state };
    ports.alarms.measure('PeerLagEntries', lagEntries, facts);
    ports.alarms.measure('PeerLagSeconds', lagSeconds, facts);
  }
  return behind.length === 0 ? 'in-step' : 'behind';
}

function cursorOf(cursors: readonly Cursor[], peer: CertificateId): Cursor | undefined {
  return cursors.find((cursor) => cursor.peer === peer);
}

async function lagOf(
  ports: LagPorts,
  head: Head,
  peer: CertificateId,
  cursor: Cursor | undefined,
): Promise<PeerLag> {
  const leads = peer === leadOf(head.configuration);
  const row = {
    peer,
    role: leads ? 'lead' : 'mirror',
    self: ports.signer.knownIds.includes(peer),
    ...servedBy(cursor),
  } as const;
  if (leads) return { ...row, state: reached(cursor), lagEntries: 0, lagSeconds: 0 };
  const newest = await ports.store.newestConfirmation(head.registryId, peer);
  const confirmed = newest === undefined ? {} : { confirmedThrough: newest.sequence };
  const gap = await gapOf(ports.store, head, peer, newest);
  if (gap === undefined)
    return { ...row, ...confirmed, state: 'in-step', lagEntries: 0, lagSeconds: 0 };
  // The lead's clock stamps entries; this one may be behind it.
  const lagMs = Math.max(0, ports.clock.now() - gap.sinceMs);
  return {
    ...row,
    ...confirmed,
    state: await stateOf(ports, head, { peer, cursor, newest, gap, lagMs }),
    lagEntries: head.sequence - gap.from + 1,
    lagSeconds: Math.floor(lagMs / 1000),
  };
}

function servedBy(cursor: Cursor | undefined) {
  const { deliveredThrough, failures = 0, nextAttemptAt, lastError } = cursor ?? {};
  return {
    failures,
    ...(deliveredThrough === undefined ? {} : { deliveredThrough }),
    ...(nextAttemptAt === undefined ? {} : { nextAttemptAt }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}

function reached(cursor: Cursor | undefined): LagState {
  return cursor?.lastFailure === 'unreachable' ? 'unreachable' : 'in-step';
}

/** What a mirror has not confirmed. */
interface Gap {
  /** The first such entry; the last is the head. */
  readonly from: number;
  /** When it was appended, or the mirror added, whichever came later. */
  readonly sinceMs: number;
}

/** Undefined: it has confirmed the head. Only for those behind is more read than what they confirmed. */
async function gapOf(
  store: LedgerStore,
  head: Head,
  peer: CertificateId,
  newest: Confirmation | undefined,
): Promise<Gap | undefined> {
  const open = (newest?.sequence ?? 0) + 1;
  if (open > head.sequence) return undefined;
  const joined = await tenureOf(store, head, peer, open);
  // What it appended itself, while it led, it never confirms.
  const from = joined.led ? Math.max(open, joined.sequence) : open;
  // Timestamps never go back: the later entry has the later one.
  const at = Math.max(from, joined.sequence);
  const timestamp = at === head.sequence ? undefined : (await readAt(store, head, at))?.timestamp;
  return { from, sinceMs: Date.parse(timestamp ?? head.timestamp) };
}

/** A mirror's membership without a break up to now. */
interface Tenure {
  /** The entry that made it a mirror, or one before the first entry that is asked about. */
  readonly sequence: number;
  /** It led until then. */
  readonly led: boolean;
}

/** Follows the peer lists back as far as `open`: nothing before it matters. */
async function tenureOf(
  store: LedgerStore,
  head: Head,
  peer: CertificateId,
  open: number,
): Promise<Tenure> {
  let sequence: number = head.configuration.sequence;
  if (sequence <= open) return { sequence, led: false };
  let list = await readAt(store, head, sequence);
  while (sequence > open && list?.previous !== undefined && list.previous < sequence) {
    const before = await readAt(store, head, list.previous);
    if (before === undefined) break;
    const place = before.peers.indexOf(peer);
    if (place < 1) return { sequence, led: place === 0 };
    sequence = list.previous;
    list = before;
  }
  return { sequence, led: false };
}

interface EntryThere {
  readonly timestamp: string;
  /** The entry that brought the list before. */
  readonly previous: number | undefined;
  /** The list that it brings; none: []. */
  readonly peers: readonly CertificateId[];
}

/** What cannot be read is the audit's to find: it must keep no peer from being shown. */
async function readAt(
  store: LedgerStore,
  { registryId, copy }: Head,
  sequence: number,
): Promise<EntryThere | undefined> {
  const [stored] = await store.entriesAt(registryId, copy, [sequence]);
  const read = stored === undefined ? undefined : readEntry(stored.entry);
  if (stored === undefined || read?.outcome !== 'read') return undefined;
  const { timestamp, configuration } = read.entry;
  const peers = listBroughtBy(stored)?.peers ?? [];
  return { timestamp, previous: configuration?.sequence, peers };
}

interface Behind {
  readonly peer: CertificateId;
  readonly cursor: Cursor | undefined;
  readonly newest: Confirmation | undefined;
  readonly gap: Gap;
  readonly lagMs: number;
}

async function stateOf(
  ports: LagPorts,
  head: Head,
  { peer, cursor, newest, gap, lagMs }: Behind,
): Promise<LagState> {
  if (lagMs < IN_STEP_MS_MAX) return 'in-step';
  if (cursor?.lastFailure === 'unreachable') return 'unreachable';
  if (cursor?.lastFailure === 'in-conflict') return 'stalled';
  const movedMs = newest === undefined ? 0 : Date.parse(newest.receivedAt);
  const stillMs = ports.clock.now() - Math.max(gap.sinceMs, movedMs);
  if (stillMs <= STILL_MS_MAX) return 'catching-up';
  return (await watchedLong(ports, head, peer, gap)) ? 'stalled' : 'catching-up';
}

/**
 * Whether this instance could have seen the confirmation long ago. A mirror that comes along itself
 * takes those of the others only up to its own head.
 */
async function watchedLong(
  { store, signer, clock }: LagPorts,
  { registryId, configuration }: Head,
  peer: CertificateId,
  { from }: Gap,
): Promise<boolean> {
  const own = signer.knownIds;
  if (own.includes(peer) || own.includes(leadOf(configuration))) return true;
  const self = signer.certificateId;
  const covering = await store.firstConfirmationCovering(registryId, self, from);
  return covering !== undefined && clock.now() - Date.parse(covering.receivedAt) > STILL_MS_MAX;
}
