import { describe, expect, test } from 'vitest';
import {
  encodeCountersignedLine,
  readCountersigned,
  readCountersignedLine,
} from '../../shared/ledger/countersigned.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { type Acceptance, acceptanceSchema } from '../../shared/ledger/resolution.ts';
import { testPeer } from '../builders.ts';

const [instance, operator, other] = [testPeer(), testPeer(), testPeer()];
const acceptance: Acceptance = {
  decidedBy: operator.certificateId,
  format: 'registry/acceptance/v1',
  reason: 'Geprüft am 3. November',
  registryId: digestOf('registry'),
  resolution: digestOf('resolution'),
  signer: instance.certificateId,
};

describe('what an operator decided', () => {
  const signed = { statement: instance.sign(acceptance), decision: operator.sign(acceptance) };
  const codeOf = (changes: Partial<typeof signed>) => {
    const read = readCountersigned({ ...signed, ...changes }, acceptanceSchema);
    return read.outcome === 'refused' ? read.code : read.outcome;
  };

  test('is read as both signed it', () => {
    expect(readCountersigned(signed, acceptanceSchema)).toMatchObject({
      outcome: 'read',
      statement: acceptance,
      signed,
    });
  });

  test('is refused where the operator signed something else than the instance', () => {
    const changed = { ...acceptance, reason: 'anders' };

    expect(codeOf({ decision: operator.sign(changed) })).toBe('DECISION_DIFFERS');
    expect(codeOf({ statement: instance.sign(changed) })).toBe('DECISION_DIFFERS');
  });

  test('is refused where somebody else signed on either side', () => {
    expect(codeOf({ statement: other.sign(acceptance) })).toBe('STATEMENT_SIGNER_DIFFERS');
    expect(codeOf({ decision: other.sign(acceptance) })).toBe('STATEMENT_SIGNER_DIFFERS');
    expect(codeOf({ decision: signed.statement })).toBe('STATEMENT_SIGNER_DIFFERS');
  });

  test('is one line of an export, with both signatures', () => {
    const line = encodeCountersignedLine(signed);

    expect(line.toString()).toContain('"format":"registry/countersigned/v1"');
    expect(readCountersignedLine(line)).toEqual({ outcome: 'read', signed });
  });

  test.each([
    ['not canonical', `{ "decision":"a","format":"registry/countersigned/v1","statement":"b"}`],
    ['of another format', `{"decision":"a","format":"registry/signed/v1","statement":"b"}`],
    ['without a decision', `{"format":"registry/countersigned/v1","statement":"b"}`],
  ])('is refused as a line that is %s', (_what, line) => {
    expect(readCountersignedLine(Buffer.from(line))).toMatchObject({ outcome: 'refused' });
  });
});
