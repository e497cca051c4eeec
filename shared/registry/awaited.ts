import { leadOf } from '../ledger/chain.ts';
import type { ConflictStatement } from '../ledger/conflict.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import { payloadOf } from '../ledger/jws.ts';
import type { Acceptance } from '../ledger/resolution.ts';
import type { Manner } from '../ledger/resolution-rules.ts';
import { NAMED_KEY, namedAt } from '../ledger/superseding.ts';
import { setAsidesSince } from './conclude.ts';
import { listBefore } from './configuration-at.ts';
import {
  allClosings,
  allReports,
  allResolutions,
  type KnownReport,
  type KnownResolution,
} from './kept-statements.ts';
import type { Head, LedgerStore, Signer } from './ports.ts';
import { isOfLead } from './standing.ts';

/**
 * Whom everybody waits for, as far as this instance knows: what operators sign is sent to all, so
 * that what is missing here is missing, or is on its way. It decides nothing.
 */

type Said = Pick<ConflictStatement, 'kind' | 'accused'>;

/** Mirrors that are stopped until their own operators have accepted that resolution. */
export interface AwaitedAcceptance {
  readonly resolution: Digest;
  readonly manner: Manner;
  readonly conflicts: readonly Digest[];
  readonly peers: readonly CertificateId[];
}

/** Also of what is resolved here: a lead goes on at once, and its mirrors stand still. */
export async function awaitedAcceptances(
  store: LedgerStore,
  head: Head,
): Promise<AwaitedAcceptance[]> {
  const { registryId } = head;
  const resolutions = await allResolutions(store, registryId);
  if (resolutions.length === 0) return [];
  const ended = new Set(resolutions.map(({ resolution }) => resolution.after));
  const reports = await allReports(store, registryId);
  const opened = new Set((await store.conflicts(registryId)).map((each) => each.conflictId));
  const done = await readDone(store, head);
  const found: AwaitedAcceptance[] = [];
  for (const known of resolutions) {
    const { digest, resolution } = known;
    const about = reports.filter(
      ({ conflictId, said }) =>
        resolution.conflicts.includes(conflictId) && accusesLead(head, known, said),
    );
    if (ended.has(digest) || about.length === 0) continue;
    const stopped = await stoppedBy(store, head, known, done);
    const { manner, conflicts } = resolution;
    // A claim that did not reproduce stops nobody but its finder, which an expulsion takes off.
    const peers = about.some(({ conflictId }) => opened.has(conflictId))
      ? stopped
      : stopped.filter((peer) => manner !== 'expel' && isFinder(about, peer));
    if (peers.length > 0) found.push({ resolution: digest, manner, conflicts, peers });
  }
  return found;
}

function isFinder(reports: readonly KnownReport[], peer: CertificateId): boolean {
  return reports.some(({ said }) => said.signer === peer);
}

function accusesLead(
  { configuration }: Head,
  { resolution }: KnownResolution,
  { kind, accused }: Said,
): boolean {
  return isOfLead(kind) || accused === resolution.signer || accused === leadOf(configuration);
}

/** What the mirrors have done, as known here. */
interface Done {
  readonly closed: ReadonlySet<CertificateId>;
  /** Who has accepted a resolution, each as its digest and theirs. */
  readonly accepted: ReadonlySet<string>;
  /** Through which entry each has confirmed. */
  readonly confirmed: ReadonlyMap<CertificateId, number>;
  /** The entry that names a resolution. */
  readonly namedAt: (resolution: Digest) => number | undefined;
}

async function readDone(store: LedgerStore, { registryId, configuration }: Head): Promise<Done> {
  const accepted = new Set<string>();
  for (const { kind, statement } of await store.kept(registryId)) {
    const { resolution, signer } = payloadOf(statement) as Acceptance;
    if (kind === 'acceptance') accepted.add(`${resolution} ${signer}`);
  }
  const confirmed = new Map<CertificateId, number>();
  for (const peer of configuration.peers.slice(1)) {
    const newest = await store.newestConfirmation(registryId, peer);
    confirmed.set(peer, newest?.sequence ?? 0);
  }
  const { items } = await store.read(registryId, [NAMED_KEY]);
  return {
    closed: new Set((await allClosings(store, registryId)).map(({ said }) => said.signer)),
    accepted,
    confirmed,
    namedAt: (resolution) => namedAt((key) => items.get(key), resolution),
  };
}

/** Mirrors that have neither accepted it, nor closed, nor confirmed the entry that names it. */
async function stoppedBy(
  store: LedgerStore,
  head: Head,
  { digest, resolution }: KnownResolution,
  { closed, accepted, confirmed, namedAt: entryNaming }: Done,
): Promise<CertificateId[]> {
  const missing = head.configuration.peers
    .slice(1)
    .filter((peer) => peer !== resolution.signer && !closed.has(peer))
    .filter((peer) => !accepted.has(`${digest} ${peer}`));
  if (head.decided?.includes(digest) === true) return missing;
  const sequence = entryNaming(digest);
  const before = missing.filter((peer) => (confirmed.get(peer) ?? 0) < (sequence ?? 0));
  if (sequence === undefined || before.length === 0) return [];
  // Who was added since knows of it from the ledger.
  const [stored] = await store.entriesAt(head.registryId, head.copy, [sequence]);
  if (stored === undefined) return [];
  const { peers } = await listBefore(store, head, stored);
  return before.filter((peer) => peers.includes(peer));
}

/** The accused of a tampering, while it has not set its own copy aside since it last said so. */
export async function awaitedSetAsides(
  { store, signer }: { readonly store: LedgerStore; readonly signer: Signer },
  head: Head,
  { conflictId, said }: { readonly conflictId: Digest; readonly said: Said },
): Promise<CertificateId[]> {
  const { accused, kind } = said;
  if (kind !== 'local-tampering' || accused === 'open') return [];
  const leads = accused === leadOf(head.configuration);
  if (leads || !head.configuration.peers.includes(accused) || signer.knownIds.includes(accused))
    return [];
  return withoutSetAside(store, head, conflictId, [accused]);
}

/** Those of them that have not signed a set-aside for it since they last reported it. */
export async function withoutSetAside(
  store: LedgerStore,
  { registryId }: Head,
  conflictId: Digest,
  mirrors: readonly CertificateId[],
): Promise<CertificateId[]> {
  const aside = await Promise.all(
    mirrors.map((mirror) => setAsidesSince(store, registryId, { conflictId, mirror })),
  );
  return mirrors.filter((_, index) => aside[index]?.length === 0);
}
