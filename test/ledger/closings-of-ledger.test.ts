import { describe, expect, test } from 'vitest';
import { digestOf, type RegistryId, type Sequence } from '../../shared/ledger/digest.ts';
import type { Closing } from '../../shared/ledger/resolution.ts';
import { encodeSignedLine } from '../../shared/ledger/signed-line.ts';
import { LedgerVerifier, type VerifierOptions } from '../../shared/ledger/verify.ts';
import { TestLedger, type TestPeer, testPeer } from '../builders.ts';

const [a, b, c, stranger] = [testPeer(), testPeer(), testPeer(), testPeer()];
const OTHER = digestOf('an entry of another branch');

/** Entry 1 of two peers, two uploads, a list with a third peer: every entry ends a commit. */
function ledgerOfFour(): TestLedger {
  const ledger = new TestLedger([a, b, c], [a, b]);
  ledger.upload('plan-1');
  ledger.upload('plan-2');
  ledger.reconfigure(a, b, c);
  return ledger;
}

/** The line of the peer's closing at that entry of the ledger. */
function closingBy(
  peer: TestPeer,
  ledger: TestLedger,
  sequence: number,
  changes: Partial<Closing> = {},
): Buffer {
  const digest = sequence > ledger.head.sequence ? OTHER : ledger.entryAt(sequence).digest;
  const statement: Closing = {
    format: 'registry/closing/v1',
    registryId: ledger.registryId,
    signer: peer.certificateId,
    sequence: sequence as Sequence,
    digest,
    ...changes,
  };
  return encodeSignedLine(peer.sign(statement));
}

/** The export with these lines behind the statements of the entry. */
function linesWith(ledger: TestLedger, sequence: number, ...closings: readonly Buffer[]): Buffer[] {
  const lines = ledger.lines();
  const { entry } = ledger.entryAt(sequence);
  const at = lines.findIndex((line) => line.equals(Buffer.from(entry)));
  const next = lines.findIndex((line, index) => index > at && !`${line}`.includes('signed/v1'));
  const end = next === -1 ? lines.length : next;
  return [...lines.slice(0, end), ...closings, ...lines.slice(end)];
}

function verify(lines: readonly Buffer[], options: Partial<VerifierOptions> = {}) {
  const verifier = new LedgerVerifier({ rules: true, ...options });
  for (const line of lines) verifier.line(line);
  return verifier.end();
}

describe('closings in an export', () => {
  test('are told with how the entry that they name stands to this ledger', () => {
    const ledger = ledgerOfFour();
    const lines = linesWith(
      ledger,
      4,
      closingBy(a, ledger, 4),
      closingBy(b, ledger, 4, { digest: OTHER }),
      closingBy(c, ledger, 7),
    );

    expect(verify(lines)).toMatchObject({
      outcome: 'verified',
      entries: 4,
      closings: [
        { signer: a.certificateId, sequence: 4, digest: ledger.head.digest, entry: 'held' },
        { signer: b.certificateId, sequence: 4, digest: OTHER, entry: 'another' },
        { signer: c.certificateId, sequence: 7, digest: OTHER, entry: 'beyond' },
      ],
    });
  });

  test('stand in the middle of the ledger where a copy ended there', () => {
    const ledger = ledgerOfFour();
    const lines = linesWith(
      ledger,
      2,
      closingBy(b, ledger, 2),
      // Signed while it was still being brought the entries before its own list.
      closingBy(c, ledger, 2, { digest: OTHER }),
    );

    expect(verify(lines)).toMatchObject({
      outcome: 'verified',
      closings: [
        { signer: b.certificateId, sequence: 2, entry: 'held' },
        { signer: c.certificateId, sequence: 2, entry: 'another' },
      ],
    });
  });

  test.each<readonly [string, (ledger: TestLedger) => Buffer[], string, number]>([
    [
      'of whoever was never a peer',
      (ledger) => linesWith(ledger, 4, closingBy(stranger, ledger, 4)),
      'SIGNER_NO_PEER',
      4,
    ],
    [
      'signed by somebody else than it names',
      (ledger) => linesWith(ledger, 4, closingBy(stranger, ledger, 4, { signer: a.certificateId })),
      'STATEMENT_SIGNER_DIFFERS',
      4,
    ],
    [
      'of another registry',
      (ledger) =>
        linesWith(ledger, 4, closingBy(a, ledger, 4, { registryId: OTHER as RegistryId })),
      'STATEMENT_REGISTRY_DIFFERS',
      4,
    ],
    [
      'behind the entry that it names',
      (ledger) => linesWith(ledger, 4, closingBy(b, ledger, 3)),
      'EXPORT_MALFORMED',
      4,
    ],
    [
      'before the entry that it names',
      (ledger) => linesWith(ledger, 2, closingBy(b, ledger, 3)),
      'EXPORT_MALFORMED',
      3,
    ],
    [
      'twice',
      (ledger) => linesWith(ledger, 4, closingBy(a, ledger, 4), closingBy(a, ledger, 4)),
      'EXPORT_MALFORMED',
      4,
    ],
    [
      'before entry 1',
      (ledger) => [closingBy(a, ledger, 1), ...ledger.lines()],
      'EXPORT_MALFORMED',
      1,
    ],
  ])('%s are refused', (_what, lines, code, sequence) => {
    expect(verify(lines(ledgerOfFour()))).toMatchObject({ outcome: 'wrong', code, sequence });
  });

  test('may be of a peer of a later list, where something else proves that', () => {
    const ledger = ledgerOfFour();
    const lines = linesWith(ledger, 4, closingBy(stranger, ledger, 4));

    const report = verify(lines, { peersBeyond: [stranger.certificateId] });

    expect(report).toMatchObject({ closings: [{ signer: stranger.certificateId }] });
  });

  test('are not looked at after something was found', () => {
    const ledger = ledgerOfFour();
    const verifier = new LedgerVerifier({ rules: true });
    const first = verifier.line(Buffer.from('{}'));

    expect(verifier.line(closingBy(a, ledger, 1))).toEqual(first);
    expect(verifier.closing('x')).toEqual(first);
  });
});

test('what entry 1 says of the registry that it continues is told', () => {
  const old = ledgerOfFour();
  const { sequence, digest, registryId } = old.head;
  const predecessor = { registryId, sequence, digest };
  const ledger = new TestLedger([a], [a], { predecessor });

  expect(verify(ledger.lines())).toMatchObject({ outcome: 'verified', predecessor });
  expect(verify(old.lines())).not.toHaveProperty('predecessor');
});
