import { leadOf, sameLink } from '../ledger/chain.ts';
import type { ConflictStatement } from '../ledger/conflict.ts';
import type { Digest, RegistryId } from '../ledger/digest.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { type Compact, payloadOf, readDecision } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import { type SetAside, setAsideSchema } from '../ledger/resolution.ts';
import type { KeptStatement } from './conflict-record.ts';
import { allReports, keptStatement, recordedLast } from './kept-statements.ts';
import { beginCopy, isAboutStored, type NewCopyPorts } from './new-copy.ts';
import { hasLeft } from './newest-list.ts';
import type { Head, LedgerStore, Signer, StoredEntry } from './ports.ts';
import { flawOfOrder, type Order } from './resolve.ts';
import { type OpenConflict, resolutionsInForce, statedConflicts } from './standing.ts';

/**
 * An operator sets the divergent entries of the mirror's own copy aside: protocol section 7.
 *
 * 1. Read the operator's signature; hold it against the open conflicts and the copy.  Nothing is
 *    touched.
 * 2. Sign the same payload, and begin the next copy with it, in one write (`new-copy.ts`).
 *
 * Nothing is deleted: what is set aside is evidence.
 */

export type SetAsideOutcome =
  | { readonly outcome: 'set-aside' | 'held'; readonly kept: KeptStatement }
  | { readonly outcome: 'unknown-registry' }
  | { readonly outcome: 'busy' }
  | Refused;

const ATTEMPTS_MAX = 8;

export async function setAside(
  ports: NewCopyPorts,
  registryId: RegistryId,
  order: Order,
): Promise<SetAsideOutcome> {
  const decided = readDecision(order.decision, setAsideSchema);
  if (decided.outcome === 'refused') return decided;
  const { statement, digest, compact } = decided;
  const foreign = flawOfOrder(ports.signer, registryId, order, statement);
  if (foreign !== undefined) return foreign;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const outcome = await attemptSetAside(ports, statement, [digest, compact]);
    if (outcome !== 'again') return outcome;
  }
  return { outcome: 'busy' };
}

async function attemptSetAside(
  ports: NewCopyPorts,
  statement: SetAside,
  [digest, decision]: readonly [Digest, Compact],
): Promise<SetAsideOutcome | 'again'> {
  const { registryId } = statement;
  const head = await ports.store.head(registryId);
  if (head === undefined) return { outcome: 'unknown-registry' };
  const held = await heldSetAside(ports.store, registryId, digest);
  if (held !== undefined) return { outcome: 'held', kept: held };
  const flaw = await flawOfSetAside(ports, head, statement);
  if (flaw !== undefined) return flaw;
  const recordedAt = await recordedLast(ports, registryId);
  const kept = keptStatement('set-aside', ports.signer.sign(statement), { recordedAt, decision });
  const begun = await beginCopy(ports, head, { kept, through: statement.from - 1 });
  switch (begun.outcome) {
    case 'begun':
      return { outcome: 'set-aside', kept };
    case 'lost-race':
      return 'again';
    case 'no-first-commit':
      return refuse(
        'SET_ASIDE_NOT_ALLOWED',
        'neither this copy nor any peer that answers has entry 1 as it was: start a peer first',
      );
  }
}

async function heldSetAside(
  store: LedgerStore,
  registryId: RegistryId,
  digest: Digest,
): Promise<KeptStatement | undefined> {
  const kept = await store.kept(registryId);
  return kept.find((each) => each.kind === 'set-aside' && each.digest === digest);
}

/** Whether there is something to set aside here, and from where on. */
async function flawOfSetAside(
  { store, signer }: NewCopyPorts,
  head: Head,
  { conflicts, copy, from }: SetAside,
): Promise<Refused | undefined> {
  const barred = await flawOfInstance({ store, signer }, head);
  if (barred !== undefined) return barred;
  if (copy !== head.copy + 1)
    return no(`names the copy ${copy}; the next one here is ${head.copy + 1}`);
  const open = await statedConflicts(store, head);
  for (const conflictId of conflicts) {
    const found = open.find((each) => each.conflictId === conflictId);
    if (found === undefined)
      return refuse('CONFLICT_NOT_OPEN', `the conflict ${conflictId} is not open here`);
    if (!isAboutOwn(found.said, signer))
      return no(
        `a ${found.said.kind} accusing ${found.said.accused} is not about this instance's own copy`,
      );
  }
  const named = open.filter(({ conflictId }) => conflicts.includes(conflictId));
  const needless = await needlessAmong({ store, signer }, head, named, from);
  if (needless !== undefined) return no(needless);
  const latest = await latestFrom({ store, signer }, head, named);
  if (from <= latest) return undefined;
  return no(
    `begins at entry ${from}; what is signed supports this copy through entry ${latest - 1}, so ` +
      `that the new one begins at entry ${latest} or before`,
  );
}

async function needlessAmong(
  ports: Pick<NewCopyPorts, 'store' | 'signer'>,
  head: Head,
  named: readonly Pick<OpenConflict, 'conflictId' | 'said'>[],
  from: number,
): Promise<string | undefined> {
  for (const conflict of named) {
    const reason = await whyNotAside(ports, head, conflict, from);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/**
 * Why the present copy is not to be set aside for this conflict, from that entry on: it is what the
 * decision keeps, or it was begun for this very conflict and nothing was found in it since.
 */
export async function whyNotAside(
  { store, signer }: Pick<NewCopyPorts, 'store' | 'signer'>,
  head: Head,
  { conflictId, said }: Pick<OpenConflict, 'conflictId' | 'said'>,
  from: number,
): Promise<string | undefined> {
  const begun = await presentSetAside({ store, signer }, head, conflictId);
  if (begun !== undefined && begun.from <= from)
    return (
      `copy ${begun.copy} of this instance was begun for the conflict ${conflictId}, at entry ` +
      `${begun.from}, and nothing was found in it since: nothing more is to be set aside`
    );
  if (said.kind !== 'fork') return undefined;
  const { resolution } =
    (await resolutionsInForce(store, head)).findLast((each) =>
      each.resolution.conflicts.includes(conflictId),
    ) ?? {};
  if (resolution === undefined)
    return (
      `which branch of the fork at entry ${said.sequence} stays is not decided yet: wait for the ` +
      'resolution'
    );
  const { sequence, digest } = resolution.through;
  const held = await readable(store.entriesAt(head.registryId, head.copy, [sequence]));
  if (!held.some((each) => sameLink(each, { sequence, digest }))) return undefined;
  return (
    `this copy holds entry ${sequence} with ${digest}, up to which the resolution keeps the ledger: ` +
    'it is the branch that stays'
  );
}

/** The set-aside that began the present copy for it, unless this instance has reported it since. */
async function presentSetAside(
  { store, signer: { knownIds } }: Pick<NewCopyPorts, 'store' | 'signer'>,
  { registryId, copy }: Head,
  conflictId: Digest,
): Promise<SetAside | undefined> {
  const reports = (await allReports(store, registryId)).filter(
    (report) => report.conflictId === conflictId && knownIds.includes(report.said.signer),
  );
  const last = reports.at(-1)?.recordedAt ?? '';
  const kept = await store.kept(registryId);
  return kept
    .filter(({ kind, recordedAt }) => kind === 'set-aside' && recordedAt >= last)
    .map(({ statement }) => payloadOf(statement) as SetAside)
    .find(
      (said) =>
        knownIds.includes(said.signer) && said.copy === copy && said.conflicts.includes(conflictId),
    );
}

function no(detail: string): Refused {
  return refuse('SET_ASIDE_NOT_ALLOWED', detail);
}

/** Whether this instance may begin a new copy at all. */
async function flawOfInstance(
  ports: Pick<NewCopyPorts, 'store' | 'signer'>,
  head: Head,
): Promise<Refused | undefined> {
  if (head.closed === true)
    return refuse('REGISTRY_CLOSED', 'this instance has closed the registry: it stays as it is');
  if (ports.signer.knownIds.includes(leadOf(head.configuration)))
    return no('this instance leads: what its copy lost it takes back, by the resolution take-back');
  if (!(await hasLeft(ports, head))) return undefined;
  return no(
    'this instance is no peer of this registry any more, so that nobody would deliver to a new ' +
      'copy: the one that is here stays as it is, as evidence',
  );
}

/** Whether the conflict may be about what this instance itself stores. */
export function isAboutOwn(
  { kind, accused }: Pick<ConflictStatement, 'kind' | 'accused'>,
  { knownIds }: Pick<Signer, 'knownIds'>,
): boolean {
  const own = accused !== 'open' && knownIds.includes(accused);
  return kind === 'fork' || (kind === 'local-tampering' && own);
}

/**
 * The latest entry at which a new copy may begin. Where something of the own copy was changed, all
 * before it still comes out to the lead's checkpoints. Where there are two chains, what counts is
 * what the others have confirmed as it is here.
 */
export async function latestFrom(
  { store, signer }: Pick<NewCopyPorts, 'store' | 'signer'>,
  head: Head,
  conflicts: readonly Pick<OpenConflict, 'said'>[],
): Promise<number> {
  const places = conflicts.map(({ said: { kind, sequence } }) =>
    kind === 'fork'
      ? supportedThrough(store, signer, head, sequence).then((last) => last + 1)
      : sequence,
  );
  return Math.max(1, Math.min(...(await Promise.all(places))));
}

/** Confirmations of one peer that are looked back through for one that fits. */
const PAGES_MAX = 10;

/**
 * The last entry below `before` that another instance has confirmed with the digest that is stored
 * here, 0 if there is none: the others hold everything up to there as it is here.
 */
export async function supportedThrough(
  store: LedgerStore,
  { knownIds }: Pick<Signer, 'knownIds'>,
  head: Head,
  before: number,
): Promise<number> {
  let supported = 0;
  for (const peer of head.everPeers) {
    if (knownIds.includes(peer)) continue;
    let end = before;
    for (let page = 0; page < PAGES_MAX && end > supported + 1; page += 1) {
      const from = Math.max(1, end - limits.pageMax);
      const found = await store.confirmations(head.registryId, peer, from, limits.pageMax);
      const fitting = await fittingAmong(store, head, found, end);
      supported = Math.max(supported, ...fitting);
      end = from;
    }
  }
  return supported;
}

async function fittingAmong(
  store: LedgerStore,
  { registryId, copy }: Head,
  confirmations: Awaited<ReturnType<LedgerStore['confirmations']>>,
  end: number,
): Promise<number[]> {
  const below = confirmations.filter(({ sequence }) => sequence < end);
  const sequences = [...new Set(below.map(({ sequence }) => sequence as number))];
  const stored = await readable(store.entriesAt(registryId, copy, sequences));
  return below
    .filter(({ sequence, digest }) =>
      stored.some((each) => each.sequence === sequence && each.digest === digest),
    )
    .map(({ sequence }) => sequence);
}

/** What is damaged supports nothing. */
async function readable(reading: Promise<StoredEntry[]>): Promise<StoredEntry[]> {
  try {
    return await reading;
  } catch (error) {
    if (isAboutStored(error)) return [];
    throw error;
  }
}
