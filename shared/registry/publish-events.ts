import { type ConflictStatement, conflictIdOf } from '../ledger/conflict.ts';
import type { CertificateId, Digest, RegistryId, Sequence } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { payloadOf } from '../ledger/jws.ts';
import { readTransaction, type Transaction, type TransactionType } from '../ledger/transaction.ts';
import type { OpenedConflict, OpenSetChange } from './conflict-record.ts';
import type { Confirmation, LedgerStore, StoredEntry } from './ports.ts';
import { StoredDamage } from './stored-damage.ts';

/**
 * Telling the owner's applications what this instance has stored (docs/events.md).
 *
 * 1. Read what an event is made of.  Nothing is written, so a crash leaves nothing.
 * 2. Shape it: ids, digests, places and times; never details, names or bytes.
 * 3. Publish it.  After a crash the same item comes again and is published again, under the same id.
 */

interface EventCommon {
  readonly format: 'registry/event/v1';
  /** The same for every publication of the same thing: applications forget repetitions by it. */
  readonly id: string;
  /** Name of the instance that stored it. */
  readonly instance: string;
  readonly registryId: RegistryId;
  readonly sequence: Sequence;
}

/** An entry is stored here: at the lead or at a mirror. `id` and `digest` are the entry's digest. */
export type EventOutcome =
  | { readonly outcome: 'taken' }
  /** Not known to be taken. The reason is a code of the bus, never what an event says. */
  | { readonly outcome: 'not-taken'; readonly reason: string };

/**
 * Tells the owner's applications. Never rejects: one outcome for each event, in their order. Events
 * may arrive late, twice and in any order; their ids tell repetitions. Whoever can put events on
 * the bus can forge them: what they claim is proved only by what the instance answers.
 */
export interface Events {
  publish(events: readonly RegistryEvent[]): Promise<EventOutcome[]>;
}

export interface EntryAppended extends EventCommon {
  readonly type: 'EntryAppended';
  readonly digest: Digest;
  readonly transactionId: string;
  readonly transactionType: TransactionType;
  readonly documentId?: string;
  readonly version?: number;
  readonly requestId?: string;
  /** The lead's claim. */
  readonly timestamp: string;
  readonly lead: CertificateId;
}

/** A mirror's confirmation is stored here. `id` is `<digest>:<signer>`, of a later copy `…:<copy>`. */
export interface EntryConfirmed extends EventCommon {
  readonly type: 'EntryConfirmed';
  /** Of the confirmed entry. */
  readonly digest: Digest;
  readonly signer: CertificateId;
  /** The signer's copy, above the first: a set-aside or a take-back began it. */
  readonly copy?: number;
  /** The signer's claim. */
  readonly confirmedAt: string;
}

interface ConflictCommon extends EventCommon {
  /** The conflict's id. */
  readonly digest: Digest;
  readonly kind: ConflictStatement['kind'];
  readonly accused: ConflictStatement['accused'];
  readonly openConflicts: number;
}

/**
 * A conflict is open here. `id` is the conflict's id; where it was open before, and had ended,
 * `<conflict id>:<version of the open set>`. `openConflicts` is how many are open in the registry: of
 * a first opening while the event is made, the one member of all that may differ.
 */
export interface ConflictOpened extends ConflictCommon {
  readonly type: 'ConflictOpened';
}

/**
 * A conflict is not open here any more: `id` is `<conflict id>:<version of the open set>`, and
 * `openConflicts` is how many that left open.
 */
export interface ConflictEnded extends ConflictCommon {
  readonly type: 'ConflictEnded';
  /** People resolved it, or this instance has closed the registry. */
  readonly by: 'resolution' | 'closing';
}

export type RegistryEvent = EntryAppended | EntryConfirmed | ConflictOpened | ConflictEnded;

/** Where a stored item is that an event is to be made of. */
export type EventPlace = { readonly registryId: RegistryId } & (
  | { readonly kind: 'entry'; readonly copy: number; readonly sequence: number }
  | {
      readonly kind: 'confirmation';
      readonly signer: CertificateId;
      readonly sequence: number;
      readonly copy: number;
    }
  | { readonly kind: 'conflict'; readonly conflictId: Digest }
  /** One event for each conflict that this version of the open set ended, or opened again. */
  | { readonly kind: 'open-set'; readonly conflictsVersion: number }
);

export type PublishOutcome =
  | { readonly outcome: 'published' }
  /** Not known to be published: to be tried again. The reason names no person and no content. */
  | { readonly outcome: 'failed'; readonly reason: string }
  /** Trying again is of no use: the item is damaged, or is not in the store. */
  | { readonly outcome: 'hopeless'; readonly reason: string };

export interface PublishPorts {
  readonly instanceName: string;
  readonly store: Pick<
    LedgerStore,
    'entries' | 'confirmations' | 'conflicts' | 'openSetChange' | 'head'
  >;
  readonly events: Events;
}

/** Items that are read side by side, and then published together. */
const TURN_ITEMS = 10;

/**
 * Publishes what is stored at these places: one outcome for each, in their order. One that fails
 * keeps no other from being published: whoever hands them over may give up a whole run of places
 * after its first failure.
 */
export async function publishEvents(
  ports: PublishPorts,
  places: readonly EventPlace[],
): Promise<PublishOutcome[]> {
  const outcomes: PublishOutcome[] = [];
  for (let start = 0; start < places.length; start += TURN_ITEMS)
    outcomes.push(...(await publishTurn(ports, places.slice(start, start + TURN_ITEMS))));
  return outcomes;
}

async function publishTurn(
  ports: PublishPorts,
  places: readonly EventPlace[],
): Promise<PublishOutcome[]> {
  const made = await Promise.all(places.map((place) => tryEventAt(ports, place)));
  const events = made.flatMap((each) => (each.outcome === 'made' ? each.events : []));
  const taken = (events.length === 0 ? [] : await ports.events.publish(events)).values();
  return made.map((each) => {
    if (each.outcome !== 'made') return each;
    const answers = each.events.map(() => taken.next().value);
    const refused = answers.find((answer) => answer?.outcome !== 'taken');
    if (answers.every((answer) => answer?.outcome === 'taken')) return { outcome: 'published' };
    const reason = refused?.outcome === 'not-taken' ? refused.reason : 'silence';
    return { outcome: 'failed', reason: `the bus did not take it: ${reason}` };
  });
}

type Made =
  | { readonly outcome: 'made'; readonly events: readonly RegistryEvent[] }
  | Exclude<PublishOutcome, { outcome: 'published' }>;

/** What is read and shaped apart: only reading may succeed later. */
async function tryEventAt(ports: PublishPorts, place: EventPlace): Promise<Made> {
  let shape: () => readonly RegistryEvent[];
  try {
    shape = await readItem(ports, place);
  } catch (error) {
    const outcome = error instanceof StoredDamage ? 'hopeless' : 'failed';
    return { outcome, reason: reasonOf(error) };
  }
  try {
    return { outcome: 'made', events: shape() };
  } catch (error) {
    return { outcome: 'hopeless', reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}

/** Reads the item. What it gives shapes the events, and throws where there is none to be made. */
async function readItem(
  { store, instanceName }: PublishPorts,
  place: EventPlace,
): Promise<() => readonly RegistryEvent[]> {
  const { registryId } = place;
  switch (place.kind) {
    case 'entry': {
      const { copy, sequence } = place;
      const [stored] = await store.entries(registryId, copy, { from: sequence, count: 1 });
      return () => {
        if (stored === undefined) throw missing(`entry ${sequence}`, registryId);
        return [entryAppended(instanceName, registryId, stored)];
      };
    }
    case 'confirmation': {
      const { signer, sequence, copy } = place;
      // In the order of copies: no more stand before it.
      const held = await store.confirmations(registryId, signer, sequence, copy);
      const found = held.find((each) => each.sequence === sequence && each.copy === copy);
      return () => {
        if (found === undefined)
          throw missing(`the confirmation of entry ${sequence} by ${signer}`, registryId);
        return [entryConfirmed(instanceName, registryId, found)];
      };
    }
    case 'conflict': {
      const { conflictId } = place;
      const conflicts = await store.conflicts(registryId);
      const found = conflicts.find((each) => each.conflictId === conflictId);
      const head = await store.head(registryId);
      return () => {
        if (found === undefined) throw missing(`the conflict ${conflictId}`, registryId);
        return [conflictOpened(instanceName, found, head?.openConflicts.length ?? 0)];
      };
    }
    case 'open-set': {
      const { conflictsVersion } = place;
      const change = await store.openSetChange(registryId, conflictsVersion);
      const conflicts = await store.conflicts(registryId);
      return () => {
        if (change === undefined) throw missing(`the open set ${conflictsVersion}`, registryId);
        return openSetChanged(instanceName, change, conflicts);
      };
    }
  }
}

function missing(what: string, registryId: RegistryId): Error {
  return new Error(`${what} of registry ${registryId} is not in the store`);
}

/** What a stored entry means. Throws where its bytes are not what they were stored as. */
export function entryAppended(
  instance: string,
  registryId: RegistryId,
  stored: StoredEntry,
): EntryAppended {
  const read = readEntry(stored.entry);
  const recorded = readTransaction(stored.transaction);
  if (
    read.outcome === 'refused' ||
    recorded.outcome === 'refused' ||
    read.digest !== stored.digest ||
    read.entry.transactionDigest !== recorded.digest
  )
    throw new Error(`entry ${stored.sequence} of registry ${registryId} was damaged in the store`);
  const { transaction } = recorded;
  return {
    format: 'registry/event/v1',
    type: 'EntryAppended',
    id: read.digest,
    instance,
    registryId,
    sequence: read.entry.sequence,
    digest: read.digest,
    transactionId: transaction.transactionId,
    transactionType: transaction.type,
    ...subjectOf(transaction),
    timestamp: read.entry.timestamp,
    lead: read.entry.lead,
  };
}

/** What a transaction is about, where its type says it in the open. */
function subjectOf(
  transaction: Transaction,
): Pick<EntryAppended, 'documentId' | 'version' | 'requestId'> {
  switch (transaction.type) {
    case 'create-registry':
    case 'reconfigure-peers':
      return {};
    case 'upload-document': {
      const { documentId, version } = transaction;
      return { documentId, version };
    }
    case 'request-signature': {
      const { documentId, version, requestId } = transaction;
      return { documentId, version, requestId };
    }
    case 'sign-document':
      return { requestId: transaction.requestId };
  }
}

/** What a stored confirmation means; it was verified before it was stored. */
export function entryConfirmed(
  instance: string,
  registryId: RegistryId,
  { signer, sequence, digest, copy, confirmedAt }: Confirmation,
): EntryConfirmed {
  return {
    format: 'registry/event/v1',
    type: 'EntryConfirmed',
    id: copy === 1 ? `${digest}:${signer}` : `${digest}:${signer}:${copy}`,
    instance,
    registryId,
    sequence,
    digest,
    signer,
    ...(copy === 1 ? {} : { copy }),
    confirmedAt,
  };
}

/** What a stored conflict means; its statement was verified before it was stored. */
export function conflictOpened(
  instance: string,
  conflict: OpenedConflict,
  openConflicts: number,
): ConflictOpened {
  return ofConflict('ConflictOpened', conflict, {
    id: conflict.conflictId,
    instance,
    openConflicts,
  });
}

/** What a change of the open set means, for each of its conflicts. */
export function openSetChanged(
  instance: string,
  { registryId, conflictsVersion, reopened, ended, openConflicts, closed }: OpenSetChange,
  conflicts: readonly OpenedConflict[],
): (ConflictOpened | ConflictEnded)[] {
  const by = closed === true ? 'closing' : 'resolution';
  const tell = <Type extends ConflictEvent['type']>(type: Type, conflictId: Digest) => {
    const found = conflicts.find((each) => each.conflictId === conflictId);
    if (found === undefined) throw missing(`the conflict ${conflictId}`, registryId);
    const id = `${conflictId}:${conflictsVersion}`;
    return ofConflict(type, found, { id, instance, openConflicts });
  };
  return [
    ...reopened.map((conflictId) => tell('ConflictOpened', conflictId)),
    ...ended.map((conflictId) => ({ ...tell('ConflictEnded', conflictId), by }) as const),
  ];
}

type ConflictEvent = ConflictOpened | ConflictEnded;

function ofConflict<Type extends ConflictEvent['type']>(
  type: Type,
  { registryId, conflictId, statement }: OpenedConflict,
  { id, instance, openConflicts }: Pick<ConflictEvent, 'id' | 'instance' | 'openConflicts'>,
): ConflictCommon & { readonly type: Type } {
  const said = payloadOf(statement) as ConflictStatement;
  if (conflictIdOf(said) !== conflictId)
    throw new Error(
      `the conflict ${conflictId} of registry ${registryId} was damaged in the store`,
    );
  return {
    format: 'registry/event/v1',
    type,
    id,
    instance,
    registryId,
    sequence: said.sequence,
    digest: conflictId,
    kind: said.kind,
    accused: said.accused,
    openConflicts,
  };
}
