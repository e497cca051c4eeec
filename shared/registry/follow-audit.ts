import type { RegistryId } from '../ledger/digest.ts';
import { askEntries } from './ask-afresh.ts';
import type { AuditRunOutcome } from './audit-run.ts';
import { type ReplicatePorts, receiveDelivery } from './replicate.ts';
import { reportTableChanged } from './report-conflict.ts';

/**
 * What an audit found beyond the own copy, and what is made of it: a table that was restored stops
 * its lead, and a peer that states another digest is asked for what it holds, which is judged like
 * any delivery (protocol sections 5 to 7).
 */
export async function followAudit(
  ports: ReplicatePorts,
  registryId: RegistryId,
  outcome: AuditRunOutcome,
): Promise<void> {
  if (outcome.outcome !== 'audited' && outcome.outcome !== 'table-changed') return;
  if (outcome.outcome === 'table-changed') {
    const head = await ports.store.head(registryId);
    if (head !== undefined) await reportTableChanged(ports, head);
  }
  for (const { peer, sequence } of outcome.peers.differing) {
    const delivery = await askEntries(ports.transport, registryId, peer, sequence);
    if (delivery !== undefined) await receiveDelivery(ports, peer, delivery);
  }
}
