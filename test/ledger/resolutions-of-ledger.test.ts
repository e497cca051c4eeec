import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { encodeCountersignedLine } from '../../shared/ledger/countersigned.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import type { Resolution } from '../../shared/ledger/resolution.ts';
import { encodeSignedLine } from '../../shared/ledger/signed-line.ts';
import { requestKey, supersededKey, versionKey } from '../../shared/ledger/state.ts';
import { type Finding, LedgerVerifier, type Report } from '../../shared/ledger/verify.ts';
import {
  type CommitOptions,
  createRegistry,
  fileOf,
  reconfigurePeers,
  TestLedger,
  type TestTransaction,
  testPeer,
  testUuid,
  uploadDocument,
} from '../builders.ts';
import { linkAt, reportOf, resolutionOf, type TestResolution } from '../resolving.ts';
import { requestSignature, signDocument, targetOf, testSigner } from '../signing.ts';

const [a, b, c, stranger] = [testPeer(), testPeer(), testPeer(), testPeer()];
const signer = testSigner('ES256');
const operator = testPeer();
const requestId = testUuid(950);
const other = digestOf('other');
const finder = { finder: b, operator };

function verify(lines: readonly Uint8Array[], options = { rules: true }): Report | Finding {
  const verifier = new LedgerVerifier(options);
  for (const line of lines) verifier.line(line);
  return verifier.end();
}

function findingIn(lines: readonly Uint8Array[], rules = true): string {
  const outcome = verify(lines, { rules });
  return outcome.outcome === 'wrong' ? `${outcome.sequence} ${outcome.code}` : 'verified';
}

/** 2, 3: plan-1 1 and plan-2 1. 4: a request to sign plan-1 1. 5: its signature. */
function signedLedger(): TestLedger {
  const ledger = new TestLedger([a, b, c, stranger], [a, b, c]);
  ledger.upload('plan-1', 'plan-2');
  ledger.commit([requestSignature(signer, 'plan-1', { requestId })]);
  ledger.commit([signDocument(requestId, signer.sign(targetOf(ledger, requestId)))]);
  ledger.confirm(b);
  return ledger;
}

/** The next version of plan-1, in place of an entry. */
function alternativeTo(ledger: TestLedger, sequence: number, version = 2): TestTransaction {
  return uploadDocument('plan-1', { version, supersedes: linkAt(ledger, sequence) });
}

const samePeers = () => reconfigurePeers([a, b, c]);

/** Entry 6 carries out the replacement of entry 2. */
function replacedLedger(change: (ledger: TestLedger) => Partial<CommitOptions> = () => ({})) {
  const ledger = signedLedger();
  const resolves = [resolutionOf(ledger, [2], finder)];
  ledger.commit([alternativeTo(ledger, 2)], { resolves, ...change(ledger) });
  return ledger;
}

/** Entry 6 is what the lead should not have recorded; entry 7 voids it. */
function brokenLedger(
  broken: (ledger: TestLedger) => TestTransaction,
  options: CommitOptions = {},
) {
  const ledger = signedLedger();
  ledger.commit([broken(ledger)], { unruled: true, ...options });
  return ledger;
}

function voided(ledger: TestLedger): TestLedger {
  const resolution = resolutionOf(ledger, [ledger.head.sequence], finder);
  ledger.commit([samePeers()], { resolves: [resolution] });
  return ledger;
}

describe('a ledger with a resolution', () => {
  test.each([true, false])('is reported with what was replaced, with rules: %s', (rules) => {
    const ledger = replacedLedger();
    ledger.upload('plan-1');

    expect(verify(ledger.lines(), { rules })).toMatchObject({
      outcome: 'verified',
      entries: 7,
      resolutions: [
        {
          digest: ledger.resolutions[0]?.digest,
          manner: 'replace',
          decidedBy: operator.certificateId,
          signer: a.certificateId,
          sequence: 6,
          entries: [linkAt(ledger, 2)],
        },
      ],
      superseded: [{ sequence: 2, replacement: 6 }],
    });
    expect(ledger.state.get(versionKey('plan-1', 1))).toHaveProperty(
      'superseded',
      linkAt(ledger, 6),
    );
    expect(ledger.state.get(supersededKey(2))).toMatchObject({ replacement: linkAt(ledger, 6) });
  });

  test.each([
    true,
    false,
  ])('is found changed after a change of any one bit, with rules: %s', (rules) => {
    const ledger = brokenLedger(() => uploadDocument('plan-1', { version: 5 }));
    const resolution = resolutionOf(ledger, [6, 2], finder);
    ledger.commit([alternativeTo(ledger, 6)], { resolves: [resolution] });
    const file = fileOf(ledger.lines());
    fc.assert(
      fc.property(fc.nat(8 * file.length - 1), (bit) => {
        const changed = Buffer.from(file);
        changed[bit >>> 3] = (changed[bit >>> 3] as number) ^ (1 << (bit & 7));
        expect(verify(splitLines(changed), { rules })).toMatchObject({ outcome: 'wrong' });
      }),
      { numRuns: 400 },
    );
  });

  test('is found changed when a line before entry 1 is left out, doubled, or in another place', () => {
    const lines = replacedLedger().lines();
    const [conflict, resolution] = lines as [Buffer, Buffer];

    expect(findingIn(lines)).toBe('verified');
    expect(findingIn(lines.slice(1))).toBe('1 CONFLICT_UNKNOWN');
    expect(findingIn([conflict, ...lines.slice(2)])).toBe('6 RESOLVES_UNKNOWN');
    expect(findingIn(lines.slice(2))).toBe('6 RESOLVES_UNKNOWN');
    expect(findingIn([conflict, ...lines])).toBe('1 EXPORT_MALFORMED');
    expect(findingIn([conflict, resolution, ...lines.slice(1)])).toBe('1 EXPORT_MALFORMED');
    expect(findingIn([resolution, conflict, ...lines.slice(2)])).toBe('1 CONFLICT_UNKNOWN');
  });

  test.each([
    ['a conflict', 0],
    ['a resolution', 1],
  ])('has %s nowhere but before entry 1', (_what, index) => {
    const lines = replacedLedger().lines();
    const line = lines[index] as Buffer;

    for (const place of [3, 5])
      expect(findingIn(lines.toSpliced(index, 1).toSpliced(place, 0, line))).toMatch(
        /CONFLICT_UNKNOWN|EXPORT_MALFORMED/,
      );
    expect(findingIn(lines.toSpliced(3, 0, line))).toBe('1 EXPORT_MALFORMED');
    expect(findingIn(lines.toSpliced(5, 0, line))).toBe('2 EXPORT_MALFORMED');
  });

  test('is refused with a line that is no resolution', () => {
    const lines = replacedLedger().lines();
    const none = encodeCanonical({ format: 'registry/countersigned/v1', statement: 'x' });
    const unread = encodeCountersignedLine({ statement: 'x' as Compact, decision: 'x' as Compact });

    expect(findingIn([none, ...lines])).toBe('1 SCHEMA_VIOLATION');
    expect(findingIn([unread, ...lines])).toBe('1 STATEMENT_MALFORMED');
  });

  test('says no more with statements that no entry names', () => {
    const ledger = replacedLedger();
    const more = resolutionOf(ledger, [3], finder);
    const lines = [
      ...more.reports.map(encodeSignedLine),
      encodeCountersignedLine(more.signed),
      ...ledger.lines(),
    ];

    expect(verify(lines)).toEqual(verify(ledger.lines()));
  });

  test('is fed entry by entry once its conflicts and resolutions are known', () => {
    const ledger = replacedLedger();
    const verifier = new LedgerVerifier({ rules: true });
    for (const { reports, signed } of ledger.resolutions) {
      for (const report of reports) expect(verifier.conflict(report)).toBeUndefined();
      expect(verifier.resolution(signed)).toBeUndefined();
    }
    for (const stored of ledger.entries) expect(verifier.entry(stored)).toBeUndefined();
    expect(verifier.checkpoint(ledger.head.checkpoint)).toBeUndefined();

    expect(verifier.end()).toMatchObject({ superseded: [{ sequence: 2, replacement: 6 }] });
  });

  test('after the first finding takes no more statements', () => {
    const verifier = new LedgerVerifier({ rules: true });
    const finding = verifier.conflict('x');

    expect(finding).toMatchObject({ outcome: 'wrong', sequence: 1, code: 'STATEMENT_MALFORMED' });
    expect(verifier.resolution({ statement: 'x', decision: 'x' })).toBe(finding);
  });
});

function splitLines(file: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let from = 0;
  for (let end = file.indexOf(0x0a); end !== -1; end = file.indexOf(0x0a, from)) {
    lines.push(file.subarray(from, end));
    from = end + 1;
  }
  if (from < file.length) lines.push(file.subarray(from));
  return lines;
}

/** The finding where entry 6 names this resolution of entry 2, with rules and without. */
function findingWith(resolutionAt: (ledger: TestLedger) => TestResolution): string {
  const ledger = replacedLedger((before) => ({ resolves: [resolutionAt(before)] }));
  const outcomes = [true, false].map((rules) => findingIn(ledger.lines(), rules));
  expect(outcomes[1]).toBe(outcomes[0]);
  return outcomes[0] as string;
}

describe('a resolution that an entry names', () => {
  const of = (ledger: TestLedger, changes: Partial<Resolution>) =>
    resolutionOf(ledger, [2], { ...finder, changes });

  test.each<readonly [string, (ledger: TestLedger) => TestResolution, string]>([
    [
      'of a stranger',
      (ledger) => resolutionOf(ledger, [2], { ...finder, lead: stranger }),
      '6 LEAD_DIFFERS',
    ],
    [
      'of a mirror',
      (ledger) => resolutionOf(ledger, [2], { ...finder, lead: b }),
      '6 LEAD_DIFFERS',
    ],
    [
      'about what a stranger reported',
      (ledger) => resolutionOf(ledger, [2], { finder: stranger }),
      '6 SIGNER_NO_PEER',
    ],
    [
      'of another registry',
      (ledger) => of(ledger, { registryId: other }),
      '1 STATEMENT_REGISTRY_DIFFERS',
    ],
    [
      'decided at another entry than is there',
      (ledger) => of(ledger, { through: { ...linkAt(ledger, 5), digest: other } }),
      '6 RESOLUTION_DIFFERS',
    ],
    [
      'decided at an entry that comes later',
      (ledger) => of(ledger, { through: { ...linkAt(ledger, 5), sequence: 6 as Sequence } }),
      '6 RESOLUTION_DIFFERS',
    ],
    [
      'about another entry than is there',
      (ledger) =>
        of(ledger, { entries: [linkAt(ledger, 2), { ...linkAt(ledger, 3), digest: other }] }),
      '6 RESOLUTION_DIFFERS',
    ],
  ])('%s is found', (_what, resolutionAt, finding) => {
    expect(findingWith(resolutionAt)).toBe(finding);
  });

  test('of a manner that does not fit its conflict is found', () => {
    const ledger = signedLedger();
    const takenBack = of(ledger, { manner: 'take-back', entries: [] });
    ledger.commit([samePeers()], { resolves: [takenBack] });

    expect(findingIn(ledger.lines())).toBe('6 MANNER_NOT_ALLOWED');
  });

  test('about a conflict of another registry is found', () => {
    const finding = findingWith((ledger) => {
      const report = { sequence: 2 as Sequence, registryId: other };
      return resolutionOf(ledger, [2], { ...finder, reports: [reportOf(ledger, b, report)] });
    });

    expect(finding).toBe('1 STATEMENT_REGISTRY_DIFFERS');
  });

  test('may be about what somebody reported who joins later, where that is proved', () => {
    const lines = replacedLedger((ledger) => ({
      resolves: [resolutionOf(ledger, [2], { finder: stranger })],
    })).lines();
    const peersBeyond = [stranger.certificateId];
    const verifier = new LedgerVerifier({ rules: true, peersBeyond });
    for (const line of lines) verifier.line(line);

    expect(verifier.end()).toMatchObject({ outcome: 'verified' });
  });

  test('lets an entry that breaks a rule stand until one carries it out', () => {
    const ledger = voided(brokenLedger(() => uploadDocument('plan-1', { version: 5 })));
    const verifier = new LedgerVerifier({ rules: true });
    const seen: boolean[] = [];
    for (const line of ledger.lines()) {
      verifier.line(line);
      if (verifier.head !== undefined) seen[verifier.head.sequence] = verifier.tolerates(6);
    }

    expect(seen.slice(5)).toEqual([false, true, false]);
  });

  test('is named once', () => {
    const ledger = signedLedger();
    const resolution = resolutionOf(ledger, [2], finder);
    ledger.commit([alternativeTo(ledger, 2)], { resolves: [resolution] });
    ledger.commit([samePeers()], { resolves: [resolution] });

    expect(findingIn(ledger.lines())).toBe('7 RESOLVES_AGAIN');
    expect(findingWith((before) => resolutionOf(before, [2], finder))).toBe('verified');
  });

  test('is known although others are', () => {
    const ledger = replacedLedger();
    const unknown = resolutionOf(ledger, [3], finder);
    const before = ledger.lines().slice(0, 2);
    ledger.commit([samePeers()], { resolves: [unknown] });

    expect(findingIn([...before, ...ledger.lines().slice(4)])).toBe('7 RESOLVES_UNKNOWN');
  });

  test('is examined only where its entry is in its place', () => {
    const ledger = replacedLedger(() => ({ entry: { backlinks: [] } }));

    expect(findingIn(ledger.lines())).toBe('6 BACKLINKS_WRONG');
  });

  test('is carried out unless a later one ended it', () => {
    const ledger = signedLedger();
    const first = resolutionOf(ledger, [2], finder);
    const report = reportOf(ledger, b, { sequence: 3 as Sequence });
    const changes = { after: first.digest };
    const options = { ...finder, reports: [...first.reports, report], changes };
    const second = resolutionOf(ledger, [3, 2], options);
    const third = resolutionOf(ledger, [4], finder);
    ledger.commit([samePeers()], { resolves: [first, second] });
    ledger.commit([samePeers()], { resolves: [third] });

    expect(verify(ledger.lines())).toMatchObject({
      resolutions: [
        { digest: second.digest, sequence: 6 },
        { digest: third.digest, sequence: 7 },
      ],
      superseded: [{ sequence: 3 }, { sequence: 2 }, { sequence: 4 }],
    });
  });

  test('of a fork names entries of both chains, and replaces nothing', () => {
    const ledger = signedLedger();
    const digests = [ledger.entryAt(3).digest, other];
    const report = reportOf(ledger, b, { kind: 'fork', sequence: 3 as Sequence, digests });
    const entries = digests.map((digest) => ({ sequence: 3 as Sequence, digest }));
    const changes: Partial<Resolution> = { manner: 'replay', entries };
    const resolution = resolutionOf(ledger, [3], { ...finder, reports: [report], changes });
    ledger.commit([samePeers()], { resolves: [resolution] });

    expect(verify(ledger.lines())).toMatchObject({
      resolutions: [{ manner: 'replay', sequence: 6 }],
      superseded: [],
    });
  });

  test('of a take-back may have been decided at an entry that nobody has any more', () => {
    const ledger = signedLedger();
    const accused = ledger.lead.certificateId;
    const sequence = 5 as Sequence;
    const report = reportOf(ledger, ledger.lead, { kind: 'lead-rollback', sequence, accused });
    const through = { ...linkAt(ledger, 5), digest: other };
    const changes: Partial<Resolution> = { manner: 'take-back', entries: [], through };
    const resolution = resolutionOf(ledger, [5], { ...finder, reports: [report], changes });
    ledger.commit([samePeers()], { resolves: [resolution] });

    expect(verify(ledger.lines())).toMatchObject({ resolutions: [{ manner: 'take-back' }] });
  });

  test('may replace again what was only voided', () => {
    const ledger = signedLedger();
    const first = resolutionOf(ledger, [2], finder);
    ledger.commit([samePeers()], { resolves: [first] });
    const second = resolutionOf(ledger, [2], { ...finder, reports: first.reports });
    ledger.commit([alternativeTo(ledger, 2)], { resolves: [second] });

    expect(verify(ledger.lines())).toMatchObject({
      outcome: 'verified',
      superseded: [{ sequence: 2, replacement: 7 }],
    });
  });
});

describe('what a resolution voids', () => {
  test.each<readonly [string, (ledger: TestLedger) => TestTransaction, string]>([
    [
      'an upload of a version that was not next',
      () => uploadDocument('plan-1', { version: 5 }),
      '6 VERSION_NOT_NEXT',
    ],
    [
      'a request for a version that is not there',
      () => requestSignature(signer, 'plan-9'),
      '6 VERSION_UNKNOWN',
    ],
    [
      'a second answer',
      (ledger) => signDocument(requestId, signer.sign(targetOf(ledger, requestId), 60)),
      '6 REQUEST_ALREADY_SIGNED',
    ],
    [
      'an alternative that nobody asked for',
      (ledger) => reconfigurePeers([a, b, c], { supersedes: linkAt(ledger, 2) }),
      '6 SUPERSEDES_WITHOUT_RESOLUTION',
    ],
  ])('may be %s, which stands only so', (_what, broken, finding) => {
    const ledger = brokenLedger(broken);
    const alone = ledger.lines();

    expect(findingIn(alone)).toBe(finding);
    expect(verify(voided(ledger).lines())).toMatchObject({
      outcome: 'verified',
      superseded: [{ sequence: 6 }],
    });
  });

  test('may be an entry with a wrong subject, which stands only so', () => {
    const subject = { sequence: 3 as Sequence, digest: other };
    const ledger = brokenLedger(() => uploadDocument('plan-1', { version: 2 }), {
      entry: { subject },
    });

    expect(findingIn(ledger.lines())).toBe('6 SUBJECT_LINK_WRONG');
    expect(findingIn(voided(ledger).lines())).toBe('verified');
  });

  test('and broke a rule is replaced as anything else, and its id stays used', () => {
    const ledger = brokenLedger(() => uploadDocument('plan-1', { version: 5 }));
    const resolution = resolutionOf(ledger, [6], finder);
    ledger.commit([alternativeTo(ledger, 6)], { resolves: [resolution] });
    expect(findingIn(ledger.lines())).toBe('verified');
    const { transactionId } = ledger.entryAt(6);
    ledger.commit([uploadDocument('plan-3', { transactionId })], { unruled: true });

    expect(findingIn(ledger.lines())).toBe('8 TRANSACTION_ID_REUSED');
  });

  test('is not found right before it is carried out', () => {
    const ledger = brokenLedger(() => uploadDocument('plan-1', { version: 5 }));
    const { reports, signed } = resolutionOf(ledger, [6], finder);
    ledger.upload('plan-2');
    const before = [...reports.map(encodeSignedLine), encodeCountersignedLine(signed)];

    expect(findingIn([...before, ...ledger.lines()])).toBe('6 VERSION_NOT_NEXT');
    expect(findingIn([...before, ...ledger.lines()], false)).toBe('verified');
  });

  test('and a resolution that a later one ended are not enough', () => {
    const ledger = brokenLedger(() => uploadDocument('plan-1', { version: 5 }));
    const first = resolutionOf(ledger, [6], finder);
    const changes: Partial<Resolution> = { after: first.digest, manner: 'replay', entries: [] };
    const second = resolutionOf(ledger, [6], { ...finder, reports: first.reports, changes });
    ledger.commit([samePeers()], { resolves: [first, second] });

    expect(findingIn(ledger.lines())).toBe('6 VERSION_NOT_NEXT');
  });

  test('is never a second create-registry, nor an id used twice', () => {
    const created = voided(brokenLedger(() => createRegistry([a])));
    const reused = voided(
      brokenLedger((ledger) =>
        uploadDocument('plan-9', { transactionId: ledger.entryAt(2).transactionId }),
      ),
    );

    expect(findingIn(created.lines())).toBe('6 NOT_FIRST_ENTRY');
    expect(findingIn(reused.lines())).toBe('6 TRANSACTION_ID_REUSED');
  });

  test('takes no signature any more', () => {
    const ledger = new TestLedger([a, b, c]);
    ledger.upload('plan-1');
    ledger.commit([requestSignature(signer, 'plan-1', { requestId })]);
    const signature = signer.sign(targetOf(ledger, requestId));
    ledger.commit([samePeers()], { resolves: [resolutionOf(ledger, [3, 2], finder)] });
    expect(verify(ledger.lines())).toMatchObject({
      superseded: [{ sequence: 3 }, { sequence: 2 }],
    });
    ledger.commit([signDocument(requestId, signature)], { unruled: true });
    const replaced = replacedLedger();
    replaced.commit([requestSignature(signer, 'plan-1')], { unruled: true });

    expect(findingIn(ledger.lines())).toBe('5 REQUEST_SUPERSEDED');
    expect(findingIn(replaced.lines())).toBe('7 VERSION_SUPERSEDED');
  });

  test('is signed again where it was a signature, by an alternative or without one', () => {
    const signedAgain = (ledger: TestLedger, changes = {}) =>
      signDocument(requestId, signer.sign(targetOf(ledger, requestId), 60), changes);
    const replaced = signedLedger();
    replaced.commit([signedAgain(replaced, { supersedes: linkAt(replaced, 5) })], {
      resolves: [resolutionOf(replaced, [5], finder)],
    });
    const reopened = signedLedger();
    reopened.commit([samePeers()], { resolves: [resolutionOf(reopened, [5], finder)] });
    reopened.commit([signedAgain(reopened)]);

    expect(verify(replaced.lines())).toMatchObject({
      superseded: [{ sequence: 5, replacement: 6 }],
    });
    expect(replaced.state.get(requestKey(requestId))).toMatchObject({ signed: { sequence: 6 } });
    expect(verify(reopened.lines())).toMatchObject({ superseded: [{ sequence: 5 }] });
  });

  test('is not signed again by the same signature', () => {
    const ledger = signedLedger();
    ledger.commit([samePeers()], { resolves: [resolutionOf(ledger, [5], finder)] });
    const { signature } = JSON.parse(Buffer.from(ledger.entryAt(5).transaction).toString());
    ledger.commit([signDocument(requestId, signature)], { unruled: true });

    expect(findingIn(ledger.lines())).toBe('7 SIGNATURE_REPLAYED');
  });

  test('stays as it was in a peer list: it leads until another one is recorded', () => {
    const ledger = signedLedger();
    ledger.reconfigure(b, a);
    ledger.commit([reconfigurePeers([b, a, c])], {
      resolves: [resolutionOf(ledger, [6], { finder: a, operator })],
    });

    expect(verify(ledger.lines())).toMatchObject({
      lead: b.certificateId,
      superseded: [{ sequence: 6 }],
    });
  });
});

describe('an alternative', () => {
  const wrongly = { unruled: true };

  test.each<readonly [string, (ledger: TestLedger) => TestTransaction, string]>([
    [
      'of another type',
      (ledger) => requestSignature(signer, 'plan-1', { supersedes: linkAt(ledger, 2) }),
      '6 SUPERSEDES_OTHER_TYPE',
    ],
    [
      'about something else',
      (ledger) => uploadDocument('plan-2', { version: 2, supersedes: linkAt(ledger, 2) }),
      '6 SUPERSEDES_OTHER_SUBJECT',
    ],
    [
      'to what is not listed',
      (ledger) => uploadDocument('plan-2', { version: 2, supersedes: linkAt(ledger, 3) }),
      '6 SUPERSEDES_WITHOUT_RESOLUTION',
    ],
    [
      'that does not link to what it replaces',
      (ledger) => alternativeTo(ledger, 2),
      '6 SUBJECT_LINK_WRONG',
    ],
  ])('%s is found', (_what, transactionFor, finding) => {
    const ledger = signedLedger();
    const resolves = [resolutionOf(ledger, [2], finder)];
    ledger.commit([transactionFor(ledger)], { ...wrongly, resolves });

    expect(findingIn(ledger.lines())).toBe(finding);
    expect(findingIn(ledger.lines(), false)).toBe('verified');
  });

  test('that is the second one for an entry is found', () => {
    const ledger = signedLedger();
    const resolves = [resolutionOf(ledger, [2], finder)];
    const entries = [alternativeTo(ledger, 2), alternativeTo(ledger, 2, 3)];
    ledger.commit(entries, { ...wrongly, resolves, entry: { subject: linkAt(ledger, 2) } });

    expect(findingIn(ledger.lines())).toBe('7 ALREADY_SUPERSEDED');
    expect(verify(ledger.lines(), { rules: false })).toMatchObject({
      superseded: [{ sequence: 2, replacement: 6 }],
    });
  });

  test('of anything at all is nothing to a verification without rules', () => {
    const ledger = signedLedger();
    ledger.commit([alternativeTo(ledger, 2)], wrongly);

    expect(verify(ledger.lines(), { rules: false })).toMatchObject({ superseded: [] });
  });

  test('may come later in the commit, and not in the next one', () => {
    const later = signedLedger();
    const resolves = [resolutionOf(later, [2], finder)];
    later.commit([samePeers(), alternativeTo(later, 2)], { resolves });
    const next = signedLedger();
    next.commit([samePeers()], { resolves: [resolutionOf(next, [2], finder)] });
    next.commit([alternativeTo(next, 2)], { ...wrongly, entry: { subject: linkAt(next, 2) } });

    expect(verify(later.lines())).toMatchObject({ superseded: [{ sequence: 2, replacement: 7 }] });
    expect(findingIn(next.lines())).toBe('7 SUPERSEDES_WITHOUT_RESOLUTION');
  });

  test('is a whole commit away at most where no checkpoint shows the commits', () => {
    const ledger = signedLedger();
    ledger.commit([samePeers()], { resolves: [resolutionOf(ledger, [2], finder)] });
    const checkpoint = encodeSignedLine(ledger.head.checkpoint);
    ledger.upload(...Array.from({ length: 23 }, (_, n) => `plan-1${n}`));
    ledger.commit([alternativeTo(ledger, 2)], {
      ...wrongly,
      entry: { subject: linkAt(ledger, 2) },
    });
    const lines = ledger.lines().filter((line) => !line.equals(checkpoint));

    expect(findingIn(lines)).toBe('30 SUPERSEDES_WITHOUT_RESOLUTION');
  });
});
