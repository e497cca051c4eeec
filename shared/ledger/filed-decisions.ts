import type * as z from 'zod';
import type { Link } from './backlinks.ts';
import { type ConflictStatement, conflictIdOf } from './conflict.ts';
import type { ConflictFile } from './conflict-file.ts';
import { type ReadCountersigned, readCountersigned } from './countersigned.ts';
import type { CertificateId, Digest } from './digest.ts';
import { type Refused, refuse } from './errors.ts';
import { type DecidedStatement, readStatement, type Statement } from './jws.ts';
import type { KnownTakeBack } from './known-beside.ts';
import type { ProvedLists } from './prove-lists.ts';
import { quoted } from './quoted.ts';
import {
  acceptanceSchema,
  closingSchema,
  type Resolution,
  resolutionSchema,
  setAsideSchema,
} from './resolution.ts';
import { type Manner, mannersOf } from './resolution-rules.ts';

/** What people decided about the conflict of a file: protocol section 7. */

/** Signed by the operator `decidedBy` and by the instance `by`, which vouches for the role. */
export interface FiledFinding {
  readonly finding: 'decided';
  readonly kind: 'resolution' | 'acceptance' | 'set-aside' | 'closing';
  readonly digest: Digest;
  readonly by: CertificateId;
  /** A closing is signed by the instance alone. */
  readonly decidedBy?: CertificateId;
  readonly reason?: string;
  /** Of a resolution. */
  readonly manner?: Manner;
  /** What a resolution names: entries that are replaced, or both branches of a fork. */
  readonly entries?: readonly Link[];
  /** Of a resolution: the lead's head when it was decided. */
  readonly through?: Link;
  /** Of a resolution: the one that it ends. */
  readonly after?: Digest;
  /** Of a resolution: the one in the file that has ended it. */
  readonly endedBy?: Digest;
  /** The resolution that an acceptance accepts. */
  readonly resolution?: Digest;
  readonly sentence: string;
}

type Filed = ConflictFile['decisions'][number];
type ReadDecisions =
  | { readonly outcome: 'read'; readonly findings: readonly FiledFinding[] }
  | Refused;

/** Reads every decision in the file: both signatures, by a peer, and about this conflict. */
export function readFiledDecisions(
  { decisions }: ConflictFile,
  lists: ProvedLists,
  conflict: ConflictStatement,
): ReadDecisions {
  const about = { conflict, conflictId: conflictIdOf(conflict), lists };
  const findings: FiledFinding[] = [];
  // An acceptance names a resolution of this file, wherever in it that is.
  const [acceptances, others] = [
    decisions.filter(({ kind }) => kind === 'acceptance'),
    decisions.filter(({ kind }) => kind !== 'acceptance'),
  ];
  for (const filed of [...others, ...acceptances]) {
    const read = readFiled(filed, about, findings);
    if ('outcome' in read) return read;
    findings.push(read);
  }
  return { outcome: 'read', findings: findings.map((each) => withEnd(each, findings)) };
}

/** A resolution that a later one has ended does not count any more. */
function withEnd(finding: FiledFinding, all: readonly FiledFinding[]): FiledFinding {
  const later = all.find((each) => each.after === finding.digest);
  if (later === undefined) return finding;
  const sentence = `${finding.sentence}; ENDED by the resolution ${later.digest}`;
  return { ...finding, endedBy: later.digest, sentence };
}

interface About {
  readonly conflict: ConflictStatement;
  readonly conflictId: Digest;
  readonly lists: ProvedLists;
}

function readFiled(
  filed: Filed,
  about: About,
  before: readonly FiledFinding[],
): FiledFinding | Refused {
  switch (filed.kind) {
    case 'resolution':
      return readResolution(filed, about);
    case 'acceptance':
      return readAcceptance(filed, about, before);
    case 'set-aside':
      return readSetAside(filed, about);
    case 'closing':
      return readClosing(filed, about);
  }
}

function readResolution(filed: Filed, about: About): FiledFinding | Refused {
  const read = readDecided(filed, resolutionSchema, about);
  if (read.outcome === 'refused') return read;
  const { statement, digest } = read;
  const { manner, through, entries, after, reason } = statement;
  const unfit = isTakeBackBeside(statement, about)
    ? undefined
    : (flawOfNamed(statement, about) ?? flawOfManner(statement, about));
  if (unfit !== undefined) return unfit;
  const named = entries.map(linkText);
  const sentence = [
    `DECIDED by ${whoDecided(statement)}, with the ledger at ${linkText(through)}: ` +
      `${manner}: ${quoted(reason)}`,
    `the resolution ${digest}`,
    ...(named.length === 0 ? [] : [`it names ${named.join(', ')}`]),
    ...(after === undefined ? [] : [`it ends the resolution ${after}`]),
  ].join('; ');
  const said = { manner, entries, through, ...(after === undefined ? {} : { after }) };
  return { ...decidedBy(statement), kind: 'resolution', digest, ...said, sentence };
}

function linkText({ sequence, digest }: Link): string {
  return `entry ${sequence} (${digest})`;
}

/** It is no decision about a fork, and may be why two copies of the accused are none. */
function isTakeBackBeside(
  { conflicts, manner, signer }: Resolution,
  { conflict, conflictId }: About,
): boolean {
  const own = manner === 'take-back' && signer === conflict.accused;
  return own && conflict.kind === 'fork' && !conflicts.includes(conflictId);
}

/** The take-backs in the file, each with both signatures. */
export function filedTakeBacks({ registryId, decisions }: ConflictFile): KnownTakeBack[] {
  return decisions.flatMap(({ kind, statement, decision = '' }) => {
    const read =
      kind === 'resolution'
        ? readCountersigned({ statement, decision }, resolutionSchema)
        : undefined;
    if (read?.outcome !== 'read' || read.statement.registryId !== registryId) return [];
    const { manner, signer } = read.statement;
    return manner === 'take-back' ? [{ signer }] : [];
  });
}

function readAcceptance(
  filed: Filed,
  about: About,
  before: readonly FiledFinding[],
): FiledFinding | Refused {
  const read = readDecided(filed, acceptanceSchema, about);
  if (read.outcome === 'refused') return read;
  const { statement, digest } = read;
  const { resolution, reason } = statement;
  if (!before.some((each) => each.kind === 'resolution' && each.digest === resolution))
    return malformed(`holds an acceptance of the resolution ${resolution}, which is not in it`);
  const sentence = `ACCEPTED by ${whoDecided(statement)}: the resolution ${resolution}: ${quoted(reason)}`;
  return { ...decidedBy(statement), kind: 'acceptance', digest, resolution, sentence };
}

function readSetAside(filed: Filed, about: About): FiledFinding | Refused {
  const read = readDecided(filed, setAsideSchema, about);
  if (read.outcome === 'refused') return read;
  const { statement, digest } = read;
  const unfit = flawOfNamed(statement, about);
  if (unfit !== undefined) return unfit;
  const { copy, from, reason } = statement;
  const sentence =
    `SET ASIDE by ${whoDecided(statement)}: copy ${copy} of its ledger begins at entry ${from}: ` +
    quoted(reason);
  return { ...decidedBy(statement), kind: 'set-aside', digest, sentence };
}

/** A closing is about the registry and names no conflict. */
function readClosing(
  { statement: compact, decision }: Filed,
  about: About,
): FiledFinding | Refused {
  if (decision !== undefined) return malformed('holds a closing with a decision; it has none');
  const read = readStatement(compact, closingSchema);
  if (read.outcome === 'refused') return read;
  const foreign = flawOfSigner(read.statement, about);
  if (foreign !== undefined) return foreign;
  const { signer: by, sequence, digest: closed } = read.statement;
  const sentence = `CLOSED by ${by}: the registry ends at entry ${sequence} with ${closed}`;
  return { finding: 'decided', by, kind: 'closing', digest: read.digest, sentence };
}

function readDecided<Schema extends z.ZodType<DecidedStatement>>(
  { statement, decision = '' }: Filed,
  schema: Schema,
  about: About,
): ReadCountersigned<z.output<Schema>> | Refused {
  const read = readCountersigned({ statement, decision }, schema);
  if (read.outcome === 'refused') return read;
  return flawOfSigner(read.statement, about) ?? read;
}

function flawOfSigner(
  { registryId, signer }: Statement,
  { conflict, lists }: About,
): Refused | undefined {
  if (registryId !== conflict.registryId)
    return refuse('STATEMENT_REGISTRY_DIFFERS', `is about the registry ${registryId}`);
  if (lists.everPeers.has(signer)) return undefined;
  return refuse('SIGNER_NO_PEER', `${signer} vouches for a decision, and never was a peer`);
}

function flawOfNamed(
  { conflicts }: { readonly conflicts: readonly Digest[] },
  { conflictId }: About,
): Refused | undefined {
  if (conflicts.includes(conflictId)) return undefined;
  return malformed(`is about the conflict ${conflictId}, and holds a decision about others`);
}

/** The lead's instance signs resolutions: so it is known whether it is itself the accused. */
function flawOfManner({ manner, signer }: Resolution, { conflict }: About): Refused | undefined {
  const manners = mannersOf(conflict.kind, { accusedLeads: conflict.accused === signer });
  if (manners.includes(manner)) return undefined;
  return refuse(
    'MANNER_NOT_ALLOWED',
    `a conflict of the kind ${conflict.kind} is not resolved by ${manner}`,
  );
}

type Decided = DecidedStatement & { readonly reason: string };

function decidedBy({ signer, decidedBy: operator, reason }: Decided) {
  return { finding: 'decided', by: signer, decidedBy: operator, reason } as const;
}

function whoDecided({ decidedBy: operator, signer }: Decided): string {
  return `${operator} at ${signer}`;
}

function malformed(detail: string): Refused {
  return refuse('CONFLICT_FILE_MALFORMED', `the file ${detail}; export the conflict again`);
}
