import { sameLink } from '../ledger/chain.ts';
import { checkpointSchema } from '../ledger/checkpoint.ts';
import type { ConflictStatement } from '../ledger/conflict.ts';
import type { Digest, RegistryId } from '../ledger/digest.ts';
import { readStatement } from '../ledger/jws.ts';
import { limits } from '../ledger/limits.ts';
import { forkEvidence, ownChain } from './gather-evidence.ts';
import { allResolutions, allSetAsides } from './kept-statements.ts';
import type { Confirmation, Head, LedgerStore } from './ports.ts';
import { type ConflictPorts, type Disagreement, reportConflict } from './report-conflict.ts';
import { statedConflicts } from './standing.ts';

/**
 * What a mirror confirmed in an earlier copy binds it in the next one: protocol section 7. A lead
 * that delivers something else after a set-aside than before has told two stories.
 */

/** Whether this instance's own copy is in dispute, and was not set aside: then it signs nothing. */
export async function isOwnCopyDisputed(
  { store, signer }: Pick<ConflictPorts, 'store' | 'signer'>,
  head: Head,
): Promise<boolean> {
  if (head.openConflicts.length === 0) return false;
  const open = await statedConflicts(store, head);
  const own = open.filter(({ said }) => isAboutOwnCopy(said, signer.knownIds));
  if (own.length === 0) return false;
  const replaced = await conflictsLeftBehind(store, signer.knownIds, head.registryId);
  return own.some(({ conflictId }) => !replaced.has(conflictId));
}

/** Conflicts for which this instance has begun another copy: by a set-aside, or by a take-back. */
async function conflictsLeftBehind(
  store: LedgerStore,
  own: readonly string[],
  registryId: RegistryId,
): Promise<Set<Digest>> {
  const setAsides = await allSetAsides(store, registryId);
  const takeBacks = (await allResolutions(store, registryId))
    .map(({ resolution }) => resolution)
    .filter(({ manner }) => manner === 'take-back');
  const begun = [...setAsides, ...takeBacks].filter(({ signer }) => own.includes(signer));
  return new Set(begun.flatMap(({ conflicts }) => conflicts));
}

function isAboutOwnCopy({ kind, accused }: ConflictStatement, own: readonly string[]): boolean {
  return kind === 'local-tampering' && own.includes(accused);
}

/**
 * Opens a fork where entries of this copy, of these sequences, are not what this instance confirmed
 * in an earlier one, unless people decided on both branches. True: one was opened.
 */
export async function findChangedStory(
  ports: ConflictPorts,
  head: Head,
  { from, through }: { readonly from: number; readonly through: number },
): Promise<boolean> {
  if (head.copy === 1) return false;
  for await (const earlier of earlierConfirmations(ports, head, from)) {
    if (earlier.sequence > through) continue;
    if (await isChanged(ports, head, earlier)) return true;
  }
  return false;
}

/** This instance's own, of earlier copies, from that sequence on. */
async function* earlierConfirmations(
  { store, signer }: Pick<ConflictPorts, 'store' | 'signer'>,
  { registryId, copy }: Head,
  from: number,
): AsyncGenerator<Confirmation> {
  for (const own of signer.knownIds) {
    let next: number | undefined = from;
    while (next !== undefined) {
      const some: Confirmation[] = await store.confirmations(registryId, own, next, limits.pageMax);
      yield* some.filter((confirmation) => confirmation.copy < copy);
      const last: Confirmation | undefined = some.at(-1);
      next = last === undefined || some.length < limits.pageMax ? undefined : last.sequence + 1;
    }
  }
}

async function isChanged(
  ports: ConflictPorts,
  head: Head,
  earlier: Confirmation,
): Promise<boolean> {
  const { registryId, copy } = head;
  const { sequence, digest } = earlier;
  const [now] = await ports.store.entries(registryId, copy, { from: sequence, count: 1 });
  if (now === undefined || now.digest === digest) return false;
  if (await hasGivenWay(ports.store, head, earlier)) return false;
  const chain = await ownChain(ports, head, sequence);
  const read = readStatement(earlier.checkpoint, checkpointSchema);
  if (chain === undefined || read.outcome === 'refused') return false;
  const { checkpoint, statement: confirmation } = earlier;
  const before = { checkpoint, confirmation, path: [] };
  const disagreement: Disagreement = {
    kind: 'fork',
    accused: read.statement.signer,
    sequence,
    digests: [digest, now.digest],
    evidence: forkEvidence(registryId, sequence, [before, chain]),
    detail: `entry ${sequence} was confirmed with ${digest}; delivered again it is ${now.digest}`,
  };
  await reportConflict(ports, registryId, disagreement);
  return true;
}

/** A resolution names both branches of a fork: the older copy held one of them, this one the other. */
async function hasGivenWay(
  store: LedgerStore,
  head: Head,
  { sequence, copy }: Confirmation,
): Promise<boolean> {
  const known = await allResolutions(store, head.registryId);
  const branches = known
    .filter(({ resolution }) => resolution.manner === 'replay')
    .flatMap(({ resolution }) => resolution.entries)
    .filter((link) => link.sequence <= sequence);
  for (const link of branches) {
    const range = { from: link.sequence, count: 1 };
    const [before] = await store.entries(head.registryId, copy, range);
    const [now] = await store.entries(head.registryId, head.copy, range);
    if (!sameLink(before, link) || now === undefined || sameLink(now, link)) continue;
    if (branches.some((other) => sameLink(now, other))) return true;
  }
  return false;
}
