import { leadOf, sameLink } from '../ledger/chain.ts';
import type { ConflictStatement } from '../ledger/conflict.ts';
import { readCountersigned } from '../ledger/countersigned.ts';
import type { CertificateId, Digest, RegistryId } from '../ledger/digest.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { type Compact, payloadOf, readDecision } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import { type Resolution, resolutionSchema } from '../ledger/resolution.ts';
import { checkResolution } from '../ledger/resolution-rules.ts';
import { supersededKey } from '../ledger/state.ts';
import type { KeptStatement } from './conflict-record.ts';
import {
  allReports,
  type KnownResolution,
  keptStatement,
  recordedLast,
} from './kept-statements.ts';
import { beginCopy, type NewCopyPorts } from './new-copy.ts';
import type { Clock, Head, LedgerStore, Signer } from './ports.ts';
import { resolutionsInForce } from './standing.ts';

/**
 * An operator of the lead decides how open conflicts are resolved: protocol section 7.
 *
 * 1. Read the operator's signature, and hold what it says against the head and the conflicts.
 *    Nothing is touched.
 * 2. Sign the same payload.
 * 3. Keep both signatures, put the resolution in force on the head, and give it its place in the
 *    log, in one write: of two operators one is first.  A crash before it leaves nothing; after it
 *    a repetition is answered with what is there.
 *
 * Nothing is carried out here: the entry that does names the resolution.
 */

export interface ResolvePorts {
  readonly store: LedgerStore;
  readonly signer: Signer;
  readonly clock: Clock;
}

/** A take-back begins a new copy, for which entry 1 may have to be asked for. */
export type DecidePorts = ResolvePorts & NewCopyPorts;

/** What an operator, who is the caller, decided, signed with their own key. */
export interface Order {
  readonly operator: CertificateId;
  /** JWS compact over the statement's payload. */
  readonly decision: string;
}

export type ResolveOutcome =
  | { readonly outcome: 'decided' | 'held'; readonly resolution: KnownResolution }
  /** Another decision is in force; to end it, name it in `after`. */
  | { readonly outcome: 'in-force'; readonly resolution: KnownResolution }
  | { readonly outcome: 'not-lead'; readonly lead: CertificateId }
  | { readonly outcome: 'unknown-registry' }
  | { readonly outcome: 'busy' }
  | Refused;

const ATTEMPTS_MAX = 8;

/** Puts a resolution in force, or says why not. */
export async function resolve(
  ports: DecidePorts,
  registryId: RegistryId,
  order: Order,
): Promise<ResolveOutcome> {
  const decided = readDecision(order.decision, resolutionSchema);
  if (decided.outcome === 'refused') return decided;
  const { statement: resolution, digest, compact } = decided;
  const foreign = flawOfOrder(ports.signer, registryId, order, resolution);
  if (foreign !== undefined) return foreign;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const outcome = await attemptResolve(ports, resolution, [digest, compact]);
    if (outcome !== 'again') return outcome;
  }
  return { outcome: 'busy' };
}

/** Whose decision it is, for which instance and registry. */
export function flawOfOrder(
  { certificateId }: Signer,
  registryId: RegistryId,
  { operator }: Order,
  statement: {
    readonly registryId: Digest;
    readonly decidedBy: CertificateId;
    readonly signer: CertificateId;
    readonly reason: string;
  },
): Refused | undefined {
  if (statement.registryId !== registryId)
    return refuse('STATEMENT_REGISTRY_DIFFERS', `is about the registry ${statement.registryId}`);
  if (statement.decidedBy === operator && statement.signer === certificateId)
    return flawOfReason(statement);
  return refuse(
    'DECISION_DIFFERS',
    `is decided by ${statement.decidedBy} for the instance ${statement.signer}; expected ` +
      `decidedBy ${operator}, who calls, and signer ${certificateId}, this instance`,
  );
}

/** Of what is decided now: a statement that was signed before is verified as it is. */
export function flawOfReason({ reason }: { readonly reason: string }): Refused | undefined {
  if (reason.trim() !== '') return undefined;
  return refuse('SCHEMA_VIOLATION', 'reason: is empty; it is kept for ever, so say in it why');
}

async function attemptResolve(
  ports: DecidePorts,
  resolution: Resolution,
  [digest, decision]: readonly [Digest, Compact],
): Promise<ResolveOutcome | 'again'> {
  const { store, signer } = ports;
  const { registryId } = resolution;
  const head = await store.head(registryId);
  if (head === undefined) return { outcome: 'unknown-registry' };
  const lead = leadOf(head.configuration);
  if (!signer.knownIds.includes(lead)) return { outcome: 'not-lead', lead };
  if (head.closed === true)
    return refuse('REGISTRY_CLOSED', 'this instance has closed the registry: it stays as it is');
  const held = await heldResolution(store, registryId, digest);
  if (held !== undefined) return { outcome: 'held', resolution: held };
  const inForce = await inForceAtLead(store, head);
  if (inForce !== undefined && resolution.after !== inForce.digest)
    return { outcome: 'in-force', resolution: inForce };
  const flaw = await flawOfResolution(store, head, resolution, inForce);
  if (flaw !== undefined) return flaw;
  await relayReports(ports, resolution);
  const statement = signer.sign(resolution);
  const recordedAt = await recordedLast(ports, registryId);
  const kept = keptStatement('resolution', statement, { recordedAt, decision });
  const written = await putInForce(ports, head, [resolution, kept]);
  if (written !== 'settled') return written;
  return {
    outcome: 'decided',
    resolution: { digest, resolution, statement, decision, recordedAt },
  };
}

/** On the head, with its place in the log; a take-back together with the copy that it begins. */
async function putInForce(
  ports: DecidePorts,
  head: Head,
  [{ registryId, manner }, kept]: readonly [Resolution, KeptStatement],
): Promise<'settled' | 'again' | Refused> {
  const { digest } = kept;
  if (manner === 'take-back') {
    const through = Number.MAX_SAFE_INTEGER;
    const begun = await tried(() => beginCopy(ports, head, { kept, through, resolution: digest }));
    if (begun === 'unknown' || begun.outcome === 'lost-race') return 'again';
    if (begun.outcome === 'begun') return 'settled';
    return refuse(
      'ENTRY_NOT_HELD',
      'neither this copy nor any peer that answers has entry 1 as it was: start a peer first',
    );
  }
  const next = withResolution(head, digest);
  const settlement = { registryId, expected: head, head: next, kept, origin: 'own' } as const;
  const written = await tried(() => ports.store.settle(settlement));
  return written === 'settled' ? 'settled' : 'again';
}

/** The one in force, until it is carried out or what it names is closed. */
async function inForceAtLead(store: LedgerStore, head: Head): Promise<KnownResolution | undefined> {
  if (head.resolution === undefined) return undefined;
  const inForce = await resolutionsInForce(store, head);
  return inForce.find(({ digest }) => digest === head.resolution);
}

/** Who found a conflict may not reach everybody: the lead brings what its resolution is about. */
async function relayReports(
  { store, signer, clock }: ResolvePorts,
  { registryId, conflicts }: Resolution,
): Promise<void> {
  const recordedAt = new Date(clock.now()).toISOString();
  for (const { conflictId, statement } of await store.conflicts(registryId)) {
    const { signer: finder } = payloadOf(statement) as ConflictStatement;
    if (!conflicts.includes(conflictId) || signer.knownIds.includes(finder)) continue;
    await store.keep(registryId, keptStatement('report', statement, { recordedAt }), 'own');
  }
}

/** A rejected write is unknown: the next attempt reads what is there. */
export async function tried<T>(write: () => Promise<T>): Promise<T | 'unknown'> {
  try {
    return await write();
  } catch {
    return 'unknown';
  }
}

/** The head with the resolution in force, to be named by the next entry. */
export function withResolution(head: Head, digest: Digest): Head {
  return {
    ...head,
    conflictsVersion: head.conflictsVersion + 1,
    resolution: digest,
    decided: [...(head.decided ?? []), digest],
  };
}

async function heldResolution(
  store: LedgerStore,
  registryId: RegistryId,
  digest: Digest,
): Promise<KnownResolution | undefined> {
  const kept = await store.kept(registryId);
  const found = kept.find((each) => each.kind === 'resolution' && each.digest === digest);
  if (found?.decision === undefined) return undefined;
  const read = readCountersigned(
    { statement: found.statement, decision: found.decision },
    resolutionSchema,
  );
  if (read.outcome === 'refused')
    throw new Error(`the resolution ${digest} was damaged where it is stored: ${read.detail}`);
  const { statement, decision, recordedAt } = found;
  return { digest, resolution: read.statement, statement, decision, recordedAt };
}

/** Whether the decision fits the conflicts, the head and the entries that it names. */
async function flawOfResolution(
  store: LedgerStore,
  head: Head,
  resolution: Resolution,
  inForce: KnownResolution | undefined,
): Promise<Refused | undefined> {
  const conflicts = await namedConflicts(store, head, resolution);
  if ('outcome' in conflicts) return conflicts;
  if (!sameLink(resolution.through, head))
    return refuse(
      'RESOLUTION_OUTDATED',
      `was decided at entry ${resolution.through.sequence} (${resolution.through.digest}); the ` +
        `head is entry ${head.sequence} (${head.digest}): look at it, and decide again`,
    );
  if (resolution.after !== undefined && inForce === undefined)
    return refuse(
      'RESOLUTION_OUTDATED',
      `after names ${resolution.after}, which is not in force: leave it out`,
    );
  const unfit =
    checkResolution(resolution, conflicts, leadOf(head.configuration)) ??
    flawOfBranches(resolution, conflicts);
  if (unfit !== undefined) return unfit;
  return resolution.manner === 'replace' ? flawOfReplaced(store, head, resolution) : undefined;
}

/** Whoever holds the other branch has confirmed it: only a decision about both lets it give way. */
function flawOfBranches(
  { manner, entries }: Resolution,
  conflicts: readonly ConflictStatement[],
): Refused | undefined {
  if (manner !== 'replay') return undefined;
  const lacking = conflicts.find(
    ({ kind, sequence }) => kind === 'fork' && !entries.some((link) => link.sequence === sequence),
  );
  if (lacking === undefined) return undefined;
  return refuse(
    'RESOLUTION_MALFORMED',
    `a fork is replayed on one of its branches: name both in entries, ${lacking.digests
      .map((digest) => `entry ${lacking.sequence} with ${digest}`)
      .join(' and ')}`,
  );
}

async function namedConflicts(
  store: LedgerStore,
  head: Head,
  resolution: Resolution,
): Promise<ConflictStatement[] | Refused> {
  const reports = await allReports(store, head.registryId);
  const found: ConflictStatement[] = [];
  for (const named of resolution.conflicts) {
    const report = reports.find(({ conflictId }) => conflictId === named);
    if (report === undefined)
      return refuse('CONFLICT_UNKNOWN', `no conflict ${named} is recorded here`);
    if (!(await isOpenOrContested(store, head, report.conflictId)))
      return refuse('CONFLICT_NOT_OPEN', `the conflict ${named} was resolved before`);
    found.push(report.said);
  }
  return found;
}

/**
 * A claim against this lead that did not reproduce here is kept without blocking; its finder is
 * stopped all the same, and somebody has to decide.
 */
async function isOpenOrContested(
  store: LedgerStore,
  head: Head,
  conflictId: Digest,
): Promise<boolean> {
  if (head.openConflicts.includes(conflictId)) return true;
  const opened = await store.conflicts(head.registryId);
  return !opened.some((conflict) => conflict.conflictId === conflictId);
}

/** Each of the entries must be here, and none is replaced twice. */
async function flawOfReplaced(
  store: LedgerStore,
  { registryId, copy }: Head,
  { entries }: Resolution,
): Promise<Refused | undefined> {
  if (entries.length > limits.replacedEntriesMax)
    return refuse(
      'TOO_LARGE',
      `replaces ${entries.length} entries; at most ${limits.replacedEntriesMax} at a time: decide ` +
        'on the others with a further resolution',
    );
  const sequences = entries.map(({ sequence }) => sequence as number);
  const stored = await store.entriesAt(registryId, copy, sequences);
  const missing = entries.find((link) => !stored.some((each) => sameLink(each, link)));
  if (missing === undefined) return flawOfMarks(store, registryId, sequences);
  return refuse(
    'ENTRY_NOT_HELD',
    `entry ${missing.sequence} with ${missing.digest} is not in this ledger: name the entry as it ` +
      'is here',
  );
}

async function flawOfMarks(
  store: LedgerStore,
  registryId: RegistryId,
  sequences: readonly number[],
): Promise<Refused | undefined> {
  const { items } = await store.read(registryId, sequences.map(supersededKey));
  const again = sequences.find((sequence) => items.has(supersededKey(sequence)));
  if (again === undefined) return undefined;
  return refuse('ALREADY_SUPERSEDED', `entry ${again} was replaced before: leave it out`);
}
