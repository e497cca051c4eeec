import type { RegistryId } from '../ledger/digest.ts';
import type { Closing } from '../ledger/resolution.ts';
import type { KeptStatement } from './conflict-record.ts';
import { keptStatement } from './kept-statements.ts';
import { type ResolvePorts, tried } from './resolve.ts';

/**
 * Closing a registry at this instance, for good: protocol section 7. Where the lead is lost or not
 * to be trusted, the peers sign over their last common head, and a successor names it.
 *
 * One write puts the signed closing, its place in the log, and the head that takes nothing any more.
 * A crash before it leaves the registry as it was.
 */

export type CloseOutcome =
  | { readonly outcome: 'closed' | 'held'; readonly kept: KeptStatement }
  | { readonly outcome: 'unknown-registry' }
  | { readonly outcome: 'busy' };

const ATTEMPTS_MAX = 8;

/** The caller is an operator of this instance. */
export async function close(ports: ResolvePorts, registryId: RegistryId): Promise<CloseOutcome> {
  const { store, signer, clock } = ports;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const head = await store.head(registryId);
    if (head === undefined) return { outcome: 'unknown-registry' };
    const { sequence, digest } = head;
    const statement: Closing = {
      format: 'registry/closing/v1',
      registryId,
      signer: signer.certificateId,
      sequence,
      digest,
    };
    const recordedAt = new Date(clock.now()).toISOString();
    const kept = keptStatement('closing', signer.sign(statement), { recordedAt });
    if (head.closed === true) {
      const held = (await store.kept(registryId)).find((each) => each.digest === kept.digest);
      return { outcome: 'held', kept: held ?? kept };
    }
    const { resolution: _resolution, filling: _filling, ...rest } = head;
    const next = {
      ...rest,
      conflictsVersion: head.conflictsVersion + 1,
      openConflicts: [],
      closed: true as const,
    };
    const settlement = { registryId, expected: head, head: next, kept, origin: 'own' } as const;
    const written = await tried(() => store.settle(settlement));
    if (written === 'settled') return { outcome: 'closed', kept };
  }
  return { outcome: 'busy' };
}
