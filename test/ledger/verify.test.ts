import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import type { EntryParts } from '../../shared/ledger/entry.ts';
import type { Compact } from '../../shared/ledger/jws.ts';
import { encodeRedactedLine } from '../../shared/ledger/redaction.ts';
import type { Redaction } from '../../shared/ledger/resolution.ts';
import { encodeSignedLine } from '../../shared/ledger/signed-line.ts';
import { type Finding, LedgerVerifier, type Report } from '../../shared/ledger/verify.ts';
import {
  checkpointFor,
  confirmationFor,
  createRegistry,
  type Forgery,
  fileOf,
  linesOf,
  reconfigurePeers,
  SALT,
  TestLedger,
  type TestPeer,
  type TestTransaction,
  testPeer,
  testUuid,
  timeAfter,
  uploadDocument,
} from '../builders.ts';
import { redactionBy } from '../redacting.ts';
import { requestSignature, signDocument, targetOf, testSigner } from '../signing.ts';

const [a, b, c, stranger] = [testPeer(), testPeer(), testPeer(), testPeer()];
const signer = testSigner('ES256');
const operator = testPeer();

/** Confirmations, commits of several entries, a hand-over, another list, a history, a signature. */
function eventfulLedger(): TestLedger {
  const ledger = new TestLedger([a, b, c]);
  ledger.upload('plan-1', 'plan-2', 'plan-1');
  ledger.confirm(b);
  ledger.confirm(c);
  ledger.reconfigure(b, a);
  ledger.confirm(a);
  ledger.confirm(b);
  ledger.confirm(c);
  ledger.upload('plan-2');
  ledger.upload('plan-1');
  const requestId = testUuid(900);
  ledger.commit([requestSignature(signer, 'plan-1', { requestId, version: 2 })]);
  ledger.commit([signDocument(requestId, signer.sign(targetOf(ledger, requestId)))]);
  ledger.confirm(a);
  return ledger;
}

function verify(lines: readonly Uint8Array[], options = { rules: true }): Report | Finding {
  const verifier = new LedgerVerifier(options);
  for (const line of lines) verifier.line(line);
  return verifier.end();
}

/** What is found in the lines, the same with rules and without. */
function findingIn(lines: readonly Uint8Array[]): string {
  const outcomes = [true, false].map((rules) => {
    const outcome = verify(lines, { rules });
    return outcome.outcome === 'wrong' ? `${outcome.sequence} ${outcome.code}` : 'verified';
  });
  expect(outcomes[1]).toBe(outcomes[0]);
  return outcomes[0] ?? '';
}

describe.each([true, false])('an export, verified with rules: %s', (rules) => {
  test('is reported on where all is right', () => {
    const ledger = eventfulLedger();

    expect(verify(ledger.lines(), { rules })).toEqual({
      outcome: 'verified',
      registryId: ledger.registryId,
      entries: 9,
      headDigest: ledger.head.digest,
      lead: b.certificateId,
      peers: [b.certificateId, a.certificateId],
      checkpoints: 3,
      confirmations: [
        { signer: b.certificateId, count: 2, newest: 5 },
        { signer: c.certificateId, count: 2, newest: 5 },
        { signer: a.certificateId, count: 2, newest: 9 },
      ],
      redactions: [],
      resolutions: [],
      superseded: [],
      closings: [],
    });
  });

  test('verifies with the checkpoint of every commit in it', () => {
    const ledger = eventfulLedger();
    const lines = ledger.entries.flatMap((stored) => [
      ...linesOf(stored),
      ...(stored.checkpoint === undefined ? [] : [encodeSignedLine(stored.checkpoint)]),
    ]);

    expect(verify(lines, { rules })).toMatchObject({ outcome: 'verified', checkpoints: 7 });
  });

  test('verifies from views into one file', () => {
    const file = new Uint8Array(fileOf(eventfulLedger().lines()));
    const verifier = new LedgerVerifier({ rules });
    for (let from = 0; from < file.length; ) {
      const end = file.indexOf(0x0a, from);
      expect(verifier.line(file.subarray(from, end))).toBeUndefined();
      from = end + 1;
    }

    expect(verifier.end()).toMatchObject({ outcome: 'verified' });
  });

  test('is found changed after a change of any one bit', () => {
    const file = fileOf(eventfulLedger().lines());
    fc.assert(
      fc.property(fc.nat(8 * file.length - 1), (bit) => {
        const changed = Buffer.from(file);
        changed[bit >>> 3] = (changed[bit >>> 3] as number) ^ (1 << (bit & 7));
        const lines = splitLines(changed);
        expect(verify(lines, { rules })).toMatchObject({ outcome: 'wrong' });
      }),
      { numRuns: 400 },
    );
  });

  test('is found changed when any one line is left out, doubled, or in another place', () => {
    const lines = eventfulLedger().lines();
    const confirmations = lines.filter((line) => isConfirmation(line));
    for (const [index, line] of lines.entries()) {
      // Without one it is a sound export that says less.
      if (!isConfirmation(line) && !isOnlyForConfirmations(lines, index))
        expect(verify(lines.toSpliced(index, 1), { rules })).toMatchObject({ outcome: 'wrong' });
      const next = lines[index + 1];
      if (next === undefined || (isConfirmation(line) && isConfirmation(next))) continue;
      const swapped = lines.toSpliced(index, 2, next, line);
      expect(verify(swapped, { rules })).toMatchObject({ outcome: 'wrong' });
    }

    expect(confirmations).toHaveLength(6);
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

function isConfirmation(line: Uint8Array): boolean {
  const [, payload = ''] = Buffer.from(line).toString().split('.');
  return Buffer.from(payload, 'base64url').includes('registry/confirmation/v1');
}

/** The first checkpoint stands there for the confirmations of entry 4, which it leaves unproved. */
function isOnlyForConfirmations(lines: readonly Uint8Array[], index: number): boolean {
  const line = Buffer.from(lines[index] as Uint8Array);
  return line.includes('registry/signed/v1') && !isConfirmation(lines[index + 1] ?? line);
}

describe('the lines of an export', () => {
  const ledger = eventfulLedger();
  const lines = ledger.lines();
  const [transaction, details, entry] = lines as [Buffer, Buffer, Buffer];
  const checkpoint = encodeSignedLine(ledger.commits[0]?.write.head.checkpoint as Compact);

  test.each<readonly [string, readonly Buffer[], string]>([
    ['nothing', [], '1 EXPORT_MALFORMED'],
    ['an end after a transaction', [transaction], '1 EXPORT_MALFORMED'],
    ['an end before the checkpoint', [transaction, details, entry], '1 CHECKPOINT_MISSING'],
    ['two transactions', [transaction, transaction], '1 EXPORT_MALFORMED'],
    ['details first', [details], '1 EXPORT_MALFORMED'],
    ['details twice', [transaction, details, details], '1 EXPORT_MALFORMED'],
    ['an entry first', [entry], '1 EXPORT_MALFORMED'],
    ['an entry before its details', [transaction, entry], '1 DETAILS_MISSING'],
    ['a statement first', [checkpoint], '1 EXPORT_MALFORMED'],
    [
      'a signed line first that is none',
      [Buffer.from('{"format":"registry/signed/v1"}')],
      '1 SCHEMA_VIOLATION',
    ],
    ['a confirmation first', lines.filter(isConfirmation), '1 EXPORT_MALFORMED'],
    ['a statement before its entry', [transaction, details, checkpoint], '1 EXPORT_MALFORMED'],
    ['an empty line', [transaction, details, entry, checkpoint, Buffer.from('')], '2 NOT_JSON'],
    ['text', [Buffer.from('Dear reader')], '1 NOT_JSON'],
    ['an object of another format', [encodeCanonical({ format: 'x' })], '1 UNKNOWN_FORMAT'],
    [
      'a conflict, unsigned',
      [Buffer.from('{"format":"registry/conflict/v1"}')],
      '1 UNKNOWN_FORMAT',
    ],
    ['a line too long', [Buffer.alloc(70_000, 0x20)], '1 TOO_LARGE'],
    [
      'a signed line with more in it',
      [
        transaction,
        details,
        entry,
        encodeCanonical({ format: 'registry/signed/v1', statement: 'x', x: 1 }),
      ],
      '1 UNKNOWN_MEMBER',
    ],
    [
      'a signed line that is not canonical',
      [
        transaction,
        details,
        entry,
        Buffer.from('{"format":"registry/signed/v1" ,"statement":"x"}'),
      ],
      '1 NOT_CANONICAL',
    ],
    [
      'a signed line without a statement in it',
      [transaction, details, entry, encodeSignedLine('x' as Compact)],
      '1 STATEMENT_MALFORMED',
    ],
  ])('are refused with %s', (_rule, wrong, finding) => {
    expect(findingIn(wrong)).toBe(finding);
  });

  test('after the first finding nothing else is looked at', () => {
    const verifier = new LedgerVerifier({ rules: true });
    const finding = verifier.line(entry);

    expect(finding).toMatchObject({ outcome: 'wrong', code: 'EXPORT_MALFORMED' });
    expect(verifier.line(transaction)).toBe(finding);
    expect(verifier.entry({ transaction, details, entry })).toBe(finding);
    expect(verifier.checkpoint('x')).toBe(finding);
    expect(verifier.confirmation('x')).toBe(finding);
    expect(verifier.end()).toBe(finding);
  });

  test('of another registry than expected are refused', () => {
    const registryId = digestOf('other');
    const expecting = (id: typeof registryId) => ({ rules: true, registryId: id });

    expect(verify(lines, expecting(registryId))).toMatchObject({
      sequence: 1,
      code: 'REGISTRY_DIFFERS',
    });
    expect(verify(lines, expecting(ledger.registryId))).toMatchObject({ outcome: 'verified' });
  });
});

/** The finding in a ledger to which the lead appended and signed something wrong. */
function findingAfter(transactions: readonly TestTransaction[], forgery: Forgery, rules = true) {
  const ledger = new TestLedger([a, b]);
  ledger.upload('plan-1');
  ledger.upload('plan-2');
  ledger.commit(transactions, forgery);
  const outcome = verify(ledger.lines(), { rules });
  return outcome.outcome === 'wrong' ? `${outcome.sequence} ${outcome.code}` : 'verified';
}

const other = digestOf('other');
const sequence = (n: number) => n as Sequence;

describe('an entry that the lead signed', () => {
  const next = () => uploadDocument('plan-1', { version: 2 });

  test.each<readonly [string, Partial<EntryParts>, string]>([
    ['a sequence left out', { sequence: sequence(5) }, '4 SEQUENCE_NOT_NEXT'],
    ['another registry', { registryId: other }, '4 REGISTRY_DIFFERS'],
    ['another lead', { lead: b.certificateId }, '4 LEAD_DIFFERS'],
    ['another transaction', { transactionDigest: other }, '4 TRANSACTION_DIGEST_DIFFERS'],
    ['other backlinks', { backlinks: [] }, '4 BACKLINKS_WRONG'],
    [
      'another configuration',
      { configuration: { sequence: sequence(1), digest: other } },
      '4 CONFIGURATION_LINK_WRONG',
    ],
    ['a time before', { timestamp: timeAfter(-1) }, '4 TIMESTAMP_BEFORE_PREVIOUS'],
    ['a time that does not exist', { timestamp: '2026-11-31T00:00:00.000Z' }, '4 SCHEMA_VIOLATION'],
    ['a resolution', { resolves: [other] }, '4 RESOLVES_UNKNOWN'],
    ['a digest that is none', { registryId: 'x' as never }, '4 SCHEMA_VIOLATION'],
  ])('with %s is found', (_rule, entry, finding) => {
    expect(findingAfter([next()], { entry })).toBe(finding);
    expect(findingAfter([next()], { entry }, false)).toBe(finding);
  });

  test.each<readonly [string, Partial<EntryParts>]>([
    ['about another version', { subject: { sequence: sequence(3), digest: other } }],
    [
      'about the right version with another digest',
      { subject: { sequence: sequence(2), digest: other } },
    ],
  ])('%s is found by the rules', (_rule, entry) => {
    expect(findingAfter([next()], { entry })).toBe('4 SUBJECT_LINK_WRONG');
    expect(findingAfter([next()], { entry }, false)).toBe('verified');
  });

  test.each<readonly [string, () => TestTransaction, string]>([
    ['leaves a version out', () => uploadDocument('plan-1', { version: 3 }), '4 VERSION_NOT_NEXT'],
    ['records a version again', () => uploadDocument('plan-1'), '4 VERSION_NOT_NEXT'],
    [
      'supersedes without a resolution',
      () => uploadDocument('plan-1', { version: 2, supersedes: { sequence: 2, digest: other } }),
      '4 SUPERSEDES_WITHOUT_RESOLUTION',
    ],
  ])('but that %s is found by the rules', (_rule, transaction, finding) => {
    expect(findingAfter([transaction()], { unruled: true })).toBe(finding);
    expect(findingAfter([transaction()], { unruled: true }, false)).toBe('verified');
  });

  test('with a transaction id that has an entry is found by the rules', () => {
    const one = uploadDocument('plan-3');
    const transactionId = JSON.parse(one.transaction.toString()).transactionId;
    const again = uploadDocument('plan-4', { transactionId });
    const forgery = { unruled: true };

    expect(findingAfter([one, again], forgery)).toBe('5 TRANSACTION_ID_REUSED');
    expect(findingAfter([one], forgery)).toBe('verified');
  });

  test('that breaks a rule and is out of place is found out of place', () => {
    const forgery = { unruled: true, entry: { backlinks: [] } };

    expect(findingAfter([uploadDocument('plan-1')], forgery)).toBe('4 BACKLINKS_WRONG');
  });

  test('of a create-registry within the ledger is found with rules and without', () => {
    expect(findingAfter([createRegistry([a])], { unruled: true })).toBe('4 NOT_FIRST_ENTRY');
    expect(findingAfter([createRegistry([a])], { unruled: true }, false)).toBe('4 NOT_FIRST_ENTRY');
  });

  test('with details that its transaction does not name is found', () => {
    const { transaction } = next();
    const details = encodeCanonical({ format: 'registry/details/v1', name: 'x', salt: SALT });

    expect(findingAfter([{ transaction, details }], {})).toBe('4 DETAILS_DIGEST_DIFFERS');
  });

  test('with details of a reconfigure-peers is found', () => {
    const { transaction } = reconfigurePeers([a]);
    const details = encodeCanonical({ format: 'registry/details/v1', name: 'x', salt: SALT });

    expect(findingAfter([{ transaction, details }], {})).toBe('4 DETAILS_NOT_EXPECTED');
  });

  test('as entry 1 without creating the registry is found with rules and without', () => {
    const { transaction } = reconfigurePeers([a]);
    const parts = {
      backlinks: [],
      format: 'registry/entry/v1',
      lead: a.certificateId,
      registryId: digestOf(transaction),
      resolves: [],
      sequence: 1,
      timestamp: timeAfter(0),
      transactionDigest: digestOf(transaction),
    };

    expect(findingIn([transaction, encodeCanonical(parts)])).toBe('1 NOT_FIRST_ENTRY');
  });
});

/** The lines with the statement in place of the last one. */
function withLast(ledger: TestLedger, statement: Compact): Buffer[] {
  return [...ledger.lines().slice(0, -1), encodeSignedLine(statement)];
}

describe('a checkpoint', () => {
  const ledger = new TestLedger([a, b]);
  ledger.upload('plan-1');

  test.each([
    ['of a mirror', b.sign(checkpointFor(ledger.head, b)), '2 LEAD_DIFFERS'],
    ['of a stranger', stranger.sign(checkpointFor(ledger.head, stranger)), '2 LEAD_DIFFERS'],
    [
      'over another digest',
      a.sign(checkpointFor({ ...ledger.head, digest: other }, a)),
      '2 CHECKPOINT_DIFFERS',
    ],
    [
      'over another entry',
      a.sign(checkpointFor({ ...ledger.head, sequence: sequence(1) }, a)),
      '2 CHECKPOINT_DIFFERS',
    ],
    [
      'of another registry',
      a.sign(checkpointFor({ ...ledger.head, registryId: other }, a)),
      '2 STATEMENT_REGISTRY_DIFFERS',
    ],
    [
      'that a stranger signed in its name',
      stranger.sign(checkpointFor(ledger.head, a)),
      '2 STATEMENT_SIGNER_DIFFERS',
    ],
  ])('%s is found', (_rule, statement, finding) => {
    expect(findingIn(withLast(ledger, statement))).toBe(finding);
  });

  test('of a hand-over may not be missing, though later ones cover it', () => {
    const handed = new TestLedger([a, b]);
    handed.reconfigure(b, a);
    handed.upload('plan-1');
    const lines = handed.lines();
    const without = lines.filter((_line, index) => index !== 5);

    expect(findingIn(lines)).toBe('verified');
    expect(findingIn(without)).toBe('2 CHECKPOINT_MISSING');
  });

  test('of a hand-over is signed by the lead that hands over', () => {
    const handed = new TestLedger([a, b]);
    handed.reconfigure(b, a);

    expect(findingIn(withLast(handed, b.sign(checkpointFor(handed.head, b))))).toBe(
      '2 LEAD_DIFFERS',
    );
  });

  test('after a hand-over is signed by the new lead', () => {
    const handed = new TestLedger([a, b]);
    handed.reconfigure(b, a);
    handed.upload('plan-1');

    expect(findingIn(withLast(handed, a.sign(checkpointFor(handed.head, a))))).toBe(
      '3 LEAD_DIFFERS',
    );
  });

  test('of a past entry proves nothing about the last one', () => {
    const first = ledger.commits[0]?.write.head.checkpoint as Compact;

    expect(findingIn(withLast(ledger, first))).toBe('2 CHECKPOINT_DIFFERS');
  });
});

describe('a confirmation', () => {
  const ledger = new TestLedger([a, b, c], [a, b]);
  ledger.upload('plan-1');
  const { head } = ledger;
  const finding = (statement: Compact) =>
    findingIn([...ledger.lines(), encodeSignedLine(statement)]);

  test('of a mirror is counted', () => {
    expect(finding(b.sign(confirmationFor(head, b)))).toBe('verified');
  });

  test.each([
    [
      'of the lead, which does not confirm to itself',
      a.sign(confirmationFor(head, a)),
      'SIGNER_NO_PEER',
    ],
    ['of somebody who is in no list', c.sign(confirmationFor(head, c)), 'SIGNER_NO_PEER'],
    [
      'over another digest',
      b.sign(confirmationFor({ ...head, digest: other }, b)),
      'CHECKPOINT_DIFFERS',
    ],
    [
      'over another entry',
      b.sign(confirmationFor({ ...head, sequence: sequence(1) }, b)),
      'CHECKPOINT_DIFFERS',
    ],
    [
      'of another registry',
      b.sign(confirmationFor({ ...head, registryId: other }, b)),
      'STATEMENT_REGISTRY_DIFFERS',
    ],
    ['that somebody else signed', c.sign(confirmationFor(head, b)), 'STATEMENT_SIGNER_DIFFERS'],
    [
      'in a later format',
      b.sign({ ...confirmationFor(head, b), format: 'registry/confirmation/v2' } as never),
      'STATEMENT_MALFORMED',
    ],
  ])('%s is found', (_rule, statement, code) => {
    expect(finding(statement)).toBe(`2 ${code}`);
  });

  test('without the checkpoint of its entry is found', () => {
    const statement = b.sign(confirmationFor(head, b));

    expect(findingIn(withLast(ledger, statement))).toBe('2 CHECKPOINT_MISSING');
  });
});

describe('fed entry by entry', () => {
  test('the head is known as far as it is verified', () => {
    const ledger = eventfulLedger();
    const verifier = new LedgerVerifier({ rules: true });
    expect(verifier.head).toBeUndefined();
    for (const { entries } of ledger.commits) {
      for (const stored of entries) expect(verifier.entry(stored)).toBeUndefined();
      expect(verifier.checkpoint(entries.at(-1)?.checkpoint ?? '')).toBeUndefined();
    }

    expect(ledger.head).toMatchObject(verifier.head ?? {});
    expect(verifier.end()).toMatchObject({
      outcome: 'verified',
      checkpoints: 7,
      confirmations: [],
    });
  });

  test('a statement before the first entry is out of place', () => {
    expect(new LedgerVerifier({ rules: true }).checkpoint('x')).toMatchObject({ sequence: 1 });
    expect(new LedgerVerifier({ rules: true }).confirmation('x')).toMatchObject({ sequence: 1 });
  });
});

/** The lines of an export in which the details of one entry are replaced by the redaction. */
function redactedLines(ledger: TestLedger, sequence: number, line: Buffer): Buffer[] {
  const transaction = Buffer.from(ledger.entryAt(sequence).transaction);
  const lines = ledger.lines();
  const at = lines.findIndex((each) => each.equals(transaction));
  return lines.toSpliced(at + 1, 1, line);
}

/** The line of a redaction that `by` signs for the operator. */
function redactedLine(ledger: TestLedger, by: TestPeer, changes: Partial<Redaction> = {}): Buffer {
  const place = { registryId: ledger.registryId, sequence: 2 as Sequence };
  return encodeRedactedLine(redactionBy(by, operator, { ...place, ...changes }));
}

describe('details that were redacted', () => {
  test.each([true, false])('are reported and break nothing, with rules: %s', (rules) => {
    const ledger = eventfulLedger();
    const lines = redactedLines(ledger, 2, redactedLine(ledger, b));

    expect(verify(lines, { rules })).toMatchObject({
      outcome: 'verified',
      redactions: [{ sequence: 2, signer: b.certificateId, decidedBy: operator.certificateId }],
    });
  });

  test('of entry 1 are reported', () => {
    const ledger = eventfulLedger();
    const line = redactedLine(ledger, a, { sequence: 1 as Sequence });

    expect(findingIn(redactedLines(ledger, 1, line))).toBe('verified');
  });

  test('may have been redacted by a peer that joined later', () => {
    const ledger = new TestLedger([a, b, c], [a, b]);
    ledger.upload('plan-1');
    ledger.reconfigure(a, b, c);

    expect(findingIn(redactedLines(ledger, 2, redactedLine(ledger, c)))).toBe('verified');
  });

  test('are not accepted from whoever was never a peer', () => {
    const ledger = eventfulLedger();
    const line = redactedLine(ledger, stranger);

    expect(findingIn(redactedLines(ledger, 2, line))).toBe('2 SIGNER_NO_PEER');
  });

  test.each([
    ['another entry', { sequence: 3 as Sequence }, '2 REDACTION_DIFFERS'],
    ['another registry', { registryId: digestOf('x') }, '2 STATEMENT_REGISTRY_DIFFERS'],
  ])('are not accepted with the redaction of %s', (_what, changes, finding) => {
    const ledger = eventfulLedger();

    expect(findingIn(redactedLines(ledger, 2, redactedLine(ledger, b, changes)))).toBe(finding);
  });

  test('cannot stand beside their redaction, nor where a transaction has none', () => {
    const ledger = eventfulLedger();
    const lines = ledger.lines();
    const line = redactedLine(ledger, b, { sequence: 5 as Sequence });
    const reconfigure = lines.findIndex((each) => each.includes('"reconfigure-peers"'));

    expect(findingIn(lines.toSpliced(1, 0, redactedLine(ledger, b)))).toBe('1 EXPORT_MALFORMED');
    expect(findingIn(lines.toSpliced(reconfigure + 1, 0, line))).toBe('5 DETAILS_NOT_EXPECTED');
    expect(findingIn([line, ...lines])).toBe('1 EXPORT_MALFORMED');
  });

  test('are refused on a line that is none', () => {
    const ledger = eventfulLedger();
    const line = encodeCanonical({ format: 'registry/redacted/v1', statement: 'x' });

    expect(findingIn(redactedLines(ledger, 2, line))).toBe('2 SCHEMA_VIOLATION');
    const broken = Buffer.from('{"format":"registry/redacted/v1" }');
    expect(findingIn(redactedLines(ledger, 2, broken))).toBe('2 NOT_CANONICAL');
  });
});
