import { leadOf } from '../ledger/chain.ts';
import { confirmationOf } from '../ledger/confirmation.ts';
import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import type { Compact } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import { supersededKey } from '../ledger/state.ts';
import { readTransaction, type UploadDocument } from '../ledger/transaction.ts';
import { conclude } from './conclude.ts';
import { commitHolding, peersAround } from './configuration-at.ts';
import { findChangedStory, isOwnCopyDisputed } from './earlier-copies.ts';
import { type FetchPorts, fetchContent } from './fetch-content.ts';
import { generationOf, isHeld, isSound, setContentAside } from './held-content.ts';
import { hasLeft } from './newest-list.ts';
import { flawOfCheckpoint, flawOfRun } from './own-copy.ts';
import type { Confirmation, Head, LedgerStore, Progress, StoredEntry } from './ports.ts';
import { type ConflictPorts, ownTampering, reportConflict } from './report-conflict.ts';
import { type MissingBytes, reportMissing, uploadIn } from './report-missing.ts';

/**
 * Confirming at a mirror, protocol section 6: only what was stored, re-read, re-digested, and has
 * all its bytes in the own bucket.
 *
 * 1. Read on from what was verified before, a page at a time; re-digest entries, transactions and
 *    details, and follow the links.  What no longer is what it was opens a conflict on oneself.
 * 2. For each document version see that its bytes are held, or fetch them if that is allowed.
 * 3. Sign a confirmation of the last checkpointed head below the first thing missing, if the
 *    checkpoint stored with it is the lead's over the digest computed here.
 * 4. Store it with its place in the log of statements, in one write.  A crash before it loses
 *    nothing: the same is verified and signed again.
 * 5. Note how far it came.  A crash before it repeats the reading.
 */

export interface ConfirmPorts extends ConflictPorts, FetchPorts {}

export interface OwnConfirmation {
  readonly statement: Compact;
  readonly checkpoint: Compact;
}

export type ConfirmOutcome =
  | { readonly outcome: 'confirmed'; readonly confirmation: OwnConfirmation }
  /** Nothing new to confirm. */
  | { readonly outcome: 'nothing' }
  /** The bytes of this version are missing; asked for when fetching is allowed, in vain. */
  | { readonly outcome: 'bytes-missing'; readonly sequence: number; readonly reason: string }
  | { readonly outcome: 'tampered'; readonly detail: string };

export interface ConfirmBounds {
  /** Whether missing bytes may be fetched now. */
  readonly fetch: boolean;
  /** Entries to re-read in this call, at most. */
  readonly entriesMax: number;
}

/** Verifies on, and confirms what can be confirmed. */
export async function confirm(
  ports: ConfirmPorts,
  registryId: RegistryId,
  bounds: ConfirmBounds,
): Promise<ConfirmOutcome> {
  const head = await ports.store.head(registryId);
  if (head === undefined) return { outcome: 'nothing' };
  const progress = progressIn(head, await ports.store.progress(registryId));
  if (await isOwnCopyDisputed(ports, head)) return waitForSetAside(ports, progress);
  // An old poke does not ask again before the time has come.
  const fetch = bounds.fetch && !isParked(progress, ports.clock.now());
  const walk = await verifyOn(ports, head, progress, { ...bounds, fetch });
  if (walk.flaw !== undefined) return tampered(ports, head, progress, walk.flaw);
  const again = { from: progress.confirmedThrough + 1, through: walk.verifiedThrough };
  if (await findChangedStory(ports, head, again)) return { outcome: 'nothing' };
  const signed = await confirmHead(ports, head, walk.confirmable, progress);
  if (typeof signed === 'string')
    return tampered(ports, head, progress, { sequence: walk.verifiedThrough, detail: signed });
  await noteProgress(ports, progress, walk, signed !== undefined);
  await reportMissing(ports, head, progress, walk.missing);
  if (head.openConflicts.length > 0) await conclude(ports, registryId);
  if (signed !== undefined) return { outcome: 'confirmed', confirmation: signed };
  if (walk.missing !== undefined) return { outcome: 'bytes-missing', ...walk.missing };
  return { outcome: 'nothing' };
}

/** Nothing is signed over a copy that is known to be wrong. */
async function waitForSetAside(ports: ConfirmPorts, progress: Progress): Promise<ConfirmOutcome> {
  await lookLater(ports, progress, 'the own copy is in dispute: its operator has to set it aside');
  return { outcome: 'nothing' };
}

/** The next look comes in a while. */
async function lookLater(
  { store, clock }: ConfirmPorts,
  progress: Progress,
  lastError: string,
): Promise<void> {
  const failures = progress.failures + 1;
  const nextAttemptAt = nextAttempt(clock.now(), failures);
  await store.putProgress({ ...progress, failures, nextAttemptAt, lastError });
}

/** Signs what can be confirmed and is not yet; or the sentence that says what is wrong with it. */
async function confirmHead(
  ports: ConfirmPorts,
  head: Head,
  confirmable: Confirmable | undefined,
  progress: Progress,
): Promise<OwnConfirmation | string | undefined> {
  if (confirmable === undefined || confirmable.sequence <= progress.confirmedThrough)
    return undefined;
  const flaw = flawOfCheckpoint(head, confirmable);
  if (flaw !== undefined) return flaw;
  if (!(await isPeerThere(ports, head, confirmable))) return undefined;
  return signConfirmation(ports, head, confirmable);
}

/** How far this copy was re-read: what is known of another one says nothing. */
export function progressIn(
  { registryId, copy }: Pick<Head, 'registryId' | 'copy'>,
  stored: Progress | undefined,
): Progress {
  if (stored !== undefined && (stored.copy ?? 1) === copy) return stored;
  return { registryId, copy, verifiedThrough: 0, confirmedThrough: 0, failures: 0 };
}

/** A checkpointed entry up to which all is verified. */
type Confirmable = StoredEntry & { readonly checkpoint: Compact };

interface Walk {
  readonly verifiedThrough: number;
  readonly confirmable?: Confirmable;
  readonly missing?: MissingBytes;
  readonly flaw?: { readonly sequence: number; readonly detail: string };
}

async function verifyOn(
  ports: ConfirmPorts,
  head: Head,
  progress: Progress,
  bounds: ConfirmBounds,
): Promise<Walk> {
  const until = Math.min(head.sequence, progress.verifiedThrough + bounds.entriesMax);
  let previous = await entryAt(ports.store, head, progress.verifiedThrough);
  let walk: Walk = { verifiedThrough: progress.verifiedThrough };
  while (walk.verifiedThrough < until) {
    const from = walk.verifiedThrough + 1;
    const count = Math.min(limits.pageMax, until - walk.verifiedThrough);
    const run = await ports.store.entries(head.registryId, head.copy, { from, count });
    const flaw =
      run.length === 0
        ? { sequence: from, detail: `entry ${from} is missing` }
        : flawOfRun(run, previous);
    if (flaw !== undefined) return { ...walk, flaw };
    walk = await verifyBytes(ports, walk, run, { head, fetch: bounds.fetch });
    if (walk.missing !== undefined) return walk;
    previous = run.at(-1);
  }
  return walk;
}

/** Documents that are fetched at a time: each streams, none is held in memory. */
const FETCHES_MAX = 8;

/** Goes on over sound entries as far as their bytes are held. */
async function verifyBytes(
  ports: ConfirmPorts,
  before: Walk,
  run: readonly StoredEntry[],
  { head, fetch: mayFetch }: { readonly head: Head; readonly fetch: boolean },
): Promise<Walk> {
  const self = new Set(ports.signer.knownIds);
  let walk = before;
  // Asked for together: one after the other, the answers would take most of a catch-up.
  const width = mayFetch ? FETCHES_MAX : run.length;
  for (let from = 0; from < run.length; from += width) {
    const group = run.slice(from, from + width);
    const found = await askForBytes(ports, head, group, mayFetch);
    for (const [index, stored] of group.entries()) {
      const { sequence } = stored;
      const missing = found[index];
      if (missing !== undefined) return { ...walk, missing: { sequence, ...missing } };
      walk = {
        ...walk,
        verifiedThrough: sequence,
        ...(isConfirmable(stored, self) ? { confirmable: stored } : {}),
      };
    }
  }
  return walk;
}

/** What of each entry's bytes is missing; the same bytes are asked for once. */
function askForBytes(
  ports: ConfirmPorts,
  head: Head,
  group: readonly StoredEntry[],
  mayFetch: boolean,
): Promise<Awaited<ReturnType<typeof bytesMissing>>[]> {
  const asked = new Map<string, ReturnType<typeof bytesMissing>>();
  const answers = group.map((stored) => {
    const key = uploadIn(stored)?.contentDigest ?? String(stored.sequence);
    const answer = asked.get(key) ?? bytesMissing(ports, head, stored, mayFetch);
    asked.set(key, answer);
    return answer;
  });
  return Promise.all(answers);
}

async function entryAt(
  store: LedgerStore,
  head: Head,
  sequence: number,
): Promise<StoredEntry | undefined> {
  if (sequence === 0) return undefined;
  const [stored] = await store.entries(head.registryId, head.copy, { from: sequence, count: 1 });
  return stored;
}

/**
 * A commit's end, unless this instance itself led there and still leads after it: the lead does
 * not confirm to itself, but a promoted mirror and a lead that handed over both confirm the
 * hand-over (protocol section 6).
 */
function isConfirmable(
  stored: StoredEntry,
  self: ReadonlySet<CertificateId>,
): stored is Confirmable {
  if (stored.checkpoint === undefined) return false;
  const read = readEntry(stored.entry);
  if (read.outcome === 'refused') return false;
  const transaction = readTransaction(stored.transaction);
  const after =
    transaction.outcome === 'read' && 'peers' in transaction.transaction
      ? leadOf(transaction.transaction)
      : read.entry.lead;
  return !self.has(read.entry.lead) || !self.has(after);
}

/**
 * A joiner that is catching up has no say about the time before it was a peer, nor has a new key
 * about the time before the list named it: every receiver would refuse what it signs.
 */
async function isPeerThere(
  { store, signer }: ConfirmPorts,
  head: Head,
  { sequence }: Confirmable,
): Promise<boolean> {
  const peers = await peersAround(store, head, await commitHolding(store, head, sequence));
  return peers.has(signer.certificateId);
}

const NOT_FETCHED = 'not fetched yet';

/** In a copy that replaces a wrong one the bytes are read again, and wrong ones are left behind. */
async function isHere(ports: ConfirmPorts, head: Head, upload: UploadDocument): Promise<boolean> {
  if (!(await isHeld(ports.blobs, head, upload))) return false;
  if (head.copy === 1 || (await isSound(ports.blobs, head, upload))) return true;
  const { contentDigest } = upload;
  const wrong = generationOf(head, contentDigest);
  await setContentAside(ports.store, head.registryId, { contentDigest, wrong });
  return false;
}

async function bytesMissing(
  ports: ConfirmPorts,
  head: Head,
  stored: StoredEntry,
  mayFetch: boolean,
): Promise<Omit<MissingBytes, 'sequence'> | undefined> {
  const upload = uploadIn(stored);
  if (upload === undefined || (await isHere(ports, head, upload))) return undefined;
  const entry = readEntry(stored.entry);
  if (entry.outcome === 'refused') return { reason: entry.detail };
  const { registryId, lead, sequence } = entry.entry;
  if (!mayFetch) return { reason: NOT_FETCHED };
  const fetched = await fetchContent(ports, { registryId, lead, upload }, stored.sequence);
  if (fetched.outcome === 'held') return undefined;
  // Nobody requires the bytes of a version that people replaced before it was confirmed here.
  const mark = supersededKey(sequence);
  if ((await ports.store.read(registryId, [mark])).items.has(mark)) return undefined;
  const { reason, sources } = fetched;
  return { reason, sources };
}

async function signConfirmation(
  { store, signer, clock }: ConfirmPorts,
  head: Head,
  confirmable: Confirmable,
): Promise<OwnConfirmation | string> {
  const now = new Date(clock.now()).toISOString();
  const statement = signer.sign(
    confirmationOf({
      registryId: head.registryId,
      signer: signer.certificateId,
      sequence: confirmable.sequence,
      digest: confirmable.digest,
      copy: head.copy,
      confirmedAt: now,
    }),
  );
  const { checkpoint } = confirmable;
  const confirmation: Confirmation = {
    signer: signer.certificateId,
    sequence: confirmable.sequence,
    digest: confirmable.digest,
    copy: head.copy,
    confirmedAt: now,
    statement,
    checkpoint,
    receivedAt: now,
  };
  const outcome = await store.putConfirmation(head.registryId, confirmation, 'own');
  if (outcome === 'contradicts')
    return `entry ${confirmable.sequence} was confirmed here before with another digest`;
  if (outcome === 'stored') return { statement, checkpoint };
  // Somebody else of this instance was first: what is stored is what counts.
  const stored = await store.firstConfirmationCovering(
    head.registryId,
    signer.certificateId,
    confirmable.sequence,
  );
  return {
    statement: stored?.statement ?? statement,
    checkpoint: stored?.checkpoint ?? checkpoint,
  };
}

const BACKOFF_FIRST_MS = 2_000;
export const BACKOFF_MAX_MS = 300_000;

/** What is kept of a reason: others may have written it. */
export const REASON_CHARACTERS_MAX = 500;

/** When to try again after so many failures in a row: doubling, at most five minutes. */
export function nextAttempt(now: number, failures: number): string {
  const delay = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (failures - 1));
  return new Date(now + delay).toISOString();
}

/** Whether a failure says that its next attempt is still to come. */
export function isParked(
  failed: { readonly nextAttemptAt?: string } | undefined,
  now: number,
): boolean {
  return failed?.nextAttemptAt !== undefined && Date.parse(failed.nextAttemptAt) > now;
}

async function noteProgress(
  { store, clock, alarms }: ConfirmPorts,
  progress: Progress,
  { verifiedThrough, confirmable, missing }: Walk,
  signed: boolean,
): Promise<void> {
  const { registryId, copy = 1 } = progress;
  const confirmedThrough =
    (signed ? confirmable?.sequence : undefined) ?? progress.confirmedThrough;
  const failed = missing !== undefined && missing.reason !== NOT_FETCHED;
  if (!failed) {
    // Without having tried, a failed fetch stays as it was noted, with its next attempt.
    const same = verifiedThrough === progress.verifiedThrough;
    if (same && (missing !== undefined || progress.failures === 0)) return;
    await store.putProgress({ registryId, copy, verifiedThrough, confirmedThrough, failures: 0 });
    return;
  }
  const failures = progress.failures + 1;
  const { sequence, reason } = missing;
  alarms.raise('DocumentUnavailable', { registryId, sequence, reason, failures });
  const same = verifiedThrough === progress.verifiedThrough ? progress.missingSince : undefined;
  await store.putProgress({
    missingSince: same ?? new Date(clock.now()).toISOString(),
    copy,
    registryId,
    verifiedThrough,
    confirmedThrough,
    failures,
    nextAttemptAt: nextAttempt(clock.now(), failures),
    lastError: missing.reason.slice(0, REASON_CHARACTERS_MAX),
  });
}

/** Whoever is no peer any more stops nobody with it: its audit says it. */
async function tampered(
  ports: ConfirmPorts,
  head: Head,
  progress: Progress,
  { sequence, detail }: { readonly sequence: number; readonly detail: string },
): Promise<ConfirmOutcome> {
  const { registryId, copy } = head;
  // The same in another copy is another conflict.
  const where = copy === 1 ? detail : `copy ${copy}: ${detail}`;
  if (await hasLeft(ports, head))
    await lookLater(
      ports,
      progress,
      `the own copy is wrong: ${detail}`.slice(0, REASON_CHARACTERS_MAX),
    );
  else await reportConflict(ports, registryId, ownTampering(ports, registryId, sequence, where));
  return { outcome: 'tampered', detail };
}
