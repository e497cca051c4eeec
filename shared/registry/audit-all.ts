import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { limits } from '../ledger/limits.ts';
import type { AuditPlan } from './audit-progress.ts';
import { type AuditRunOutcome, type AuditRunPorts, runAudit } from './audit-run.ts';
import { orDamage } from './or-damage.ts';
import type { LedgerStore } from './ports.ts';
import { StoredDamage } from './stored-damage.ts';

/** What one round came to. */
export interface AuditRound {
  readonly audited: number;
  /** Registries that there was no time for; they come first in the next round. */
  readonly left: number;
}

/**
 * One run for each registry of the instance, one after the other, as far as there is time; who has
 * waited longest comes first. `said` is told each outcome. What fails for one registry does not keep
 * the others from being audited; it is thrown at the end.
 */
export async function auditAll(
  ports: AuditRunPorts,
  plan: AuditPlan,
  said: (registryId: RegistryId, outcome: AuditRunOutcome) => void,
): Promise<AuditRound> {
  const waiting = await longestWaitingFirst(ports.store);
  const away = new Set<CertificateId>();
  const errors: Error[] = [];
  let audited = 0;
  for (const registryId of waiting) {
    if (ports.clock.now() >= plan.deadlineMs) break;
    try {
      said(registryId, await runAudit(ports, registryId, plan, away));
    } catch (error) {
      errors.push(error instanceof Error ? error : new Error('unknown'));
    }
    audited += 1;
  }
  const [first] = errors;
  if (first === undefined) return { audited, left: waiting.length - audited };
  throw new AggregateError(
    errors,
    `${errors.length} of ${audited} registries could not be audited; the first: ${first.message}`,
  );
}

async function longestWaitingFirst(store: LedgerStore): Promise<RegistryId[]> {
  const waiting: { readonly registryId: RegistryId; readonly since: string }[] = [];
  let after: RegistryId | undefined;
  do {
    const page = await store.registries(after, limits.pageMax);
    const found = page.map(async (registryId) => {
      const progress = await orDamage(() => store.auditProgress(registryId));
      const known = progress instanceof StoredDamage ? undefined : progress;
      return { registryId, since: known?.lastRunAt ?? '' };
    });
    waiting.push(...(await Promise.all(found)));
    after = page.at(-1);
  } while (after !== undefined);
  // The sort is stable: those that never ran come in the order of their ids.
  return waiting
    .sort((a, b) => (a.since < b.since ? -1 : a.since > b.since ? 1 : 0))
    .map(({ registryId }) => registryId);
}
