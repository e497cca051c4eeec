import { leadOf } from '../ledger/chain.ts';
import { type ConflictStatement, conflictIdOf, conflictSchema } from '../ledger/conflict.ts';
import { type CertificateId, type Digest, digestOf, type RegistryId } from '../ledger/digest.ts';
import { readEntry } from '../ledger/entry.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { type Evidence, readEvidence } from '../ledger/evidence.ts';
import { payloadOf, type ReadStatement, readStatement } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import { recheckEvidence } from '../ledger/recheck-evidence.ts';
import { copiesOf } from '../ledger/recheck-fork.ts';
import { readCarrying } from './carrying.ts';
import { commitHolding, peersAround } from './configuration-at.ts';
import type { KeptStatement, OpenedConflict } from './conflict-record.ts';
import { judgeCommit } from './judge-delivery.ts';
import { allReports, allResolutions, keptStatement, recordedLast } from './kept-statements.ts';
import { knownHere } from './known-here.ts';
import { isNeverOpened } from './never-opened.ts';
import type { PeerTransport } from './peer-transport.ts';
import type { Head, StoredEntry } from './ports.ts';
import { type ConflictPorts, open, reopen } from './report-conflict.ts';
import { isBareWord, isOfLead, statedConflicts } from './standing.ts';
import { checkCommits, readSettled } from './store-commits.ts';

/**
 * A conflict that another instance found: protocol section 7.
 *
 * 1. Read the signature; hold the signer against the list in force where it speaks about.
 * 2. Get the evidence, from whoever brings the statement or from its signer, and keep it.
 * 3. Recheck it. A claim against the lead must reproduce, from signed bytes or from the own copy;
 *    what a signer says of itself or of what it received stands by its word, one at a time.
 * 4. Open it here likewise, or attach it to the same conflict.  A crash before it: it comes again.
 */

export interface ReceiveConflictPorts extends ConflictPorts {
  readonly transport: PeerTransport;
}

export type ReceivedConflict =
  | 'held'
  | 'new'
  /** It cannot be judged yet: about entries, or with evidence, that are not here. */
  | { readonly outcome: 'ahead'; readonly head: number }
  | { readonly outcome: 'unknown-registry' }
  | Refused;

/** So many reports of one conflict are kept of one signer: each failed attempt makes one. */
const REPORTS_MAX = 16;

/** Reports that are kept of one signer in all, opened or not. */
const CLAIMS_MAX = 256;

export async function receiveConflict(
  ports: ReceiveConflictPorts,
  registryId: RegistryId,
  caller: CertificateId,
  compact: string,
): Promise<ReceivedConflict> {
  const read = readStatement(compact, conflictSchema);
  if (read.outcome === 'refused') return read;
  const said = read.statement;
  if (said.registryId !== registryId)
    return refuse('STATEMENT_REGISTRY_DIFFERS', `is about the registry ${said.registryId}`);
  const head = await ports.store.head(registryId);
  if (head === undefined) return { outcome: 'unknown-registry' };
  const foreign = await signerFlaw(ports, head, said);
  if (foreign !== undefined) return foreign;
  const attached = await attach(ports, head, read, caller);
  if (attached !== undefined) return attached;
  // A bare word blocks only as long as its signer is a peer: a former one proves something or not.
  if (isBareWord(said.kind) && !head.configuration.peers.includes(said.signer))
    return refuse('SIGNER_NO_PEER', `${said.signer} is no peer any more, and proves nothing`);
  const bytes = await evidenceOf(ports, head, said, caller);
  if (bytes === undefined) return { outcome: 'ahead', head: head.sequence };
  const evidence = readEvidence(bytes);
  if (evidence.outcome === 'refused') return evidence;
  if (isTooEarly(ports, head, said, evidence.evidence))
    return { outcome: 'ahead', head: head.sequence };
  const unproved = await recheck(ports, head, said, evidence.evidence);
  if (unproved !== undefined) return contested(ports, head, read, unproved);
  // Only what reproduces is kept: anybody could fill the bucket otherwise.
  await ports.blobs.putEvidence(said.evidence[0] as Digest, bytes);
  return openLikewise(ports, head, read);
}

/** Who was a peer at that sequence; about what is not here yet, whoever is one now. */
async function signerFlaw(
  { store }: ReceiveConflictPorts,
  head: Head,
  { signer, sequence, accused, kind }: ConflictStatement,
): Promise<Exclude<ReceivedConflict, 'held' | 'new'> | undefined> {
  const ahead = sequence > head.sequence;
  const commit = ahead ? [] : await commitHolding(store, head, sequence);
  const then = ahead ? [] : await peersAround(store, head, commit);
  // A bare word is about the signer's own copy, also of entries from before it was a peer.
  const now = ahead || isBareWord(kind) ? head.configuration.peers : [];
  const peers = new Set([...then, ...now]);
  const wait = { outcome: 'ahead', head: head.sequence } as const;
  if (!peers.has(signer)) {
    if (ahead) return wait;
    return refuse('SIGNER_NO_PEER', `${signer} was no peer at entry ${sequence}`);
  }
  if (isBareWord(kind)) return undefined;
  const lead = ahead ? leadOf(head.configuration) : leadIn(commit, sequence);
  if (accused === lead) return undefined;
  if (ahead) return wait;
  return refuse('ACCUSED_DIFFERS', `accuses ${accused}; at entry ${sequence} leads ${lead}`);
}

function leadIn(commit: readonly StoredEntry[], sequence: number): CertificateId | undefined {
  const stored = commit.find((each) => each.sequence === sequence);
  const entry = stored === undefined ? undefined : readEntry(stored.entry);
  return entry?.outcome === 'read' ? entry.entry.lead : undefined;
}

/** A further report of what is known: kept beside it. Undefined: it is new here. */
async function attach(
  ports: ReceiveConflictPorts,
  head: Head,
  { statement: said, digest, compact }: ReadStatement<ConflictStatement>,
  caller: CertificateId,
): Promise<ReceivedConflict | undefined> {
  const { store, alarms } = ports;
  const { registryId } = head;
  const conflictId = conflictIdOf(said);
  const known = (await allReports(store, registryId)).filter(
    (report) => report.conflictId === conflictId,
  );
  const resolvedAt = await resolvedSince(ports, head, said);
  const resolved = resolvedAt !== undefined;
  if (known.length === 0 && !resolved) return undefined;
  if (known.some((each) => isSameReport(each.said, said))) return 'held';
  if (known.filter((each) => each.said.signer === said.signer).length >= REPORTS_MAX)
    return refuse(
      'STATEMENT_REPEATED',
      `${said.signer} has reported the conflict ${conflictId} ${REPORTS_MAX} times`,
    );
  // Known from a claim that showed nothing: whoever shows it now is the first.
  if (resolvedAt === undefined && isOfLead(said.kind) && !(await isOpened(store, head, conflictId)))
    return undefined;
  // A peer that meets it again after it was resolved has to show it again. The two branches of a
  // fork meet wherever an old confirmation comes late: that is decided.
  const present = head.configuration.peers.includes(said.signer);
  if (resolvedAt !== undefined && said.kind !== 'fork' && present && said.detectedAt > resolvedAt)
    return undefined;
  await keepEvidence(ports, head, said, caller);
  const recordedAt = await recordedLast(ports, registryId);
  await store.keep(
    registryId,
    { ...keptStatement('report', compact, { recordedAt }), digest },
    'received',
  );
  const tried = head.openConflicts.includes(conflictId) && (head.decided ?? []).length > 0;
  if (tried && known.some((each) => each.said.signer === said.signer))
    alarms.raise('ConflictsOpened', {
      conflictId,
      registryId,
      kind: said.kind,
      sequence: said.sequence,
      signer: said.signer,
      detail: 'the resolution in force was tried and met the same again',
    });
  return 'new';
}

async function isOpened(
  store: ReceiveConflictPorts['store'],
  { registryId }: Head,
  conflictId: Digest,
): Promise<boolean> {
  const opened = await store.conflicts(registryId);
  return opened.some((each) => each.conflictId === conflictId);
}

/** For the file about the conflict. The report counts also where nobody gives its evidence now. */
async function keepEvidence(
  ports: ReceiveConflictPorts,
  head: Head,
  said: ConflictStatement,
  caller: CertificateId,
): Promise<void> {
  const [digest] = said.evidence;
  if (digest === undefined) return;
  const bytes = await evidenceOf(ports, head, said, caller);
  const read = bytes === undefined ? undefined : readEvidence(bytes);
  if (bytes === undefined || read?.outcome !== 'read') return;
  if ((await recheck(ports, head, said, read.evidence)) === undefined)
    await ports.blobs.putEvidence(digest, bytes);
}

function isSameReport(a: ConflictStatement, b: ConflictStatement): boolean {
  return a.signer === b.signer && a.detectedAt === b.detectedAt;
}

/** Since when a resolution that names it has been carried out here. Undefined: none has. */
async function resolvedSince(
  ports: ReceiveConflictPorts,
  head: Head,
  said: ConflictStatement,
): Promise<string | undefined> {
  const conflictId = conflictIdOf(said);
  if (head.openConflicts.includes(conflictId)) return undefined;
  const resolving = (await allResolutions(ports.store, head.registryId)).filter(
    ({ digest, resolution }) =>
      digest !== head.resolution && resolution.conflicts.includes(conflictId),
  );
  if (isOfLead(said.kind) && (await isNeverOpened(ports, head, conflictId, resolving)))
    return undefined;
  return resolving
    .map(({ recordedAt }) => recordedAt)
    .sort()
    .at(-1);
}

/** The bytes of the evidence. Undefined: nobody who should have it answers now. */
async function evidenceOf(
  { blobs, transport, signer }: ReceiveConflictPorts,
  { registryId }: Head,
  said: ConflictStatement,
  caller: CertificateId,
): Promise<Uint8Array | undefined> {
  const [digest] = said.evidence;
  // A statement that names none is refused like one whose evidence is empty.
  if (digest === undefined) return new Uint8Array();
  const held = await blobs.evidence(digest);
  if (held !== undefined) return held;
  const peers = [...new Set([caller, said.signer])].filter((id) => !signer.knownIds.includes(id));
  for (const peer of peers) {
    const bytes = await askEvidence(transport, registryId, [peer, digest]);
    if (bytes !== undefined) return bytes;
  }
  return undefined;
}

/** The very bytes with that digest, from one peer. */
async function askEvidence(
  transport: PeerTransport,
  registryId: RegistryId,
  [peer, digest]: readonly [CertificateId, Digest],
): Promise<Uint8Array | undefined> {
  const request = { operation: 'evidence', registryId, subject: digest } as const;
  const answer = await transport.call(peer, request);
  if (answer.outcome === 'unreachable' || answer.status !== 200) return undefined;
  if (answer.body.length > limits.evidenceBytesMax) return undefined;
  return digestOf(answer.body) === digest ? answer.body : undefined;
}

/**
 * Two copies are a fork unless a take-back lies between: where an entry carried one out, whoever holds
 * the place in dispute knows it. The accused knows its own.
 */
function isTooEarly(
  { signer }: ReceiveConflictPorts,
  head: Head,
  { sequence, accused }: ConflictStatement,
  evidence: Evidence,
): boolean {
  const [one, other] = (evidence.kind === 'fork' ? copiesOf(evidence) : undefined) ?? [];
  if (one === other) return false;
  const own = accused !== 'open' && signer.knownIds.includes(accused);
  return sequence > head.sequence && !own;
}

/** Why it does not reproduce; undefined: it does. */
async function recheck(
  ports: ReceiveConflictPorts,
  head: Head,
  said: ConflictStatement,
  evidence: Evidence,
): Promise<Refused | undefined> {
  const rechecked = recheckEvidence(said, evidence, await knownHere(ports.store, head));
  if (rechecked.outcome === 'reproduced') return undefined;
  // What rests on something absent shows in a whole copy only.
  const own =
    evidence.kind === 'invalid-transaction' && (await isInvalidHere(ports, head, said, evidence));
  return own ? undefined : rechecked;
}

/** Whether the own copy, which ends just before that commit, refuses the same entry. */
async function isInvalidHere(
  { store, signer }: ReceiveConflictPorts,
  head: Head,
  said: ConflictStatement,
  { commit }: Extract<Evidence, { kind: 'invalid-transaction' }>,
): Promise<boolean> {
  const judged = judgeCommit(head.registryId, commit);
  if (judged.outcome === 'malformed' || judged.first !== head.sequence + 1) return false;
  const carrying = await readCarrying(store, head, head.decided ?? []);
  const read = await readSettled(store, head.registryId, [judged], carrying);
  if (read === undefined) return false;
  const { registryId, tableId } = head;
  const own = { registryId, read, self: signer.knownIds, tableId, carrying };
  const check = checkCommits(own, [judged]);
  if (check.outcome !== 'disagrees') return false;
  return check.kind === said.kind && check.digests.join() === said.digests.join();
}

/**
 * Refused, and alarmed by the caller. Where this instance itself is accused it is kept all the
 * same: its finder is stopped, and only a resolution of the lead can help it.
 */
async function contested(
  ports: ReceiveConflictPorts,
  head: Head,
  { statement, digest, compact }: ReadStatement<ConflictStatement>,
  refused: Refused,
): Promise<ReceivedConflict> {
  const { store, signer } = ports;
  const { registryId } = head;
  const accuses = statement.accused !== 'open' && signer.knownIds.includes(statement.accused);
  if (accuses && !(await hasContested(store, head, statement.signer))) {
    const recordedAt = await recordedLast(ports, registryId);
    const report = { ...keptStatement('report', compact, { recordedAt }), digest };
    await store.keep(registryId, report, 'received');
  }
  return refused;
}

/** One unresolved claim of this kind is kept of each signer. */
async function hasContested(
  store: ReceiveConflictPorts['store'],
  { registryId }: Head,
  signer: CertificateId,
): Promise<boolean> {
  const opened = new Set((await store.conflicts(registryId)).map(({ conflictId }) => conflictId));
  const known = await allResolutions(store, registryId);
  const resolved = new Set(known.flatMap(({ resolution }) => resolution.conflicts));
  const reports = await allReports(store, registryId);
  return reports.some(
    ({ conflictId, said }) =>
      said.signer === signer && !opened.has(conflictId) && !resolved.has(conflictId),
  );
}

/** Its word alone blocks once. A further claim is kept, so that the lead can resolve it as well. */
async function openLikewise(
  ports: ReceiveConflictPorts,
  head: Head,
  { statement: said, compact }: ReadStatement<ConflictStatement>,
): Promise<ReceivedConflict> {
  const { registryId } = head;
  const recordedAt = await recordedLast(ports, registryId);
  const conflict: OpenedConflict = {
    registryId,
    conflictId: conflictIdOf(said),
    statement: compact,
    recordedAt,
  };
  const detail = `reported by ${said.signer}`;
  const bare = isBareWord(said.kind);
  const unless = async (now: Head) => bare && hasClaimOpen(ports, now, conflict);
  const opened = await open(ports, conflict, { origin: 'received', detail, unless });
  if (opened === 'barred')
    return keepClaim(ports, registryId, said, keptStatement('report', compact, { recordedAt }));
  if (opened === 'held' && !head.openConflicts.includes(conflict.conflictId))
    await reopen(ports, conflict, { origin: 'received', detail });
  // Its finder may not reach everybody, not knowing of them: who has rechecked it passes it on.
  await ports.store.keep(registryId, keptStatement('report', compact, { recordedAt }), 'own');
  return 'new';
}

async function keepClaim(
  { store, alarms }: ReceiveConflictPorts,
  registryId: RegistryId,
  { signer, kind, sequence }: ConflictStatement,
  kept: KeptStatement,
): Promise<ReceivedConflict> {
  const reports = await allReports(store, registryId);
  if (reports.filter(({ said }) => said.signer === signer).length >= CLAIMS_MAX)
    return refuse('STATEMENT_REPEATED', `${signer} has made ${CLAIMS_MAX} claims in this registry`);
  await store.keep(registryId, kept, 'received');
  const detail = `${signer} claims more than what is open already`;
  alarms.raise('ConflictsOpened', { registryId, kind, sequence, signer, detail });
  return 'new';
}

/** Its word blocks the registry: one such claim at a time, beside the one that is being opened. */
async function hasClaimOpen(
  { store }: ReceiveConflictPorts,
  head: Head,
  { conflictId, statement }: OpenedConflict,
): Promise<boolean> {
  if (head.openConflicts.length === 0) return false;
  const { signer } = payloadOf(statement) as ConflictStatement;
  const stated = await statedConflicts(store, head);
  return stated.some(
    ({ conflictId: id, said }) =>
      id !== conflictId && said.signer === signer && isBareWord(said.kind),
  );
}
