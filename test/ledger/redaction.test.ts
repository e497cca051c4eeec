import { describe, expect, test } from 'vitest';
import { digestOf, type Sequence } from '../../shared/ledger/digest.ts';
import { checkBeside, readRedaction } from '../../shared/ledger/redaction.ts';
import { readTestTransaction, reconfigurePeers, testPeer, uploadDocument } from '../builders.ts';
import { redactionBy } from '../redacting.ts';

const [instance, operator, other] = [testPeer(), testPeer(), testPeer()];
const place = { registryId: digestOf('registry'), sequence: 7 as Sequence };

function outcomeOf(signed: ReturnType<typeof redactionBy>): string {
  const read = readRedaction(signed, place);
  return read.outcome === 'refused' ? read.code : 'read';
}

describe('a redaction', () => {
  test('is read as both signed it', () => {
    expect(readRedaction(redactionBy(instance, operator, place), place)).toEqual({
      outcome: 'read',
      redaction: {
        ...place,
        format: 'registry/redaction/v1',
        what: 'details',
        signer: instance.certificateId,
        decidedBy: operator.certificateId,
        reason: 'Löschverlangen vom 3. November',
      },
    });
  });

  test.each([
    ['another registry', { registryId: digestOf('other') }, 'STATEMENT_REGISTRY_DIFFERS'],
    ['another entry', { sequence: 8 as Sequence }, 'REDACTION_DIFFERS'],
  ])('of %s is refused', (_what, changes, code) => {
    expect(outcomeOf(redactionBy(instance, operator, { ...place, ...changes }))).toBe(code);
  });

  test('with the decision on another one is refused', () => {
    const { statement } = redactionBy(instance, operator, place);
    const { decision } = redactionBy(instance, operator, { ...place, reason: 'anders' });

    expect(outcomeOf({ statement, decision })).toBe('REDACTION_DIFFERS');
  });

  test('signed by somebody else than it names is refused, on either side', () => {
    const { statement, decision } = redactionBy(instance, operator, place);
    const byOther = redactionBy(other, other, {
      ...place,
      signer: instance.certificateId,
      decidedBy: operator.certificateId,
    });

    expect(outcomeOf({ statement: byOther.statement, decision })).toBe('STATEMENT_SIGNER_DIFFERS');
    expect(outcomeOf({ statement, decision: byOther.decision })).toBe('STATEMENT_SIGNER_DIFFERS');
  });
});

describe('what stands beside a transaction', () => {
  const upload = uploadDocument();
  const read = readTestTransaction(upload);
  const redaction = redactionBy(instance, operator, place);
  const codeOf = (beside: Parameters<typeof checkBeside>[1], transaction = read) => {
    const checked = checkBeside(transaction, beside, place);
    return checked.outcome === 'refused' ? checked.code : checked;
  };

  test('is its details, or their redaction', () => {
    expect(codeOf({ details: upload.details as Buffer })).toMatchObject({ outcome: 'fits' });
    expect(codeOf({ redaction })).toMatchObject({
      outcome: 'fits',
      redaction: { signer: instance.certificateId },
    });
  });

  test('is not neither, not both, and nothing where there are no details', () => {
    const reconfigure = readTestTransaction(reconfigurePeers([instance]));

    expect(codeOf({})).toBe('DETAILS_MISSING');
    expect(codeOf({ details: upload.details as Buffer, redaction })).toBe('DETAILS_NOT_EXPECTED');
    expect(codeOf({ redaction }, reconfigure)).toBe('DETAILS_NOT_EXPECTED');
    expect(codeOf({}, reconfigure)).toEqual({ outcome: 'fits' });
  });

  test('is no redaction that does not fit', () => {
    const strange = redactionBy(instance, operator, { ...place, sequence: 8 as Sequence });

    expect(codeOf({ redaction: strange })).toBe('REDACTION_DIFFERS');
  });
});
