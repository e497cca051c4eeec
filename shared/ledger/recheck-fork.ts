import type { Link } from './backlinks.ts';
import { sameLink } from './chain.ts';
import { checkpointSchema } from './checkpoint.ts';
import { readConfirmation } from './confirmation.ts';
import type { ConflictStatement } from './conflict.ts';
import type { CertificateId, Digest, RegistryId } from './digest.ts';
import { type Entry, linkTo, readEntry } from './entry.ts';
import { type Refused, refuse } from './errors.ts';
import type { EvidenceOf, ForkChain } from './evidence.ts';
import { readStatement } from './jws.ts';
import { isBetween, type KnownBeside } from './known-beside.ts';

export type ForkCheck =
  /** `across`: what it rests on where the checkpoints are of different copies; else nothing. */
  { readonly outcome: 'forked'; readonly across: string } | Refused;

/**
 * Whether one lead signed two chains that say different things of one place: protocol section 7.
 * Nothing but both checkpoints and the bytes on the way down is needed, and nobody is trusted. That
 * the accused led there is said by the peer lists, which the caller has.
 *
 * A lead that was restored, and took back what its peers held, may honestly sign another entry in the
 * place of one that nobody else had. From there on its checkpoints carry another copy. So two copies
 * are no fork where a take-back lies between, unless a peer had confirmed what the older one says.
 */
export function checkFork(
  conflict: ConflictStatement,
  { chains }: EvidenceOf<'fork'>,
  known: KnownBeside,
): ForkCheck {
  const [one, other] = [provenBy(conflict, chains[0]), provenBy(conflict, chains[1])];
  if (one.outcome === 'refused') return one;
  if (other.outcome === 'refused') return other;
  const [first, second, ...others] = conflict.digests;
  const disagree =
    first !== undefined && second !== undefined && first !== second && others.length === 0;
  const shown = (a: Proven, b: Proven) =>
    disagree && a.digests.includes(first) && b.digests.includes(second);
  if (shown(one, other) || shown(other, one))
    return one.copy < other.copy
      ? acrossCopies(conflict, [one, other], known)
      : acrossCopies(conflict, [other, one], known);
  return refuse(
    'EVIDENCE_NOT_REPRODUCED',
    `for entry ${conflict.sequence} the chains lead to ${one.digests.join(' and ')} and to ` +
      `${other.digests.join(' and ')}; claimed is ${conflict.digests.join(' against ')}`,
  );
}

function acrossCopies(
  { accused }: ConflictStatement,
  [older, newer]: readonly [Proven, Proven],
  { takeBacks, everPeers }: KnownBeside,
): ForkCheck {
  if (older.copy === newer.copy) return { outcome: 'forked', across: '' };
  const copies = `in its copies ${older.copy} and ${newer.copy}`;
  const { holder } = older;
  if (holder !== undefined && holder !== accused && everPeers.has(holder))
    return { outcome: 'forked', across: `, ${copies}; ${holder} confirmed that of the older` };
  if (!takeBacks.some((each) => isBetween(each, accused, [older.copy, newer.copy])))
    return { outcome: 'forked', across: `, ${copies}; no take-back is known that lies between` };
  return notSound(
    `the checkpoints are of the copies ${older.copy} and ${newer.copy}: a take-back of the accused ` +
      'lies between, and nothing shows that a peer had confirmed what the older one says',
  );
}

/** Of which copies the checkpoints say that they are. Undefined: they are none. */
export function copiesOf({ chains }: EvidenceOf<'fork'>): readonly [number, number] | undefined {
  const one = readStatement(chains[0].checkpoint, checkpointSchema);
  const other = readStatement(chains[1].checkpoint, checkpointSchema);
  if (one.outcome === 'refused' || other.outcome === 'refused') return undefined;
  return [one.statement.copy, other.statement.copy];
}

/** Which digests each sound chain gives the place, and who had confirmed that. */
export function branchesOf(
  conflict: ConflictStatement,
  { chains }: EvidenceOf<'fork'>,
): Pick<Proven, 'digests' | 'holder'>[] {
  return chains
    .map((chain) => provenBy(conflict, chain))
    .filter((proven) => proven.outcome === 'proven');
}

interface Proven {
  readonly outcome: 'proven';
  readonly copy: number;
  /** Who confirmed the checkpoint. */
  readonly holder?: CertificateId;
  /** Of the place; more than one where the links of one entry contradict each other. */
  readonly digests: readonly Digest[];
}

function provenBy(
  { registryId, accused, sequence }: ConflictStatement,
  { checkpoint, confirmation, path }: ForkChain,
): Proven | Refused {
  const read = readStatement(checkpoint, checkpointSchema);
  if (read.outcome === 'refused') return notSound(`a checkpoint: ${read.code}: ${read.detail}`);
  const { statement } = read;
  if (statement.registryId !== registryId || statement.signer !== accused)
    return notSound(
      `a checkpoint is of ${statement.signer} and the registry ${statement.registryId}; expected ` +
        `${accused} and ${registryId}`,
    );
  const held = holderIn(registryId, checkpoint, confirmation);
  if ('outcome' in held) return held;
  const top = { digest: statement.digest, sequence: statement.sequence };
  const reached = walk({ registryId, sequence }, top, path);
  if ('outcome' in reached) return reached;
  const digests = reached.filter((link) => link.sequence === sequence).map((link) => link.digest);
  if (digests.length === 0) return notSound(`a chain does not lead to entry ${sequence}`);
  return { outcome: 'proven', copy: statement.copy, digests, ...held };
}

/** Who confirmed the checkpoint, where somebody did. */
function holderIn(
  registryId: RegistryId,
  checkpoint: string,
  confirmation: string | undefined,
): Pick<Proven, 'holder'> | Refused {
  if (confirmation === undefined) return {};
  const confirmed = readConfirmation(registryId, confirmation, checkpoint);
  if (confirmed.outcome === 'refused')
    return notSound(`a confirmation: ${confirmed.code}: ${confirmed.detail}`);
  return { holder: confirmed.confirmation.statement.signer };
}

/** What the end of the path names. */
function walk(
  { registryId, sequence }: Pick<ConflictStatement, 'registryId' | 'sequence'>,
  top: Link,
  path: readonly string[],
): readonly Link[] | Refused {
  let reached: readonly Link[] = [top];
  for (const [index, text] of path.entries()) {
    const read = readEntry(Buffer.from(text));
    if (read.outcome === 'refused') return notSound(`an entry: ${read.code}: ${read.detail}`);
    const link = linkTo(read);
    if (!reached.some((each) => sameLink(each, link)))
      return notSound(`entry ${link.sequence} with ${link.digest} is not named by the one above`);
    if (read.entry.registryId !== registryId)
      return notSound(`entry ${link.sequence} is of the registry ${read.entry.registryId}`);
    const last = index === path.length - 1;
    reached = last && link.sequence === sequence ? [link] : linksDown(read.entry);
  }
  return reached;
}

/**
 * The links of an entry that lead down the chain whatever its transaction is worth: its backlinks
 * and that to the peer list.
 */
export function linksDown({ backlinks, configuration, sequence }: Entry): Link[] {
  const links = configuration === undefined ? backlinks : [...backlinks, configuration];
  return links.filter((link) => link.sequence < sequence);
}

function notSound(detail: string): Refused {
  return refuse('EVIDENCE_NOT_REPRODUCED', detail);
}
