/**
 * What operators decide about conflicts: each decision is signed here with the caller's own key, which
 * must be that of an operator of the instance that is called, and the instance signs the same. An
 * answer that holds anything else than what was signed here is refused.
 */
import * as z from 'zod';
import type { Link } from '../ledger/backlinks.ts';
import { readCountersigned } from '../ledger/countersigned.ts';
import type { CertificateId, Digest } from '../ledger/digest.ts';
import {
  type Compact,
  type DecidedStatement,
  readStatement,
  signStatement,
} from '../ledger/jws.ts';
import {
  type Acceptance,
  acceptanceSchema,
  type Closing,
  closingSchema,
  type Resolution,
  resolutionSchema,
  type SetAside,
  setAsideSchema,
} from '../ledger/resolution.ts';
import type { Manner } from '../ledger/resolution-rules.ts';
import { timestampSchema, validate } from '../ledger/schema.ts';
import { entryStatusAnswer, registryAnswer } from './answers.ts';
import { bytesOf, type CallOptions, type Calls, parsed } from './calls.ts';
import { type ConflictEvent, readConflict, readConflicts } from './conflicts.ts';
import { requireExpellable } from './expelling.ts';
import { readInstance } from './instances.ts';
import { entryPath, registryPath } from './paths.ts';
import { invalidArgument, notProven } from './problem.ts';

export interface NewResolution {
  readonly manner: Manner;
  /** All that are to be decided about unless given. */
  readonly conflicts?: readonly string[];
  /**
   * What is replaced or becomes void, by sequence. Of a fork that is replayed both branches, with
   * their digests; those of the named conflicts unless given.
   */
  readonly entries?: readonly (number | Link)[];
  /** The resolution in force, which this one ends. */
  readonly after?: string;
  /**
   * Whom the peer list is to leave out that carries an expulsion out: checked before anything is
   * signed. By certificate id, or its first 8 digits.
   */
  readonly expels?: readonly string[];
  /** For people, kept for ever. A take-back names in it, by certificate id, whom not to wait for. */
  readonly reason: string;
}

export interface NewSetAside {
  /** All open ones about the instance's own copy unless given. */
  readonly conflicts?: readonly string[];
  /** Where the new copy begins; as late as the others' confirmations allow unless given. */
  readonly from?: number;
  readonly reason: string;
}

/** What was decided: both signatures, and what they are over. */
export interface Decided<Said> {
  /** Of what was signed. */
  readonly digest: Digest;
  readonly statement: Compact;
  readonly decision: Compact;
  readonly said: Said;
  /** When the instance recorded it, where that was before this call. */
  readonly before?: string;
}

/** The last entry that the instance will ever hold of the registry, signed by it. */
export interface ClosedRegistry {
  readonly statement: Compact;
  readonly said: Closing;
  /** When it was closed, where that was before this call. */
  readonly before?: string;
}

/** Decides at the lead about open conflicts. Whoever names them may repeat the call. */
export async function resolveConflicts(
  lead: Calls,
  registryId: string,
  { manner, conflicts, entries = [], after, expels, reason }: NewResolution,
  options?: CallOptions,
): Promise<Decided<Resolution>> {
  const { head } = await lead.get(registryPath(registryId), registryAnswer, options);
  const links: Link[] = [];
  for (const entry of entries)
    links.push(typeof entry === 'number' ? await linkAt(lead, registryId, entry, options) : entry);
  const replaced = after === undefined ? {} : { after };
  const named = conflicts ?? (await undecided(lead, registryId, after, options));
  if (manner === 'replace' && links.length === 0)
    await requireEntries(lead, registryId, named, options);
  if (manner === 'replay' && links.length === 0)
    links.push(...(await branches(lead, registryId, named, options)));
  const payload = {
    ...(await common(lead, registryId, reason, options)),
    format: 'registry/resolution/v1',
    manner,
    conflicts: named,
    entries: links,
    ...replaced,
    through: { sequence: head.sequence, digest: head.digest },
  };
  const resolution = valid(resolutionSchema, payload);
  if (expels !== undefined && manner !== 'expel')
    throw invalidArgument(`expels belongs to the manner expel: leave it out of a ${manner}`);
  if (expels !== undefined)
    await requireExpellable(lead, registryId, { offenders: expels, conflicts: named }, options);
  return order(lead, ['resolutions', 'resolution'], resolution, {
    schema: resolutionSchema,
    options,
  });
}

/** Both branches of every fork among the conflicts: who decides says that one of them gives way. */
async function branches(
  lead: Calls,
  registryId: string,
  named: readonly string[],
  options?: CallOptions,
): Promise<Link[]> {
  const { conflicts } = await readConflicts(lead, registryId, options);
  return conflicts
    .filter(({ conflictId, said }) => said.kind === 'fork' && named.includes(conflictId))
    .flatMap(({ said: { sequence, digests } }) => digests.map((digest) => ({ sequence, digest })));
}

/** The entry as it is in the lead's ledger. */
async function linkAt(
  lead: Calls,
  registryId: string,
  at: number,
  options?: CallOptions,
): Promise<Link> {
  const path = `${entryPath(registryId, at)}/confirmations`;
  const { sequence, digest } = await lead.get(path, entryStatusAnswer, options);
  return { sequence, digest };
}

/**
 * The ids of all that wait for a decision; where one is ended, of all that are open. Where all is
 * decided, of what the decision in force is about: the lead refuses then, and shows that decision.
 */
async function undecided(
  lead: Calls,
  registryId: string,
  after: string | undefined,
  options?: CallOptions,
): Promise<readonly Digest[]> {
  const { conflicts, resolution: inForce } = await readConflicts(lead, registryId, options);
  const wanted = conflicts.filter(
    ({ open, contested, resolution }) =>
      (open || contested === true) && (after !== undefined || resolution === undefined),
  );
  if (wanted.length > 0) return wanted.map(({ conflictId }) => conflictId);
  if (inForce !== undefined) return inForce.said.conflicts;
  throw invalidArgument(
    conflicts.some(({ open }) => open)
      ? 'nothing is to be decided: every conflict that is open at the lead has its resolution; to ' +
          'decide on one again, name it'
      : 'nothing is to be decided: no conflict is open at the lead',
  );
}

/** Told before anything is signed: what a replacement is of is nothing to be guessed. */
async function requireEntries(
  lead: Calls,
  registryId: string,
  named: readonly string[],
  options?: CallOptions,
): Promise<void> {
  const { conflicts } = await readConflicts(lead, registryId, options);
  const about = conflicts
    .filter(({ conflictId }) => named.includes(conflictId))
    .map(({ said }) => said.sequence);
  const places = [...new Set(about)].join(', ');
  throw invalidArgument(
    `entries is empty: replace lists the entries that do not count any more; the conflict is about ` +
      `entry ${places}`,
  );
}

/** Accepts at a mirror what the accused lead has decided. */
export async function acceptResolution(
  calls: Calls,
  registryId: string,
  { resolution, reason }: { readonly resolution: string; readonly reason: string },
  options?: CallOptions,
): Promise<Decided<Acceptance>> {
  const payload = {
    ...(await common(calls, registryId, reason, options)),
    format: 'registry/acceptance/v1',
    resolution,
  };
  return order(calls, ['acceptances', 'acceptance'], valid(acceptanceSchema, payload), {
    schema: acceptanceSchema,
    options,
    // It was accepted before, in whatever words.
    isSame: (held) => held.resolution === resolution,
  });
}

/**
 * Begins a new copy at a mirror whose own one is wrong. Where the present copy was begun for these
 * conflicts, and no earlier entry is named, that is what is answered.
 */
export async function setCopyAside(
  calls: Calls,
  registryId: string,
  { conflicts, from, reason }: NewSetAside,
  options?: CallOptions,
): Promise<Decided<SetAside>> {
  const said = await common(calls, registryId, reason, options);
  const { copy } = await calls.get(registryPath(registryId), copyAnswer, options);
  const { wrong, begun } = await lookForWrong(calls, registryId, { conflicts, copy }, options);
  const [first] = begun;
  if (wrong.length === 0 && first !== undefined && (from ?? first.said.from) >= first.said.from)
    return first;
  const found = wrong.length > 0 ? wrong : begun.map(({ conflictId }) => ({ conflictId, from: 1 }));
  const latest = Math.min(...found.map((each) => each.from));
  const payload = {
    ...said,
    format: 'registry/set-aside/v1',
    conflicts: conflicts ?? found.map(({ conflictId }) => conflictId),
    from: from ?? latest,
    copy: copy + 1,
  };
  return order(calls, ['set-asides', 'setAside'], valid(setAsideSchema, payload), {
    schema: setAsideSchema,
    options,
  });
}

const copyAnswer = z.object({ copy: z.int().min(1) });

interface WrongCopy {
  readonly conflictId: Digest;
  readonly from: number;
}

interface LookedFor {
  /** For these a new copy is to begin. */
  readonly wrong: readonly WrongCopy[];
  /** For these the present copy was begun. */
  readonly begun: readonly (Decided<SetAside> & { readonly conflictId: Digest })[];
}

/** Of these conflicts, or of all open ones, those that are about the instance's own copy. */
async function lookForWrong(
  calls: Calls,
  registryId: string,
  {
    conflicts: named,
    copy,
  }: { readonly conflicts?: readonly string[] | undefined; readonly copy: number },
  options?: CallOptions,
): Promise<LookedFor> {
  const { certificateId, knownIds } = await readInstance(calls, options);
  const { conflicts, role } = await readConflicts(calls, registryId, options);
  if (role === 'former')
    throw invalidArgument(
      'nothing is to be set aside: this instance is no peer of this registry any more, and its copy ' +
        'stays as it is, as evidence',
    );
  const open = conflicts.filter(
    (each) => each.open && (named === undefined || named.includes(each.conflictId)),
  );
  const isOwnCopy = (said: SetAside) =>
    said.copy === copy && [certificateId, ...knownIds].includes(said.signer);
  const wrong: WrongCopy[] = [];
  const begun: LookedFor['begun'][number][] = [];
  for (const { conflictId } of open) {
    const { setAside, history } = await readConflict(calls, registryId, conflictId, options);
    const begins = setAside?.allowed === true ? setAside.from : undefined;
    if (begins !== undefined) wrong.push({ conflictId, from: begins });
    else begun.push(...begunFor(conflictId, history, isOwnCopy));
  }
  if (wrong.length > 0 || begun.length > 0) return { wrong, begun };
  throw invalidArgument(
    'nothing is to be set aside: no open conflict is about this copy, or which branch of a fork ' +
      'stays is not decided yet, or this copy is that branch',
  );
}

function begunFor(
  conflictId: Digest,
  history: readonly ConflictEvent[],
  isOwnCopy: (said: SetAside) => boolean,
): LookedFor['begun'] {
  return history.flatMap((event) =>
    event.kind === 'set-aside' && isOwnCopy(event.said)
      ? [{ ...event, conflictId, before: event.at }]
      : [],
  );
}

/** Closes the registry at the instance, for good. */
export async function closeAt(
  calls: Calls,
  registryId: string,
  options?: CallOptions,
): Promise<ClosedRegistry> {
  const { certificateId, knownIds } = await readInstance(calls, options);
  const path = `${registryPath(registryId)}/closings`;
  const answer = await calls.send({ method: 'POST', path, body: bytesOf({}), ...options });
  const { closing } = parsed(closingAnswer, answer);
  const read = readStatement(closing.statement, closingSchema);
  if (read.outcome === 'refused')
    throw notProven(`the closing is refused (${read.code}): ${read.detail}`);
  const { statement: said, compact } = read;
  if (said.registryId !== registryId || ![certificateId, ...knownIds].includes(said.signer))
    throw notProven('the closing is of another registry, or of another instance');
  const before = answer.status === 200 ? closing.at : undefined;
  return { statement: compact, said, ...(before === undefined ? {} : { before }) };
}

const at = timestampSchema.exactOptional();
const closingAnswer = z.object({ closing: z.object({ statement: z.string(), at }) });

/** What every decision says: who decides, for which instance, about which registry, and why. */
async function common(
  calls: Calls,
  registryId: string,
  reason: string,
  options?: CallOptions,
): Promise<{
  readonly registryId: string;
  readonly signer: CertificateId;
  readonly decidedBy: CertificateId;
  readonly reason: string;
}> {
  if (reason.trim() === '')
    throw invalidArgument('reason is empty: it is signed and kept for ever, so say in it why');
  const { certificateId: signer } = await readInstance(calls, options);
  const { certificateId: decidedBy } = calls.connection.identity().certificate;
  return { registryId, signer, decidedBy, reason: reason.normalize('NFC') };
}

function valid<Schema extends z.ZodType>(schema: Schema, payload: unknown): z.output<Schema> {
  const checked = validate(schema, payload);
  if (checked.outcome === 'refused') throw invalidArgument(checked.detail);
  return checked.value;
}

interface Expected<Said extends DecidedStatement> {
  readonly schema: z.ZodType<Said>;
  readonly options: CallOptions | undefined;
  /** Whether what is held there will do, where it is not the very same. */
  readonly isSame?: (held: Said) => boolean;
}

/** Signs the decision, sends it, and holds the answer against it. */
async function order<Said extends DecidedStatement>(
  calls: Calls,
  [route, member]: readonly [route: string, member: string],
  payload: Said,
  { schema, options, isSame = () => false }: Expected<Said>,
): Promise<Decided<Said>> {
  const { certificate, key } = calls.connection.identity();
  const decision = signStatement(payload, key, certificate.publicKeyJwk);
  const path = `${registryPath(payload.registryId)}/${route}`;
  const answer = await calls.post(path, { decision }, answerWith(member), options);
  const signed = answer[member] as z.output<typeof signedAnswer>;
  const read = readCountersigned(signed, schema);
  if (read.outcome === 'refused')
    throw notProven(`the ${member} that is answered is refused (${read.code}): ${read.detail}`);
  const { statement: said, digest } = read;
  const sent = decision.split('.')[1] === read.signed.decision.split('.')[1];
  if (!sent && (said.signer !== payload.signer || !isSame(said)))
    throw notProven(`the ${member} that is answered is not the one that was signed here`);
  const before = read.signed.decision === decision ? undefined : signed.at;
  return { digest, ...read.signed, said, ...(before === undefined ? {} : { before }) };
}

const signedAnswer = z.object({ statement: z.string(), decision: z.string(), at });

function answerWith(member: string) {
  return z.object({ [member]: signedAnswer });
}
