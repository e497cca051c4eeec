import { backlinksOf, grownTower, type Link, type Tower } from './backlinks.ts';
import type { CertificateId, Digest, RegistryId, Sequence } from './digest.ts';
import { buildEntry, linkTo, type ReadEntry } from './entry.ts';
import { type Refused, refuse } from './errors.ts';
import type { Transaction } from './transaction.ts';

/** The chain of entries: protocol section 4. Building and checking share one rule. */

/** The peer list in force, and the entry that put it there. */
export interface Configuration extends Link {
  readonly peers: readonly CertificateId[];
}

/** All that building or checking the next entry needs. */
export interface ChainHead {
  readonly registryId: RegistryId;
  readonly sequence: Sequence;
  readonly digest: Digest;
  readonly timestamp: string;
  readonly tower: Tower;
  /** In force from the next entry on. */
  readonly configuration: Configuration;
}

/** The lead: the first of the list. Lists are never empty. */
export function leadOf(configuration: Pick<Configuration, 'peers'>): CertificateId {
  return configuration.peers[0] as CertificateId;
}

/** What the rules of section 3 add to an entry's place. */
export interface Placement {
  readonly transaction: Transaction;
  readonly transactionDigest: Digest;
  readonly subject?: Link;
  readonly resolves: readonly Digest[];
}

/** Builds the entry that comes next; `now` is the lead's clock, RFC 3339 with milliseconds. */
export function nextEntry(
  head: ChainHead | undefined,
  placement: Placement,
  now: string,
): ReadEntry {
  const { transaction, transactionDigest, subject, resolves } = placement;
  return buildEntry({
    ...expectedPlace(head, transaction, transactionDigest),
    resolves,
    timestamp: head !== undefined && head.timestamp > now ? head.timestamp : now,
    transactionDigest,
    ...(subject === undefined ? {} : { subject }),
  });
}

function expectedPlace(
  head: ChainHead | undefined,
  transaction: Transaction,
  transactionDigest: Digest,
) {
  if (head === undefined)
    return {
      registryId: transactionDigest,
      sequence: 1 as Sequence,
      lead: firstLead(transaction),
      backlinks: [],
    };
  const sequence = (head.sequence + 1) as Sequence;
  return {
    registryId: head.registryId,
    sequence,
    lead: leadOf(head.configuration),
    backlinks: backlinksOf(head.tower, sequence),
    configuration: { digest: head.configuration.digest, sequence: head.configuration.sequence },
  };
}

function firstLead(transaction: Transaction): CertificateId {
  // Only create-registry passes the rules for entry 1; anything else gets a lead nobody is.
  return 'peers' in transaction ? leadOf(transaction) : ('' as CertificateId);
}

/**
 * Holds an entry against its place after `head`: every member that the chain determines. The
 * subject link is the rules' question, and whether `resolves` names known resolutions too.
 */
export function checkPlace(
  head: ChainHead | undefined,
  read: ReadEntry,
  transaction: Transaction,
  transactionDigest: Digest,
): Refused | undefined {
  const { entry } = read;
  const expected = expectedPlace(head, transaction, transactionDigest);
  if (entry.sequence !== expected.sequence)
    return refuse('SEQUENCE_NOT_NEXT', `is entry ${entry.sequence}; ${expected.sequence} is next`);
  if (entry.transactionDigest !== transactionDigest)
    return refuse(
      'TRANSACTION_DIGEST_DIFFERS',
      `entry ${entry.sequence} names the transaction ${entry.transactionDigest}; ` +
        `the one beside it comes out to ${transactionDigest}`,
    );
  if (entry.registryId !== expected.registryId)
    return refuse('REGISTRY_DIFFERS', `entry ${entry.sequence} is of registry ${entry.registryId}`);
  if (entry.lead !== expected.lead)
    return refuse(
      'LEAD_DIFFERS',
      `entry ${entry.sequence} names the lead ${entry.lead}; in force is ${expected.lead}`,
    );
  if (!sameLinks(entry.backlinks, expected.backlinks))
    return refuse(
      'BACKLINKS_WRONG',
      `entry ${entry.sequence} has backlinks that are not the rule's`,
    );
  if (!sameLink(entry.configuration, expected.configuration))
    return refuse(
      'CONFIGURATION_LINK_WRONG',
      `entry ${entry.sequence} does not link to the peer list in force`,
    );
  if (head !== undefined && entry.timestamp < head.timestamp)
    return refuse(
      'TIMESTAMP_BEFORE_PREVIOUS',
      `entry ${entry.sequence} is of ${entry.timestamp}, the one before of ${head.timestamp}`,
    );
  return undefined;
}

/** Whether two links, or two absent ones, name the same entry. */
export function sameLink(a: Link | undefined, b: Link | undefined): boolean {
  return a?.sequence === b?.sequence && a?.digest === b?.digest;
}

function sameLinks(a: readonly Link[], b: readonly Link[]): boolean {
  return a.length === b.length && a.every((link, index) => sameLink(link, b[index]));
}

/** The head after the entry, which was built here or passed `checkPlace`. */
export function extendHead(
  head: ChainHead | undefined,
  read: ReadEntry,
  transaction: Transaction,
): ChainHead {
  const link = linkTo(read);
  const configuration =
    'peers' in transaction ? { ...link, peers: transaction.peers } : head?.configuration;
  return {
    registryId: read.entry.registryId,
    sequence: link.sequence,
    digest: link.digest,
    timestamp: read.entry.timestamp,
    tower: grownTower(head?.tower ?? [], link),
    // Entry 1 is a create-registry, which has peers.
    configuration: configuration as Configuration,
  };
}

/** Whether the transaction hands the lead over: its entry ends the commit (section 3). */
export function handsOver(head: ChainHead, transaction: Transaction): boolean {
  return (
    transaction.type === 'reconfigure-peers' && leadOf(transaction) !== leadOf(head.configuration)
  );
}
