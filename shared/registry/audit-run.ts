import { leadOf } from '../ledger/chain.ts';
import type { CertificateId, RegistryId } from '../ledger/digest.ts';
import { limits } from '../ledger/limits.ts';
import { beginningAfter, type Disputed, disputedSince, lookedThrough } from './audit-disputed.ts';
import {
  AuditBudget,
  auditBytes,
  auditSizes,
  type Holding,
  readHolding,
} from './audit-documents.ts';
import { type AuditedCopy, auditEntries } from './audit-entries.ts';
import {
  type AuditFinding,
  damageAt,
  Findings,
  raiseFinding,
  raiseOnce,
  recordFindings,
} from './audit-finding.ts';
import { auditHead } from './audit-head.ts';
import {
  type AuditPlan,
  type AuditProgressItem,
  type AuditRunEnd,
  type AuditSlice,
  begun,
  progressAfter,
  sliceDue,
} from './audit-progress.ts';
import { type ComparePorts, type Comparison, compareWithPeers } from './compare-with-peers.ts';
import { hasLeft, laterInvitation } from './newest-list.ts';
import { orDamage } from './or-damage.ts';
import type { Head, LedgerStore } from './ports.ts';
import type { SoundEntry } from './sound-entries.ts';
import { StoredDamage } from './stored-damage.ts';

/**
 * One run of the scheduled audit of one registry: everything that this instance stores is read again
 * within a period, the newest in every run.
 *
 * 1. Read the head, and how far the run before came.
 * 2. Audit the newest entries, and the head item against them.
 * 3. Compare with the peers.
 * 4. Audit what is under suspicion, with its bytes: entries that somebody names, and documents whose
 *    bytes a peer got from nobody, for half of the run at most.
 * 5. Go on with the pass: so many entries as are due, as far as time and bytes go.
 * 6. Say what was found, and record it as a conflict of this instance with itself.  A crash before
 *    it: the same is found again.
 * 7. Note how far it came.  A crash before it repeats the slice.
 *
 * Where this instance is no peer any more, nobody is asked, each finding is said loudly once, and it is
 * no conflict: it stops nobody, and nobody could decide on it.
 *
 * Rejects where the store does: nothing is noted then, and the next run tries the same again.
 */

export type AuditRunPorts = ComparePorts;

export interface AuditRunReport {
  /** The slice: `through` is before `from` where there was no time for it. */
  readonly from: number;
  readonly through: number;
  /** Entries that were audited, the newest among them. */
  readonly entries: number;
  readonly confirmations: number;
  /** Versions whose bytes were read, and their bytes. */
  readonly documents: number;
  readonly bytes: number;
  readonly findings: readonly AuditFinding[];
  readonly peers: Comparison;
  /** Passes that came to the head so far. */
  readonly passes: number;
  /** The pass takes longer than the period: too little time, or too many bytes. */
  readonly late: boolean;
}

export type AuditRunOutcome =
  | ({
      /**
       * `table-changed`: this instance leads, and its head was written in another table. It was
       * restored from a backup, and must not append before that is resolved.
       */
      readonly outcome: 'audited' | 'table-changed';
    } & AuditRunReport)
  /** Another copy, or another object of a document, counts meanwhile: nothing of this run does. */
  | { readonly outcome: 'copy-changed' }
  /** What was to be read first cannot be read: the head, or what was noted beside the ledger. */
  | { readonly outcome: 'damaged'; readonly finding: AuditFinding }
  | { readonly outcome: 'unknown-registry' };

/** Peers that did not answer in an earlier run of the same round; grows. */
export type Away = Set<CertificateId>;

/** Audits what is due of one registry, and records what is wrong. */
export async function runAudit(
  ports: AuditRunPorts,
  registryId: RegistryId,
  plan: AuditPlan,
  away: Away = new Set(),
): Promise<AuditRunOutcome> {
  const head = await orDamage(() => ports.store.head(registryId));
  if (head === undefined) return { outcome: 'unknown-registry' };
  // There is no head to put a conflict on: whatever writes to this registry fails anyhow.
  if (head instanceof StoredDamage) return damaged(ports, registryId, damageAt(1, head));
  const outcome = await orDamage(() => auditFromHead(ports, head, plan, away));
  if (!(outcome instanceof StoredDamage)) return outcome;
  const finding = damageAt(head.sequence, outcome);
  if (await isFormer(ports, head)) await sayAsFormer(ports, head, finding);
  else await recordFindings(ports, registryId, [finding]);
  return { outcome: 'damaged', finding };
}

/** Where the invitation cannot be read either, a peer is taken for one: it says what it finds. */
async function isFormer(ports: AuditRunPorts, head: Head): Promise<boolean> {
  return (await orDamage(() => hasLeft(ports, head))) === true;
}

/** Says it once, and notes that beside how far the audit came: nothing else of the run counts. */
async function sayAsFormer(
  { store, alarms, clock }: AuditRunPorts,
  head: Head,
  finding: AuditFinding,
): Promise<void> {
  const { registryId } = head;
  const stored = await orDamage(() => store.auditProgress(registryId));
  const progress = stored instanceof StoredDamage ? undefined : stored;
  const saidAsFormer = raiseOnce(alarms, registryId, [finding], progress?.saidAsFormer);
  const noted = progress ?? begun(head, undefined, clock.now());
  await store.putAuditProgress({ ...noted, saidAsFormer });
}

function damaged(
  { alarms }: AuditRunPorts,
  registryId: RegistryId,
  finding: AuditFinding,
): AuditRunOutcome {
  raiseFinding(alarms, registryId, finding);
  return { outcome: 'damaged', finding };
}

async function auditFromHead(
  ports: AuditRunPorts,
  head: Head,
  plan: AuditPlan,
  away: Away,
): Promise<AuditRunOutcome> {
  const { store, clock, signer } = ports;
  const { registryId } = head;
  const beganMs = clock.now();
  const slice = sliceDue(await progressOf(ports, head), head, plan, beganMs);
  const run = await RegistryAudit.begin(ports, head, plan);
  await run.auditNewest();
  const former = await hasLeft(ports, head);
  const peers = former ? NOBODY_ASKED : await run.compare({ deadlineMs: plan.deadlineMs, away });
  await run.auditSuspects(plan.suspects ?? []);
  const disputes = await run.auditDisputed(slice.progress, beganMs);
  const next = await run.auditSlice(slice);
  const findings = run.findings;
  if (findings.length > 0 && (await isAnother(store, head))) return { outcome: 'copy-changed' };
  const saidAsFormer = former
    ? raiseOnce(ports.alarms, registryId, findings, slice.progress.saidAsFormer)
    : undefined;
  if (!former) await recordFindings(ports, registryId, findings);
  const times = { nowMs: clock.now(), periodMs: plan.periodMs };
  const after = progressAfter(slice, head, { next, findings, disputes, saidAsFormer }, times);
  await store.putAuditProgress(after);
  const restored =
    signer.knownIds.includes(leadOf(head.configuration)) &&
    head.tableId !== (await store.tableId());
  return {
    outcome: restored ? 'table-changed' : 'audited',
    ...run.report,
    from: slice.from,
    through: next - 1,
    findings,
    peers,
    passes: after.passes,
    late: times.nowMs - Date.parse(slice.progress.passStartedAt) > plan.periodMs,
  };
}

/** Whether another copy, or another object of a document, counts by now. */
async function isAnother(store: LedgerStore, { registryId, copy, contents }: Head) {
  const now = await store.head(registryId);
  return now?.copy !== copy || JSON.stringify(now.contents) !== JSON.stringify(contents);
}

/** An item that cannot be read is told, and a pass begun anew: it proves nothing. */
async function progressOf(
  { store, alarms }: AuditRunPorts,
  { registryId, sequence }: Head,
): Promise<AuditProgressItem | undefined> {
  const progress = await orDamage(() => store.auditProgress(registryId));
  if (!(progress instanceof StoredDamage)) return progress;
  raiseFinding(alarms, registryId, damageAt(sequence, progress));
  return undefined;
}

const NOBODY_ASKED: Comparison = { answered: 0, differing: [] };

/** So many of the newest entries are audited in every run. */
const NEWEST = limits.pageMax;

interface DocumentsRead {
  /** Whether their bytes are read, and not only their sizes. */
  readonly bytes: boolean;
  readonly newest: boolean;
  readonly budget?: AuditBudget;
}

class RegistryAudit {
  readonly #ports: AuditRunPorts;
  readonly #copy: AuditedCopy;
  readonly #holding: Holding;
  readonly #budget: AuditBudget;
  /** What of it documents in dispute may take, once it is their turn. */
  #disputes: AuditBudget;
  readonly #findings = new Findings();
  /** The newest entries, audited but for their documents' bytes. */
  #newest: readonly SoundEntry[] = [];
  #entries = 0;
  #confirmations = 0;

  static async begin(ports: AuditRunPorts, head: Head, plan: AuditPlan): Promise<RegistryAudit> {
    const { store } = ports;
    const invitation = await laterInvitation(store, head);
    const everPeers = new Set([...head.everPeers, ...(invitation?.everPeers ?? [])]);
    const holding = await readHolding(ports, head);
    return new RegistryAudit(ports, { store, head, everPeers }, [holding, plan]);
  }

  constructor(
    ports: AuditRunPorts,
    copy: AuditedCopy,
    [holding, plan]: readonly [Holding, AuditPlan],
  ) {
    this.#ports = ports;
    this.#copy = copy;
    this.#holding = holding;
    this.#budget = new AuditBudget(ports.clock, plan);
    this.#disputes = this.#budget.half();
  }

  get findings(): AuditFinding[] {
    return this.#findings.all;
  }

  get report() {
    const [own, half] = [this.#budget, this.#disputes];
    return {
      entries: this.#entries,
      confirmations: this.#confirmations,
      documents: own.documents + half.documents,
      bytes: own.bytes + half.bytes,
    };
  }

  get #newestFrom(): number {
    return Math.max(1, this.#copy.head.sequence - NEWEST + 1);
  }

  async auditNewest(): Promise<void> {
    this.#newest = await this.#audit(this.#newestFrom, this.#copy.head.sequence);
    await auditSizes(this.#ports.blobs, this.#holding, this.#newest, this.#findings);
    await auditHead(this.#copy, this.#findings);
  }

  /** A copy that is being filled is behind its peers, and is compared when it is whole. */
  async compare(bounds: Parameters<typeof compareWithPeers>[2]): Promise<Comparison> {
    const { head } = this.#copy;
    if (head.filling !== undefined) return NOBODY_ASKED;
    return compareWithPeers(this.#ports, head, bounds, this.#findings);
  }

  /** The entry that the next run goes on with. */
  async auditSlice({ from, through, bytes }: AuditSlice): Promise<number> {
    let next = from;
    while (next <= through && !this.#budget.isOver) {
      const newest = next >= this.#newestFrom;
      const last = newest ? through : Math.min(through, this.#newestFrom - 1);
      const end = Math.min(last, next + limits.pageMax - 1);
      const page = newest ? this.#newestIn(next, end) : await this.#audit(next, end);
      const stopped = await this.#auditDocuments(page, { bytes, newest });
      if (stopped !== undefined) return stopped;
      next = end + 1;
    }
    return next;
  }

  /** As many of these entries as there is room for, with their documents' bytes. */
  async auditSuspects(sequences: readonly number[]): Promise<void> {
    for (const sequence of sequences) if (!(await this.#auditWhole(sequence))) return;
  }

  /** Looks into the reports that are due. How far that came. */
  async auditDisputed(
    { disputesThrough: since, disputeLast }: AuditProgressItem,
    beganMs: number,
  ): Promise<AuditRunEnd['disputes']> {
    const { store, head } = this.#copy;
    const disputed = await orDamage(() => disputedSince(store, head, since));
    if (disputed instanceof StoredDamage) {
      this.#findings.add(damageAt(head.sequence, disputed));
      return {};
    }
    const half = this.#budget.half();
    this.#disputes = half;
    const read = new Set<number>();
    const looked = new Set<Disputed>();
    let last = disputeLast;
    for (const each of beginningAfter(disputed, disputeLast)) {
      const { sequence, recordedAt } = each;
      const whole = read.has(sequence) || (await this.#auditWhole(sequence, half));
      // One that half of a run is too short for is passed over: the pass comes to it.
      if (whole || read.size === 0) last = { sequence, recordedAt };
      if (!whole) break;
      read.add(sequence);
      looked.add(each);
    }
    this.#budget.charge(half);
    const disputesThrough = lookedThrough(disputed, looked, beganMs);
    return {
      ...(disputesThrough === undefined ? {} : { disputesThrough }),
      ...(last === undefined ? {} : { disputeLast: last }),
    };
  }

  /** False: there is no room for it any more. One beyond the head has nothing to be read. */
  async #auditWhole(sequence: number, budget = this.#budget): Promise<boolean> {
    if (sequence > this.#copy.head.sequence) return true;
    if (budget.isOver) return false;
    const newest = sequence >= this.#newestFrom;
    const page = newest
      ? this.#newestIn(sequence, sequence)
      : await this.#audit(sequence, sequence);
    return (await this.#auditDocuments(page, { bytes: true, newest, budget })) === undefined;
  }

  #newestIn(from: number, through: number): readonly SoundEntry[] {
    return this.#newest.filter(
      ({ stored: { sequence } }) => sequence >= from && sequence <= through,
    );
  }

  async #audit(from: number, through: number): Promise<readonly SoundEntry[]> {
    const { sound, confirmations } = await auditEntries(
      this.#copy,
      { from, through },
      this.#findings,
    );
    this.#entries += through - from + 1;
    this.#confirmations += confirmations;
    return sound;
  }

  /** The entry whose document there is no room for any more. */
  async #auditDocuments(
    page: readonly SoundEntry[],
    { bytes, newest, budget = this.#budget }: DocumentsRead,
  ): Promise<number | undefined> {
    const { blobs } = this.#ports;
    if (bytes) return auditBytes(blobs, [this.#holding, budget], page, this.#findings);
    if (!newest) await auditSizes(blobs, this.#holding, page, this.#findings);
    return undefined;
  }
}
