import { describe, expect, test } from 'vitest';
import type { Sequence } from '../../shared/ledger/digest.ts';
import {
  type AuditProgressItem,
  progressAfter,
  sliceDue,
} from '../../shared/registry/audit-progress.ts';
import type { Head } from '../../shared/registry/ports.ts';
import { START, TestLedger, testPeer } from '../builders.ts';
import { DAY_MS, HOUR_MS, WHOLE } from './audited.ts';

const { head } = new TestLedger([testPeer()]);

function headAt(sequence: number, changes: Partial<Head> = {}): Head {
  return { ...head, sequence: sequence as Sequence, ...changes };
}

const QUARTER_MS = HOUR_MS / 4;
const PLAN = { ...WHOLE, runEveryMs: QUARTER_MS, entriesMax: 10_000 };

interface Simulated {
  /** Milliseconds between two audits of one place, at most. */
  readonly gapMs: number;
  /** The same of the documents' bytes. */
  readonly bytesGapMs: number;
  /** Entries of one run, at most. */
  readonly entriesMax: number;
}

/** The places that are looked at: a thousand, evenly over the ledger. */
const PLACES = 1000;

/** When each place was last looked at, and how long that was ago at most. */
class Places {
  readonly #seen = new Array<number>(PLACES).fill(START);
  readonly #entries: number;
  gapMs = 0;

  constructor(entries: number) {
    this.#entries = entries;
  }

  look(from: number, through: number, nowMs: number): void {
    for (let place = 0; place < PLACES; place += 1) {
      const sequence = Math.ceil(((place + 1) * this.#entries) / PLACES);
      if (sequence < from || sequence > through) continue;
      this.gapMs = Math.max(this.gapMs, nowMs - (this.#seen[place] ?? 0));
      this.#seen[place] = nowMs;
    }
  }
}

/** Runs for so many days over a ledger of that length; `isMissed` says which runs do not happen. */
function simulated(
  entries: number,
  days: number,
  isMissed: (run: number) => boolean = () => false,
): Simulated {
  const [seen, bytesSeen] = [new Places(entries), new Places(entries)];
  let entriesMax = 0;
  let progress: AuditProgressItem | undefined;
  for (let run = 0; run * QUARTER_MS < days * DAY_MS; run += 1) {
    if (isMissed(run)) continue;
    const nowMs = START + run * QUARTER_MS;
    const slice = sliceDue(progress, headAt(entries), PLAN, nowMs);
    const { from, through, bytes } = slice;
    seen.look(from, through, nowMs);
    if (bytes) bytesSeen.look(from, through, nowMs);
    entriesMax = Math.max(entriesMax, through - from + 1);
    const end = { next: through + 1, findings: [], disputes: {} };
    progress = progressAfter(slice, headAt(entries), end, { nowMs, periodMs: PLAN.periodMs });
  }
  return { gapMs: seen.gapMs, bytesGapMs: bytesSeen.gapMs, entriesMax };
}

describe('the runs of a period', () => {
  test.each([
    1, 99, 5_000, 150_000, 300_000, 1_000_000, 10_000_000,
  ])('come to every entry and every byte of %i within it', (entries) => {
    const { gapMs, bytesGapMs } = simulated(entries, 100);

    expect(gapMs).toBeLessThanOrEqual(PLAN.periodMs);
    expect(bytesGapMs).toBeLessThanOrEqual(PLAN.periodMs);
  });

  test('take as much in each as is due', () => {
    const runs = PLAN.periodMs / QUARTER_MS;

    // The first run of a pass also makes good the one that ended the pass before.
    expect(simulated(1_000_000, 60).entriesMax).toBe(Math.ceil(2 * (1_000_000 / runs)));
    expect(simulated(1_000, 60).entriesMax).toBe(100);
  });

  test('make good what was missed: two of three runs, or five days together', () => {
    const twoOfThree = simulated(1_000_000, 100, (run) => run % 3 > 0);
    const fiveDays = simulated(1_000_000, 100, (run) => run > 480 && run <= 960);

    expect(twoOfThree.gapMs).toBeLessThanOrEqual(PLAN.periodMs);
    expect(fiveDays.gapMs).toBeLessThanOrEqual(PLAN.periodMs + 5 * DAY_MS);
  });

  test('take no more than they may, so that a pass over too many takes longer', () => {
    const { entriesMax, gapMs } = simulated(100_000_000, 100);

    expect(entriesMax).toBe(10_000);
    expect(gapMs).toBeGreaterThan(PLAN.periodMs);
  });
});

describe('what is noted of an audit', () => {
  const known: AuditProgressItem = {
    registryId: head.registryId,
    copy: 1,
    nextFrom: 50,
    passStartedAt: new Date(START).toISOString(),
    readsBytes: false,
    bytesPassStartedAt: new Date(START).toISOString(),
    lastRunAt: new Date(START).toISOString(),
    passes: 3,
    findings: 2,
    lastFinding: {
      sequence: 7,
      code: 'ENTRY_MISSING',
      detail: 'gone',
      foundAt: new Date(START).toISOString(),
    },
  };

  test('is gone on with', () => {
    expect(sliceDue(known, headAt(400), PLAN, START)).toMatchObject({
      progress: known,
      from: 50,
      through: 149,
      bytes: false,
    });
  });

  test.each<readonly [string, Partial<AuditProgressItem>, number]>([
    ['another copy', { copy: 2 }, 400],
    ['an entry above the head', { nextFrom: 401 }, 400],
    ['no entry', { nextFrom: 0 }, 400],
    ['half an entry', { nextFrom: 1.5 }, 400],
    ['a time to come', { passStartedAt: new Date(START + DAY_MS).toISOString() }, 400],
    ['no time', { passStartedAt: 'yesterday' }, 400],
  ])('is begun anew where it names %s', (_what, changes, entries) => {
    const stored = { ...known, saidAsFormer: ['3 SCHEMA_VIOLATION'], ...changes };
    const slice = sliceDue(stored, headAt(entries), PLAN, START);

    expect(slice).toMatchObject({ from: 1, through: 100, bytes: true });
    expect(slice.progress).toMatchObject({
      passes: 3,
      findings: 2,
      lastFinding: known.lastFinding,
      saidAsFormer: ['3 SCHEMA_VIOLATION'],
    });
  });
});
