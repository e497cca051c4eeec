/** Peer lists without some of their peers: held against the ledger's rules before anything is signed. */
import { checkCarriesOut } from '../ledger/carry-out.ts';
import type { ConflictStatement } from '../ledger/conflict.ts';
import type { CertificateId } from '../ledger/digest.ts';
import { registryAnswer } from './answers.ts';
import { prepare } from './appending.ts';
import type { CallOptions, Calls } from './calls.ts';
import { readConflict } from './conflicts.ts';
import { registryPath } from './paths.ts';
import { invalidArgument } from './problem.ts';

/** As many digits of a certificate id as are shown where there is little room. */
const SHORT = /^[0-9a-f]{8,64}$/;

/** The peers that ids, or beginnings of ids of 8 digits or more, name in a list. */
export function namedAmong(
  peers: readonly CertificateId[],
  named: readonly string[],
): CertificateId[] {
  return named.map((name) => {
    const [found, ...others] = SHORT.test(name) ? peers.filter((id) => id.startsWith(name)) : [];
    if (found === undefined)
      throw invalidArgument(
        `${name} is not in the peer list: name one of ${peers.join(', ')}, or its first 8 digits`,
      );
    if (others.length > 0) throw invalidArgument(`${name} names several peers: give all 64 digits`);
    return found;
  });
}

/** The list in force without some of its peers, in its order. */
export async function peersWithout(
  lead: Calls,
  registryId: string,
  offenders: readonly string[],
  options?: CallOptions,
): Promise<CertificateId[]> {
  const list = await peersInForce(lead, registryId, options);
  const expelled = namedAmong(list, offenders);
  return list.filter((peer) => !expelled.includes(peer));
}

async function peersInForce(
  lead: Calls,
  registryId: string,
  options?: CallOptions,
): Promise<CertificateId[]> {
  const { peers } = await lead.get(registryPath(registryId), registryAnswer, options);
  return peers.map(({ peer }) => peer);
}

/** Refuses an expulsion of these that could not be carried out for these conflicts. */
export async function requireExpellable(
  lead: Calls,
  registryId: string,
  { offenders, conflicts }: Record<'offenders' | 'conflicts', readonly string[]>,
  options?: CallOptions,
): Promise<void> {
  const peers = await peersInForce(lead, registryId, options);
  const expelled = namedAmong(peers, offenders);
  const [leader] = peers;
  if (leader !== undefined && expelled.includes(leader))
    throw invalidArgument(
      `${leader} leads, and cannot be expelled, for only the lead appends: where it is not to be ` +
        'trusted, every operator closes the registry; nothing was decided',
    );
  const reports: ConflictStatement[] = [];
  for (const conflictId of conflicts) {
    const { history } = await readConflict(lead, registryId, conflictId, options);
    for (const event of history) if (event.kind === 'report') reports.push(event.said);
  }
  const left = peers.filter((peer) => !expelled.includes(peer));
  const list = prepare([{ type: 'reconfigure-peers', members: { peers: left } }]);
  const unfit = checkCarriesOut(
    { resolution: { manner: 'expel' }, reports, peers },
    list.transactions.map(({ transaction }) => transaction),
  );
  if (unfit !== undefined) throw invalidArgument(`${unfit.detail}; nothing was decided`);
}
