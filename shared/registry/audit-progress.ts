import { isSequence, type RegistryId } from '../ledger/digest.ts';
import type { AuditFinding } from './audit-finding.ts';
import type { Head } from './ports.ts';

/**
 * How far the scheduled audit has come with one registry, and how much of it is due. Whoever can
 * write to the table itself can forge this item and so have entries left out; the tail, the head and
 * the peers are looked at in every run, whatever it says.
 */
export interface AuditProgressItem {
  readonly registryId: RegistryId;
  /** The copy that is audited: another one is begun anew. */
  readonly copy: number;
  /** The next run goes on with this entry. */
  readonly nextFrom: number;
  readonly passStartedAt: string;
  /** Whether this pass reads documents' bytes. */
  readonly readsBytes: boolean;
  /** When the newest pass began that does. */
  readonly bytesPassStartedAt: string;
  readonly lastRunAt: string;
  /** Passes that came to the head. */
  readonly passes: number;
  /** Of all runs; what is found again counts again. */
  readonly findings: number;
  /** Reports about documents' bytes, as recorded until then, were looked into in this copy. */
  readonly disputesThrough?: string;
  /** The report that was looked into last: the next run begins after it. */
  readonly disputeLast?: DisputePlace;
  /** What was said loudly since this instance is no peer any more, each once. */
  readonly saidAsFormer?: readonly string[];
  readonly lastFinding?: Pick<AuditFinding, 'sequence' | 'code' | 'detail'> & {
    readonly foundAt: string;
  };
}

/** Where a report about a document's bytes stands among the others. */
export interface DisputePlace {
  readonly recordedAt: string;
  readonly sequence: number;
}

/** What one run may take, and what all of them together have to do. */
export interface AuditPlan {
  /** Every entry and every byte is read again within this time. */
  readonly periodMs: number;
  /** From one run to the next. */
  readonly runEveryMs: number;
  /** Entries of one run, beside the newest ones. */
  readonly entriesMax: number;
  /** Documents' bytes of one run; a single larger document is read all the same. */
  readonly bytesMax: number;
  /** Nothing is begun after it. By the clock of the ports, in milliseconds since 1970. */
  readonly deadlineMs: number;
  /** Entries that somebody has found wrong by other means: read before all others. */
  readonly suspects?: readonly number[];
}

/** A run takes so many entries, also where fewer would do. */
const ENTRIES_MIN = 100;

/** What one run is to do. */
export interface AuditSlice {
  /** As the run finds it, or a new one. */
  readonly progress: AuditProgressItem;
  readonly from: number;
  readonly through: number;
  /** Whether documents' bytes are read again in this pass. */
  readonly bytes: boolean;
}

/**
 * The entries that are due: so many that at this pace the pass ends within the period. A short
 * ledger is through long before. Then a new pass begins, which looks at documents' sizes only, until
 * half of the period is over: so no byte waits for longer than the period, and few are read twice.
 */
export function sliceDue(
  stored: AuditProgressItem | undefined,
  head: Head,
  plan: AuditPlan,
  nowMs: number,
): AuditSlice {
  const known = stored !== undefined && isOf(stored, head, nowMs);
  const progress = known ? stored : begun(head, stored, nowMs);
  const from = progress.nextFrom;
  const elapsedMs = nowMs - Date.parse(progress.passStartedAt) + plan.runEveryMs;
  const due = Math.ceil((head.sequence * elapsedMs) / plan.periodMs) - (from - 1);
  const count = Math.min(plan.entriesMax, Math.max(ENTRIES_MIN, due));
  return {
    progress,
    from,
    through: Math.min(head.sequence, from + count - 1),
    bytes: progress.readsBytes,
  };
}

/** What is stored may be anything, or of a head that was restored since. */
function isOf({ copy, nextFrom, passStartedAt }: AuditProgressItem, head: Head, nowMs: number) {
  const began = Date.parse(passStartedAt);
  const within = isSequence(nextFrom) && nextFrom <= head.sequence;
  return copy === head.copy && within && began <= nowMs;
}

/** A pass from entry 1 on, with what counts beyond a pass. */
export function begun(
  { registryId, copy }: Head,
  stored: AuditProgressItem | undefined,
  nowMs: number,
): AuditProgressItem {
  const now = new Date(nowMs).toISOString();
  return {
    ...(stored?.lastFinding === undefined ? {} : { lastFinding: stored.lastFinding }),
    ...(stored?.saidAsFormer === undefined ? {} : { saidAsFormer: stored.saidAsFormer }),
    registryId,
    copy,
    nextFrom: 1,
    passStartedAt: now,
    readsBytes: true,
    bytesPassStartedAt: now,
    lastRunAt: now,
    passes: stored?.passes ?? 0,
    findings: stored?.findings ?? 0,
  };
}

/** What a run leaves: through which entry it came, and what it found. */
export interface AuditRunEnd {
  /** The entries before this one are audited. */
  readonly next: number;
  readonly disputes: Pick<AuditProgressItem, 'disputesThrough' | 'disputeLast'>;
  readonly saidAsFormer?: readonly string[] | undefined;
  readonly findings: readonly AuditFinding[];
}

/** The progress after the run. A pass that came to the head is followed by the next one. */
export function progressAfter(
  { progress }: AuditSlice,
  head: Head,
  { next, findings, disputes, saidAsFormer }: AuditRunEnd,
  { nowMs, periodMs }: { readonly nowMs: number; readonly periodMs: number },
): AuditProgressItem {
  const now = new Date(nowMs).toISOString();
  const found = findings[0];
  const { saidAsFormer: _before, ...kept } = progress;
  const after = {
    ...kept,
    nextFrom: next,
    lastRunAt: now,
    findings: progress.findings + findings.length,
    ...disputes,
    ...(saidAsFormer === undefined ? {} : { saidAsFormer }),
    ...(found === undefined ? {} : { lastFinding: noted(found, now) }),
  };
  if (next <= head.sequence) return after;
  const readsBytes = nowMs - Date.parse(progress.bytesPassStartedAt) >= periodMs / 2;
  return {
    ...after,
    nextFrom: 1,
    passes: progress.passes + 1,
    passStartedAt: now,
    readsBytes,
    bytesPassStartedAt: readsBytes ? now : progress.bytesPassStartedAt,
  };
}

function noted({ sequence, code, detail }: AuditFinding, foundAt: string) {
  return { sequence, code, detail, foundAt };
}
