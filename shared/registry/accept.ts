import type { RegistryId } from '../ledger/digest.ts';
import { type Refused, refuse } from '../ledger/errors.ts';
import { payloadOf, readDecision } from '../ledger/jws.ts';
import { type Acceptance, acceptanceSchema } from '../ledger/resolution.ts';
import { type ConcludePorts, conclude } from './conclude.ts';
import type { KeptStatement } from './conflict-record.ts';
import { allResolutions, keptStatement } from './kept-statements.ts';
import { flawOfOrder, type Order } from './resolve.ts';
import { readStanding } from './standing.ts';

/**
 * Where the lead is the accused, each mirror stays blocked until its own operator has accepted what
 * the lead's operator decided: protocol section 7.
 *
 * 1. Read the operator's signature; hold it against the resolution in force.  Nothing is touched.
 * 2. Sign the same payload, keep both and give them their place in the log, in one write.
 * 3. Close what is resolved by it.  A crash before it: the sweep does it.
 */

export type AcceptOutcome =
  | { readonly outcome: 'accepted' | 'held'; readonly kept: KeptStatement }
  | { readonly outcome: 'unknown-registry' }
  | Refused;

export async function accept(
  ports: ConcludePorts,
  registryId: RegistryId,
  order: Order,
): Promise<AcceptOutcome> {
  const { store, signer, clock } = ports;
  const decided = readDecision(order.decision, acceptanceSchema);
  if (decided.outcome === 'refused') return decided;
  const { statement, compact } = decided;
  const foreign = flawOfOrder(signer, registryId, order, statement);
  if (foreign !== undefined) return foreign;
  const head = await store.head(registryId);
  if (head === undefined) return { outcome: 'unknown-registry' };
  const { resolution } = statement;
  const held = (await store.kept(registryId)).find(
    (kept) => kept.kind === 'acceptance' && isOwnOf(kept, resolution, signer.knownIds),
  );
  if (held !== undefined) return { outcome: 'held', kept: held };
  const known = await allResolutions(store, registryId);
  if (!known.some(({ digest }) => digest === resolution))
    return refuse('RESOLUTION_UNKNOWN', `no resolution ${resolution} has arrived here`);
  const { open } = await readStanding(ports, head);
  const awaiting = open.some(
    (conflict) => conflict.resolution?.digest === resolution && conflict.awaitsAcceptance,
  );
  if (!awaiting)
    return refuse(
      'ACCEPTANCE_NOT_NEEDED',
      `no open conflict here waits for the acceptance of ${resolution}: it accuses somebody else, ` +
        'or another resolution has taken its place',
    );
  const recordedAt = new Date(clock.now()).toISOString();
  const signed = signer.sign(statement);
  const kept = keptStatement('acceptance', signed, { recordedAt, decision: compact });
  await store.keep(registryId, kept, 'own');
  await conclude(ports, registryId);
  return { outcome: 'accepted', kept };
}

function isOwnOf(
  { statement }: KeptStatement,
  resolution: string,
  own: readonly string[],
): boolean {
  const said = payloadOf(statement) as Acceptance;
  return said.resolution === resolution && own.includes(said.signer);
}
