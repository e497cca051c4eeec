import { type ConflictStatement, conflictIdOf } from '../ledger/conflict.ts';
import type { CertificateId, Digest, RegistryId, Sequence } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { payloadOf } from '../ledger/jws.ts';
import { readTransaction, type Transaction, type TransactionType } from '../ledger/transaction.ts';
import type { OpenedConflict } from './conflict-record.ts';
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

/** A mirror's confirmation is stored here. `id` is `<digest>:<signer>`. */
export interface EntryConfirmed extends EventCommon {
  readonly type: 'EntryConfirmed';
  /** Of the confirmed entry. */
  readonly digest: Digest;
  readonly signer: CertificateId;
  /** The signer's claim. */
  readonly confirmedAt: string;
}

/** A conflict is stored here. `id` and `digest` are the conflict's id. */
export interface ConflictOpened extends EventCommon {
  readonly type: 'ConflictOpened';
  readonly digest: Digest;
  readonly kind: ConflictStatement['kind'];
  readonly accused: ConflictStatement['accused'];
  /** How many are open in the registry while the event is made: the one member that may differ. */
  readonly openConflicts: number;
}

export type RegistryEvent = EntryAppended | EntryConfirmed | ConflictOpened;

/** Where a stored item is that an event is to be made of. */
export type EventPlace = { readonly registryId: RegistryId } & (
  | { readonly kind: 'entry'; readonly copy: number; readonly sequence: number }
  | { readonly kind: 'confirmation'; readonly signer: CertificateId; readonly sequence: number }
  | { readonly kind: 'conflict'; readonly conflictId: Digest }
);

export type PublishOutcome =
  | { readonly outcome: 'published' }
  /** Not known to be published: to be tried again. The reason names no person and no content. */
  | { readonly outcome: 'failed'; readonly reason: string }
  /** Trying again is of no use: the item is damaged, or is not in the store. */
  | { readonly outcome: 'hopeless'; readonly reason: string };

export interface PublishPorts {
  readonly instanceName: string;
  readonly store: Pick<LedgerStore, 'entries' | 'firstConfirmationCovering' | 'conflicts' | 'head'>;
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
  const events = made.flatMap((each) => (each.outcome === 'made' ? [each.event] : []));
  const taken = (events.length === 0 ? [] : await ports.events.publish(events)).values();
  return made.map((each) => {
    if (each.outcome !== 'made') return each;
    const answer = taken.next().value;
    if (answer?.outcome === 'taken') return { outcome: 'published' };
    return { outcome: 'failed', reason: `the bus did not take it: ${answer?.reason ?? 'silence'}` };
  });
}

type Made =
  | { readonly outcome: 'made'; readonly event: RegistryEvent }
  | Exclude<PublishOutcome, { outcome: 'published' }>;

/** What is read and shaped apart: only reading may succeed later. */
async function tryEventAt(ports: PublishPorts, place: EventPlace): Promise<Made> {
  let shape: () => RegistryEvent;
  try {
    shape = await readItem(ports, place);
  } catch (error) {
    const outcome = error instanceof StoredDamage ? 'hopeless' : 'failed';
    return { outcome, reason: reasonOf(error) };
  }
  try {
    return { outcome: 'made', event: shape() };
  } catch (error) {
    return { outcome: 'hopeless', reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}

/** Reads the item. What it gives shapes the event, and throws where there is none to be made. */
async function readItem(
  { store, instanceName }: PublishPorts,
  place: EventPlace,
): Promise<() => RegistryEvent> {
  const { registryId } = place;
  switch (place.kind) {
    case 'entry': {
      const { copy, sequence } = place;
      const [stored] = await store.entries(registryId, copy, { from: sequence, count: 1 });
      return () => {
        if (stored === undefined) throw missing(`entry ${sequence}`, registryId);
        return entryAppended(instanceName, registryId, stored);
      };
    }
    case 'confirmation': {
      const { signer, sequence } = place;
      const found = await store.firstConfirmationCovering(registryId, signer, sequence);
      return () => {
        if (found?.sequence !== sequence)
          throw missing(`the confirmation of entry ${sequence} by ${signer}`, registryId);
        return entryConfirmed(instanceName, registryId, found);
      };
    }
    case 'conflict': {
      const { conflictId } = place;
      const conflicts = await store.conflicts(registryId);
      const found = conflicts.find((each) => each.conflictId === conflictId);
      const head = await store.head(registryId);
      return () => {
        if (found === undefined) throw missing(`the conflict ${conflictId}`, registryId);
        return conflictOpened(instanceName, found, head?.openConflicts.length ?? 0);
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
  { signer, sequence, digest, confirmedAt }: Confirmation,
): EntryConfirmed {
  return {
    format: 'registry/event/v1',
    type: 'EntryConfirmed',
    id: `${digest}:${signer}`,
    instance,
    registryId,
    sequence,
    digest,
    signer,
    confirmedAt,
  };
}

/** What a stored conflict means; its statement was verified before it was stored. */
export function conflictOpened(
  instance: string,
  { registryId, conflictId, statement }: OpenedConflict,
  openConflicts: number,
): ConflictOpened {
  const said = payloadOf(statement) as ConflictStatement;
  if (conflictIdOf(said) !== conflictId)
    throw new Error(
      `the conflict ${conflictId} of registry ${registryId} was damaged in the store`,
    );
  return {
    format: 'registry/event/v1',
    type: 'ConflictOpened',
    id: conflictId,
    instance,
    registryId,
    sequence: said.sequence,
    digest: conflictId,
    kind: said.kind,
    accused: said.accused,
    openConflicts,
  };
}
