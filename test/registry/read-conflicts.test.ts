import { describe, expect, test } from 'vitest';
import { MemoryBlobStore } from '../../shared/adapters/memory/memory-blob-store.ts';
import { MemoryLedgerStore } from '../../shared/adapters/memory/memory-ledger-store.ts';
import type { ConflictStatement } from '../../shared/ledger/conflict.ts';
import { parseConflictFile } from '../../shared/ledger/conflict-file.ts';
import type { CertificateId, Digest, Sequence } from '../../shared/ledger/digest.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { type Evidence, encodeEvidence } from '../../shared/ledger/evidence.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import type { Resolution } from '../../shared/ledger/resolution.ts';
import { buildConflictFile } from '../../shared/registry/conflict-evidence.ts';
import type { KeptKind } from '../../shared/registry/conflict-record.ts';
import { keptStatement } from '../../shared/registry/kept-statements.ts';
import { nextStep, type Standpoint } from '../../shared/registry/next-step.ts';
import type { Head, LedgerStore, Signer } from '../../shared/registry/ports.ts';
import { listConflicts } from '../../shared/registry/read-conflicts.ts';
import { readConflict } from '../../shared/registry/read-story.ts';
import { withSuperseded } from '../../shared/registry/read-superseded.ts';
import { withResolution } from '../../shared/registry/resolve.ts';
import {
  reconfigurePeers,
  TestLedger,
  type TestPeer,
  testPeer,
  testPeers,
  timeAfter,
} from '../builders.ts';
import { conflictIdIn, linkAt, reportOf, resolutionOf, type TestResolution } from '../resolving.ts';
import { answering, clockAt } from './reading.ts';

const [lead, mirror, other] = testPeers(3) as [TestPeer, TestPeer, TestPeer];

/** Entries 1 to 3 of a lead and two mirrors, in a store of one of them. */
async function ledgerIn(reader: Signer = lead) {
  const ledger = new TestLedger([lead, mirror, other]);
  ledger.upload('A');
  ledger.upload('B');
  const store = new MemoryLedgerStore();
  await ledger.fill(store);
  const blobs = new MemoryBlobStore({ name: 'a.example', clock: clockAt(0) });
  return { ledger, store, blobs, ports: { store, signer: reader, blobs } };
}

async function headOf(store: LedgerStore, { registryId }: TestLedger): Promise<Head> {
  const head = await store.head(registryId);
  if (head === undefined) throw new Error('the ledger is empty');
  return head;
}

/** The report is opened so many seconds after START. */
async function open(store: LedgerStore, ledger: TestLedger, report: Compact, seconds: number) {
  const conflictId = conflictIdIn(report);
  const { registryId } = ledger;
  const recordedAt = timeAfter(seconds);
  const conflict = { registryId, conflictId, statement: report, recordedAt };
  await store.openConflict(conflict, await headOf(store, ledger), 'received');
  return conflictId;
}

async function keep(
  store: LedgerStore,
  { registryId }: TestLedger,
  [kind, seconds]: readonly [KeptKind, number],
  signed: { readonly statement: Compact; readonly decision?: Compact },
): Promise<void> {
  const { statement, decision } = signed;
  const recordedAt = timeAfter(seconds);
  const given = { recordedAt, ...(decision === undefined ? {} : { decision }) };
  await store.keep(registryId, keptStatement(kind, statement, given), 'received');
}

/** The resolution is in force from so many seconds after START on. */
async function putInForce(
  store: LedgerStore,
  ledger: TestLedger,
  { signed, digest }: TestResolution,
  seconds: number,
): Promise<void> {
  const expected = await headOf(store, ledger);
  const { registryId } = ledger;
  const recordedAt = timeAfter(seconds);
  const { statement, decision } = signed;
  const kept = keptStatement('resolution', statement, { recordedAt, decision });
  const head = withResolution(expected, digest);
  await store.settle({ registryId, expected, head, kept, origin: 'received' });
}

function reportAt(ledger: TestLedger, finder: TestPeer, changes: Partial<ConflictStatement> = {}) {
  return reportOf(ledger, finder, { sequence: 2 as Sequence, ...changes });
}

function resolving(ledger: TestLedger, reports: readonly Compact[], changes: Partial<Resolution>) {
  const all = { entries: [], ...changes };
  return resolutionOf(ledger, [2], { finder: mirror, reports, changes: all });
}

describe('the conflicts of a registry', () => {
  test('are those that were recorded, each once, in the order of their recording', async () => {
    const { ledger, store, ports } = await ledgerIn();
    const later = await open(store, ledger, reportAt(ledger, other, { digests: [] }), 20);
    const earlier = await open(store, ledger, reportAt(ledger, mirror), 10);
    await keep(store, ledger, ['report', 30], { statement: reportAt(ledger, other) });

    const { conflicts, role } = await listConflicts(ports, await headOf(store, ledger));

    expect(conflicts.map(({ conflictId }) => conflictId)).toEqual([earlier, later]);
    expect(conflicts[0]).toMatchObject({
      open: true,
      reports: 2,
      recordedAt: timeAfter(10),
      signer: mirror.certificateId,
      accused: lead.certificateId,
      awaitsAcceptance: false,
    });
    expect(role).toBe('lead');
  });

  test('have the newest resolution that names them and was not ended', async () => {
    const { ledger, store, ports } = await ledgerIn();
    const report = reportAt(ledger, mirror);
    const conflictId = await open(store, ledger, report, 10);
    const first = resolving(ledger, [report], { manner: 'replay' });
    await putInForce(store, ledger, first, 20);
    const second = resolving(ledger, [report], { manner: 'expel', after: first.digest });
    await putInForce(store, ledger, second, 30);

    const inForce = await listConflicts(ports, await headOf(store, ledger));
    const closed = { ...(await headOf(store, ledger)), openConflicts: [], decided: [] };
    const resolved = await readConflict(ports, closed, conflictId);

    expect(inForce.resolution).toMatchObject({ digest: second.digest, manner: 'expel' });
    expect(inForce.conflicts[0]?.resolution).toBe(second.digest);
    expect(resolved).toMatchObject({ open: false, resolution: second.digest, manners: [] });
    expect(resolved?.history.map(({ kind }) => kind)).toEqual([
      'report',
      'resolution',
      'resolution',
    ]);
    expect(resolved).not.toHaveProperty('contested');
  });

  test('that nobody has recorded are unknown', async () => {
    const { ledger, store, ports } = await ledgerIn();

    expect(await readConflict(ports, await headOf(store, ledger), digestOf(''))).toBeUndefined();
  });

  test('a claim against this instance that is only kept is contested, until it is resolved', async () => {
    const { ledger, store, ports } = await ledgerIn();
    const report = reportAt(ledger, mirror);
    await keep(store, ledger, ['report', 10], { statement: report });
    const conflictId = conflictIdIn(report);
    const before = await readConflict(ports, await headOf(store, ledger), conflictId);
    const expel = resolving(ledger, [report], { manner: 'expel' });
    await putInForce(store, ledger, expel, 20);

    const decided = await readConflict(ports, await headOf(store, ledger), conflictId);
    const { resolution: _resolution, ...free } = await headOf(store, ledger);
    const after = await readConflict(ports, { ...free, decided: [] }, conflictId);

    expect(before).toMatchObject({ open: false, contested: true });
    expect(before?.manners).toContain('expel');
    expect(decided).toMatchObject({ contested: true, resolution: expel.digest });
    expect(decided?.next).toMatch(/^An operator of this instance appends the peer list without/);
    expect(after).not.toHaveProperty('contested');
    expect(after).toMatchObject({ manners: [], next: 'Nothing: it is resolved here.' });
  });

  test('tell of acceptances, set-asides and closings with what was signed', async () => {
    const { ledger, store, ports } = await ledgerIn(mirror);
    const operator = testPeer();
    const report = reportAt(ledger, mirror, { kind: 'fork' });
    const conflictId = await open(store, ledger, report, 10);
    const replay = resolving(ledger, [report], { manner: 'replay' });
    await putInForce(store, ledger, replay, 20);
    const { registryId } = ledger;
    const by = { registryId, signer: mirror.certificateId, decidedBy: operator.certificateId };
    const signed = (statement: object) => ({
      statement: mirror.sign(statement as never),
      decision: operator.sign(statement as never),
    });
    const acceptance = { ...by, format: 'registry/acceptance/v1', reason: 'ja' };
    const foreign = { ...acceptance, resolution: digestOf('another') };
    await keep(store, ledger, ['acceptance', 25], signed(foreign));
    const accepted = { ...acceptance, resolution: replay.digest };
    await keep(store, ledger, ['acceptance', 30], signed(accepted));
    const aside = { ...by, format: 'registry/set-aside/v1', conflicts: [conflictId], copy: 2 };
    await keep(store, ledger, ['set-aside', 40], signed({ ...aside, from: 2, reason: 'Platte' }));
    const { digest, sequence } = await headOf(store, ledger);
    const closing = { registryId, signer: other.certificateId, digest, sequence };
    const closed = other.sign({ ...closing, format: 'registry/closing/v1' } as never);
    await keep(store, ledger, ['closing', 5], { statement: closed });
    await keep(store, ledger, ['closing', 50], {
      statement: mirror.sign({
        ...closing,
        signer: mirror.certificateId,
        format: 'registry/closing/v1',
      } as never),
    });

    const found = await readConflict(ports, await headOf(store, ledger), conflictId);

    expect(found?.history.slice(2)).toMatchObject([
      { kind: 'acceptance', at: timeAfter(30), resolution: replay.digest, reason: 'ja' },
      { kind: 'set-aside', from: 2, copy: 2, decidedBy: operator.certificateId },
      { kind: 'closing', signer: mirror.certificateId, through: { digest, sequence } },
    ]);
    // This copy holds what the resolution keeps.
    expect(found).toMatchObject({ setAside: { allowed: false }, awaitsAcceptance: false });
  });

  test("are not shown where an operator's own signature is missing: that is damage", async () => {
    const { ledger, store, ports } = await ledgerIn();
    const report = reportAt(ledger, mirror);
    const conflictId = await open(store, ledger, report, 10);
    const { signed } = resolving(ledger, [report], { manner: 'replay' });
    await keep(store, ledger, ['resolution', 20], { statement: signed.statement });

    const reading = readConflict(ports, await headOf(store, ledger), conflictId);

    await expect(reading).rejects.toThrow("without the operator's signature");
  });
});

describe('what has to happen next', () => {
  const summary: Standpoint['summary'] = {
    conflictId: digestOf('conflict'),
    open: true,
    recordedAt: timeAfter(0),
    statement: 'a.b.c' as Compact,
    kind: 'fork',
    sequence: 7,
    accused: lead.certificateId,
    signer: mirror.certificateId,
    digests: [],
    detectedAt: timeAfter(0),
    reports: 1,
    awaitsAcceptance: false,
    notAccepted: [],
  };
  const awaited: NonNullable<Standpoint['awaited']> = {
    acceptances: [],
    setAsides: [],
    confirmations: [],
    givingWay: [],
  };
  const R = digestOf('resolution');
  const resolution = (manner: Resolution['manner'], entries: readonly number[] = []) => {
    const said = {
      manner,
      entries: entries.map((sequence) => ({ sequence, digest: digestOf('') })),
      through: { sequence: 9, digest: digestOf('') },
    };
    return { digest: digestOf(manner), resolution: said } as unknown as NonNullable<
      Standpoint['inForce']
    >;
  };
  const standing = (changes: Partial<Standpoint>): Standpoint => ({
    summary,
    manners: ['replay', 'expel', 'close'],
    isOwnWrong: false,
    leads: false,
    lead: { certificateId: 'ab' as CertificateId, endpoint: 'https://lead.example' },
    isFilling: false,
    ...changes,
  });
  const aside = { allowed: true, from: 5, copy: 2 } as const;

  const cases: readonly (readonly [string, Partial<Standpoint>, RegExp])[] = [
    ['one that is resolved', { summary: { ...summary, open: false } }, /^Nothing: it is resolved/],
    [
      'one at the lead',
      { leads: true },
      /^An operator of this instance, .* replay, expel or close/,
    ],
    ['one at a lead with one choice', { leads: true, manners: ['close'] }, /decides: close\.$/],
    ['one at a mirror', {}, /^An operator of the lead https:\/\/lead\.example decides; until then/],
    [
      'one at a mirror that does not know where the lead is',
      { lead: { certificateId: 'ab' as CertificateId } },
      /^An operator of the lead ab decides/,
    ],
    [
      'one about the own copy',
      { isOwnWrong: true, setAside: aside },
      /^An operator of this instance sets its own copy aside from entry 5 on \(copy 2\), and/,
    ],
    [
      'one that is contested',
      { leads: true, summary: { ...summary, open: false, contested: true } },
      /decides: .* whoever reported it is stopped until then/,
    ],
    [
      'one that awaits an acceptance',
      { inForce: resolution('replay'), summary: { ...summary, awaitsAcceptance: true } },
      /^An operator of this instance accepts the resolution [0-9a-f]{64} \(replay\)/,
    ],
    ['a closed registry', { closedAt: 12 }, /closed the registry at entry 12/],
    [
      'an expulsion at the lead',
      { inForce: resolution('expel'), leads: true },
      /^An operator of this/,
    ],
    [
      'an expulsion at a mirror',
      { inForce: resolution('expel') },
      /^The operator of the lead https:\/\/lead\.example appends the peer list without/,
    ],
    [
      'a replacement of one entry',
      { inForce: resolution('replace', [7]), leads: true },
      /appends what replaces entry 7, or the present peer list/,
    ],
    [
      'a replacement of several entries',
      { inForce: resolution('replace', [7, 8]), leads: true },
      /what replaces the entries 7, 8, or/,
    ],
    [
      'a replay',
      { inForce: resolution('replay'), setAside: { allowed: false } },
      /^Nothing: it closes as soon as every mirror has confirmed entry 9\.$/,
    ],
    [
      'a replay on one branch of a fork',
      { inForce: resolution('replay'), setAside: aside },
      /^If this copy is not the branch that stays, .* aside from entry 5 on .*Then it closes/,
    ],
    [
      'a replay of what is wrong here',
      { inForce: resolution('set-aside'), setAside: aside, isOwnWrong: true },
      /^An operator of this instance sets its own copy aside .*; then the lead delivers again\. /,
    ],
    [
      'a replay for which another has to set its copy aside',
      {
        inForce: resolution('replay'),
        summary: { ...summary, kind: 'local-tampering' },
        awaited: { ...awaited, setAsides: ['https://c.example'], confirmations: ['c'] },
      },
      /^An operator there sets the copy of https:\/\/c\.example aside\. Then it closes as soon as whoever reported it has confirmed entry 9\. Missing: c\.$/,
    ],
    [
      'a tampering elsewhere that is undecided',
      { leads: true, awaited: { ...awaited, setAsides: ['c'] } },
      /decides: .*\. A replay needs more: An operator there sets the copy of c aside\.$/,
    ],
    [
      'a replay for which bytes are missing',
      {
        inForce: resolution('replay'),
        summary: { ...summary, kind: 'document-mismatch' },
        awaited: {
          ...awaited,
          confirmations: ['c'],
          document: { documentId: 'STA-1', version: 2, contentDigest: digestOf('bytes') },
        },
      },
      /^Somebody gives the bytes of STA-1 version 2 \(SHA-256 [0-9a-f]{64}\) .*: c\. Then it/,
    ],
    [
      'a replay for which bytes are missing that are not known here',
      {
        inForce: resolution('replay'),
        summary: { ...summary, kind: 'document-mismatch' },
        awaited: { ...awaited, confirmations: ['c'] },
      },
      /^Somebody gives the bytes to the instance that lacks them/,
    ],
    [
      'a replay of a fork that others have to accept, one of whom has the other branch',
      {
        leads: true,
        inForce: resolution('replay'),
        awaited: { ...awaited, acceptances: ['a', 'b'], resolution: R, givingWay: ['b'] },
      },
      new RegExp(
        `^An operator of each of these mirrors accepts the resolution ${R}, .*: a, b\\. ` +
          'An operator there sets the copy of b aside: it held the branch that gives way\\. Then',
      ),
    ],
    [
      'a replay of a fork at a copy that gives way',
      {
        inForce: resolution('replay'),
        setAside: aside,
        awaited: { ...awaited, ownBranch: 'gives-way' },
      },
      /^An operator of this instance sets its own copy aside from entry 5 on \(copy 2\); then/,
    ],
    [
      'a replay of a fork at a copy that stays',
      {
        inForce: resolution('replay'),
        setAside: aside,
        awaited: { ...awaited, ownBranch: 'stays' },
      },
      /^Nothing: it closes as soon as every mirror/,
    ],
    [
      'an acceptance here and elsewhere',
      {
        inForce: resolution('take-back'),
        summary: { ...summary, awaitsAcceptance: true },
        awaited: { ...awaited, acceptances: ['b'], resolution: R },
      },
      /^An operator of this instance accepts .* is the accused\. An operator of each .*: b\. The/,
    ],
    [
      'one that is resolved here and not elsewhere',
      {
        summary: { ...summary, open: false },
        awaited: { ...awaited, acceptances: ['b'], resolution: R },
      },
      new RegExp(`^It is resolved here, and not everywhere\\. .* the resolution ${R}, .*: b\\.$`),
    ],
    [
      'a take-back that is under way',
      { inForce: resolution('take-back'), leads: true, isFilling: true },
      /fetches what they hold\. Whom it is not to wait for/,
    ],
    [
      'a take-back',
      { inForce: resolution('take-back') },
      /^Nothing: it closes as soon as the lead/,
    ],
    ['a closing', { inForce: resolution('close') }, /^An operator of every instance closes/],
  ];

  test.each(cases)('about %s is told', (_what, changes, sentence) => {
    expect(nextStep(standing(changes))).toMatch(sentence);
  });
});

describe('the file about a conflict', () => {
  async function withEvidence(...evidences: readonly Evidence[]) {
    const given = await ledgerIn();
    const { store, blobs } = given;
    for (const evidence of evidences) {
      const bytes = encodeEvidence(evidence);
      await blobs.putEvidence(digestOf(bytes), bytes);
    }
    const certificate = async () => 'PEM';
    const ports = { store: answering(store, { certificate }), blobs, clock: clockAt(60) };
    return { ...given, ports };
  }

  const tampering = ({ registryId }: TestLedger, detail: string, sequence = 2): Evidence => ({
    format: 'registry/evidence/v1',
    kind: 'local-tampering',
    registryId,
    sequence,
    detail,
  });

  const claim = (ledger: TestLedger, evidence: Evidence, changes: Partial<ConflictStatement>) =>
    reportAt(ledger, mirror, {
      kind: 'local-tampering',
      accused: mirror.certificateId,
      digests: [],
      evidence: [digestOf(encodeEvidence(evidence))],
      ...changes,
    });

  test('has every report, and the evidence that is here and shows what they say', async () => {
    const { ledger, store, ports } = await withEvidence();
    const [first, second, wrong] = [
      tampering(ledger, 'a'),
      tampering(ledger, 'b'),
      tampering(ledger, 'c', 3),
    ] as const;
    for (const evidence of [first, second, wrong])
      await ports.blobs.putEvidence(digestOf(encodeEvidence(evidence)), encodeEvidence(evidence));
    const report = claim(ledger, first, {});
    const conflictId = await open(store, ledger, report, 10);
    const again = claim(ledger, second, { detectedAt: timeAfter(101) });
    const untrue = claim(ledger, wrong, { detectedAt: timeAfter(102) });
    const absent = claim(ledger, tampering(ledger, 'd'), { detectedAt: timeAfter(103) });
    for (const [index, statement] of [again, untrue, absent].entries())
      await keep(store, ledger, ['report', 20 + index], { statement });

    const built = await buildConflictFile(ports, await headOf(store, ledger), conflictId);

    const parsed = built.outcome === 'built' ? parseConflictFile(built.bytes) : undefined;
    expect(parsed).toMatchObject({
      outcome: 'parsed',
      file: { conflict: report, reports: [again, untrue, absent], exportedAt: timeAfter(60) },
    });
    const named = [first, second].map((evidence) => digestOf(encodeEvidence(evidence)));
    const held = parsed?.outcome === 'parsed' ? Object.keys(parsed.file.evidence) : [];
    expect(held.sort()).toEqual(named.sort());
  });

  test('has the first report where none shows what it says, to be looked at', async () => {
    const { ledger, store, ports } = await withEvidence();
    const wrong = tampering(ledger, 'c', 3);
    await ports.blobs.putEvidence(digestOf(encodeEvidence(wrong)), encodeEvidence(wrong));
    const report = claim(ledger, wrong, {});
    const conflictId = await open(store, ledger, report, 10);

    const built = await buildConflictFile(ports, await headOf(store, ledger), conflictId);

    const parsed = built.outcome === 'built' ? parseConflictFile(built.bytes) : undefined;
    expect(parsed).toMatchObject({ file: { conflict: report, reports: [] } });
  });

  test('is none without evidence, or about what is not known', async () => {
    const { ledger, store, ports } = await withEvidence();
    const report = reportAt(ledger, mirror, { evidence: [] });
    const conflictId = await open(store, ledger, report, 10);
    const head = await headOf(store, ledger);

    expect(await buildConflictFile(ports, head, conflictId)).toEqual({
      outcome: 'evidence-missing',
      finder: mirror.certificateId,
    });
    expect(await buildConflictFile(ports, head, digestOf(''))).toEqual({
      outcome: 'unknown-conflict',
    });
  });
});

describe('marks of what was replaced', () => {
  const at = (sequence: number) => ({ sequence });
  const placeOf = (row: { readonly sequence: number }) => row.sequence;

  test('are read only for entries that a resolution of the manner replace names', async () => {
    const { ledger, store } = await ledgerIn();
    const asked: number[] = [];
    const counting = answering(store, {
      read: async (registryId, keys) => {
        asked.push(keys.length);
        return store.read(registryId, keys);
      },
    });
    const { registryId } = ledger;
    const rows = [at(2), at(3)];

    const none = await withSuperseded({ store: counting }, registryId, rows, placeOf);
    const report = reportAt(ledger, mirror);
    const replay = resolving(ledger, [report], { manner: 'replay', entries: [linkAt(ledger, 2)] });
    await keep(store, ledger, ['resolution', 20], replay.signed);
    await withSuperseded({ store: counting }, registryId, rows, placeOf);
    const replace = resolutionOf(ledger, [2], { finder: mirror, reports: [report] });
    await keep(store, ledger, ['resolution', 30], replace.signed);
    const decided = await withSuperseded({ store: counting }, registryId, rows, placeOf);
    await withSuperseded({ store: counting }, registryId, [at(3)], placeOf);

    expect(none).toEqual(rows);
    expect(decided).toEqual(rows);
    expect(asked).toEqual([1]);
  });

  test('say which entry carried it out, and for what reason', async () => {
    const ledger = new TestLedger([lead, mirror]);
    ledger.upload('A');
    const replace = resolutionOf(ledger, [2], { finder: mirror });
    ledger.commit([reconfigurePeers([lead, mirror])], {
      resolves: [replace],
    });
    const store = new MemoryLedgerStore();
    await ledger.fill(store);

    const [marked, free] = await withSuperseded(
      { store },
      ledger.registryId,
      [at(2), at(3)],
      placeOf,
    );

    expect(marked).toEqual({
      sequence: 2,
      superseded: { by: 3, resolution: replace.digest as Digest, reason: replace.statement.reason },
    });
    expect(free).toEqual(at(3));
  });
});
