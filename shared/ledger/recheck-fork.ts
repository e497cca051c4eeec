import type { Link } from './backlinks.ts';
import { sameLink } from './chain.ts';
import { checkpointSchema } from './checkpoint.ts';
import { readConfirmation } from './confirmation.ts';
import type { ConflictStatement } from './conflict.ts';
import type { Digest } from './digest.ts';
import { type Entry, linkTo, readEntry } from './entry.ts';
import { type Refused, refuse } from './errors.ts';
import type { EvidenceOf, ForkChain } from './evidence.ts';
import { readStatement } from './jws.ts';

/**
 * Whether one lead signed two chains that say different things of one place: protocol section 7.
 * Nothing but both checkpoints and the bytes on the way down is needed, and nobody is trusted. That
 * the accused led there is said by the peer lists, which the caller has.
 */
export function checkFork(
  conflict: ConflictStatement,
  { chains }: EvidenceOf<'fork'>,
): Refused | undefined {
  const [one, other] = [provenBy(conflict, chains[0]), provenBy(conflict, chains[1])];
  if (one.outcome === 'refused') return one;
  if (other.outcome === 'refused') return other;
  if (one.copy !== other.copy)
    return refuse(
      'EVIDENCE_NOT_REPRODUCED',
      `the checkpoints are of the copies ${one.copy} and ${other.copy}; a fork is within one copy`,
    );
  const [first, second, ...others] = conflict.digests;
  const disagree =
    first !== undefined && second !== undefined && first !== second && others.length === 0;
  const shown = (a: Proven, b: Proven) =>
    disagree && a.digests.includes(first) && b.digests.includes(second);
  if (shown(one, other) || shown(other, one)) return undefined;
  return refuse(
    'EVIDENCE_NOT_REPRODUCED',
    `for entry ${conflict.sequence} the chains lead to ${one.digests.join(' and ')} and to ` +
      `${other.digests.join(' and ')}; claimed is ${conflict.digests.join(' against ')}`,
  );
}

interface Proven {
  readonly outcome: 'proven';
  readonly copy: number;
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
  if (confirmation !== undefined) {
    const confirmed = readConfirmation(registryId, confirmation, checkpoint);
    if (confirmed.outcome === 'refused')
      return notSound(`a confirmation: ${confirmed.code}: ${confirmed.detail}`);
  }
  const top = { digest: statement.digest, sequence: statement.sequence };
  const reached = walk({ registryId, sequence }, top, path);
  if ('outcome' in reached) return reached;
  const digests = reached.filter((link) => link.sequence === sequence).map((link) => link.digest);
  if (digests.length === 0) return notSound(`a chain does not lead to entry ${sequence}`);
  return { outcome: 'proven', copy: statement.copy, digests };
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
