import { describe, expect, test } from 'vitest';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { LedgerVerifier } from '../../shared/ledger/verify.ts';
import { exportLines } from '../../shared/registry/export.ts';
import { keptStatement } from '../../shared/registry/kept-statements.ts';
import type { EntryRange, LedgerStore } from '../../shared/registry/ports.ts';
import {
  confirmationFor,
  reconfigurePeers,
  TestLedger,
  testPeer,
  timeAfter,
  uploadDocument,
} from '../builders.ts';
import { linkAt, reportOf, resolutionOf, type TestResolution } from '../resolving.ts';

const [a, b, c] = [testPeer(), testPeer(), testPeer()];

async function exported(ledger: TestLedger, store?: LedgerStore): Promise<Buffer[]> {
  const filled = store ?? new MemoryLedgerStore();
  if (store === undefined) await ledger.fill(filled);
  const lines: Buffer[] = [];
  for await (const line of exportLines(filled, ledger.registryId)) lines.push(Buffer.from(line));
  return lines;
}

function verify(lines: readonly Buffer[]) {
  const verifier = new LedgerVerifier({ rules: true });
  for (const line of lines) verifier.line(line);
  return verifier.end();
}

function eventfulLedger(): TestLedger {
  const ledger = new TestLedger([a, b, c]);
  ledger.upload('plan-1', 'plan-2');
  ledger.confirm(b);
  ledger.confirm(c);
  ledger.upload('plan-2');
  ledger.reconfigure(b, a);
  ledger.upload('plan-1', 'plan-1', 'plan-3');
  ledger.confirm(a);
  ledger.upload('plan-1');
  return ledger;
}

describe('an export', () => {
  test('holds each entry with what belongs to it, and verifies', async () => {
    const ledger = eventfulLedger();
    const lines = await exported(ledger);

    expect(lines.map(String)).toEqual(ledger.lines().map(String));
    expect(verify(lines)).toMatchObject({
      outcome: 'verified',
      entries: 9,
      headDigest: ledger.head.digest,
      checkpoints: 4,
      confirmations: [
        { signer: b.certificateId, newest: 3 },
        { signer: c.certificateId, newest: 3 },
        { signer: a.certificateId, newest: 8 },
      ],
    });
  });

  test('has lines whose SHA-256 are the digests of transactions, details and entries', async () => {
    const ledger = eventfulLedger();
    const digests = (await exported(ledger)).map(digestOf);

    for (const stored of ledger.entries) {
      const { transactionDigest } = JSON.parse(Buffer.from(stored.entry).toString());
      const { detailsDigest } = JSON.parse(Buffer.from(stored.transaction).toString());
      const at = digests.indexOf(transactionDigest);
      const expected = [transactionDigest, detailsDigest, stored.digest].filter(Boolean);
      expect(digests.slice(at, at + expected.length)).toEqual(expected);
    }
  });

  test('of a registry that nobody knows has no lines', async () => {
    const lines = exportLines(new MemoryLedgerStore(), digestOf('other'));

    expect(await lines.next()).toEqual({ done: true, value: undefined });
  });

  test('is read in pages of at most 100 entries, and holds every one', async () => {
    const ledger = new TestLedger([a, b]);
    while (ledger.head.sequence < 205)
      ledger.upload(...Array.from({ length: 12 }, (_, n) => `plan-${n}`));
    const store = new CountingStore();
    await ledger.fill(store);

    expect(verify(await exported(ledger, store))).toMatchObject({ entries: 205 });
    expect(store.ranges).toEqual([
      { from: 1, count: 100 },
      { from: 101, count: 100 },
      { from: 201, count: 5 },
    ]);
  });

  test('ends at the head as it was, whatever is appended meanwhile', async () => {
    const ledger = new TestLedger([a, b]);
    const store = new MemoryLedgerStore();
    await ledger.fill(store);
    const lines = exportLines(store, ledger.registryId);
    const seen = [Buffer.from((await lines.next()).value as Uint8Array)];
    const commits = ledger.commits.length;
    ledger.upload('plan-1');
    for (const { write } of ledger.commits.slice(commits)) await store.commit(write);
    for await (const line of lines) seen.push(Buffer.from(line));

    expect(verify(seen)).toMatchObject({ outcome: 'verified', entries: 1 });
  });

  test('holds the checkpoint that came with a confirmation where the entry has none', async () => {
    const ledger = new TestLedger([a, b]);
    ledger.upload('plan-1');
    ledger.confirm(b);
    ledger.upload('plan-2');
    const store = new WithoutCheckpoints();
    await ledger.fill(store);

    expect(verify(await exported(ledger, store))).toMatchObject({
      outcome: 'verified',
      checkpoints: 2,
    });
  });

  test('leaves out what a joiner confirmed before it was a mirror', async () => {
    const ledger = new TestLedger([a, b, c], [a, b]);
    ledger.upload('plan-1');
    ledger.confirm(c);
    ledger.reconfigure(a, b, c);
    ledger.confirm(c);

    expect(verify(await exported(ledger))).toMatchObject({
      outcome: 'verified',
      confirmations: [{ signer: c.certificateId, count: 1, newest: 3 }],
    });
  });

  test('leaves out what the lead confirmed to itself', async () => {
    const ledger = new TestLedger([a, b]);
    ledger.upload('plan-1');
    ledger.confirm(a);

    expect(verify(await exported(ledger))).toMatchObject({ confirmations: [] });
  });

  test('holds every confirmation of a signer, in order', async () => {
    const ledger = new TestLedger([a, b]);
    for (let n = 0; n < 5; n += 1) {
      ledger.upload('plan-1');
      ledger.confirm(b);
    }

    expect(verify(await exported(ledger))).toMatchObject({
      checkpoints: 5,
      confirmations: [{ signer: b.certificateId, count: 5, newest: 6 }],
    });
  });

  test('breaks off with a sentence where an entry is missing', async () => {
    const ledger = new TestLedger([a, b]);
    ledger.upload('plan-1');
    const store = new MemoryLedgerStore();
    await ledger.fill(store);
    store.entries = async () => [];

    await expect(exported(ledger, store)).rejects.toThrow(
      /^entry 1 of registry \w+ is missing below its head 2: audit this instance$/,
    );
  });

  test('says when a mirror confirmed', async () => {
    const ledger = new TestLedger([a, b]);
    ledger.confirm(b, { confirmedAt: timeAfter(7) });
    const last = (await exported(ledger)).at(-1);
    const [, payload = ''] = JSON.parse(String(last)).statement.split('.');

    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toEqual({
      ...confirmationFor(ledger.head, b),
      confirmedAt: timeAfter(7),
    });
  });
});

/** Entry 3 breaks a rule, entry 4 takes its place; entry 5 voids two at once. */
function resolvedLedger(): TestLedger {
  const ledger = new TestLedger([a, b, c]);
  ledger.upload('plan-1');
  ledger.commit([uploadDocument('plan-1', { version: 7 })], { unruled: true });
  const replaced = resolutionOf(ledger, [3], { finder: b });
  const supersedes = linkAt(ledger, 3);
  ledger.commit([uploadDocument('plan-1', { version: 2, supersedes })], { resolves: [replaced] });
  const again = reportOf(ledger, c, { sequence: ledger.entryAt(2).sequence });
  const reports = [...replaced.reports, again];
  const voided = resolutionOf(ledger, [2, 3], { finder: c, reports });
  ledger.commit([reconfigurePeers([a, b, c]), uploadDocument('plan-2')], { resolves: [voided] });
  ledger.upload('plan-2');
  return ledger;
}

describe('an export of a ledger with resolutions', () => {
  test('begins with the conflicts and resolutions that its entries name, each once', async () => {
    const ledger = resolvedLedger();
    const lines = await exported(ledger);

    expect(lines.map(String)).toEqual(ledger.lines().map(String));
    expect(lines.slice(0, 5).map(formatOf)).toEqual([
      'registry/signed/v1',
      'registry/countersigned/v1',
      'registry/signed/v1',
      'registry/countersigned/v1',
      'registry/transaction/v1',
    ]);
    expect(verify(lines)).toMatchObject({
      outcome: 'verified',
      entries: 7,
      resolutions: [{ sequence: 4 }, { sequence: 5 }],
      superseded: [{ sequence: 3, replacement: 4 }, { sequence: 2 }],
    });
  });

  test('holds the checkpoint of each commit that carries one out', async () => {
    const lines = await exported(resolvedLedger());

    expect(verify(lines)).toMatchObject({ outcome: 'verified', checkpoints: 3 });
  });

  test('holds the first report of a conflict, whoever reported it again', async () => {
    const ledger = resolvedLedger();
    const store = new MemoryLedgerStore();
    await ledger.fill(store);
    const statement = reportOf(ledger, c, { sequence: ledger.entryAt(3).sequence });
    const later = keptStatement('report', statement, { recordedAt: timeAfter(300) });
    await store.keep(ledger.registryId, later, 'received');

    expect((await exported(ledger, store)).map(String)).toEqual(ledger.lines().map(String));
  });

  test('leaves out what the next entry is to name', async () => {
    const ledger = resolvedLedger();
    const next = resolutionOf(ledger, [6], { finder: b });
    const store = new Deciding([next]);
    await ledger.fill(store);
    await keep(store, ledger, next);

    expect((await exported(ledger, store)).map(String)).toEqual(ledger.lines().map(String));
  });

  test('breaks off with a sentence where a report is missing', async () => {
    const ledger = resolvedLedger();
    const store = new MemoryLedgerStore();
    await ledger.fill(store);
    await keep(store, ledger, resolutionOf(ledger, [6], { finder: b }));

    await expect(exported(ledger, store)).rejects.toThrow(
      /^the conflict \w+, which the resolution \w+ names, is missing: audit this instance$/,
    );
  });
});

function formatOf(line: Buffer): string {
  return JSON.parse(line.toString()).format;
}

/** Keeps the resolution, and not what it is of. */
async function keep(store: LedgerStore, ledger: TestLedger, { signed }: TestResolution) {
  const { statement, decision } = signed;
  const kept = keptStatement('resolution', statement, { recordedAt: timeAfter(300), decision });
  await store.keep(ledger.registryId, kept, 'received');
}

/** Its head has resolutions that no entry names yet. */
class Deciding extends MemoryLedgerStore {
  readonly #decided: readonly TestResolution[];

  constructor(decided: readonly TestResolution[]) {
    super();
    this.#decided = decided;
  }

  override async head(...parameters: Parameters<LedgerStore['head']>) {
    const head = await super.head(...parameters);
    return head && { ...head, decided: this.#decided.map(({ digest }) => digest) };
  }
}

/** Notes what is asked for. */
class CountingStore extends MemoryLedgerStore {
  readonly ranges: EntryRange[] = [];

  override entries(...[registryId, copy, range]: Parameters<LedgerStore['entries']>) {
    this.ranges.push(range);
    return super.entries(registryId, copy, range);
  }
}

/** Has the checkpoints of confirmations and of the head only. */
class WithoutCheckpoints extends MemoryLedgerStore {
  override async entries(...parameters: Parameters<LedgerStore['entries']>) {
    const entries = await super.entries(...parameters);
    return entries.map(({ checkpoint: _, ...stored }) => stored);
  }
}
