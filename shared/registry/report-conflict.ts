import { leadOf } from '../ledger/chain.ts';
import type { Checkpoint } from '../ledger/checkpoint.ts';
import {
  type ConflictKind,
  type ConflictStatement,
  conflictIdOf,
  conflictOf,
} from '../ledger/conflict.ts';
import type { CertificateId, Digest, Sequence } from '../ledger/digest.ts';
import { digestOf } from '../ledger/digest.ts';
import { type Evidence, encodeEvidence } from '../ledger/evidence.ts';
import { payloadOf, type ReadStatement } from '../ledger/jws.ts';
import type { OpenedConflict, Origin } from './conflict-record.ts';
import { tamperingEvidence } from './gather-evidence.ts';
import {
  allResolutions,
  type KnownResolution,
  keptStatement,
  recordedLast,
} from './kept-statements.ts';
import { knownHere } from './known-here.ts';
import { isNeverOpened } from './never-opened.ts';
import type { Alarms, BlobStore, Clock, Head, LedgerStore, Signer } from './ports.ts';
import { readStanding } from './standing.ts';

/**
 * Recording a disagreement, protocol section 7.
 *
 * 1. Keep the evidence by its digest.  A crash leaves bytes that nobody names.
 * 2. Sign the statement, and put it beside the head with its id in the open set and its place in
 *    the log of statements, in one write: from that write on nothing is appended or stored here,
 *    and every peer is told.  A crash before it leaves the registry as it was; the disagreement is
 *    found again with the next delivery.
 * 3. Raise the alarm.  A crash before it is made good by the metric of open conflicts.
 *
 * The same disagreement again is the same conflict. While a resolution is being tried it is a
 * report of its own, for all to see that the attempt failed.
 */

export interface ConflictPorts {
  readonly store: LedgerStore;
  readonly blobs: BlobStore;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly alarms: Alarms;
}

export interface Disagreement {
  readonly kind: ConflictKind;
  readonly sequence: number;
  readonly accused: CertificateId | 'open';
  /** What was signed or recorded, and what is there; one alone is what is there. */
  readonly digests: readonly Digest[];
  /** One digest alone is what was signed or recorded. */
  readonly isOfRecorded?: boolean;
  readonly evidence: Evidence;
  /** For the log line: what was wrong, in words. */
  readonly detail: string;
}

/** Something in this instance's own copy that is not what it was. */
export function ownTampering(
  { signer }: Pick<ConflictPorts, 'signer'>,
  registryId: Head['registryId'],
  sequence: number,
  detail: string,
): Disagreement {
  const evidence = tamperingEvidence(registryId, sequence, detail);
  const digests = [digestOf(encodeEvidence(evidence))];
  const accused = signer.certificateId;
  return { kind: 'local-tampering', accused, sequence, digests, evidence, detail };
}

/** Opens the conflict on the registry's head; the same one is opened once. Returns its id. */
export async function reportConflict(
  ports: ConflictPorts,
  registryId: Head['registryId'],
  disagreement: Disagreement,
): Promise<Digest> {
  const { blobs, signer, clock } = ports;
  const bytes = encodeEvidence(disagreement.evidence);
  const evidence = digestOf(bytes);
  await blobs.putEvidence(evidence, bytes);
  const now = new Date(clock.now()).toISOString();
  const statement = conflictOf({
    registryId,
    signer: signer.certificateId,
    kind: disagreement.kind,
    sequence: disagreement.sequence as Sequence,
    accused: disagreement.accused,
    digests: [...disagreement.digests],
    evidence: [evidence],
    detectedAt: now,
  });
  const conflictId = conflictIdOf(statement);
  const recordedAt = await recordedLast(ports, registryId);
  const conflict = { registryId, conflictId, statement: signer.sign(statement), recordedAt };
  if (statement.kind === 'fork' && (await isDecided(ports, registryId, conflictId)))
    return conflictId;
  const { detail } = disagreement;
  const seen = expectedAndFound(disagreement.digests, disagreement.isOfRecorded === true);
  const opened = await open(ports, conflict, { origin: 'own', detail, seen });
  if (opened === 'held') await reportAgain(ports, conflict, { origin: 'own', detail, seen });
  return conflictId;
}

/**
 * The same two branches of a fork meet wherever an old confirmation comes late, also at who joined
 * after people had decided on them: that is decided, and carried out.
 */
async function isDecided(
  ports: Pick<ConflictPorts, 'store' | 'signer'>,
  registryId: Head['registryId'],
  conflictId: Digest,
): Promise<boolean> {
  const head = await ports.store.head(registryId);
  if (head === undefined || head.openConflicts.includes(conflictId)) return false;
  const decided = (await allResolutions(ports.store, registryId)).filter(
    ({ digest, resolution }) =>
      resolution.conflicts.includes(conflictId) && head.decided?.includes(digest) !== true,
  );
  if (decided.length === 0) return false;
  return !(await isNeverOpened(ports, head, conflictId, decided));
}

/** For the log line, as far as these are digests. */
export interface ExpectedAndFound {
  /** What was signed or recorded. */
  readonly expected?: Digest;
  /** What is there. */
  readonly found?: Digest;
}

/** Of digests in this order; `isOfRecorded`: one alone is the first of them. */
export function expectedAndFound(
  digests: readonly Digest[],
  isOfRecorded: boolean,
): ExpectedAndFound {
  const [first, last] = [digests[0], digests.at(-1)];
  if (first === undefined || last === undefined) return {};
  if (digests.length > 1) return { expected: first, found: last };
  return isOfRecorded ? { expected: first } : { found: first };
}

export interface Opening {
  readonly origin: Origin;
  /** For the log line. */
  readonly detail: string;
  /** Of what another instance reports it is not known: the digests of a statement are sorted. */
  readonly seen?: ExpectedAndFound;
  /** Asked of the very head that is written: true, and nothing is opened. */
  readonly unless?: (head: Head) => Promise<boolean>;
}

/**
 * Puts a conflict into the open set and raises the alarm, whoever found it. `held`: it was recorded
 * before, open or not.
 */
export async function open(
  ports: Pick<ConflictPorts, 'store' | 'alarms'>,
  conflict: OpenedConflict,
  { origin, detail, seen, unless }: Opening,
): Promise<'opened' | 'held' | 'barred'> {
  const { store, alarms } = ports;
  const { registryId, conflictId } = conflict;
  let unknown = false;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const head = await headToBlock(store, registryId);
    if (head.closed === true) return keepReport(store, conflict, origin);
    if ((await unless?.(head)) === true) return 'barred';
    const outcome = await tryOpen(store, conflict, head, origin);
    unknown ||= outcome === 'unknown';
    if (outcome === 'lost-race' || outcome === 'unknown') continue;
    // Held after an unknown try: it was most likely this one that opened it, unheard.
    if (outcome === 'held' && !unknown) return 'held';
    raiseOpened(alarms, conflict, { detail, seen });
    return 'opened';
  }
  throw new Error(`the conflict ${conflictId} could not be recorded: the head keeps moving`);
}

async function headToBlock(store: LedgerStore, registryId: Head['registryId']): Promise<Head> {
  const head = await store.head(registryId);
  if (head === undefined) throw new Error(`no head of registry ${registryId} to block`);
  return head;
}

/** Nothing is left to block where the registry is closed: the report is kept all the same. */
async function keepReport(
  store: LedgerStore,
  { registryId, statement, recordedAt }: OpenedConflict,
  origin: Origin,
): Promise<'held'> {
  await store.keep(registryId, keptStatement('report', statement, { recordedAt }), origin);
  return 'held';
}

const ATTEMPTS_MAX = 20;

/** A rejected write is unknown: the next try finds out. */
async function tryOpen(
  store: LedgerStore,
  conflict: OpenedConflict,
  head: Head,
  origin: Origin,
): Promise<'opened' | 'held' | 'lost-race' | 'unknown'> {
  try {
    return await store.openConflict(conflict, head, origin);
  } catch {
    return 'unknown';
  }
}

/**
 * The same again. While a resolution is tried, the attempt has failed: that is told, once for each
 * resolution. If it was resolved before, it is open again.
 */
async function reportAgain(
  ports: ConflictPorts,
  conflict: OpenedConflict,
  opening: Opening,
): Promise<void> {
  const { registryId, conflictId, statement, recordedAt } = conflict;
  const head = await ports.store.head(registryId);
  const report = keptStatement('report', statement, { recordedAt });
  if (head === undefined || head.closed === true) return;
  if (!head.openConflicts.includes(conflictId)) {
    await reopen(ports, conflict, opening);
    return;
  }
  const { outcome, open: standing } = await readStanding(ports, head);
  const found = standing.find((each) => each.conflictId === conflictId);
  if (outcome !== 'resolving' || found?.resolution === undefined) return;
  const { said, resolution } = found;
  if (isForeseen(said, resolution)) return;
  const kept = await ports.store.kept(registryId);
  if (kept.some((each) => isOwnReportSince(each, conflict, resolution))) return;
  await ports.store.keep(registryId, report, 'own');
  const { detail, seen } = opening;
  raiseOpened(ports.alarms, conflict, {
    detail: `the resolution was tried, and failed: ${detail}`,
    seen,
  });
}

/** What was resolved has happened again: the same conflict, with a report of its own. */
export async function reopen(
  { store, alarms }: Pick<ConflictPorts, 'store' | 'alarms'>,
  conflict: OpenedConflict,
  { origin, detail, seen }: Opening,
): Promise<void> {
  const { registryId, conflictId, statement, recordedAt } = conflict;
  const kept = keptStatement('report', statement, { recordedAt });
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const expected = await store.head(registryId);
    if (expected === undefined || expected.openConflicts.includes(conflictId)) return;
    if (expected.closed === true) {
      await keepReport(store, conflict, origin);
      return;
    }
    const head = {
      ...expected,
      conflictsVersion: expected.conflictsVersion + 1,
      openConflicts: [...expected.openConflicts, conflictId],
    };
    const written = await store
      .settle({ registryId, expected, head, kept, origin })
      .catch(() => 'unknown' as const);
    if (written === 'settled')
      return raiseOpened(alarms, conflict, { detail: `again: ${detail}`, seen });
    if (written === 'held') return;
  }
  throw new Error(`the conflict ${conflictId} could not be recorded: the head keeps moving`);
}

/** Both branches of a fork meet until one has been replayed: that is what was decided about. */
function isForeseen(
  { kind, sequence, digests }: ConflictStatement,
  { resolution: { entries } }: KnownResolution,
): boolean {
  const named = entries.filter((link) => link.sequence === sequence).map(({ digest }) => digest);
  return kind === 'fork' && digests.every((digest) => named.includes(digest));
}

function isOwnReportSince(
  { kind, statement, recordedAt }: ReturnType<typeof keptStatement>,
  conflict: OpenedConflict,
  decided: { readonly recordedAt: string },
): boolean {
  if (kind !== 'report' || recordedAt < decided.recordedAt) return false;
  const said = payloadOf(statement) as ConflictStatement;
  const own = payloadOf(conflict.statement) as ConflictStatement;
  return conflictIdOf(said) === conflict.conflictId && said.signer === own.signer;
}

/**
 * A checkpoint that this instance itself signed, above its own head: what was released is not here
 * any more, so the table was restored (protocol section 5). Undefined: it is no such checkpoint, or
 * of a copy that is over.
 */
export async function reportRollback(
  ports: ConflictPorts,
  head: Head,
  { statement, compact }: ReadStatement<Checkpoint>,
): Promise<Digest | undefined> {
  const { signer, sequence, digest } = statement;
  if (sequence <= head.sequence || !ports.signer.knownIds.includes(signer)) return undefined;
  if (await isOver(ports, head, statement)) return undefined;
  const detail = `this instance signed entry ${sequence}, but holds only ${head.sequence} entries`;
  return reportRestored(ports, head, { sequence, digest, detail, checkpoint: compact });
}

/**
 * What it signed in a copy before the present one is known to be lost, and what stands in its place
 * is a fork once it is there. Only where a take-back has brought nothing new yet, what a peer comes
 * back with can still be taken back as well.
 */
async function isOver(
  { store, signer }: ConflictPorts,
  head: Head,
  { signer: lead, copy }: Checkpoint,
): Promise<boolean> {
  if (copy >= head.copy) return false;
  if (head.filling !== undefined || !signer.knownIds.includes(leadOf(head.configuration)))
    return true;
  const { takeBacks } = await knownHere(store, head);
  return takeBacks.some((each) => each.signer === lead && (each.copy ?? 0) > copy);
}

/** The table is not the one that the head was written in: it was restored from a backup. */
export async function reportTableChanged(ports: ConflictPorts, head: Head): Promise<Digest> {
  const { sequence, digest, tableId } = head;
  const detail =
    `the head at entry ${sequence} was written in the table ${tableId}, this is another: it was ` +
    'restored and may lack entries';
  return reportRestored(ports, head, { sequence, digest, detail });
}

interface Restored {
  readonly sequence: number;
  readonly digest: Digest;
  readonly detail: string;
  readonly checkpoint?: ReadStatement<Checkpoint>['compact'];
}

/** One restoration is one conflict, however many checkpoints show it. */
async function reportRestored(
  ports: ConflictPorts,
  head: Head,
  { sequence, digest, detail, checkpoint }: Restored,
): Promise<Digest> {
  const known = await openOfKind(ports.store, head, 'lead-rollback');
  if (known !== undefined) return known;
  const { registryId } = head;
  const at = { sequence: head.sequence, digest: head.digest };
  return reportConflict(ports, registryId, {
    kind: 'lead-rollback',
    sequence,
    accused: ports.signer.certificateId,
    digests: [digest],
    evidence: {
      format: 'registry/evidence/v1',
      kind: 'lead-rollback',
      registryId,
      sequence: sequence as Sequence,
      head: at,
      detail,
      ...(checkpoint === undefined ? {} : { checkpoint }),
    },
    detail,
  });
}

async function openOfKind(
  store: LedgerStore,
  { registryId, openConflicts }: Head,
  kind: ConflictKind,
): Promise<Digest | undefined> {
  if (openConflicts.length === 0) return undefined;
  const conflicts = await store.conflicts(registryId);
  return conflicts.find(
    ({ conflictId, statement }) =>
      openConflicts.includes(conflictId) &&
      (payloadOf(statement) as ConflictStatement).kind === kind,
  )?.conflictId;
}

function raiseOpened(
  alarms: Alarms,
  { registryId, conflictId, statement }: OpenedConflict,
  { detail, seen = {} }: { readonly detail: string; readonly seen?: ExpectedAndFound | undefined },
): void {
  const { kind, sequence, accused, digests, signer } = payloadOf(statement) as ConflictStatement;
  const place = { conflictId, registryId, kind, sequence, accused, signer };
  const facts = { ...place, digests: digests.join(' '), ...seen, detail };
  alarms.raise('ConflictsOpened', facts);
  alarms.raise('OpenConflicts', facts);
}
