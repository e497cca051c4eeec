import * as z from 'zod';
import type { Instance, OpenInstance } from '../shared/adapters/aws/instance.ts';
import { logLine } from '../shared/adapters/aws/log-line.ts';
import type { Log } from '../shared/http/http-stack.ts';
import type { RegistryId } from '../shared/ledger/digest.ts';
import { limits } from '../shared/ledger/limits.ts';
import { digestSchema, sequenceSchema, validate } from '../shared/ledger/schema.ts';
import { auditAll } from '../shared/registry/audit-all.ts';
import type { AuditFinding } from '../shared/registry/audit-finding.ts';
import type { AuditPlan } from '../shared/registry/audit-progress.ts';
import { type AuditRunOutcome, runAudit } from '../shared/registry/audit-run.ts';
import { measureCertificates } from '../shared/registry/certificate-days.ts';
import { followAudit } from '../shared/registry/follow-audit.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** As the schedule of infra/stacks/replication-stack.ts calls it. */
const RUN_EVERY_MS = 15 * MINUTE_MS;

/** Entries of one registry and run: ten million are through within 30 days. */
const ENTRIES_MAX = 10_000;

/** Documents' bytes of one registry and run: 5 TiB are through within 30 days. */
const BYTES_MAX = 2 * 1024 ** 3;

/** What is under way at the end gets so long, before the function is stopped in the middle. */
const RESERVE_MS = MINUTE_MS;
/** Where nobody says how long the function may run. */
const RUN_MS = 10 * MINUTE_MS;

/** As far as Lambda's context is asked. */
interface AuditContext {
  readonly getRemainingTimeInMillis?: () => number;
}

/** What an operator asks for by hand: these entries, with their documents' bytes, before others. */
const orderSchema = z.strictObject({
  registryId: digestSchema,
  entries: z.array(sequenceSchema).min(1).max(limits.pageMax),
});

/** What was found, for whoever asked for it. */
export interface OrderedAudit {
  readonly outcome: AuditRunOutcome['outcome'];
  readonly findings: readonly Pick<AuditFinding, 'sequence' | 'code' | 'detail'>[];
}

/**
 * Audits a part of every registry, so that all is audited within the configured period. With an
 * event that names a registry and entries, only that registry, and these entries first. First
 * it says how long the certificates are still good for: that takes nothing, and needs no function of
 * its own.
 */
export function createAudit(open: OpenInstance, log: Log = logLine) {
  return async (event?: unknown, context?: AuditContext): Promise<OrderedAudit | undefined> => {
    const order = orderIn(event);
    const instance = await open();
    measureCertificates(instance);
    const remainingMs = context?.getRemainingTimeInMillis?.();
    const runMs = remainingMs === undefined ? RUN_MS : remainingMs - RESERVE_MS;
    const plan = {
      periodMs: instance.config.auditPeriodDays * DAY_MS,
      runEveryMs: RUN_EVERY_MS,
      entriesMax: ENTRIES_MAX,
      bytesMax: BYTES_MAX,
      deadlineMs: instance.clock.now() + runMs,
    };
    if (order !== undefined)
      return auditOrdered(instance, { ...plan, suspects: order.entries }, order.registryId, log);
    const outcomes: (readonly [RegistryId, AuditRunOutcome])[] = [];
    const round = await auditAll(instance, plan, (registryId, outcome) => {
      sayOutcome(log, registryId, outcome);
      outcomes.push([registryId, outcome]);
    });
    for (const [registryId, outcome] of outcomes) await followAudit(instance, registryId, outcome);
    log(round.left > 0 ? 'warn' : 'info', 'audit round', { ...round });
    return undefined;
  };
}

/** The schedule's events name no registry. */
function orderIn(event: unknown): z.output<typeof orderSchema> | undefined {
  if (!Object.hasOwn(Object(event), 'registryId')) return undefined;
  const read = validate(orderSchema, event);
  if (read.outcome === 'refused')
    throw new Error(`expected {"registryId": "…", "entries": [2]}: ${read.detail}`);
  return read.value;
}

async function auditOrdered(
  instance: Instance,
  plan: AuditPlan,
  registryId: RegistryId,
  log: Log,
): Promise<OrderedAudit> {
  const outcome = await runAudit(instance, registryId, plan);
  sayOutcome(log, registryId, outcome);
  await followAudit(instance, registryId, outcome);
  return { outcome: outcome.outcome, findings: findingsOf(outcome) };
}

function findingsOf(outcome: AuditRunOutcome): OrderedAudit['findings'] {
  const found =
    'findings' in outcome ? outcome.findings : 'finding' in outcome ? [outcome.finding] : [];
  return found.map(({ sequence, code, detail }) => ({ sequence, code, detail }));
}

function sayOutcome(log: Log, registryId: RegistryId, outcome: AuditRunOutcome): void {
  switch (outcome.outcome) {
    case 'unknown-registry':
    case 'copy-changed':
      log('info', 'not audited', { registryId, outcome: outcome.outcome });
      return;
    case 'damaged': {
      const { code, detail } = outcome.finding;
      log('error', 'not audited', { registryId, outcome: outcome.outcome, code, detail });
      return;
    }
    case 'table-changed':
    case 'audited':
      log(levelOf(outcome), 'audited', { registryId, ...factsOf(outcome) });
      return;
  }
}

type Audited = Extract<AuditRunOutcome, { outcome: 'audited' | 'table-changed' }>;

function levelOf({ outcome, findings, peers, late }: Audited): 'info' | 'warn' | 'error' {
  const wrong = findings.length > 0 || peers.differing.length > 0;
  if (wrong || outcome === 'table-changed' || peers.rolledBack !== undefined) return 'error';
  return late ? 'warn' : 'info';
}

function factsOf({ findings, peers, late, ...counts }: Audited) {
  return {
    ...counts,
    late: String(late),
    findings: findings.length,
    peersAnswered: peers.answered,
    peersDiffering: peers.differing.length,
  };
}
