import { backlinkSequences, type Link } from './backlinks.ts';
import { type ChainHead, leadOf, sameLink } from './chain.ts';
import type { ConflictStatement } from './conflict.ts';
import type { CertificateId, Digest, Sequence } from './digest.ts';
import { linkTo } from './entry.ts';
import { type Refused, refuse } from './errors.ts';
import type { EvidenceOf } from './evidence.ts';
import { limits } from './limits.ts';
import { flawOfNaming } from './naming.ts';
import { checkSigningKey } from './signature.ts';
import { type JudgedCommit, type JudgedEntry, judgeCommit } from './signed-commit.ts';
import {
  type DocumentItem,
  documentKey,
  type RequestItem,
  type RuleView,
  requestKey,
  rule,
  type StateKey,
  versionKey,
} from './state.ts';
import type { RequestSignature, SignDocument, Transaction, UploadDocument } from './transaction.ts';
import {
  isVoided,
  NOT_SHOWN,
  type Recorded,
  readWitnesses,
  stateOf,
  type Witnesses,
} from './witnesses.ts';

/**
 * Whether a lead signed an entry that breaks sections 2, 3 or 4, by signed bytes alone: protocol
 * section 7. What is wrong with an entry shows in its own bytes, in what its own links name, or in
 * an earlier entry that is there. That something is not there shows in no bytes: then only what the
 * entry itself says it is about can prove it wrong.
 */

export type InvalidCheck =
  | { readonly outcome: 'invalid'; readonly flaw: Refused }
  /** Why it does not show. */
  | Refused;

/**
 * `voided`: entries that resolutions of this registry named, which therefore took no effect. An
 * honest lead can be made to look wrong by them: whoever has the resolutions passes them, and whoever
 * is accused by a voided entry shows its resolution.
 */
export function checkInvalid(
  conflict: ConflictStatement,
  evidence: EvidenceOf<'invalid-transaction'>,
  voided: readonly Link[],
): InvalidCheck {
  const { registryId, accused, sequence, digests } = conflict;
  const judged = judgeCommit(registryId, evidence.commit);
  if (judged.outcome === 'malformed') {
    const { code, detail } = judged.refused;
    return notShown(`the commit is not the lead's word: ${code}: ${detail}`);
  }
  const { signer } = judged.checkpoint.statement;
  if (signer !== accused) return notShown(`the checkpoint is of ${signer}; accused is ${accused}`);
  const claimed = (found: { readonly sequence: number; readonly digest: Digest }) =>
    found.sequence === sequence && digests.length === 1 && found.digest === digests[0];
  if (judged.flaw !== undefined)
    return claimed(judged.flaw)
      ? { outcome: 'invalid', flaw: judged.flaw.refused }
      : notShown(`the commit shows another flaw, of entry ${judged.flaw.sequence}`);
  const entry = judged.entries.find(({ read: { entry, digest } }) =>
    claimed({ sequence: entry.sequence, digest }),
  );
  if (entry === undefined)
    return notShown(`entry ${sequence} with ${digests.join()} is not in the commit`);
  const witnesses = readWitnesses(evidence, judged.entries, entry);
  if (witnesses.outcome === 'refused') return witnesses;
  const before = witnesses.before.filter(({ read }) => !isVoided(read, voided));
  const view = stateOf(witnesses.before, voided);
  const flaw = flawOf({ entry, judged, witnesses, before, view, accused: signer });
  return flaw === undefined
    ? notShown(`neither its bytes nor the witnesses show that entry ${sequence} breaks a rule`)
    : { outcome: 'invalid', flaw };
}

function notShown(detail: string): Refused {
  return refuse('EVIDENCE_NOT_REPRODUCED', detail);
}

/** All that an entry is held against. */
interface Case {
  readonly entry: JudgedEntry;
  readonly judged: JudgedCommit;
  readonly witnesses: Witnesses;
  /** The witnesses that took effect. */
  readonly before: readonly Recorded[];
  readonly view: RuleView;
  readonly accused: CertificateId;
}

function flawOf(shown: Case): Refused | undefined {
  const misled = flawOfLead(shown);
  // Another lead's entry is another lead's fault, whoever signed above it.
  if (misled !== undefined || shown.entry.read.entry.lead !== shown.accused) return misled;
  return (
    flawOfBacklinks(shown) ??
    flawOfConfiguration(shown) ??
    flawOfTimestamp(shown) ??
    flawOfResolves(shown) ??
    flawOfRules(shown) ??
    flawOfEnd(shown)
  );
}

/** The entry names one lead, and links to a list that another one leads. */
function flawOfLead({ entry: own, before, accused }: Case): Refused | undefined {
  const { sequence, lead, configuration } = own.read.entry;
  const list =
    sequence === 1 ? own : before.find(({ read }) => sameLink(linkTo(read), configuration));
  const peers = list === undefined ? undefined : peersOf(list);
  if (peers === undefined) return undefined;
  const inForce = leadOf({ peers });
  if (lead === inForce || (lead !== accused && inForce !== accused)) return undefined;
  return refuse('LEAD_DIFFERS', `entry ${sequence} names the lead ${lead}; in force is ${inForce}`);
}

/** By their places alone: other digests for right places are a fork. */
function flawOfBacklinks({ entry: { read } }: Case): Refused | undefined {
  const { sequence, backlinks } = read.entry;
  const expected = backlinkSequences(sequence).join();
  if (backlinks.map((link) => link.sequence).join() === expected) return undefined;
  return refuse('BACKLINKS_WRONG', `entry ${sequence} has backlinks that are not the rule's`);
}

function flawOfConfiguration({ entry: { read }, before }: Case): Refused | undefined {
  const { sequence, configuration: link } = read.entry;
  const wrong = refuse(
    'CONFIGURATION_LINK_WRONG',
    `entry ${sequence} does not link to the peer list in force`,
  );
  if (link === undefined) return sequence === 1 ? undefined : wrong;
  if (link.sequence >= sequence) return wrong;
  const contradicted = before.some((each) => {
    const { digest, entry } = each.read;
    return entry.sequence === link.sequence
      ? digest !== link.digest || peersOf(each) === undefined
      : entry.sequence > link.sequence && peersOf(each) !== undefined;
  });
  return contradicted ? wrong : undefined;
}

function flawOfTimestamp({ entry: { read }, witnesses }: Case): Refused | undefined {
  const { sequence, timestamp, backlinks } = read.entry;
  const [nearest] = backlinks;
  const previous = nearest && witnesses.entries.get(nearest.digest)?.entry.timestamp;
  if (previous === undefined || previous <= timestamp) return undefined;
  return refuse(
    'TIMESTAMP_BEFORE_PREVIOUS',
    `entry ${sequence} is of ${timestamp}, the one before of ${previous}`,
  );
}

/** A resolution that an earlier entry named: also one that took no effect has named it. */
function flawOfResolves({ entry: { read }, witnesses }: Case): Refused | undefined {
  const { sequence, resolves } = read.entry;
  const before = [...witnesses.entries.values()].filter(({ entry }) => entry.sequence < sequence);
  const named = new Set(before.flatMap(({ entry }) => entry.resolves));
  return flawOfNaming(resolves, (digest) => named.has(digest));
}

function flawOfRules(shown: Case): Refused | undefined {
  const { read, transaction } = shown.entry;
  const { sequence, subject } = read.entry;
  const weak =
    transaction.transaction.type === 'request-signature'
      ? checkSigningKey(transaction.transaction.publicKey)
      : undefined;
  if (weak !== undefined) return weak;
  const head = headBefore(shown.entry);
  const ruling = rule(head, shown.view, transaction.transaction, transaction.digest);
  if (ruling.outcome === 'refused') return isShown(shown, ruling) ? ruling : undefined;
  if (sameLink(subject, ruling.subject)) return undefined;
  return refuse('SUBJECT_LINK_WRONG', `entry ${sequence} does not link to what it is about`);
}

/** As much of the head as the rules read. */
function headBefore({ read: { entry } }: JudgedEntry): ChainHead | undefined {
  const { registryId, sequence, configuration, timestamp } = entry;
  // Only entry 1 has none: that was checked before.
  if (configuration === undefined) return undefined;
  return {
    registryId,
    sequence: (sequence - 1) as Sequence,
    digest: configuration.digest,
    timestamp,
    tower: [],
    configuration: { ...configuration, peers: [] },
  };
}

/** Whether what the witnesses' state refuses, the whole state refuses as well. */
function isShown(shown: Case, { code }: Refused): boolean {
  switch (code) {
    case 'VERSION_UNKNOWN':
    case 'REQUEST_UNKNOWN':
      return isAboutAnother(shown);
    case 'VERSION_NOT_NEXT':
      return isRecorded(shown) || isAboutAnother(shown);
    case 'SUPERSEDES_WITHOUT_RESOLUTION':
      return isWithoutResolution(shown);
    case 'SIGNATURE_CONTENT_DIFFERS':
      return isVersionShown(shown);
    default:
      // It rests on what is there.
      return true;
  }
}

/** Whether a witness has that version of the document already, or a later one. */
function isRecorded({ entry, view }: Case): boolean {
  const { documentId, version } = entry.transaction.transaction as UploadDocument;
  const latest = view(documentKey(documentId)) as Pick<DocumentItem, 'version'> | undefined;
  return latest !== undefined && latest.version >= version;
}

/** Whether the version that is signed is among the witnesses. */
function isVersionShown({ entry, view }: Case): boolean {
  const { requestId } = entry.transaction.transaction as SignDocument;
  return (view(requestKey(requestId)) as RequestItem).contentDigest !== NOT_SHOWN;
}

/**
 * What an entry is about is its subject link. Without one, or with one to something else, it is
 * wrong whatever else the ledger holds.
 */
function isAboutAnother({ entry: { read, transaction }, witnesses }: Case): boolean {
  const { subject } = read.entry;
  if (subject === undefined) return true;
  const cited = witnesses.before.find((each) => each.read.digest === subject.digest);
  if (cited === undefined) return false;
  const needed = neededBy(transaction.transaction as About);
  return (
    !sameLink(linkTo(cited.read), subject) || givenBy(cited.transaction.transaction) !== needed
  );
}

type About = UploadDocument | RequestSignature | SignDocument;

/** What must be there before it. */
function neededBy(own: About): StateKey {
  switch (own.type) {
    case 'upload-document':
      return versionKey(own.documentId, own.version - 1);
    case 'request-signature':
      return versionKey(own.documentId, own.version);
    case 'sign-document':
      return requestKey(own.requestId);
  }
}

function givenBy(cited: Transaction): StateKey | undefined {
  if (cited.type === 'upload-document') return versionKey(cited.documentId, cited.version);
  return cited.type === 'request-signature' ? requestKey(cited.requestId) : undefined;
}

/**
 * Whether no entry that can be in the same commit names a resolution. Where a commit begins shows in
 * no bytes, but it has at most so many entries.
 */
function isWithoutResolution({ entry: { read }, witnesses }: Case): boolean {
  const { sequence } = read.entry;
  const shown = new Map<number, readonly Digest[]>();
  for (const { entry } of witnesses.entries.values()) shown.set(entry.sequence, entry.resolves);
  const first = Math.max(1, sequence - limits.commitEntriesMax + 1);
  for (let each: number = sequence; each >= first; each -= 1)
    if (shown.get(each)?.length !== 0) return false;
  return true;
}

/** A hand-over with more behind it in the commit, whose checkpoint is still the old lead's. */
function flawOfEnd({ entry, judged, accused }: Case): Refused | undefined {
  const { sequence } = entry.read.entry;
  const behind = judged.entries.filter(({ read }) => read.entry.sequence > sequence);
  const peers = peersOf(entry);
  if (peers === undefined || leadOf({ peers }) === accused) return undefined;
  // A list behind it could have given the lead back.
  if (behind.length === 0 || behind.some((each) => peersOf(each) !== undefined)) return undefined;
  return refuse('COMMIT_NOT_ENDED', `entry ${sequence} hands the lead over inside a commit`);
}

function peersOf({ transaction: { transaction } }: Recorded): readonly CertificateId[] | undefined {
  return 'peers' in transaction ? transaction.peers : undefined;
}
